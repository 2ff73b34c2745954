"""Public feeds to topics: instruments, quotes, trades, funding, pictures of books, and what happens to exchanges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress

from neuroflux.domain import ExchangeStatus, Instrument, Microseconds, StatusKind
from neuroflux.engine.health.state import MARKET
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.config import INSTRUMENTS_SECONDS
from neuroflux.exchanges.kit.events import PageNeeded, SnapshotNeeded
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Subscription
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.sink import Drained, Sink
from neuroflux.records.topics import INSTRUMENTS, STATUS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import Settings
from producers.asking import PAGES, patiently
from producers.book_schedule import INTERVAL
from producers.clock_probe import Vitals
from producers.conflation import Conflated
from producers.logged import follow_listings, listings_reader, logged
from producers.normaliser import Normaliser, Want
from producers.rest import Rest
from producers.socket import Socket

SNAPSHOT_WORKERS = 4
LISTED_AGAIN_SECONDS = 10.0
"""Between two readings of an exchange's list, where another stage has read something new, or it could not be read."""

log = logging.getLogger(__name__)


Make = Callable[[Exchange, Sink, Want], Normaliser]


class ExchangeMarket:
    """The sockets, requests and the clock of one exchange's public data; what they bring goes to its normaliser."""

    def __init__(self, exchange: Exchange, sink: Drained, rest: Rest, make: Make = Normaliser) -> None:
        self._exchange, self._sink, self._rest = exchange, sink, rest
        self._wanted: asyncio.Queue[SnapshotNeeded | PageNeeded] = asyncio.Queue()
        self._asked: set[str] = set()
        self._pages = 0
        self._markets: Sequence[str] = ()
        self._followed: dict[str, set[int]] = {}
        self._sockets: dict[int, tuple[Socket, Subscription, asyncio.Task[None]]] = {}
        self._relist = asyncio.Event()
        self.normaliser = make(exchange, sink, self._want)
        self.normaliser.on_reopen = self._reopen
        self.normaliser.on_resubscribe = self._resubscribe

    async def load(self, markets: Sequence[str]) -> list[str]:
        """Fetch and publish the instruments; the symbols to follow. Tries until there is a list."""
        self._markets = markets
        while True:
            if await self._list():
                return self._chosen()
            await asyncio.sleep(LISTED_AGAIN_SECONDS)

    def heard(self, instrument: Instrument) -> None:
        """Take what another stage read of the exchange's list: where it is news, the list is read again."""
        if self.normaliser.is_news(instrument):
            self._relist.set()

    async def run(self, address: str, symbols: Sequence[str], tried: asyncio.Event) -> None:
        """Follow these symbols until cancelled; ``tried`` is set when every socket was opened, or tried, once."""
        async with asyncio.TaskGroup() as tasks:
            self._follow(address, symbols, tasks)
            for _ in range(SNAPSHOT_WORKERS):
                tasks.create_task(self._fetch())
            tasks.create_task(self._publish_books())
            tasks.create_task(Vitals(self._exchange, self._rest, self._tell, MARKET).watch())
            tasks.create_task(self._list_again(address, tasks))
            for socket, _, _ in [*self._sockets.values()]:
                await socket.tried.wait()
            tried.set()

    async def drain(self) -> None:
        await self._sink.drain()

    # ── what is followed ─────────────────────────────────────────────────────────────────────────────────────────

    def _follow(self, address: str, symbols: Sequence[str], tasks: asyncio.TaskGroup) -> None:
        for symbol in symbols:
            self._followed[symbol] = set()
        for number, subscription in self.normaliser.follow(symbols, wall()):
            socket = Socket(address, subscription, Followed(self, number))
            self._sockets[number] = socket, subscription, tasks.create_task(socket.run())
            for _, symbol in subscription.streams:
                self._followed[symbol].add(number)

    async def _unfollow(self, symbols: Collection[str]) -> None:
        """Close what brings these symbols."""
        numbers = {number for symbol in symbols for number in self._followed.pop(symbol)}
        closing = [self._sockets.pop(number)[2] for number in sorted(numbers)]
        for task in closing:
            task.cancel()
        await asyncio.gather(*closing, return_exceptions=True)

    def _reopen(self, number: int, why: str) -> None:
        if number in self._sockets:
            self._sockets[number][0].reopen(why)

    def _resubscribe(self, number: int, symbol: str, why: str) -> None:
        if number in self._sockets:
            self._sockets[number][0].resubscribe(symbol, why)

    def _chosen(self) -> list[str]:
        of_markets = [one for one in self.normaliser.listed if not self._markets or one.market in self._markets]
        return [one.symbol for one in of_markets if one.active]

    # ── the list of instruments ──────────────────────────────────────────────────────────────────────────────────

    async def _list(self) -> bool:
        """Read it and publish what is new; False where it could not be read, with a status."""
        answers = [await patiently(self._rest, request) for request in self._exchange.instruments_requests()]
        try:
            self.normaliser.instruments(answers, wall())
        except NeuroFluxError as error:
            why = f"the list of instruments: {error}"
            self._tell(ExchangeStatus(self._exchange.ID, MARKET, StatusKind.MALFORMED, 0.0, why, wall()))
            return False
        return True

    async def _list_again(self, address: str, tasks: asyncio.TaskGroup) -> None:
        """Regularly, and where another stage has read something new."""
        while True:
            self._relist.clear()
            await asyncio.sleep(LISTED_AGAIN_SECONDS)
            with suppress(TimeoutError):  # then it is time
                async with asyncio.timeout(INSTRUMENTS_SECONDS - LISTED_AGAIN_SECONDS):
                    await self._relist.wait()
            if await self._list():
                await self._follow_changes(address, tasks)

    async def _follow_changes(self, address: str, tasks: asyncio.TaskGroup) -> None:
        """What is new gets sockets of its own. Those that brought what is gone are opened without it, with all that
        is followed beside it; what is halted stays, for when it goes on."""
        listed = {one.symbol for one in self.normaliser.listed}
        beside = _beside({symbol for symbol in self._followed if symbol not in listed}, self._followed)
        await self._unfollow(beside)
        wanted = [one for one in self._chosen() if one not in self._followed]
        wanted += [one for one in beside if one in listed and one not in wanted]
        if wanted:
            log.info("%s: following %d symbols more or anew", self._exchange.ID, len(wanted))
            self._follow(address, wanted, tasks)

    # ── what is done ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _publish_books(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL / 4e6)
            self.normaliser.passed(wall())
            await self.drain()

    def _want(self, wish: SnapshotNeeded | PageNeeded) -> None:
        if isinstance(wish, PageNeeded):
            self._want_page(wish)
        elif wish.symbol not in self._asked:
            self._asked.add(wish.symbol)
            self._wanted.put_nowait(wish)

    def _want_page(self, wish: PageNeeded) -> None:
        """A list has no end where every answer asks for one more."""
        self._pages += 1
        if self._pages <= PAGES:
            self._wanted.put_nowait(wish)
            return
        why = f"{wish.request.path.partition('?')[0]}: not read beyond {PAGES} pages"
        self._tell(ExchangeStatus(self._exchange.ID, MARKET, StatusKind.MALFORMED, 0.0, why, wall()))

    async def _fetch(self) -> None:
        while True:
            wish = await self._wanted.get()
            symbol = wish.symbol if isinstance(wish, SnapshotNeeded) else ""
            answer = await patiently(self._rest, wish.request)
            self._asked.discard(symbol)
            pages = self._pages
            self.normaliser.answer(symbol, answer, wall())
            if isinstance(wish, PageNeeded) and self._pages == pages:
                self._pages = 0  # it was the last

    def _tell(self, status: ExchangeStatus) -> None:
        self._sink.publish(STATUS, status)


