"""Unmodified third-party clients, with only the address changed, work with the simulated OKX."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import ccxt
import ccxt.async_support
import ccxt.pro
import pytest
import websockets
from okx.Account import AccountAPI
from okx.Funding import FundingAPI
from okx.MarketData import MarketAPI
from okx.PublicData import PublicAPI
from okx.Trade import TradeAPI
from okx.websocket.WebSocketFactory import WebSocketFactory
from okx.websocket.WsPrivateAsync import WsPrivateAsync
from okx.websocket.WsPublicAsync import WsPublicAsync

from neuroflux.sim.server import Served

pytestmark = [
    # the clients' own: unclosed transports at the end, deprecated calls of their websocket library
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
D = Decimal


# --- ccxt


def _client(factory: Callable[..., Any], served: Served, **changed: str) -> Any:
    account = served.simulation.dialects["okx"].account()
    keys = {"apiKey": account.key, "secret": account.secret, "password": account.passphrase}
    client = factory({**keys, **changed})
    client.urls["api"]["rest"] = f"{served.url}/okx"
    client.urls["api"]["ws"] = served.url.replace("http", "ws", 1) + "/okx/ws/v5"
    return client


def _spot_session(client: Any) -> None:
    client.load_markets()
    assert client.fetch_time() > 0
    assert client.fetch_status()["status"] == "ok"
    assert client.market(SPOT)["precision"]["price"] == 0.1
    assert {"BTC/EUR", "BTC/USDC", "USDC/USDT", "USDT/EUR", "PEPE/USDT"} <= set(client.markets)
    book = client.fetch_order_book(SPOT, 20)
    assert len(book["bids"]) == 20
    assert book["bids"][0][0] < book["asks"][0][0]
    assert client.fetch_ticker(SPOT)["last"] > 0
    assert client.fetch_tickers([SPOT])[SPOT]["bid"] > 0
    assert isinstance(client.fetch_trades(SPOT, limit=5), list)
    assert isinstance(client.fetch_ohlcv(SPOT, "1m", limit=10), list)
    before = client.fetch_balance()
    bought = client.create_order(SPOT, "market", "buy", 0.01)
    order = client.fetch_order(bought["id"], SPOT)
    assert (order["status"], order["filled"]) == ("closed", 0.01)
    after = client.fetch_balance()
    assert before["USDT"]["total"] - after["USDT"]["total"] == pytest.approx(order["cost"], abs=1e-4)
    assert after["BTC"]["total"] - before["BTC"]["total"] == pytest.approx(0.01 * 0.999)
    trade = client.fetch_my_trades(SPOT)[-1]
    assert (trade["order"], trade["fee"]["currency"], trade["takerOrMaker"]) == (bought["id"], "BTC", "taker")
    assert trade["fee"]["cost"] == pytest.approx(trade["amount"] * 0.001)
    assert client.fetch_order_trades(bought["id"], SPOT)[-1]["id"] == trade["id"]
    assert [each["id"] for each in client.fetch_closed_orders(SPOT)] == [bought["id"]]
    fee = client.fetch_trading_fee(SPOT)
    assert (fee["maker"], fee["taker"]) == (0.0008, 0.001)
    cost = client.create_market_buy_order_with_cost(SPOT, 100)
    assert client.fetch_order(cost["id"], SPOT)["cost"] == pytest.approx(100, rel=1e-3)


def _resting_order(client: Any, symbol: str, quantity: float) -> None:
    price = client.price_to_precision(symbol, client.fetch_order_book(symbol, 5)["bids"][0][0] * 0.97)
    for params in ({"clientOrderId": "nfTest1"}, {}):
        order = client.create_order(symbol, "limit", "buy", quantity, float(price), params)
        assert client.fetch_order(order["id"], symbol)["status"] == "open"
        found = client.fetch_open_orders(symbol)
        assert [each["id"] for each in found] == [order["id"]]
        assert found[0]["amount"] == quantity
        client.cancel_order(order["id"], symbol)
        assert client.fetch_order(order["id"], symbol)["status"] == "canceled"
        with pytest.raises(ccxt.OrderNotFound):
            client.cancel_order(order["id"], symbol)
    assert client.fetch_order(None, symbol, {"clientOrderId": "nfTest1"})["clientOrderId"] == "nfTest1"


def _amended(client: Any) -> None:
    client.load_markets()
    price = round(client.fetch_order_book(SPOT, 5)["bids"][0][0] * 0.97, 1)
    order = client.create_order(SPOT, "limit", "buy", 0.001, price)
    edited = client.edit_order(order["id"], SPOT, "limit", "buy", 0.002, price - 10)
    assert edited["id"] == order["id"]
    found = client.fetch_order(order["id"], SPOT)
    assert (found["amount"], found["price"], found["status"]) == (0.002, price - 10, "open")


async def test_ccxt_amends_an_order(served: Served) -> None:
    await asyncio.to_thread(_amended, _client(ccxt.okx, served))


async def test_ccxt_trades_spot(served: Served) -> None:
    client = _client(ccxt.okx, served)
    await asyncio.to_thread(_spot_session, client)
    await asyncio.to_thread(_resting_order, client, SPOT, 0.001)


def _swap_session(client: Any) -> None:
    client.load_markets()
    assert client.market(SWAP)["contractSize"] == 0.01
    assert client.fetch_funding_rate(SWAP)["fundingTimestamp"] > 0
    assert SWAP in client.fetch_funding_rates([SWAP])
    client.set_position_mode(False)
    client.set_leverage(7, SWAP, {"mgnMode": "cross"})
    assert client.fetch_leverage(SWAP, {"mgnMode": "cross"})["longLeverage"] == 7
    before = client.fetch_balance()["USDT"]["total"]
    order = client.create_order(SWAP, "market", "buy", 3)
    assert client.fetch_order(order["id"], SWAP)["filled"] == 3
    position = client.fetch_position(SWAP)
    assert (position["contracts"], position["side"], position["leverage"]) == (3, "long", 7)
    assert position["marginMode"] == "cross"
    assert [one["symbol"] for one in client.fetch_positions()] == [SWAP]
    client.create_order(SWAP, "market", "sell", 3, params={"reduceOnly": True})
    assert not [each for each in client.fetch_positions([SWAP]) if each["contracts"]]
    trades = client.fetch_my_trades(SWAP)
    paid = sum(D(str(each["fee"]["cost"])) - D(each["info"]["fillPnl"]) for each in trades)
    assert {each["fee"]["currency"] for each in trades} == {"USDT"}
    assert D(str(before)) - D(str(client.fetch_balance()["USDT"]["total"])) == pytest.approx(paid, abs=D("1e-6"))
    assert client.fetch_trading_fee(SWAP)["taker"] == 0.0005
    _resting_order(client, SWAP, 2)


async def test_ccxt_trades_swaps(served: Served) -> None:
    await asyncio.to_thread(_swap_session, _client(ccxt.okx, served))


def _kinds_of_orders(client: Any) -> None:
    client.load_markets()
    bid, ask = (client.fetch_order_book(SPOT, 5)[side][0][0] for side in ("bids", "asks"))
    crossing = client.create_order(SPOT, "limit", "buy", 0.001, ask * 1.01, {"postOnly": True})
    order = client.fetch_order(crossing["id"], SPOT)
    assert (order["status"], order["filled"], order["info"]["cancelSource"]) == ("canceled", 0, "31")
    price = round(bid * 0.98, 1)
    missing = client.create_order(SPOT, "limit", "buy", 0.001, price, {"timeInForce": "IOC"})
    assert client.fetch_order(missing["id"], SPOT)["info"]["cancelSource"] == "14"
    whole = client.create_order(SPOT, "limit", "buy", 0.001, price, {"timeInForce": "FOK"})
    assert client.fetch_order(whole["id"], SPOT)["info"]["cancelSource"] == "13"


async def test_ccxt_places_every_kind_of_order(served: Served) -> None:
    await asyncio.to_thread(_kinds_of_orders, _client(ccxt.okx, served))


def _errors(client: Any) -> None:
    client.load_markets()
    bid = client.fetch_order_book(SPOT, 5)["bids"][0][0]
    price = round(bid * 0.97, 1)
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SPOT, "limit", "buy", 5, price)
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SPOT, "market", "buy", 5, params={"banAmend": True})
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SWAP, "market", "sell", 50_000)
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(SPOT, "limit", "buy", 0.00001, bid * 1.2)
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order("DOGE/USDT", "limit", "buy", 1, 0.16)
    with pytest.raises(ccxt.BadRequest):
        client.create_order(SPOT, "limit", "buy", 0.001, price, {"clientOrderId": "not-allowed"})
    client.create_order(SPOT, "limit", "buy", 0.001, price, {"clientOrderId": "once"})
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(SPOT, "limit", "buy", 0.001, price, {"clientOrderId": "once"})
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order("12345", SPOT)
    with pytest.raises(ccxt.BadSymbol):
        client.public_get_market_books({"instId": "NOPE-USDT"})


async def test_ccxt_raises_its_own_errors(served: Served) -> None:
    await asyncio.to_thread(_errors, _client(ccxt.okx, served))


@pytest.mark.parametrize("part", ["apiKey", "secret", "password"])
async def test_ccxt_raises_for_every_wrong_part_of_a_key(served: Served, part: str) -> None:
    client = _client(ccxt.okx, served, **{part: "0" * 32})
    with pytest.raises(ccxt.AuthenticationError):
        await asyncio.to_thread(client.fetch_balance)


async def test_ccxt_raises_for_faults(served: Served) -> None:
    client = _client(ccxt.okx, served)
    await asyncio.to_thread(client.load_markets)
    kinds = {"http_429": ccxt.RateLimitExceeded, "http_5xx": ccxt.OnMaintenance, "http_418": ccxt.BaseError}
    for name, error in kinds.items():
        served.simulation.faults.add(json.dumps({"exchange": "okx", "fault": name}).encode())
        with pytest.raises(error):
            await asyncio.to_thread(client.fetch_ticker, SPOT)
    served.simulation.faults.add(b'{"exchange":"okx","fault":"reject"}')
    with pytest.raises(ccxt.InsufficientFunds):
        await asyncio.to_thread(client.create_order, SPOT, "market", "buy", 0.001)
    served.simulation.faults.add(b'{"exchange":"okx","fault":"skew","ms":60000}')
    with pytest.raises(ccxt.InvalidNonce):
        await asyncio.to_thread(client.fetch_balance)


async def test_async_ccxt_trades_spot(served: Served) -> None:
    client = _client(ccxt.async_support.okx, served)
    try:
        await client.load_markets()
        order = await client.create_order("ETH/USDC", "market", "sell", 0.1)
        order = await client.fetch_order(order["id"], "ETH/USDC")
        assert order["filled"] == 0.1
        assert order["fee"]["currency"] == "USDC"
        await client.transfer("USDT", 100, "trading", "funding")
        assert (await client.fetch_balance({"type": "funding"}))["USDT"]["free"] == 100
        await client.transfer("USDT", 100, "funding", "trading")
    finally:
        await client.close()


# --- ccxt.pro


async def _same_book(client: Any, plain: Any, symbol: str) -> None:
    """The book of the stream is the book of REST, where both have the same number."""
    market = client.market(symbol)["id"]
    seen: dict[int, Any] = {}
    for _ in range(40):
        book = await client.watch_order_book(symbol)
        seen[book["nonce"]] = [[list(map(float, level[:2])) for level in book[side][:50]] for side in ("bids", "asks")]
        asked = (await asyncio.to_thread(plain.get_orderbook, market, "50"))["data"][0]
        if asked["seqId"] in seen:
            rest = [[list(map(float, level[:2])) for level in asked[side]] for side in ("bids", "asks")]
            assert rest == seen[asked["seqId"]]
            return
    raise AssertionError("no number was ever equal")


async def _follow(client: Any, symbol: str, quantity: float) -> None:
    book = await client.watch_order_book(symbol)
    first = book["nonce"]
    while book["nonce"] == first:
        book = await client.watch_order_book(symbol)
    assert book["bids"][0][0] < book["asks"][0][0]
    trades, ticker, tops, five = await asyncio.gather(
        client.watch_trades(symbol),
        client.watch_ticker(symbol),
        client.watch_bids_asks([symbol]),
        client.watch_order_book(symbol, 5),
    )
    assert trades[0]["symbol"] == symbol
    assert ticker["last"] > 0
    assert tops[symbol]["bid"] > 0
    assert len(five["bids"]) >= 5  # ccxt keeps one book for all its channels
    orders = asyncio.create_task(client.watch_orders(symbol))
    mine = asyncio.create_task(client.watch_my_trades(symbol))
    balance = await client.watch_balance()
    assert balance["USDT"]["total"] > 0
    await asyncio.sleep(1)  # ccxt does not report when its private stream is open
    await client.create_order(symbol, "market", "buy", quantity)
    assert (await orders)[-1]["symbol"] == symbol
    assert (await mine)[-1]["symbol"] == symbol
    changed = await client.watch_balance()
    assert changed["USDT"]["total"] > 0


@pytest.mark.parametrize(("symbol", "quantity"), [(SPOT, 0.01), (SWAP, 1)])
async def test_ccxt_pro_follows(served: Served, symbol: str, quantity: float) -> None:
    client, plain = _client(ccxt.pro.okx, served), MarketAPI(domain=f"{served.url}/okx", flag="0")
    try:
        await client.load_markets()
        await asyncio.wait_for(_same_book(client, plain, symbol), 20)
        await asyncio.wait_for(_follow(client, symbol, quantity), 40)
    finally:
        plain.close()
        await client.close()


async def _watch_for_ever(client: Any) -> None:
    while True:
        await client.watch_order_book(SPOT)


async def test_ccxt_pro_finds_a_gap_and_subscribes_again(served: Served) -> None:
    client = _client(ccxt.pro.okx, served)
    try:
        await client.load_markets()
        await client.watch_order_book(SPOT)
        served.simulation.faults.add(b'{"exchange":"okx","fault":"gap","count":1}')
        with pytest.raises(ccxt.InvalidNonce):
            await asyncio.wait_for(_watch_for_ever(client), 15)
        for _ in range(5):
            book = await asyncio.wait_for(client.watch_order_book(SPOT), 10)
        top = served.simulation.exchange("okx").top("BTC-USDT")
        assert book["bids"][0][0] == pytest.approx(float(top[0]), rel=1e-3)
    finally:
        await client.close()


async def test_ccxt_pro_orders_over_the_socket(served: Served) -> None:
    client = _client(ccxt.pro.okx, served)
    try:
        await client.load_markets()
        price = round((await client.fetch_order_book(SPOT, 5))["bids"][0][0] * 0.97, 1)
        order = await asyncio.wait_for(client.create_order_ws(SPOT, "limit", "buy", 0.001, price), 10)
        assert (await client.fetch_order(order["id"], SPOT))["status"] == "open"
        await asyncio.wait_for(client.cancel_order_ws(order["id"], SPOT), 10)
        assert (await client.fetch_order(order["id"], SPOT))["status"] == "canceled"
        with pytest.raises(ccxt.InsufficientFunds):
            await asyncio.wait_for(client.create_order_ws(SPOT, "limit", "buy", 5, price), 10)
    finally:
        await client.close()


async def test_ccxt_pro_follows_positions(served: Served) -> None:
    client = _client(ccxt.pro.okx, served)
    try:
        await client.load_markets()
        watching = asyncio.create_task(client.watch_positions([SWAP]))
        await asyncio.sleep(1)
        await client.create_order(SWAP, "market", "sell", 2)
        positions = await asyncio.wait_for(watching, 10)
        while not positions:
            positions = await asyncio.wait_for(client.watch_positions([SWAP]), 10)
        assert (positions[-1]["side"], positions[-1]["contracts"]) == ("short", 2)
    finally:
        await client.close()


# --- python-okx, whose clients raise nothing: callers read the codes


class Own:
    """The exchange's own client, of one account."""

    def __init__(self, served: Served) -> None:
        account = served.simulation.dialects["okx"].account()
        keys = (account.key, account.secret, account.passphrase)
        more: dict[str, Any] = {"domain": f"{served.url}/okx", "flag": "0"}
        self.trade, self.account = TradeAPI(*keys, **more), AccountAPI(*keys, **more)
        self.funding, self.market, self.public = FundingAPI(*keys, **more), MarketAPI(**more), PublicAPI(**more)

    def close(self) -> None:
        for client in (self.trade, self.account, self.funding, self.market, self.public):
            client.close()


