"""The executor: takes commands, runs the orders of the partitions it has claimed, and hands them their news."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Coroutine, Iterable
from decimal import Decimal
from functools import partial
from typing import Any

from aiokafka import TopicPartition
from msgspec.structs import replace

from consumers.execution.alarms import Alarms
from consumers.execution.commits import Offsets
from consumers.execution.decider import Decider, is_pair
from consumers.execution.gateway import Gateway
from consumers.execution.journal import Fenced, Journal, Saved, names_of
from consumers.execution.leverage import Leverages
from consumers.execution.outbox import missing_records
from consumers.execution.probe import is_due, probe
from consumers.execution.runner import Runner
from consumers.execution.unmatched import Strays
from consumers.execution.view import Views
from neuroflux.domain import (
    CommandKind,
    ControlCommand,
    Fill,
    Microseconds,
    OrderCommand,
    OrderEvent,
    OrderReport,
    OrderState,
)
from neuroflux.engine.orders.effects import Effect, Publish
from neuroflux.engine.orders.events import order_event
from neuroflux.engine.orders.exposure import DUST_USD, exposure
from neuroflux.engine.orders.inputs import (
    Abandoned,
    CancelRequested,
    Decided,
    FillSeen,
    Hedged,
    OrderInput,
    Reported,
    Rerouted,
)
from neuroflux.engine.orders.machine import received, step
from neuroflux.engine.orders.state import Attempt, Leg, Order
from neuroflux.engine.risk.command_bounds import MAX_WHY, order_id_fault, size_fault
from neuroflux.engine.risk.limits import EVERYWHERE, RESERVED_FOR
from neuroflux.engine.routing.strategies import refused
from neuroflux.errors import Forbidden, Unreachable
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.dead_letters import dead_letter
from neuroflux.records.entries import Entry
from neuroflux.records.topics import COMMANDS, EVENTS, FILLS, STATUS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings

log = logging.getLogger(__name__)

LEAVING_SECONDS = 6.0
"""How long requests under way may still take when a partition is given back: longer than an order's time-out."""
AT_ONCE = 1_000
"""Commands that may be begun and not yet in the journal."""
STOPPING = (Fenced, Unreachable, Forbidden)
"""What nothing can go on after; anything else that a command raises is that command's own fault."""
ID_USED = "another command has this order_id, which was used for an order before"


