"""Every topic that has a table, to ClickHouse, each record exactly once.

A batch is one insert a table, and an insert is one block: there whole or not at all. So the greatest stored offset of
a partition tells all that is stored of it. It is asked for when a partition is assigned, and again when nobody knows
whether an insert arrived; what is stored already is passed over. Offsets are committed after the inserts, and a kill
in between costs nothing but a second read.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from contextlib import aclosing
from functools import partial
from itertools import groupby
from operator import attrgetter
from typing import TypeVar

from aiokafka import TopicPartition
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from neuroflux.clickhouse import ClickHouse
from neuroflux.codec import Codec
from neuroflux.dead_letters import dead_letter
from neuroflux.entries import Entry
from neuroflux.errors import Refused, Transient
from neuroflux.kafka import Publisher, Reader, load_codec
from neuroflux.settings import Settings
from neuroflux.stack.notify import ready
from neuroflux.tables import STORED
from neuroflux.topics import BY_NAME, COMMANDS, CONTROL, Topic

GROUP = "warehouse"
BATCH_ROWS = 50_000
BATCH_SECONDS = 1.0
_READ_BY_OTHERS = frozenset({COMMANDS.name, CONTROL.name})
"""Topics whose dead letters the execution writes: what can't be read is written down once."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Warehouse:
    """Gathers records and stores them; ``stored`` is the greatest offset in ClickHouse, a partition."""

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self._database = ClickHouse(settings)
        self._publisher = publisher
        self._stored: dict[TopicPartition, int] = {}
        self._gathered: dict[str, list[Entry]] = {}
        self._refused: list[tuple[Entry, str]] = []
        self._next: dict[TopicPartition, int] = {}
        self._rows = 0
        self._since = 0.0
        self._storing = asyncio.Lock()
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            before_sleep=before_sleep_log(log, logging.WARNING),
        )

    async def open(self) -> None:
        """Make the tables; waits for ClickHouse."""
        await self._patiently(self._database.migrate)

    async def close(self) -> None:
        await asyncio.to_thread(self._database.close)

    async def assigned(self, reader: Reader, partitions: set[TopicPartition]) -> None:
        """Go on behind what is stored, also where that was never committed. Records come meanwhile; storing them waits
        for the answers.
        """
        async with self._storing:
            for name in {partition.topic for partition in partitions}:
                await self._ask_what_is_stored(BY_NAME[name])
        for partition in partitions:
            stored = self._stored.get(partition)
            if stored is not None and await reader.consumer.position(partition) <= stored:
                reader.consumer.seek(partition, stored + 1)

    async def revoked(self, _: Reader, __: set[TopicPartition]) -> None:
        """Finish the insert that is under way before another writer asks what is stored; forget the rest."""
        async with self._storing:
            self._forget()

    def take(self, entries: list[Entry]) -> None:
        for (topic, partition), run in groupby(entries, attrgetter("topic", "partition")):
            self._take(topic, TopicPartition(topic.name, partition), list(run))
        if entries and not self._since:
            self._since = time.monotonic()

    def _take(self, topic: Topic, place: TopicPartition, entries: list[Entry]) -> None:
        stored = self._stored.get(place, -1)
        fresh = [entry for entry in entries if not entry.error and entry.offset > stored]
        if topic.name not in _READ_BY_OTHERS:
            for entry in entries:
                if entry.error:
                    dead_letter(self._publisher, entry, entry.error)
        if fresh:
            self._gathered.setdefault(topic.name, []).extend(fresh)
        self._rows += len(fresh)
        self._next[place] = entries[-1].offset + 1

    def due(self) -> bool:
        return bool(self._next) and (self._rows >= BATCH_ROWS or time.monotonic() - self._since >= BATCH_SECONDS)

    async def store(self, reader: Reader) -> None:
        """Insert what was gathered, then commit."""
        async with self._storing:
            for name, entries in self._gathered.items():
                await self._patiently(partial(self._insert, BY_NAME[name], entries))
            for entry, why in self._refused:
                dead_letter(self._publisher, entry, why)
            self._refused.clear()
            await self._publisher.flush()
            if self._next:
                await reader.commit(self._next)
            self._forget()

    def _forget(self) -> None:
        self._gathered, self._next, self._rows, self._since = {}, {}, 0, 0.0

    def _insert(self, topic: Topic, entries: list[Entry]) -> None:
        partitions = {entry.partition for entry in entries}
        stored = {number: self._stored.get(TopicPartition(topic.name, number), -1) for number in partitions}
        fresh = [entry for entry in entries if entry.offset > stored[entry.partition]]
        if not fresh:
            return
        self._insert_or_split(topic, fresh)
        self._note(topic, {entry.partition: entry.offset for entry in fresh})

    def _insert_or_split(self, topic: Topic, entries: list[Entry]) -> None:
        """Where ClickHouse refuses a batch, halve it until the record is found that it can't take: that one is kept."""
        try:
            self._database.insert(topic, entries)
        except Transient:
            self._note(topic, self._database.newest(topic))  # nobody knows whether it arrived: ClickHouse does
            raise
        except Refused as error:
            if len(entries) == 1:
                self._refused.append((entries[0], str(error)))
                return
            half = len(entries) // 2
            self._insert_or_split(topic, entries[:half])
            self._insert_or_split(topic, entries[half:])

    async def _ask_what_is_stored(self, topic: Topic) -> None:
        self._note(topic, await self._patiently(partial(self._database.newest, topic)))

    def _note(self, topic: Topic, newest: dict[int, int]) -> None:
        for partition, offset in newest.items():
            self._stored[TopicPartition(topic.name, partition)] = offset

    async def _patiently(self, work: Callable[[], T]) -> T:
        """Do blocking work; while ClickHouse is away, wait for it and read nothing: Kafka keeps what comes."""
        return await self._retrying(_in_thread, work)


async def _in_thread(work: Callable[[], T]) -> T:
    """Do blocking work; when cancelled meanwhile, wait for its end: the connection is its alone."""
    doing = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


async def main(settings: Settings) -> None:
    """Run until cancelled; what was gathered and not stored is read again by whoever comes next."""
    codec = await load_codec(settings)
    async with Publisher(settings, codec, client_id=GROUP) as publisher:
        warehouse = Warehouse(settings, publisher)
        await warehouse.open()
        try:
            async with reading(settings, codec, warehouse, STORED, GROUP) as reader:
                await _store_all(reader, warehouse)
        finally:
            await warehouse.close()


def reading(settings: Settings, codec: Codec, warehouse: Warehouse, topics: Sequence[Topic], group: str) -> Reader:
    """The reader of what the warehouse is to store."""
    assigned, revoked = warehouse.assigned, warehouse.revoked
    return Reader(settings, codec, topics, group=group, on_assign=assigned, on_revoke=revoked, unhurried=True)


async def _store_all(reader: Reader, warehouse: Warehouse) -> None:
    ready()
    async with aclosing(reader.batches(max_records=10_000)) as batches:
        async for batch in batches:
            warehouse.take(batch)
            if warehouse.due():
                await warehouse.store(reader)