def _good(answer: Any) -> Any:
    assert answer["code"] == "0", answer
    return answer["data"]


def _own_session(own: Own) -> None:
    assert _good(own.public.get_instruments("SWAP", instId="BTC-USDT-SWAP"))[0]["ctVal"] == "0.01"
    assert len(_good(own.market.get_orderbook("BTC-USDT", "5"))[0]["bids"]) == 5
    assert _good(own.market.get_ticker("BTC-USDT"))[0]["bidPx"]
    assert len(_good(own.market.get_tickers("SPOT"))) > 25
    _good(own.market.get_trades("BTC-USDT"))
    config = _good(own.account.get_account_config())[0]
    assert (config["acctLv"], config["posMode"], config["perm"]) == ("2", "net_mode", "read_only,trade")
    assert _good(own.account.get_fee_rates("SPOT"))[0]["taker"] == "-0.001"
    _good(own.account.set_leverage(lever="5", mgnMode="cross", instId="BTC-USDT-SWAP"))
    placed = own.trade.place_order("BTC-USDT", "cash", "buy", "limit", "0.001", px="63000", clOrdId="own1")
    order = _good(placed)[0]
    assert (order["sCode"], order["clOrdId"]) == ("0", "own1")
    assert _good(own.trade.get_order("BTC-USDT", clOrdId="own1"))[0]["state"] == "live"
    assert [row["ordId"] for row in _good(own.trade.get_order_list())] == [order["ordId"]]
    details = {row["ccy"]: row for row in _good(own.account.get_account_balance())[0]["details"]}
    assert details["USDT"]["frozenBal"] == "63"
    _good(own.trade.cancel_order("BTC-USDT", clOrdId="own1"))
    again = own.trade.cancel_order("BTC-USDT", ordId=order["ordId"])
    assert (again["code"], again["data"][0]["sCode"]) == ("1", "51400")
    market = {"instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "sell", "ordType": "market", "sz": "2"}
    rows = own.trade.place_multiple_orders([market, {**market, "sz": "0.001"}])
    assert (rows["code"], [row["sCode"] for row in rows["data"]]) == ("2", ["0", "51020"])
    assert _good(own.account.get_positions())[0]["pos"] == "-2"
    fills = _good(own.trade.get_fills(instType="SWAP"))
    assert D(fills[0]["fee"]) < 0
    assert _good(own.trade.get_orders_history("SWAP"))[0]["ordId"] == fills[0]["ordId"]
    _good(own.funding.funds_transfer("USDT", "10", "18", "6"))
    assert _good(own.funding.get_balances())[0]["availBal"] == "10"


@pytest.fixture
def own(served: Served) -> Iterator[Own]:
    client = Own(served)
    yield client
    client.close()


async def test_python_okx_trades(own: Own) -> None:
    await asyncio.to_thread(_own_session, own)


@asynccontextmanager
async def _socket(client: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Queue[Any]]:
    """Its factory always passes a TLS context, so that no plain address would do."""

    async def connect(factory: Any) -> Any:
        factory.websocket = await websockets.connect(factory.url)
        return factory.websocket

    monkeypatch.setattr(WebSocketFactory, "connect", connect)
    received: asyncio.Queue[Any] = asyncio.Queue()
    task = await client.start()
    try:
        yield received
    finally:
        await client.stop()
        task.cancel()


async def _next(received: asyncio.Queue[Any], matches: Callable[[Any], bool]) -> Any:
    async with asyncio.timeout(10):
        while not matches(frame := json.loads(await received.get())):
            pass
        return frame


async def test_python_okx_follows(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    client = WsPublicAsync(served.url.replace("http", "ws", 1) + "/okx/ws/v5/public")
    async with _socket(client, monkeypatch) as received:
        args = [{"channel": name, "instId": "BTC-USDT"} for name in ("books", "bbo-tbt", "trades")]
        await client.subscribe(args, received.put_nowait)
        book = await _next(received, lambda frame: frame.get("action") == "snapshot")
        assert (book["data"][0]["prevSeqId"], book["data"][0]["checksum"]) == (-1, 0)
        update = await _next(received, lambda frame: frame.get("action") == "update")
        assert update["data"][0]["prevSeqId"] == book["data"][0]["seqId"]


async def test_python_okx_receives_its_orders(served: Served, own: Own, monkeypatch: pytest.MonkeyPatch) -> None:
    account = served.simulation.dialects["okx"].account()
    url = served.url.replace("http", "ws", 1) + "/okx/ws/v5/private"
    client = WsPrivateAsync(account.key, account.passphrase, account.secret, url)
    async with _socket(client, monkeypatch) as received:
        await client.subscribe([{"channel": "orders", "instType": "ANY"}, {"channel": "account"}], received.put_nowait)
        await _next(received, lambda frame: frame.get("eventType") == "snapshot")
        await asyncio.to_thread(own.trade.place_order, "BTC-USDT", "cash", "buy", "market", "100")
        frames = [
            await _next(received, lambda frame: frame.get("arg", {}).get("channel") == "orders") for _ in range(2)
        ]
        first, second = (frame["data"][0] for frame in frames)
        assert (first["state"], first["sz"], first["avgPx"], first["tradeId"]) == ("live", "100", "0", "")
        assert (second["state"], second["execType"], second["fillFeeCcy"]) == ("filled", "T", "BTC")
        code = _good(await asyncio.to_thread(own.public.get_instruments, "SPOT", "", "BTC-USDT"))[0]["instIdCode"]
        order = {"instIdCode": code, "tdMode": "cash", "side": "buy", "ordType": "limit", "sz": "0.001", "px": "63000"}
        await client.send("order", [order], id="one")
        answer = await _next(received, lambda frame: frame.get("id") == "one")
        assert (answer["op"], answer["code"], answer["data"][0]["sCode"]) == ("order", "0", "0")
