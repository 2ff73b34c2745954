"""Kraken's socket: acknowledgements, books with checksums, the account's rows and numbers, and orders by message."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from typing import Any
from zlib import crc32

import aiohttp
import pytest

from neuroflux.sim.core.orders import Ask
from neuroflux.sim.kraken.books import checksum
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault
from tests.neuroflux.sim.kraken.client import ask, frame_of, limit, received, request, socket_of

D = Decimal
ORDER: dict[str, Any] = {
    "order_type": "limit",
    "side": "buy",
    "order_qty": 0.001,
    "symbol": "BTC/USD",
    "limit_price": 50000,
}


async def test_a_socket_says_its_state_and_answers_a_ping(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/kraken/v2") as socket:
        status = await received(socket)
        assert (status["channel"], status["data"][0]["system"], status["data"][0]["api_version"]) == (
            *("status", "online", "v2"),
        )
        pong = await request(socket, "ping", 7)
        assert (pong["method"], pong["req_id"]) == ("pong", 7)
        await socket.send_json({"method": "ping"})
        assert "req_id" not in await received(socket)


async def test_each_symbol_is_acknowledged_before_its_snapshot(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        symbols = ["BTC/USD", "FOO/BAR", "ETH/USD"]
        params = {"channel": "book", "symbol": symbols, "depth": 25}
        await socket.send_json({"method": "subscribe", "params": params, "req_id": 1})
        seen: list[Any] = []
        while len(seen) < 5:
            frame = await received(socket)
            if "method" in frame or frame["type"] == "snapshot":
                seen.append(frame)
        assert seen[0]["result"] == {"channel": "book", "depth": 25, "snapshot": True, "symbol": "BTC/USD"}
        assert seen[1]["data"][0]["symbol"] == "BTC/USD"
        assert len(seen[1]["data"][0]["bids"]) == 25
        assert (seen[2]["error"], seen[2]["success"], seen[2]["symbol"]) == (
            *("Currency pair not supported FOO/BAR", False, "FOO/BAR"),
        )
        assert (seen[3]["result"]["symbol"], seen[4]["data"][0]["symbol"]) == ("ETH/USD", "ETH/USD")


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"channel": "book", "symbol": ["BTC/USD"], "depth": 11}, "Subscription depth not supported"),
        ({"channel": "ohlc", "symbol": ["BTC/USD"], "interval": 2}, "Subscription ohlc interval not supported"),
        (
            {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "x"},
            "Subscription event_trigger not supported",
        ),
        ({"channel": "level3", "symbol": ["BTC/USD"]}, "Event(s) not found"),
        ({}, "Event(s) not found"),
        ({"channel": "executions"}, "ESession:Invalid session"),
        ({"channel": "balances", "token": 5}, "ESession:Invalid session"),
    ],
)
async def test_why_a_subscription_is_refused(served: Served, params: Any, error: str) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        assert (await request(socket, "subscribe", **params))["error"] == error


async def test_what_is_no_message_is_refused(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        for text in ("", "[]", "{", '{"method":"nope"}', '{"method":"subscribe","params":[]}', "{}"):
            await socket.send_str(text)
            assert (await received(socket))["success"] is False
        for _ in range(60):
            await socket.send_json({"method": "ping"})
        while "Error" not in (frame := await received(socket)):
            pass
        assert frame == {"Error": "Exceeded msg rate"}


async def test_a_subscription_is_one_and_ends(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        book: dict[str, Any] = {"channel": "book", "symbol": ["BTC/USD"]}
        assert (await request(socket, "subscribe", 1, **book))["success"] is True
        assert (await request(socket, "subscribe", 2, **book))["error"] == "Already subscribed"
        assert (await request(socket, "unsubscribe", 3, **book, depth=25))["error"] == "Subscription Not Found"
        assert (await request(socket, "unsubscribe", 4, **book))["result"]["symbol"] == "BTC/USD"
        with pytest.raises(TimeoutError):
            await socket.receive_str(timeout=1.2)
        assert (await request(socket, "unsubscribe", 5, **book))["error"] == "Subscription Not Found"
        assert (await request(socket, "subscribe", 6, **book))["success"] is True
        assert len((await frame_of(socket, "book", "snapshot"))["data"][0]["asks"]) == 10


async def test_a_quiet_subscription_has_heartbeats(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        await request(socket, "subscribe", channel="instrument")
        assert {"symbol", "price_increment", "qty_min"} <= (await received(socket))["data"]["pairs"][0].keys()
        assert [await received(socket) for _ in range(2)] == [{"channel": "heartbeat"}] * 2
        await fault(session, "halt", "kraken", symbol="XXBTZUSD")
        (pair,) = (await frame_of(socket, "instrument"))["data"]["pairs"]
        assert (pair["symbol"], pair["status"]) == ("BTC/USD", "cancel_only")


async def test_public_channels(served: Served) -> None:
    sim = served.simulation.exchange("kraken")
    async with aiohttp.ClientSession(served.url) as session, socket_of(session, "/kraken-auth/v2") as socket:
        channels: list[dict[str, Any]] = [
            {"channel": "trade", "snapshot": True},
            {"channel": "ticker", "event_trigger": "bbo"},
            {"channel": "ohlc", "interval": 5},
        ]
        for number, params in enumerate(channels):
            await request(socket, "subscribe", number, symbol=["BTC/USD"], **params)
        sim.place(Ask("XXBTZUSD", "buy", D("0.001")), served.simulation.now("kraken"))
        served.simulation.flush("kraken")
        seen: dict[str, Any] = {}
        while seen.keys() < {"trade", "ticker", "ohlc"}:
            frame = await received(socket)
            if frame.get("type") == "update":
                seen[frame["channel"]] = frame["data"][0]
        assert seen["trade"]["side"] in ("buy", "sell")
        assert seen["ticker"]["bid"] < seen["ticker"]["ask"]
        assert (seen["ohlc"]["interval"], seen["ohlc"]["symbol"]) == (5, "BTC/USD")


# --- books


def test_the_checksum_is_the_manuals() -> None:
    asks = [("45285.2", "0.00100000"), ("45286.4", "1.54571953")]
    bids = [("45283.5", "0.10000000"), ("45283.4", "1.54582015")]
    assert checksum(bids, asks) == 2050935876
    assert checksum([("0.08210", "0.50000000")], [("0.08213", "12.00000000")]) == 3998063073


class Copy:
    """A client's book by the manual: apply every level, then cut off what exceeds the depth. Numbers stay text."""

    def __init__(self, depth: int) -> None:
        self._depth = depth
        self.sides: dict[str, dict[str, str]] = {}

    def apply(self, frame: Any) -> bool:
        """Returns whether the checksum is right."""
        (row,) = frame["data"]
        if frame["type"] == "snapshot":
            self.sides = {"asks": {}, "bids": {}}
        for name, levels in self.sides.items():
            for level in row[name]:
                levels[level["price"]] = level["qty"]
                if not D(level["qty"]):
                    del levels[level["price"]]
            best = sorted(levels, key=D, reverse=name == "bids")[: self._depth]
            self.sides[name] = {price: levels[price] for price in best}
        text = "".join(
            number.replace(".", "").lstrip("0")
            for name in ("asks", "bids")
            for level in list(self.sides[name].items())[:10]
            for number in level
        )
        return bool(crc32(text.encode()) == row["checksum"])


