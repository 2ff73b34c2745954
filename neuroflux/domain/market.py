"""Market data: quotes, trades, books, funding.

Market data comes in two forms of one type: ``Quote[Numeral]`` off the wire carries each number exactly as the exchange
wrote it, ``Quote[float]`` off the log carries it as a double.
"""

from __future__ import annotations

from typing import Generic

from msgspec import Struct

from neuroflux.domain.numbers import Microseconds, N
from neuroflux.domain.orders import Side


class Quote(Struct, Generic[N], frozen=True, gc=False):
    """The best bid and ask of one instrument."""

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
    """One trade on the exchange's tape; ``side`` is the aggressor's."""

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
    """A price of a book and the quantity that rests there."""

    price: N
    quantity: N


class BookSnapshot(Struct, Generic[N], frozen=True):
    """The best levels of a proved book at one moment, best first.

    A book that lost a side is published once more without it: it replaces the last, and nothing is traded on it.
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
        return bool(self.bids and self.asks)


class Funding(Struct, Generic[N], frozen=True, gc=False):
    """A perpetual's funding: ``rate`` is per ``interval_hours``, as a fraction (0.0001 is one basis point).

    ``interval_hours`` is None while the exchange has not said it.
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
