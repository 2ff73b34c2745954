"""Weight is counted by intervals, events by the seconds before now."""

from __future__ import annotations

from neuroflux.sim.kit.limits import MINUTE, Recent, Window


def test_a_window_allows_its_weight_in_each_interval() -> None:
    window = Window(10)
    assert [window.spend(4, MINUTE + at) for at in range(3)] == [True, True, False]
    assert window.used == 12
    assert not window.begin(2 * MINUTE - 1)
    assert window.begin(2 * MINUTE)
    assert window.spend(10, 2 * MINUTE)


def test_recent_events_end_with_their_time() -> None:
    recent = Recent(2, 10)
    assert [recent.add(at) for at in (100, 105, 106)] == [True, True, False]
    assert (recent.counted, recent.wait(106)) == (2, 4)
    assert recent.count(110) == 1
    assert recent.add(110)
