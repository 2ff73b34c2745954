"""The order state machine: every transition, every order of inputs, and nothing counted or sent twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    Cause,
    CommandKind,
    Fill,
    InDoubt,
    Instrument,
    InstrumentKind,
    Liquidity,
    NotThere,
    OrderCommand,
    OrderDecision,
    OrderEvent,
    OrderReport,
    OrderState,
    OrderType,
    Reject,
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.engine.orders.effects import (
    Cancel,
    Effect,
    Publish,
    QueryFills,
    QueryOrder,
    RequestDecision,
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
from neuroflux.engine.orders.machine import Step, decode, encode, received, step, wake_at
from neuroflux.engine.orders.rerouting import failed
from neuroflux.engine.orders.state import SETTLED_AFTER, Attempt, Leg, Order, Phase
from neuroflux.engine.orders.table import (
    FILLS_WITHIN,
    FRESH_FOR,
    LOST_AFTER,
    MAX_ATTEMPTS,
    PROVED_WITHIN,
    SECOND,
    SEND_WITHIN,
    TRANSITIONS,
    Input,
)
from neuroflux.records.codec import Codec
from neuroflux.records.topics import EVENTS

BTC = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    market="BTC/USD",
    name="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.SPOT,
)
NOW = 1_000 * SECOND
LEG = Leg(BTC, Side.BUY, Decimal(3), Decimal(100), TimeInForce.IOC, 1.0, NOW)
RESTING = replace(LEG, time_in_force=TimeInForce.GTC)
OTHER = replace(LEG, instrument=replace(BTC, exchange="hyperliquid", symbol="BTC/USDC", quote="USDC"))
NOWHERE = Rerouted(OrderDecision("o", "optimal", (), "no other exchange", (), (), NOW), ())
T = TypeVar("T")


def begin(*legs: Leg) -> Order:
    command = OrderCommand(order_id="o", kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal(3 * len(legs)))
    first = received(command, Cause("orders.commands", 0, 7), NOW)
    decision = OrderDecision("o", "optimal", (), "because", (), (), NOW)
    return step(first.order, Decided(decision, legs), NOW).order


def name(leg: int = 0, attempt: int = 0) -> str:
    return f"o/{leg}/{attempt}"


def sent(*legs: Leg) -> Order:
    order = begin(*(legs or (LEG,)))
    for leg in range(len(order.legs)):
        order = step(order, Sending(leg, name(leg)), NOW).order
    return order


def run(order: Order, inputs: Iterable[OrderInput], now: int = NOW) -> Step:
    effects: tuple[Effect, ...] = ()
    for item in inputs:
        taken = step(order, item, now)
        order, effects = taken.order, effects + taken.effects
    return Step(order, effects)


def report(state: OrderState, filled: int = 0, named: str = "o/0/0") -> OrderReport:
    return OrderReport(
        "binance",
        "BTC/USDT",
        named,
        "77",
        Side.BUY,
        OrderType.LIMIT,
        Decimal(100),
        Decimal(3),
        Decimal(filled),
        Decimal(100 if filled else 0),
        state,
        "",
        NOW,
    )


def fill(trade: int, quantity: int = 1, named: str = "o/0/0") -> Fill:
    return Fill(
        "",
        "binance",
        "BTC/USDT",
        named,
        "77",
        str(trade),
        Side.BUY,
        Decimal(100 + trade),
        Decimal(quantity),
        Decimal("0.1"),
        "USDT",
        Liquidity.TAKER,
        NOW,
    )


def reported(state: OrderState, filled: int = 0) -> Reported:
    return Reported(name(), report(state, filled))


def filled(*trades: int) -> list[OrderInput]:
    return [FillSeen(name(), fill(trade)) for trade in trades]


def of(kind: type[T], effects: Sequence[Effect]) -> list[T]:
    return [one for one in effects if isinstance(one, kind)]


def events(effects: Sequence[Effect]) -> list[OrderEvent]:
    return [one.record for one in of(Publish, effects) if isinstance(one.record, OrderEvent)]


def fills(effects: Sequence[Effect]) -> list[Fill]:
    return [one.record for one in of(Publish, effects) if isinstance(one.record, Fill)]


def answer(
    outcome: Ack | Reject | InDoubt | NotThere | Throttled, operation: Operation = Operation.PLACE, queried: int = NOW
) -> Answered:
    return Answered(name(), operation, outcome, queried)


# ── a normal order ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_intent_is_journalled_before_the_order_is_sent() -> None:
    taken = step(begin(LEG), Sending(0, name()), NOW)
    assert isinstance(taken.effects[0], WriteJournal)
    (send,) = of(Send, taken.effects)
    assert send.placement.client_order_id == name()
    assert send.placement.price == 100
    assert taken.order.attempts[0].phase is Phase.SENDING


def test_an_order_that_fills_at_once() -> None:
    ack = Ack(report(OrderState.FILLED, 3), (fill(1), fill(2), fill(3)))
    done = run(sent(), [answer(ack)])
    assert done.order.state is OrderState.FILLED
    assert done.order.filled == 3
    assert done.order.average == 102
    last = events(done.effects)[-1]
    assert (last.state, last.client_order_id, last.filled_quantity) == (OrderState.FILLED, "", Decimal(3))
    assert [(fee.asset, fee.amount) for fee in last.fees] == [("USDT", Decimal("0.3"))]
    assert {one.order_id for one in fills(done.effects)} == {"o"}
    assert wake_at(done.order) is None


def test_an_order_that_is_not_sent_in_time_expires_at_its_next_tick() -> None:
    order = begin(LEG)
    assert step(order, Ticked(), wake_at(order) or 0).order.state is OrderState.EXPIRED


def test_a_refused_order_has_no_legs_and_ends() -> None:
    order = begin()
    assert order.state is OrderState.REFUSED
    assert order.reason == "because"


def test_a_rejected_order_ends_with_the_exchanges_reason() -> None:
    done = run(sent(), [answer(Reject("-2010", "Account has insufficient balance")), NOWHERE])
    assert done.order.state is OrderState.REJECTED
    assert "insufficient balance" in done.order.reason


@pytest.mark.parametrize("outcome", [Reject("-1", "x" * 2_000_000), InDoubt("x" * 2_000_000)])
def test_a_reason_that_kafka_would_not_accept_is_cut(outcome: Reject | InDoubt) -> None:
    done = run(sent(), [answer(outcome), NOWHERE])
    published = [effect.record for effect in done.effects if isinstance(effect, Publish)]
    assert max(len(repr(one)) for one in (done.order, *published)) < 10_000


def test_an_expired_remainder_leaves_the_order_expired_with_its_fills() -> None:
    done = run(sent(), [answer(Ack(report(OrderState.EXPIRED, 1), (fill(1),)))])
    assert (done.order.state, done.order.filled) == (OrderState.EXPIRED, Decimal(1))


def test_two_legs_end_together_and_average_in_usd_where_their_quotes_differ() -> None:
    order = run(sent(replace(LEG, rate=0.5), OTHER), [answer(Ack(report(OrderState.FILLED, 3), (fill(0, 3),)))]).order
    assert order.state is OrderState.ROUTED
    other = replace(fill(9, 3, name(1)), exchange="hyperliquid", symbol="BTC/USDC", price=Decimal(60))
    done = run(order, [Reported(name(1), report(OrderState.FILLED, 3, name(1))), FillSeen(name(1), other)])
    assert (done.order.state, done.order.filled) == (OrderState.FILLED, Decimal(6))
    assert done.order.average == (Decimal(100) * Decimal("0.5") + 60) / 2
    assert events(done.effects)[-1].exchange == ""


# ── in doubt ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_timeout_is_queried_and_not_sent_again() -> None:
    doubt = run(sent(), [answer(InDoubt("timeout"))])
    assert doubt.order.attempts[0].phase is Phase.IN_DOUBT
    assert not of(Send, doubt.effects)
    queried = step(doubt.order, Ticked(), wake_at(doubt.order) or 0)
    assert [one.client_order_id for one in of(QueryOrder, queried.effects)] == [name()]
    found = run(queried.order, [answer(Ack(report(OrderState.FILLED, 3), ()), Operation.QUERY), *filled(1, 2, 3)])
    assert found.order.state is OrderState.FILLED
    assert len(found.order.attempts) == 1


def test_an_order_that_the_exchange_decides_on_later_is_no_doubt_unless_no_report_of_it_comes() -> None:
    taken = run(sent(RESTING), [answer(InDoubt("accepted", is_taken=True))])
    assert taken.order.attempts[0].phase is Phase.SENDING
    assert not events(taken.effects)
    stands = run(taken.order, [reported(OrderState.ACKNOWLEDGED)])
    assert stands.order.attempts[0].phase is Phase.ACKNOWLEDGED
    assert (wake_at(stands.order) or 0) > NOW + PROVED_WITHIN
    silent = step(taken.order, Ticked(), NOW + PROVED_WITHIN)
    assert [one.client_order_id for one in of(QueryOrder, silent.effects)] == [name()]
    assert silent.order.attempts[0].phase is Phase.IN_DOUBT
    late = run(stands.order, [answer(InDoubt("accepted", is_taken=True))])
    assert late.order.attempts[0].phase is Phase.ACKNOWLEDGED


def test_not_there_counts_only_once_the_request_can_not_arrive_any_more() -> None:
    doubt = run(sent(), [answer(InDoubt("timeout"))]).order
    early = run(doubt, [answer(NotThere("-2013"), Operation.QUERY, NOW + SETTLED_AFTER - 1)], NOW + 2 * SETTLED_AFTER)
    assert early.order.attempts[0].phase is Phase.IN_DOUBT
    assert not of(RequestSend, early.effects)
    late = run(early.order, [answer(NotThere("-2013"), Operation.QUERY, NOW + SETTLED_AFTER)], NOW + SETTLED_AFTER)
    assert [one.leg for one in of(RequestSend, late.effects)] == [0]
    again = run(late.order, [Sending(0, name(0, 1))], NOW + SETTLED_AFTER)
    assert of(Send, again.effects)[0].placement.client_order_id == name(0, 1)


def test_an_answer_that_came_too_early_is_followed_by_one_query_when_it_can_be_proof() -> None:
    doubt = run(sent(), [answer(InDoubt("timeout"))]).order
    early = run(doubt, [answer(NotThere("no"), Operation.QUERY, NOW + SECOND)], NOW + SECOND).order
    assert wake_at(early) == NOW + SETTLED_AFTER
    assert not step(early, Ticked(), NOW + SETTLED_AFTER - 1).effects
    assert of(QueryOrder, step(early, Ticked(), NOW + SETTLED_AFTER).effects)


def test_each_exchange_defines_how_long_a_request_may_still_arrive() -> None:
    """On Binance spot an order may wait longer for the book than its request is valid."""
    soon = 6 * SECOND
    order = step(begin(LEG), Sending(0, name(), soon), NOW).order
    order = run(order, [answer(InDoubt("timeout"))]).order
    early = run(order, [answer(NotThere("-2013"), Operation.QUERY, NOW + soon - 1)], NOW + soon)
    assert not of(RequestSend, early.effects)
    assert of(
        RequestSend, run(early.order, [answer(NotThere("-2013"), Operation.QUERY, NOW + soon)], NOW + soon).effects
    )


def test_attempts_are_bounded() -> None:
    order, now = begin(LEG), NOW
    for attempt in range(MAX_ATTEMPTS):
        order = step(order, Sending(0, name(0, attempt)), now).order
        now += SETTLED_AFTER
        order = step(order, Answered(name(0, attempt), Operation.PLACE, InDoubt("?"), now), now).order
        order = step(order, Answered(name(0, attempt), Operation.QUERY, NotThere("no"), now), now).order
    assert step(order, NOWHERE, now).order.state is OrderState.EXPIRED
    assert len(order.attempts) == MAX_ATTEMPTS


@pytest.mark.parametrize("inputs", [[FillSeen("o/0/0", fill(1, 3))], [reported(OrderState.FILLED, 3)]])
def test_a_fill_after_the_end_is_in_an_event_of_the_whole_order(inputs: list[OrderInput]) -> None:
    ended = run(sent(), [reported(OrderState.ACKNOWLEDGED), CancelRequested("me"), reported(OrderState.CANCELLED)])
    assert [one.filled_quantity for one in events(ended.effects) if not one.client_order_id] == [0]
    late = run(ended.order, inputs)
    (answer,) = [one for one in events(late.effects) if not one.client_order_id]
    assert (answer.state, answer.filled_quantity) == (OrderState.CANCELLED, Decimal(3))
    assert not events(run(late.order, inputs).effects)


def test_an_old_price_is_not_sent() -> None:
    late = step(begin(LEG), Sending(0, name()), NOW + SEND_WITHIN + 1)
    assert not of(Send, late.effects)
    assert late.order.state is OrderState.EXPIRED


def test_an_absent_attempt_that_is_reported_later_is_a_fault_and_cancelled() -> None:
    later = NOW + SETTLED_AFTER
    order = run(sent(RESTING), [answer(InDoubt("?")), answer(NotThere("no"), Operation.QUERY, later)], later).order
    order = run(order, [Sending(0, name(0, 1))], later).order
    ticked = run(order, [reported(OrderState.WORKING)], later)
    assert [one.client_order_id for one in of(Cancel, ticked.effects)] == [name()]
    assert any(event.reason.startswith("fault") for event in events(ticked.effects))


def test_throttled_is_sent_again_under_the_same_attempt_after_the_wait() -> None:
    waiting = run(sent(), [answer(Throttled(3.0, "slow down"))]).order
    assert wake_at(waiting) == NOW + 3 * SECOND
    assert [one.leg for one in of(RequestSend, step(waiting, Ticked(), NOW + 3 * SECOND).effects)] == [0]
    assert len(waiting.attempts) == 1


LONG, WITHOUT_END = Throttled(30.0, "HTTP 429"), Throttled(300.0, "HTTP 418")


@pytest.mark.parametrize("outcome", [LONG, WITHOUT_END])
def test_an_order_that_must_wait_longer_than_its_decision_is_valid_is_rerouted_at_once(outcome: Throttled) -> None:
    waiting = run(sent(), [answer(outcome)])
    assert of(RequestDecision, waiting.effects)
    elsewhere = step(waiting.order, decided(OTHER), NOW)
    assert of(RequestSend, elsewhere.effects)
    assert elsewhere.order.legs == (OTHER,)


@pytest.mark.parametrize("legs", [(), (LEG,), (OTHER, LEG)])
def test_without_another_exchange_the_order_waits_as_requested(legs: tuple[Leg, ...]) -> None:
    waiting = run(sent(), [answer(LONG)]).order
    stays = step(waiting, decided(*legs), NOW)
    assert (stays.order, stays.effects, wake_at(waiting)) == (waiting, (), NOW + 30 * SECOND)
    ticked = step(waiting, Ticked(), NOW + 30 * SECOND)
    assert of(RequestSend, ticked.effects)
    queried = step(ticked.order, Sending(0, name()), NOW + 30 * SECOND)
    assert of(RequestDecision, queried.effects)
    assert step(queried.order, decided(), NOW + 30 * SECOND).order.state is OrderState.REFUSED


def test_without_another_exchange_an_order_that_must_wait_too_long_ends() -> None:
    end = step(run(sent(), [answer(WITHOUT_END)]).order, decided(), NOW).order
    assert (end.state, end.reason) == (OrderState.REFUSED, "again")


def test_a_pair_that_must_wait_is_refused() -> None:
    waiting = run(sent(), [answer(LONG)]).order
    pair = replace(waiting, command=replace(waiting.command, kind=CommandKind.PAIR))
    assert step(pair, decided(), NOW).order.state is OrderState.REFUSED
    assert step(pair, decided(LEG), NOW).order == pair


def test_a_part_that_must_wait_is_rerouted_to_the_others_only() -> None:
    resting = replace(OTHER, time_in_force=TimeInForce.GTC)
    order = run(sent(LEG, resting), [Reported(name(1), report(OrderState.WORKING, 0, name(1)))]).order
    left = run(order, [answer(LONG)])
    assert left.order.attempts[0].phase is Phase.EXPIRED
    (event,) = [one for one in events(left.effects) if not one.client_order_id or one.client_order_id == name()]
    assert event.reason == "HTTP 429; a decision is valid for 5 s"
    ended = run(left.order, [Reported(name(1), report(OrderState.EXPIRED, 0, name(1)))])
    assert of(RequestReroute, ended.effects)
    assert failed(ended.order) == {"binance"}


@pytest.mark.parametrize("change", [{"reducing": Decimal(3)}, {"stage": 1}])
def test_a_reducing_order_and_a_hedge_wait(change: dict[str, object]) -> None:
    kind = CommandKind.PAIR if "stage" in change else CommandKind.PLACE
    order = begin(replace(LEG, **change))
    order = replace(order, command=replace(order.command, kind=kind))
    waiting = run(order, [Sending(0, name()), answer(LONG)])
    assert not of(RequestDecision, waiting.effects)
    assert wake_at(waiting.order) == NOW + 30 * SECOND


def decided(*legs: Leg) -> Decided:
    return Decided(OrderDecision("o", "optimal", (), "again", (), (), NOW), legs)


def test_after_a_restart_an_attempt_that_was_being_sent_is_queried() -> None:
    restored = step(decode(encode(sent())), Restored(), NOW + SECOND)
    assert not of(Send, restored.effects)
    assert not of(RequestSend, restored.effects)
    assert [one.client_order_id for one in of(QueryOrder, restored.effects)] == [name()]
    assert restored.order.attempts[0].phase is Phase.IN_DOUBT


def test_after_a_restart_an_order_that_was_only_decided_is_sent() -> None:
    assert of(RequestSend, step(decode(encode(begin(LEG))), Restored(), NOW + SECOND).effects)


def test_a_missing_answer_puts_the_order_in_doubt() -> None:
    order = sent()
    lost = step(order, Ticked(), wake_at(order) or 0)
    assert lost.order.attempts[0].phase is Phase.IN_DOUBT
    assert of(QueryOrder, lost.effects)


# ── cancels ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_working_order_is_cancelled_and_then_queried_for_its_fills() -> None:
    working = run(sent(RESTING), [reported(OrderState.WORKING)]).order
    queried = step(working, CancelRequested("by me"), NOW)
    assert isinstance(queried.effects[0], WriteJournal)
    assert of(Cancel, queried.effects)
    answered = step(queried.order, answer(Ack(report(OrderState.CANCELLED)), Operation.CANCEL), NOW)
    assert of(QueryOrder, answered.effects)
    assert answered.order.state is OrderState.ROUTED
    done = run(answered.order, [answer(Ack(report(OrderState.CANCELLED, 1)), Operation.QUERY), *filled(1)])
    assert (done.order.state, done.order.filled, done.order.reason) == (OrderState.CANCELLED, Decimal(1), "by me")


def test_a_cancel_waits_for_an_order_in_doubt_and_is_repeated() -> None:
    order = run(sent(RESTING), [answer(InDoubt("?"))]).order
    assert not of(Cancel, step(order, CancelRequested("by me"), NOW).effects)
    order = step(order, CancelRequested("by me"), NOW).order
    found = run(order, [answer(Ack(report(OrderState.WORKING)), Operation.QUERY)])
    assert of(Cancel, found.effects)
    assert of(Cancel, step(found.order, Ticked(), wake_at(found.order) or 0).effects)


def test_an_order_throttled_after_a_cancel_is_not_sent_again() -> None:
    order = step(sent(), CancelRequested("halted"), NOW).order
    done = run(order, [answer(Throttled(0.1, "slow down")), Ticked()], NOW + SECOND)
    assert (done.order.state, done.order.reason) == (OrderState.CANCELLED, "halted")
    assert not of(RequestSend, done.effects)


def test_an_unsent_order_is_cancelled_at_once() -> None:
    done = step(begin(LEG), CancelRequested("by me"), NOW)
    assert done.order.state is OrderState.CANCELLED
    assert not of(Send, step(done.order, Sending(0, name()), NOW).effects)


def test_a_late_cancel_is_reported_and_changes_nothing() -> None:
    done = run(sent(), [answer(Reject("", "no")), NOWHERE]).order
    late = step(done, CancelRequested("by me"), NOW)
    assert late.order == done
    assert events(late.effects)[0].reason == "nothing to cancel: the order is rejected"
    assert not of(WriteJournal, late.effects)


# ── fills and reports ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_does_not_end_before_its_fills_are_received() -> None:
    waiting = run(sent(), [reported(OrderState.FILLED, 3), *filled(1)])
    assert waiting.order.state is OrderState.ROUTED
    assert events(waiting.effects)[-1].state is OrderState.WORKING
    queried = step(waiting.order, Ticked(), wake_at(waiting.order) or 0)
    assert of(QueryFills, queried.effects)
    given_up = step(queried.order, Ticked(), NOW + FILLS_WITHIN + SECOND)
    assert given_up.order.state is OrderState.FILLED
    assert "fills of 2 were not seen" in given_up.order.reason


def test_a_fill_before_the_acknowledgement_makes_it_work() -> None:
    order = run(sent(RESTING), filled(1)).order
    assert order.attempts[0].phase is Phase.WORKING
    late = run(order, [answer(Ack(report(OrderState.ACKNOWLEDGED)))]).order
    assert late.attempts[0].phase is Phase.WORKING


def test_a_quiet_order_is_queried_and_a_lost_one_ends() -> None:
    order = run(sent(RESTING), [reported(OrderState.WORKING)]).order
    assert of(QueryOrder, step(order, Ticked(), wake_at(order) or 0).effects)
    for _ in range(LOST_AFTER):
        order = run(order, [answer(NotThere("no"), Operation.QUERY)], NOW + SECOND).order
    assert order.state is OrderState.EXPIRED


def test_an_impossible_step_is_published_as_a_fault_and_changes_nothing() -> None:
    working = run(sent(), [reported(OrderState.WORKING)]).order
    odd = step(working, answer(Reject("-1", "no")), NOW)
    assert odd.order == working
    assert events(odd.effects)[0].reason.startswith("fault: refused does not follow working")
    unknown = step(working, FillSeen("unknown", fill(1)), NOW)
    assert unknown.order == working
    assert events(unknown.effects)[0].reason.startswith("fault")


INPUT_SETS: dict[str, list[OrderInput]] = {
    "filled": [
        answer(Ack(report(OrderState.ACKNOWLEDGED))),
        reported(OrderState.WORKING, 1),
        reported(OrderState.FILLED, 3),
        *filled(1, 2, 3, 2),
    ],
    "cancelled": [
        answer(Ack(report(OrderState.ACKNOWLEDGED))),
        reported(OrderState.WORKING, 1),
        reported(OrderState.CANCELLED, 2),
        *filled(1, 2, 1),
    ],
    "expired": [
        answer(Ack(report(OrderState.EXPIRED, 1), (fill(1),))),
        reported(OrderState.ACKNOWLEDGED),
        reported(OrderState.EXPIRED, 1),
        *filled(1),
    ],
    "in doubt": [
        answer(InDoubt("?")),
        reported(OrderState.WORKING, 2),
        reported(OrderState.FILLED, 3),
        *filled(1, 2, 3),
    ],
}


def end_of(order: Order) -> tuple[OrderState, Decimal, Decimal | None, set[str]]:
    return order.state, order.filled, order.average, {one.trade_id for a in order.attempts for one in a.fills}


@pytest.mark.parametrize("story", INPUT_SETS)
def test_inputs_in_any_order_have_the_same_result(story: str) -> None:
    ends = set()
    for inputs in itertools.permutations(INPUT_SETS[story]):
        done = run(sent(RESTING), inputs)
        state, amount, average, trades = end_of(done.order)
        assert average is not None
        ends.add((state, amount, average.quantize(Decimal("1e-9")), frozenset(trades)))
        assert len({one.trade_id for one in fills(done.effects)}) == len(fills(done.effects))
        finals = [event for event in events(done.effects) if event.state.final and not event.client_order_id]
        assert len(finals) == 1
        assert not any(event.reason.startswith("fault") for event in events(done.effects))
    assert len(ends) == 1


def any_input() -> st.SearchStrategy[OrderInput]:
    """Any input about one placement, in any order, true or not."""
    states = [s for s in OrderState if s.value in {one.value for one in Input}]
    outcome = st.one_of(
        st.builds(lambda s, f: Ack(report(s, f)), st.sampled_from(states), st.integers(0, 3)),
        st.just(Reject("1", "no")),
        st.just(InDoubt("?")),
        st.just(NotThere("no")),
        st.just(Throttled(0.1, "slow")),
    )
    return st.one_of(
        st.builds(answer, outcome, st.sampled_from(Operation), st.sampled_from([NOW, NOW + SETTLED_AFTER])),
        st.builds(lambda s, f: reported(s, f), st.sampled_from(states), st.integers(0, 3)),
        st.builds(lambda t: filled(t)[0], st.integers(1, 3)),
        st.sampled_from([Ticked(), Restored(), CancelRequested("me"), Sending(0, name()), Sending(0, name(0, 1))]),
    )


@given(st.lists(st.tuples(any_input(), st.integers(0, 20 * SECOND)), max_size=25), st.sampled_from([LEG, RESTING]))
def test_no_input_breaks_the_machine(inputs: list[tuple[OrderInput, int]], leg: Leg) -> None:
    order, now, ended = sent(leg), NOW, False
    published: list[str] = []
    for item, later in inputs:
        now += later
        taken = step(order, item, now)
        published += [one.trade_id for one in fills(taken.effects)]
        sends = of(Send, taken.effects)
        assert not sends or isinstance(item, Sending)
        assert not sends or isinstance(taken.effects[0], WriteJournal)
        assert not (ended and not taken.order.state.final)
        order, ended = taken.order, taken.order.state.final
        assert order.attempts[0].seen <= 3
        assert decode(encode(order)) == order
    assert len(published) == len(set(published))
    assert order.filled <= 3


@given(st.lists(any_input(), max_size=25))
def test_nothing_is_sent_twice_under_one_id(inputs: list[OrderInput]) -> None:
    """Except for an attempt that the exchange refused by a rate limit before it took effect."""
    order, ids = sent(), [name()]
    for item in inputs:
        before = order
        taken = step(order, item, NOW)
        order = taken.order
        for one in of(Send, taken.effects):
            named = one.placement.client_order_id
            assert named not in ids or before.attempts[-1].phase is Phase.ROUTED
            ids.append(named)


def test_a_final_phase_is_left_only_by_proof_that_it_was_wrong() -> None:
    for phase, row in TRANSITIONS.items():
        if phase.final and phase is not Phase.ABSENT:
            assert set(row.values()) == {phase}


def test_an_unchanged_order_is_not_journalled() -> None:
    order = run(sent(RESTING), [reported(OrderState.WORKING)]).order
    assert not step(order, reported(OrderState.WORKING), NOW + SECOND).effects


def test_a_reported_average_changes_nothing_when_all_fills_are_known() -> None:
    """An order that has ended is not reopened for an average that its fills already give."""
    unknown = replace(report(OrderState.FILLED, 3), average_price=None)
    done = run(sent(), [answer(Ack(unknown, (fill(1), fill(2), fill(3))))]).order
    assert done.attempts[0].reported_average is None
    assert not step(done, reported(OrderState.FILLED, 3), NOW + SECOND).effects


def test_attempts_know_their_average() -> None:
    attempt = Attempt(0, 0, reported=Decimal(3), reported_average=Decimal(50), fills=(fill(1),))
    assert attempt.average == 50
    assert replace(attempt, fills=(fill(1), fill(2), fill(3))).average == 102


PRICES = st.decimals("0.00000001", "100000", places=8)
PARTS = st.decimals("0.00001", "3", places=5)


@given(levels=st.lists(st.tuples(PRICES, PARTS), min_size=1, max_size=5), rate=st.floats(0.9, 1.1))
def test_events_can_be_written_whatever_the_fill_prices(levels: list[tuple[Decimal, Decimal]], rate: float) -> None:
    """A quotient has more places than the topics' decimals."""
    codec = Codec({EVENTS.name: 1})
    order = sent(LEG, replace(OTHER, rate=rate))
    for number, (price, part) in enumerate(levels):
        leg = number % 2
        ours = replace(fill(number, named=name(leg)), price=price, quantity=part)
        taken = step(order, FillSeen(name(leg), ours), NOW)
        order = taken.order
        for event in events(taken.effects):
            assert codec.decode(EVENTS, codec.encode(EVENTS, event)) == event
    paid = sum(price * part for price, part in levels[::2])
    seen = sum(part for _, part in levels[::2])
    average = order.attempts[0].average
    assert average is not None
    assert abs(average - Decimal(paid) / Decimal(seen)) <= Decimal("1e-18")


