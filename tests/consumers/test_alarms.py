"""An alarm is sounded once for each time that a pair has come beyond its bound."""

from __future__ import annotations

import pytest

from consumers.alarms import Alarms
from neuroflux.domain import OrderState
from neuroflux.engine.order_table import SECOND
from tests.consumers.desk_model import bench, now
from tests.neuroflux.engine.test_exposure import BOUND, LATER, one_legged
from tests.neuroflux.engine.test_pair import NOW, told


def test_an_alarm_is_sounded_once_and_again_after_it_was_over() -> None:
    alarms, order = Alarms(BOUND), one_legged()
    assert list(alarms.new([order], NOW)) == []
    (event,) = alarms.new([order], LATER)
    assert event.reason.startswith("alarm: naked: 1,000.00 USD")
    assert (event.order_id, event.state, event.naked_usd) == ("p", OrderState.ROUTED, 1_000.0)
    assert list(alarms.new([order], LATER + SECOND)) == []
    even = told(order, 1, "1", LATER, price=1010).order
    assert list(alarms.new([even], LATER)) == []
    assert len(list(alarms.new([order], LATER))) == 1


async def test_an_even_pair_counts_until_the_balances_show_it_and_one_on_one_leg_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each decision looked at every pair of the last minute."""
    naked = one_legged()
    even = told(naked, 1, "1", NOW, price=1010).order
    async with bench() as stage:
        stage.executor._ended = [(now(), even), (now(), naked)]
        monkeypatch.setattr(stage.executor.views, "shows", lambda *_: False)
        assert stage.executor._ours_now() == [even, naked]
        monkeypatch.setattr(stage.executor.views, "shows", lambda *_: True)
        assert stage.executor._ours_now() == [naked]
