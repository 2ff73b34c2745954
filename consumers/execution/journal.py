"""The journal of orders: written before anything is done, followed by every executor, and the fence between them.

An executor claims a partition with a record of its own; the claim's offset is its generation. An entry of an older
generation than the last claim before it does not count, and an executor that finds its own entry behind another's claim
is fenced: it does nothing more there. Since all follow all partitions, each knows every order.

An entry counts when everything before it is known. If Kafka acknowledges ours with the very offset that we have read up
to, there is nothing between and nothing to wait for; else it counts when it has been read.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from contextlib import aclosing

import msgspec
from msgspec import Struct

from neuroflux.domain import CommandKind, Fill, JournalEntry, Microseconds, OrderDecision, OrderEvent, OrderReport
from neuroflux.engine.orders.state import Order
from neuroflux.errors import NeuroFluxError
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.records.entries import Entry
from neuroflux.records.topics import JOURNAL
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

CLAIM, OPEN, DONE, FORESTALLED = "claim", "open", "done", "forestalled"
CLAIM_KEY = "#claim"
"""One claim a partition outlives compaction: the last. No order has this id."""
DONE_KEPT = 10_000
"""Finished orders whose state stays in memory, for late fills and cancels; the ids of all of them stay."""

LARGE = 100_000
"""Bytes from which the body of an entry is compressed: Kafka takes 1 MB, which is some 2,800 fills uncompressed."""
FORESTALLED_KEPT = 10_000
"""Cancels that arrived before their orders and are remembered."""

Published = OrderDecision | OrderEvent | Fill


class Fenced(NeuroFluxError):
    """Another executor has claimed this partition: what we hold of it is void, and the stage restarts."""


class Saved(Struct, frozen=True):
    """An order in the journal, with what this step publishes: after a crash it may be missing from the topics."""

    order: Order
    decisions: tuple[OrderDecision, ...] = ()
    events: tuple[OrderEvent, ...] = ()
    fills: tuple[Fill, ...] = ()
    event_time: Microseconds = 0

    @property
    def published(self) -> tuple[Published, ...]:
        return (*self.decisions, *self.fills, *self.events)


def saved(order: Order, published: list[Published], now: Microseconds) -> Saved:
    return Saved(
        order,
        tuple(one for one in published if isinstance(one, OrderDecision)),
        tuple(one for one in published if isinstance(one, OrderEvent)),
        tuple(one for one in published if isinstance(one, Fill)),
        now,
    )


class Journal:
    """Follows all partitions of ``orders.journal`` with ``reader`` (from the beginning) and writes to ours."""

    def __init__(self, publisher: Publisher, reader: Reader) -> None:
        self._publisher, self._reader = publisher, reader
        self._claims: dict[int, int] = {}
        self._ours: dict[int, int] = {}
        self._positions: dict[int, int] = defaultdict(int)
        self._moved: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._open: dict[str, Saved] = {}
        self._done: OrderedDict[str, bytes] = OrderedDict()
        self._forestalled: OrderedDict[str, tuple[Microseconds, str]] = OrderedDict()
        self._partitions: dict[str, int] = {}
        self._by_id: dict[tuple[str, ...], str] = {}
        self._rewrites: set[asyncio.Task[None]] = set()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def follow(self, loaded: asyncio.Event) -> None:
        """Read until cancelled; ``loaded`` is set when everything that existed at the start has been read."""
        async with aclosing(self._reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    self._take(entry)
                if not loaded.is_set() and await self._reader.caught_up():
                    for order_id, body in self._done.items():
                        self._index(_readable(order_id, body))
                    loaded.set()

    def _take(self, entry: Entry) -> None:
        if entry.offset < self._positions[entry.partition]:
            return  # ours: it counted when it was acknowledged
        self._positions[entry.partition] = entry.offset + 1
        if entry.error:
            log.error("journal %s@%s can't be read: %s", entry.partition, entry.offset, entry.error)
        elif entry.record.kind == CLAIM:
            self._claims[entry.partition] = entry.offset
        else:
            self._count(entry.partition, entry.record)
        self._moved[entry.partition].set()

    def _count(self, partition: int, entry: JournalEntry) -> None:
        if entry.generation < self._claims.get(partition, -1):
            self._void(partition, entry)
        else:
            self._keep(partition, entry)

    def _keep(self, partition: int, entry: JournalEntry) -> None:
        if entry.kind == FORESTALLED:
            self._remember(entry.order_id, entry.event_time, entry.body.decode(errors="replace"))
            return
        self._forestalled.pop(entry.order_id, None)
        self._partitions[entry.order_id] = partition
        if entry.kind == OPEN:
            kept = _readable(entry.order_id, entry.body)
            if kept is not None:
                self._open[entry.order_id] = kept
            self._index(kept)
            return
        self._open.pop(entry.order_id, None)
        self._done[entry.order_id] = entry.body
        self._done.move_to_end(entry.order_id)
        if len(self._done) > DONE_KEPT:
            order_id, body = self._done.popitem(last=False)
            kept = _readable(order_id, body)
            for key in _names(kept) if kept is not None else ():
                self._by_id.pop(key, None)

    def _remember(self, order_id: str, at: Microseconds, why: str) -> None:
        if order_id in self._partitions:
            return
        self._forestalled[order_id] = (at, why)
        if len(self._forestalled) > FORESTALLED_KEPT:
            self._forestalled.popitem(last=False)

    def _index(self, kept: Saved | None) -> None:
        if kept is not None:
            self._by_id.update(dict.fromkeys(_names(kept), kept.order.id))

    def _void(self, partition: int, stale: JournalEntry) -> None:
        """A fenced executor wrote after us. Compaction would keep its entry, so what counts is written again."""
        log.warning("a fenced executor wrote order %s", stale.order_id)
        kept = self._open.get(stale.order_id)
        body = encoded(kept) if kept else self._done.get(stale.order_id)
        if partition in self._ours and body is not None:
            kind = OPEN if kept else DONE
            task = asyncio.create_task(self._append(partition, stale.order_id, kind, body))
            self._rewrites.add(task)
            task.add_done_callback(self._rewrites.discard)

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────

    def partition_of(self, order_id: str) -> int | None:
        """The partition of an order; None for an unknown one."""
        return self._partitions.get(order_id)

    def order_of(self, report: OrderReport | Fill) -> str:
        """Our id of the order that a report or a fill is about; "" if it matches none."""
        ours = self._by_id.get((report.exchange, report.client_order_id))
        theirs = (self._by_id.get((report.exchange, name, report.exchange_order_id)) for name in names_of(report))
        return ours or next(filter(None, theirs), "")

    def last(self, order_id: str) -> Saved | None:
        """The last state of an order, if it is open or ended recently."""
        if order_id in self._open:
            return self._open[order_id]
        return _readable(order_id, self._done[order_id]) if order_id in self._done else None

    def forestalled(self, order_id: str) -> tuple[Microseconds, str]:
        """When and why an order was cancelled before it arrived; an empty reason if it was not."""
        return self._forestalled.get(order_id, (0, ""))

    def open(self) -> Iterator[Saved]:
        """Every open order of every executor."""
        return iter(self._open.values())

    def restorable(self, partition: int) -> list[Saved]:
        return [kept for kept in self._open.values() if self._partitions[kept.order.id] == partition]

    def naked(self, partition: int) -> list[tuple[Microseconds, Order]]:
        """The pairs of a partition that ended recently and were left on one leg, and when."""
        ended = [_readable(name, body) for name, body in self._done.items() if self._partitions[name] == partition]
        pairs = (kept for kept in ended if kept is not None and kept.order.command.kind is CommandKind.PAIR)
        return [(kept.event_time, kept.order) for kept in pairs if kept.order.net != 0]

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def claim(self, partition: int) -> None:
        """Make a partition ours; returns when everything before the claim has been read."""
        entry = JournalEntry(CLAIM_KEY, CLAIM, 0, b"", wall())
        place = await self._publisher.write(JOURNAL, entry, partition=partition)
        self._ours[partition] = place.offset
        await self._read_past(partition, place.offset)
        self._check_claim(partition)

    def release(self, partition: int) -> None:
        self._ours.pop(partition, None)

    async def write(self, partition: int, kept: Saved, *, done: bool = False) -> None:
        """Write a step: when this returns, it is in the log and counts. Raises Fenced."""
        self._check_claim(partition)
        await self._append(partition, kept.order.id, DONE if done else OPEN, encoded(kept))
        self._check_claim(partition)

    async def forestall(self, partition: int, order_id: str, why: str) -> None:
        """Remember a cancel that arrived before its order, also across restarts. Raises Fenced."""
        self._check_claim(partition)
        self._remember(order_id, wall(), why)
        await self._append(partition, order_id, FORESTALLED, why.encode())
        self._check_claim(partition)

    async def _append(self, partition: int, order_id: str, kind: str, body: bytes) -> None:
        generation = self._ours.get(partition, -1)
        entry = JournalEntry(order_id, kind, generation, body, wall())
        place = await self._publisher.write(JOURNAL, entry, partition=partition)
        if place.offset == self._positions[partition]:
            self._positions[partition] += 1
            self._count(partition, entry)
        await self._read_past(partition, place.offset)

    async def _read_past(self, partition: int, offset: int) -> None:
        while self._positions[partition] <= offset:
            self._moved[partition].clear()
            await self._moved[partition].wait()

    def _check_claim(self, partition: int) -> None:
        ours = self._ours.get(partition)
        if ours is None or self._claims.get(partition) != ours:
            raise Fenced(f"partition {partition} of {JOURNAL.name} is another executor's")


def names_of(report: OrderReport | Fill) -> tuple[str, ...]:
    """The names of its instrument: our symbol, and the exchange's own name, the only one of an unlisted instrument."""
    own = (report.name,) if isinstance(report, Fill) and report.name else ()
    return (report.symbol, *own)


