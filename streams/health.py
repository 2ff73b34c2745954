"""exchange.status, orders.events → exchange.health: on every change, and every few seconds.

``exchange.status`` has one partition, so one worker at a time publishes health. It builds its state from the records of
the last 24 hours, which restores the channels and the uptime exactly, and continues from there. ``orders.events`` has
several partitions, so every worker reads all of them without a group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import aclosing

from aiokafka import TopicPartition

from neuroflux.domain import ExchangeHealth, ExchangeStatus, OrderEvent
from neuroflux.engine.health.state import Health
from neuroflux.engine.health.uptime import DAY
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import HEALTH, STATUS
from neuroflux.runtime.settings import Settings

TOPICS = (STATUS,)
TICK_SECONDS = 1.0
PLACE = TopicPartition(STATUS.name, 0)


class HealthStream:
    """Publishes health while this worker ``holds`` the partition of ``exchange.status``."""

    def __init__(
        self, settings: Settings, codec: Codec, publisher: Publisher, holds: Callable[[], bool], now: Callable[[], int]
    ) -> None:
        self._settings, self._codec, self._publisher = settings, codec, publisher
        self._holds, self._now = holds, now
        self._health = Health()
        self._next = -1
        self._reading = asyncio.Lock()

    async def take(self, batch: list[Entry]) -> None:
        """Take status records; records missing before them were another worker's, and are read first."""
        async with self._reading:
            if self._next < 0 or batch[0].offset > self._next:
                await self._read()
            for entry in batch:
                if entry.offset >= self._next:
                    self._next = entry.offset + 1
                    self._publish(self._taken(entry))

    def order_changed(self, entry: Entry) -> None:
        """Take an event of an order; ignored while older status records are being read."""
        if isinstance(entry.record, OrderEvent) and not self._reading.locked():
            changed = self._health.order_changed(entry.record, entry.timestamp)
            if self._holds():
                self._publish(changed)

    async def tick(self) -> None:
        """Publish changes by time alone, until cancelled."""
        while True:
            await asyncio.sleep(TICK_SECONDS)
            if not self._holds():
                continue
            async with self._reading:
                if self._next < 0:
                    await self._read()
                self._publish(self._health.tick(self._now()))

    def _taken(self, entry: Entry) -> Iterable[ExchangeHealth]:
        if not isinstance(entry.record, ExchangeStatus):
            return ()
        return self._health.status_changed(entry.record, entry.timestamp)

    def _publish(self, changed: Iterable[ExchangeHealth]) -> None:
        for one in changed:
            self._publisher.publish(HEALTH, one)

    async def _read(self) -> None:
        """Rebuild the state from Kafka, up to the end of the log."""
        self._health = Health()
        async with Reader(self._settings, self._codec, TOPICS, start="beginning") as reader:
            await reader.seek_to_time(STATUS, self._now() - DAY)
            async with aclosing(reader.batches()) as batches:
                async for batch in batches:
                    for entry in batch:
                        self._taken(entry)
                    if await reader.caught_up():
                        break
            self._next = await reader.consumer.position(PLACE)
