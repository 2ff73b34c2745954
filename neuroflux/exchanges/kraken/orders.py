"""Kraken's orders and fills of REST to ours."""

from __future__ import annotations

from typing import Final

from msgspec import Raw
from msgspec.structs import replace

from neuroflux.domain import Fill, Liquidity, OrderReport, OrderState, OrderType
from neuroflux.exchanges.kit.rows import Rows, sane
from neuroflux.exchanges.kraken import rest
from neuroflux.exchanges.kraken.messages import ID, ZERO, RestFill, RestOrder, of_seconds, side_of, type_of
from neuroflux.exchanges.kraken.names import Pairs

UNKNOWN_STATUS: Final = "unknown status"
"""Begins the reason of a report whose status is in no list."""

STATES: Final = {
    "pending": OrderState.ACKNOWLEDGED,
    "pending_new": OrderState.ACKNOWLEDGED,
    "new": OrderState.ACKNOWLEDGED,
    "open": OrderState.ACKNOWLEDGED,
    "partially_filled": OrderState.WORKING,
    "closed": OrderState.FILLED,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "expired": OrderState.EXPIRED,
}
"""Of REST and of the socket, which have words of their own for open and filled."""


def orders_in(listed: Raw) -> Rows[RestOrder]:
    """The orders of a list. Raises ``UNREADABLE`` for what is none."""
    return rest.rows(listed, _order)


def fills_in(listed: Raw) -> Rows[RestFill]:
    """The fills of a list. Raises ``UNREADABLE`` for what is none."""
    return rest.rows(listed, _fill)


def _order(order_id: str, row: Raw) -> RestOrder:
    wire = rest.decoded_order(row)
    sane(wire.descr)
    return replace(wire, id=order_id)


def _fill(trade_id: str, row: Raw) -> RestFill:
    """Raises ``UNREADABLE``, also for a fill of nothing."""
    wire = rest.decoded_fill(row)
    if not wire.price > 0 or not wire.vol > 0:
        raise ValueError(f"a fill of nothing: {wire.vol:.40} at {wire.price:.40}")
    return replace(wire, id=trade_id)


def reason_of(status: str, *given: str | None) -> str:
    if status not in STATES:
        return f"{UNKNOWN_STATUS} {status[:80]!r}"
    return next((text[:200] for text in given if text), "")


def report_of(wire: RestOrder, pairs: Pairs) -> OrderReport:
    """A status that is in no list may be one of an open order."""
    state, kind = STATES.get(wire.status, OrderState.ACKNOWLEDGED), type_of(wire.descr.ordertype)
    is_working = state is OrderState.ACKNOWLEDGED and wire.vol_exec
    return OrderReport(
        ID,
        pairs.symbol(wire.descr.pair),
        wire.cl_ord_id or "",
        wire.id,
        side_of(wire.descr.type),
        kind,
        ZERO if kind is OrderType.MARKET else wire.descr.price,
        wire.vol,
        wire.vol_exec,
        (wire.price or None) if wire.vol_exec else ZERO,
        OrderState.WORKING if is_working else state,
        reason_of(wire.status, wire.reason),
        of_seconds(wire.closetm or wire.opentm),
    )


def fill_of(wire: RestFill, pairs: Pairs) -> Fill:
    """The fee is in the quote, as every order of ours asks for (``fciq``)."""
    return Fill(
        "",
        ID,
        pairs.symbol(wire.pair),
        "",
        wire.ordertxid,
        wire.id,
        side_of(wire.type),
        wire.price,
        wire.vol,
        wire.fee,
        pairs.quote(wire.pair),
        Liquidity.MAKER if wire.maker else Liquidity.TAKER,
        of_seconds(wire.time),
        name=pairs.key(wire.pair),
    )
