"""``neuroflux run``: runs the whole pipeline in the foreground, and prints a summary at the end."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections import Counter
from contextlib import aclosing
from statistics import quantiles
from typing import Any

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from neuroflux.cli import live_view
from neuroflux.clickhouse.client import ClickHouse
from neuroflux.clickhouse.tables import STORED
from neuroflux.domain import OrderEvent
from neuroflux.errors import Unreachable
from neuroflux.kafka.admin import extents
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.places import Extent
from neuroflux.records.topics import ALL, BOOKS, EVENTS, QUOTES, SIGNALS, TRADES
from neuroflux.runtime.settings import Settings
from neuroflux.sim.paper import liquidity
from neuroflux.stack.plan import Venue
from neuroflux.stack.supervise.supervisor import Stack, infrastructure, stages

CATCH_UP_SECONDS = 30.0
"""Seconds to wait, at the end, for the warehouse to store the rest of the log."""

TICKS = (QUOTES, TRADES, BOOKS)
Log = dict[str, dict[int, Extent]]


class Summary(Struct, frozen=True):
    """The content of the log and of ClickHouse at the end of a run.

    ``records`` is by topic, ``rows`` by table for the same part of the log, ``equal``: whether they agree (compacted
    topics may have more rows). ``ticks`` are the rows of market data by exchange and table, ``orders`` are by state.
    Latencies are p50 and p99 in milliseconds: from a frame to its signal on Kafka, and from a command to the end of its
    order.
    """

    seconds: float
    records: dict[str, int]
    rows: dict[str, int]
    equal: bool
    ticks: dict[str, dict[str, int]]
    signals: int
    orders: dict[str, int]
    latencies_ms: dict[str, dict[str, float]]


async def run(settings: Settings, *, seconds: float, seed: int, as_json: bool, venue: Venue = Venue.SIMULATED) -> None:
    """Start everything, show it, stop it; ``seconds`` of 0: run until Ctrl-C or SIGTERM."""
    stop = stop_requested()
    if venue is not Venue.SIMULATED:
        settings = of_paper(settings)
    stack = Stack(settings, services=infrastructure(settings) + stages(settings, seed=seed, venue=venue))
    starting = asyncio.create_task(stack.start(progress))
    if not await finished_before(starting, stop):
        return
    began = time.monotonic()
    try:
        await _show(settings, stack, stop, seconds, is_live=sys.stdout.isatty() and not as_json)
        if seconds:
            _print(await summary_of(settings, time.monotonic() - began), as_json=as_json)
    finally:
        await stack.stop()


def of_paper(settings: Settings) -> Settings:
    """If no markets are set, use those of the paper exchanges, not the thousands that a real exchange lists."""
    return settings if settings.markets else settings.model_copy(update={"markets": liquidity.markets()})


def stop_requested() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")


async def finished_before(work: asyncio.Task[None], stop: asyncio.Event) -> bool:
    """Whether the work was done before the stop; else it is cancelled, which stops what it had started."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not work.done():
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        return False
    work.result()
    return True


async def _show(settings: Settings, stack: Stack, stop: asyncio.Event, seconds: float, *, is_live: bool) -> None:
    """Run until the time is over or a stop is requested; raises the error that ends the stack before that."""
    shown = asyncio.create_task(live_view.live(settings)) if is_live else None
    if shown is None:
        progress("everything answers; press Ctrl-C to stop")
    try:
        async with asyncio.timeout(seconds or None):
            await stack.run_until(stop)
    except TimeoutError:
        return
    finally:
        if shown is not None:
            shown.cancel()
            await asyncio.gather(shown, return_exceptions=True)


# ── the summary ──────────────────────────────────────────────────────────────────────────────────────────────────


class Counts(Struct, frozen=True):
    """``log`` is what was counted: records by topic, and rows by table once the warehouse has caught up."""

    log: Log
    records: dict[str, int]
    rows: dict[str, int]

    @property
    def equal(self) -> bool:
        """Whether the tables agree with their topics."""
        return all(self.rows[topic.table] == self.records[topic.name] for topic in STORED)


