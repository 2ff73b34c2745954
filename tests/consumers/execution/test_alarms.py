"""An alarm is published once for each time that a pair exceeds its bound."""

from __future__ import annotations

import msgspec
import pytest
from msgspec.structs import replace

from consumers.execution.alarms import Alarms
from consumers.execution.journal import DONE, saved
from neuroflux.domain import ControlCommand, ControlKind, JournalEntry, OrderState
from neuroflux.engine.orders.state import Order
from neuroflux.engine.orders.table import SECOND
from neuroflux.records.entries import Entry
from neuroflux.records.topics import CONTROL, JOURNAL
from tests.consumers.execution.order_client_model import Log, bench, now
from tests.neuroflux.engine.orders.test_exposure import BOUND, LATER, one_legged
from tests.neuroflux.engine.routing.test_pair import NOW, PAIR, answer


def test_an_alarm_is_published_once_and_again_after_it_was_over() -> None:
    alarms, order = Alarms(BOUND), one_legged()
    assert list(alarms.new([order], NOW)) == []
    (event,) = alarms.new([order], LATER)
    assert event.reason.startswith("alarm: naked: 1,000.00 USD")
    assert (event.order_id, event.state, event.naked_usd) == ("p", OrderState.ROUTED, 1_000.0)
    assert list(alarms.new([order], LATER + SECOND)) == []
    even = answer(order, 1, "1", LATER, price=1010).order
    assert list(alarms.new([even], LATER)) == []
    assert len(list(alarms.new([order], LATER))) == 1


async def test_an_even_pair_counts_until_the_balances_show_it_and_one_on_one_leg_all_the_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each decision looked at every pair of the last minute."""
    naked = one_legged()
    even = named("even", answer(naked, 1, "1", NOW, price=1010).order)
    async with bench() as stage:
        stage.executor.orders.ended = [(now(), even), (now(), naked)]
        monkeypatch.setattr(stage.views, "shows", lambda *_: False)
        assert stage.executor.orders.current() == [even, naked]
        monkeypatch.setattr(stage.views, "shows", lambda *_: True)
        assert stage.executor.orders.current() == [naked]


def named(order_id: str, order: Order) -> Order:
    return replace(order, command=replace(order.command, order_id=order_id))


def resume(at: int) -> Entry:
    return Entry(CONTROL, 0, 0, "*", ControlCommand(kind=ControlKind.RESUME), b"", "", at)


async def test_a_pair_left_on_one_leg_counts_until_trading_is_resumed_and_dust_does_not() -> None:
    naked, dust = one_legged(), named("dust", one_legged("0.01"))
    long_ago = now() - 3_600 * SECOND
    async with bench() as stage:
        stage.executor.orders.ended = [(long_ago, naked), (long_ago, dust)]
        assert stage.executor.orders.current() == [naked]
        assert stage.decider.decide(PAIR, [naked]).decision.reason.startswith("naked: 1,000.00 USD")
        stage.views.take(resume(long_ago - SECOND))
        assert stage.executor.orders.current() == [naked]
        stage.views.take(resume(long_ago + SECOND))
        assert stage.executor.orders.current() == []


async def test_a_pair_that_is_evened_out_after_its_end_counts_as_it_is_now() -> None:
    naked = one_legged()
    even = answer(naked, 1, "1", NOW, price=1010).order
    async with bench() as stage:
        stage.executor.orders.ended = [(now(), naked), (now(), even)]
        assert naked not in stage.executor.orders.current()


async def test_a_restart_does_not_forget_a_pair_left_on_one_leg() -> None:
    log, naked = Log(), one_legged()
    at = now() - 3_600 * SECOND
    for order in (naked, named("even", answer(naked, 1, "1", NOW, price=1010).order)):
        body = msgspec.msgpack.encode(saved(order, [], at))
        await log.write(JOURNAL, JournalEntry(order.id, DONE, 0, body, at))
    async with bench(log) as stage:
        assert [one.id for one in stage.executor.orders.current()] == [naked.id]
