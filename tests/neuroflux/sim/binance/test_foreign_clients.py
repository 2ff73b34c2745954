"""Unmodified third-party clients, with only the address changed, work with the simulated Binance."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest

from neuroflux.sim.server import Served

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # python-binance imports names that its websocket library calls deprecated
    from binance import AsyncClient, BinanceSocketManager, DepthCacheManager
    from binance.exceptions import BinanceAPIException

pytestmark = [
    # the clients' own: unclosed transports at the end, deprecated calls of their websocket library
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def _moved(value: Any, sim: str) -> Any:
    """Every address keeps its path and gets the simulator's host."""
    if isinstance(value, dict):
        return {name: _moved(each, sim) for name, each in value.items()}
    if not isinstance(value, str) or "//" not in value:
        return value
    path = value.split("//", 1)[1].partition("/")[2]
    base = sim.replace("http", "ws", 1) if value.startswith("ws") else sim
    return f"{base}/binance/{path}"


def _client(factory: Callable[..., Any], served: Served, exchange_id: str) -> Any:
    account = served.simulation.dialects[exchange_id].account()
    client = factory({"apiKey": account.key, "secret": account.secret})
    client.urls["api"] = _moved(client.urls["api"], served.url)
    ws = served.url.replace("http", "ws", 1) + "/binance"
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"]["spot"] = f"{ws}/stream/ws"
        client.urls["api"]["ws"]["linear"] = f"{ws}/ws"
        client.urls["api"]["ws"]["ws-api"]["spot"] = f"{ws}/ws-api/v3"
    return client


def _spot_session(client: Any) -> None:
    client.load_markets()
    assert client.market("BTC/USDT")["precision"]["price"] == 0.01
    book = client.fetch_order_book("BTC/USDT", 20)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert client.fetch_ticker("BTC/USDT")["last"] > 0
    assert client.fetch_tickers(["BTC/USDT"])["BTC/USDT"]["bid"] > 0
    before = client.fetch_balance()
    bought = client.create_order("BTC/USDT", "market", "buy", 0.01)
    assert (bought["status"], bought["filled"]) == ("closed", 0.01)
    after = client.fetch_balance()
    spent = Decimal(str(before["USDT"]["total"])) - Decimal(str(after["USDT"]["total"]))
    assert spent == pytest.approx(Decimal(str(bought["cost"])), abs=Decimal("0.0001"))
    assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.01 * 0.999)
    assert client.fetch_my_trades("BTC/USDT")[-1]["order"] == bought["id"]


def _resting_order(client: Any, symbol: str, quantity: float) -> None:
    price = client.price_to_precision(symbol, client.fetch_order_book(symbol, 5)["bids"][0][0] * 0.97)
    order = client.create_order(symbol, "limit", "buy", quantity, float(price), {"clientOrderId": "x-test-1"})
    assert client.fetch_order(order["id"], symbol)["status"] == "open"
    assert [each["clientOrderId"] for each in client.fetch_open_orders(symbol)] == ["x-test-1"]
    client.cancel_order(order["id"], symbol)
    assert client.fetch_order(order["id"], symbol)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(order["id"], symbol)


async def test_ccxt_trades_spot(served: Served) -> None:
    client = _client(ccxt.binance, served, "binance")
    await asyncio.to_thread(_spot_session, client)
    await asyncio.to_thread(_resting_order, client, "BTC/USDT", 0.001)


async def test_ccxt_raises_its_own_errors(served: Served) -> None:
    client = _client(ccxt.binance, served, "binance")
    await asyncio.to_thread(client.load_markets)
    with pytest.raises(ccxt.InsufficientFunds):
        await asyncio.to_thread(client.create_order, "BTC/USDT", "market", "buy", 5)
    with pytest.raises(ccxt.BadRequest, match="NOTIONAL"):
        await asyncio.to_thread(client.create_order, "BTC/USDT", "limit", "buy", 0.00002, 60000)
    client.secret = "0" * 64
    with pytest.raises(ccxt.AuthenticationError):
        await asyncio.to_thread(client.fetch_balance)


def _usdm_session(client: Any) -> None:
    client.load_markets()
    symbol = "BTC/USDT:USDT"
    assert {"BTC/USDC:USDC", "1000PEPE/USDT:USDT"} <= set(client.markets)
    assert client.fetch_order_book(symbol, 5)["nonce"] > 0
    assert client.fetch_funding_rate(symbol)["markPrice"] > 0
    assert client.fetch_tickers()[symbol]["last"] > 0
    order = client.create_order(symbol, "market", "buy", 0.01)
    assert client.fetch_order(order["id"], symbol)["filled"] == 0.01
    position = client.fetch_positions([symbol])[0]
    assert (position["contracts"], position["side"]) == (0.01, "long")
    client.create_order(symbol, "market", "sell", 0.01, params={"reduceOnly": True})
    assert not [each for each in client.fetch_positions([symbol]) if each["contracts"]]
    assert client.fetch_balance()["USDT"]["total"] < 45_000
    assert client.fetch_my_trades(symbol)[-1]["fee"]["currency"] == "USDT"
    _resting_order(client, symbol, 0.002)


async def test_ccxt_trades_usdm(served: Served) -> None:
    await asyncio.to_thread(_usdm_session, _client(ccxt.binanceusdm, served, "binanceusdm"))