async def counted(settings: Settings) -> Counts:
    """Count the log as it is now, and its rows."""
    log = await extents(settings, ALL)
    records = {name: sum(one.end - one.start for one in parts.values()) for name, parts in log.items()}
    return Counts(log, records, await asyncio.to_thread(_stored, settings, log))


async def summary_of(settings: Settings, seconds: float) -> Summary:
    counts = await counted(settings)
    ticks = await asyncio.to_thread(_ticks, settings, counts.log)
    found = await _events(settings)
    latencies = {"frame_to_signal": _percentiles(found.signal_ms), "command_to_end": _percentiles(found.order_ms)}
    states = Counter(str(state) for state in found.states.values())
    signals = counts.records[SIGNALS.name]
    stored = counts.records, counts.rows, counts.equal
    return Summary(round(seconds, 1), *stored, ticks, signals, dict(states), latencies)


def _ticks(settings: Settings, log: Log) -> dict[str, dict[str, int]]:
    """Rows of market data by exchange and table."""
    database = ClickHouse(settings)
    try:
        found = {topic.table: database.rows_by_exchange(topic, log[topic.name]) for topic in TICKS}
    finally:
        database.close()
    exchanges = sorted(set().union(*found.values()))
    return {one: {table: rows.get(one, 0) for table, rows in found.items()} for one in exchanges}


def _stored(settings: Settings, log: Log) -> dict[str, int]:
    """Rows by table once the warehouse has stored the log, or as they are after ``CATCH_UP_SECONDS``."""
    database = ClickHouse(settings)
    deadline = time.monotonic() + CATCH_UP_SECONDS
    try:
        while True:
            rows = {topic.table: database.rows(topic, log[topic.name]) for topic in STORED}
            missing = any(
                rows[topic.table] < sum(one.end - one.start for one in log[topic.name].values()) for topic in STORED
            )
            if not missing or time.monotonic() > deadline:
                return rows
            time.sleep(0.2)
    except Unreachable as error:
        raise Unreachable(f"the rows can't be counted: {error}") from error
    finally:
        database.close()


class _OrderFigures(Struct):
    """Latencies from signals and order events, and the newest state of each order."""

    signal_ms: list[float]
    order_ms: list[float]
    states: dict[str, Any]


async def _events(settings: Settings) -> _OrderFigures:
    found, began = _OrderFigures([], [], {}), dict[str, int]()
    async with Reader(settings, await load_codec(settings), (SIGNALS, EVENTS), start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    if entry.topic is SIGNALS and not entry.error:
                        found.signal_ms.append((entry.timestamp - entry.record.event_time) / 1000)
                    elif isinstance(entry.record, OrderEvent):
                        _add(found, began, entry.record)
                if await reader.caught_up():
                    return found
    return found


def _add(found: _OrderFigures, began: dict[str, int], event: OrderEvent) -> None:
    if event.client_order_id:
        return  # belongs to a leg
    found.states[event.order_id] = event.state
    began.setdefault(event.order_id, event.event_time)
    if event.state.final:
        found.order_ms.append((event.event_time - began[event.order_id]) / 1000)


def _percentiles(values: list[float]) -> dict[str, float]:
    if len(values) < 2:
        return {"p50": values[0], "p99": values[0]} if values else {}
    cuts = quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2)}


def _print(summary: Summary, *, as_json: bool) -> None:
    console = Console()
    if as_json:
        console.out(msgspec.json.encode(summary).decode(), highlight=False)
        return
    table = Table("topic", "records", "rows", box=None)
    for topic in ALL:
        rows = summary.rows.get(topic.table, "")
        table.add_row(topic.name, str(summary.records[topic.name]), str(rows))
    console.print(table)
    for exchange, rows_of in summary.ticks.items():
        console.print(f"{exchange}: {', '.join(f'{count} {table}' for table, count in rows_of.items())}")
    console.print(f"{summary.seconds} s, {summary.signals} signals, orders {summary.orders or 'none'}")
    for name, figures in summary.latencies_ms.items():
        console.print(f"{name} {figures or 'none'} ms")