async def checked(socket: aiohttp.ClientWebSocketResponse, copies: dict[str, Copy]) -> bool:
    """Apply the next frame of a book, and return whether its checksum is right."""
    while True:
        frame = json.loads(await socket.receive_str(timeout=10), parse_float=str)
        if frame.get("channel") == "book":
            return copies[frame["data"][0]["symbol"]].apply(frame)


@pytest.mark.parametrize("depth", [10, 25, 100, 1000])
async def test_every_update_has_the_checksum_of_the_book_that_it_makes(served: Served, depth: int) -> None:
    sim = served.simulation.exchange("kraken")
    copies = {symbol: Copy(depth) for symbol in ("BTC/USD", "DOGE/USD", "PEPE/USD")}
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket, socket_of(session) as other:
        await socket.send_json(
            {"method": "subscribe", "params": {"channel": "book", "symbol": list(copies), "depth": depth}}
        )
        assert [await checked(socket, copies) for _ in range(10)] == [True] * 10
        await request(other, "subscribe", channel="book", symbol=["BTC/USD"], depth=depth)
        late = {"BTC/USD": Copy(depth)}
        for number in range(8):
            price = sim.top("XXBTZUSD")[0] - number * D("0.1")
            order = sim.place(Ask("XXBTZUSD", "buy", D("0.002"), price), served.simulation.now("kraken"))
            served.simulation.flush("kraken")
            if order.is_open and number % 2:
                sim.cancel(order, served.simulation.now("kraken"))
            assert await checked(socket, copies)
            assert await checked(other, late)
        assert [await checked(socket, copies) for _ in range(20)] == [True] * 20
        shown, book = copies["BTC/USD"].sides["bids"], sim.books["XXBTZUSD"].bids
        assert len(shown) == min(depth, len(shown))
        assert len(shown) >= min(depth, len(book)) - 1


