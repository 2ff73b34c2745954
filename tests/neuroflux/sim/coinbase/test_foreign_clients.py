"""Unmodified third-party clients, with only the address changed, work with the simulated Coinbase."""

from __future__ import annotations

import asyncio
import json
import warnings
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest
import requests

from neuroflux.sim.coinbase.keys import DemoKey, edwards_key, elliptic_key
from neuroflux.sim.server import Served

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its websocket library calls what it imports deprecated
    from coinbase.rest import RESTClient
    from coinbase.websocket import WSClient, WSUserClient, websocket_base
    from websockets.legacy.client import connect

pytestmark = [
    # the clients' own: unclosed transports at the end, deprecated calls of their websocket library
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

KEYS = (elliptic_key(1), edwards_key(1))


def _client(factory: Callable[..., Any], served: Served, key: DemoKey = KEYS[0]) -> Any:
    client = factory({"apiKey": key.name, "secret": key.secret, "enableRateLimit": False})
    client.urls["api"]["rest"] = f"{served.url}/coinbase"
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"] = served.url.replace("http", "ws", 1) + "/coinbase/ws"
    return client


# --- ccxt


def _session(client: Any) -> None:
    client.load_markets()
    market = client.market("BTC/USD")
    assert (market["precision"], market["taker"]) == ({"amount": 1e-8, "price": 0.01}, 0.012)
    assert {"BTC/USDC", "ETH/EUR", "USDT/USD"} <= set(client.markets)
    assert client.fetch_time() > 1_700_000_000_000
    book = client.fetch_order_book("BTC/USD", 20)
    assert len(book["bids"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]
    assert client.fetch_ticker("BTC/USD")["last"] > 0
    assert client.fetch_tickers(["BTC/USD"])["BTC/USD"]["last"] > 0
    assert client.fetch_trades("BTC/USD", limit=5)[0]["price"] > 0
    before = client.fetch_balance({"v3": True})
    bought = client.create_order("BTC/USD", "market", "buy", 0.002, book["asks"][0][0])
    order = client.fetch_order(bought["id"], "BTC/USD")
    assert (order["status"], order["type"], order["side"]) == ("closed", "market", "buy")
    assert order["filled"] == pytest.approx(0.002 / 1.012, rel=0.001)
    after = client.fetch_balance({"v3": True})
    spent = before["USD"]["total"] - after["USD"]["total"]
    assert spent == pytest.approx(order["cost"] + float(order["fee"]["cost"]), abs=1e-6)
    assert client.fetch_balance()["USD"]["total"] == pytest.approx(after["USD"]["total"])
    (trade,) = client.fetch_my_trades("BTC/USD")
    assert (trade["order"], trade["fee"]["currency"]) == (bought["id"], "USD")
    assert trade["amount"] == pytest.approx(order["filled"])
    sold = client.create_order("BTC/USD", "market", "sell", 0.001)
    assert client.fetch_order(sold["id"])["filled"] == 0.001


def _resting_orders(client: Any) -> None:
    low = float(client.price_to_precision("ETH/USDC", client.fetch_order_book("ETH/USDC", 5)["bids"][0][0] * 0.9))
    mine = {"client_order_id": "mine", "postOnly": True}
    order = client.create_order("ETH/USDC", "limit", "buy", 0.01, low, mine)
    again = client.create_order("ETH/USDC", "limit", "sell", 0.2, low * 2, mine)
    assert again["id"] == order["id"]
    (open_one,) = client.fetch_open_orders("ETH/USDC")
    assert (open_one["clientOrderId"], open_one["price"], open_one["amount"]) == ("mine", low, 0.01)
    assert client.fetch_balance({"v3": True})["USDC"]["used"] == pytest.approx(low * 0.01 * 1.012)
    client.edit_order(order["id"], "ETH/USDC", "limit", "buy", 0.02, low - 1)
    assert client.fetch_order(order["id"])["amount"] == 0.02
    client.cancel_order(order["id"], "ETH/USDC")
    assert client.fetch_order(order["id"])["status"] == "canceled"
    assert [one["id"] for one in client.fetch_canceled_orders("ETH/USDC")] == [order["id"]]
    with pytest.raises(ccxt.BadRequest, match="cancelOrders"):
        client.cancel_order(order["id"], "ETH/USDC")


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
async def test_ccxt_trades(served: Served, key: DemoKey) -> None:
    client = _client(ccxt.coinbase, served, key)
    await asyncio.to_thread(_session, client)
    await asyncio.to_thread(_resting_orders, client)


def _errors(client: Any, served: Served) -> None:
    client.load_markets()
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order("BTC/USD", "limit", "buy", 1, 50_000)
    with pytest.raises(ccxt.ExchangeError, match="POST_ONLY"):
        client.create_order("BTC/USD", "limit", "buy", 0.001, 90_000, {"postOnly": True})
    with pytest.raises(ccxt.ExchangeError, match="PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"):
        client.create_order("BTC/USD", "limit", "buy", 0.00001, 50_000)
    with pytest.raises(ccxt.BadRequest, match="INVALID_ARGUMENT"):
        client.v3PrivatePostBrokerageOrders({"product_id": "BTC-USD"})
    with pytest.raises(ccxt.ExchangeError, match="orderID was not found"):
        client.fetch_order("nope")
    for fault, error in (("http_429", ccxt.RateLimitExceeded), ("http_5xx", ccxt.ExchangeNotAvailable)):
        served.simulation.faults.add(json.dumps({"exchange": "coinbase", "fault": fault, "count": 1}).encode())
        with pytest.raises(error):
            client.fetch_balance()
    served.simulation.faults.add(b'{"exchange":"coinbase","fault":"account_mode","value":"view_only"}')
    with pytest.raises(ccxt.PermissionDenied):
        client.create_order("BTC/USD", "limit", "buy", 0.001, 50_000)
    client.apiKey = client.apiKey[:-1] + "x"
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_balance()


async def test_ccxt_raises_its_own_errors(served: Served) -> None:
    await asyncio.to_thread(_errors, _client(ccxt.coinbase, served), served)


async def test_async_ccxt_trades(served: Served) -> None:
    client = _client(ccxt.async_support.coinbase, served)
    try:
        await client.load_markets()
        bid = (await client.fetch_order_book("SOL/EUR", 5))["bids"][0][0]
        order = await client.create_order("SOL/EUR", "limit", "sell", 1, bid * 0.99, {"timeInForce": "IOC"})
        assert (await client.fetch_order(order["id"]))["filled"] == 1
        assert (await client.fetch_my_trades("SOL/EUR"))[0]["fee"]["currency"] == "EUR"
    finally:
        await client.close()


async def _follow(client: Any, served: Served) -> None:
    for symbol in ("BTC/USD", "ETH/USDC"):
        await client.watch_order_book(symbol)
    for _ in range(5):
        book = await client.watch_order_book("BTC/USD")
    sim = served.simulation.exchange("coinbase")
    asks = [[float(price * sim.listings["BTC-USD"].tick)] for price, _ in sim.books["BTC-USD"].asks.levels(10)]
    assert [level[:1] for level in book["asks"][:10]] == asks
    trades, ticker = await asyncio.gather(client.watch_trades("BTC/USD"), client.watch_ticker("BTC/USD"))
    assert trades[0]["symbol"] == "BTC/USD"
    assert ticker["last"] > 0
    orders = asyncio.create_task(client.watch_orders("BTC/USD"))
    await asyncio.sleep(0.5)
    await client.create_order("BTC/USD", "limit", "buy", 0.001, 50_000, {"client_order_id": "followed"})
    assert (await orders)[-1]["clientOrderId"] == "followed"


async def test_ccxt_pro_follows(served: Served) -> None:
    client = _client(ccxt.pro.coinbase, served)
    try:
        await client.load_markets()
        await asyncio.wait_for(_follow(client, served), 40)
    finally:
        await client.close()


async def test_ccxt_pro_ends_a_subscription(served: Served) -> None:
    client = _client(ccxt.pro.coinbase, served)
    try:
        await client.load_markets()
        await client.watch_trades("BTC/USD")
        await asyncio.wait_for(client.un_watch_trades("BTC/USD"), 10)
    finally:
        await client.close()


# --- the exchange's own client


class ToHttp(requests.adapters.HTTPAdapter):
    """The client writes https:// itself."""

    def send(self, request: Any, *args: Any, **more: Any) -> Any:
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **more)


def _sdk(served: Served, key: DemoKey = KEYS[0]) -> Any:
    host = served.url.removeprefix("http://")
    client = RESTClient(api_key=key.name, api_secret=key.secret, base_url=f"{host}/coinbase", rate_limit_headers=True)
    client.session.mount(f"https://{host}", ToHttp())
    return client


def _sdk_session(client: Any) -> None:
    clock = client.get_unix_time()
    assert int(clock.epoch_millis) > 0
    assert int(clock.rate_limit_remaining) < int(clock.rate_limit_limit)
    product = client.get_product("BTC-USD")
    assert (product["price_increment"], product["alias_to"]) == ("0.01", ["BTC-USDC"])
    assert len(client.get_products(product_type="SPOT")["products"]) > 20
    assert client.get_public_products(product_type="FUTURE")["products"] == []
    assert client.get_product_book("BTC-USD", limit=3).pricebook.bids[0]["price"]
    assert client.get_best_bid_ask(["BTC-USD", "ETH-USD"])["pricebooks"][1]["product_id"] == "ETH-USD"
    assert client.get_market_trades("BTC-USD", 1)["trades"][0]["side"] in ("BUY", "SELL")
    assert client.get_api_key_permissions()["can_trade"] is True
    assert client.get_transaction_summary()["fee_tier"]["taker_fee_rate"] == "0.012"
    assert client.get_portfolios()["portfolios"][0]["type"] == "DEFAULT"
    preview = client.preview_market_order_buy("BTC-USD", quote_size="50")
    assert (preview.errs, round(float(preview.order_total), 2)) == ([], 50)
    bought = client.market_order_buy("buy-1", "BTC-USD", quote_size="50")
    assert client.get_order(bought["success_response"]["order_id"])["order"]["status"] == "FILLED"
    assert client.get_fills(order_ids=[bought["success_response"]["order_id"]])["fills"][0]["size_in_quote"] is True
    rests = client.limit_order_gtc_buy("rests-1", "BTC-USD", "0.001", "50000")["success_response"]["order_id"]
    (found,) = client.list_orders(product_ids=["BTC-USD"], order_status=["OPEN"])["orders"]
    assert found["order_id"] == rests
    assert client.edit_order(rests, size="0.002", price="50001")["success"] is True
    assert client.cancel_orders([rests])["results"][0]["success"] is True
    refused = client.limit_order_gtc_buy("too-much", "BTC-USD", "1", "50000")
    assert (refused["success"], refused["error_response"]["error"]) == (False, "INSUFFICIENT_FUND")
    fok = client.limit_order_fok_buy("fok-1", "BTC-USD", "0.001", "50000")["success_response"]["order_id"]
    assert client.get_order(fok)["order"]["status"] == "CANCELLED"
    usd = next(one for one in client.get_accounts()["accounts"] if one["currency"] == "USD")
    assert float(usd["available_balance"]["value"]) == pytest.approx(6950, abs=0.01)
    assert client.get_account(usd["uuid"])["account"]["currency"] == "USD"


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key.algorithm)
async def test_the_sdk_trades(served: Served, key: DemoKey) -> None:
    await asyncio.to_thread(_sdk_session, _sdk(served, key))


