"""Unmodified third-party clients, with only the address changed, work with the simulated Kraken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest
from kraken import exceptions
from kraken.spot import Market, SpotOrderBookClient, SpotWSClient, Trade, User

from neuroflux.sim.kraken.keys import DemoKey, demo_key
from neuroflux.sim.server import Served

pytestmark = [
    # the clients' own: unclosed transports at the end
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
CCXT, SDK = demo_key(1, "ccxt"), demo_key(1, "sdk")


def _client(factory: Callable[..., Any], served: Served, key: DemoKey = CCXT) -> Any:
    client = factory({"apiKey": key.key, "secret": key.secret, "enableRateLimit": False})
    client.urls["api"] |= {"public": f"{served.url}/kraken", "private": f"{served.url}/kraken"}
    if "ws" in client.urls["api"]:
        socket = served.url.replace("http", "ws", 1)
        client.urls["api"]["ws"] |= {"publicV2": f"{socket}/kraken/v2", "privateV2": f"{socket}/kraken-auth/v2"}
    return client


# --- ccxt


def _session(client: Any) -> None:
    client.load_markets()
    market = client.market("BTC/USD")
    assert (market["precision"], market["taker"], market["maker"]) == ({"amount": 1e-8, "price": 0.1}, 0.004, 0.0025)
    assert market["limits"]["amount"]["min"] == 0.00005
    assert {"ETH/USD", "SOL/EUR", "DOGE/USD", "USDT/USD", "EUR/USD"} <= set(client.markets)
    assert client.fetch_time() > 1_700_000_000_000
    assert client.fetch_status()["status"] == "ok"
    book = client.fetch_order_book("BTC/USD", 20)
    assert len(book["bids"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]
    assert client.fetch_ticker("BTC/USD")["last"] > 0
    assert client.fetch_tickers(["BTC/USD", "DOGE/USD"])["DOGE/USD"]["last"] > 0
    assert client.fetch_trades("BTC/USD", limit=5)[0]["price"] > 0
    assert isinstance(client.fetch_ohlcv("BTC/USD"), list)
    before = client.fetch_balance()
    bought = client.create_order("BTC/USD", "market", "buy", 0.002)
    order = client.fetch_order(bought["id"], "BTC/USD")
    assert (order["status"], order["type"], order["side"], order["filled"]) == ("closed", "market", "buy", 0.002)
    after = client.fetch_balance()
    spent = before["USD"]["total"] - after["USD"]["total"]
    assert spent == pytest.approx(order["cost"] + float(order["fee"]["cost"]), abs=1e-6)
    assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.002)
    (trade,) = client.fetch_my_trades("BTC/USD")
    assert (trade["order"], trade["fee"]["currency"], trade["amount"]) == (bought["id"], "USD", 0.002)
    sold = client.create_order("BTC/USD", "limit", "sell", 0.001, book["bids"][0][0] * 0.99, {"timeInForce": "IOC"})
    assert client.fetch_order(sold["id"])["filled"] == 0.001
    spending = client.create_order("BTC/USD", "market", "buy", 1, None, {"cost": 50})
    assert client.fetch_order(spending["id"])["cost"] == pytest.approx(50, abs=0.01)
    assert len(client.fetch_ledger()) == 6
    assert client.fetch_trading_fee("BTC/USD")["taker"] == 0.004


def _resting_orders(client: Any) -> None:
    low = float(client.price_to_precision("ETH/USD", client.fetch_order_book("ETH/USD", 5)["bids"][0][0] * 0.9))
    mine = {"clientOrderId": "mine", "postOnly": True}
    order = client.create_order("ETH/USD", "limit", "buy", 0.01, low, mine)
    with pytest.raises(ccxt.ExchangeError, match="Duplicate"):
        client.create_order("ETH/USD", "limit", "buy", 0.01, low, mine)
    (open_one,) = client.fetch_open_orders("ETH/USD", params={"clientOrderId": "mine"})
    assert (open_one["clientOrderId"], open_one["price"], open_one["amount"]) == ("mine", low, 0.01)
    assert client.fetch_balance()["USD"]["used"] == pytest.approx(low * 0.01 * 1.004)
    client.edit_order(order["id"], "ETH/USD", "limit", "buy", 0.02, low - 1)
    assert client.fetch_order(order["id"])["amount"] == 0.02
    client.cancel_order(None, "ETH/USD", {"clientOrderId": "mine"})
    assert client.fetch_order(order["id"])["status"] == "canceled"
    assert client.create_order("ETH/USD", "limit", "buy", 0.01, low, mine)["id"] != order["id"]
    client.cancel_all_orders()
    assert client.fetch_open_orders() == []
    assert order["id"] in [one["id"] for one in client.fetch_closed_orders("ETH/USD")]
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(order["id"], "ETH/USD")
    rows = [
        {"symbol": "ETH/USD", "type": "limit", "side": "buy", "amount": 0.01, "price": low - number}
        for number in range(2)
    ]
    placed = client.create_orders(rows)
    client.cancel_orders([one["id"] for one in placed])
    assert client.fetch_open_orders() == []


async def test_ccxt_trades(served: Served) -> None:
    client = _client(ccxt.kraken, served)
    await asyncio.to_thread(_session, client)
    await asyncio.to_thread(_resting_orders, client)


def _errors(client: Any, served: Served) -> None:
    client.load_markets()
    calls: list[tuple[type[Exception], str, tuple[Any, ...]]] = [
        (ccxt.InsufficientFunds, "Insufficient funds", ("BTC/USD", "limit", "buy", 1, 50_000)),
        (ccxt.InvalidOrder, "Order minimum not met", ("BTC/USD", "limit", "buy", 0.00001, 50_000)),
        (ccxt.ExchangeError, "Cost minimum not met", ("BTC/USD", "limit", "buy", 0.0001, 1)),
        (ccxt.ExchangeError, "Post only order", ("BTC/USD", "limit", "buy", 0.001, 90_000, {"postOnly": True})),
    ]
    for kind, text, order in calls:
        with pytest.raises(kind, match=text):
            client.create_order(*order)
    with pytest.raises(ccxt.InvalidOrder, match="Invalid order"):
        client.fetch_order("OAAAAA-BBBBB-CCCCCC")
    with pytest.raises(ccxt.ExchangeError, match="Unknown asset pair"):
        client.publicGetDepth({"pair": "NOPE"})
    for fault, error in (("http_429", ccxt.RateLimitExceeded), ("http_5xx", ccxt.ExchangeNotAvailable)):
        served.simulation.faults.add(json.dumps({"exchange": "kraken", "fault": fault, "count": 1}).encode())
        with pytest.raises(error):
            client.fetch_balance()
    served.simulation.faults.add(b'{"exchange":"kraken","fault":"account_mode","value":"view_only"}')
    with pytest.raises(ccxt.PermissionDenied):
        client.create_order("BTC/USD", "limit", "buy", 0.001, 50_000)
    client.secret = SDK.secret
    with pytest.raises(ccxt.ExchangeError, match="Invalid signature"):
        client.fetch_balance()
    client.apiKey = "unknown"
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_balance()
    client.apiKey, client.secret, client.nonce = CCXT.key, CCXT.secret, lambda: 1
    client.options["lastNonce"], client.lastNonce = 0, 0
    client.incrementing_nonce = lambda: 1
    with pytest.raises(ccxt.InvalidNonce):
        client.fetch_balance()


async def test_ccxt_raises_its_own_errors(served: Served) -> None:
    await asyncio.to_thread(_errors, _client(ccxt.kraken, served), served)


async def test_async_ccxt_trades(served: Served) -> None:
    client = _client(ccxt.async_support.kraken, served)
    try:
        await client.load_markets()
        bid = (await client.fetch_order_book("SOL/EUR", 5))["bids"][0][0]
        order = await client.create_order("SOL/EUR", "limit", "sell", 1, bid * 0.99, {"timeInForce": "IOC"})
        assert (await client.fetch_order(order["id"]))["filled"] == 1
        assert (await client.fetch_my_trades("SOL/EUR"))[0]["fee"]["currency"] == "EUR"
    finally:
        await client.close()


async def _follow(client: Any, served: Served) -> None:
    for symbol in ("BTC/USD", "ETH/USD"):
        await client.watch_order_book(symbol)
    for _ in range(5):
        book = await client.watch_order_book("BTC/USD")
    sim = served.simulation.exchange("kraken")
    asks = [[float(price * sim.listings["XXBTZUSD"].tick)] for price, _ in sim.books["XXBTZUSD"].asks.levels(10)]
    assert [level[:1] for level in book["asks"][:10]] == asks
    trades, ticker = await asyncio.gather(client.watch_trades("BTC/USD"), client.watch_ticker("BTC/USD"))
    assert trades[0]["symbol"] == "BTC/USD"
    assert ticker["last"] > 0
    orders = asyncio.create_task(client.watch_orders("BTC/USD"))
    await asyncio.sleep(0.5)
    placed = await client.create_order_ws("BTC/USD", "limit", "buy", 0.001, 50_000)
    assert (await orders)[-1]["id"] == placed["id"]
    await client.cancel_order_ws(placed["id"])
    assert (await client.watch_balance())["USD"]["total"] == 7000
    mine = asyncio.create_task(client.watch_my_trades("BTC/USD"))
    await client.create_order_ws("BTC/USD", "market", "buy", 0.001)
    fill = (await mine)[-1]
    assert (fill["amount"], fill["side"], fill["fee"]["currency"]) == (0.001, "buy", "USD")
    with pytest.raises(ccxt.ExchangeError, match="EOrder:Insufficient funds"):
        await client.create_order_ws("BTC/USD", "limit", "buy", 1, 50_000)


async def test_ccxt_pro_follows_and_trades(served: Served) -> None:
    client = _client(ccxt.pro.kraken, served)
    try:
        await client.load_markets()
        await asyncio.wait_for(_follow(client, served), 40)
    finally:
        await client.close()


# --- python-kraken-sdk


def _sdk(factory: Any, served: Served) -> Any:
    return factory(key=SDK.key, secret=SDK.secret, url=served.url)


def _sdk_session(served: Served) -> None:
    market, user, trade = Market(url=served.url), _sdk(User, served), _sdk(Trade, served)
    assert market.get_asset_pairs(pair="BTC/USD")["BTC/USD"]["tick_size"] == "0.1"
    assert market.get_assets(assets="XBT")["XXBT"]["altname"] == "XBT"
    assert market.get_ticker(pair="XBTUSD")["XXBTZUSD"]["a"][0]
    assert len(market.get_order_book(pair="XBTUSD", count=3)["XXBTZUSD"]["bids"]) == 3
    assert market.get_recent_trades(pair="XBTUSD")["XXBTZUSD"]
    assert market.get_system_status()["status"] == "online"
    assert user.get_account_balance()["ZUSD"] == "7000.0000"
    assert float(user.get_trade_balance()["eb"]) > 10_000
    order = {"ordertype": "limit", "side": "buy", "pair": "XBTUSD", "volume": "0.001"}
    checked = trade.create_order(**order, price="50000.0", validate=True)
    assert checked == {"descr": {"order": "buy 0.00100000 XBTUSD @ limit 50000.0"}}
    rests = trade.create_order(**order, price="50000.0", userref=42)["txid"][0]
    bought = trade.create_order(ordertype="market", side="buy", pair="XBTUSD", volume="0.001")["txid"][0]
    assert user.get_open_orders(userref=42)["open"][rests]["vol"] == "0.00100000"
    assert user.get_orders_info(txid=bought)[bought]["status"] == "closed"
    assert user.get_balances()["ZUSD"]["hold_trade"] == "50.2000"
    assert next(iter(user.get_trades_history()["trades"].values()))["ordertxid"] == bought
    assert bought in user.get_closed_orders()["closed"]
    assert user.get_trade_volume(pair="XBTUSD")["fees"]["XXBTZUSD"]["fee"] == "0.4000"
    assert len(user.get_ledgers_info()["ledger"]) == 2
    amended = trade.amend_order(txid=rests, order_qty="0.002", limit_price="50001.0")
    assert amended["amend_id"].startswith("T")
    assert user.get_orders_info(txid=rests)[rests]["vol"] == "0.00200000"
    assert trade.cancel_order(txid=rests) == {"count": 1}
    assert trade.cancel_all_orders() == {"count": 0}
    assert trade.cancel_all_orders_after_x(timeout=60)["triggerTime"]


def _sdk_errors(served: Served) -> None:
    user, trade = _sdk(User, served), _sdk(Trade, served)
    order = {"ordertype": "limit", "side": "buy", "pair": "XBTUSD"}
    calls: list[tuple[type[Exception], Callable[[], Any]]] = [
        (exceptions.KrakenInsufficientFundsError, lambda: trade.create_order(**order, volume="1", price="50000")),
        (exceptions.KrakenOrderMinimumNotMetError, lambda: trade.create_order(**order, volume="0.00001", price="5e4")),
        (exceptions.KrakenCostMinimumNotMetError, lambda: trade.create_order(**order, volume="0.0001", price="1")),
        (
            exceptions.KrakenTickSizeInvalidCheckError,
            lambda: trade.create_order(**order, volume="0.001", price="50000.01"),
        ),
        (exceptions.KrakenUnknownOrderError, lambda: trade.cancel_order(txid="OAAAAA-BBBBB-CCCCCC")),
        (exceptions.KrakenInvalidOrderError, lambda: user.get_orders_info(txid="OAAAAA-BBBBB-CCCCCC")),
        (exceptions.KrakenInvalidNonceError, lambda: user.request("POST", "/0/private/Balance")),
    ]
    for kind, call in calls:
        if kind is exceptions.KrakenInvalidNonceError:
            user.get_nonce = lambda: "1"
        with pytest.raises(kind):
            call()
    crossing = trade.create_order(**order, volume="0.001", price="90000", oflags="post")
    assert crossing == {"error": ["EOrder:Post only order"]}
    other = User(key=SDK.key, secret=CCXT.secret, url=served.url)
    with pytest.raises(exceptions.KrakenInvalidSignatureError):
        other.get_account_balance()
    with pytest.raises(exceptions.KrakenInvalidAPIKeyError):
        User(key="unknown", secret=CCXT.secret, url=served.url).get_account_balance()
    served.simulation.faults.add(b'{"exchange":"kraken","fault":"http_5xx","count":1}')
    with pytest.raises(Exception, match="503"):
        _sdk(Trade, served).cancel_all_orders()


async def test_the_sdk_trades(served: Served) -> None:
    await asyncio.to_thread(_sdk_session, served)


async def test_the_sdk_raises_its_own_errors(served: Served) -> None:
    await asyncio.to_thread(_sdk_errors, served)


class Heard:
    """The frames that a socket of the SDK received."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self.news = asyncio.Event()

    async def __call__(self, message: Any) -> None:
        self.frames.append(message)
        self.news.set()

    async def book(self, pair: str, message: Any) -> None:
        await self(message)

    async def until(self, matches: Callable[[Any], bool]) -> Any:
        async with asyncio.timeout(20):
            while not (found := [one for one in self.frames if matches(one)]):
                self.news.clear()
                await self.news.wait()
            return found[0]


