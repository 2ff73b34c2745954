"""The state machine against a model of an exchange that loses, delays, repeats and reorders its messages.

The exchange's own orders are the truth: no leg is ever two orders there, and once all messages have arrived the machine
knows exactly what was filled. The executor may be restarted at any step, also between journal and effect.
"""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    Cause,
    CommandKind,
    Fill,
    InDoubt,
    NotThere,
    OrderCommand,
    OrderReport,
    OrderState,
    OrderType,
    Placement,
)
from neuroflux.engine.orders.effects import (
    Cancel,
    Effect,
    QueryFills,
    QueryOrder,
    RequestReroute,
    RequestSend,
    Send,
    WriteJournal,
)
from neuroflux.engine.orders.inputs import (
    Answered,
    CancelRequested,
    Decided,
    FillSeen,
    Operation,
    OrderInput,
    Reported,
    Rerouted,
    Restored,
    Sending,
    Ticked,
)
from neuroflux.engine.orders.machine import decode, encode, received, step, wake_at
from neuroflux.engine.orders.table import SECOND
from tests.neuroflux.engine.orders.test_machine import NOW, OTHER, RESTING, fill
from tests.neuroflux.engine.orders.test_rerouting import decision

LATEST = 5 * SECOND
"""The exchange refuses a request that arrives later than this after it was signed."""


class ExchangeOrder(Struct):
    """An order as its exchange has it."""

    placement: Placement
    filled: Decimal = Decimal(0)
    cancelled: bool = False

    @property
    def state(self) -> OrderState:
        if self.filled == self.placement.quantity:
            return OrderState.FILLED
        if self.cancelled:
            return OrderState.CANCELLED
        return OrderState.WORKING if self.filled else OrderState.ACKNOWLEDGED