def _sdk_errors(client: Any) -> None:
    calls: list[tuple[int, Callable[[], Any]]] = [
        (404, lambda: client.get_order("nope")),
        (400, lambda: client.limit_order_gtc_buy("x", "NOPE-USD", "1", "1")),
        (404, lambda: client.get_product("NOPE-USD")),
    ]
    for status, call in calls:
        with pytest.raises(requests.HTTPError, match=str(status)):
            call()
    client.api_secret = elliptic_key(2).secret
    with pytest.raises(requests.HTTPError, match="401"):
        client.get_accounts()


async def test_the_sdk_raises_its_own_errors(served: Served) -> None:
    await asyncio.to_thread(_sdk_errors, _sdk(served))


@pytest.fixture(autouse=True)
def _websockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client is made for an older websockets than the one that the others need: its interface is still there."""
    older = SimpleNamespace(connect=connect, exceptions=websocket_base.websockets.exceptions)
    monkeypatch.setattr(websocket_base, "websockets", older)


class Heard:
    """The frames that a socket of the SDK received, by its own thread."""

    def __init__(self) -> None:
        self.frames: list[Any] = []

    def __call__(self, text: str) -> None:
        self.frames.append(json.loads(text))

    async def until(self, channel: str, kind: str = "update") -> Any:
        async with asyncio.timeout(15):
            while True:
                for one in self.frames:
                    if one.get("channel") == channel and kind in (one["events"][0].get("type"), ""):
                        return one
                await asyncio.sleep(0.05)


@asynccontextmanager
async def _opened(factory: Any, path: str, served: Served, *, with_key: bool) -> AsyncIterator[tuple[Any, Heard]]:
    heard, address = Heard(), served.url.replace("http", "ws", 1) + path
    keys = {"api_key": KEYS[0].name, "api_secret": KEYS[0].secret} if with_key else {}
    client = factory(base_url=address, on_message=heard, retry=False, **keys)
    await asyncio.to_thread(client.open)
    try:
        yield client, heard
    finally:
        await asyncio.to_thread(client.close)


async def test_the_sdk_follows_the_market(served: Served) -> None:
    async with _opened(WSClient, "/coinbase/ws", served, with_key=False) as (client, heard):
        channels = ["level2", "market_trades", "ticker", "ticker_batch", "candles", "status"]
        await asyncio.to_thread(client.subscribe, ["BTC-USD", "BTC-USDC", "NOPE-USD"], channels)
        await asyncio.to_thread(client.subscribe, [], ["heartbeats"])
        for channel in ("l2_data", "market_trades", "ticker"):
            await heard.until(channel)
        assert "best_bid" not in (await heard.until("ticker_batch", "snapshot"))["events"][0]["tickers"][0]
        assert (await heard.until("status", "snapshot"))["events"][0]["products"][0]["id"] == "BTC-USD"
        await heard.until("heartbeats", "")
        assert [one["sequence_num"] for one in heard.frames] == list(range(len(heard.frames)))
        listed = [one["events"][0]["subscriptions"] for one in heard.frames if one["channel"] == "subscriptions"]
        assert set(listed[-1]) == {*channels, "heartbeats"}
        assert listed[-1]["level2"] == ["BTC-USD"]
        await asyncio.to_thread(client.unsubscribe, ["BTC-USD"], channels)


async def test_the_sdk_follows_its_orders(served: Served) -> None:
    async with _opened(WSUserClient, "/coinbase/ws-user", served, with_key=True) as (client, heard):
        await asyncio.to_thread(client.subscribe, [], ["user"])
        assert (await heard.until("user", "snapshot"))["events"][0]["orders"] == []
        rest = _sdk(served)
        await asyncio.to_thread(rest.limit_order_ioc_buy, "ioc-1", "BTC-USD", "0.001", "90000")
        await heard.until("user")
        await asyncio.sleep(0.2)
        events = [one["events"][0] for one in heard.frames if one["channel"] == "user"]
        orders = [one["orders"][0] for one in events if one["type"] == "update"]
        assert [one["status"] for one in orders] == ["PENDING", "FILLED"]
        assert (orders[-1]["leaves_quantity"], orders[-1]["cumulative_quantity"]) == ("0", "0.001")
