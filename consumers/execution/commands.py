"""Order commands: each begins an order, cancels one, or becomes a dead letter."""

from __future__ import annotations

import asyncio
import logging
from decimal import Decimal

from aiokafka import TopicPartition
from msgspec.structs import replace

from consumers.execution.commits import Offsets
from consumers.execution.decisions import Decisions
from consumers.execution.journal import Journal
from consumers.execution.letters import write_dead_letter
from consumers.execution.partitions import STOPPING, Partitions, Tasks
from consumers.execution.runner import Runner
from consumers.execution.runners import Runners
from neuroflux.domain import CommandKind, OrderCommand, OrderEvent, OrderState
from neuroflux.engine.orders.effects import Publish
from neuroflux.engine.orders.events import order_event
from neuroflux.engine.orders.inputs import CancelRequested, Decided
from neuroflux.engine.orders.machine import received, step
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.command_bounds import MAX_WHY, order_id_fault, size_fault
from neuroflux.errors import Forbidden
from neuroflux.kafka.publisher import Publisher
from neuroflux.records.entries import Entry
from neuroflux.records.topics import COMMANDS, EVENTS
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

AT_ONCE = 1_000
"""Commands that may have begun without being in the journal yet."""
ID_USED = "another command has this order_id, which was used for an order before"


