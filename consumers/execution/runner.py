"""One order: feeds each input into the machine of engine/orders/machine.py, and carries out its effects in order.

No order waits for another's HTTP requests: each has its own runner, and a runner's requests are tasks of their own,
whose answers are put into its inbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine
from typing import Any

from msgspec import Struct

from consumers.execution.decisions import Decisions
from consumers.execution.gateway import Gateway
from consumers.execution.journal import Journal, Published, saved
from consumers.execution.lists import Lists
from consumers.execution.requests import Requests
from neuroflux.domain import (
    ExchangeStatus,
    Fill,
    Instrument,
    OrderDecision,
    OrderEvent,
    StatusKind,
)
from neuroflux.engine.health.state import ORDERS
from neuroflux.engine.orders.effects import (
    Cancel,
    Effect,
    Publish,
    QueryFills,
    QueryOrder,
    RequestDecision,
    RequestHedge,
    RequestReroute,
    RequestSend,
    Send,
    WriteJournal,
)
from neuroflux.engine.orders.inputs import (
    CancelRequested,
    GivenUp,
    OrderInput,
    Restored,
    Sending,
    Ticked,
)
from neuroflux.engine.orders.machine import step, wake_at
from neuroflux.engine.orders.state import Order, Phase
from neuroflux.errors import NeuroFluxError
from neuroflux.http.budget import Urgency
from neuroflux.kafka.publisher import Publisher
from neuroflux.records.topics import DECISIONS, EVENTS, FILLS, STATUS, Topic
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

INBOX = 1_000
"""Inputs that may wait for one order."""


class Shell(Struct, frozen=True, kw_only=True):
    """What every runner works with."""

    journal: Journal
    gateway: Gateway
    publisher: Publisher
    decisions: Decisions
    lists: Lists


class Runner:
    """Runs one order until it has ended; ``effects`` are those of the steps it has already taken."""

    def __init__(self, shell: Shell, order: Order, effects: tuple[Effect, ...] = ()) -> None:
        self.order = order
        self.receipt = asyncio.Event()
        """Set when the order is in the journal, or can't be: its command need not be read again."""
        self.is_journalled = False
        self.failure: Exception | None = None
        """The error that stopped the runner, if any."""
        self._shell = shell
        self.closed = False
        """Set when no input is accepted any more."""
        self.stopped = asyncio.Event()
        """Set when the order is not followed any more: ended, or set aside."""
        self._inbox: asyncio.Queue[tuple[OrderInput, asyncio.Event]] = asyncio.Queue(INBOX)
        self._effects = effects
        self._unpublished: list[Published] = []
        self._tasks: dict[asyncio.Task[object], Effect | None] = {}
        self._requests = Requests(shell.gateway, self, shell.lists)
        self._turns: dict[int, asyncio.Task[None]] = {}
        self._performing: list[asyncio.Event] = []
        self._leaving = False
        self._outbox_journalled = False

    # ── from outside ─────────────────────────────────────────────────────────────────────────────────────────────

    def enqueue(self, given: OrderInput) -> None:
        """Append an input. It is dropped if the inbox is full: what an exchange reported is queried again."""
        try:
            self._inbox.put_nowait((given, asyncio.Event()))
        except asyncio.QueueFull:
            log.warning("order %s: inbox full, will query again", self.order.id)

    async def settle(self, given: OrderInput) -> bool:
        """Append a request, and return when it is in the journal and done; False if the order was set aside first."""
        performed = asyncio.Event()
        await self._inbox.put((given, performed))
        if self.failure is None:
            await performed.wait()
        return self.failure is None

    def give_up(self, error: Exception) -> None:
        """Stop following the order, and release all that wait for it."""
        self.failure, self.closed = error, True
        while not self._inbox.empty():
            self._performing.append(self._inbox.get_nowait()[1])
        for each in (self.receipt, *self._performing):
            each.set()

    async def cancel_all(self) -> None:
        """Cancel all attempts that may be live on the exchanges; the answers are logged for a person to check."""
        for one in self.order.attempts:
            if one.client_order_id and not one.phase.final:
                await self._try_cancel(self.order.legs[one.leg].instrument, one.client_order_id)

    async def _try_cancel(self, instrument: Instrument, client_order_id: str) -> None:
        try:
            outcome = await self._requests.cancelled(instrument, client_order_id)
        except NeuroFluxError as error:
            log.warning("order %s: %s was not cancelled: %s", self.order.id, client_order_id, error)
            return
        log.warning("order %s: cancel of %s: %r", self.order.id, client_order_id, outcome)

    def leave(self) -> None:
        """Send nothing new; pending requests may end."""
        self._leaving = True
        for turn in self._turns.values():
            turn.cancel()

    def recheck_waiting(self) -> None:
        """Check again whether the waiting legs should still go to the exchanges they were routed to."""
        for leg in {attempt.leg for attempt in self.order.attempts if attempt.phase is Phase.ROUTED}:
            if why := self._shell.decisions.given_up(self.order, leg):
                if turn := self._turns.get(leg):
                    turn.cancel()
                self.enqueue(GivenUp(leg, why))

    async def at_rest(self) -> None:
        """Wait until pending requests have been answered, and the answers are in the journal."""
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if not self.closed:
            await self.settle(Ticked())

    @property
    def idle(self) -> bool:
        """Whether no request is pending and no input waits."""
        return not self._tasks and self._inbox.empty()

    async def run(self) -> None:
        """Until the order has ended and everything of it is published. Raises Fenced, or Unreachable without Kafka."""
        try:
            await self._perform(self._effects)
            while not self.closed:
                while not (self.order.state.final and self.idle):
                    inputs, self._performing = await self._next_inputs()
                    await self._perform(self._advance(inputs))
                    if not self._performing:
                        await self._note_published()
                    for each in self._performing:
                        each.set()
                await self._shell.journal.write(self.order.source.partition, saved(self.order, [], wall()), done=True)
                self.closed = self._inbox.empty()
        finally:
            self.closed = True
            for request in (*self._tasks, *self._turns.values()):
                request.cancel()

    # ── steps ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _next_inputs(self) -> tuple[list[OrderInput], list[asyncio.Event]]:
        """The inputs that have arrived, or the passing of time."""
        wake = wake_at(self.order)
        try:
            async with asyncio.timeout(None if wake is None else max(0.0, (wake - wall()) / 1e6)):
                inputs = [await self._inbox.get()]
        except TimeoutError:
            return [Ticked()], []
        while not self._inbox.empty():
            inputs.append(self._inbox.get_nowait())
        return [given for given, _ in inputs], [performed for _, performed in inputs]

    def _advance(self, inputs: list[OrderInput]) -> tuple[Effect, ...]:
        effects: list[Effect] = []
        for given in inputs:
            taken = step(self.order, given, wall())
            self.order = taken.order
            effects += taken.effects
        return tuple(effects)

    async def _perform(self, effects: tuple[Effect, ...]) -> None:
        """Sign, write the journal, and only then send and publish."""
        effects = self._take_turns(effects)
        sends = [self._requests.signed(one.placement) for one in effects if isinstance(one, Send)]
        self._unpublished += [one.record for one in effects if isinstance(one, Publish)]
        if any(isinstance(one, WriteJournal) for one in effects):
            kept = saved(self.order, self._unpublished, wall())
            await self._shell.journal.write(self.order.source.partition, kept)
            self._outbox_journalled = bool(self._unpublished)
            self._was_journalled()
        for send in sends:
            self._start(send())
        if sends:
            await asyncio.sleep(0)  # the requests are sent before the records are encoded
        for effect in effects:
            self._begin(effect)
        await self._publish()

    def _take_turns(self, effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        """Legs that the rate limits allow at once are sent in the same step; the others wait in tasks."""
        performed = deque(effects)
        done: list[Effect] = []
        while performed:
            effect = performed.popleft()
            done.append(effect)
            if not isinstance(effect, RequestSend) or self._leaving:
                continue
            performed += self._advance(self._halted())
            instrument = self.order.legs[effect.leg].instrument
            if not self._is_unsent(effect.leg):
                continue
            if why := self._shell.decisions.given_up(self.order, effect.leg):
                performed += self._advance([GivenUp(effect.leg, why)])
            elif not self._risk_held(effect.leg) and self._shell.gateway.try_order(
                instrument, self._urgency(effect.leg)
            ):
                performed += self._advance([self._sending(effect.leg)])
            elif effect.leg not in self._turns:
                self._turns[effect.leg] = asyncio.create_task(self._wait_for_turn(instrument, effect.leg))
        return tuple(done)

    def _halted(self) -> list[OrderInput]:
        """The cancel of an order that was not yet known to trade there when its exchange was halted."""
        halt = "" if self.order.cancel_asked else self._shell.decisions.halt_of(self.order)
        return [CancelRequested(halt)] if halt else []

    def _is_unsent(self, leg: int) -> bool:
        """Whether a leg is still to be sent."""
        last = self.order.last_of(leg)
        return last is not None and last.phase is Phase.ROUTED

    def _urgency(self, leg: int) -> Urgency:
        """What reduces risk, hedges included, is sent before new orders."""
        return Urgency.FIRST if self.order.hedges or self._reduces(leg) else Urgency.ORDER

    def _reduces(self, leg: int) -> bool:
        return leg >= len(self.order.legs) or self.order.legs[leg].reduces

    def _risk_held(self, leg: int) -> float:
        """Seconds for which the exchange does not take this leg, because it opens risk there, as a hedge may, too."""
        if self._reduces(leg):
            return 0.0
        return self._shell.gateway.risk_held(self.order.legs[leg].instrument.exchange)

    def _sending(self, leg: int) -> Sending:
        order_client = self._shell.gateway.order_client(self.order.legs[leg].instrument.exchange)
        attempt = self.order.last[leg].number
        return Sending(leg, order_client.client_order_id(self.order.id, leg, attempt), order_client.settled_after)

    async def _wait_for_turn(self, instrument: Instrument, leg: int) -> None:
        try:
            while held := self._risk_held(leg):  # noqa: ASYNC110  # it may have been extended
                await asyncio.sleep(held)
            await self._shell.gateway.order_turn(instrument, self._urgency(leg))
        finally:
            del self._turns[leg]
        if leg < len(self.order.legs) and any(self.order.of_leg(leg)):  # else it was decided again, without it
            await self.put(self._sending(leg))

    async def _note_published(self) -> None:
        """When idle: so that the next executor need not check whether the last records were published."""
        if self._outbox_journalled:
            await self._shell.journal.write(self.order.source.partition, saved(self.order, [], wall()))
            self._outbox_journalled = False

    async def put(self, given: OrderInput) -> None:
        await self._inbox.put((given, asyncio.Event()))

    async def _publish(self) -> None:
        """Publish in order, all acknowledged, so that the next journal entry need not contain them."""
        if self._unpublished:
            await self._shell.publisher.write_all([(_topic(one), one) for one in self._unpublished])
            for one in self._unpublished:
                self._publish_fault(one)
            self._unpublished = []

    def _publish_fault(self, record: Published) -> None:
        """A fault that a person has to check on an exchange is also published as a status of that exchange."""
        if isinstance(record, OrderEvent) and record.exchange and record.reason.startswith("fault: "):
            text = f"order {record.order_id}: {record.reason}"
            status = ExchangeStatus(record.exchange, ORDERS, StatusKind.UNKNOWN, 0.0, text, record.event_time)
            self._shell.publisher.publish(STATUS, status)

    def restore(self, missing: list[Published]) -> None:
        """Resume an order from the journal; ``missing`` are records that were never published before the crash."""
        self._unpublished = missing
        self._was_journalled()
        self.enqueue(Restored())

    def _was_journalled(self) -> None:
        self.is_journalled = True
        self.receipt.set()

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self, request: Coroutine[Any, Any, object], effect: Effect | None = None) -> None:
        task = asyncio.create_task(request)
        self._tasks[task] = effect
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[object]) -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and task.exception() is not None:
            log.error("order %s: a request failed", self.order.id, exc_info=task.exception())
        if self.order.state.final and self.idle:
            self.enqueue(Ticked())  # it was waited for, and returned nothing new

    def _begin(self, effect: Effect) -> None:
        """Start a request, unless the same one is pending: repeated while the rate limits hold it, it would be queued
        behind itself, and use up the limits once more.
        """
        if any(pending == effect and not task.done() for task, pending in self._tasks.items()):
            return
        match effect:
            case QueryOrder(instrument, client_order_id):
                self._start(self._requests.query(instrument, client_order_id), effect)
            case QueryFills(instrument, since):
                self._start(self._requests.query_fills(instrument, since), effect)
            case RequestDecision():
                self._start(self._redecide())
            case RequestHedge():
                self.enqueue(self._shell.decisions.hedge(self.order))
            case RequestReroute():
                self.enqueue(self._shell.decisions.reroute(self.order))
            case Cancel(instrument, client_order_id):
                self._start(self._requests.cancel(instrument, client_order_id), effect)

    async def _redecide(self) -> None:
        await self.put(await self._shell.decisions.redecide(self.order))


def _topic(record: Published) -> Topic:
    match record:
        case OrderEvent():
            return EVENTS
        case Fill():
            return FILLS
        case OrderDecision():
            return DECISIONS