class Executor:
    """Owns the runners.

    ``failed`` holds what nothing can go on after: Kafka is gone, or another has claimed what we held. ``gateway``,
    ``decider``, ``leverages`` and ``alarms`` are set before the first assignment, ``at_work`` is true after it.
    """

    def __init__(self, settings: Settings, codec: Codec, publisher: Publisher, journal: Journal) -> None:
        self.publisher, self.journal = publisher, journal
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.offsets = Offsets()
        self.views = Views()
        self.views.on_halt, self.views.on_account = self._halt, self.told
        self.views.on_malformed, self.views.on_probe = self._malformed_control, self._probe
        self.gateway: Gateway
        self.decider: Decider
        self.leverages: Leverages
        self.alarms: Alarms
        self.codec = codec
        self.at_work = False
        self._settings = settings
        self._runners: dict[str, Runner] = {}
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._starting: dict[str, tuple[asyncio.Event, OrderCommand]] = {}
        self._ended: list[tuple[Microseconds, Order]] = []
        self._ours: set[int] = set()
        self._claimed: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self._strays = Strays(self._match, self._may_be_ours)
        self._room = asyncio.Event()

    # ── partitions ───────────────────────────────────────────────────────────────────────────────────────────────

    async def assigned(self, _: Reader, partitions: set[TopicPartition]) -> None:
        """Claim each partition, then take up what its journal holds."""
        restored: list[Saved] = []
        for one in partitions:
            await self.journal.claim(one.partition)
            restored += self.journal.restorable(one.partition)
        missing = await missing_records(self._settings, self.codec, restored)
        for kept in restored:
            runner = self._follow(kept.order)
            runner.restore(missing[kept.order.id])
            halt = self.halt_of(kept.order)
            if halt:
                runner.tell(CancelRequested(halt))
        for one in partitions:
            self._ended += self.journal.naked(one.partition)
            self._ours.add(one.partition)
            self._claimed[one.partition].set()
        self.at_work = True
        log.info("claimed partitions %s with %d open orders", sorted(self._ours), len(restored))

    async def revoked(self, reader: Reader, partitions: set[TopicPartition]) -> None:
        """Let what is under way end, commit, and forget the partitions."""
        numbers = {one.partition for one in partitions}
        leaving = [runner for runner in self._runners.values() if runner.order.source.partition in numbers]
        for runner in leaving:
            runner.leave()
        await _until_idle(leaving)
        if partitions:
            await self.commit(reader)
        await self._drop(numbers)
        for one in partitions:
            self.offsets.forget(one)
            self.journal.release(one.partition)
            self._ours.discard(one.partition)
            self._claimed[one.partition].clear()

    async def close(self) -> None:
        """Stop everything at once; the journal knows where it stood."""
        await self._drop(set(self._tasks.values()))

    async def _drop(self, numbers: set[int]) -> None:
        tasks = [task for task, partition in self._tasks.items() if partition in numbers]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def commit(self, reader: Reader) -> None:
        """Tell the group which commands need not be read again."""
        await reader.commit(self.offsets.committable())

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def take(self, entry: Entry) -> None:
        """Begin a command; returns at once while not too many have been begun."""
        self.offsets.begun(_place(entry), entry.offset)
        self._spawn(self._handle(entry), entry.partition)
        while self.offsets.waiting >= AT_ONCE:
            self._room.clear()
            await self._room.wait()

    async def _handle(self, entry: Entry) -> None:
        """Take a command; one that can't be taken, for whatever reason, becomes a dead letter, and the others go on."""
        await self._claimed[entry.partition].wait()  # Kafka's client hands records over before it is done assigning
        try:
            await self._carry_out(entry)
        except STOPPING:
            raise
        except Exception as error:
            log.exception("command %s@%s was not taken", entry.partition, entry.offset)
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
            await self._place(entry)

    async def _turn_away(self, entry: Entry, reason: str) -> None:
        """Keep the command as a dead letter; where its id names no other order, its sender reads the reason there."""
        await self._dead_letter(entry, reason)
        command = entry.record
        if command is None or order_id_fault(command.order_id) or self._is_known(command.order_id):
            return
        told = replace(command, market="") if size_fault(command) else command
        await self.publisher.write(EVENTS, _refused(told, reason[:MAX_WHY]))

    def _is_known(self, order_id: str) -> bool:
        return order_id in self._starting or self.journal.partition_of(order_id) is not None

    async def _place(self, entry: Entry) -> None:
        command = entry.record
        if self._is_known(command.order_id):
            await self._again(entry)
            return
        begun = asyncio.Event()
        self._starting[command.order_id] = (begun, command)
        try:
            runner = await self._begin(entry)
            begun.set()
            await runner.receipt.wait()
        finally:
            begun.set()
            del self._starting[command.order_id]
        if runner.failure is not None and not runner.is_journalled:
            raise runner.failure

    async def _again(self, entry: Entry) -> None:
        """An order_id that was used before: the same command again is nothing new, any other is not carried out.

        It becomes a dead letter, and an event of the order that has the id says so, with that order's state as it is:
        neither sender may take the other's order, or the other's refusal, for its own.
        """
        command = entry.record
        begun, first = self._starting.get(command.order_id, (None, None))
        if begun is not None:
            await begun.wait()
        last = self.journal.last(command.order_id)
        first = last.order.command if last is not None else first
        if first is not None and _same(first, command):
            log.info("order %s was taken before", command.order_id)
            return
        await self._dead_letter(entry, ID_USED)
        if last is not None:
            await self.publisher.write(EVENTS, order_event(last.order, wall(), f"not this order's: {ID_USED}"))

    async def _begin(self, entry: Entry) -> Runner:
        command = entry.record
        first = received(command, entry.cause, wall())
        fault = self._forestalled(command) or self.decider.fault(command, entry.timestamp)
        if not fault:
            await self.decider.warm(command)
        routed = refused(command, fault, wall()) if fault else self.decider.decide(command, self._ours_now())
        await self.leverages.ensure(routed.legs)
        second = step(first.order, Decided(routed.decision, routed.legs), wall())
        return self._follow(second.order, first.effects + second.effects)

    def _forestalled(self, command: OrderCommand) -> str:
        """Why an order is over before it began: its cancel came first, no longer ago than a command is carried out."""
        at, why = self.journal.forestalled(command.order_id)
        return f"cancelled: {why}, before it came" if why and not self.decider.age_fault(at) else ""

    async def _cancel(self, entry: Entry) -> None:
        command = entry.record
        if command.order_id in self._starting:
            await self._starting[command.order_id][0].wait()
        why = f"cancelled by {command.issued_by}" if command.issued_by else "cancelled"
        wish = CancelRequested(why)
        while (runner := await self._follower(command.order_id)) is not None:
            if await runner.settle(wish):
                return
        partition, last = self.journal.partition_of(command.order_id), self.journal.last(command.order_id)
        if last is not None and last.order.state.final:
            for effect in step(last.order, wish, wall()).effects:
                if isinstance(effect, Publish):
                    await self.publisher.write(EVENTS, effect.record)
        elif partition is None:
            await self.journal.forestall(entry.partition, command.order_id, why)
            await self.publisher.write(EVENTS, _nothing_to_cancel(command))
        elif partition not in self._ours:
            await self._hand_over(command, partition)
        elif last is not None:
            await self._take_up(last.order).settle(wish)
        else:
            await self.publisher.write(EVENTS, _nothing_to_cancel(command, "what the journal has of it can't be read"))

    def _take_up(self, order: Order) -> Runner:
        """Follow an order again that was set aside."""
        runner = self._follow(order)
        runner.restore([])
        return runner

    async def _hand_over(self, command: OrderCommand, partition: int) -> None:
        """Its sender splits topics differently: where we may, it is handed to where the order is kept."""
        try:
            await self.publisher.write(COMMANDS, command, partition=partition)
        except Forbidden as error:
            why = f"came to another partition than its order's, {partition}: {error}"
            await self.publisher.write(EVENTS, _nothing_to_cancel(command, why))

    async def _dead_letter(self, entry: Entry, reason: str) -> None:
        log.warning("dead letter: %s %s@%s: %s", entry.topic.name, entry.partition, entry.offset, reason)
        dead_letter(self.publisher, entry, reason)
        await self.publisher.flush()

    def _malformed_control(self, entry: Entry, reason: str) -> None:
        """Every executor reads it; the one that has the first partition writes it down, once it is at work."""
        if 0 in self._ours:
            self._spawn(self._dead_letter(entry, reason), 0)

    def _probe(self, control: ControlCommand) -> None:
        """Likewise one answers: whoever asked waits for one answer."""
        if 0 in self._ours and is_due(control):
            self._spawn(probe(self.gateway, control, partial(self.publisher.publish, STATUS)), 0)

    # ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, order: Order, effects: tuple[Effect, ...] = ()) -> Runner:
        """Give an order its runner, the only one that it has; whoever calls has looked that it has none."""
        runner = self._runners[order.id] = Runner(self, order, effects)
        self._spawn(self._until_ended(runner), order.source.partition)
        return runner

    async def _follower(self, order_id: str) -> Runner | None:
        """Who follows an order, None for nobody; one that is being set aside is waited for."""
        while (runner := self._runners.get(order_id)) is not None and runner.closed:
            await runner.gone.wait()
        return runner

    async def _until_ended(self, runner: Runner) -> None:
        try:
            await runner.run()
        except STOPPING:
            raise
        except Exception as error:
            log.exception("order %s can't be followed any more", runner.order.id)
            await self._set_aside(runner, error)
        finally:
            del self._runners[runner.order.id]
            runner.gone.set()
            if runner.is_journalled:
                self._ended.append((wall(), runner.order))

    async def _set_aside(self, runner: Runner, error: Exception) -> None:
        """End the following of an order that raises. What may stand of it is cancelled, and a person is asked to look.

        It stays open in the journal: its funds stay reserved, and the next start, a cancel or a fill takes it up again.
        """
        if runner.is_journalled:
            await runner.cancel_all()
            entry = self._entry_of(runner.order)
            await self._dead_letter(entry, f"fault: {error!r}")
            why = f"fault: {error!r}"[:MAX_WHY]
            told = order_event(runner.order, wall(), f"{why}; the order is not followed any more: look on the exchange")
            await self.publisher.write(EVENTS, told)
        runner.give_up(error)

    def _entry_of(self, order: Order) -> Entry:
        """The command of an order as it stands in the log."""
        raw = self.codec.encode(COMMANDS, order.command)
        return Entry(COMMANDS, order.source.partition, order.source.offset, order.id, order.command, raw, "", 0)

    def _spawn(self, work: Coroutine[Any, Any, None], partition: int) -> None:
        task = asyncio.create_task(work)
        self._tasks[task] = partition
        task.add_done_callback(self._task_ended)

    def _task_ended(self, task: asyncio.Task[None]) -> None:
        del self._tasks[task]
        error = None if task.cancelled() else task.exception()
        if error is not None and not self.failed.done():
            self.failed.set_exception(error)

    def _halt(self, account: str, why: str) -> None:
        for runner in self._runners.values():
            if account in (EVERYWHERE, *_exchanges(runner.order)):
                self._spawn(_settle(runner, CancelRequested(f"halted: {why}")), runner.order.source.partition)

    def _ours_now(self) -> list[Order]:
        """Our orders as they are, and those that have just ended and still count."""
        now = wall()
        last = {one.id: (at, one) for at, one in self._ended if one.id not in self._runners}
        self._ended = [(at, one) for at, one in last.values() if self._counts(at, one, now)]
        return [order for _, order in self._ended] + [runner.order for runner in self._runners.values()]

    def _counts(self, at: Microseconds, ended: Order, now: Microseconds) -> bool:
        """The balances may not show it yet; a pair that was left on one leg counts until somebody says to go on."""
        if is_pair(ended.command) and ended.net != 0 and at > self.views.resumed_at:
            return at >= now - RESERVED_FOR or exposure(ended, now).usd > DUST_USD
        return at >= now - RESERVED_FOR and not self.views.shows(ended, now)

    # ── news of orders ───────────────────────────────────────────────────────────────────────────────────────────

    def hedge(self, order: Order) -> Hedged:
        """A decision that raises is a try that found nothing: it is made again, and in the end said."""
        try:
            return self.decider.hedge(order, self._ours_now())
        except Exception as error:
            log.exception("order %s: no hedge was decided", order.id)
            return Hedged((), f"fault: {error!r}"[:MAX_WHY])

    async def redecide(self, order: Order) -> Decided:
        """The order as if it had come now: what it would have held of the account is free for it."""
        try:
            await self.decider.warm(order.command)
            without = [replace(one, legs=(), attempts=()) if one.id == order.id else one for one in self._ours_now()]
            routed = self.decider.decide(order.command, without)
            await self.leverages.ensure(_elsewhere(routed.legs, order))
        except Exception as error:
            log.exception("order %s was not decided again", order.id)
            routed = refused(order.command, f"fault: {error!r}"[:MAX_WHY], wall())
        return Decided(routed.decision, routed.legs)

    def reroute(self, order: Order) -> Rerouted:
        try:
            return self.decider.reroute(order, self._ours_now())
        except Exception as error:
            log.exception("order %s: no other way was decided", order.id)
            return Rerouted(refused(order.command, f"fault: {error!r}"[:MAX_WHY], wall()).decision, ())

    def halt_of(self, order: Order) -> str:
        return next((halt for halt in map(self.views.halt_of, _exchanges(order)) if halt), "")

    def given_up(self, order: Order, leg: int) -> str:
        return self.decider.given_up(order, leg, self._ours_now())

    def told(self, told: OrderReport | Fill) -> None:
        """Hand a report or a fill to its order; what nobody knows yet is tried again in a moment."""
        self._strays.take(told, wall())

    async def tend(self) -> None:
        """Now and then: take orders off exchanges that fail, sound alarms, publish the fills that were none of ours."""
        for runner in self._runners.values():
            self._look_after(runner)
        for event in self.alarms.new(self._ours_now(), wall()):
            log.warning("order %s: %s", event.order_id, event.reason)
            await self.publisher.write(EVENTS, event)
        for fill in self._strays.others(wall()):
            if 0 in self._ours:
                await self.publisher.write(FILLS, fill)

    def _look_after(self, runner: Runner) -> None:
        try:
            runner.reconsider()
            if exchange := self.decider.abandons(runner.order):
                runner.tell(Abandoned(exchange, f"failover: {exchange} is unable"))
        except Exception:  # one order's fault; the others are looked after
            log.exception("order %s can't be looked after", runner.order.id)

    def _match(self, told: OrderReport | Fill) -> bool:
        order_id = self.journal.order_of(told)
        if order_id and self.journal.partition_of(order_id) in self._ours:
            self._deliver(order_id, told)
        return bool(order_id)

    def _may_be_ours(self, told: OrderReport | Fill) -> bool:
        """Whether an order is there whose id on the exchange nobody knows yet."""
        called = {(told.exchange, name) for name in names_of(told)}
        return any(called & unidentified(kept.order) for kept in self.journal.open())

    def _deliver(self, order_id: str, told: OrderReport | Fill) -> None:
        runner = self._runners.get(order_id)
        if runner is None:
            self._revive(order_id, told)
        elif runner.closed:
            self._spawn(self._deliver_later(order_id, told), runner.order.source.partition)
        else:
            runner.tell(happening(runner.order, told))

    async def _deliver_later(self, order_id: str, told: OrderReport | Fill) -> None:
        """What comes while an order is being set aside counts when that is done."""
        await self._follower(order_id)
        self._deliver(order_id, told)

    def _revive(self, order_id: str, told: OrderReport | Fill) -> None:
        """Follow an order again that had ended or was set aside, where the news changes it."""
        last = self.journal.last(order_id)
        if last is None:
            return
        late = happening(last.order, told)
        try:
            changes = bool(step(last.order, late, wall()).effects)
        except Exception:
            log.exception("order %s: %r can't be taken in", order_id, late)
            return
        if changes:
            revived = self._follow(last.order)
            revived.is_journalled = True
            revived.tell(late)