async def test_async_ccxt_trades_spot(served: Served) -> None:
    client = _client(ccxt.async_support.binance, served, "binance")
    try:
        await client.load_markets()
        order = await client.create_order("ETH/USDC", "market", "sell", 0.1)
        assert order["filled"] == 0.1
        assert order["fee"]["currency"] == "USDC"
    finally:
        await client.close()


async def _follow(client: Any, symbol: str, quantity: float) -> None:
    book = await client.watch_order_book(symbol)
    first = book["nonce"]
    while book["nonce"] == first:
        book = await client.watch_order_book(symbol)
    assert book["bids"][0][0] < book["asks"][0][0]
    trades, ticker, tops = await asyncio.gather(
        client.watch_trades(symbol), client.watch_ticker(symbol), client.watch_bids_asks([symbol])
    )
    assert trades[0]["symbol"] == symbol
    assert ticker["last"] > 0
    assert tops[symbol]["bid"] > 0
    orders = asyncio.create_task(client.watch_orders(symbol))
    balance = asyncio.create_task(client.watch_balance())
    await asyncio.sleep(1)  # ccxt does not report when its private stream is open
    await client.create_order(symbol, "market", "buy", quantity)
    assert (await orders)[-1]["symbol"] == symbol
    assert (await balance)["USDT"]["total"] > 0


@pytest.mark.parametrize(
    ("factory", "exchange_id", "symbol"),
    [(ccxt.pro.binance, "binance", "BTC/USDT"), (ccxt.pro.binanceusdm, "binanceusdm", "BTC/USDT:USDT")],
)
async def test_ccxt_pro_follows(served: Served, factory: Any, exchange_id: str, symbol: str) -> None:
    client = _client(factory, served, exchange_id)
    try:
        await client.load_markets()
        await asyncio.wait_for(_follow(client, symbol, 0.01), 40)
    finally:
        await client.close()


async def _python_binance(served: Served, exchange_id: str) -> tuple[Any, Any]:
    base = f"{served.url}/binance"

    class Client(AsyncClient):  # type: ignore[misc]
        API_URL = f"{base}/api"
        FUTURES_URL = f"{base}/fapi"
        MARGIN_API_URL = f"{base}/sapi"
        WS_API_URL = base.replace("http", "ws", 1) + "/ws-api/v3"

    account = served.simulation.dialects[exchange_id].account()
    client = await Client.create(account.key, account.secret)
    manager = BinanceSocketManager(client)
    manager.STREAM_URL = manager.FSTREAM_URL = base.replace("http", "ws", 1) + "/"
    return client, manager


async def test_python_binance_trades_spot(served: Served) -> None:
    client, manager = await _python_binance(served, "binance")
    try:
        info = await client.get_symbol_info("BTCUSDT")
        assert info["filters"][0]["tickSize"] == "0.01000000"
        async with manager.depth_socket("BTCUSDT") as stream:
            assert (await asyncio.wait_for(stream.recv(), 10))["e"] == "depthUpdate"
        async with manager.multiplex_socket(["btcusdt@bookTicker", "btcusdt@aggTrade"]) as stream:
            assert (await asyncio.wait_for(stream.recv(), 10))["data"]["s"] == "BTCUSDT"
        order = await client.order_limit_buy(symbol="BTCUSDT", quantity="0.001", price="60000.00")
        assert order["status"] == "NEW"
        cancelled = await client.cancel_order(symbol="BTCUSDT", orderId=order["orderId"])
        assert cancelled["status"] == "CANCELED"
        assert await client.get_open_orders(symbol="BTCUSDT") == []
        assert (await client.get_asset_balance("USDT"))["locked"] == "0.00000000"
        with pytest.raises(BinanceAPIException, match="-1121"):
            await client.get_order_book(symbol="NOPE")
    finally:
        await client.close_connection()


async def test_python_binance_receives_its_order_events(served: Served) -> None:
    client, manager = await _python_binance(served, "binance")
    try:
        async with manager.user_socket() as stream:
            await client.order_market_buy(symbol="BTCUSDT", quoteOrderQty="100")
            kinds = [(await asyncio.wait_for(stream.recv(), 10))["e"] for _ in range(2)]
        assert kinds == ["executionReport", "outboundAccountPosition"]
    finally:
        await client.close_connection()


async def test_python_binance_keeps_a_book(served: Served) -> None:
    client, manager = await _python_binance(served, "binance")
    try:
        async with DepthCacheManager(client, symbol="BTCUSDT", bm=manager) as cache:
            book = await asyncio.wait_for(cache.recv(), 10)
            for _ in range(3):
                book = await asyncio.wait_for(cache.recv(), 10)
        assert book.get_bids()[0][0] < book.get_asks()[0][0]
    finally:
        await client.close_connection()


async def test_python_binance_trades_usdm(served: Served) -> None:
    client, manager = await _python_binance(served, "binanceusdm")
    try:
        async with manager.symbol_mark_price_socket("BTCUSDT") as stream:
            assert (await asyncio.wait_for(stream.recv(), 10))["data"]["e"] == "markPriceUpdate"
        await client.futures_change_leverage(symbol="BTCUSDT", leverage=10)
        order = await client.futures_create_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.01")
        assert (await client.futures_get_order(symbol="BTCUSDT", orderId=order["orderId"]))["status"] == "FILLED"
        assert (await client.futures_position_information(symbol="BTCUSDT"))[0]["positionAmt"] == "0.010"
        assert {row["asset"] for row in await client.futures_account_balance()} == {"USDT", "USDC"}
    finally:
        await client.close_connection()
