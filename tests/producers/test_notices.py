"""Statuses that are published once, and again when they change or after a long time."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, StatusKind
from producers.notices import AGAIN, BARRED_AGAIN, Notices

MODE = ExchangeStatus("x", "account", StatusKind.MODE, 1.0, "switch to one-way mode", 5)
UNKNOWN = ExchangeStatus("x", "account", StatusKind.UNKNOWN, 0.0, "status FROZEN", 5)


def test_a_mode_passes_when_it_changes() -> None:
    notices = Notices()
    free = replace(MODE, value=0.0, detail="")
    assert [notices.passes(one, 100) for one in (MODE, MODE, free, free, MODE)] == [True, False, True, False, True]


@pytest.mark.parametrize(("value", "interval"), [(1.0, BARRED_AGAIN), (0.0, AGAIN)])
def test_a_mode_is_repeated_for_stages_that_start_later(value: float, interval: int) -> None:
    notices = Notices()
    notices.passes(replace(MODE, value=value), 100)
    assert notices.repeated(99 + interval) == []
    assert notices.repeated(100 + interval) == [replace(MODE, value=value, event_time=100 + interval)]
    assert notices.repeated(101 + interval) == []
    assert BARRED_AGAIN <= 60_000_000


def test_an_unknown_status_passes_once_per_text() -> None:
    notices = Notices()
    other = replace(UNKNOWN, detail="status MELTED")
    assert [notices.passes(one, 100) for one in (UNKNOWN, UNKNOWN, other, UNKNOWN)] == [True, False, True, False]
    assert notices.passes(UNKNOWN, 100 + AGAIN)


def test_everything_else_passes() -> None:
    notices, lost = Notices(), replace(MODE, kind=StatusKind.DISCONNECTED)
    assert notices.passes(lost, 100)
    assert notices.passes(lost, 100)


def test_a_fault_of_a_list_is_returned_when_it_is_new() -> None:
    notices = Notices()
    assert notices.faults(["b", "a"]) == ["a", "b"]
    assert notices.faults(["a", "b", "c"]) == ["c"]
    assert notices.faults(["a"]) == []
    assert notices.faults(["a", "b"]) == ["b"], "it had disappeared, and is new again"
