"""Market data: quotes, trades, books, funding.

Each type has two forms: in a ``Quote[Numeral]``, as decoded from the exchange, each number is the exchange's own text;
in a ``Quote[float]``, as read from Kafka, it is a double. Prices are in the quote asset, quantities in wire units (see
``Instrument``). ``event_time`` is the exchange's, ``received_time`` is when the frame was read here.
"""

from __future__ import annotations

from typing import Generic

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds, N
from neuroflux.domain.orders import Side


class Quote(Struct, Generic[N], frozen=True, gc=False):
    """The best bid and ask of one instrument; ``sequence`` is the exchange's number of this state of the book.

    ``Quote("binance", "BTC/USDT", "BTC/USD", 65_000.0, 1.5, 65_000.1, 0.7, 42, event_time, received_time)``
    """

    exchange: str
    symbol: str
    market: str
    bid_price: N
    bid_size: N
    ask_price: N
    ask_size: N
    sequence: int
    event_time: Microseconds
    received_time: Microseconds


class Trade(Struct, Generic[N], frozen=True, gc=False):
    """One public trade of the exchange; ``side`` is the aggressor's."""

    exchange: str
    symbol: str
    market: str
    trade_id: str
    side: Side
    price: N
    quantity: N
    event_time: Microseconds
    received_time: Microseconds


class Level(Struct, Generic[N], frozen=True, gc=False):
    """One price level of a book: the price and the quantity that rests there."""

    price: N
    quantity: N


class BookSnapshot(Struct, Generic[N], frozen=True):
    """The best levels of a verified book at one moment, best first.

    When one side becomes empty, the book is published once more without it: that replaces the last snapshot, and no
    order is routed by it.
    """

    exchange: str
    symbol: str
    market: str
    bids: tuple[Level[N], ...]
    asks: tuple[Level[N], ...]
    sequence: int
    event_time: Microseconds
    received_time: Microseconds

    @property
    def has_both_sides(self) -> bool:
        """Whether neither side is empty."""
        return bool(self.bids and self.asks)


class Funding(Struct, Generic[N], frozen=True, gc=False):
    """A perpetual's funding: ``rate`` is a fraction per ``interval_hours`` (0.0001 is one basis point).

    ``interval_hours`` is None until the exchange has reported it.
    """

    exchange: str
    symbol: str
    market: str
    rate: N
    interval_hours: int | None
    mark_price: N
    index_price: N
    next_funding_time: Microseconds
    event_time: Microseconds
