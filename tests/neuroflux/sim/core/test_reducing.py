"""A position can always be reduced: without free margin, without a minimum, in an overload; never below zero."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.accounts import ZERO
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.core.world import World
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import SPOT, USDM, fault, refusal, signed
from tests.neuroflux.sim.core.test_exchange import NOW, Script

ORDER = USDM + "v1/order"


async def _order(session: aiohttp.ClientSession, served: Served, query: str, path: str = ORDER) -> Any:
    return await signed(session, served, "POST", path, f"symbol=SOLUSDT&newOrderRespType=RESULT&{query}")


async def test_a_position_is_reduced_without_free_margin(served: Served) -> None:
    ledger = served.simulation.exchange("binanceusdm").perpetual
    async with aiohttp.ClientSession(served.url) as session:
        assert (await _order(session, served, "side=BUY&type=MARKET&quantity=10"))["status"] == "FILLED"
        ledger.wallet["USDT"] = Decimal(1)
        row = (await signed(session, served, "GET", USDM + "v3/balance"))[0]
        assert row["availableBalance"] == "0.00000000"
        assert (await _order(session, served, "side=BUY&type=MARKET&quantity=1"))["code"] == -2019
        assert (await _order(session, served, "side=SELL&type=MARKET&quantity=9.98"))["status"] == "FILLED"
        assert (await _order(session, served, "side=SELL&type=MARKET&quantity=0.01"))["code"] == -4164
        dust = await _order(session, served, "side=SELL&type=MARKET&quantity=0.02&reduceOnly=true")
        assert (dust["status"], dust["executedQty"]) == ("FILLED", "0.02")


async def test_free_funds_count_unrealised_profit_and_every_margin(served: Served) -> None:
    exchange = served.simulation.exchange("binanceusdm")
    async with aiohttp.ClientSession(served.url) as session:
        await _order(session, served, "side=BUY&type=MARKET&quantity=10")
        exchange.perpetual.positions["SOLUSDT"].entry_price += 20
        bid = exchange.top("SOLUSDT")[0]
        await _order(
            session, served, f"side=BUY&type=LIMIT&timeInForce=GTC&quantity=3&price={bid * Decimal('0.98'):.2f}"
        )
        rows = (await signed(session, served, "GET", USDM + "v3/account"))["assets"]
        row = {name: Decimal(str(value)) for name, value in rows[0].items() if name not in ("asset", "marginAvailable")}
    assert row["crossUnPnl"] < -190
    assert row["positionInitialMargin"] > 0
    assert row["openOrderInitialMargin"] > 0
    free = row["walletBalance"] + row["crossUnPnl"] - row["positionInitialMargin"] - row["openOrderInitialMargin"]
    assert row["availableBalance"] == pytest.approx(free, abs=Decimal("1e-6"))


async def test_what_would_increase_is_no_reduction(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert (await _order(session, served, "side=SELL&type=MARKET&quantity=1&reduceOnly=true"))["code"] == -2022
        await _order(session, served, "side=BUY&type=MARKET&quantity=1")
        assert (await _order(session, served, "side=BUY&type=MARKET&quantity=1&reduceOnly=true"))["code"] == -2022
        sold = await _order(session, served, "side=SELL&type=MARKET&quantity=5&reduceOnly=true")
        assert (sold["executedQty"], sold["status"]) == ("1.00", "EXPIRED")


async def test_a_resting_reduction_ends_with_its_position(served: Served) -> None:
    exchange = served.simulation.exchange("binanceusdm")
    async with aiohttp.ClientSession(served.url) as session:
        await _order(session, served, "side=BUY&type=MARKET&quantity=2")
        price = exchange.top("SOLUSDT")[1] * Decimal("1.03")
        rests = f"side=SELL&type=LIMIT&timeInForce=GTC&quantity=2&price={price:.2f}&reduceOnly=true"
        resting = await _order(session, served, rests)
        assert resting["status"] == "NEW"
        await _order(session, served, "side=SELL&type=MARKET&quantity=1&reduceOnly=true")
        now = await signed(session, served, "GET", ORDER, f"symbol=SOLUSDT&orderId={resting['orderId']}")
        assert now["status"] == "EXPIRED"
        assert not exchange.open_orders
        assert exchange.perpetual.margin_of_orders("USDT") == ZERO


async def test_an_overload_refuses_new_risk_only(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await _order(session, served, "side=BUY&type=MARKET&quantity=2")
        rests = await _order(session, served, "side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=146")
        await fault(session, "overload", "binanceusdm", seconds=60)
        refused = await _order(session, served, "side=BUY&type=MARKET&quantity=1")
        assert (refused["code"], "Reduce-only/close-position orders are exempt" in refused["msg"]) == (-1008, True)
        cancelled = await signed(session, served, "DELETE", ORDER, f"symbol=SOLUSDT&orderId={rests['orderId']}")
        assert cancelled["status"] == "CANCELED"
        closed = await _order(session, served, "side=SELL&type=MARKET&quantity=2&reduceOnly=true")
        assert closed["status"] == "FILLED"
        await session.delete("/sim/faults")
        assert (await _order(session, served, "side=BUY&type=MARKET&quantity=1"))["status"] == "FILLED"


async def test_an_overload_of_spot(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "overload", count=1)
        buy = "side=BUY&type=MARKET&quantity=1"
        assert (await _order(session, served, buy, SPOT + "v3/order"))["code"] == -1008
        assert (await _order(session, served, buy, SPOT + "v3/order"))["status"] == "FILLED"
        assert "fault of binance, binanceusdm" in await refusal(session, "overload", "hyperliquid")


def test_a_resting_reduction_never_turns_a_position() -> None:
    world = World(venues(), 3, Script(), NOW)
    exchange = world.exchanges["binanceusdm"]
    exchange.place(Ask("SOLUSDT", "buy", Decimal(2)), NOW)
    price = exchange.top("SOLUSDT")[1] + Decimal("0.05")
    first = exchange.place(Ask("SOLUSDT", "sell", Decimal(2), price, reduce_only=True), NOW)
    second = exchange.place(Ask("SOLUSDT", "sell", Decimal(2), price, reduce_only=True), NOW)
    for _ in range(3000):
        world.step(NOW)
        if not exchange.open_orders:
            break
    assert first.filled + second.filled == 2
    assert exchange.perpetual.position(exchange.listings["SOLUSDT"]).quantity == 0
    assert {first.state, second.state} == {"filled", "expired"}