# ── orders that waited too long ──────────────────────────────────────────────────────────────────────────────────

LATER = NOW + FRESH_FOR + 1


def test_a_leg_that_was_never_sent_is_reported_while_the_other_rests() -> None:
    """Half of a redundant order whose exchange accepts no orders for a while must not be dropped without an event."""
    order = begin(RESTING, replace(OTHER, time_in_force=TimeInForce.GTC))
    order = step(order, Sending(0, name(0)), NOW).order
    order = run(order, [answer(Ack(report(OrderState.ACKNOWLEDGED), ()))]).order
    late = step(order, Sending(1, name(1)), LATER)
    assert not of(Send, late.effects)
    (event,) = events(late.effects)
    assert (event.state, event.client_order_id) == (order.state, "")
    assert event.reason.startswith("nothing was sent to hyperliquid for BTC/USDC: not sent within")


def again(price: int) -> Decided:
    legs = (replace(LEG, price=Decimal(price), decided_at=LATER),)
    return Decided(OrderDecision("o", "optimal", (), "again", (), (), LATER), legs)


def test_an_order_that_waited_over_a_restart_is_decided_again_and_sent_at_the_new_bound() -> None:
    restored = step(begin(LEG), Restored(), LATER)
    assert RequestSend(0) in restored.effects
    queried = step(restored.order, Sending(0, name()), LATER)
    assert queried.effects == (RequestDecision(),)
    assert queried.order.attempts[0].phase is Phase.ROUTED
    decided = step(queried.order, again(120), LATER)
    assert RequestSend(0) in decided.effects
    assert Publish(again(120).decision) in decided.effects
    (send,) = [e for e in step(decided.order, Sending(0, name()), LATER).effects if isinstance(e, Send)]
    assert send.placement.price == 120


