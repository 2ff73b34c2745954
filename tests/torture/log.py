"""The growing log of one run: the records on the order topics since the run began."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

from consumers.execution.journal import CLAIM, DONE, decoded
from neuroflux.domain import Fill, JournalEntry, OrderCommand, OrderEvent
from neuroflux.engine.orders.state import Order
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import COMMANDS, DECISIONS, EVENTS, FILLS, JOURNAL, ORDER_DEAD_LETTERS
from neuroflux.runtime.settings import Settings

TOPICS = (COMMANDS, DECISIONS, EVENTS, FILLS, JOURNAL, ORDER_DEAD_LETTERS)


class RunLog:
    """An async context manager; ``moved`` is notified with every batch."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._reader = Reader(settings, codec, TOPICS, start="end")
        self._reading: asyncio.Task[None]
        self._claims: dict[int, int] = {}
        self.moved = asyncio.Condition()
        self.commands: list[OrderCommand] = []
        self.events: list[OrderEvent] = []
        self.fills: list[Fill] = []
        self.journal: dict[str, tuple[Order, bool]] = {}
        self.dead: set[str] = set()
        self.written: set[tuple[str, int, int]] = set()

    async def __aenter__(self) -> RunLog:
        await self._reader.__aenter__()
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *error: object) -> None:
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        await self._reader.__aexit__(None, None, None)

    async def _read(self) -> None:
        async with aclosing(self._reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    self._take(entry)
                async with self.moved:
                    self.moved.notify_all()

    def _take(self, entry: Entry) -> None:
        if entry.topic is JOURNAL:
            self._journalled(entry.partition, entry.offset, entry.record)
            return
        if entry.topic is ORDER_DEAD_LETTERS:
            self.dead.add(entry.key)
            return
        if entry.topic.table:
            self.written.add((entry.topic.name, entry.partition, entry.offset))
        match entry.record:
            case OrderCommand() as command:
                self.commands.append(command)
            case OrderEvent() as event:
                self.events.append(event)
            case Fill() as fill:
                self.fills.append(fill)

    def _journalled(self, partition: int, offset: int, entry: JournalEntry) -> None:
        """Whether it counts: not if written under an older generation than the last claim."""
        if entry.kind == CLAIM:
            self._claims[partition] = offset
        elif entry.generation >= self._claims.get(partition, -1):
            self.journal[entry.order_id] = (decoded(entry.body).order, entry.kind == DONE)
