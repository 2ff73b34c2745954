"""The rate budget: its buffer, its holds, and who goes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.exchanges.kit.requests import DecayingCounter, EachInstrument, WeightRate
from neuroflux.http.budget import LATE, Budget, Urgency, Window


def test_a_budget_keeps_its_buffer_and_fills_again() -> None:
    budget = Budget(600, 0.2, 0.0)
    assert budget.spend(480, 0.0)
    assert not budget.spend(1, 0.0)
    assert budget.wait(8, 0.0) == pytest.approx(1.0)
    assert not budget.spend(8, 0.99)
    assert budget.spend(8, 1.01)


def test_what_is_urgent_may_use_the_buffer() -> None:
    """Market data that reads all its books again uses up the rest; cancels and an account's figures go on."""
    budget = Budget(600, 0.2, 0.0)
    assert budget.spend(480, 0.0)
    assert not budget.spend(1, 0.0)
    assert budget.spend(50, 0.0, urgency=Urgency.FIRST)
    assert not budget.spend(11, 0.0, urgency=Urgency.FIRST), "half of the buffer is for what others use unseen"
    assert budget.wait(10, 0.0, urgency=Urgency.FIRST) == 0


def test_the_buffer_counts_what_others_use_of_the_limit() -> None:
    budget = Budget(600, 0.2, 0.0)
    budget.reported(0.85, 20.0, 0.0)
    assert not budget.spend(1, 1.0)
    assert budget.spend(30, 1.0, urgency=Urgency.FIRST)
    assert budget.wait(1, 1.0, urgency=Urgency.FIRST) == pytest.approx(19.0)


@pytest.mark.parametrize("limit", [WeightRate(10, 60), DecayingCounter(10, 0.01)])
def test_every_bucket_has_its_buffer(limit: WeightRate | DecayingCounter) -> None:
    budget = Budget(600, 0.2, 0.0, buckets={"x": limit})
    assert budget.spend(8, 0.0, "x")
    assert not budget.spend(1, 0.0, "x")
    assert budget.spend(2, 0.0, "x", Urgency.FIRST)
    assert not budget.spend(1, 0.0, "x", Urgency.FIRST)


def test_a_weight_above_the_whole_budget_still_has_its_turn() -> None:
    assert Budget(100, 0.2, 0.0).spend(500, 0.0)


def test_what_the_exchange_says_is_used_is_not_there_again_before_its_next_minute() -> None:
    budget = Budget(6_000, 0.2, 0.0)
    budget.reported(0.75, 20.0, 100.0)
    assert budget.spend(200, 100.0)
    assert not budget.spend(200, 110.0), "4,700 of 4,800 are used"
    assert budget.spend(100, 110.0)
    assert budget.wait(1, 112.0) == pytest.approx(8.0)
    assert budget.spend(200, 120.0)
    budget.reported(1.0, 60.0, 120.0)
    assert not budget.spend(1, 130.0)


@pytest.mark.parametrize("low", [0, 1, 100])
def test_a_lower_limit_leaves_room_and_can_be_taken_back(low: int) -> None:
    budget = Budget(6_000, 0.2, 0.0)
    budget.bound(low, 0.0)
    assert budget.spend(1, 0.0)
    assert 0 <= budget.wait(1, 0.0) < 120
    budget.bound(6_000, 0.0)
    assert budget.spend(4_800, 120.0)
    assert not budget.spend(1, 120.0)


def test_a_hold_stops_everything() -> None:
    budget = Budget(600, 0.2, 0.0)
    budget.hold(5.0, 0.0)
    assert not budget.spend(1, 4.9)
    assert budget.wait(1, 3.0) == pytest.approx(2.0)
    assert budget.spend(1, 5.0)


def test_a_window_has_room_again_when_its_oldest_order_is_past() -> None:
    window = Window(10, 10.0, 0.2)
    for at in range(8):
        assert window.wait(Urgency.ORDER, at) == 0
        window.sent(at)
        window.answered(at + 0.5)
    assert window.wait(Urgency.ORDER, 8.0) == pytest.approx(2.5)
    assert window.wait(Urgency.FIRST, 8.0) == 0, "the buffer is for what is urgent"
    assert window.wait(Urgency.ORDER, 10.5) == 0


def test_an_order_without_an_answer_may_have_come_late() -> None:
    window = Window(1, 10.0, 0.0)
    window.sent(0.0)
    assert window.wait(Urgency.ORDER, 1.0) == pytest.approx(LATE + 9.0)


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, LATE)), max_size=200), st.integers(1, 20))
def test_no_span_at_the_exchange_ever_has_more_orders_than_its_window(
    steps: list[tuple[float, float]], most: int
) -> None:
    """Each order arrives at some time between its sending and its answer."""
    budget, now = Budget(600_000, 0.2, 0.0, [(most, 10.0), (3 * most, 60.0)]), 0.0
    arrived, answers = list[float](), list[float]()
    for pause, way in steps:
        now += pause
        for answer in [one for one in answers if one <= now]:
            answers.remove(answer)
            budget.order_answered(answer)
        if budget.spend_order(1, Urgency.FIRST, now):
            arrived.append(now + way / 2)
            answers = sorted([*answers, now + way])
    for seconds, limit in ((10.0, most), (60.0, 3 * most)):
        assert all(sum(start <= one < start + seconds for one in arrived) <= limit for start in arrived)


