"""Two hundred symbols that connect together, and again: their snapshots keep to the weight that the exchange allows."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from functools import partial
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

import neuroflux.http.client
from neuroflux.domain import BookSnapshot
from neuroflux.engine.health.state import MARKET
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.config import RATE_LIMIT_BUFFER
from neuroflux.exchanges.kit.requests import Request
from neuroflux.http.client import Client
from neuroflux.records.topics import BOOKS, STATUS, Topic
from neuroflux.runtime.clock import wall
from producers.market import SNAPSHOT_WORKERS, ExchangeMarket

SYMBOLS = [f"C{number}" for number in range(200)]
SNAPSHOT_WEIGHT = 50
OTHERS_WEIGHT = 100
"""What the list of instruments and the clock weigh, with some room."""
FIRST = int(Binance.WEIGHT_PER_MINUTE * (1 - RATE_LIMIT_BUFFER)) - OTHERS_WEIGHT
PATIENCE = 60


class Proved:
    """A sink that collects the symbols whose books were published."""

    def __init__(self) -> None:
        self.symbols: set[str] = set()

    def publish(self, topic: Topic, record: Any) -> None:
        if topic is BOOKS and isinstance(record, BookSnapshot):
            self.symbols.add(record.symbol)

    def publish_raw(self, *_: Any) -> None:
        raise AssertionError("every frame is sound")

    async def drain(self) -> None: ...


class Venue:
    """A Binance that sends a diff of every book twice a second, and records the requests with their times."""

    def __init__(self) -> None:
        self.requests: list[tuple[float, str]] = []
        self.under_way: Counter[str] = Counter()
        self.together = 0
        self._update = 100
        self._sockets: set[web.WebSocketResponse] = set()
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/api/v3/exchangeInfo", self._list),
                web.get("/api/v3/time", self._time),
                web.get("/api/v3/depth", self._depth),
                web.get("/stream", self._stream),
            ]
        )

    async def disconnect(self) -> None:
        for socket in tuple(self._sockets):
            await socket.close()

    async def send_diffs(self) -> None:
        while True:
            self._update += 1
            for name in SYMBOLS:
                raw = self._diff(name)
                for socket in tuple(self._sockets):
                    if not socket.closed:
                        await socket.send_str(raw)
            await asyncio.sleep(0.5)  # the pace of the streams

    def _diff(self, name: str) -> str:
        level = [["99", str(self._update)]]
        data = {
            "e": "depthUpdate",
            "E": 1,
            "s": f"{name}USDT",
            "U": self._update,
            "u": self._update,
            "b": level,
            "a": [],
        }
        return json.dumps({"stream": f"{name.lower()}usdt@depth@100ms", "data": data})

    async def _list(self, _: web.Request) -> web.Response:
        tick = {"filterType": "PRICE_FILTER", "tickSize": "0.01"}
        symbols = [
            {"symbol": f"{one}USDT", "status": "TRADING", "baseAsset": one, "quoteAsset": "USDT", "filters": [tick]}
            for one in SYMBOLS
        ]
        return web.json_response({"symbols": symbols})

    async def _time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": wall() // 1000})

    async def _depth(self, request: web.Request) -> web.Response:
        name = request.query["symbol"]
        self.requests.append((time.monotonic(), name))
        self.under_way[name] += 1
        assert self.under_way[name] == 1, "requested again while a request was pending"
        self.together = max(self.together, self.under_way.total())
        await asyncio.sleep(0.01)  # the latency of an answer
        self.under_way[name] -= 1
        return web.json_response({"lastUpdateId": self._update, "bids": [["98", "3"]], "asks": [["101", "2"]]})

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        async for message in socket:
            assert message.type is not WSMsgType.ERROR
        self._sockets.discard(socket)
        return socket


@pytest.mark.timeout(150)
async def test_the_snapshots_of_two_hundred_symbols_keep_to_the_weight() -> None:
    venue, proved, exchange = Venue(), Proved(), Binance()
    server = TestServer(venue.app)
    await server.start_server()
    async with Client(exchange, str(server.make_url("/")), MARKET, partial(proved.publish, STATUS)) as client:
        market = ExchangeMarket(exchange, proved, client)
        symbols = await market.load([])
        work = [market.run(f"ws://127.0.0.1:{server.port}", symbols, asyncio.Event()), venue.send_diffs()]
        running = [asyncio.create_task(one) for one in work]
        at_once = FIRST // SNAPSHOT_WEIGHT
        began = time.monotonic()
        await until(lambda: len(proved.symbols) >= at_once, running)
        proved.symbols.clear()
        await venue.disconnect()
        await until(lambda: len(venue.requests) >= at_once + 8, running)
        spent = len(venue.requests) * SNAPSHOT_WEIGHT
        allowed = Binance.WEIGHT_PER_MINUTE * (1 - RATE_LIMIT_BUFFER) * (1 + (time.monotonic() - began) / 60)
        assert spent <= allowed, "the budget of a minute at once, and then as it refills"
        assert len(proved.symbols) <= len(venue.requests) - at_once, "a lost book waits for its snapshot"
        assert venue.together <= SNAPSHOT_WORKERS
        for one in running:
            one.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    await server.close()


async def test_weight_used_by_others_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neuroflux.http.client, "MINUTE", 1.0)
    monkeypatch.setattr(neuroflux.http.client, "CLOCKS_DIFFER", 0.1)
    requests: list[float] = []

    async def answer(_: web.Request) -> web.Response:
        requests.append(time.time())
        used = FIRST + OTHERS_WEIGHT if len(requests) == 1 else 1
        return web.json_response({}, headers={"x-mbx-used-weight-1m": str(used)})

    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app)
    await server.start_server()
    async with Client(Binance(), str(server.make_url("")), MARKET, lambda status: None) as client:
        for _ in range(3):
            await client.ask(Request("GET", "/", weight=SNAPSHOT_WEIGHT))
    await server.close()
    first, second, third = requests
    assert int(second) > int(first), "in the exchange's next minute"
    assert third - second < 0.9, "where there is room again"


async def until(condition: Any, running: list[asyncio.Task[None]]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            for one in running:
                if one.done():
                    one.result()
            await asyncio.sleep(0.02)  # it looks at what others count
