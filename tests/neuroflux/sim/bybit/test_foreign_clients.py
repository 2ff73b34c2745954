"""Unmodified third-party clients, with only the address changed, work with the simulated Bybit."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pybit._websocket_trading
import pybit.unified_trading
import pytest
from pybit.exceptions import FailedRequestError, InvalidRequestError

from neuroflux.sim.server import Served

pytestmark = [
    # the clients' own: unclosed transports at the end, deprecated calls of their websocket libraries
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
SPOT, LINEAR = "BTC/USDT", "BTC/USDT:USDT"


def _moved(value: Any, sim: str) -> Any:
    """Every address gets the simulator's host; sockets keep their path."""
    if isinstance(value, dict):
        return {name: _moved(each, sim) for name, each in value.items()}
    if not isinstance(value, str):
        return value
    if value.startswith("ws"):
        return f"{sim.replace('http', 'ws', 1)}/bybit/{value.split('//', 1)[1].partition('/')[2]}"
    return f"{sim}/bybit"


def _client(factory: Callable[..., Any], served: Served) -> Any:
    account = served.simulation.dialects["bybit"].account()
    client = factory({"apiKey": account.key, "secret": account.secret})
    client.urls["api"] = _moved(client.urls["api"], served.url)
    return client


# ── ccxt ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _data(client: Any) -> None:
    client.load_markets()
    assert {SPOT, LINEAR, "BTC/USDC", "BTC/EUR", "USDC/USDT", "1000PEPE/USDT:USDT"} <= set(client.markets)
    assert (client.market(SPOT)["precision"]["price"], client.market(LINEAR)["contractSize"]) == (0.1, 1.0)
    for symbol in (SPOT, LINEAR):
        book = client.fetch_order_book(symbol, 20)
        assert (len(book["bids"]), book["bids"][0][0] < book["asks"][0][0]) == (20, True)
        ticker = client.fetch_ticker(symbol)
        assert ticker["bid"] < ticker["ask"]
        assert ticker["last"] > 0
        assert client.fetch_trades(symbol, limit=5) is not None
        assert client.fetch_ohlcv(symbol) is not None
    assert client.fetch_tickers([LINEAR])[LINEAR]["last"] > 0
    rate = client.fetch_funding_rate(LINEAR)
    assert (rate["interval"], rate["markPrice"] > 0) == ("8h", True)
    assert client.fetch_time() > 0
    assert client.fetch_trading_fee(SPOT)["taker"] == 0.001
    assert client.fetch_trading_fee(LINEAR)["taker"] == 0.00055


def _spot(client: Any) -> None:
    before = client.fetch_balance()
    bought = client.create_order(SPOT, "market", "buy", 0.01)
    order = client.fetch_order(bought["id"], SPOT, {"acknowledged": True})
    assert (order["status"], order["filled"]) == ("closed", 0.01)
    after = client.fetch_balance()
    spent = Decimal(str(before["USDT"]["total"])) - Decimal(str(after["USDT"]["total"]))
    assert spent == pytest.approx(Decimal(str(order["cost"])), abs=Decimal("0.0001"))
    assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.01 * 0.999)
    trade = client.fetch_my_trades(SPOT)[-1]
    assert (trade["order"], trade["fee"]["currency"]) == (bought["id"], "BTC")
    by_cost = client.create_market_buy_order_with_cost(SPOT, 100)
    found = client.fetch_order(by_cost["id"], SPOT, {"acknowledged": True})
    assert found["cost"] == pytest.approx(100, abs=0.5)
    _resting(client, SPOT, 0.001)


def _resting(client: Any, symbol: str, quantity: float) -> None:
    price = client.price_to_precision(symbol, client.fetch_order_book(symbol, 5)["bids"][0][0] * 0.97)
    params = {"clientOrderId": f"x-{int(quantity * 1000)}", "postOnly": True}
    order = client.create_order(symbol, "limit", "buy", quantity, float(price), params)
    opened = client.fetch_open_orders(symbol)
    assert [(each["clientOrderId"], each["symbol"]) for each in opened] == [(f"x-{int(quantity * 1000)}", symbol)]
    assert client.fetch_balance()["USDT"]["used"] > 0 or symbol == LINEAR
    client.cancel_order(order["id"], symbol)
    known = client.fetch_order(order["id"], symbol, {"acknowledged": True})
    assert (known["status"], known["timeInForce"]) == ("canceled", "PO")
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(order["id"], symbol)
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(symbol, "limit", "buy", quantity, float(price), params)


