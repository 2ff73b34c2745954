"""The streams follow Binance's own rules: a book built from a snapshot and the updates equals a later snapshot."""

from __future__ import annotations

import asyncio
import json
from copy import deepcopy
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.binance.streams import parse
from neuroflux.sim.server import Served

Book = dict[str, dict[str, str]]


def _book(snapshot: dict[str, Any]) -> Book:
    return {side: dict(snapshot[side]) for side in ("bids", "asks")}


def _apply(book: Book, event: dict[str, Any]) -> None:
    for side, short in (("bids", "b"), ("asks", "a")):
        for price, quantity in event[short]:
            if float(quantity):
                book[side][price] = quantity
            else:
                book[side].pop(price, None)


async def _json(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        return json.loads(await answer.text())


async def _next(socket: aiohttp.ClientWebSocketResponse) -> Any:
    return json.loads(await asyncio.wait_for(socket.receive_str(), 10))


@pytest.mark.parametrize(
    ("stream", "depth"),
    [
        ("/binance/ws/btcusdt@depth@100ms", "/binance/api/v3/depth"),
        ("/binance/ws/btcusdt@depth", "/binance/api/v3/depth"),
        ("/binance/public/ws/btcusdt@depth@100ms", "/binance/fapi/v1/depth"),
    ],
)
async def test_updates_reproduce_the_snapshot(served: Served, stream: str, depth: str) -> None:
    is_spot = "/api/" in depth
    compared = 0
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(stream) as socket:
        await _next(socket)
        snapshot = later = await _json(session, f"{depth}?symbol=BTCUSDT&limit=1000")
        book, last = _book(snapshot), snapshot["lastUpdateId"]
        earlier, is_first = book, True
        while compared < 3:
            event = await _next(socket)
            if event["u"] <= last:
                continue
            is_next = event["U"] == last + 1 if is_spot else event["pu"] == last
            assert is_next or (is_first and event["U"] <= last + is_spot <= event["u"])
            _apply(book, event)
            last, is_first = event["u"], False
            before = event["U"] - 1 if is_spot else event["U"]
            if later is not snapshot and later["lastUpdateId"] == before:
                assert earlier == _book(later)
                compared += 1
            later, earlier = await _json(session, f"{depth}?symbol=BTCUSDT&limit=1000"), deepcopy(book)


async def test_book_ticker_is_the_top_of_the_book(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/binance/stream?streams=ethusdt@bookTicker/ethusdt@depth5@100ms") as socket:
            tops: dict[int, tuple[list[str], list[str]]] = {}
            compared = 0
            while compared < 3:
                frame = await _next(socket)
                data = frame["data"]
                if frame["stream"] == "ethusdt@bookTicker":
                    assert "e" not in data
                    tops[data["u"]] = ([data["b"], data["B"]], [data["a"], data["A"]])
                elif data["lastUpdateId"] in tops:
                    assert tops[data["lastUpdateId"]] == (data["bids"][0], data["asks"][0])
                    compared += 1


async def test_candles(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/binance/ws/btcusdt@kline_1m") as socket:
            assert (await _next(socket))["k"]["i"] == "1m"
        rows = await _json(session, "/binance/fapi/v1/klines?symbol=ETHUSDT&interval=5m")
        assert all(len(row) == 12 for row in rows)


async def test_control_messages(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/binance/stream/ws/0") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 1})
        assert await _next(socket) == {"result": None, "id": 1}
        assert (await _next(socket))["s"] == "BTCUSDT"
        await socket.send_json({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 2})
        frame = await _next(socket)
        while "s" in frame:
            frame = await _next(socket)
        assert frame["id"] == 2
        await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": 3})
        assert await _next(socket) == {"result": [], "id": 3}
        await socket.send_json({"method": "NONSENSE", "id": 4})
        assert (await _next(socket))["error"]["code"] == 2


@pytest.mark.parametrize("name", ["btcusdt@depthabc", "btcusdt@", "@depth", "@bookTicker", "btcusdt@nothing@100ms"])
async def test_an_unknown_stream_is_silent_and_harms_no_other(served: Served, name: str) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/binance/ws/0") as socket:
        await socket.send_json({"method": "SUBSCRIBE", "params": [name, "btcusdt@bookTicker"], "id": 1})
        frames = [await _next(socket) for _ in range(6)]
    assert frames[0] == {"result": None, "id": 1}
    assert {frame["s"] for frame in frames[1:]} == {"BTCUSDT"}
    assert not served.moving.done()


async def test_too_many_messages_end_the_connection(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/binance/ws") as socket:
        for number in range(7):
            await socket.send_json({"method": "LIST_SUBSCRIPTIONS", "id": number})
        kinds = [(await asyncio.wait_for(socket.receive(), 10)).type for _ in range(7)]
        assert aiohttp.WSMsgType.CLOSE in kinds or aiohttp.WSMsgType.CLOSED in kinds


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("btcusdt@depth", ("BTCUSDT", "depth", 1_000_000)),
        ("btcusdt@depth@100ms", ("BTCUSDT", "depth", 0)),
        ("btcusdt@depth20@500ms", ("BTCUSDT", "depth20", 500_000)),
        ("btcusdt@markPrice@1s", ("BTCUSDT", "markPrice", 1_000_000)),
        ("btcusdt@markPrice", ("BTCUSDT", "markPrice", 3_000_000)),
        ("!markPrice@arr@1s", ("", "!markPrice@arr", 1_000_000)),
        ("!bookTicker", ("", "!bookTicker", 0)),
        ("btcusdt@kline_1h", ("BTCUSDT", "kline_1h", 1_000_000)),
    ],
)
def test_names_of_streams(name: str, expected: tuple[str, str, int]) -> None:
    assert parse(name, default_depth=1_000_000) == expected
