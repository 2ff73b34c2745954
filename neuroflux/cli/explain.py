"""Explanation of an order's routing: its decision, every candidate with its figures, and the ticks behind them."""

from __future__ import annotations

import re
import sys
from math import isnan
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import Allocation, Candidate, Cause
from neuroflux.errors import UsageError
from neuroflux.records.topics import BOOKS
from neuroflux.runtime.settings import Settings

_ORDER_ID = re.compile(r"[A-Za-z0-9_.:-]{1,100}")
"""The id becomes part of a query, so nothing else is accepted."""


class Tick(Struct, frozen=True):
    """The top of a book that a figure was computed from, and the position of that record in the log."""

    exchange: str
    symbol: str
    bid: float
    bid_size: float
    ask: float
    ask_size: float
    received_time: str
    partition: int
    offset: int


class Explanation(Struct, frozen=True):
    """``events`` are (time, state, exchange, symbol, filled quantity, average price, reason), oldest first."""

    order_id: str
    strategy: str
    reason: str
    decided_at: str
    chosen: list[Allocation]
    candidates: list[Candidate]
    causes: list[Cause]
    ticks: list[Tick]
    events: list[tuple[Any, ...]]


def explain(settings: Settings, order_id: str) -> Explanation:
    """Read it from ClickHouse; raises UsageError for an order without a decision."""
    if not _ORDER_ID.fullmatch(order_id):
        raise UsageError(f"{order_id!r} is not an order id")
    database = ClickHouse(settings)
    try:
        return _explanation(database, order_id)
    finally:
        database.close()


def _explanation(database: ClickHouse, order_id: str) -> Explanation:
    rows = database.execute(
        f"SELECT strategy, reason, toString(event_time), chosen, candidates, causes FROM order_decisions FINAL "
        f"WHERE order_id = '{order_id}' ORDER BY event_time LIMIT 1"
    )
    if not rows:
        raise UsageError(f"order {order_id} is not known, or was not stored yet")
    strategy, reason, decided_at, chosen, candidates, causes = rows[0]
    named = [Cause(*one) for one in causes]
    return Explanation(
        order_id,
        strategy,
        reason,
        decided_at,
        [Allocation(*one) for one in chosen],
        [Candidate(*one) for one in candidates],
        named,
        _ticks(database, named),
        _events(database, order_id),
    )


def _ticks(database: ClickHouse, causes: list[Cause]) -> list[Tick]:
    places = ", ".join(f"({one.partition}, {one.offset})" for one in causes if one.topic == BOOKS.name)
    if not places:
        return []
    rows = database.execute(
        f"SELECT exchange, symbol, bids[1].1, bids[1].2, asks[1].1, asks[1].2, toString(received_time), _partition, "
        f"_offset FROM books FINAL WHERE (_partition, _offset) IN ({places}) ORDER BY exchange, symbol"
    )
    return [Tick(*row) for row in rows]


def _events(database: ClickHouse, order_id: str) -> list[tuple[Any, ...]]:
    return list(
        database.execute(
            "SELECT toString(event_time), state, exchange, symbol, toString(filled_quantity), toString(average_price), "
            f"reason FROM order_events FINAL WHERE order_id = '{order_id}' ORDER BY _offset"
        )
    )


def print_explanation(explanation: Explanation, *, as_json: bool) -> None:
    """As one JSON object, or as tables."""
    console = Console(width=None if sys.stdout.isatty() else 200)
    if as_json:
        console.out(msgspec.json.encode(explanation).decode(), highlight=False)
        return
    console.print(
        f"{explanation.order_id}  {explanation.strategy}  {explanation.decided_at}\n{explanation.reason}\n",
        highlight=False,
    )
    _candidates(console, explanation)
    ticks = Table("tick", "bid", "size", "ask", "size", "received", "record", box=None)
    for one in explanation.ticks:
        sizes = (f"{one.bid:.8g}", f"{one.bid_size:.8g}", f"{one.ask:.8g}", f"{one.ask_size:.8g}")
        ticks.add_row(f"{one.exchange} {one.symbol}", *sizes, one.received_time, f"{one.partition}@{one.offset}")
    console.print(ticks)
    events = Table("time", "state", "exchange", "symbol", "filled", "average", "reason", box=None)
    for event in explanation.events:
        events.add_row(*(str(part) for part in event))
    console.print(events)


def _candidates(console: Console, explanation: Explanation) -> None:
    chosen = {(one.exchange, one.symbol): one.quantity.normalize() for one in explanation.chosen}
    titles = (
        "candidate",
        "takes",
        "price",
        "fee",
        "spread",
        "slippage",
        "conversion",
        "total",
        "ms",
        "health",
        "why not",
    )
    table = Table(*titles, box=None)
    for one in explanation.candidates:
        figures = (one.price, one.fee, one.spread, one.slippage, one.conversion, one.total, one.latency_ms)
        name, share = f"{one.exchange} {one.symbol}", chosen.get((one.exchange, one.symbol))
        table.add_row(name, f"{share:f}" if share else "", *map(_figure, figures), one.health, one.reason)
    console.print(table)


def _figure(figure: float) -> str:
    """The figure as text; a dash if it is not known."""
    return "–" if isnan(figure) else f"{figure:,.6g}"
