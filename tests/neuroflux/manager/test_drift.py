"""Drift: what is off by more than it may be is named, and looked at again each time the frequency says."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from neuroflux.manager.connection import Connection
from neuroflux.manager.drift import drifted
from neuroflux.manager.from_memory import Reading
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.told import NOW, all_well, balance, tell

OFTEN = timedelta(milliseconds=1)


def reading(view: View, frequency: timedelta | None) -> Reading:
    settings = SimpleNamespace(exchanges=("binance", "hyperliquid"))
    connection = SimpleNamespace(view=view, settings=settings, now=lambda: NOW, check=lambda: None)
    return Reading(cast(Connection, connection), frequency)


def actions(seen: Reading) -> list[str]:
    return [one["condition"] for one in seen.monitor_exchange_health()["recommended_actions"]]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # the watch tells nobody when it has looked
            await asyncio.sleep(0)


def test_what_is_within_bounds_needs_nothing() -> None:
    assert drifted({"BTC": 0.405, "USDC": 0.595}, {"BTC": 0.4, "USDT": 0.6}) is None
    assert drifted({}, {"BTC": 1.0}) is None, "nothing is known yet"


def test_what_has_drifted_is_named_with_both_shares_the_widest_first() -> None:
    action = drifted({"BTC": 0.5, "ETH": 0.08, "USDC": 0.42}, {"BTC": 0.4, "ETH": 0.1, "USDC": 0.5})
    assert action is not None
    assert action["reason"] == "BTC is 50.0%, not 40.0%; USD is 42.0%, not 50.0%; ETH is 8.0%, not 10.0%"


async def test_drift_is_a_recommended_action_until_it_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    view = all_well()
    tell(view, topics.BALANCES, balance("binance", "BTC", "2"))
    seen = reading(view, OFTEN)
    seen.drift.aim({"BTC": 0.9, "USDC": 0.1})
    try:
        await until(lambda: actions(seen) == ["drift"])
        tell(view, topics.BALANCES, balance("binance", "BTC", "18"))
        await until(lambda: actions(seen) == [])
    finally:
        await seen.drift.close()
    assert "the portfolio has drifted" in caplog.text


async def test_without_a_frequency_nothing_is_watched() -> None:
    seen = reading(all_well(), None)
    seen.drift.aim({"BTC": 1.0})
    assert len(asyncio.all_tasks()) == 1
    await seen.drift.close()
