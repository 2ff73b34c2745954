"""The data of one reading: of the pipeline, and of every exchange."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from msgspec import Struct

from neuroflux.domain import (
    AggregatedPrice,
    ArbitrageSignal,
    Balance,
    BookSnapshot,
    Fill,
    Instrument,
    Microseconds,
    Position,
    Quote,
)
from neuroflux.exchanges.kit.own_answers import OwnAccount, OwnTop

Name = tuple[str, str]
"""Exchange and symbol, or exchange and asset."""


class Leg(Struct, frozen=True):
    """The newest event of an order's attempt on an exchange, by its client order id; ``time`` is that event's."""

    exchange: str
    symbol: str
    client_order_id: str
    side: str
    state: str
    filled: Decimal
    time: Microseconds = 0


class Reported(Struct, frozen=True):
    """One reading of topics, tables and façade; ``rates`` are USD by asset.

    ``equity`` is the view's sum in USD of each exchange's newest minute, ``ranges`` the difference in USD of the
    highest and lowest price of a market in the last two minutes. ``counts`` has, by table, the records of the log, the
    number of dead letters among them, and the rows of the same extents. ``taker_fees`` are all that an instrument ever
    had. ``as_of`` is when the oldest part of each account was last reported.
    """

    instruments: Mapping[Name, Instrument]
    balances: Mapping[Name, Balance]
    positions: Mapping[Name, Position]
    books: Mapping[Name, BookSnapshot[float]]
    quotes: Mapping[Name, Quote[float]]
    prices: Mapping[str, AggregatedPrice]
    rates: Mapping[str, Decimal]
    unified: Mapping[str, Any]
    fills: Sequence[Fill]
    legs: Sequence[Leg]
    equity: Mapping[str, Decimal]
    ranges: Mapping[str, Decimal]
    counts: Mapping[str, tuple[int, int, int]]
    taker_fees: Mapping[Name, Sequence[Decimal]] = {}
    as_of: Mapping[str, Microseconds] = {}


class SignalRecords(Struct, frozen=True):
    """A signal with the records in its ``causes``: books and quotes of its instruments and conversions."""

    signal: ArbitrageSignal
    books: Mapping[Name, BookSnapshot[float]]
    quotes: Mapping[Name, Quote[float]]


class Own(Struct, frozen=True):
    """One reading of one exchange, answered by ``answered_at``; its lists of orders and fills were requested at
    ``listed_at``. Both are by our clock. Where they are not ``is_whole``, what is not listed is not known."""

    account: OwnAccount | None
    tops: Mapping[str, OwnTop]
    listed_at: Microseconds = 0
    answered_at: Microseconds = 0
    is_whole: bool = True


Exchanges = Mapping[str, Own]