def test_an_order_that_is_refused_when_decided_again_ends() -> None:
    queried = step(begin(LEG), Sending(0, name()), LATER)
    end = step(queried.order, Decided(NOWHERE.decision, ()), LATER).order
    assert (end.state, end.reason, wake_at(end)) == (OrderState.REFUSED, "no other exchange", None)


def test_a_decision_after_a_send_or_a_cancel_changes_nothing() -> None:
    assert step(sent(), again(120), LATER).order.legs == (LEG,)
    cancelled = step(step(begin(LEG), Sending(0, name()), LATER).order, CancelRequested("no"), LATER).order
    assert step(cancelled, again(120), LATER).order.state is OrderState.CANCELLED


def test_the_unsent_rest_of_a_split_is_routed_again_to_every_exchange() -> None:
    order = step(begin(LEG, OTHER), Sending(0, name()), NOW).order
    late = step(order, Sending(1, name(1)), LATER)
    assert not [e for e in late.effects if isinstance(e, Send | RequestDecision)]
    filled_one = run(
        late.order, [Reported(name(), report(OrderState.FILLED, 3)), *(FillSeen(name(), fill(n)) for n in range(3))]
    )
    assert RequestReroute() in filled_one.effects
    assert failed(filled_one.order) == frozenset()


def test_an_order_is_not_decided_again_without_end() -> None:
    end = step(begin(LEG), Sending(0, name()), NOW + SEND_WITHIN + 1).order
    assert end.state is OrderState.EXPIRED


