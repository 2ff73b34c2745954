"""Contenders take turns, and are compared within a round, so that a slow moment meets all of them."""

from __future__ import annotations

from itertools import count

import pytest

from benchmarks.turns import Contender, Goal, Measured, Row, in_turns


def test_each_round_begins_with_another_and_the_first_run_does_not_count() -> None:
    ran, numbers = list[str](), count()

    def run(name: str) -> float:
        ran.append(name)
        return float(next(numbers))

    contenders = [Contender(name, "peer", lambda name=name: run(name)) for name in "ab"]  # type: ignore[misc]
    measured = in_turns(contenders, 3)
    assert ran == ["a", "b", "a", "b", "b", "a", "a", "b"]
    assert [one.figures for one in measured] == [(2.0, 5.0, 6.0), (3.0, 4.0, 7.0)]


@pytest.mark.parametrize(("more_is_better", "times"), [(True, 0.5), (False, 2.0)])
def test_a_slow_round_meets_all_and_changes_no_ratio(more_is_better: bool, times: float) -> None:
    ours, peer = Measured("o", "ours", (1.0, 10.0, 1.0)), Measured("p", "peer", (2.0, 20.0, 2.0))
    row = Row("row", "unit", more_is_better, (ours, peer), (Goal("p", times),))
    assert row.ratio(peer) == times
    assert row.met(row.goals[0])
    assert not row.met(Goal("p", times * 1.01))


def test_median_and_spread() -> None:
    measured = Measured("o", "ours", (1.0, 2.0, 4.0))
    assert (measured.median, measured.spread) == (2.0, 0.75)