def test_what_the_exchange_counts_of_others_counts_too() -> None:
    budget = Budget(6_000, 0.2, 0.0, [(10, 10.0), (100, 60.0)])
    assert budget.orders_reported(10, 7, 0.0) == 0.7
    assert budget.orders_reported(86_400, 7, 0.0) == 0.0, "no limit that is known"
    assert budget.spend_order(1, Urgency.ORDER, 0.0)
    assert not budget.spend_order(1, Urgency.ORDER, 0.0)
    assert budget.spend(1, 0.0), "anything else goes on"


def test_an_order_that_was_one_too_many_stops_orders_alone() -> None:
    budget = Budget(6_000, 0.2, 0.0, [(10, 10.0)])
    budget.full_of_orders(0.0)
    assert budget.wait_order(Urgency.FIRST, 4.0) == pytest.approx(6.0)
    assert budget.spend(1, 4.0)


# ── buckets ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_weight_rate_never_has_more_than_its_most_in_any_of_its_spans() -> None:
    budget = Budget(6_000, 0.2, 0.0, buckets={"klines": WeightRate(10, 2.0)})
    assert budget.spend(5, 0.0, "klines")
    assert budget.spend(3, 1.0, "klines")
    assert not budget.spend(1, 1.5, "klines"), "two of ten are the buffer"
    assert budget.wait(1, 1.5, "klines") == pytest.approx(0.5)
    assert budget.wait(6, 1.5, "klines") == pytest.approx(1.5), "both must be past"
    assert budget.spend(5, 2.0, "klines")


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 8)), max_size=200))
def test_no_span_has_more_weight_than_its_rate(steps: list[tuple[float, int]]) -> None:
    budget, now, spent = Budget(6_000, 0.2, 0.0, buckets={"x": WeightRate(10, 2.0)}), 0.0, list[tuple[float, int]]()
    for pause, weight in steps:
        now += pause
        if budget.spend(weight, now, "x"):
            spent.append((now, weight))
        else:
            assert budget.wait(weight, now, "x") > 0
    assert all(sum(weight for at, weight in spent if start <= at < start + 2.0) <= 8 for start, _ in spent)


def test_a_decaying_counter_has_room_as_fast_as_it_decays() -> None:
    budget = Budget(6_000, 0.2, 0.0, buckets={"private": DecayingCounter(20, 0.5)})
    assert budget.spend(16, 0.0, "private")
    assert not budget.spend(1, 0.0, "private")
    assert budget.wait(2, 0.0, "private") == pytest.approx(4.0)
    assert not budget.spend(2, 3.9, "private")
    assert budget.spend(2, 4.1, "private")
    assert not budget.spend(17, 30.0, "private"), "a request that is heavier than all of it waits until it is empty"
    assert budget.spend(17, 40.0, "private")


def test_each_bucket_is_counted_apart_and_a_hold_is_for_all() -> None:
    budget = Budget(600, 0.2, 0.0, buckets={"a": WeightRate(10, 1.0), "b": DecayingCounter(10, 1.0)})
    assert budget.spend(8, 0.0, "a")
    assert not budget.spend(1, 0.0, "a")
    assert budget.spend(8, 0.0, "b")
    assert budget.spend(480, 0.0)
    budget.reported(1.0, 30.0, 1.0)
    assert not budget.spend(1, 2.0)
    assert budget.spend(1, 2.0, "a"), "the report is of the weight per minute"
    budget.hold(5.0, 2.0)
    assert not any(budget.spend(1, 6.0, bucket) for bucket in ("", "a", "b"))


def test_orders_are_counted_in_their_bucket() -> None:
    budget = Budget(600, 0.0, 0.0, [(10, 10.0)], {"orders": DecayingCounter(2, 1.0)})
    assert budget.spend_order(1, Urgency.FIRST, 0.0, "orders")
    assert budget.spend_order(1, Urgency.FIRST, 0.0, "orders")
    assert not budget.spend_order(1, Urgency.FIRST, 0.0, "orders")
    assert budget.spend_order(1, Urgency.FIRST, 1.0, "orders")
    assert budget.spend(600, 1.0), "none of them in the weight per minute"


def test_a_bucket_that_is_not_declared_is_a_mistake() -> None:
    budget = Budget(600, 0.2, 0.0, buckets={"orders": EachInstrument(WeightRate(10, 2)), "fills": WeightRate(10, 2)})
    assert budget.spend(1, 0.0, "orders BTC")
    for bucket in ("fills BTC", "prices", "prices BTC"):
        with pytest.raises(KeyError):
            budget.spend(1, 0.0, bucket)