# ── orders without an answer ─────────────────────────────────────────────────────────────────────────────────────


def two_hours(order: Order, answer: Callable[[QueryOrder | Cancel], OrderInput]) -> tuple[Order, list[Effect]]:
    """Every query and cancel is answered at once; time advances to the order's next timer."""
    effects: list[Effect] = []
    end, now = NOW + 7_200 * SECOND, NOW
    while (wake := wake_at(order)) is not None and wake <= end:
        now = max(now, wake)
        taken = step(order, Ticked(), now)
        effects += taken.effects
        order = taken.order
        for effect in taken.effects:
            if isinstance(effect, QueryOrder | Cancel):
                answered = step(order, answer(effect), now)
                order, effects = answered.order, [*effects, *answered.effects]
    return order, effects


def doubtful(effect: QueryOrder | Cancel) -> OrderInput:
    operation = Operation.QUERY if isinstance(effect, QueryOrder) else Operation.CANCEL
    return Answered(effect.client_order_id, operation, InDoubt("no word for 'internalCancel'"), NOW + 7_200 * SECOND)


def faults(effects: Iterable[Effect]) -> list[str]:
    events = [e.record for e in effects if isinstance(e, Publish) and isinstance(e.record, OrderEvent)]
    return [event.reason for event in events if event.reason.startswith("fault: ")]