def _beside(symbols: set[str], followed: Mapping[str, Collection[int]]) -> list[str]:
    """These symbols and all that share a socket with one of them, and so on."""
    found = set(symbols)
    while True:
        numbers = {number for symbol in found for number in followed[symbol]}
        more = {symbol for symbol, of in followed.items() if numbers.intersection(of)} - found
        if not more:
            return sorted(found)
        found |= more


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
    codec = await load_codec(settings)
    before = await logged(settings, codec, (INSTRUMENTS,))
    following = dict[str, ExchangeMarket]()

    def heard(instrument: Instrument) -> None:
        if instrument.exchange in following:
            following[instrument.exchange].heard(instrument)

    async with (
        Publisher(settings, codec, client_id="market") as publisher,
        listings_reader(settings, codec) as listings,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(follow_all(settings, Conflated(publisher), before=before, following=following))
        tasks.create_task(follow_listings(listings, heard))


async def follow_all(
    settings: Settings,
    sink: Drained,
    make: Make = Normaliser,
    before: Iterable[Instrument] = (),
    following: dict[str, ExchangeMarket] | None = None,
) -> None:
    """Until cancelled; the stage is ready when each exchange was tried, or ten seconds have not been enough.

    ``before`` is what the log has of the exchanges' lists. ``following`` gets what follows each exchange.
    """
    tried = {name: asyncio.Event() for name in settings.exchanges}
    of = {} if following is None else following
    async with asyncio.TaskGroup() as tasks:
        for name in settings.exchanges:
            own = [one for one in before if one.exchange == name]
            tasks.create_task(_follow(settings, name, sink, make, tried[name], own, of))
        tasks.create_task(_when_tried(tried.values()))


async def _follow(
    settings: Settings,
    name: str,
    sink: Drained,
    make: Make,
    tried: asyncio.Event,
    before: Iterable[Instrument],
    following: dict[str, ExchangeMarket],
) -> None:
    exchange = exchange_of(name)
    async with Rest(exchange, settings.rest_url(name)) as rest:
        market = ExchangeMarket(exchange, sink, rest, make)
        market.normaliser.logged(before)
        symbols = await market.load(settings.markets)
        following[name] = market
        log.info("%s: following %d symbols", name, len(symbols))
        await market.run(settings.ws_url(name), symbols, tried)


async def _when_tried(every: Iterable[asyncio.Event]) -> None:
    await asyncio.wait([asyncio.create_task(tried.wait()) for tried in every], timeout=10)
    ready()
