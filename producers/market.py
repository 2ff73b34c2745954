"""Public feeds to topics: instruments, quotes, trades, funding, pictures of books, and what happens to exchanges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from neuroflux.clock import wall
from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.engine.health import MARKET
from neuroflux.errors import Transient
from neuroflux.exchanges.base_exchange import Answer, Exchange, Request, SnapshotNeeded
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.publisher import Publisher
from neuroflux.registry import load_codec
from neuroflux.settings import Settings
from neuroflux.sink import Drained, Sink
from neuroflux.stack.notify import ready
from neuroflux.topics import STATUS
from producers.conflation import Conflated
from producers.normaliser import Normaliser, Want
from producers.pictures import INTERVAL
from producers.rest import Rest
from producers.sockets import Socket
from producers.vitals import Vitals

SNAPSHOT_WORKERS = 4

log = logging.getLogger(__name__)


Make = Callable[[Exchange, Sink, Want], Normaliser]


class ExchangeMarket:
    """The sockets, requests and the clock of one exchange's public data; what they bring goes to its normaliser."""

    def __init__(self, exchange: Exchange, sink: Drained, rest: Rest, make: Make = Normaliser) -> None:
        self._exchange, self._sink, self._rest = exchange, sink, rest
        self._wanted: asyncio.Queue[SnapshotNeeded] = asyncio.Queue()
        self._asked: set[str] = set()
        self.normaliser = make(exchange, sink, self._want)

    async def load(self, markets: Sequence[str]) -> list[str]:
        """Fetch and publish the instruments; the symbols to follow."""
        answers = [await self._patiently(request) for request in self._exchange.instruments_requests()]
        instruments = self.normaliser.instruments(answers, wall())
        return [one.symbol for one in instruments if one.active and (not markets or one.market in markets)]

    async def _patiently(self, request: Request) -> Answer:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            wait=wait_random_exponential(multiplier=0.2, max=10),
            before_sleep=before_sleep_log(log, logging.WARNING),
        ):
            with attempt:
                return await self._rest.ask(request)
        raise AssertionError("the retry loop returns or raises")

    async def run(self, address: str, symbols: Sequence[str], tried: asyncio.Event) -> None:
        """Follow these symbols until cancelled; ``tried`` is set when every socket was opened, or tried, once."""
        subscriptions = self.normaliser.follow(symbols, wall())
        sockets = [Socket(address, one, Followed(self, number)) for number, one in enumerate(subscriptions)]
        async with asyncio.TaskGroup() as tasks:
            for socket in sockets:
                tasks.create_task(socket.run())
            for _ in range(SNAPSHOT_WORKERS):
                tasks.create_task(self._fetch_snapshots())
            tasks.create_task(self._publish_pictures())
            tasks.create_task(Vitals(self._exchange, self._rest, self._tell, MARKET).watch())
            for socket in sockets:
                await socket.tried.wait()
            tried.set()

    async def drain(self) -> None:
        await self._sink.drain()

    async def _publish_pictures(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL / 4e6)
            self.normaliser.passed(wall())
            await self.drain()

    def _want(self, wish: SnapshotNeeded) -> None:
        if wish.symbol not in self._asked:
            self._asked.add(wish.symbol)
            self._wanted.put_nowait(wish)

    async def _fetch_snapshots(self) -> None:
        while True:
            wish = await self._wanted.get()
            answer = await self._patiently(wish.request)
            self._asked.discard(wish.symbol)
            self.normaliser.answer(wish.symbol, answer, wall())

    def _tell(self, status: ExchangeStatus) -> None:
        self._sink.publish(STATUS, status)


class Followed:
    """One socket of an exchange. Implements ``Listener``."""

    def __init__(self, market: ExchangeMarket, number: int) -> None:
        self._market, self._number = market, number

    async def opened(self) -> None:
        """Nothing to fetch: the first change of a book asks for its snapshot."""

    async def drained(self) -> None:
        await self._market.drain()

    def frame(self, raw: bytes, received: Microseconds) -> None:
        self._market.normaliser.frame(self._number, raw, received)

    def status(self, kind: StatusKind, value: float, detail: str) -> None:
        self._market.normaliser.socket(self._number, kind, value, detail, wall())


async def main(settings: Settings) -> None:
    """Follow every exchange until cancelled; one that is down does not hold the others."""
    async with Publisher(settings, await load_codec(settings), client_id="market") as publisher:
        await follow_all(settings, Conflated(publisher))


async def follow_all(settings: Settings, sink: Drained, make: Make = Normaliser) -> None:
    """Until cancelled; the stage is ready when each exchange was tried, or ten seconds have not been enough."""
    tried = {name: asyncio.Event() for name in settings.exchanges}
    async with asyncio.TaskGroup() as tasks:
        for name in settings.exchanges:
            tasks.create_task(_follow(settings, name, sink, make, tried[name]))
        tasks.create_task(_when_tried(tried.values()))


async def _follow(settings: Settings, name: str, sink: Drained, make: Make, tried: asyncio.Event) -> None:
    exchange = exchange_of(name)
    async with Rest(exchange, settings.rest_url(name)) as rest:
        market = ExchangeMarket(exchange, sink, rest, make)
        symbols = await market.load(settings.markets)
        log.info("%s: following %d symbols", name, len(symbols))
        await market.run(settings.ws_url(name), symbols, tried)


async def _when_tried(every: Iterable[asyncio.Event]) -> None:
    await asyncio.wait([asyncio.create_task(tried.wait()) for tried in every], timeout=10)
    ready()