def _linear(client: Any) -> None:
    client.set_leverage(7, LINEAR)
    with pytest.raises(ccxt.BadRequest):
        client.set_leverage(7, LINEAR)
    with pytest.raises(ccxt.NoChange):
        client.set_position_mode(False, LINEAR)
    order = client.create_order(LINEAR, "market", "buy", 0.01)
    assert client.fetch_order(order["id"], LINEAR, {"acknowledged": True})["filled"] == 0.01
    position = client.fetch_positions([LINEAR])[0]
    assert (position["contracts"], position["side"], position["leverage"]) == (0.01, "long", 7)
    assert client.fetch_my_trades(LINEAR)[-1]["fee"]["currency"] == "USDT"
    client.create_order(LINEAR, "market", "sell", 0.01, params={"reduceOnly": True})
    assert not [each for each in client.fetch_positions([LINEAR]) if each["contracts"]]
    assert client.fetch_balance()["USDT"]["total"] < 12_000
    _resting(client, LINEAR, 0.002)


def _ccxt_session(client: Any) -> None:
    _data(client)
    _spot(client)
    _linear(client)
    assert client.fetch_balance({"type": "funding"})["USDT"]["total"] == 500
    assert client.transfer("USDT", 1, "funding", "unified")["status"] == "ok"


async def test_ccxt_trades(served: Served) -> None:
    await asyncio.to_thread(_ccxt_session, _client(ccxt.bybit, served))


def _errors(client: Any) -> None:
    client.load_markets()
    bid = client.fetch_order_book(SPOT, 5)["bids"][0][0]
    for symbol in (SPOT, LINEAR):
        with pytest.raises(ccxt.InsufficientFunds):
            client.create_order(symbol, "limit", "buy", 5, round(bid))
    with pytest.raises(ccxt.InvalidOrder, match="170140"):
        client.create_order(SPOT, "limit", "buy", 0.00002, round(bid))
    with pytest.raises(ccxt.InvalidOrder, match="110017"):
        client.create_order(LINEAR, "market", "sell", 0.01, params={"reduceOnly": True})
    client.markets["NO/USDT"] = {**client.markets[SPOT], "id": "NOUSDT", "symbol": "NO/USDT"}
    with pytest.raises(ccxt.BadSymbol):
        client.fetch_order_book("NO/USDT")
    with pytest.raises(ccxt.InvalidOrder, match="170121"):
        client.create_order("NO/USDT", "limit", "buy", 1, 1)
    secret, client.secret = client.secret, "0" * 36
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_balance()
    client.secret, client.apiKey = secret, "nobody"
    with pytest.raises(ccxt.AuthenticationError):
        client.fetch_balance()


async def test_ccxt_raises_its_own_errors(served: Served) -> None:
    client = _client(ccxt.bybit, served)
    await asyncio.to_thread(_errors, client)
    for fault, error in (("http_429", ccxt.RateLimitExceeded), ("http_5xx", ccxt.ExchangeNotAvailable)):
        served.simulation.faults.add(f'{{"exchange":"bybit","fault":"{fault}"}}'.encode())
        with pytest.raises(error):
            await asyncio.to_thread(client.fetch_time)


async def test_async_ccxt_trades(served: Served) -> None:
    client = _client(ccxt.async_support.bybit, served)
    try:
        await client.load_markets()
        order = await client.create_order("ETH/USDC", "market", "sell", 0.1)
        known = await client.fetch_order(order["id"], "ETH/USDC", {"acknowledged": True})
        assert (known["filled"], known["fee"]["currency"]) == (0.1, "USDC")
    finally:
        await client.close()


async def _follow(client: Any, symbol: str, quantity: float) -> None:
    book = await client.watch_order_book(symbol)
    first = book["timestamp"]
    while book["timestamp"] == first:
        book = await client.watch_order_book(symbol)
    assert (len(book["bids"]), book["bids"][0][0] < book["asks"][0][0]) == (50, True)
    trades, ticker, tops = await asyncio.gather(
        client.watch_trades(symbol), client.watch_ticker(symbol), client.watch_bids_asks([symbol])
    )
    assert trades[0]["symbol"] == symbol
    assert ticker["last"] > 0
    assert tops[symbol]["bid"] > 0
    watched = [client.watch_orders(symbol), client.watch_my_trades(symbol), client.watch_balance()]
    tasks = [asyncio.create_task(each) for each in watched]
    await asyncio.sleep(1)  # ccxt does not report when its private stream is open
    order = await client.create_order_ws(symbol, "market", "buy", quantity)
    orders, fills, balance = await asyncio.gather(*tasks)
    assert (orders[-1]["symbol"], orders[-1]["id"]) == (symbol, order["id"])
    assert fills[-1]["order"] == order["id"]
    assert balance["USDT"]["total"] > 0
    price = client.price_to_precision(symbol, book["bids"][0][0] * 0.97)
    rests = await client.create_order_ws(symbol, "limit", "buy", quantity, float(price))
    cancelled = await client.cancel_order_ws(rests["id"], symbol)
    assert cancelled["id"] == rests["id"]
    with pytest.raises(ccxt.OrderNotFound):
        await client.cancel_order_ws(rests["id"], symbol)


