"""Writes every topic that has a table to ClickHouse, each record exactly once.

A batch is one insert per table, and an insert is one block, stored as a whole or not at all. So the greatest stored
offset of a partition shows what is stored of it. It is queried when a partition is assigned, and when it is unknown
whether an insert arrived; records up to it are skipped. Offsets are committed after the inserts, so a kill in between
costs only a second read.

Records are sent to ClickHouse as received, and ClickHouse decodes them. Only records of another schema, and those that
ClickHouse refuses, are decoded here. While one batch is being stored, the next is collected.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from aiokafka import TopicPartition
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.clickhouse.tables import STORED
from neuroflux.errors import Refused, Transient, Unreachable, UsageError
from neuroflux.kafka.decoder import Decoder
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Fetched, Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import Codec
from neuroflux.records.dead_letters import dead_letter
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BY_NAME, COMMANDS, CONTROL, Topic
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import Settings

GROUP = "warehouse"
BATCH_ROWS = 50_000
MOST_ROWS = 2 * BATCH_ROWS
"""The most rows to collect while a batch is being stored."""
BATCH_SECONDS = 1.0
_READ_BY_OTHERS = frozenset({COMMANDS.name, CONTROL.name})
"""Topics whose dead letters the execution stage writes: an unreadable record gets one dead letter."""

T = TypeVar("T")
log = logging.getLogger(__name__)


class Warehouse:
    """Collects records and stores them; ``_stored`` is the greatest offset in ClickHouse, by partition.

    A row is a record as aiokafka fetched it, with a value in our schema.
    """

    def __init__(self, settings: Settings, publisher: Publisher) -> None:
        self._database = ClickHouse(settings)
        self._publisher, self._codec = publisher, publisher.codec
        self._decoder = Decoder(settings, publisher.codec)
        self._stored: dict[TopicPartition, int] = {}
        self._collected: dict[str, list[Any]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._revocations = 0
        self._rows = 0
        self._since = 0.0
        self._storing = asyncio.Lock()
        self._retrying = AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            wait=wait_random_exponential(multiplier=0.2, max=5),
            before_sleep=before_sleep_log(log, logging.WARNING),
        )

    async def open(self) -> None:
        """Create the tables; waits for ClickHouse."""
        await self._retry(self._database.migrate)

    async def close(self) -> None:
        await asyncio.to_thread(self._database.close)

    async def assigned(self, reader: Reader, partitions: set[TopicPartition]) -> None:
        """Continue after what is stored, also if it was never committed. Records may arrive meanwhile; they are stored
        after the answers.
        """
        async with self._storing:
            for name in {partition.topic for partition in partitions}:
                await self._query_stored(BY_NAME[name])
        for partition in partitions:
            stored = self._stored.get(partition)
            if stored is not None and await reader.consumer.position(partition) <= stored:
                reader.consumer.seek(partition, stored + 1)

    async def revoked(self, _: Reader, __: set[TopicPartition]) -> None:
        """Finish the current insert before another writer queries what is stored; drop the rest."""
        async with self._storing:
            self._drop()
            self._revocations += 1

    async def take(self, fetched: Fetched) -> None:
        for place, messages in fetched.items():
            await self._take(BY_NAME[place.topic], place, messages)
        if fetched and not self._since:
            self._since = time.monotonic()

    async def _take(self, topic: Topic, place: TopicPartition, messages: Sequence[Any]) -> None:
        rows, ours = messages, self._codec.header(topic)
        if not all((message.value or b"").startswith(ours) for message in messages):
            revocations = self._revocations
            rows = await self._in_our_schema(topic, messages)
            if self._revocations != revocations:
                return  # the new owner of the partition reads them
        self._collected.setdefault(topic.name, []).extend(rows)
        self._rows += len(rows)
        self._next[place] = messages[-1].offset + 1

    async def _in_our_schema(self, topic: Topic, messages: Sequence[Any]) -> Sequence[Any]:
        """The messages encoded in our schema; one that can't be decoded or encoded becomes a dead letter."""
        rows = []
        for message, entry in zip(messages, await self._decoder.entries(messages), strict=True):
            try:
                if entry.error:
                    self._dead_letter(entry)
                else:
                    rows.append(replace(message, value=self._codec.encode(topic, entry.record)))
            except UsageError as error:
                dead_letter(self._publisher, entry, str(error))
        return rows

    def _dead_letter(self, unreadable: Entry) -> None:
        if unreadable.topic.name not in _READ_BY_OTHERS:
            dead_letter(self._publisher, unreadable, unreadable.error)

    def due(self) -> bool:
        return bool(self._next) and (self._rows >= BATCH_ROWS or time.monotonic() - self._since >= BATCH_SECONDS)

    def full(self) -> bool:
        return self._rows >= MOST_ROWS

    async def store(self, reader: Reader) -> None:
        """Insert what was collected, then commit."""
        async with self._storing:
            collected, following = self._collected, self._next
            self._drop()
            for name, rows in collected.items():
                await self._insert(BY_NAME[name], rows)
            await self._publisher.flush()
            await reader.commit(following)

    def _drop(self) -> None:
        self._collected, self._next, self._rows, self._since = {}, {}, 0, 0.0

    async def _insert(self, topic: Topic, rows: Sequence[Any]) -> None:
        if not rows:
            return
        try:
            await self._retry(partial(self._insert_fresh, topic, rows))
        except Refused as error:
            await self._insert_around(topic, rows, str(error))

    def _insert_fresh(self, topic: Topic, rows: Sequence[Any]) -> None:
        partitions = {row.partition for row in rows}
        stored = {number: self._stored.get(TopicPartition(topic.name, number), -1) for number in partitions}
        fresh = [row for row in rows if row.offset > stored[row.partition]]
        if not fresh:
            return
        try:
            self._database.insert(topic, fresh)
        except Transient:
            self._set_stored(topic, self._database.newest(topic))  # it is unknown whether it arrived: ask ClickHouse
            raise
        except Refused:
            self._insert_empty(topic)
            raise
        self._set_stored(topic, {row.partition: row.offset for row in fresh})

    def _insert_empty(self, topic: Topic) -> None:
        """Insert no rows: if even this is refused, no record is at fault but a missing table or right, so wait and
        retry.
        """
        try:
            self._database.insert(topic, ())
        except Refused as error:
            raise Unreachable(f"{topic.table} accepts no insert: {error}") from error

    async def _insert_around(self, topic: Topic, rows: Sequence[Any], why: str) -> None:
        """After a refused batch, leave out records that can't be decoded, then halve the batch until the refused record
        is found. Its dead letter is written before any later record is stored, because the greatest stored offset
        covers all records before it.
        """
        entries = [self._decoder.entry(row) for row in rows]
        readable = [row for row, entry in zip(rows, entries, strict=True) if not entry.error]
        if len(readable) < len(rows):
            for entry in entries:
                if entry.error:
                    self._dead_letter(entry)
            await self._publisher.flush()
            await self._insert(topic, readable)
        elif len(rows) == 1:
            dead_letter(self._publisher, entries[0], why)
            await self._publisher.flush()
        else:
            half = len(rows) // 2
            await self._insert(topic, rows[:half])
            await self._insert(topic, rows[half:])

    async def _query_stored(self, topic: Topic) -> None:
        self._set_stored(topic, await self._retry(partial(self._database.newest, topic)))

    def _set_stored(self, topic: Topic, newest: dict[int, int]) -> None:
        for partition, offset in newest.items():
            self._stored[TopicPartition(topic.name, partition)] = offset

    async def _retry(self, work: Callable[[], T]) -> T:
        """Do blocking work; while ClickHouse is down, wait and read nothing: Kafka stores the records."""
        return await self._retrying(_in_thread, work)


