"""Unmodified third-party clients, with only the address changed, work with the simulated Hyperliquid."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest
from eth_account import Account
from hyperliquid.exchange import Exchange
from hyperliquid.info import Info

from neuroflux.sim.server import Served

pytestmark = [
    # the clients' own: unclosed transports at the end, deprecated calls of their websocket libraries
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
SYMBOL = "BTC/USDC:USDC"


def client(factory: Any, served: Served) -> Any:
    account = served.simulation.dialects["hyperliquid"].account()
    made = factory({"walletAddress": account.address, "privateKey": account.secret})
    made.urls["api"]["public"] = made.urls["api"]["private"] = f"{served.url}/hyperliquid"
    if "ws" in made.urls["api"]:
        made.urls["api"]["ws"]["public"] = f"{served.url.replace('http', 'ws')}/hyperliquid/ws"
    return made


def _session_of_the_sdk(served: Served) -> None:
    account = served.simulation.dialects["hyperliquid"].account()
    info = Info(f"{served.url}/hyperliquid")
    exchange = Exchange(Account.from_key(account.secret), f"{served.url}/hyperliquid", account_address=account.address)
    assert {"BTC", "ETH", "kPEPE"} <= {one["name"] for one in info.meta()["universe"]}
    bid = float(info.l2_snapshot("BTC")["levels"][0][0]["px"])
    placed = exchange.order("BTC", True, 0.01, round(bid * 0.9), {"limit": {"tif": "Gtc"}})
    oid = placed["response"]["data"]["statuses"][0]["resting"]["oid"]
    assert [one["oid"] for one in info.open_orders(account.address)] == [oid]
    assert info.query_order_by_oid(account.address, oid)["order"]["status"] == "open"
    assert exchange.cancel("BTC", oid)["response"]["data"]["statuses"] == ["success"]
    assert info.query_order_by_oid(account.address, oid)["order"]["status"] == "canceled"
    filled = exchange.market_open("BTC", True, 0.01)["response"]["data"]["statuses"][0]["filled"]
    assert filled["totalSz"] == "0.01"
    assert info.user_state(account.address)["assetPositions"][0]["position"]["szi"] == "0.01"
    assert info.user_fills(account.address)[0]["oid"] == filled["oid"]
    assert float(info.spot_user_state(account.address)["balances"][0]["total"]) > 0
    refused = exchange.order("BTC", True, 0.01, bid + 0.123, {"limit": {"tif": "Gtc"}})
    assert "tick size" in str(refused["response"]["data"]["statuses"][0]["error"])
    _a_stream_of_the_sdk(info)


def _a_stream_of_the_sdk(info: Info) -> None:
    received, frames = threading.Event(), []

    def on_book(frame: Any) -> None:
        frames.append(frame)
        received.set()

    info.subscribe({"type": "l2Book", "coin": "BTC"}, on_book)
    assert received.wait(10)
    assert frames[0]["data"]["levels"][0]
    info.disconnect_websocket()


async def test_hyperliquids_own_sdk(served: Served) -> None:
    await asyncio.to_thread(_session_of_the_sdk, served)


def _session_of_ccxt(exchange: Any) -> None:
    exchange.load_markets()
    before = exchange.fetch_balance()["USDC"]["total"]
    bid = exchange.fetch_order_book(SYMBOL)["bids"][0][0]
    placed = exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(bid * 0.9))
    assert exchange.fetch_order(placed["id"], SYMBOL)["status"] == "open"
    assert [one["id"] for one in exchange.fetch_open_orders(SYMBOL)] == [placed["id"]]
    exchange.cancel_order(placed["id"], SYMBOL)
    assert exchange.fetch_order(placed["id"], SYMBOL)["status"] == "canceled"
    with pytest.raises(ccxt.InvalidOrder):
        exchange.create_order(SYMBOL, "limit", "buy", 0.0001, round(bid * 0.9))
    assert exchange.fetch_balance()["USDC"]["total"] == before


async def test_ccxt(served: Served) -> None:
    await asyncio.to_thread(_session_of_ccxt, client(ccxt.hyperliquid, served))


async def test_ccxt_async(served: Served) -> None:
    exchange = client(ccxt.async_support.hyperliquid, served)
    try:
        await exchange.load_markets()
        bid = (await exchange.fetch_order_book(SYMBOL))["bids"][0][0]
        placed = await exchange.create_order(SYMBOL, "limit", "buy", 0.01, round(bid * 0.9))
        assert (await exchange.fetch_order(placed["id"], SYMBOL))["status"] == "open"
        await exchange.cancel_order(placed["id"], SYMBOL)
    finally:
        await exchange.close()


async def test_ccxt_pro(served: Served) -> None:
    exchange = client(ccxt.pro.hyperliquid, served)
    try:
        async with asyncio.timeout(20):
            book = await exchange.watch_order_book(SYMBOL)
            assert book["bids"][0][0] < book["asks"][0][0]
            assert await exchange.watch_trades(SYMBOL) is not None
            assert (await exchange.watch_ticker(SYMBOL))["symbol"] == SYMBOL
    finally:
        await exchange.close()
