"""``rebalance_portfolio``: what it refuses by name before anything is planned."""

from typing import Any

import pytest

from neuroflux.errors import UsageError
from neuroflux.manager.connection import Connection
from neuroflux.manager.rebalance import rebalance
from neuroflux.records import topics
from neuroflux.runtime.settings import Settings
from tests.neuroflux.manager.test_states import Alone
from tests.neuroflux.manager.told import NOW, SECOND, all_well, balance, tell

ODD: list[Any] = [float("nan"), float("inf"), -float("inf"), True, "half", None]


@pytest.fixture
def connection(tmp_path: Any) -> Connection:
    return Alone(Settings(home=tmp_path), all_well(), NOW)


@pytest.mark.parametrize("odd", ODD)
async def test_what_is_no_number_is_refused_by_name(connection: Connection, odd: Any) -> None:
    with pytest.raises(UsageError, match=r"target_allocation\['BTC'\]"):
        await rebalance(connection, ("binance",), {"BTC": odd}, 0.01, dry_run=True)
    with pytest.raises(UsageError, match="max_slippage"):
        await rebalance(connection, ("binance",), {"BTC": 1.0}, odd, dry_run=True)


async def test_a_negative_share_is_refused(connection: Connection) -> None:
    with pytest.raises(UsageError, match="target_allocation"):
        await rebalance(connection, ("binance",), {"BTC": -0.5, "USDC": 1.5}, 0.01, dry_run=True)


async def test_where_nothing_could_be_traded_it_has_failed(tmp_path: Any) -> None:
    """The books are older than an order may go by: before, this was a part of the rebalance."""
    view, later = all_well(), NOW + 20 * SECOND
    tell(view, topics.BALANCES, balance("binance", "USDC", "100"), later)
    connection = Alone(Settings(home=tmp_path), view, later)
    answer = await rebalance(connection, ("binance",), {"BTC": 1.0}, 0.01, dry_run=False)
    assert (answer["status"], answer["orders_executed"]) == ("failed", [])
    assert "BTC" in answer["reason"]
    answer = await rebalance(connection, ("binance",), {"USDC": 1.0}, 0.01, dry_run=False)
    assert answer["status"] == "completed", "there was nothing to do"