@pytest.mark.parametrize("cancelled", [False, True])
def test_an_order_whose_state_stays_unknown_is_handed_to_a_person(cancelled: bool) -> None:
    order = run(sent(RESTING), [Reported(name(), report(OrderState.WORKING))]).order
    order = step(order, CancelRequested("me"), NOW).order if cancelled else order
    order, effects = two_hours(order, doubtful)
    assert len([e for e in effects if isinstance(e, QueryOrder)]) <= 300
    assert len([e for e in effects if isinstance(e, Cancel)]) <= 61
    (reason,) = faults(effects)
    assert "check the order on the exchange" in reason
    assert not order.state.final
    assert wake_at(order) is None
    late = step(order, Reported(name(), report(OrderState.CANCELLED)), NOW + 7_300 * SECOND).order
    assert late.state is OrderState.CANCELLED, "a later report still counts"
    restarted = step(order, Restored(), NOW + 7_300 * SECOND)
    assert [e for e in restarted.effects if isinstance(e, QueryOrder)], "and it is queried again after a restart"


def test_an_order_that_stays_open_after_every_cancel_is_handed_to_a_person() -> None:
    order = run(sent(RESTING), [Reported(name(), report(OrderState.WORKING)), CancelRequested("me")]).order

    def still_open(effect: QueryOrder | Cancel) -> OrderInput:
        if isinstance(effect, Cancel):
            return Answered(effect.client_order_id, Operation.CANCEL, InDoubt("no"), NOW)
        return Answered(effect.client_order_id, Operation.QUERY, Ack(report(OrderState.WORKING)), NOW)

    order, effects = two_hours(order, still_open)
    assert len([e for e in effects if isinstance(e, Cancel)]) == 59, "and the first"
    assert len(faults(effects)) == 1
    again = step(order, CancelRequested("once more"), NOW + 7_300 * SECOND)
    assert [e for e in again.effects if isinstance(e, Cancel)]