@pytest.mark.parametrize("symbol", [SPOT, LINEAR])
async def test_ccxt_pro_follows(served: Served, symbol: str) -> None:
    client = _client(ccxt.pro.bybit, served)
    try:
        await client.load_markets()
        await asyncio.wait_for(_follow(client, symbol, 0.01), 40)
        if symbol == LINEAR:
            positions = asyncio.create_task(client.watch_positions([symbol]))
            await asyncio.sleep(1)
            await client.create_order(symbol, "market", "sell", 0.01)
            assert (await asyncio.wait_for(positions, 10))[0]["symbol"] == symbol
    finally:
        await client.close()


async def test_ccxt_pro_is_refused_with_a_wrong_secret(served: Served) -> None:
    client = _client(ccxt.pro.bybit, served)
    try:
        await client.load_markets()
        client.secret = "0" * 36
        with pytest.raises(ccxt.AuthenticationError):
            await asyncio.wait_for(client.create_order_ws(SPOT, "market", "buy", 0.001), 10)
    finally:
        await client.close()


# ── pybit ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _http(served: Served, **more: Any) -> Any:
    account = served.simulation.dialects["bybit"].account()
    given = {"testnet": False, "api_key": account.key, "api_secret": account.secret, **more}
    session = pybit.unified_trading.HTTP(**given)
    session.endpoint = f"{served.url}/bybit"
    return session


def _pybit_session(session: Any) -> None:
    assert session.get_server_time()["retCode"] == 0
    listed = session.get_instruments_info(category="spot", symbol="BTCUSDT")["result"]["list"][0]
    assert listed["priceFilter"]["tickSize"] == "0.1"
    book = session.get_orderbook(category="linear", symbol="BTCUSDT", limit=50)["result"]
    assert len(book["b"]) == 50
    low = f"{float(book['b'][0][0]) * 0.97:.1f}"
    link_id = uuid.uuid4().hex
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderLinkId": link_id}
    rests = session.place_order(**order, orderType="Limit", qty="0.001", price=low)["result"]
    (row,) = session.get_open_orders(category="linear", symbol="BTCUSDT", orderLinkId=link_id)["result"]["list"]
    assert (row["orderId"], row["orderStatus"], row["leavesQty"]) == (rests["orderId"], "New", "0.001")
    session.cancel_order(category="linear", symbol="BTCUSDT", orderLinkId=link_id)
    (row,) = session.get_order_history(category="linear", orderLinkId=link_id)["result"]["list"]
    assert row["orderStatus"] == "Cancelled"
    taken = session.place_order(category="spot", symbol="BTCUSDT", side="Buy", orderType="Market", qty="50")["result"]
    fill = session.get_executions(category="spot", limit=50)["result"]["list"][0]
    assert (fill["orderId"], fill["feeCurrency"], fill["isMaker"]) == (taken["orderId"], "BTC", False)
    wallet = session.get_wallet_balance(accountType="UNIFIED")["result"]["list"][0]
    assert {one["coin"]: float(one["walletBalance"]) for one in wallet["coin"]}["USDT"] == pytest.approx(11950, abs=1)
    assert session.get_positions(category="linear", settleCoin="USDT")["result"]["list"] == []
    assert session.get_fee_rates(category="spot", symbol="BTCUSDT")["result"]["list"][0]["makerFeeRate"] == "0.001"
    assert session.get_account_info()["result"]["unifiedMarginStatus"] == 6
    assert session.get_api_key_information()["result"]["uta"] == 1
    log = session.get_transaction_log(accountType="UNIFIED")["result"]["list"]
    assert {(one["type"], one["currency"]) for one in log} == {("TRADE", "BTC"), ("TRADE", "USDT")}
    with pytest.raises(InvalidRequestError) as refused:
        session.place_order(**order | {"orderLinkId": ""}, orderType="Limit", qty="10", price=low)
    assert refused.value.status_code == 110007


