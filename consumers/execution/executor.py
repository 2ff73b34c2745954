"""The executor: claims partitions of the commands, restores their orders, and gives the partitions back."""

from __future__ import annotations

import logging
from functools import partial

from aiokafka import TopicPartition
from msgspec import Struct

from consumers.execution.alarms import Alarms
from consumers.execution.commands import Commands
from consumers.execution.decider import Decider
from consumers.execution.decisions import Decisions
from consumers.execution.gateway import Gateway
from consumers.execution.journal import Journal, Published, Saved
from consumers.execution.letters import write_dead_letter
from consumers.execution.leverage import Leverages
from consumers.execution.lists import Lists
from consumers.execution.matching import Matching
from consumers.execution.orders import Orders
from consumers.execution.outbox import missing_records
from consumers.execution.partitions import Partitions, Tasks
from consumers.execution.probe import is_due, probe
from consumers.execution.runner import Shell
from consumers.execution.runners import Runners
from consumers.execution.view import Views
from neuroflux.domain import ControlCommand
from neuroflux.engine.orders.inputs import CancelRequested
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import EVENTS, FILLS, STATUS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings

log = logging.getLogger(__name__)


class Parts(Struct, frozen=True, kw_only=True):
    """What an executor is built from."""

    settings: Settings
    codec: Codec
    publisher: Publisher
    journal: Journal
    views: Views
    gateway: Gateway
    decider: Decider
    leverages: Leverages
    alarms: Alarms


class Executor:
    """Owns the orders of the partitions that it has claimed. ``at_work`` is true after the first assignment.

    ``failed`` raises an error after which the stage can't continue: Kafka is lost, or another executor has claimed our
    partitions.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts, self._partitions, self._tasks = parts, Partitions(), Tasks()
        self.at_work = False
        self.failed = self._tasks.failed
        self.orders = Orders(parts.views)
        self.decisions = Decisions(parts.views, parts.decider, parts.leverages, self.orders.current)
        # Fills of any order: they are matched like the streams'.
        self._lists = Lists(parts.gateway, lambda fill: self.matching.take(fill))
        shell = Shell(
            journal=parts.journal,
            gateway=parts.gateway,
            publisher=parts.publisher,
            decisions=self.decisions,
            lists=self._lists,
        )
        self._runners = Runners(shell, parts.codec, self.orders, self._tasks)
        self.matching = Matching(parts.journal, self._partitions, self.orders, self._runners, self._tasks)
        self.commands = Commands(
            parts.publisher, parts.journal, self.decisions, self._runners, self._partitions, self._tasks
        )
        parts.views.on_halt, parts.views.on_account = self._runners.halt, self.matching.take
        parts.views.on_malformed, parts.views.on_probe = self._malformed_control, self._probe

    # ── partitions ───────────────────────────────────────────────────────────────────────────────────────────────

    async def assigned(self, _: Reader, partitions: set[TopicPartition]) -> None:
        """Claim each partition, then restore the orders of its journal."""
        journal, restored = self._parts.journal, list[Saved]()
        for one in partitions:
            await journal.claim(one.partition)
            restored += journal.restorable(one.partition)
        missing = await missing_records(self._parts.settings, self._parts.codec, restored)
        for kept in restored:
            self._restore(kept, missing[kept.order.id])
        for one in partitions:
            self.orders.ended += journal.naked(one.partition)
            self._partitions.add(one.partition)
        self.at_work = True
        log.info("claimed partitions %s with %d open orders", sorted(self._partitions.ours), len(restored))

    def _restore(self, kept: Saved, missing: list[Published]) -> None:
        runner = self._runners.restore(kept.order, missing)
        if halt := self.decisions.halt_of(kept.order):
            runner.enqueue(CancelRequested(halt))

    async def revoked(self, reader: Reader, partitions: set[TopicPartition]) -> None:
        """Let pending requests end, commit, and forget the partitions."""
        numbers = {one.partition for one in partitions}
        await self._runners.leave(numbers)
        if partitions:
            await self.commit(reader)
        await self._tasks.cancel(numbers)
        for one in partitions:
            self.commands.offsets.forget(one)
            self._parts.journal.release(one.partition)
            self._partitions.remove(one.partition)

    async def close(self) -> None:
        """Stop everything at once; the journal has its state."""
        await self._tasks.cancel_all()
        self._lists.close()

    async def commit(self, reader: Reader) -> None:
        """Commit the offsets of the commands that need not be read again."""
        await reader.commit(self.commands.offsets.committable())

    # ── regular work ─────────────────────────────────────────────────────────────────────────────────────────────

    async def check_orders(self) -> None:
        """Take orders off exchanges that fail, publish alarms, and publish the fills of none of our orders."""
        publisher = self._parts.publisher
        self._runners.check_all()
        for event in self._parts.alarms.new(self.orders.current(), wall()):
            log.warning("order %s: %s", event.order_id, event.reason)
            await publisher.write(EVENTS, event)
        for fill in self.matching.others():
            if self._is_first:
                await publisher.write(FILLS, fill)

    @property
    def _is_first(self) -> bool:
        """Whether this is the one executor, that of partition 0, which does what all of them could do."""
        return 0 in self._partitions.ours

    def _malformed_control(self, entry: Entry, reason: str) -> None:
        if self._is_first:
            self._tasks.spawn(write_dead_letter(self._parts.publisher, entry, reason), 0)

    def _probe(self, control: ControlCommand) -> None:
        if self._is_first and is_due(control):
            publish = partial(self._parts.publisher.publish, STATUS)
            self._tasks.spawn(probe(self._parts.gateway, control, publish), 0)
