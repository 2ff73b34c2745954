"""Bybit's sockets: windows of books, tickers, the account's topics, the trade socket, refusals and silence."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal as D
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import make_mocked_request
from msgspec.structs import replace

from neuroflux.sim.bybit.sockets import QUIET, quiet_of
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served
from tests.neuroflux.sim.bybit.client import PATH, login, placed, public
from tests.neuroflux.sim.client import fault, following

LINEAR, SPOT = f"{PATH}public/linear", f"{PATH}public/spot"
Socket = aiohttp.ClientWebSocketResponse


async def _sent(socket: Socket, op: str, *args: Any, **more: Any) -> Any:
    """The answer to a request over a socket."""
    await socket.send_json({"op": op, "args": list(args), **more})
    return await following(socket, lambda frame: "topic" not in frame)


class Book:
    """A book that follows the manual's rules, and fails where the exchange breaks them."""

    def __init__(self, depth: int) -> None:
        self.depth, self.number, self.deltas, self.gaps = depth, 0, 0, 0
        self.sides: dict[str, dict[str, str]] = {"b": {}, "a": {}}

    def take(self, frame: Any) -> None:
        data = frame["data"]
        if frame["type"] == "snapshot":
            self.sides = {side: dict(data[side]) for side in "ba"}
        else:
            self.gaps += data["u"] != self.number + 1
            self.deltas += 1
            for side in "ba":
                for price, size in data[side]:
                    if D(size):
                        self.sides[side][price] = size
                    else:
                        del self.sides[side][price]  # a level that was never shown would raise
        self.number = data["u"]
        if self.depth == 50:  # the simulator has fewer levels than a deeper one shows
            assert {len(side) for side in self.sides.values()} == {50}
        assert max(map(D, self.sides["b"])) < min(map(D, self.sides["a"]))


@pytest.mark.parametrize(
    ("path", "depth", "order"),
    [
        (SPOT, 50, ["topic", "ts", "type", "data", "cts"]),
        (LINEAR, 50, ["topic", "type", "ts", "data", "cts"]),
        (LINEAR, 200, ["topic", "type", "ts", "data", "cts"]),
    ],
)
async def test_a_book_is_a_window(served: Served, path: str, depth: int, order: list[str]) -> None:
    """Two that follow it at different times have the same book by the same number."""
    topic, is_topic, first = f"orderbook.{depth}.ETHUSDT", lambda frame: "topic" in frame, Book(depth)
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(path) as one:
        await one.send_json({"op": "subscribe", "args": [topic], "req_id": 7})
        for _ in range(10):
            frame = await following(one, is_topic)
            assert list(frame) == order
            first.take(frame)
        async with session.ws_connect(path) as two:
            await two.send_json({"op": "subscribe", "args": [topic]})
            second = Book(depth)
            for _ in range(5):
                second.take(await following(two, is_topic))
            while first.number < second.number:
                first.take(await following(one, is_topic))
            assert (first.sides, first.gaps, second.gaps) == (second.sides, 0, 0)
    assert first.deltas > 8