async def test_a_lost_frame_shows_in_the_checksum_until_the_next_snapshot(served: Served) -> None:
    copies = {"BTC/USD": Copy(10)}
    book: dict[str, Any] = {"channel": "book", "symbol": ["BTC/USD"]}
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        await request(socket, "subscribe", **book)
        assert await checked(socket, copies)
        await fault(session, "gap", "kraken", count=3)
        async with asyncio.timeout(10):
            while await checked(socket, copies):
                pass
        await request(socket, "unsubscribe", 2, **book)
        await request(socket, "subscribe", 3, **book)
        assert [await checked(socket, copies) for _ in range(5)] == [True] * 5


# --- the account


async def following(session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse, **params: Any) -> str:
    """Follow the executions, and return the token."""
    token = str((await ask(session, "GetWebSocketsToken"))["token"])
    answer = await request(socket, "subscribe", 9, channel="executions", token=token, **params)
    assert answer["success"] is True
    return token


async def rows_until(socket: aiohttp.ClientWebSocketResponse, kind: str) -> list[Any]:
    """The rows of executions up to one of this kind."""
    rows = [(await frame_of(socket, "executions"))["data"][0]]
    while rows[-1]["exec_type"] != kind:
        rows.append((await frame_of(socket, "executions"))["data"][0])
    return rows


async def test_an_order_has_a_row_for_each_step(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session, "/kraken-auth/v2") as socket:
        await ask(session, "AddOrder", **limit("0.0001", cl_ord_id="first"))
        await following(session, socket)
        snapshot = await frame_of(socket, "executions", "snapshot")
        assert [row["cl_ord_id"] for row in snapshot["data"]] == ["first"]
        assert snapshot["sequence"] == 1
        await ask(session, "AddOrder", **limit("0.001", "90000", cl_ord_id="mine"))
        rows = await rows_until(socket, "filled")
        assert [row["exec_type"] for row in rows[:2]] == ["pending_new", "new"]
        assert (rows[0]["symbol"], rows[0]["order_qty"], rows[0]["limit_price"]) == ("BTC/USD", 0.001, 90000)
        assert rows[1].keys() == {
            *("timestamp", "order_status", "exec_type", "order_userref", "cl_ord_id", "order_id"),
        }
        fills = rows[2:-1]
        assert {(row["exec_type"], row["order_status"], row["liquidity_ind"]) for row in fills} == {
            ("trade", "partially_filled", "t")
        }
        assert sum(D(str(row["last_qty"])) for row in fills) == D("0.001")
        assert fills[0]["fees"][0]["asset"] == "USD"
        assert "symbol" not in rows[-1]
        assert rows[-1]["cum_qty"] == 0.001
        await ask(session, "AmendOrder", cl_ord_id="first", order_qty="0.0002")
        assert (await rows_until(socket, "amended"))[-1]["order_qty"] == 0.0002
        await ask(session, "CancelOrder", cl_ord_id="first")
        assert (await rows_until(socket, "canceled"))[-1]["reason"] == "User requested"


