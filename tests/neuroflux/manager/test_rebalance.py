"""``rebalance_portfolio``: invalid arguments are refused by name."""

from typing import Any

import pytest

from neuroflux.errors import UsageError
from neuroflux.manager.connection import Connection
from neuroflux.manager.rebalance import rebalance
from neuroflux.records import topics
from neuroflux.runtime.settings import Settings
from tests.neuroflux.manager.reports import NOW, SECOND, balance, healthy_view, publish
from tests.neuroflux.manager.test_states import OfflineConnection

ODD: list[Any] = [float("nan"), float("inf"), -float("inf"), True, "half", None]


@pytest.fixture
def connection(tmp_path: Any) -> Connection:
    return OfflineConnection(Settings(home=tmp_path), healthy_view(), NOW)


@pytest.mark.parametrize("odd", ODD)
async def test_an_invalid_number_is_refused_by_name(connection: Connection, odd: Any) -> None:
    with pytest.raises(UsageError, match=r"target_allocation\['BTC'\]"):
        await rebalance(connection, ("binance",), {"BTC": odd}, 0.01, dry_run=True)
    with pytest.raises(UsageError, match="max_slippage"):
        await rebalance(connection, ("binance",), {"BTC": 1.0}, odd, dry_run=True)


async def test_a_negative_share_is_refused(connection: Connection) -> None:
    with pytest.raises(UsageError, match="target_allocation"):
        await rebalance(connection, ("binance",), {"BTC": -0.5, "USDC": 1.5}, 0.01, dry_run=True)


async def test_a_rebalance_without_any_trade_has_failed(tmp_path: Any) -> None:
    """The books are too old for an order: this was once reported as ``partial``."""
    view, later = healthy_view(), NOW + 20 * SECOND
    publish(view, topics.BALANCES, balance("binance", "USDC", "100"), later)
    connection = OfflineConnection(Settings(home=tmp_path), view, later)
    answer = await rebalance(connection, ("binance",), {"BTC": 1.0}, 0.01, dry_run=False)
    assert (answer["status"], answer["orders_executed"]) == ("failed", [])
    assert "BTC" in answer["reason"]
    answer = await rebalance(connection, ("binance",), {"USDC": 1.0}, 0.01, dry_run=False)
    assert answer["status"] == "completed", "there was nothing to do"
