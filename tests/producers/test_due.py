"""When an account's figures are requested; with simulated time."""

from __future__ import annotations

from itertools import pairwise

import pytest

from producers.due import AGAIN, APART, FAILED_SECONDS, FIGURES_SECONDS, FULL_SECONDS, SOON, Due, What


def read(due: Due, now: float, *, whole: bool = True) -> What:
    assert due.wait(now) <= 1e-9
    what = due.begin(now)
    due.ended(what, now, is_whole=whole)
    return what


def test_everything_at_the_start_and_once_a_minute_and_figures_in_between() -> None:
    due = Due(100.0)
    assert read(due, 100.0) is What.EVERYTHING
    assert due.wait(100.0) == FIGURES_SECONDS
    for tens in range(1, 6):
        assert read(due, 100.0 + FIGURES_SECONDS * tens) is What.FIGURES
    assert read(due, 100.0 + FULL_SECONDS) is What.EVERYTHING


def test_many_changes_are_one_reading_soon_and_one_when_it_has_settled() -> None:
    due = Due(100.0)
    read(due, 100.0)
    for tenth in range(10):
        due.changed(105.0 + tenth / 100)
    assert due.wait(105.1) == pytest.approx(SOON - 0.1)
    assert read(due, 105.2) is What.FIGURES
    assert due.wait(105.2) == pytest.approx(AGAIN - 0.2)
    assert read(due, 107.0) is What.FIGURES
    assert due.wait(107.0) == pytest.approx(FIGURES_SECONDS)


def test_readings_are_apart_however_much_changes() -> None:
    due, now, times = Due(0.0), 0.0, []
    while now < 20.0:
        if due.wait(now) <= 0:
            times.append(now)
            read(due, now)
        due.changed(now)
        now += 0.05
    assert min(after - before for before, after in pairwise(times)) >= APART
    assert len(times) <= 21


def test_a_change_during_a_reading_is_read_after_it() -> None:
    due = Due(0.0)
    what = due.begin(0.0)
    due.changed(0.5)
    due.ended(what, 1.0, is_whole=True)
    assert due.wait(1.0) == 0.0


def test_what_could_not_be_read_is_requested_again_after_longer_and_longer_waits() -> None:
    due, now, waits = Due(0.0), 0.0, []
    for _ in range(6):
        read(due, now, whole=False)
        waits.append(due.wait(now))
        now += waits[-1]
    assert waits == [FAILED_SECONDS, 10.0, 20.0, 40.0, FULL_SECONDS, FULL_SECONDS]
    assert read(due, now) is What.EVERYTHING
    assert due.wait(now) == FIGURES_SECONDS
