"""Coinbase's orders and fills to ours: pushed, listed, or answered one by one."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Fill, Liquidity, Microseconds, OrderReport, OrderState, OrderType, to_scale
from neuroflux.exchanges.coinbase.messages import (
    ID,
    ZERO,
    Configuration,
    PushedOrder,
    RestFill,
    RestOrder,
    Terms,
    amount,
    microseconds,
    quote_of,
    side_of,
)
from neuroflux.exchanges.kit.rows import Rows

Symbols = Mapping[str, str]
"""Our symbols by the exchange's names; a name that is missing stays as it is."""
UNKNOWN_STATUS: Final = "unknown status"
"""Begins the reason of a report whose status is in no list."""

_STATES: Final = {
    "PENDING": OrderState.ACKNOWLEDGED,
    "QUEUED": OrderState.ACKNOWLEDGED,
    "OPEN": OrderState.ACKNOWLEDGED,
    "EDIT_QUEUED": OrderState.ACKNOWLEDGED,
    "CANCEL_QUEUED": OrderState.ACKNOWLEDGED,
    "FILLED": OrderState.FILLED,
    "CANCELLED": OrderState.CANCELLED,
    "EXPIRED": OrderState.EXPIRED,
    "FAILED": OrderState.REJECTED,
}


class _Orders(Struct, frozen=True):
    orders: list[Raw]


class _Order(Struct, frozen=True):
    order: Raw


class _Fills(Struct, frozen=True):
    fills: list[Raw]


_ORDERS: Final = Decoder(_Orders)
_ONE: Final = Decoder(_Order)
_FILLS: Final = Decoder(_Fills)
_ORDER: Final = Decoder(RestOrder)
_FILL: Final = Decoder(RestFill)


def orders_in(body: bytes) -> Rows[RestOrder]:
    """The rows of a list. Raises ``UNREADABLE`` for what is none."""
    return Rows(_ORDERS.decode(body).orders, _order)


def fills_in(body: bytes) -> Rows[RestFill]:
    """The rows of a list. Raises ``UNREADABLE`` for what is none."""
    return Rows(_FILLS.decode(body).fills, _fill)


def order_in(body: bytes) -> RestOrder:
    """Raises ``UNREADABLE``."""
    return _order(_ONE.decode(body).order)


def _order(row: Raw) -> RestOrder:
    """Raises ``UNREADABLE``, also for an amount that no record has room for."""
    wire = _ORDER.decode(row)
    _amounts(wire)
    return wire


def _fill(row: Raw) -> RestFill:
    """Raises ``UNREADABLE``, also for what is no fill: a reversal or a correction of one has to be looked into."""
    wire = _FILL.decode(row)
    if wire.trade_type != "FILL":
        raise ValueError(f"a {wire.trade_type[:40]} of the order {wire.order_id[:40]}, which is not followed")
    if amount(wire.price) <= 0 or amount(wire.size) <= 0:
        raise ValueError(f"a fill of nothing: {wire.size:.40} at {wire.price:.40}")
    amount(wire.commission)
    return wire


def terms_of(configuration: Configuration | None) -> tuple[OrderType, Terms]:
    """The only terms that an order has."""
    found = ((kind, terms) for kind, terms in (configuration or {}).items() if terms is not None)
    kind, terms = next(found, ("", Terms()))
    return OrderType.MARKET if kind.startswith("market") else OrderType.LIMIT, terms


def state_of(status: str, filled: Decimal) -> OrderState:
    """A status that is in no list may be one of an open order."""
    state = _STATES.get(status, OrderState.ACKNOWLEDGED)
    return OrderState.WORKING if state is OrderState.ACKNOWLEDGED and filled else state


def _reason(status: str, *given: str | None) -> str:
    if status not in _STATES:
        return f"{UNKNOWN_STATUS} {status[:80]!r}"
    if status in ("OPEN", "FILLED"):
        return ""
    return next((text[:200] for text in given if text and not text.endswith("UNSPECIFIED")), "")


def _amounts(wire: RestOrder) -> tuple[Decimal, Decimal, Decimal, Decimal]:
    """Price, size, what is filled and at what. One that is sized by money has the size that it has got so far."""
    _, terms = terms_of(wire.order_configuration)
    filled = amount(wire.filled_size)
    size = amount(terms.base_size) or filled
    return amount(terms.limit_price), size, filled, amount(wire.average_filled_price)


def report_of(wire: RestOrder, symbols: Symbols) -> OrderReport:
    price, size, filled, average = _amounts(wire)
    return OrderReport(
        ID,
        symbols.get(wire.product_id, wire.product_id),
        wire.client_order_id,
        wire.order_id,
        side_of(wire.side),
        terms_of(wire.order_configuration)[0],
        price,
        size,
        filled,
        (average or None) if filled else ZERO,
        state_of(wire.status, filled),
        _reason(wire.status, wire.reject_message, wire.reject_reason, wire.cancel_message),
        microseconds(wire.last_fill_time or wire.created_time),
    )


def pushed_report(wire: PushedOrder, size: Decimal, time: Microseconds, symbols: Symbols) -> OrderReport:
    """``size`` is the order's, which its end no longer names. Raises ``UNREADABLE``."""
    filled, average = amount(wire.cumulative_quantity), amount(wire.avg_price)
    return OrderReport(
        ID,
        symbols.get(wire.product_id, wire.product_id),
        wire.client_order_id,
        wire.order_id,
        side_of(wire.order_side),
        OrderType.MARKET if wire.order_type.upper() == "MARKET" else OrderType.LIMIT,
        amount(wire.limit_price),
        size,
        filled,
        (average or None) if filled else ZERO,
        state_of(wire.status, filled),
        _reason(wire.status, wire.reject_reason, wire.cancel_reason),
        time,
    )


def fill_of(wire: RestFill, symbols: Symbols) -> Fill:
    """The fee is charged in the quote; of a rebate it is below 0."""
    price, size = amount(wire.price), amount(wire.size)
    return Fill(
        "",
        ID,
        symbols.get(wire.product_id, wire.product_id),
        "",
        wire.order_id,
        wire.trade_id,
        side_of(wire.side),
        price,
        to_scale(size / price) if wire.size_in_quote else size,
        amount(wire.commission),
        quote_of(wire.product_id),
        Liquidity.MAKER if wire.liquidity_indicator == "MAKER" else Liquidity.TAKER,
        microseconds(wire.trade_time),
        name=wire.product_id,
    )
