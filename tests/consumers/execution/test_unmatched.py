"""Reports that match no order: kept while they may be ours, then returned once as others'."""

from __future__ import annotations

from msgspec.structs import replace

from consumers.execution.matching import input_of, unidentified
from consumers.execution.unmatched import KEPT_FOR, Unmatched
from neuroflux.domain import Ack, InDoubt, OrderState
from neuroflux.engine.orders.inputs import Answered, FillSeen, Operation, Sending
from neuroflux.engine.orders.machine import step
from tests.neuroflux.engine.orders.test_machine import LEG, NOW, OTHER, begin, fill, name, report, sent

LATER = NOW + KEPT_FOR


def test_a_fill_of_no_order_of_ours_is_returned_after_a_while_and_once() -> None:
    unmatched = Unmatched(lambda given: False, lambda given: False)
    unmatched.take(fill(1), NOW)
    assert unmatched.others(LATER - 1) == []
    assert unmatched.others(LATER) == [fill(1)]
    unmatched.take(fill(1), LATER)
    assert unmatched.others(LATER + KEPT_FOR) == []


def test_a_fill_that_may_be_of_an_order_in_doubt_waits_as_long_as_the_doubt() -> None:
    ours, known = [True], list[object]()
    unmatched = Unmatched(lambda given: bool(known), lambda given: ours[0])
    unmatched.take(fill(1), NOW)
    assert unmatched.others(LATER + KEPT_FOR) == []
    known.append(1)
    ours[0] = False
    assert unmatched.others(LATER + KEPT_FOR) == [], "it was ours"


def test_an_order_in_doubt_is_one_whose_exchange_id_is_unknown() -> None:
    there = {(LEG.instrument.exchange, called) for called in (LEG.instrument.symbol, LEG.instrument.name)}
    doubtful = step(sent(), Answered(name(), Operation.PLACE, InDoubt("no answer"), NOW), NOW).order
    assert unidentified(doubtful) == unidentified(sent()) == there
    assert unidentified(begin(LEG)) == set()
    answered = step(doubtful, Answered(name(), Operation.QUERY, Ack(report(OrderState.WORKING, 1), ()), NOW), NOW).order
    assert unidentified(answered) == set()


def test_a_fill_without_a_client_id_is_not_matched_to_an_attempt_that_has_none_yet() -> None:
    order = step(begin(LEG, OTHER), Sending(0, name()), NOW).order
    order = step(
        order,
        Answered(name(), Operation.PLACE, Ack(report(OrderState.WORKING, 1), ()), NOW),
        NOW,
    ).order
    given = input_of(order, replace(fill(1), client_order_id=""))
    assert isinstance(given, FillSeen)
    assert given.client_order_id == name()


def test_a_fill_reported_before_and_after_its_listing_is_one() -> None:
    unmatched = Unmatched(lambda given: False, lambda given: False)
    unlisted = replace(fill(1), symbol="NEWXUSDT", name="NEWXUSDT")
    listed = replace(fill(1), symbol="NEWX/USDT", name="NEWXUSDT")
    for given in (unlisted, listed):
        unmatched.take(given, NOW)
    assert unmatched.others(LATER) == [unlisted]


def test_a_fill_that_has_no_client_id_finds_its_attempt_by_the_exchanges_own_name() -> None:
    ack = Answered(name(), Operation.PLACE, Ack(report(OrderState.WORKING), ()), NOW)
    order = step(sent(), ack, NOW).order
    given = input_of(order, replace(fill(1), client_order_id="", symbol="BTCUSDT", name="BTCUSDT"))
    assert isinstance(given, FillSeen)
    assert given.client_order_id == name()
