"""The newest signals, with the records in their ``causes``. Blocking; use from a thread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from neuroflux.cli.audit.reading import Name, SignalRecords
from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import ArbitrageSignal, BookSnapshot, Cause, Level, Quote
from neuroflux.records.topics import BOOKS, QUOTES
from neuroflux.runtime.settings import Settings

RECOMPUTED: Final = 100
"""The number of newest signals to recompute."""
SETTLED_SECONDS: Final = 5
"""The records of a signal older than this are stored: all arrive within a second or two."""
Place = tuple[int, int]
T = TypeVar("T", bound=Struct)
_TIMES: Final = ("event_time", "received_time", "expires_at")
_SIGNAL: Final = ArbitrageSignal.__struct_fields__
_PLACED: Final = ("exchange", "symbol", "market")
_STAMPED: Final = ("sequence", "event_time", "received_time")
_BOOK: Final = (*_PLACED, "bids", "asks", *_STAMPED)
_QUOTE: Final = (*_PLACED, "bid_price", "bid_size", "ask_price", "ask_size", *_STAMPED)
_LEVEL: Final = Level.__struct_fields__
_NESTED: Final = {"causes": Cause.__struct_fields__, "bids": _LEVEL, "asks": _LEVEL}


def recent_signals(settings: Settings) -> list[SignalRecords]:
    """The newest signals of the last hour."""
    database = ClickHouse(settings)
    try:
        signals = _signals(database)
        books = _books(database, _places(signals, BOOKS.name))
        quotes = _quotes(database, _places(signals, QUOTES.name))
    finally:
        database.close()
    return [_joined(one, books, quotes) for one in signals]


def _signals(database: ClickHouse) -> list[ArbitrageSignal]:
    rows = database.execute(
        f"SELECT {_columns(_SIGNAL)} FROM arbitrage_signals FINAL "
        f"WHERE event_time BETWEEN now64(6) - INTERVAL 1 HOUR AND now64(6) - INTERVAL {SETTLED_SECONDS} SECOND "
        f"ORDER BY event_time DESC LIMIT {RECOMPUTED}"
    )
    return [_record(_SIGNAL, row, ArbitrageSignal) for row in rows]


def _columns(names: Sequence[str]) -> str:
    return ", ".join(f"toUnixTimestamp64Micro({name})" if name in _TIMES else name for name in names)


def _record(names: Sequence[str], row: Sequence[Any], kind: type[T]) -> T:
    """A row of these columns as a record; other fields keep their defaults."""
    return msgspec.convert({name: _plain(name, value) for name, value in zip(names, row, strict=True)}, kind)


def _plain(name: str, value: Any) -> Any:
    """The value; nested records arrive as tuples and become dicts."""
    fields = _NESTED.get(name)
    return [dict(zip(fields, one, strict=True)) for one in value] if fields else value


def _places(signals: Sequence[ArbitrageSignal], topic: str) -> set[Place]:
    return {(one.partition, one.offset) for signal in signals for one in signal.causes if one.topic == topic}


def _found(database: ClickHouse, table: str, names: Sequence[str], places: set[Place]) -> list[Any]:
    if not places:
        return []
    listed = ", ".join(f"({partition}, {offset})" for partition, offset in sorted(places))
    rows: list[Any] = database.execute(
        f"SELECT _partition, _offset, {_columns(names)} FROM {table} FINAL WHERE (_partition, _offset) IN ({listed})"
    )
    return rows


def _books(database: ClickHouse, places: set[Place]) -> dict[Place, BookSnapshot[float]]:
    rows = _found(database, "books", _BOOK, places)
    return {(row[0], row[1]): _record(_BOOK, row[2:], BookSnapshot[float]) for row in rows}


def _quotes(database: ClickHouse, places: set[Place]) -> dict[Place, Quote[float]]:
    rows = _found(database, "quotes", _QUOTE, places)
    return {(row[0], row[1]): _record(_QUOTE, row[2:], Quote[float]) for row in rows}


def _joined(
    signal: ArbitrageSignal, books: dict[Place, BookSnapshot[float]], quotes: dict[Place, Quote[float]]
) -> SignalRecords:
    """A signal with its records; of several records of one instrument the newest counts."""
    own_books: dict[Name, BookSnapshot[float]] = {}
    own_quotes: dict[Name, Quote[float]] = {}
    for cause in sorted(signal.causes, key=lambda one: (one.partition, one.offset)):
        place = cause.partition, cause.offset
        if cause.topic == BOOKS.name and (book := books.get(place)):
            own_books[book.exchange, book.symbol] = book
        elif cause.topic == QUOTES.name and (quote := quotes.get(place)):
            own_quotes[quote.exchange, quote.symbol] = quote
    return SignalRecords(signal, own_books, own_quotes)