def test_reports_count_after_an_outage_of_ten_minutes() -> None:
    order = step(sent(), Answered(name(), Operation.PLACE, InDoubt("no answer"), NOW), NOW).order
    for _ in range(200):
        now = wake_at(order) or 0
        order = step(order, Ticked(), now).order
        order = step(order, Answered(name(), Operation.QUERY, InDoubt("no answer"), now), now).order
        if now > NOW + 600 * SECOND:
            break
    end = run(order, [Reported(name(), report(OrderState.FILLED, 3)), *(FillSeen(name(), fill(n)) for n in range(3))])
    assert end.order.state is OrderState.FILLED


# ── unknown averages, and fills that are received twice ──────────────────────────────────────────────────────────


def averages(effects: Iterable[Effect]) -> list[Decimal | None]:
    return [e.record.average_price for e in effects if isinstance(e, Publish) and isinstance(e.record, OrderEvent)]


@pytest.mark.parametrize("unreported", [None, Decimal(0)])
def test_an_unreported_average_is_unknown_and_published_once_known(unreported: Decimal | None) -> None:
    part = replace(report(OrderState.WORKING, 2), average_price=unreported)
    first = run(sent(RESTING), [Reported(name(), part)])
    assert averages(first.effects)[-1] is None
    assert step(first.order, Reported(name(), part), NOW).effects == ()
    known = step(first.order, Reported(name(), replace(part, average_price=Decimal("150.4"))), NOW)
    assert averages(known.effects) == [Decimal("150.4")]
    again = step(known.order, Reported(name(), part), NOW)
    assert again.order.attempts[0].average == Decimal("150.4")


