"""How long a socket may be silent, by its own gaps; with simulated time."""

from __future__ import annotations

from math import inf

import pytest

from producers.silence import LEAST, WINDOW, Silence


def observed(gap: float, seconds: float, *, most: float = 30.0, is_steady: bool = True) -> tuple[Silence, float]:
    """A ``Silence`` after data every ``gap`` seconds, called as a socket calls it; and the time then."""
    silence, now = Silence(most, is_steady=is_steady), 1_000.0
    silence.opened(now)
    until = now + seconds
    while now < until:
        now += gap
        silence.data_received(now)
        silence.allowed(now)
    return silence, now


@pytest.mark.parametrize(
    ("gap", "allowed"),
    [(0.01, LEAST), (0.9, LEAST), (2.0, 10.0), (5.0, 25.0), (9.0, 30.0)],
)
def test_it_allows_five_times_its_longest_gap(gap: float, allowed: float) -> None:
    silence, now = observed(gap, 2 * WINDOW)
    assert silence.allowed(now) == pytest.approx(allowed)


def test_it_learns_for_a_window_first() -> None:
    silence, now = observed(0.01, WINDOW - 1)
    assert silence.allowed(now) == 30.0


def test_occasional_events_have_no_bound() -> None:
    silence, now = observed(0.01, 2 * WINDOW, most=inf, is_steady=False)
    assert silence.allowed(now) == inf


def test_a_market_that_becomes_quiet_gradually_is_not_stalled() -> None:
    silence, now = observed(0.5, 2 * WINDOW)
    for gap in (2.0, 4.0, 8.0, 16.0, 25.0):
        now += gap
        assert silence.silent(now) < silence.allowed(now)
        silence.data_received(now)


def test_time_without_a_connection_is_no_gap() -> None:
    silence, now = observed(0.5, 2 * WINDOW)
    silence.opened(now + 25)
    assert silence.silent(now + 26) == 1
    assert silence.allowed(now + 26) == LEAST


def test_old_gaps_are_forgotten() -> None:
    silence, now = observed(4.0, WINDOW + 4)
    assert silence.allowed(now) == pytest.approx(20.0)
    for _ in range(int(2 * WINDOW / 0.5) + 1):
        now += 0.5
        silence.data_received(now)
        silence.allowed(now)
    assert silence.allowed(now) == LEAST