async def test_a_gap_is_a_number_that_is_missing(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(LINEAR) as socket:
        await socket.send_json({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
        numbers = [(await following(socket, lambda frame: "topic" in frame))["data"]["u"] for _ in range(2)]
        await fault(session, "gap", "bybit", count=2)
        after = (await following(socket, lambda frame: "topic" in frame))["data"]["u"]
        while after == numbers[-1] + 1:
            numbers.append(after)
            after = (await following(socket, lambda frame: "topic" in frame))["data"]["u"]
        assert after == numbers[-1] + 3
        assert (await _sent(socket, "unsubscribe", "orderbook.50.BTCUSDT"))["success"] is True
        await socket.send_json({"op": "subscribe", "args": ["orderbook.50.BTCUSDT"]})
        again = await following(socket, lambda frame: frame.get("type") == "snapshot")
        assert again["data"]["u"] >= after


async def test_the_first_level_is_repeated(served: Served) -> None:
    exchange = served.simulation.exchange("bybit")
    served.simulation.world.halt(exchange.listings["LTCUSDT"], is_halted=True)
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(SPOT) as socket:
        await socket.send_json({"op": "subscribe", "args": ["orderbook.1.LTCUSDT"]})
        frames = [await following(socket, lambda frame: "topic" in frame) for _ in range(2)]
        assert {frame["type"] for frame in frames} == {"snapshot"}
        assert frames[0]["data"] == frames[1]["data"]
        assert 2900 <= frames[1]["ts"] - frames[0]["ts"] <= 4300
        exchange.books["LTCUSDT"].take("buy", 1, None, 0)
        moved = await following(socket, lambda frame: "topic" in frame)
        assert moved["data"]["u"] == frames[0]["data"]["u"] + 1


async def test_tickers(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect(LINEAR) as socket:
            await socket.send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
            whole = await following(socket, lambda frame: "topic" in frame)
            part = await following(socket, lambda frame: "topic" in frame)
            while part["type"] == "snapshot" or "bid1Price" not in part["data"]:
                part = await following(socket, lambda frame: "topic" in frame)
            assert set(part["data"]) < set(whole["data"])
            assert {"markPrice", "indexPrice", "fundingRate", "nextFundingTime", "ask1Price"} <= set(whole["data"])
        async with session.ws_connect(SPOT) as socket:
            await socket.send_json({"op": "subscribe", "args": ["tickers.BTCUSDT"]})
            frames = [await following(socket, lambda frame: "topic" in frame) for _ in range(2)]
        assert {frame["type"] for frame in frames} == {"snapshot"}
        assert not {"bid1Price", "ask1Price"} & set(frames[0]["data"])


@pytest.mark.parametrize(("path", "shape"), [(SPOT, int), (LINEAR, str)])
async def test_trades(served: Served, path: str, shape: type) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(path) as socket:
        await socket.send_json({"op": "subscribe", "args": ["publicTrade.BTCUSDT"]})
        frame = await following(socket, lambda frame: "topic" in frame, 20)
        row = frame["data"][0]
        assert (row["s"], row["BT"], row["S"] in ("Buy", "Sell")) == ("BTCUSDT", False, True)
        assert row["i"].isdigit() is (shape is int)
        category = path.rpartition("/")[2]
        recent = await public(session, f"market/recent-trade?category={category}&symbol=BTCUSDT")
        assert row["i"] in {one["execId"] for one in recent["result"]["list"]}


async def test_refused_subscriptions(served: Served) -> None:
    good = "publicTrade.ETHUSDT"
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect(SPOT) as spot, session.ws_connect(LINEAR) as linear:
            for topic, said in (
                ("orderbook.7.BTCUSDT", "error:handler not found,topic:orderbook.7.BTCUSDT"),
                ("nonsense", "error:handler not found,topic:nonsense"),
                ("publicTrade.NOPE", "Invalid symbol :[NOPE]"),
            ):
                answer = await _sent(spot, "subscribe", topic)
                assert (answer["success"], answer["ret_msg"], answer["op"]) == (False, said, "subscribe")
            assert (await _sent(spot, "subscribe", good, "publicTrade.NOPE"))["success"] is False
            assert (await _sent(linear, "subscribe", good, "publicTrade.NOPE"))["success"] is False
            assert (await _sent(spot, "subscribe", good))["ret_msg"] == "subscribe"  # the bad one refused both
            assert "already" in (await _sent(linear, "subscribe", good))["ret_msg"]
            assert "already" in (await _sent(spot, "subscribe", good))["ret_msg"]
            many = [f"tickers.{base}USDT" for base in ("BTC", "ETH", "SOL", "XRP", "ADA", "LTC", "BCH", "DOT", "UNI")]
            assert (await _sent(spot, "subscribe", *many, "tickers.AAVEUSDT", "tickers.OPUSDT"))["success"] is False
            assert (await _sent(linear, "subscribe", *many, "tickers.AAVEUSDT", "tickers.OPUSDT"))["success"] is True
            assert "length" in (await _sent(linear, "subscribe", "x" * 21_000))["ret_msg"]
            assert (await _sent(linear, "dance"))["success"] is False
            await linear.send_str("[1, 2")
            assert (await following(linear, lambda frame: "topic" not in frame))["success"] is False
            pong = await _sent(spot, "ping", req_id="p")
            assert (pong["ret_msg"], pong["op"], pong["req_id"], "conn_id" in pong) == ("pong", "ping", "p", True)


async def test_the_private_socket_wants_a_login(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(f"{PATH}private") as socket:
        assert (await _sent(socket, "subscribe", "order"))["success"] is False
        good = login(served)
        key, expires, signature = good["args"]
        for args in ([key, expires, "0"], ["other", expires, signature], login(served, -1)["args"], [key], None):
            await socket.send_json({"op": "auth", "args": args})
            assert (await following(socket, lambda frame: True))["success"] is False
        await socket.send_json({"op": "auth", "args": [key, str(expires), signature]})
        assert (await following(socket, lambda frame: True))["success"] is True
        pong = await _sent(socket, "ping")
        assert (pong["op"], pong["args"][0].isdigit()) == ("pong", True)
        assert (await _sent(socket, "subscribe", "order", "execution.linear"))["success"] is False
        assert (await _sent(socket, "subscribe", "orders"))["success"] is False
        for _ in range(2):
            assert (await _sent(socket, "subscribe", "order", "wallet", "execution"))["success"] is True
        exchange = served.simulation.exchange("bybit")
        exchange.place(Ask("SOLUSDT", "buy", D(1), D(149)), served.simulation.now("bybit"))
        await asyncio.sleep(0.2)
        await socket.send_json({"op": "ping"})
        frames = []
        while (frame := json.loads(await socket.receive_str())).get("op") != "pong":
            frames.append(frame)
        assert sorted(frame["topic"] for frame in frames) == ["order", "wallet"]
        assert {row["coin"] for frame in frames if frame["topic"] == "wallet" for row in frame["data"][0]["coin"]} == {
            "SOL",
            "USDT",
        }


async def _private(session: aiohttp.ClientSession, served: Served, *topics: str) -> Socket:
    socket = await session.ws_connect(f"{PATH}private")
    await socket.send_json(login(served))
    await socket.send_json({"op": "subscribe", "args": list(topics)})
    await following(socket, lambda frame: frame.get("op") == "subscribe")
    return socket


async def test_the_frames_of_an_account(served: Served) -> None:
    now = served.simulation.now("bybit")
    exchange = served.simulation.exchange("bybit")
    async with aiohttp.ClientSession(served.url) as session:
        spot = await _private(session, served, "order.spot", "execution.spot")
        every = await _private(session, served, "order", "position", "wallet", "execution")
        await placed(session, served, category="linear", qty="0.01", orderLinkId="mine")
        closed = await following(every, lambda frame: frame["data"][0].get("orderStatus") == "Filled")
        assert (closed["data"][0]["category"], closed["data"][0]["tpslMode"]) == ("linear", "")
        held = await following(every, lambda frame: frame["topic"] == "position" and frame["data"][0]["size"] != "0")
        assert (held["data"][0]["entryPrice"] != "0", held["data"][0]["side"]) == (True, "Buy")
        exchange.fund("linear:BTCUSDT", D("0.0001"), now)
        paid = await following(every, lambda frame: frame["data"][0].get("execType") == "Funding")
        assert float(paid["data"][0]["execFee"]) > 0
        await fault(session, "reject", "bybit")
        await placed(session, served, orderLinkId="refused")
        frame = await following(spot, lambda frame: True)  # nothing of the perpetual was sent here
        row = frame["data"][0]
        assert (frame["topic"], row["orderStatus"], row["orderLinkId"]) == ("order.spot", "Rejected", "refused")
        await fault(session, "transfer", "bybit", asset="SOL", amount="2")
        moved = await following(every, lambda frame: frame["data"][0].get("coin", [{}])[0].get("coin") == "SOL")
        assert moved["data"][0]["coin"][0]["walletBalance"] == "17"
        await spot.close()
        await every.close()


async def test_the_trade_socket(served: Served) -> None:
    order = {"category": "spot", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Market", "qty": "50"}
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(f"{PATH}trade") as socket:

        async def asked(op: str, number: str, *args: Any, at: Any = None) -> Any:
            header = {"X-BAPI-TIMESTAMP": at if at is not None else int(time.time() * 1000)}
            return await _sent(socket, op, *args, reqId=number, header=header)

        assert (await asked("order.create", "0", order))["retCode"] == 10003
        await socket.send_json({**login(served), "args": [*login(served)["args"][:2], "0"]})
        assert (await following(socket, lambda frame: True))["retCode"] == 10004
        for code in (0, 20001):
            await socket.send_json(login(served))
            assert (await following(socket, lambda frame: True))["retCode"] == code
        done = await asked("order.create", "1", order)
        assert (done["retCode"], done["reqId"], done["header"]["X-Bapi-Limit"]) == (0, "1", "20")
        assert (await asked("order.create", "1", order))["retCode"] == 20006
        assert (await asked("order.create", "x" * 37, order))["retCode"] == 10001
        assert (await asked("order.create", "2"))["retCode"] == 10001
        assert (await asked("order.create", "3", order, order))["retCode"] == 10001
        assert (await asked("order.create", "4", order, at=""))["retCode"] == 10002
        assert (await asked("order.create", "5", order, at=str(int(time.time() * 1000) - 6000)))["retCode"] == 10002
        assert (await asked("order.create", "6", {**order, "qty": "999999"}))["retCode"] == 170131
        assert (await asked("order.amend", "7", order))["retCode"] == 10404
        assert (await asked("order.cancel", "8", {**order, "orderId": "1"}))["retCode"] == 170213
        pong = await _sent(socket, "ping")
        assert (pong["op"], pong["retCode"], pong["data"][0].isdigit()) == ("pong", 0, True)
        codes = [(await asked("order.create", f"n{n}", {**order, "qty": "0"}))["retCode"] for n in range(25)]
        assert codes[-1] == 10429
        await asyncio.sleep(1)
        await fault(session, "accept_then_timeout", "bybit")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await asked("order.create", "lost", {**order, "orderLinkId": "lost"})
    assert served.simulation.exchange("bybit").find(None, "lost").state == "filled"


async def test_silent_sockets_are_closed(served: Served) -> None:
    for query, quiet in (("?max_active_time=45s", 45_000_000), ("?max_active_time=60m", QUIET), ("", QUIET)):
        assert quiet_of(make_mocked_request("GET", f"/{query}")) == quiet
    dialect: Any = served.simulation.dialects["bybit"]
    async with aiohttp.ClientSession(served.url) as session:
        one = await session.ws_connect(f"{PATH}private?max_active_time=30s")
        two = await session.ws_connect(f"{PATH}private")
        await _sent(one, "ping")
        await _sent(two, "ping")
        dialect._sockets.close_quiet(served.simulation.now("bybit") + 31_000_000)
        message = await one.receive(5)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert (await _sent(two, "ping"))["op"] == "pong"
        await two.close()


async def test_one_side_is_empty(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(SPOT) as socket:
        await fault(session, "empty_side", "bybit", symbol="LTCUSDT", value="buy")
        await socket.send_json({"op": "subscribe", "args": ["orderbook.1.LTCUSDT", "orderbook.50.LTCUSDT"]})
        frame = await following(socket, lambda frame: "topic" in frame and not frame["data"]["b"])
        assert frame["data"]["a"]
        row = (await public(session, "market/tickers?category=spot&symbol=LTCUSDT"))["result"]["list"][0]
        assert (row["bid1Price"], row["bid1Size"], row["ask1Price"] != "") == ("", "", True)


def test_the_demo_account(served: Served) -> None:
    account = served.simulation.dialects["bybit"].account()
    assert set(account.balances) == {"USDT", "USDC", "EUR", "BTC", "ETH", "SOL"}
    assert replace(account, key="").address == ""