async def test_pybit_trades(served: Served) -> None:
    await asyncio.to_thread(_pybit_session, _http(served))
    with pytest.raises(InvalidRequestError) as refused:
        await asyncio.to_thread(_http(served, api_secret="0").get_account_info)
    assert refused.value.status_code == 10004
    served.simulation.faults.add(b'{"exchange":"bybit","fault":"http_418"}')
    with pytest.raises(FailedRequestError) as banned:
        await asyncio.to_thread(_http(served).get_server_time)
    assert banned.value.status_code == 403


@contextmanager
def _sockets(served: Served, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Makes sockets of pybit, and closes them."""
    base, account = f"{served.url.replace('http', 'ws', 1)}/bybit/v5", served.simulation.dialects["bybit"].account()
    monkeypatch.setattr(pybit.unified_trading, "PUBLIC_WSS", base + "/public/{CHANNEL_TYPE}")
    monkeypatch.setattr(pybit.unified_trading, "PRIVATE_WSS", base + "/private")
    monkeypatch.setattr(pybit._websocket_trading, "TRADE_WSS", base + "/trade")
    made: list[Any] = []

    def socket(kind: str) -> Any:
        keys = {"testnet": False, "api_key": account.key, "api_secret": account.secret}
        factory = pybit.unified_trading.WebSocketTrading if kind == "trade" else pybit.unified_trading.WebSocket
        made.append(factory(**keys) if kind == "trade" else factory(channel_type=kind, **keys))
        return made[-1]

    yield socket
    for one in made:
        one.exit()


class Heard:
    """Keeps what a callback receives."""

    def __init__(self) -> None:
        self.frames: list[Any] = []
        self._news = threading.Condition()

    def __call__(self, frame: Any) -> None:
        with self._news:
            self.frames.append(frame)
            self._news.notify_all()

    def wait(self, done: Callable[[list[Any]], Any], seconds: float = 60) -> None:
        with self._news:
            assert self._news.wait_for(lambda: done(self.frames), seconds)


def _equal_to_rest(session: Any, socket: Any, category: str, depth: int) -> None:
    """A state that both show by the same ``seq`` is the same book."""
    heard = Heard()
    socket.orderbook_stream(depth, "BTCUSDT", heard)
    heard.wait(lambda frames: len(frames) > 3)
    for _ in range(40):
        rest = session.get_orderbook(category=category, symbol="BTCUSDT", limit=depth)["result"]
        heard.wait(lambda frames: frames[-1]["data"]["seq"] >= rest["seq"])  # noqa: B023
        same = [frame["data"] for frame in heard.frames if frame["data"]["seq"] == rest["seq"]]
        if same:
            break
    got = sorted(same[0]["b"], key=lambda one: -float(one[0])), sorted(same[0]["a"], key=lambda one: float(one[0]))
    assert got == (rest["b"], rest["a"])


@pytest.mark.parametrize(("category", "depth"), [("spot", 50), ("linear", 50), ("linear", 200), ("spot", 1)])
async def test_books_of_pybit_equal_those_over_http(
    served: Served, monkeypatch: pytest.MonkeyPatch, category: str, depth: int
) -> None:
    def session() -> None:
        with _sockets(served, monkeypatch) as socket:
            _equal_to_rest(_http(served), socket(category), category, depth)

    await asyncio.to_thread(session)


def _events(served: Served, socket: Callable[[str], Any]) -> None:
    private, orders, fills, wallet, positions = socket("private"), Heard(), Heard(), Heard(), Heard()
    private.order_stream(orders)
    private.execution_stream(fills)
    private.wallet_stream(wallet)
    private.position_stream(positions)
    trade, answers = socket("trade"), Heard()
    order = {"category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "0.01"}
    trade.place_order(answers, **order)
    answers.wait(lambda frames: len(frames) == 1)
    assert answers.frames[0]["retCode"] == 0
    number = answers.frames[0]["data"]["orderId"]
    orders.wait(lambda frames: frames and frames[-1]["data"][0]["orderStatus"] == "Filled")
    fills.wait(lambda frames: sum(Decimal(frame["data"][0]["execQty"]) for frame in frames) == Decimal("0.01"))
    wallet.wait(lambda frames: bool(frames))
    positions.wait(lambda frames: frames and frames[-1]["data"][0]["size"] == "0.010")
    assert {frame["data"][0]["orderId"] for frame in (*orders.frames, *fills.frames)} == {number}
    ticker = Heard()
    socket("linear").ticker_stream("BTCUSDT", ticker)
    ticker.wait(lambda frames: len(frames) > 2)
    assert float(ticker.frames[-1]["data"]["markPrice"]) > 0


async def test_pybit_receives_its_events(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    def session() -> None:
        with _sockets(served, monkeypatch) as socket:
            _events(served, socket)

    await asyncio.to_thread(session)