class UnreliableExchange(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.book: dict[str, ExchangeOrder] = {}
        self.fills: list[Fill] = []
        self.in_flight: list[tuple[int, Placement]] = []
        self.inputs: list[OrderInput] = []
        self.numbers = itertools.count()
        self.ended: OrderState | None = None
        command = OrderCommand(order_id="o", kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal(6))
        self.order = received(command, Cause("orders.commands", 0, 7), self.now).order
        self.take(Decided(decision(), (RESTING, OTHER)))

    # ── the executor ─────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, given: OrderInput, *, crash: bool = False) -> None:
        """One step and its effects; a crash happens after the journal and before the effects."""
        taken = step(self.order, given, self.now)
        assert taken.order.filled <= Decimal(6)
        sends = [number for number, one in enumerate(taken.effects) if isinstance(one, Send)]
        journals = [number for number, one in enumerate(taken.effects) if isinstance(one, WriteJournal)]
        assert not sends or (journals and journals[0] < sends[0]), "sent before it was journalled"
        self.order = decode(encode(taken.order))
        if crash:
            self.inputs.clear()
            self.take(Restored())
            return
        for effect in taken.effects:
            self.perform(effect)

    def perform(self, effect: Effect) -> None:
        match effect:
            case RequestSend(leg):
                self.take(Sending(leg, f"c{leg}-{next(self.numbers)}"))
            case Send(placement):
                self.in_flight.append((self.now, placement))
            case QueryOrder(_, name):
                self.inputs.append(Answered(name, Operation.QUERY, self.answer(name), self.now))
            case QueryFills(instrument):
                ours = (one for one in self.fills if one.symbol == instrument.symbol)
                self.inputs += [FillSeen(one.client_order_id, one) for one in ours]
            case Cancel(_, name):
                if name in self.book and self.book[name].state is not OrderState.FILLED:
                    self.book[name].cancelled = True
                self.inputs.append(Answered(name, Operation.CANCEL, InDoubt("?"), self.now))
            case RequestReroute():
                self.inputs.append(Rerouted(decision("no other exchange"), ()))

    # ── the exchange ─────────────────────────────────────────────────────────────────────────────────────────────

    def report(self, name: str) -> OrderReport:
        one = self.book[name]
        placement = one.placement
        return OrderReport(
            placement.instrument.exchange, placement.instrument.symbol, name, f"x{name}", placement.side,
            OrderType.LIMIT, placement.price, placement.quantity, one.filled, Decimal(100), one.state, "", self.now,
        )  # fmt: skip

    def answer(self, name: str) -> Any:
        return Ack(self.report(name), ()) if name in self.book else NotThere("no such order")

    def open(self) -> list[str]:
        return [name for name, one in self.book.items() if not one.state.final]

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 99), answered=st.sampled_from(["yes", "lost", "doubt"]))
    def arrives(self, which: int, answered: str) -> None:
        sent_at, placement = self.in_flight.pop(which % len(self.in_flight))
        if self.now > sent_at + LATEST:
            return
        name = placement.client_order_id
        self.book[name] = ExchangeOrder(placement)
        self.inputs.append(Reported(name, self.report(name)))
        if answered == "yes":
            self.inputs.append(Answered(name, Operation.PLACE, self.answer(name), self.now))
        elif answered == "doubt":
            self.inputs.append(Answered(name, Operation.PLACE, InDoubt("HTTP 503"), self.now))

    @precondition(lambda self: self.in_flight)
    @rule(which=st.integers(0, 99), answer=st.booleans())
    def is_lost_in_flight(self, which: int, answer: bool) -> None:
        _, placement = self.in_flight.pop(which % len(self.in_flight))
        if answer:
            self.inputs.append(
                Answered(placement.client_order_id, Operation.PLACE, InDoubt("the connection broke"), self.now)
            )

    @precondition(lambda self: self.open())
    @rule(which=st.integers(0, 99), quantity=st.sampled_from([1, 2, 3]), is_reported=st.booleans())
    def fills_some(self, which: int, quantity: int, is_reported: bool) -> None:
        names = self.open()
        name = names[which % len(names)]
        one = self.book[name]
        amount = min(Decimal(quantity), one.placement.quantity - one.filled)
        one.filled += amount
        instrument = one.placement.instrument
        seen = replace(
            fill(next(self.numbers), 1, name),
            exchange=instrument.exchange,
            symbol=instrument.symbol,
            exchange_order_id=f"x{name}",
            quantity=amount,
        )
        self.fills.append(seen)
        if is_reported:
            self.inputs += [FillSeen(name, seen), Reported(name, self.report(name))]

    # ── messages and time ────────────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.inputs)
    @rule(which=st.integers(0, 99), again=st.booleans(), crash=st.booleans())
    def is_received(self, which: int, again: bool, crash: bool) -> None:
        given = self.inputs.pop(which % len(self.inputs))
        if again:
            self.inputs.append(given)
        self.take(given, crash=crash)

    @rule(seconds=st.sampled_from([0, 12]))
    def everything_is_received(self, seconds: int) -> None:
        """In order, after a delay."""
        self.time_passes(seconds)
        for _ in range(len(self.inputs)):
            self.take(self.inputs.pop(0))

    @precondition(lambda self: self.inputs)
    @rule(which=st.integers(0, 99))
    def is_dropped(self, which: int) -> None:
        self.inputs.pop(which % len(self.inputs))

    @rule(seconds=st.sampled_from([0.3, 3, 7, 12]))
    def time_passes(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self.take(Ticked())

    @rule()
    def restarts(self) -> None:
        self.inputs.clear()
        self.take(Restored())

    @rule(now=st.integers(0, 9))
    def is_cancelled(self, now: int) -> None:
        """Rarely, since little can happen afterwards."""
        if now == 0:
            self.take(CancelRequested("me"))

    # ── invariants ───────────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def each_leg_is_one_order(self) -> None:
        legs = [name.partition("-")[0] for name in self.book]
        assert len(legs) == len(set(legs)), f"sent twice: {list(self.book)}"

    @invariant()
    def a_final_state_stays(self) -> None:
        if self.ended is not None:
            assert self.order.state is self.ended
        self.ended = self.order.state if self.order.state.final else None

    def teardown(self) -> None:
        """Once all messages have arrived, the order has ended with exactly what the exchange filled."""
        self.take(CancelRequested("the end"))
        for _ in range(200):
            self.in_flight = [(at, one) for at, one in self.in_flight if self.now <= at + LATEST]
            while self.in_flight:
                self.arrives(0, "yes")
            while self.inputs:
                self.take(self.inputs.pop(0))
            wake = wake_at(self.order)
            if self.order.state.final and wake is None:
                break
            self.now = max(self.now + SECOND // 10, wake or 0)
            self.take(Ticked())
        assert self.order.state.final, self.order
        assert not self.open()
        assert self.order.filled == sum((one.filled for one in self.book.values()), Decimal(0))


UnreliableExchange.TestCase.settings = settings(max_examples=100, stateful_step_count=50)
TestUnreliableExchange = UnreliableExchange.TestCase
