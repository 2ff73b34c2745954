"""Drift: shares outside the bounds are listed, and checked again at each interval."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from neuroflux.manager.connection import Connection
from neuroflux.manager.drift import drift_action
from neuroflux.manager.from_memory import MemoryQueries
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import NOW, balance, healthy_view, publish

OFTEN = timedelta(milliseconds=1)


def queries(view: View, frequency: timedelta | None) -> MemoryQueries:
    settings = SimpleNamespace(exchanges=("binance", "hyperliquid"))
    connection = SimpleNamespace(view=view, settings=settings, now=lambda: NOW, check=lambda: None)
    return MemoryQueries(cast(Connection, connection), frequency)


def actions(seen: MemoryQueries) -> list[str]:
    return [one["condition"] for one in seen.monitor_exchange_health()["recommended_actions"]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the watch has no event for a check
            await asyncio.sleep(0)


def test_no_action_within_the_bounds() -> None:
    assert drift_action({"BTC": 0.405, "USDC": 0.595}, {"BTC": 0.4, "USDT": 0.6}) is None
    assert drift_action({}, {"BTC": 1.0}) is None, "nothing is known yet"


def test_drifted_assets_are_listed_with_both_shares_largest_first() -> None:
    action = drift_action({"BTC": 0.5, "ETH": 0.08, "USDC": 0.42}, {"BTC": 0.4, "ETH": 0.1, "USDC": 0.5})
    assert action is not None
    assert action["reason"] == "BTC is 50.0%, not 40.0%; USD is 42.0%, not 50.0%; ETH is 8.0%, not 10.0%"


async def test_drift_is_a_recommended_action_while_it_lasts(caplog: pytest.LogCaptureFixture) -> None:
    view = healthy_view()
    publish(view, topics.BALANCES, balance("binance", "BTC", "2"))
    seen = queries(view, OFTEN)
    seen.drift.set_target({"BTC": 0.9, "USDC": 0.1})
    try:
        await until(lambda: actions(seen) == ["drift"])
        publish(view, topics.BALANCES, balance("binance", "BTC", "18"))
        await until(lambda: actions(seen) == [])
    finally:
        await seen.drift.close()
    assert "the portfolio has drifted" in caplog.text


async def test_without_a_frequency_nothing_is_watched() -> None:
    seen = queries(healthy_view(), None)
    seen.drift.set_target({"BTC": 1.0})
    assert len(asyncio.all_tasks()) == 1
    await seen.drift.close()
