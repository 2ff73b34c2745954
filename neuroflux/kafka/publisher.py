"""Writes records to Kafka without waiting for each: records published while a batch is in flight form the next one."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from types import TracebackType
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from neuroflux.errors import NeuroFluxError, Unreachable
from neuroflux.kafka.clients import CLOSE_SECONDS, failure, or_unreachable, security, stopped
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Headers
from neuroflux.records.places import Place
from neuroflux.records.topics import Topic
from neuroflux.runtime.settings import Settings

BATCH_BYTES = 256 * 1024
BUFFER_RECORDS = 100_000
"""How many records may wait to be sent before ``drain`` makes the caller wait."""


@lru_cache(maxsize=16_384)
def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key by murmur2, as in the Java client and aiokafka."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


class _Lane:
    """The queue of one partition: full builders, and the one that is being filled.

    One batch is in flight at a time, and records published meanwhile form the next: at low load nothing waits, at high
    load batches grow automatically.
    """

    def __init__(self, publisher: Publisher, topic: str, partition: int) -> None:
        self._publisher = publisher
        self._topic, self._partition = topic, partition
        self._waiting: deque[tuple[Any, int]] = deque()
        self._builder: Any = None
        self._count = 0
        self.published = self.delivered = 0
        self._filled = asyncio.Event()
        self.task = asyncio.get_running_loop().create_task(self._send(), name=f"send-{topic}-{partition}")

    def append(self, at: int | None, key: bytes | None, value: bytes, headers: list[tuple[str, bytes]]) -> None:
        if self._builder is None:
            self._builder = self._publisher.builder()
        if self._builder.append(timestamp=at, key=key, value=value, headers=headers) is None:
            self._waiting.append((self._builder, self._count))
            self._builder, self._count = self._publisher.builder(), 0
            self._builder.append(timestamp=at, key=key, value=value, headers=headers)
        self._count += 1
        self.published += 1
        self._filled.set()

    async def _send(self) -> None:
        while True:
            await self._filled.wait()
            builder, count = self._take()
            try:
                await (await self._publisher.producer.send_batch(builder, self._topic, partition=self._partition))
            except KafkaError as error:
                self._publisher.failed(failure(error, f"{self._topic}-{self._partition}"))
                return
            self.delivered += count
            self._publisher.sent(count)

    def _take(self) -> tuple[Any, int]:
        if self._waiting:
            taken = self._waiting.popleft()
        else:
            taken = (self._builder, self._count)
            self._builder, self._count = None, 0
        if not self._waiting and self._builder is None:
            self._filled.clear()
        return taken


class Publisher:
    """Writes records; an async context manager that flushes on exit without an error.

    ``publish`` buffers and returns at once. A delivery that failed for good is raised by the next call of any method,
    as Unreachable, so that no loss goes unnoticed.
    """

    def __init__(self, settings: Settings, codec: Codec, client_id: str = "neuroflux") -> None:
        self._settings, self.codec, self._client_id = settings, codec, client_id
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._pending = 0
        self._progress = asyncio.Event()
        self._failure: NeuroFluxError | None = None

    async def __aenter__(self) -> Publisher:
        self.producer = AIOKafkaProducer(
            bootstrap_servers=self._settings.kafka,
            **security(self._settings),
            client_id=self._client_id,
            acks="all",
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            max_request_size=8 << 20,
        )
        await or_unreachable(self.producer.start(), self._settings.kafka, self.producer.stop)
        self.builder = self.producer.create_batch
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                await self._flush_in_time()
        finally:
            for lane in self._lanes.values():
                lane.task.cancel()
            if not await stopped(self.producer.stop()):
                self.producer._sender.sender_task.cancel()
                await self.producer.client.close()

    async def _flush_in_time(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.flush()
        except TimeoutError:
            raise Unreachable(f"Kafka at {self._settings.kafka} did not accept {self._pending} records") from None

    def publish(self, topic: Topic, record: Any, *, partition: int | None = None) -> None:
        """Buffer one record; call ``drain`` between frames."""
        self.publish_raw(topic, topic.key(record).encode(), self.codec.encode(topic, record), partition=partition)

    def publish_raw(
        self,
        topic: Topic,
        key: bytes | None,
        value: bytes,
        headers: Headers = (),
        *,
        partition: int | None = None,
        at: int | None = None,
    ) -> None:
        """Buffer bytes unchanged, such as a dead letter; ``at`` is the timestamp in milliseconds, if not now."""
        self._raise_failure()
        if partition is None:
            partition = partition_of(key or b"", topic.partitions)
        lane = self._lanes.get((topic.name, partition))
        if lane is None:
            lane = self._lanes[(topic.name, partition)] = _Lane(self, topic.name, partition)
        self._pending += 1
        lane.append(at, key, value, list(headers))

    async def write(self, topic: Topic, record: Any, *, partition: int | None = None) -> Place:
        """Write one record and wait until every in-sync replica has it; it is written once even if it is resent."""
        self._raise_failure()
        key = topic.key(record).encode()
        if partition is None:
            partition = partition_of(key, topic.partitions)
        value = self.codec.encode(topic, record)
        try:
            stored = await self.producer.send_and_wait(topic.name, value, key=key, partition=partition)
        except KafkaError as error:
            raise failure(error, f"Kafka did not accept a record of {topic.name}") from error
        return Place(stored.partition, stored.offset)

    async def write_all(self, records: Sequence[tuple[Topic, Any]]) -> None:
        """Write several records like ``write``, without waiting between them; their order is kept."""
        self._raise_failure()
        encoded = [(topic, topic.key(one).encode(), self.codec.encode(topic, one)) for topic, one in records]
        try:
            sent = [
                await self.producer.send(topic.name, value, key=key, partition=partition_of(key, topic.partitions))
                for topic, key, value in encoded
            ]
            for one in sent:
                await one
        except KafkaError as error:
            raise failure(error, "Kafka did not accept a record") from error

    @property
    def waiting(self) -> int:
        """The number of records that were published and are not acknowledged yet."""
        return self._pending

    async def drain(self) -> None:
        """Return when at most ``BUFFER_RECORDS`` records are waiting."""
        self._raise_failure()
        while self._pending > BUFFER_RECORDS:
            await self._taken()

    async def flush(self) -> None:
        """Return when Kafka has everything published before this call; later records are not waited for."""
        self._raise_failure()
        ends = [(lane, lane.published) for lane in self._lanes.values() if lane.delivered < lane.published]
        while any(lane.delivered < end for lane, end in ends):
            await self._taken()

    async def _taken(self) -> None:
        """Return when Kafka has accepted another batch."""
        self._progress.clear()
        await self._progress.wait()
        self._raise_failure()

    def sent(self, count: int) -> None:
        self._pending -= count
        self._progress.set()

    def failed(self, error: NeuroFluxError) -> None:
        self._failure = error
        self._progress.set()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
