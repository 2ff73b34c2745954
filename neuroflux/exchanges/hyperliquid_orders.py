"""How Hyperliquid's orders and fills, off the socket or over REST, become ours."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec.json import Decoder

from neuroflux.domain import Fill, Liquidity, OrderReport, OrderState, OrderType
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.hyperliquid_messages import SIDES, OrderUpdate, WireFill, WireOrder, kind_of
from neuroflux.exchanges.hyperliquid_socket import ID

_OPEN: Final = frozenset({"open", "triggered", "waitingForTrigger", "waitingForFill"})
_OPEN_ORDERS: Final = Decoder(list[WireOrder])
_UPDATES: Final = Decoder(list[OrderUpdate])
_FILLS: Final = Decoder(list[WireFill])

Symbols = Mapping[str, str]
"""The symbol of each coin; a coin that is not among them keeps its name."""


def state_of(status: str, filled: Decimal) -> OrderState:
    """Our state for one of Hyperliquid's, of which there are dozens; the ends of their names tell.

    ``iocCancelRejected`` is a rejection: nothing matched. A ``…Rejected`` order that did trade has expired instead.
    Raises MalformedFrame for a status that tells nothing.
    """
    if status in _OPEN:
        return OrderState.WORKING if filled else OrderState.ACKNOWLEDGED
    if status == "filled":
        return OrderState.FILLED
    if status.lower().endswith("rejected"):
        return OrderState.EXPIRED if filled else OrderState.REJECTED
    if status.lower().endswith(("canceled", "scheduledcancel")):
        return OrderState.CANCELLED
    raise MalformedFrame(f"unknown status of an order: {status[:80]!r}")


def report_of(order: WireOrder, status: str, milliseconds: int, symbols: Symbols) -> OrderReport:
    """``sz`` is what remains. What the fills cost is not told here: ``average_price`` stays 0."""
    quantity = Decimal(order.origSz or order.sz)
    filled = quantity if status == "filled" else max(Decimal(0), quantity - Decimal(order.sz))
    type_ = OrderType.MARKET if order.orderType.endswith("Market") else OrderType.LIMIT
    state = state_of(status, filled)
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
        average_price=Decimal(0),
        state=state,
        reason="" if status in ("open", "filled") else status,
        event_time=milliseconds * 1000,
    )


def fill_of(fill: WireFill, symbols: Symbols) -> Fill:
    """Where ``tid`` is missing or 0, the order and the position before the fill tell one fill from the next."""
    return Fill(
        order_id="",
        exchange=ID,
        symbol=symbols.get(fill.coin, fill.coin),
        client_order_id=fill.cloid or "",
        exchange_order_id=str(fill.oid),
        trade_id=str(fill.tid) if fill.tid else f"{fill.oid}/{fill.startPosition}",
        side=SIDES[fill.side],
        price=Decimal(fill.px),
        quantity=Decimal(fill.sz),
        fee=Decimal(fill.fee),
        fee_asset=fill.feeToken,
        liquidity=Liquidity.TAKER if fill.crossed else Liquidity.MAKER,
        event_time=fill.time * 1000,
    )


def records_of(body: bytes | str, symbols: Symbols) -> list[OrderReport | Fill] | None:
    """Read a list of open orders, of past orders or of fills; None for what is none of them, or is empty.

    Raises ``UNREADABLE`` for a broken one and MalformedFrame for a status that tells nothing.
    """
    match kind_of(body):
        case "frontendOpenOrders":
            return [report_of(order, "open", order.timestamp, symbols) for order in _OPEN_ORDERS.decode(body)]
        case "historicalOrders":
            return [report_of(one.order, one.status, one.statusTimestamp, symbols) for one in _UPDATES.decode(body)]
        case "userFills":
            return [fill_of(fill, symbols) for fill in _FILLS.decode(body)]
    return None