async def _in_thread(work: Callable[[], T]) -> T:
    """Do blocking work; if cancelled, wait for its end: only one thread may use the connection."""
    working = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        await asyncio.wait([working])
        raise


async def main(settings: Settings) -> None:
    """Run until cancelled; what was collected but not stored is read again by the next instance."""
    codec = await load_codec(settings)
    async with Publisher(settings, codec, client_id=GROUP) as publisher:
        warehouse = Warehouse(settings, publisher)
        await warehouse.open()
        try:
            async with reading(settings, codec, warehouse, STORED, GROUP) as reader:
                await store_all(reader, warehouse)
        finally:
            await warehouse.close()


def reading(settings: Settings, codec: Codec, warehouse: Warehouse, topics: Sequence[Topic], group: str) -> Reader:
    """The reader of the topics that the warehouse stores."""
    assigned, revoked = warehouse.assigned, warehouse.revoked
    return Reader(settings, codec, topics, group=group, on_assign=assigned, on_revoke=revoked, large_fetches=True)


async def store_all(reader: Reader, warehouse: Warehouse) -> None:
    """Run until cancelled; while a batch is being stored, the next is collected."""
    ready()
    storing: asyncio.Task[None] | None = None
    try:
        while True:
            await warehouse.take(await reader.fetch(max_records=10_000))
            if storing is not None and (storing.done() or warehouse.full()):
                await storing
                storing = None
            if storing is None and warehouse.due():
                storing = asyncio.create_task(warehouse.store(reader))
            await asyncio.sleep(0)  # records that are already fetched return without yielding to other tasks
    finally:
        if storing is not None:
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)
