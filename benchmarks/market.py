"""``python -m benchmarks.market ADDRESS``: the market stage's sockets, normalisers and publisher, without REST.

Snapshots of books are prepared, so that only the measured steps take time.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import uvloop

from benchmarks import frames
from benchmarks.paced import MARKETS
from neuroflux.domain import Microseconds, StatusKind
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import PageNeeded, SnapshotNeeded
from neuroflux.exchanges.kit.requests import Answer, Request, Subscription
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import load_settings
from neuroflux.runtime.stage import spare_collector
from producers.book_schedule import INTERVAL
from producers.conflation import Conflated
from producers.normaliser import Normaliser
from producers.socket import Socket

LEVELS = 50


class Market:
    """One exchange. Implements ``Listener``."""

    def __init__(self, exchange: Any, sink: Conflated) -> None:
        self._exchange, self._sink = exchange, sink
        self._normaliser = Normaliser(exchange, sink, self._request)
        is_spot = exchange.ID == "binance"
        listed = frames.listing([*MARKETS, "USDC"]) if is_spot else frames.futures(MARKETS)
        instruments = self._normaliser.instruments([listed], wall())
        self._names = {one.symbol: one.name for one in instruments}
        self._normaliser.follow([one.symbol for one in instruments], wall())

    async def run(self, address: str) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Socket(address, Subscription(f"/{self._exchange.ID}"), self).run())
            tasks.create_task(self._publish_books())

    async def _publish_books(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL / 4e6)
            self._normaliser.passed(wall())
            await self._sink.drain()

    def _request(self, request: SnapshotNeeded | PageNeeded) -> None:
        asyncio.get_running_loop().call_soon(self._answer, request)

    def _answer(self, request: SnapshotNeeded | PageNeeded) -> None:
        assert isinstance(request, SnapshotNeeded), "no list here has pages"
        sides = {
            "bids": [[f"{100 - number / 100:.2f}", "50"] for number in range(LEVELS)],
            "asks": [[f"{100.05 + number / 100:.2f}", "50"] for number in range(LEVELS)],
        }
        last = 1 if self._exchange.ID == "binance" else 2
        path = f"/depth?symbol={self._names[request.symbol]}&limit=1000"
        answer = Answer(Request("GET", path, tag="depth"), 200, json.dumps({"lastUpdateId": last} | sides).encode())
        self._normaliser.answer(request.symbol, answer, wall())

    async def opened(self) -> None: ...

    def frame(self, raw: bytes, received: Microseconds) -> None:
        self._normaliser.frame(0, raw, received)

    def status(self, kind: StatusKind, value: float, detail: str) -> None: ...

    async def drained(self) -> None:
        await self._sink.drain()


async def main(address: str) -> None:
    settings = load_settings()
    spare_collector()
    async with Publisher(settings, await load_codec(settings)) as publisher, asyncio.TaskGroup() as tasks:
        sink = Conflated(publisher)
        for exchange in (Binance(), BinanceUsdm()):
            tasks.create_task(Market(exchange, sink).run(address))


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