def _sockets(served: Served) -> dict[str, Any]:
    base = served.url.replace("http", "ws", 1)
    return {"rest_url": served.url, "ws_url": f"{base}/kraken", "auth_ws_url": f"{base}/kraken-auth"}


@asynccontextmanager
async def _started(client: Any) -> AsyncIterator[Any]:
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def test_the_sdk_follows_and_trades_by_socket(served: Served) -> None:
    heard = Heard()
    client = SpotWSClient(key=SDK.key, secret=SDK.secret, callback=heard, **_sockets(served))
    async with _started(client):
        for channel in ("ticker", "trade", "book"):
            await client.subscribe(params={"channel": channel, "symbol": ["BTC/USD", "ETH/USD"]})
            await heard.until(lambda one, channel=channel: one.get("channel") == channel)  # type: ignore[misc]
        for channel in ("executions", "balances"):
            await client.subscribe(params={"channel": channel})
            await heard.until(
                lambda one, channel=channel: (one.get("channel"), one.get("type")) == (channel, "snapshot")  # type: ignore[misc]
            )
        order = {"order_type": "limit", "side": "buy", "order_qty": 0.001, "symbol": "BTC/USD", "limit_price": 90000}
        await client.send_message({"method": "add_order", "params": order})
        placed = await heard.until(lambda one: one.get("method") == "add_order")
        assert placed["success"] is True
        await heard.until(lambda one: one.get("channel") == "executions" and one["data"][0:1] and "filled" in str(one))
        await heard.until(lambda one: one.get("channel") == "heartbeat")
        numbers = [one["sequence"] for one in heard.frames if one.get("channel") == "executions"]
        assert numbers == list(range(1, len(numbers) + 1))


async def _checked_books(heard: Heard) -> None:
    client = SpotOrderBookClient(depth=10, callback=heard.book)
    async with _started(client):
        await client.add_book(pairs=["BTC/USD", "DOGE/USD"])
        await heard.until(lambda _: len(heard.frames) >= 80)
        assert (client.get("BTC/USD") or {})["valid"]


async def test_the_sdks_book_is_the_exchanges(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It proves the checksum of every update, and says so where one is wrong. Its requests block its own thread."""
    monkeypatch.setattr(Market, "URL", served.url)
    monkeypatch.setattr(SpotOrderBookClient, "WS_URL", _sockets(served)["ws_url"])
    heard = Heard()
    await asyncio.to_thread(asyncio.run, _checked_books(heard))
    assert not [message for message in heard.frames if "error" in message]
    checked = {message["data"][0]["symbol"] for message in heard.frames if message["type"] == "update"}
    assert checked == {"BTC/USD", "DOGE/USD"}
