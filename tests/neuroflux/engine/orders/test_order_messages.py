"""Requests, answers, reports and fills lost, late, repeated or reordered, for rerouted orders and for pairs.

The executor is killed between any two effects of a step, and an exchange throttles, rejects, fails and is abandoned.

Invariants: at most one attempt of a leg is ever accepted, no more than the quantity is filled, nothing is sent before
it is journalled, a final state stays final, and a pair is hedged or reports what is open. Once the exchange answers,
every order ends with exactly what the exchange's own record has. Each run is a random walk from one seed: runs are
cheap, and the faults they must find are rare.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from random import Random
from typing import TypeVar

import pytest
from msgspec.structs import replace

from neuroflux.domain import (
    Cause,
    CommandKind,
    CommandLeg,
    Instrument,
    OrderCommand,
    OrderDecision,
    Placement,
    Side,
    Throttled,
)
from neuroflux.engine.orders.effects import (
    Cancel,
    Effect,
    QueryFills,
    QueryOrder,
    RequestHedge,
    RequestReroute,
    RequestSend,
    Send,
    WriteJournal,
)
from neuroflux.engine.orders.inputs import (
    Abandoned,
    Answered,
    CancelRequested,
    Decided,
    GivenUp,
    Hedged,
    Operation,
    OrderInput,
    Rerouted,
    Restored,
    Sending,
    Ticked,
)
from neuroflux.engine.orders.machine import decode, encode, received, step, wake_at
from neuroflux.engine.orders.rerouting import rest
from neuroflux.engine.orders.state import Leg
from neuroflux.engine.orders.table import SECOND
from neuroflux.engine.routing.pair import needed
from tests.neuroflux.engine.orders.exchange_model import OUTCOMES, InFlight, ModelExchange, arrives, unanswered
from tests.neuroflux.engine.orders.test_machine import LEG, NOW, OTHER, RESTING, name

QUANTITY = Decimal(3)
WALKS, STEPS = 3_000, 30
STEPS_TO_THE_END = 400
DECISION = OrderDecision("o", "optimal", (), "elsewhere", (), (), NOW)
SOLD = replace(OTHER, side=Side.SELL)
T = TypeVar("T")


class World:
    """One order, its executor, and the messages between it and the exchange; the next step is drawn at random."""

    KIND = CommandKind.PLACE

    def __init__(self, random: Random) -> None:
        self.random, self.now, self.exchange = random, NOW, ModelExchange()
        self.requests: list[InFlight] = []
        self.inputs: list[OrderInput] = []
        self.turns: list[int] = []
        self.pending: list[RequestHedge | RequestReroute] = []
        self.executor, self.journal, self.survives = 0, b"", -1
        first = received(self.command(), Cause("orders.commands", 0, 7), self.now)
        second = step(first.order, Decided(DECISION, self.legs()), self.now)
        self.order = second.order
        self.perform((*first.effects, *second.effects))

    def command(self) -> OrderCommand:
        strategy = self.random.choice(("optimal", "redundant"))
        return OrderCommand(order_id="o", kind=self.KIND, quantity=QUANTITY, strategy=strategy)

    def legs(self) -> tuple[Leg, ...]:
        return (self.random.choice((LEG, RESTING)),)

    # ── the executor ─────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, given: OrderInput) -> None:
        taken = step(self.order, given, self.now)
        sends = [one for one in taken.effects if isinstance(one, Send)]
        assert not sends or isinstance(taken.effects[0], WriteJournal)
        assert not (sends and self.order.cancel_asked and self.KIND is CommandKind.PLACE), "sent after it was cancelled"
        if self.order.state.final and self.KIND is CommandKind.PLACE:
            assert taken.order.state is self.order.state
        self.order = taken.order
        self.perform(taken.effects)

    def perform(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if self.survives == 0:
                self.is_killed()
                return
            self.survives -= 1 if self.survives > 0 else 0
            self.do(effect)

    def do(self, effect: Effect) -> None:
        match effect:
            case WriteJournal():
                self.journal = encode(self.order)
            case RequestSend(leg):
                self.turns += [leg] if leg not in self.turns else []
            case Send(placement):
                self.request(Operation.PLACE, placement.instrument, placement.client_order_id, placement)
            case QueryOrder(instrument, named):
                self.request(Operation.QUERY, instrument, named)
            case Cancel(instrument, named):
                self.request(Operation.CANCEL, instrument, named)
            case QueryFills(instrument, _):
                self.request(None, instrument, "")
            case RequestHedge() | RequestReroute():
                self.pending.append(effect)

    def request(
        self, operation: Operation | None, instrument: Instrument, named: str, placement: Placement | None = None
    ) -> None:
        self.requests.append(InFlight(operation, instrument, named, self.now, self.executor, placement))

    def is_killed(self) -> None:
        """Messages to the executor are lost, those to the exchange are not."""
        self.executor += 1
        self.survives, self.inputs, self.turns, self.pending = -1, [], [], []
        self.order = decode(self.journal)
        self.take(Restored())

    def will_be_killed(self) -> None:
        """Kill it between two effects of the coming steps."""
        self.survives = self.random.randrange(4)

    def a_leg_is_sent(self) -> None:
        leg = self.turns.pop(0)
        self.take(Sending(leg, name(leg, self.order.last[leg].number)))

    def a_leg_is_given_up(self) -> None:
        self.take(GivenUp(self.turns.pop(0), "it fails"))

    def answers_a_request(self, share: float = 1.0) -> None:
        """Answer with a leg on another exchange, or with none."""
        none = self.random.random() >= share
        match self.pending.pop(0):
            case RequestReroute():
                there = replace(OTHER, quantity=rest(self.order), decided_at=self.now)
                self.take(Rerouted(DECISION, () if none or not there.quantity else (there,)))
            case RequestHedge():
                there = replace(LEG, side=needed(self.order), quantity=abs(self.order.net), decided_at=self.now)
                self.take(Hedged((), "no book") if none or not there.quantity else Hedged((there,)))

    # ── messages to and from the exchange ────────────────────────────────────────────────────────────────────────

    def any_of(self, several: list[T]) -> T:
        return several.pop(self.random.randrange(len(several)))

    def a_request_arrives(self) -> None:
        self.arrives(self.any_of(self.requests), self.random.choice(OUTCOMES), self.random.randrange(4))

    def arrives(self, request: InFlight, outcome_kind: str, part: int) -> None:
        answer = arrives(self.exchange, request, self.now, outcome_kind, part)
        self.inputs += self.exchange.stream
        self.exchange.stream = []
        self.inputs += answer if request.sender == self.executor else ()

    def a_connection_breaks(self) -> None:
        """A request that was not lost with the connection arrives later."""
        request = self.any_of(self.requests)
        self.inputs += unanswered(request) if request.sender == self.executor else ()
        self.requests += [replace(request, sender=-1)] if self.random.random() < 0.7 else []

    def input_arrives(self) -> None:
        self.take(self.any_of(self.inputs))

    def input_is_lost(self) -> None:
        self.any_of(self.inputs)

    def input_is_repeated(self) -> None:
        """Except for the answer to a throttled placement: it ends its request, and is delivered once."""
        one = self.random.choice(self.inputs)
        if not (isinstance(one, Answered) and isinstance(one.outcome, Throttled)):
            self.inputs.append(one)

    def an_order_is_filled(self) -> None:
        open_orders = [stored for stored in self.exchange.orders.values() if stored.is_open]
        if open_orders:
            self.exchange.match(self.random.choice(open_orders), self.random.randint(1, 2), self.now)

    # ── time and people ──────────────────────────────────────────────────────────────────────────────────────────

    def time_passes(self) -> None:
        self.now += self.random.choice((1, 3, 6)) * SECOND

    def timer_fires(self) -> None:
        self.now = max(self.now, wake_at(self.order) or 0)
        self.take(Ticked())

    def cancel_is_requested(self) -> None:
        self.take(CancelRequested("by me"))

    def an_exchange_is_abandoned(self) -> None:
        self.take(Abandoned(LEG.instrument.exchange, "offline"))

    # ── a run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def random_step(self) -> None:
        self.random.choice(self.possible_steps())()

    def possible_steps(self) -> list[Callable[[], None]]:
        """The steps that are possible now, repeated by their likelihood."""
        found = [self.timer_fires, self.timer_fires, self.time_passes, self.an_order_is_filled]
        if self.requests:
            found += [*3 * [self.a_request_arrives], self.a_connection_breaks]
        if self.inputs:
            found += [*3 * [self.input_arrives], self.input_is_lost, self.input_is_repeated]
        if self.turns:
            found += [*5 * [self.a_leg_is_sent], self.a_leg_is_given_up]
        if self.pending:
            found += 3 * [lambda: self.answers_a_request(0.7)]
        if self.random.random() < 0.2:
            found += [self.is_killed, self.will_be_killed, self.cancel_is_requested, self.an_exchange_is_abandoned]
        return found

    def run_to_the_end(self) -> None:
        """From now on the exchange answers, and resting orders are cancelled."""
        self.survives = -1
        self.cancel_is_requested()
        for _ in range(STEPS_TO_THE_END):
            if self.order.state.final and not (self.requests or self.inputs or self.turns or self.pending):
                return
            self.next_step()
        raise AssertionError(f"no end: {self.order}")

    def next_step(self) -> None:
        if self.requests:
            self.arrives(self.requests.pop(0), "taken", 3)
        elif self.inputs:
            self.take(self.inputs.pop(0))
        elif self.turns:
            self.a_leg_is_sent()
        elif self.pending:
            self.answers_a_request()
        else:
            self.timer_fires()

    # ── invariants ───────────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        legs = Counter(named.rpartition("/")[0] for named in self.exchange.orders)
        assert max(legs.values(), default=1) == 1, f"two attempts of one leg were accepted: {legs}"
        trades = Counter(fill.trade_id for attempt in self.order.attempts for fill in attempt.fills)
        assert max(trades.values(), default=1) == 1, f"a trade counts twice: {trades}"
        filled = [stored.filled for stored in self.exchange.orders.values()]
        assert self.KIND is CommandKind.PAIR or sum(filled) <= QUANTITY
        for attempt in self.order.attempts:
            stored = self.exchange.orders.get(attempt.client_order_id)
            assert attempt.filled <= (stored.filled if stored else 0)

    def check_the_end(self) -> None:
        known = {attempt.client_order_id: attempt for attempt in self.order.attempts}
        for named, stored in self.exchange.orders.items():
            assert not stored.is_open
            assert known[named].filled == stored.filled, named
            assert known[named].seen == stored.filled or known[named].fills_given_up
        assert all(attempt.settled for attempt in self.order.attempts)


class PairWorld(World):
    """Both legs of a pair, or the harder one alone, and their hedges."""

    KIND = CommandKind.PAIR

    def command(self) -> OrderCommand:
        named = tuple(
            CommandLeg(one.instrument.exchange, one.instrument.symbol, one.side, QUANTITY) for one in (LEG, SOLD)
        )
        return OrderCommand(order_id="o", kind=self.KIND, quantity=QUANTITY, legs=named)

    def legs(self) -> tuple[Leg, ...]:
        return self.random.choice(((LEG, SOLD), (LEG,)))

    def check_the_end(self) -> None:
        super().check_the_end()
        assert self.order.net == self.exchange.net()
        assert self.order.net == 0 or "left open" in self.order.reason


def walk(kind: type[World], seed: int) -> None:
    world = kind(Random(seed))
    for _ in range(STEPS):
        world.random_step()
        world.check()
    world.run_to_the_end()
    world.check()
    world.check_the_end()


@pytest.mark.parametrize("kind", [World, PairWorld])
def test_no_order_is_sent_twice_or_lost_whatever_happens_to_messages(kind: type[World]) -> None:
    for seed in range(WALKS):
        try:
            walk(kind, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
