"""What an exchange failed to take is rerouted: once, no more than is missing, and never while in doubt."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    Cause,
    CommandKind,
    CommandLeg,
    InDoubt,
    NotThere,
    OrderCommand,
    OrderDecision,
    OrderState,
    Reject,
    Side,
    TimeInForce,
)
from neuroflux.engine.orders.effects import Cancel, RequestReroute, RequestSend, Send
from neuroflux.engine.orders.inputs import (
    Abandoned,
    Answered,
    CancelRequested,
    Decided,
    FillSeen,
    GivenUp,
    Hedged,
    Operation,
    Reported,
    Rerouted,
    Restored,
    Sending,
)
from neuroflux.engine.orders.machine import received, step
from neuroflux.engine.orders.rerouting import rest
from neuroflux.engine.orders.state import SETTLED_AFTER, Leg, Order
from neuroflux.engine.orders.table import MAX_ATTEMPTS, MAX_REROUTES, SEND_WITHIN
from tests.neuroflux.engine.orders.test_machine import (
    LEG,
    NOW,
    OTHER,
    RESTING,
    answer,
    begin,
    events,
    fill,
    name,
    of,
    report,
    reported,
    run,
)

REFUSED = Reject("-2010", "no")


def decision(reason: str = "elsewhere") -> OrderDecision:
    return OrderDecision("o", "optimal", (), reason, (), (), NOW)


def about(outcome: Ack | Reject | InDoubt, attempt: str) -> Answered:
    return Answered(attempt, Operation.PLACE, outcome, NOW)


def sent(strategy: str, *legs: Leg) -> Order:
    command = OrderCommand(
        order_id="o", kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal(3 * len(legs)), strategy=strategy
    )
    order = received(command, Cause("orders.commands", 0, 7), NOW).order
    order = step(order, Decided(decision(), legs), NOW).order
    for number in range(len(legs)):
        order = step(order, Sending(number, name(number)), NOW).order
    return order


def test_a_rejected_part_is_rerouted_and_the_order_is_filled() -> None:
    refused = run(sent("optimal", LEG), [answer(REFUSED)])
    assert len(of(RequestReroute, refused.effects)) == 1
    assert rest(refused.order) == 3
    moved = step(refused.order, Rerouted(decision(), (OTHER,)), NOW)
    assert [one.leg for one in of(RequestSend, moved.effects)] == [1]
    order = run(moved.order, [Sending(1, name(1))]).order
    other = replace(fill(1, 3, name(1)), exchange="hyperliquid", symbol="BTC/USDC")
    inputs = replace(report(OrderState.FILLED, 3, name(1)), exchange="hyperliquid", symbol="BTC/USDC")
    done = run(order, [about(Ack(inputs, (other,)), name(1))])
    assert (done.order.state, done.order.filled) == (OrderState.FILLED, Decimal(3))


def test_nothing_is_rerouted_while_an_attempt_is_in_doubt_or_open() -> None:
    order = run(sent("redundant", LEG, OTHER), [answer(REFUSED), about(InDoubt("?"), name(1))])
    assert not of(RequestReroute, order.effects)


def test_the_unfilled_rest_is_rerouted_for_a_redundant_order_only() -> None:
    expired = answer(Ack(report(OrderState.EXPIRED, 1), (fill(1),)))
    redundant = run(sent("redundant", LEG), [expired])
    assert rest(redundant.order) == 2
    assert of(RequestReroute, redundant.effects)
    plain = run(sent("optimal", LEG), [expired])
    assert plain.order.state is OrderState.EXPIRED


def test_without_another_exchange_the_order_ends_with_the_reason() -> None:
    done = run(sent("optimal", LEG), [answer(REFUSED), Rerouted(decision("liquidity: none"), ())])
    assert done.order.state is OrderState.REJECTED
    assert done.order.reason == "-2010: no; liquidity: none"


def test_reroutes_are_bounded() -> None:
    order = sent("optimal", LEG)
    for number in range(MAX_REROUTES):
        order = run(order, [about(REFUSED, name(number)), Rerouted(decision(), (OTHER,))]).order
        order = run(order, [Sending(number + 1, name(number + 1))]).order
    assert run(order, [about(REFUSED, name(MAX_REROUTES))]).order.state is OrderState.REJECTED


def test_a_cancelled_or_old_order_is_not_rerouted() -> None:
    assert run(sent("optimal", LEG), [CancelRequested("me"), answer(REFUSED)]).order.state.final
    assert run(sent("optimal", LEG), [answer(REFUSED)], NOW + SEND_WITHIN + 1).order.state.final


def test_a_leg_that_waits_for_a_failed_exchange_is_given_up_and_rerouted() -> None:
    given_up = step(begin(LEG), GivenUp(0, "connection refused"), NOW)
    assert of(RequestReroute, given_up.effects)
    assert not of(Send, step(given_up.order, Sending(0, name()), NOW).effects)


def test_an_open_leg_on_a_failed_exchange_is_cancelled_before_it_is_rerouted() -> None:
    order = run(sent("optimal", RESTING), [reported(OrderState.WORKING)]).order
    left = step(order, Abandoned("binance", "offline"), NOW)
    assert [one.client_order_id for one in of(Cancel, left.effects)] == [name()]
    assert not of(RequestReroute, left.effects), "it may be filled there yet"
    filled_one = step(left.order, FillSeen(name(), fill(1)), NOW).order
    done = run(filled_one, [Reported(name(), report(OrderState.CANCELLED, 1))])
    assert of(RequestReroute, done.effects)
    assert rest(done.order) == 2
    assert run(order, [Abandoned("hyperliquid", "")]).order == order


def test_after_a_crash_the_reroute_is_requested_again() -> None:
    refused = run(sent("optimal", LEG), [answer(REFUSED)]).order
    assert of(RequestReroute, step(refused, Restored(), NOW).effects)


# ── absent attempts that are reported after their reroute ────────────────────────────────────────────────────────

NO_ANSWER = InDoubt("no answer")
PAIR = (LEG, replace(OTHER, side=Side.SELL))


def absent(order: Order, leg: int = 0) -> Order:
    """The order with all attempts of a leg sent, and each absent when it was queried."""
    for number in range(MAX_ATTEMPTS):
        named = name(leg, number)
        queried = [about(NO_ANSWER, named), Answered(named, Operation.QUERY, NotThere("?"), NOW + SETTLED_AFTER)]
        order = run(order, [Sending(leg, named), *queried]).order
    return order


def elsewhere(state: OrderState, filled: int, named: str = name(1)) -> Reported:
    return Reported(named, replace(report(state, filled, named), exchange="hyperliquid", symbol="BTC/USDC"))


def turned_up(filled: int) -> Reported:
    last = name(0, MAX_ATTEMPTS - 1)
    return Reported(last, report(OrderState.FILLED if filled == 3 else OrderState.WORKING, filled, last))


def moved_away() -> Order:
    """It was absent on the first exchange, so it is open on the second."""
    lost = absent(begin(RESTING))
    moved = run(lost, [Rerouted(decision(), (replace(OTHER, time_in_force=TimeInForce.GTC),)), Sending(1, name(1))])
    return run(moved.order, [elsewhere(OrderState.WORKING, 0)]).order


def test_an_attempt_reported_after_its_reroute_is_cancelled_and_the_excess_is_reported() -> None:
    found = run(moved_away(), [turned_up(1)])
    assert [one.client_order_id for one in of(Cancel, found.effects)] == [name(0, MAX_ATTEMPTS - 1)]
    assert any("no such order" in one.reason for one in events(found.effects))
    end = run(found.order, [elsewhere(OrderState.FILLED, 3), *later_fills(3, name(1), "hyperliquid")])
    last = name(0, MAX_ATTEMPTS - 1)
    end = run(end.order, [Reported(last, report(OrderState.CANCELLED, 1, last)), FillSeen(last, fill(9, 1, last))])
    (whole,) = [one for one in events(end.effects) if not one.client_order_id]
    assert whole.filled_quantity == 4
    assert whole.reason.endswith("filled 1 more than was ordered")


def later_fills(quantity: int, named: str, exchange: str) -> list[FillSeen]:
    return [FillSeen(named, replace(fill(n, 1, named), exchange=exchange)) for n in range(quantity)]


def test_when_a_late_report_fills_the_order_its_open_rest_is_cancelled() -> None:
    found = run(moved_away(), [turned_up(3)])
    assert [one.client_order_id for one in of(Cancel, found.effects)] == [name(1)]


def test_when_a_late_report_fills_the_order_its_rest_is_not_sent() -> None:
    waiting = run(absent(begin(RESTING)), [Rerouted(decision(), (OTHER,)), turned_up(3)]).order
    assert not of(Send, step(waiting, Sending(1, name(1)), NOW).effects)


def test_a_leg_of_a_pair_reported_after_its_hedge_is_cancelled() -> None:
    legs = tuple(CommandLeg(one.instrument.exchange, one.instrument.symbol, one.side, Decimal(3)) for one in PAIR)
    command = OrderCommand(
        order_id="o", kind=CommandKind.PAIR, market="BTC/USD", quantity=Decimal(3), legs=legs, issued_at=NOW
    )
    order = received(command, Cause("orders.commands", 0, 7), NOW).order
    order = run(order, [Decided(decision(), PAIR), Sending(1, name(1))]).order
    order = absent(run(order, [elsewhere(OrderState.FILLED, 3), *later_fills(3, name(1), "hyperliquid")]).order)
    hedged = run(order, [Hedged((replace(PAIR[1], side=Side.BUY),)), Sending(2, name(2))])
    assert of(Send, hedged.effects)
    found = run(hedged.order, [turned_up(0)])
    assert [one.client_order_id for one in of(Cancel, found.effects)] == [name(0, MAX_ATTEMPTS - 1)]