def unidentified(order: Order) -> set[tuple[str, str]]:
    """Where an attempt may stand that is known there by an id which we have not been told: exchange, symbol or name."""
    instruments = [
        order.legs[one.leg].instrument
        for one in order.attempts
        if one.client_order_id and not one.exchange_order_id and not one.phase.final
    ]
    return {(one.exchange, called) for one in instruments for called in (one.symbol, one.name)}


def happening(order: Order, told: OrderReport | Fill) -> OrderInput:
    """With the client order id that the order knows, which not every exchange tells."""
    named = told.client_order_id
    if not named or not any(attempt.client_order_id == named for attempt in order.attempts):
        theirs = {(told.exchange, name, told.exchange_order_id) for name in names_of(told)}
        named = next((a.client_order_id for a in order.attempts if _known_there(order, a) & theirs), named)
    return FillSeen(named, told) if isinstance(told, Fill) else Reported(named, told)


def _known_there(order: Order, attempt: Attempt) -> set[tuple[str, str, str]]:
    one = order.legs[attempt.leg].instrument
    return {(one.exchange, called, attempt.exchange_order_id) for called in (one.symbol, one.name)}


def _elsewhere(legs: Iterable[Leg], order: Order) -> list[Leg]:
    """Those that trade something else than the order's legs that opened a position, for which it has asked."""
    before = {(leg.instrument.exchange, leg.instrument.symbol) for leg in order.legs if not leg.reduces}
    return [leg for leg in legs if (leg.instrument.exchange, leg.instrument.symbol) not in before]


