"""Every request, answer, report and fill lost, late, doubled or reordered: of orders that move, and of pairs.

The executor is killed between any two effects of a step, and an exchange throttles, refuses, fails and is given up.

What must hold: of a leg at most one attempt is ever accepted, nothing is filled beyond what was asked, nothing is sent
that the journal does not have, what is final stays final, a pair is even or says what is open; and once the exchange
answers, every order ends with exactly what the exchange's own record has of it. Each run is a walk drawn from one seed:
so many are cheap, and what they must find is rare.
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
from neuroflux.engine.orders.machine import decode, encode, received, step, wake_at
from neuroflux.engine.orders.rerouting import rest
from neuroflux.engine.orders.state import (
    Abandoned,
    Answered,
    Cancel,
    CancelRequested,
    Decided,
    Effect,
    GivenUp,
    Hedged,
    Leg,
    Operation,
    OrderInput,
    QueryFills,
    QueryOrder,
    RequestHedge,
    RequestReroute,
    RequestSend,
    Rerouted,
    Restored,
    Send,
    Sending,
    Ticked,
    WriteJournal,
)
from neuroflux.engine.orders.table import SECOND
from neuroflux.engine.routing.pair import needed
from tests.neuroflux.engine.orders.exchange_model import FATES, ModelExchange, UnderWay, arrives, unanswered
from tests.neuroflux.engine.orders.test_machine import LEG, NOW, OTHER, RESTING, name

ASKED = Decimal(3)
WALKS, STEPS = 3_000, 30
STEPS_TO_THE_END = 400
DECISION = OrderDecision("o", "optimal", (), "elsewhere", (), (), NOW)
SOLD = replace(OTHER, side=Side.SELL)
T = TypeVar("T")


class World:
    """One order, its executor, and the messages between it and the exchange; what happens next is drawn."""

    KIND = CommandKind.PLACE

    def __init__(self, random: Random) -> None:
        self.random, self.now, self.exchange = random, NOW, ModelExchange()
        self.requests: list[UnderWay] = []
        self.news: list[OrderInput] = []
        self.turns: list[int] = []
        self.wishes: list[RequestHedge | RequestReroute] = []
        self.executor, self.journal, self.survives = 0, b"", -1
        first = received(self.command(), Cause("orders.commands", 0, 7), self.now)
        second = step(first.order, Decided(DECISION, self.legs()), self.now)
        self.order = second.order
        self.perform((*first.effects, *second.effects))

    def command(self) -> OrderCommand:
        strategy = self.random.choice(("optimal", "redundant"))
        return OrderCommand(order_id="o", kind=self.KIND, quantity=ASKED, strategy=strategy)

    def legs(self) -> tuple[Leg, ...]:
        return (self.random.choice((LEG, RESTING)),)

    # ── the executor ─────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, happening: OrderInput) -> None:
        taken = step(self.order, happening, self.now)
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
                self.ask(Operation.PLACE, placement.instrument, placement.client_order_id, placement)
            case QueryOrder(instrument, named):
                self.ask(Operation.QUERY, instrument, named)
            case Cancel(instrument, named):
                self.ask(Operation.CANCEL, instrument, named)
            case QueryFills(instrument, _):
                self.ask(None, instrument, "")
            case RequestHedge() | RequestReroute():
                self.wishes.append(effect)

    def ask(
        self, question: Operation | None, instrument: Instrument, named: str, placement: Placement | None = None
    ) -> None:
        self.requests.append(UnderWay(question, instrument, named, self.now, self.executor, placement))

    def is_killed(self) -> None:
        """What was under way to it is lost, what was under way to the exchange is not."""
        self.executor += 1
        self.survives, self.news, self.turns, self.wishes = -1, [], [], []
        self.order = decode(self.journal)
        self.tell(Restored())

    def will_be_killed(self) -> None:
        """Between two effects of the coming steps."""
        self.survives = self.random.randrange(4)

    def takes_a_turn(self) -> None:
        leg = self.turns.pop(0)
        self.tell(Sending(leg, name(leg, self.order.last[leg].number)))

    def gives_a_leg_up(self) -> None:
        self.tell(GivenUp(self.turns.pop(0), "it fails"))

    def answers_a_wish(self, share: float = 1.0) -> None:
        """With a leg elsewhere, or with none."""
        none = self.random.random() >= share
        match self.wishes.pop(0):
            case RequestReroute():
                there = replace(OTHER, quantity=rest(self.order), decided_at=self.now)
                self.tell(Rerouted(DECISION, () if none or not there.quantity else (there,)))
            case RequestHedge():
                there = replace(LEG, side=needed(self.order), quantity=abs(self.order.net), decided_at=self.now)
                self.tell(Hedged((), "no book") if none or not there.quantity else Hedged((there,)))

    # ── the way to the exchange and back ─────────────────────────────────────────────────────────────────────────

    def any_of(self, several: list[T]) -> T:
        return several.pop(self.random.randrange(len(several)))

    def a_request_arrives(self) -> None:
        self.arrives(self.any_of(self.requests), self.random.choice(FATES), self.random.randrange(4))

    def arrives(self, request: UnderWay, fate: str, part: int) -> None:
        answer = arrives(self.exchange, request, self.now, fate, part)
        self.news += self.exchange.stream
        self.exchange.stream = []
        self.news += answer if request.asker == self.executor else ()

    def a_connection_breaks(self) -> None:
        """What was not lost with it arrives all the same, and later."""
        request = self.any_of(self.requests)
        self.news += unanswered(request) if request.asker == self.executor else ()
        self.requests += [replace(request, asker=-1)] if self.random.random() < 0.7 else []

    def news_arrives(self) -> None:
        self.tell(self.any_of(self.news))

    def news_is_lost(self) -> None:
        self.any_of(self.news)

    def news_is_doubled(self) -> None:
        """But the answer to a placement that may be sent again comes once: it is the end of its request."""
        one = self.random.choice(self.news)
        if not (isinstance(one, Answered) and isinstance(one.outcome, Throttled)):
            self.news.append(one)

    def an_order_is_filled(self) -> None:
        standing = [kept for kept in self.exchange.orders.values() if kept.is_open]
        if standing:
            self.exchange.match(self.random.choice(standing), self.random.randint(1, 2), self.now)

    # ── time, and people ─────────────────────────────────────────────────────────────────────────────────────────

    def time_passes(self) -> None:
        self.now += self.random.choice((1, 3, 6)) * SECOND

    def it_wakes(self) -> None:
        self.now = max(self.now, wake_at(self.order) or 0)
        self.tell(Ticked())

    def somebody_cancels(self) -> None:
        self.tell(CancelRequested("by me"))

    def an_exchange_is_left(self) -> None:
        self.tell(Abandoned(LEG.instrument.exchange, "offline"))

    # ── a run ────────────────────────────────────────────────────────────────────────────────────────────────────

    def go_anywhere(self) -> None:
        self.random.choice(self.ways())()

    def ways(self) -> list[Callable[[], None]]:
        """What can happen now, the likely as often as it is likely."""
        found = [self.it_wakes, self.it_wakes, self.time_passes, self.an_order_is_filled]
        if self.requests:
            found += [*3 * [self.a_request_arrives], self.a_connection_breaks]
        if self.news:
            found += [*3 * [self.news_arrives], self.news_is_lost, self.news_is_doubled]
        if self.turns:
            found += [*5 * [self.takes_a_turn], self.gives_a_leg_up]
        if self.wishes:
            found += 3 * [lambda: self.answers_a_wish(0.7)]
        if self.random.random() < 0.2:
            found += [self.is_killed, self.will_be_killed, self.somebody_cancels, self.an_exchange_is_left]
        return found

    def go_to_the_end(self) -> None:
        """From now on the exchange answers, and somebody cancels what rests."""
        self.survives = -1
        self.somebody_cancels()
        for _ in range(STEPS_TO_THE_END):
            if self.order.state.final and not (self.requests or self.news or self.turns or self.wishes):
                return
            self.go_on()
        raise AssertionError(f"no end: {self.order}")

    def go_on(self) -> None:
        if self.requests:
            self.arrives(self.requests.pop(0), "taken", 3)
        elif self.news:
            self.tell(self.news.pop(0))
        elif self.turns:
            self.takes_a_turn()
        elif self.wishes:
            self.answers_a_wish()
        else:
            self.it_wakes()

    # ── what must hold ───────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        legs = Counter(named.rpartition("/")[0] for named in self.exchange.orders)
        assert max(legs.values(), default=1) == 1, f"two attempts of one leg were accepted: {legs}"
        trades = Counter(fill.trade_id for attempt in self.order.attempts for fill in attempt.fills)
        assert max(trades.values(), default=1) == 1, f"a trade counts twice: {trades}"
        filled = [kept.filled for kept in self.exchange.orders.values()]
        assert self.KIND is CommandKind.PAIR or sum(filled) <= ASKED
        for attempt in self.order.attempts:
            kept = self.exchange.orders.get(attempt.client_order_id)
            assert attempt.filled <= (kept.filled if kept else 0)

    def check_the_end(self) -> None:
        known = {attempt.client_order_id: attempt for attempt in self.order.attempts}
        for named, kept in self.exchange.orders.items():
            assert not kept.is_open
            assert known[named].filled == kept.filled, named
            assert known[named].seen == kept.filled or known[named].fills_given_up
        assert all(attempt.settled for attempt in self.order.attempts)


class PairWorld(World):
    """Both legs of a pair, or the harder one alone, and what evens them out."""

    KIND = CommandKind.PAIR

    def command(self) -> OrderCommand:
        named = tuple(
            CommandLeg(one.instrument.exchange, one.instrument.symbol, one.side, ASKED) for one in (LEG, SOLD)
        )
        return OrderCommand(order_id="o", kind=self.KIND, quantity=ASKED, legs=named)

    def legs(self) -> tuple[Leg, ...]:
        return self.random.choice(((LEG, SOLD), (LEG,)))

    def check_the_end(self) -> None:
        super().check_the_end()
        assert self.order.net == self.exchange.net()
        assert self.order.net == 0 or "left open" in self.order.reason


def walk(kind: type[World], seed: int) -> None:
    world = kind(Random(seed))
    for _ in range(STEPS):
        world.go_anywhere()
        world.check()
    world.go_to_the_end()
    world.check()
    world.check_the_end()


@pytest.mark.parametrize("kind", [World, PairWorld])
def test_whatever_becomes_of_the_messages_nothing_is_sent_twice_or_lost(kind: type[World]) -> None:
    for seed in range(WALKS):
        try:
            walk(kind, seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error
