"""Rows of orders and executions to ours.

Sources: https://bybit-exchange.github.io/docs/v5/enum ("orderStatus", "rejectReason", "execType") and the pages
v5/websocket/private/order and v5/websocket/private/execution; REST has the same rows.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from neuroflux.domain import (
    ExchangeStatus,
    Fill,
    Liquidity,
    Microseconds,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    to_scale,
)
from neuroflux.exchanges.bybit.messages import ZERO, ExecutionRow, OrderRow, amount, microseconds
from neuroflux.exchanges.bybit.names import ID, LINEAR, SPOT
from neuroflux.exchanges.bybit.symbols import Symbols
from neuroflux.exchanges.kit.events import Ignored
from neuroflux.exchanges.kit.rows import unknown

Event = OrderReport | Fill | Ignored

DUPLICATE: Final = "EC_DuplicatedClOrdID"
"""The rejection of a second order with a client id: the row says nothing of the first one."""
UNKNOWN_STATUS: Final = "unknown status "
_NO_REASON: Final = frozenset({"", "EC_NoError", "EC_PerCancelRequest", "EC_OrigClOrdIDDoesNotExist"})
_POST_ONLY: Final = "EC_PostOnlyWillTakeLiquidity"
_IMMEDIATE: Final = frozenset({"EC_NoImmediateQtyToFill", "EC_CancelForNoFullFill"})
_STATES: Final = {
    "Created": OrderState.ACKNOWLEDGED,
    "New": OrderState.ACKNOWLEDGED,
    "Untriggered": OrderState.ACKNOWLEDGED,
    "Triggered": OrderState.ACKNOWLEDGED,
    "PartiallyFilled": OrderState.WORKING,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELLED,
    "PartiallyFilledCanceled": OrderState.CANCELLED,
    "Deactivated": OrderState.CANCELLED,
    "Rejected": OrderState.REJECTED,
}
_SIDES: Final = {"Buy": Side.BUY, "Sell": Side.SELL}
_FILLS: Final = frozenset(
    {"Trade", "AdlTrade", "BustTrade", "Delivery", "Settle", "BlockTrade", "MovePosition", "FutureSpread"}
)
_NO_FILLS: Final = frozenset({"Funding", "SessionSettlePnL"})


def category_of_row(own: str, listed: str, order_id: str) -> str:
    """The row's own category, or that of its list; without either the id shows it: a spot order's is a number."""
    return own or listed or (SPOT if order_id.isdecimal() else LINEAR)


def report(wire: OrderRow, listed: str, symbols: Symbols) -> OrderReport | Ignored:
    """Raises ValueError for what is no amount."""
    category = category_of_row(wire.category, listed, wire.orderId)
    if wire.rejectReason == DUPLICATE:
        return Ignored("a client id used twice")
    if not symbols.has(category, wire.symbol):
        return Ignored("order of another product")
    is_market, filled = wire.orderType == "Market", amount(wire.cumExecQty)
    return OrderReport(
        ID,
        symbols.of(category, wire.symbol),
        wire.orderLinkId or "",
        wire.orderId,
        _SIDES[wire.side],
        OrderType.MARKET if is_market else OrderType.LIMIT,
        ZERO if is_market else amount(wire.price),
        filled if wire.marketUnit == "quoteCoin" else amount(wire.qty),
        filled,
        _average(wire, filled),
        _state(wire, filled),
        _reason(wire),
        microseconds(wire.updatedTime),
    )


def _average(wire: OrderRow, filled: Decimal) -> Decimal | None:
    """None where neither the average nor the value is named."""
    if not filled:
        return ZERO
    value = amount(wire.cumExecValue)
    return amount(wire.avgPrice) or (to_scale(value / filled) if value else None)


def _state(wire: OrderRow, filled: Decimal) -> OrderState:
    """What was cancelled for its own terms was refused (post-only), or has expired; a part of it may be filled."""
    state = _STATES.get(wire.orderStatus, OrderState.WORKING)
    if state is OrderState.REJECTED and filled:
        return OrderState.CANCELLED
    if state is OrderState.CANCELLED and wire.rejectReason == _POST_ONLY and not filled:
        return OrderState.REJECTED
    return OrderState.EXPIRED if state is OrderState.CANCELLED and wire.rejectReason in _IMMEDIATE else state


def _reason(wire: OrderRow) -> str:
    if wire.orderStatus not in _STATES:
        return f"{UNKNOWN_STATUS}{wire.orderStatus[:80]!r}"
    reason = wire.rejectReason or ""
    return "" if reason in _NO_REASON else reason[:200]


def fill(wire: ExecutionRow, listed: str, symbols: Symbols) -> Event:
    """The fee is positive where it is charged. Raises ValueError for what is no amount.

    A fee without a currency is of a perpetual, in what it settles in.
    """
    category = category_of_row(wire.category, listed, wire.orderId)
    if wire.execType in _NO_FILLS or not symbols.has(category, wire.symbol):
        return Ignored("no fill")
    return Fill(
        "",
        ID,
        symbols.of(category, wire.symbol),
        wire.orderLinkId or "",
        wire.orderId,
        wire.execId,
        _SIDES[wire.side],
        amount(wire.execPrice),
        amount(wire.execQty),
        amount(wire.execFee),
        wire.feeCurrency or symbols.settle(category, wire.symbol),
        Liquidity.MAKER if wire.isMaker else Liquidity.TAKER,
        microseconds(wire.execTime),
        symbols.name(category, wire.symbol),
    )


def odd_execution(wire: ExecutionRow, time: Microseconds) -> ExchangeStatus | None:
    """The status for an execution of a type that is not known; None for any other."""
    if wire.execType in _FILLS | _NO_FILLS:
        return None
    return unknown(ID, f"execution of {wire.symbol[:80]}: type {wire.execType[:80]!r} is not known", time)
