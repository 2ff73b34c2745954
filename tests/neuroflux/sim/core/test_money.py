"""Deposits and withdrawals in the exchanges' own histories: in pages, and funding apart."""

from __future__ import annotations

from decimal import Decimal

import aiohttp

from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import USDM, fault, info, signed

D = Decimal
INCOME = USDM + "v1/income"


def traded(served: Served, name: str, symbol: str) -> None:
    """A position, and its funding."""
    exchange, now = served.simulation.exchange(name), served.simulation.now(name)
    exchange.place(Ask(symbol, "buy", D("0.1"), None), now)
    exchange.fund(symbol, D("0.001"), now)


async def test_usdm_has_incomes_by_type_and_in_pages(served: Served) -> None:
    traded(served, "binanceusdm", "BTCUSDT")
    async with aiohttp.ClientSession(served.url) as session:
        for amount in ("1000", "-5", "7"):
            await fault(session, "transfer", "binanceusdm", asset="USDT", amount=amount)
        rows = await signed(session, served, "GET", INCOME)
        assert {row["incomeType"] for row in rows} == {"COMMISSION", "FUNDING_FEE", "TRANSFER"}
        (funding,) = await signed(session, served, "GET", INCOME, "incomeType=FUNDING_FEE")
        assert funding["symbol"] == "BTCUSDT"
        assert D(funding["income"]) < 0, "a long one pays"
        pages = [
            await signed(session, served, "GET", INCOME, f"incomeType=TRANSFER&startTime=1&limit=2&page={page}")
            for page in (1, 2, 3)
        ]
        assert [[D(row["income"]) for row in page] for page in pages] == [[1000, -5], [7], []]
        assert len({row["tranId"] for page in pages for row in page}) == 3
        assert await signed(session, served, "GET", INCOME, "startTime=1&endTime=2") == []


async def test_hyperliquid_has_its_ledger_and_its_funding(served: Served) -> None:
    user = served.simulation.dialects["hyperliquid"].account().address
    traded(served, "hyperliquid", "BTC")
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "transfer", "hyperliquid", asset="USDC", amount="250")
        await fault(session, "transfer", "hyperliquid", asset="HYPE", amount="-2")
        kind = "userNonFundingLedgerUpdates"
        deposit, sent = await info(session, kind, user=user, startTime=1)
        assert deposit["delta"] == {"type": "deposit", "usdc": "250.0"}
        assert (sent["delta"]["type"], sent["delta"]["amount"], sent["delta"]["user"]) == ("spotTransfer", "2.0", user)
        assert await info(session, kind, user=user, startTime=sent["time"]) in ([sent], [deposit, sent])
        assert await info(session, kind, user="0x" + "1" * 40, startTime=1) == []
        (funding,) = await info(session, "userFunding", user=user, startTime=1)
        assert funding["delta"]["coin"] == "BTC"
        assert D(funding["delta"]["usdc"]) < 0
