"""From the loss of a socket until every book is proved again: ten symbols of the simulated Binance, in milliseconds.

Ours: the market stage's part for one exchange, without Kafka. Limit: the socket reopened, one change of each book,
its snapshot, and one more change, without processing. The exchange sends a book only when it changes, and most of the
time is spent waiting for the quietest one.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import aiohttp
import uvloop
from websockets.asyncio.client import connect

from benchmarks import local
from benchmarks.turns import Contender, Row, in_turns
from neuroflux.domain import StatusKind
from neuroflux.engine.health.state import MARKET
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.http.client import Client
from neuroflux.records.topics import BOOKS, STATUS, Topic
from neuroflux.stack.supervise.checks import serves
from producers.market import SNAPSHOT_WORKERS, ExchangeMarket
from producers.socket import SHORT_LIVED_SECONDS
from tests.ports import free_port

EXCHANGE = "binance"
SYMBOLS = 10
PATIENCE = 60.0
Cut = Callable[[], Awaitable[None]]
Measure = Callable[[str, Cut], Awaitable[float]]


def rows(rounds: int) -> list[Row]:
    contenders = [
        Contender("neuroflux", "ours", lambda: _with_exchange(_ours)),
        Contender("bare", "limit", lambda: _with_exchange(_bare)),
    ]
    return [Row("reconnect", "ms", False, in_turns(contenders, rounds))]


def _with_exchange(measure: Measure) -> float:
    """Measure on a new exchange: otherwise the request weight used by earlier rounds would cause waits."""
    port = free_port()
    with local.running(sys.executable, "-m", "neuroflux.sim", "--port", str(port)):
        return uvloop.run(_measured(f"http://127.0.0.1:{port}", measure))


async def _measured(url: str, measure: Measure) -> float:
    async with aiohttp.ClientSession() as session, asyncio.timeout(PATIENCE):

        async def cut() -> None:
            async with session.post(f"{url}/sim/faults", json={"exchange": EXCHANGE, "fault": "disconnect"}) as answer:
                answer.raise_for_status()

        while not await serves(f"{url}/{EXCHANGE}/api/v3/time"):  # noqa: ASYNC110  # there is no event for it
            await asyncio.sleep(local.LOOK)
        return await measure(f"{url}/{EXCHANGE}", cut)


class Proved:
    """A sink that records when a socket was lost, and which books were published since."""

    def __init__(self, symbols: int) -> None:
        self._symbols, self._shown = symbols, set[str]()
        self.lost_at = 0.0
        self.lost = asyncio.Event()
        self.whole = asyncio.Event()

    def publish(self, topic: Topic, record: Any) -> None:
        if topic is STATUS and record.kind is StatusKind.DISCONNECTED:
            self.lost_at = time.monotonic()
            self._shown.clear()
            self.whole.clear()
            self.lost.set()
        elif topic is BOOKS:
            self._shown.add(record.symbol)
            if len(self._shown) == self._symbols:
                self.whole.set()

    def publish_raw(self, *_: Any) -> None:
        raise AssertionError("every frame is sound")

    async def drain(self) -> None: ...


async def _ours(address: str, cut: Cut) -> float:
    exchange, proved = Binance(), Proved(SYMBOLS)
    async with Client(exchange, address, MARKET, partial(proved.publish, STATUS)) as client:
        market = ExchangeMarket(exchange, proved, client)
        symbols = (await market.load([]))[:SYMBOLS]
        running = asyncio.create_task(market.run(address.replace("http", "ws"), symbols, asyncio.Event()))
        await proved.whole.wait()
        await asyncio.sleep(SHORT_LIVED_SECONDS)  # a socket that is lost sooner is reopened after a pause
        await cut()
        await proved.lost.wait()
        await proved.whole.wait()
        took = time.monotonic() - proved.lost_at
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    return took * 1e3


async def _bare(address: str, cut: Cut) -> float:
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{address}/api/v3/exchangeInfo") as answer:
            listed = (await answer.json())["symbols"]
        names = [one["symbol"].lower() for one in listed if one["status"] == "TRADING"][:SYMBOLS]
        stream = f"{address.replace('http', 'ws')}/stream?streams={'/'.join(f'{name}@depth@100ms' for name in names)}"
        async with connect(stream) as socket:
            await socket.recv()
            await cut()
            await socket.wait_closed()
        began = time.monotonic()
        async with connect(stream) as socket:
            await _every(socket, names)
            turn = asyncio.Semaphore(SNAPSHOT_WORKERS)
            await asyncio.gather(*(_snapshot(session, address, name, turn) for name in names))
            await _every(socket, names)
    return (time.monotonic() - began) * 1e3


async def _every(socket: Any, names: list[str]) -> None:
    """Wait for one change of each book."""
    left = set(names)
    while left:
        left.discard(json.loads(await socket.recv())["stream"].partition("@")[0])


async def _snapshot(session: aiohttp.ClientSession, address: str, name: str, turn: asyncio.Semaphore) -> None:
    async with turn, session.get(f"{address}/api/v3/depth?symbol={name.upper()}&limit=1000") as answer:
        await answer.read()
