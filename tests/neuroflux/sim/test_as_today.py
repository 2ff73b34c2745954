"""What the exchanges normally do today, without any fault: silent routes, slow books, answers that omit fields."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.binance.routes import is_served
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import SPOT, USDM, following, info, signed


@pytest.mark.parametrize(
    ("name", "route"),
    [
        ("solusdt@trade", "public"),
        ("solusdt@bookTicker", "public"),
        ("!bookTicker", "public"),
        ("solusdt@depth@100ms", "public"),
        ("solusdt@depth20@100ms", "public"),
        ("solusdt@aggTrade", "market"),
        ("solusdt@markPrice@1s", "market"),
        ("!markPrice@arr@1s", "market"),
        ("solusdt@kline_1m", "market"),
        ("!miniTicker@arr", "market"),
        ("solusdt@forceOrder", "market"),
    ],
)
def test_each_stream_has_one_route(name: str, route: str) -> None:
    assert [one for one in ("public", "market") if is_served(one, name)] == [route]


async def test_a_stream_on_the_wrong_route_is_accepted_and_silent(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect(
            "/binance/market/stream?streams=btcusdt@markPrice@1s/btcusdt@bookTicker"
        ) as wrong:
            await wrong.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@trade", "btcusdt@depth@100ms"], "id": 1})
            assert await following(wrong, lambda frame: frame.get("id") == 1) == {"result": None, "id": 1}
            await wrong.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 2})
            listed = (await following(wrong, lambda frame: frame.get("id") == 2))["result"]
            assert {"btcusdt@trade", "btcusdt@depth@100ms", "btcusdt@bookTicker"} <= set(listed)
            marks = [await following(wrong, lambda frame: "data" in frame) for _ in range(3)]
            assert {frame["stream"] for frame in marks} == {"btcusdt@markPrice@1s"}
            await wrong.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade"], "id": 3})
            assert (await following(wrong, lambda frame: frame.get("id") == 3))["result"] is None
        async with session.ws_connect("/binance/public/stream?streams=btcusdt@trade/btcusdt@markPrice@1s") as right:
            assert (await following(right, lambda frame: "data" in frame))["stream"] == "btcusdt@trade"


async def _books(session: aiohttp.ClientSession, seconds: float, **more: Any) -> list[tuple[float, int]]:
    """When each book of SOL arrived within ``seconds``, and its depth."""
    arrived: list[tuple[float, int]] = []
    async with session.ws_connect("/hyperliquid/ws") as socket:
        subscription = {"type": "l2Book", "coin": "SOL", **more}
        await socket.send_json({"method": "subscribe", "subscription": subscription})
        answer = await following(socket, lambda frame: frame["channel"] == "subscriptionResponse")
        assert answer["data"]["subscription"]["fast"] is bool(more)
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            try:
                frame = await following(socket, lambda frame: frame["channel"] == "l2Book", left)
            except TimeoutError:
                break
            arrived.append((time.monotonic(), len(frame["data"]["levels"][0])))
    return arrived


async def test_a_book_of_hyperliquid_is_slow_unless_it_is_requested_fast(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        slow, fast = await asyncio.gather(_books(session, 6.5), _books(session, 6.5, fast=True))
    assert {depth for _, depth in slow} == {20}
    assert {depth for _, depth in fast} == {5}
    assert 2 <= len(slow) <= 3 < len(fast)
    assert slow[-1][0] - slow[-2][0] == pytest.approx(5, abs=1)


async def test_fast_is_a_part_of_the_identity_of_a_subscription(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/hyperliquid/ws") as socket:
        fast = {"type": "l2Book", "coin": "SOL", "fast": True}
        await socket.send_json({"method": "subscribe", "subscription": fast})
        await socket.send_json({"method": "unsubscribe", "subscription": {"type": "l2Book", "coin": "SOL"}})
        answer = await following(socket, lambda frame: frame["channel"] == "error")
        assert answer["data"].startswith("Already unsubscribed")


async def test_the_answer_to_an_order_of_usdm_has_no_average_price(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        market = "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=1&newOrderRespType=RESULT"
        placed = await signed(session, served, "POST", USDM + "v1/order", market)
        assert (placed["status"], placed["executedQty"], placed["cumQty"]) == ("FILLED", "1.00", "1.00")
        assert not {"avgPrice", "cumQuote"} & placed.keys()
        asked = await signed(session, served, "GET", USDM + "v1/order", f"symbol=SOLUSDT&orderId={placed['orderId']}")
        assert float(asked["avgPrice"]) == pytest.approx(float(asked["cumQuote"]), abs=1e-6)
        limit = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=145.00"
        rests = await signed(session, served, "POST", USDM + "v1/order", limit)
        cancelled = await signed(
            session, served, "DELETE", USDM + "v1/order", f"symbol=SOLUSDT&orderId={rests['orderId']}"
        )
        assert cancelled["status"] == "CANCELED"
        assert not {"avgPrice", "cumQuote"} & cancelled.keys()


async def test_accounts_name_only_what_is_held(served: Served) -> None:
    served.simulation.exchange("binanceusdm").perpetual.wallet["USDC"] *= 0
    async with aiohttp.ClientSession(served.url) as session:
        assert await signed(session, served, "GET", USDM + "v3/positionRisk", "symbol=SOLUSDT") == []
        assert len(await signed(session, served, "GET", USDM + "v2/positionRisk")) > 20
        for path, name in (("v3/balance", ""), ("v3/account", "assets")):
            rows = await signed(session, served, "GET", USDM + path)
            assert [row["asset"] for row in (rows[name] if name else rows)] == ["USDT"]
        assert len(await signed(session, served, "GET", USDM + "v2/balance")) == 2
        limit = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=145.00"
        await signed(session, served, "POST", USDM + "v1/order", limit)
        rows = await signed(session, served, "GET", USDM + "v3/positionRisk")
        assert [(row["symbol"], row["positionAmt"]) for row in rows] == [("SOLUSDT", "0.00")]


async def test_spot_omits_empty_balances_on_request(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        sale = "symbol=SOLUSDT&side=SELL&type=MARKET&quantity=60"
        assert (await signed(session, served, "POST", SPOT + "v3/order", sale))["status"] == "FILLED"
        every, held = [
            {row["asset"] for row in (await signed(session, served, "GET", SPOT + "v3/account", query))["balances"]}
            for query in ("", "omitZeroBalances=true")
        ]
        assert {"SOL", "XRP", "PEPE"} <= every
        assert held == {"BTC", "ETH", "USDC", "USDT"}


async def test_hyperliquid_names_no_empty_position(served: Served) -> None:
    user = served.simulation.dialects["hyperliquid"].account().address
    async with aiohttp.ClientSession(served.url) as session:
        state = await info(session, "clearinghouseState", user=user)
        assert json.dumps(state["assetPositions"]) == "[]"