def encoded(kept: Saved) -> bytes:
    """The body of an entry: msgpack, of a large order compressed; its fills have most of their text in common."""
    body = msgspec.msgpack.encode(kept)
    return body if len(body) < LARGE else zlib.compress(body, 1)


def decoded(body: bytes) -> Saved:
    """The body of an entry that is no claim; raises msgspec.MsgspecError or zlib.error if it is malformed."""
    is_compressed = body[:1] == b"\x78"  # zlib's first byte, with which no msgpack of ours begins
    return msgspec.msgpack.decode(zlib.decompress(body) if is_compressed else body, type=Saved)


def _readable(order_id: str, body: bytes) -> Saved | None:
    """None for another release's format; its id stays known, so that nothing is placed again."""
    try:
        return decoded(body)
    except (msgspec.MsgspecError, zlib.error):
        log.exception("order %s in the journal can't be read: it must be handled by hand", order_id)
        return None


def _names(kept: Saved) -> Iterator[tuple[str, ...]]:
    """The ids of an order: client order ids, and the exchange's, which are unique in one symbol only."""
    for attempt in kept.order.attempts:
        instrument = kept.order.legs[attempt.leg].instrument
        if attempt.client_order_id:
            yield instrument.exchange, attempt.client_order_id
        if attempt.exchange_order_id:
            yield instrument.exchange, instrument.symbol, attempt.exchange_order_id
            yield instrument.exchange, instrument.name, attempt.exchange_order_id