def _exchanges(order: Order) -> Iterable[str]:
    return (leg.instrument.exchange for leg in order.legs)


async def _settle(runner: Runner, wish: OrderInput) -> None:
    if not runner.closed:
        await runner.settle(wish)


async def _until_idle(runners: Iterable[Runner]) -> None:
    try:
        async with asyncio.timeout(LEAVING_SECONDS):
            for runner in runners:
                await runner.at_rest()
    except TimeoutError:
        log.warning("left with requests under way; their orders will be asked after")


def _place(entry: Entry) -> TopicPartition:
    return TopicPartition(entry.topic.name, entry.partition)


def _nothing_to_cancel(command: OrderCommand, why: str = "no order of this id is known") -> OrderEvent:
    return _refused(command, f"nothing to cancel: {why}")


def _refused(command: OrderCommand, reason: str) -> OrderEvent:
    """Of a command that became no order."""
    state, zero = OrderState.REFUSED, Decimal(0)
    where = ("", command.market, "", "")
    return OrderEvent(command.order_id, state, *where, command.side, zero, zero, zero, (), reason, wall())


def _same(first: OrderCommand, second: OrderCommand) -> bool:
    """Whether two commands ask for the same; a sender that tries again may fill in the time anew."""
    return replace(first, issued_at=0) == replace(second, issued_at=0)