class Commands:
    """``offsets`` are those of the commands that need not be read again."""

    def __init__(
        self,
        publisher: Publisher,
        journal: Journal,
        decisions: Decisions,
        runners: Runners,
        partitions: Partitions,
        tasks: Tasks,
    ) -> None:
        self.offsets = Offsets()
        self._publisher, self._journal, self._decisions = publisher, journal, decisions
        self._runners, self._partitions, self._tasks = runners, partitions, tasks
        self._starting: dict[str, tuple[asyncio.Event, OrderCommand]] = {}
        self._room = asyncio.Event()

    async def take(self, entry: Entry) -> None:
        """Begin a command; returns at once while fewer than ``AT_ONCE`` are begun."""
        self.offsets.begun(_place(entry), entry.offset)
        self._tasks.spawn(self._handle(entry), entry.partition)
        while self.offsets.waiting >= AT_ONCE:
            self._room.clear()
            await self._room.wait()

    async def _handle(self, entry: Entry) -> None:
        """Carry out a command; one that raises becomes a dead letter, and the others continue."""
        await self._partitions.claimed(entry.partition)  # Kafka's client returns records before assigning has ended
        try:
            await self._carry_out(entry)
        except STOPPING:
            raise
        except Exception as error:
            log.exception("command %s@%s failed", entry.partition, entry.offset)
            await self._turn_away(entry, f"fault: {error!r}")
        self.offsets.done(_place(entry), entry.offset)
        self._room.set()

    async def _carry_out(self, entry: Entry) -> None:
        command = entry.record
        if fault := entry.error or order_id_fault(command.order_id) or size_fault(command):
            await self._turn_away(entry, fault)
        elif command.kind is CommandKind.CANCEL:
            await self._cancel(entry)
        else:
            await self._begin(entry)

    async def _turn_away(self, entry: Entry, reason: str) -> None:
        """Write a dead letter, and an event with the reason unless the id is that of another order."""
        await write_dead_letter(self._publisher, entry, reason)
        command = entry.record
        if command is None or order_id_fault(command.order_id) or self._is_known(command.order_id):
            return
        bounded = replace(command, market="") if size_fault(command) else command
        await self._publisher.write(EVENTS, _refused(bounded, reason[:MAX_WHY]))

    def _is_known(self, order_id: str) -> bool:
        return order_id in self._starting or self._journal.partition_of(order_id) is not None

    # ── new orders ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _begin(self, entry: Entry) -> None:
        """Begin an order; returns when it is in the journal."""
        command = entry.record
        if self._is_known(command.order_id):
            await self._again(entry)
            return
        begun = asyncio.Event()
        self._starting[command.order_id] = (begun, command)
        try:
            runner = await self._decide(entry)
            begun.set()
            await runner.receipt.wait()
        finally:
            begun.set()
            del self._starting[command.order_id]
        if runner.failure is not None and not runner.is_journalled:
            raise runner.failure

    async def _decide(self, entry: Entry) -> Runner:
        command = entry.record
        first = received(command, entry.cause, wall())
        cancelled = self._journal.forestalled(command.order_id)
        routed = await self._decisions.decide(command, entry.timestamp, cancelled)
        second = step(first.order, Decided(routed.decision, routed.legs), wall())
        return self._runners.follow(second.order, first.effects + second.effects)

    async def _again(self, entry: Entry) -> None:
        """An order_id that was used before: the same command again changes nothing, any other is not carried out.

        That one becomes a dead letter, and an event of the order that has the id reports it, with that order's state
        as it is: neither sender may take the other's order, or the other's refusal, for its own.
        """
        command = entry.record
        begun, first = self._starting.get(command.order_id, (None, None))
        if begun is not None:
            await begun.wait()
        last = self._journal.last(command.order_id)
        first = last.order.command if last is not None else first
        if first is not None and _same(first, command):
            log.info("order %s was taken before", command.order_id)
            return
        await write_dead_letter(self._publisher, entry, ID_USED)
        if last is not None:
            await self._publisher.write(EVENTS, order_event(last.order, wall(), f"not this order's: {ID_USED}"))

    # ── cancels ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _cancel(self, entry: Entry) -> None:
        """Cancel an order; returns when the cancel is in the journal, or an event reports why nothing is cancelled."""
        command = entry.record
        if command.order_id in self._starting:
            await self._starting[command.order_id][0].wait()
        cancel = CancelRequested(f"cancelled by {command.issued_by}" if command.issued_by else "cancelled")
        while (runner := await self._runners.follower(command.order_id)) is not None:
            if await runner.settle(cancel):
                return
        partition, last = self._journal.partition_of(command.order_id), self._journal.last(command.order_id)
        if last is not None and last.order.state.final:
            await self._publish_too_late(last.order, cancel)
        elif partition is None:
            await self._journal.forestall(entry.partition, command.order_id, cancel.why)
            await self._publisher.write(EVENTS, _nothing_to_cancel(command))
        elif partition not in self._partitions.ours:
            await self._hand_over(command, partition)
        elif last is not None:  # it was set aside
            await self._runners.restore(last.order, []).settle(cancel)
        else:
            await self._publisher.write(EVENTS, _nothing_to_cancel(command, "its entry in the journal can't be read"))

    async def _publish_too_late(self, ended: Order, cancel: CancelRequested) -> None:
        for effect in step(ended, cancel, wall()).effects:
            if isinstance(effect, Publish):
                await self._publisher.write(EVENTS, effect.record)

    async def _hand_over(self, command: OrderCommand, partition: int) -> None:
        """Write the cancel to its order's partition, if that is allowed: its sender uses another partitioner."""
        try:
            await self._publisher.write(COMMANDS, command, partition=partition)
        except Forbidden as error:
            why = f"it was sent to another partition than its order's, {partition}: {error}"
            await self._publisher.write(EVENTS, _nothing_to_cancel(command, why))


def _place(entry: Entry) -> TopicPartition:
    return TopicPartition(entry.topic.name, entry.partition)


def _nothing_to_cancel(command: OrderCommand, why: str = "no order of this id is known") -> OrderEvent:
    return _refused(command, f"nothing to cancel: {why}")


def _refused(command: OrderCommand, reason: str) -> OrderEvent:
    """The event of a command that became no order."""
    state, zero = OrderState.REFUSED, Decimal(0)
    where = ("", command.market, "", "")
    return OrderEvent(command.order_id, state, *where, command.side, zero, zero, zero, (), reason, wall())


def _same(first: OrderCommand, second: OrderCommand) -> bool:
    """Whether two commands are the same; a sender that retries may set a new time."""
    return replace(first, issued_at=0) == replace(second, issued_at=0)
