"""The validity rules for market records, checked before anything is computed from them.

Any client with write access to a topic can write invalid values. A time far ahead would make everything else look
stale, and a NaN price would spread; so an invalid record is reported and not used.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from math import isfinite
from typing import Final

from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    BookSnapshot,
    ExchangeHealth,
    Instrument,
    Level,
    Microseconds,
    Quote,
    Trade,
)

SMALLEST, LARGEST = 1e-18, 1e18
"""Bounds of valid prices and quantities; NaN and infinities are outside."""
AHEAD: Microseconds = 60_000_000
"""How far a record's time may be after the time it was written to Kafka: clocks differ by less than this."""
FEES: Final = (Decimal("-0.01"), Decimal("0.1"))
"""Bounds of valid fees; a larger rebate would attract every order."""
MOST_MULTIPLIER: Final = 1_000_000_000
MOST_DIGITS: Final = 38
"""Of a price: the precision of the Avro decimals."""
LOG_TICK: Microseconds = 1_000
"""Kafka's timestamps are in milliseconds."""


def flaw(record: Quote[float] | Trade[float] | BookSnapshot[float], written: Microseconds) -> str:
    """Why a record that was ``written`` then is invalid; empty for a valid one."""
    if not 0 < record.received_time <= written + AHEAD:
        return f"received_time {record.received_time}, but written at {written}"
    if isinstance(record, Quote):
        return _flaw_of_quote(record)
    if isinstance(record, Trade):
        sound = SMALLEST < record.price < LARGEST and SMALLEST < record.quantity < LARGEST
        return "" if sound else "price or quantity is out of range"
    return _flaw_of_book(record)


def _flaw_of_quote(quote: Quote[float]) -> str:
    sizes = SMALLEST < quote.bid_size < LARGEST and SMALLEST < quote.ask_size < LARGEST
    if sizes and SMALLEST < quote.bid_price < quote.ask_price < LARGEST:
        return ""
    crossed = sizes and SMALLEST < quote.ask_price <= quote.bid_price < LARGEST
    return "crossed" if crossed else "a price or size is out of range"


def _flaw_of_book(book: BookSnapshot[float]) -> str:
    if not book.has_both_sides:
        return "a side is empty"
    if book.bids[0].price >= book.asks[0].price:
        return "crossed"
    return _flaw_of_side(book.asks, SMALLEST, LARGEST) or _flaw_of_side(book.bids, -LARGEST, -SMALLEST)


def _flaw_of_side(levels: Sequence[Level[float]], last: float, end: float) -> str:
    """Prices must rise from ``last`` to ``end``; those of bids are negated."""
    sign = 1.0 if last > 0 else -1.0
    for level in levels:
        price = sign * level.price
        if not (last < price < end and SMALLEST < level.quantity < LARGEST):
            return "not best first, or a price or quantity is out of range"
        last = price
    return ""


def as_received(book: BookSnapshot[float], written: Microseconds) -> BookSnapshot[float]:
    """The book with a received time no later than ``written``, so that its age is never underestimated."""
    late = book.received_time - written > LOG_TICK
    return replace(book, received_time=written) if late else book


def flaw_of_price(price: AggregatedPrice, written: Microseconds) -> str:
    """Why an aggregated price is invalid; empty for a valid one."""
    if not 0 < price.event_time <= written + AHEAD:
        return f"event_time {price.event_time}, but written at {written}"
    inside = all(SMALLEST < one < LARGEST for one in (price.price, price.low, price.high))
    return "" if inside else "a price is out of range"


def flaw_of_health(health: ExchangeHealth, written: Microseconds) -> str:
    """Why a health record is invalid; empty for a valid one."""
    if not 0 < health.event_time <= written + AHEAD:
        return f"event_time {health.event_time}, but written at {written}"
    figures = (health.latency_ms, health.order_latency_ms)  # no decision uses the others, which may be unknown
    return "" if all(map(isfinite, figures)) else "a figure is not a finite number"


def flaw_of_instrument(instrument: Instrument) -> str:
    """Why an instrument's rules are invalid; empty for valid ones."""
    one = instrument
    if not 1 <= one.multiplier <= MOST_MULTIPLIER:
        return f"multiplier is {one.multiplier}"
    least, most = FEES
    if not (least <= one.taker_fee <= most and least <= one.maker_fee <= most):
        return "a fee is out of range"
    steps = (one.tick_size, one.quantity_step, one.market_quantity_step)
    if min(*steps, one.min_quantity, one.max_quantity, one.min_notional) < 0:
        return "a step or a bound is below 0"
    sound = all(0 <= digits <= MOST_DIGITS for digits in (one.price_significant_figures, one.price_decimals))
    return "" if sound else "digits of prices are out of range"
