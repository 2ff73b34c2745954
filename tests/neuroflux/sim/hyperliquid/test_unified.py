"""A unified account of Hyperliquid: one balance of dollars, in the spot state, with the margin inside its hold."""

from __future__ import annotations

from decimal import Decimal

import aiohttp
import pytest

from neuroflux.sim.core.orders import Ask, Rejected
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault, info

D = Decimal


async def test_all_collateral_is_in_the_spot_state(served: Served) -> None:
    exchange = served.simulation.exchange("hyperliquid")
    user = served.simulation.dialects["hyperliquid"].account().address
    exchange.place(Ask("SOL", "buy", D(10)), served.simulation.now("hyperliquid"))
    exchange.place(Ask("SOL", "buy", D(1), D(140)), served.simulation.now("hyperliquid"))
    async with aiohttp.ClientSession(served.url) as session:
        assert await info(session, "userAbstraction", user=user) == "default"
        before = (await info(session, "spotClearinghouseState", user=user))["balances"]
        assert {row["coin"]: row["total"] for row in before}["USDC"] == "8000.0"
        await fault(session, "unified_account", "hyperliquid")
        assert await info(session, "userAbstraction", user=user) == "unifiedAccount"
        spot = await info(session, "spotClearinghouseState", user=user)
        perpetual = await info(session, "clearinghouseState", user=user)
        dollars = next(row for row in spot["balances"] if row["coin"] == "USDC")
        ledger = exchange.perpetual
        assert D(dollars["total"]) == pytest.approx(8000 + ledger.wallet["USDC"], abs=D("1e-6"))
        used = D(perpetual["marginSummary"]["totalMarginUsed"])
        assert D(dollars["hold"]) == pytest.approx(used + ledger.margin_of_orders("USDC"), abs=D("0.5"))
        assert (perpetual["withdrawable"], ledger.margin_of_orders("USDC") > 0) == ("0.0", True)
        profit = D(perpetual["assetPositions"][0]["position"]["unrealizedPnl"])
        assert D(perpetual["marginSummary"]["accountValue"]) == pytest.approx(used + profit, abs=D("1e-6"))
        assert spot["tokenToAvailableAfterMaintenance"][0][0] == 0
        await fault(session, "unified_account", "hyperliquid", value="portfolioMargin")
        assert await info(session, "userAbstraction", user=user) == "portfolioMargin"
        margined = await info(session, "spotClearinghouseState", user=user)
        assert margined["portfolioMarginEnabled"] is True
        borrowable = D(next(row for row in margined["balances"] if row["coin"] == "USDC")["hold"])
        assert borrowable < 0
        await session.delete("/sim/faults")
        assert (await info(session, "spotClearinghouseState", user=user))["balances"] == before


async def test_both_balances_pay_for_an_order(served: Served) -> None:
    exchange, now = served.simulation.exchange("hyperliquid"), served.simulation.now("hyperliquid")
    exchange.perpetual.wallet["USDC"] = D(10)
    with pytest.raises(Rejected, match="margin"):
        exchange.place(Ask("SOL", "buy", D(100)), now)
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "unified_account", "hyperliquid")
    assert exchange.place(Ask("SOL", "buy", D(100)), now).state == "filled"
