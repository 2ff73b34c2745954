"""Uptime over the observed time of a day."""

from __future__ import annotations

import pytest

from neuroflux.engine.health.uptime import DAY, Uptime

HOUR = DAY // 24


def test_nothing_observed_is_no_downtime() -> None:
    assert Uptime().percent(DAY) == 100


def test_counts_the_observed_time() -> None:
    uptime = Uptime()
    uptime.observed(0, 3 * HOUR, up=True)
    uptime.observed(3 * HOUR, 4 * HOUR, up=False)
    assert uptime.percent(4 * HOUR) == 75
    uptime.observed(8 * HOUR, 12 * HOUR, up=True)  # between: not observed
    assert uptime.percent(12 * HOUR) == 87.5


def test_drops_what_is_older_than_a_day() -> None:
    uptime = Uptime()
    uptime.observed(0, HOUR, up=False)
    for hour in range(1, 24):
        uptime.observed(hour * HOUR, (hour + 1) * HOUR, up=True)
    assert uptime.percent(DAY) == pytest.approx(100 * 23 / 24)
    uptime.observed(DAY, DAY + HOUR // 2, up=True)
    assert uptime.percent(DAY + HOUR // 2) == pytest.approx(100 * 23.5 / 24)
    assert uptime.percent(DAY + HOUR) == 100


def test_an_empty_interval_changes_nothing() -> None:
    uptime = Uptime()
    uptime.observed(5, 5, up=False)
    uptime.observed(5, 4, up=False)
    assert uptime.percent(5) == 100