async def test_frames_of_the_account_are_numbered(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        token = await following(session, socket, order_status=False, ratecounter=True, snap_trades=True)
        await request(socket, "subscribe", channel="balances", token=token)
        await ask(session, "AddOrder", **limit("0.001", "90000"))
        kinds, numbers = [], []
        while "filled" not in kinds:
            frame = await frame_of(socket, "executions")
            kinds.append(frame["data"][0]["exec_type"])
            numbers.append(frame["sequence"])
            assert frame["data"][0]["ratecount"] == 1
        assert (kinds, numbers) == (["new", "filled"], [2, 3])
        await request(socket, "unsubscribe", 4, channel="executions", token=token)
        await following(session, socket, snap_trades=True)
        again = await frame_of(socket, "executions", "snapshot")
        assert again["sequence"] == 1
        assert {row["exec_type"] for row in again["data"]} == {"trade"}


async def test_balances_are_totals_and_entries_of_the_ledger(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        token = (await ask(session, "GetWebSocketsToken"))["token"]
        await request(socket, "subscribe", channel="balances", token=token)
        snapshot = await frame_of(socket, "balances", "snapshot")
        assert {row["asset"]: row["balance"] for row in snapshot["data"]}["USD"] == 7000
        await ask(session, "AddOrder", **limit("0.0001"))
        await ask(session, "CancelAll")
        await ask(session, "AddOrder", **limit("0.001", "90000"))
        rows = [(await frame_of(socket, "balances"))["data"][0] for _ in range(2)]
        assert [row["asset"] for row in rows] == ["BTC", "USD"], "placing and cancelling moved nothing"
        assert rows[0]["balance"] <= 0.071
        assert rows[1]["amount"] < 0 < rows[1]["fee"]


async def test_orders_by_message(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        token = (await ask(session, "GetWebSocketsToken"))["token"]

        async def send(method: str, number: int, **params: Any) -> Any:
            return await request(socket, method, number, token=token, **params)

        placed = await send("add_order", 1, **ORDER, cl_ord_id="mine", post_only=True)
        assert (placed["method"], placed["success"], placed["result"]["cl_ord_id"]) == ("add_order", True, "mine")
        assert (await send("add_order", 2, **{**ORDER, "order_qty": 1}))["error"] == "EOrder:Insufficient funds"
        text = await send("add_order", 3, **{**ORDER, "order_qty": "0.001"})
        assert text["error"] == "EGeneral:Invalid arguments:order_qty must be a number"
        amended = await send("amend_order", 4, cl_ord_id="mine", order_qty=0.002)
        assert amended["result"]["order_id"] == placed["result"]["order_id"]
        await socket.send_json(
            {"method": "cancel_order", "req_id": 5, "params": {"token": token, "cl_ord_id": ["mine", "other"]}}
        )
        answers = [await received(socket) for _ in range(2)]
        assert [one["success"] for one in answers] == [True, False]
        assert answers[0]["result"] == {"cl_ord_id": "mine"}
        assert answers[1]["error"] == "EOrder:Unknown order"
        checked_only = await send("add_order", 6, **ORDER, validate=True)
        assert "order_id" not in checked_only["result"]
        rows = [{name: value for name, value in ORDER.items() if name != "symbol"} | {"cl_ord_id": one} for one in "ab"]
        batch = await send("batch_add", 7, symbol="BTC/USD", orders=rows)
        assert [one["cl_ord_id"] for one in batch["result"]] == ["a", "b"]
        assert (await send("batch_cancel", 8, orders=[], cl_ord_id=["a", "c"]))["orders_cancelled"] == 1
        edited = await send("edit_order", 9, order_id=batch["result"][1]["order_id"], symbol="BTC/USD", order_qty=0.002)
        assert edited["result"]["original_order_id"] == batch["result"][1]["order_id"]
        assert (await send("cancel_all", 10))["result"] == {"count": 1}
        spent = await send("add_order", 11, order_type="market", side="buy", symbol="BTC/USD", cash_order_qty=20)
        assert spent["success"] is True
        assert (await send("cancel_all_orders_after", 12, timeout=0))["result"]["triggerTime"] == "0"
        await fault(session, "account_mode", "kraken", value="view_only")
        assert (await send("cancel_all", 13))["error"] == "EGeneral:Permission denied"


async def test_the_answer_to_a_message_may_be_lost(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, socket_of(session) as socket:
        token = (await ask(session, "GetWebSocketsToken"))["token"]
        await fault(session, "accept_then_timeout", "kraken", count=1)
        await socket.send_json({"method": "add_order", "params": {**ORDER, "token": token}, "req_id": 1})
        assert (await request(socket, "ping", 2))["method"] == "pong", "nothing came before"
        assert len((await ask(session, "OpenOrders"))["open"]) == 1
