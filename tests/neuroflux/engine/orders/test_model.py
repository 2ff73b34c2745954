"""The order machine against a model of an exchange that loses, delays, repeats and reorders whatever it says.

The exchange's own book of orders is the truth: no leg is ever two orders there, and when everything has been said the
machine knows exactly what was filled. The executor may be restarted at any step, also between journal and effect.
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
from neuroflux.engine.orders.machine import decode, encode, received, step, wake_at
from neuroflux.engine.orders.state import (
    Answered,
    Cancel,
    CancelRequested,
    Decided,
    Effect,
    FillSeen,
    Operation,
    OrderInput,
    QueryFills,
    QueryOrder,
    Reported,
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
from tests.neuroflux.engine.orders.test_machine import NOW, OTHER, RESTING, fill
from tests.neuroflux.engine.orders.test_rerouting import decision

LATEST = 5 * SECOND
"""A request that comes later than this after it was signed is refused by its exchange."""


class Theirs(Struct):
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


class LyingExchange(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.book: dict[str, Theirs] = {}
        self.fills: list[Fill] = []
        self.on_the_way: list[tuple[int, Placement]] = []
        self.news: list[OrderInput] = []
        self.numbers = itertools.count()
        self.ended: OrderState | None = None
        command = OrderCommand(order_id="o", kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal(6))
        self.order = received(command, Cause("orders.commands", 0, 7), self.now).order
        self.take(Decided(decision(), (RESTING, OTHER)))

    # ── the executor ─────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, happening: OrderInput, *, crash: bool = False) -> None:
        """One step, and its effects; a crash comes after the journal and before the effects."""
        taken = step(self.order, happening, self.now)
        assert taken.order.filled <= Decimal(6)
        sends = [number for number, one in enumerate(taken.effects) if isinstance(one, Send)]
        journals = [number for number, one in enumerate(taken.effects) if isinstance(one, WriteJournal)]
        assert not sends or (journals and journals[0] < sends[0]), "sent before it was journalled"
        self.order = decode(encode(taken.order))
        if crash:
            self.news.clear()
            self.take(Restored())
            return
        for effect in taken.effects:
            self.perform(effect)

    def perform(self, effect: Effect) -> None:
        match effect:
            case RequestSend(leg):
                self.take(Sending(leg, f"c{leg}-{next(self.numbers)}"))
            case Send(placement):
                self.on_the_way.append((self.now, placement))
            case QueryOrder(_, name):
                self.news.append(Answered(name, Operation.QUERY, self.answer(name), self.now))
            case QueryFills(instrument):
                ours = (one for one in self.fills if one.symbol == instrument.symbol)
                self.news += [FillSeen(one.client_order_id, one) for one in ours]
            case Cancel(_, name):
                if name in self.book and self.book[name].state is not OrderState.FILLED:
                    self.book[name].cancelled = True
                self.news.append(Answered(name, Operation.CANCEL, InDoubt("?"), self.now))
            case RequestReroute():
                self.news.append(Rerouted(decision("nobody else"), ()))

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

    @precondition(lambda self: self.on_the_way)
    @rule(which=st.integers(0, 99), answered=st.sampled_from(["yes", "lost", "doubt"]))
    def arrives(self, which: int, answered: str) -> None:
        sent_at, placement = self.on_the_way.pop(which % len(self.on_the_way))
        if self.now > sent_at + LATEST:
            return
        name = placement.client_order_id
        self.book[name] = Theirs(placement)
        self.news.append(Reported(name, self.report(name)))
        if answered == "yes":
            self.news.append(Answered(name, Operation.PLACE, self.answer(name), self.now))
        elif answered == "doubt":
            self.news.append(Answered(name, Operation.PLACE, InDoubt("HTTP 503"), self.now))

    @precondition(lambda self: self.on_the_way)
    @rule(which=st.integers(0, 99), told=st.booleans())
    def is_lost_on_its_way(self, which: int, told: bool) -> None:
        _, placement = self.on_the_way.pop(which % len(self.on_the_way))
        if told:
            self.news.append(
                Answered(placement.client_order_id, Operation.PLACE, InDoubt("the connection broke"), self.now)
            )

    @precondition(lambda self: self.open())
    @rule(which=st.integers(0, 99), quantity=st.sampled_from([1, 2, 3]), told=st.booleans())
    def fills_some(self, which: int, quantity: int, told: bool) -> None:
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
        if told:
            self.news += [FillSeen(name, seen), Reported(name, self.report(name))]

    # ── what is said, and time ───────────────────────────────────────────────────────────────────────────────────

    @precondition(lambda self: self.news)
    @rule(which=st.integers(0, 99), again=st.booleans(), crash=st.booleans())
    def is_heard(self, which: int, again: bool, crash: bool) -> None:
        happening = self.news.pop(which % len(self.news))
        if again:
            self.news.append(happening)
        self.take(happening, crash=crash)

    @rule(seconds=st.sampled_from([0, 12]))
    def everything_is_heard(self, seconds: int) -> None:
        """In its order, after a while."""
        self.time_passes(seconds)
        for _ in range(len(self.news)):
            self.take(self.news.pop(0))

    @precondition(lambda self: self.news)
    @rule(which=st.integers(0, 99))
    def is_never_heard(self, which: int) -> None:
        self.news.pop(which % len(self.news))

    @rule(seconds=st.sampled_from([0.3, 3, 7, 12]))
    def time_passes(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)
        self.take(Ticked())

    @rule()
    def restarts(self) -> None:
        self.news.clear()
        self.take(Restored())

    @rule(now=st.integers(0, 9))
    def is_cancelled(self, now: int) -> None:
        """Rarely, since little can happen afterwards."""
        if now == 0:
            self.take(CancelRequested("me"))

    # ── what always holds ────────────────────────────────────────────────────────────────────────────────────────

    @invariant()
    def no_leg_is_two_orders(self) -> None:
        legs = [name.partition("-")[0] for name in self.book]
        assert len(legs) == len(set(legs)), f"sent twice: {list(self.book)}"

    @invariant()
    def what_has_ended_stays_ended(self) -> None:
        if self.ended is not None:
            assert self.order.state is self.ended
        self.ended = self.order.state if self.order.state.final else None

    def teardown(self) -> None:
        """Everything is said in the end: the order ends, and with what the exchange has filled."""
        self.take(CancelRequested("the end"))
        for _ in range(200):
            self.on_the_way = [(at, one) for at, one in self.on_the_way if self.now <= at + LATEST]
            while self.on_the_way:
                self.arrives(0, "yes")
            while self.news:
                self.take(self.news.pop(0))
            wake = wake_at(self.order)
            if self.order.state.final and wake is None:
                break
            self.now = max(self.now + SECOND // 10, wake or 0)
            self.take(Ticked())
        assert self.order.state.final, self.order
        assert not self.open()
        assert self.order.filled == sum((one.filled for one in self.book.values()), Decimal(0))


LyingExchange.TestCase.settings = settings(max_examples=100, stateful_step_count=50, deadline=None)
TestLyingExchange = LyingExchange.TestCase