def test_a_fill_counts_once_with_or_without_its_instruments_name() -> None:
    order = run(
        sent(), [FillSeen(name(), fill(1)), FillSeen(name(), replace(fill(1), name="BTCUSDT", symbol="BTCUSDT"))]
    )
    assert len(order.order.attempts[0].fills) == 1


def test_an_order_amended_by_another_client_continues_under_its_new_id() -> None:
    """Hyperliquid's ``modify`` reports ``open`` for the new order, then ``canceled`` for the old; both have one id."""
    still_open = run(sent(RESTING), [reported(OrderState.ACKNOWLEDGED)])
    renamed = replace(report(OrderState.ACKNOWLEDGED), exchange_order_id="78")
    replaced = run(still_open.order, [Reported(name(), renamed), reported(OrderState.CANCELLED)])
    (attempt,) = replaced.order.attempts
    assert (attempt.phase, attempt.exchange_order_id) == (Phase.ACKNOWLEDGED, "78")
    assert of(Cancel, step(replaced.order, CancelRequested("halt"), NOW).effects)
    queried = step(replaced.order, Ticked(), wake_at(replaced.order) or 0)
    assert [one.client_order_id for one in of(QueryOrder, queried.effects)] == [name()]
    ended = step(queried.order, Reported(name(), replace(renamed, state=OrderState.CANCELLED)), NOW)
    assert ended.order.state is OrderState.CANCELLED


def test_an_end_under_an_unconfirmed_id_is_handed_to_a_person() -> None:
    order, now = run(sent(RESTING), [reported(OrderState.ACKNOWLEDGED)]).order, NOW
    other, effects = replace(report(OrderState.CANCELLED), exchange_order_id="78"), list[Effect]()
    while (at := wake_at(order)) and not order.attempts[0].is_unanswered:
        now = max(now, at)
        for item in (Ticked(), Reported(name(), other)):
            taken = step(order, item, now)
            order, effects = taken.order, [*effects, *taken.effects]
    assert not order.state.final
    assert "check the order on the exchange" in events(effects)[-1].reason
