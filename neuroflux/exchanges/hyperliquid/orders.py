"""Hyperliquid's orders and fills, from the socket or over REST, to ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Fill, Liquidity, OrderReport, OrderState, OrderType, StatusKind
from neuroflux.exchanges.hyperliquid.messages import SIDES, OrderUpdate, WireFill, WireOrder, kind_of, rows_of
from neuroflux.exchanges.hyperliquid.socket import ID
from neuroflux.exchanges.hyperliquid.tokens import fee_asset

_OPEN: Final = frozenset({"open", "triggered", "waitingForTrigger", "waitingForFill"})
_CANCELLED: Final = ("canceled", "cancelled", "cancel")
_REJECTED: Final = ("rejected", "reject")
_ORDER: Final = Decoder(WireOrder)
_UPDATE: Final = Decoder(OrderUpdate)
_FILL: Final = Decoder(WireFill)
_LIST: Final = Decoder(list[Raw])
_ITS_OWN: Final = re.compile(rb"liquidat|deleverag|settlement", re.IGNORECASE)
"""In ``dir``: the exchange itself traded for the account."""

PAGE_ROWS: Final = 2000
"""Most fills of one answer to ``userFillsByTime``, the oldest first."""

PAGE_BYTES: Final = PAGE_ROWS * 50
"""No answer of so many fills is shorter."""

Symbols = Mapping[str, str]
"""The symbol of each coin; a coin that is not among them keeps its name."""


class Records(Struct, frozen=True):
    """What a list brought: the readable rows, the faults of the others, and where its next page begins (ms).

    ``acted`` reports fills that the exchange itself traded for the account.
    """

    events: list[OrderReport | Fill]
    faults: list[str]
    unknown: list[str] = []
    next_start: int | None = None
    acted: list[ExchangeStatus] = []


def state_of(status: str, filled: Decimal) -> OrderState | None:
    """Our state for one of Hyperliquid's, of which there are dozens; the end of the name decides.

    ``iocCancelRejected`` is a rejection: nothing matched. A ``…Rejected`` order that did trade has expired instead.
    None for a status that does not determine the state.
    """
    if status in _OPEN:
        return _standing(filled)
    if status == "filled":
        return OrderState.FILLED
    if status.lower().endswith(_REJECTED):
        return OrderState.EXPIRED if filled else OrderState.REJECTED
    if status.lower().endswith("expired"):
        return OrderState.EXPIRED
    return OrderState.CANCELLED if status.lower().endswith(_CANCELLED) else None


def _standing(filled: Decimal) -> OrderState:
    return OrderState.WORKING if filled else OrderState.ACKNOWLEDGED


def is_known(status: str) -> bool:
    """Whether this status of an order determines its state."""
    return state_of(status, Decimal(0)) is not None


def report_of(order: WireOrder, status: str, milliseconds: int, symbols: Symbols) -> OrderReport:
    """``sz`` is what remains. What the fills cost is not reported here: ``average_price`` is None once there are any.

    An order with an unknown status counts as open; ``reason`` has the exchange's own text.
    """
    quantity = Decimal(order.origSz or order.sz)
    filled = quantity if status == "filled" else max(Decimal(0), quantity - Decimal(order.sz))
    type_ = OrderType.MARKET if order.orderType.endswith("Market") else OrderType.LIMIT
    return OrderReport(
        exchange=ID,
        symbol=symbols.get(order.coin, order.coin),
        client_order_id=order.cloid or "",
        exchange_order_id=str(order.oid),
        side=SIDES[order.side],
        type=type_,
        price=Decimal(0) if type_ is OrderType.MARKET else Decimal(order.limitPx),
        quantity=quantity,
        filled_quantity=filled,
        average_price=None if filled else Decimal(0),
        state=state_of(status, filled) or _standing(filled),
        reason="" if status in ("open", "filled") else status[:120],
        event_time=milliseconds * 1000,
    )


def fill_of(fill: WireFill, symbols: Symbols) -> Fill:
    """Where ``tid`` is missing or 0, the order and the position before the fill identify it."""
    symbol = symbols.get(fill.coin, fill.coin)
    return Fill(
        order_id="",
        exchange=ID,
        symbol=symbol,
        client_order_id=fill.cloid or "",
        exchange_order_id=str(fill.oid),
        trade_id=str(fill.tid) if fill.tid else f"{fill.oid}/{fill.startPosition}",
        side=SIDES[fill.side],
        price=Decimal(fill.px),
        quantity=Decimal(fill.sz),
        fee=Decimal(fill.fee),
        fee_asset=fee_asset(fill.feeToken, symbol),
        liquidity=Liquidity.TAKER if fill.crossed else Liquidity.MAKER,
        event_time=fill.time * 1000,
        name=fill.coin,
    )


def updates_of(rows: Iterable[Raw], symbols: Symbols) -> Records:
    """Read orders with their statuses."""
    updates, faults = rows_of(rows, _UPDATE, "order")
    reports = [report_of(one.order, one.status, one.statusTimestamp, symbols) for one in updates]
    unknown = [
        f"status {one.status[:80]!r} of order {one.order.oid} ({one.order.coin})"
        for one in updates
        if not is_known(one.status)
    ]
    return Records([*reports], faults, unknown)


def fills_of(rows: Sequence[Raw], symbols: Symbols) -> Records:
    """Read fills, which may repeat earlier ones."""
    fills, faults = rows_of(rows, _FILL, "fill")
    last = max((one.time for one in fills), default=None) if len(rows) >= PAGE_ROWS else None
    acted = [_acted(one, symbols) for one in fills if _ITS_OWN.search(bytes(one.dir))]
    return Records([fill_of(one, symbols) for one in fills], faults, next_start=last, acted=acted)


def _acted(fill: WireFill, symbols: Symbols) -> ExchangeStatus:
    what = bytes(fill.dir).decode()[:80].strip('"')
    detail = f"{what}: {fill.sz} {fill.coin} at {fill.px}"
    symbol = symbols.get(fill.coin, fill.coin)
    return ExchangeStatus(ID, "account", StatusKind.MARGIN, 0.0, detail, fill.time * 1000, symbol)


def records_of(body: bytes | str, symbols: Symbols) -> Records | None:
    """Read a list of open orders, of past orders or of fills; None for what is none of them, or is empty.

    Raises ``UNREADABLE`` for what is no JSON.
    """
    match kind_of(body):
        case "frontendOpenOrders":
            orders, faults = rows_of(_LIST.decode(body), _ORDER, "order")
            return Records([report_of(order, "open", order.timestamp, symbols) for order in orders], faults)
        case "historicalOrders":
            return updates_of(_LIST.decode(body), symbols)
        case "userFills":
            return fills_of(_LIST.decode(body), symbols)
    return None
