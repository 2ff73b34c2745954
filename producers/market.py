"""Public feeds to topics: instruments, quotes, trades, funding, snapshots of books, and the status of exchanges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial

from neuroflux.domain import ExchangeStatus, Instrument, Microseconds, StatusKind
from neuroflux.engine.health.state import MARKET
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.config import INSTRUMENTS_SECONDS
from neuroflux.exchanges.kit.events import PageNeeded, SnapshotNeeded
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer, Subscription
from neuroflux.http.client import Client
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.sink import Drained, Sink
from neuroflux.records.topics import INSTRUMENTS, STATUS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from producers.book_schedule import INTERVAL
from producers.conflation import Conflated
from producers.logged import follow_listings, listings_reader, logged
from producers.normaliser import Fetch, Normaliser
from producers.retries import LIST_RETRY_SECONDS, PAGES, ListReader, ask_until_answered, follow_each, is_set_within
from producers.socket import Socket
from producers.vital_signs import VitalSigns

SNAPSHOT_WORKERS = 4

log = logging.getLogger(__name__)

Make = Callable[[Exchange, Sink, Fetch], Normaliser]


class ExchangeMarket:
    """The sockets, requests and clock of one exchange's public data; passes what they receive to its normaliser."""

    def __init__(self, exchange: Exchange, sink: Drained, client: Client, make: Make = Normaliser) -> None:
        self._exchange, self._sink, self._client = exchange, sink, client
        self._list = ListReader(client, self._parse, self._malformed)
        self._needed: asyncio.Queue[SnapshotNeeded | PageNeeded] = asyncio.Queue()
        self._requested: set[str] = set()
        self._pages = 0
        self._markets: Sequence[str] = ()
        self._followed: dict[str, set[int]] = {}
        self._sockets: dict[int, tuple[Socket, Subscription, asyncio.Task[None]]] = {}
        self._relist = asyncio.Event()
        self.normaliser = make(exchange, sink, self._request)
        self.normaliser.on_reopen = self._reopen
        self.normaliser.on_resubscribe = self._resubscribe

    async def load(self, markets: Sequence[str]) -> list[str]:
        """Fetch and publish the instruments, until that succeeds; return the symbols to follow."""
        self._markets = markets
        await self._list.first()
        return self._chosen()

    def read_elsewhere(self, instrument: Instrument) -> None:
        """Another stage has read this in the exchange's list; if it differs from ours, ours is read again."""
        if self.normaliser.is_changed(instrument):
            self._relist.set()

    async def run(self, address: str, symbols: Sequence[str], tried: asyncio.Event) -> None:
        """Follow these symbols until cancelled; ``tried`` is set when every socket was opened, or tried, once."""
        async with asyncio.TaskGroup() as tasks:
            self._follow(address, symbols, tasks)
            for _ in range(SNAPSHOT_WORKERS):
                tasks.create_task(self._fetch())
            tasks.create_task(self._publish_books())
            tasks.create_task(VitalSigns(self._client).watch())
            tasks.create_task(self._read_list_again(address, tasks))
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
            socket = Socket(address, subscription, SocketListener(self, number))
            self._sockets[number] = socket, subscription, tasks.create_task(socket.run())
            for _, symbol in subscription.streams:
                self._followed[symbol].add(number)

    async def _unfollow(self, symbols: Collection[str]) -> None:
        """Close the sockets of these symbols."""
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

    def _parse(self, answers: Sequence[Answer]) -> Sequence[Instrument]:
        return self.normaliser.instruments(answers, wall())

    def _malformed(self, why: str) -> None:
        self._publish(ExchangeStatus(self._exchange.ID, MARKET, StatusKind.MALFORMED, 0.0, why, wall()))

    async def _read_list_again(self, address: str, tasks: asyncio.TaskGroup) -> None:
        """Read the list regularly, and when another stage has read something new."""
        while True:
            self._relist.clear()
            await asyncio.sleep(LIST_RETRY_SECONDS)
            await is_set_within(self._relist, INSTRUMENTS_SECONDS - LIST_RETRY_SECONDS)
            if await self._list.read() is not None:
                await self._follow_changes(address, tasks)

    async def _follow_changes(self, address: str, tasks: asyncio.TaskGroup) -> None:
        """Open sockets for new symbols. The sockets of delisted ones are opened again without them, together with all
        symbols that share a socket with them; halted ones keep theirs, until trading resumes."""
        listed = {one.symbol for one in self.normaliser.listed}
        reopened = _sharing_sockets({symbol for symbol in self._followed if symbol not in listed}, self._followed)
        await self._unfollow(reopened)
        chosen = [one for one in self._chosen() if one not in self._followed]
        chosen += [one for one in reopened if one in listed and one not in chosen]
        if chosen:
            log.info("%s: following %d symbols, new or again", self._exchange.ID, len(chosen))
            self._follow(address, chosen, tasks)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _publish_books(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL / 4e6)
            self.normaliser.passed(wall())
            await self.drain()

    def _request(self, needed: SnapshotNeeded | PageNeeded) -> None:
        if isinstance(needed, PageNeeded):
            self._request_page(needed)
        elif needed.symbol not in self._requested:
            self._requested.add(needed.symbol)
            self._needed.put_nowait(needed)

    def _request_page(self, needed: PageNeeded) -> None:
        """Request one more page of a list; a list without an end is cut off."""
        self._pages += 1
        if self._pages <= PAGES:
            self._needed.put_nowait(needed)
            return
        self._malformed(f"{needed.request.path.partition('?')[0]}: not read beyond {PAGES} pages")

    async def _fetch(self) -> None:
        while True:
            needed = await self._needed.get()
            symbol = needed.symbol if isinstance(needed, SnapshotNeeded) else ""
            answer = await ask_until_answered(self._client, needed.request)
            self._requested.discard(symbol)
            pages = self._pages
            self.normaliser.answer(symbol, answer, wall())
            if isinstance(needed, PageNeeded) and self._pages == pages:
                self._pages = 0  # it was the last page

    def _publish(self, status: ExchangeStatus) -> None:
        self._sink.publish(STATUS, status)


def _sharing_sockets(symbols: set[str], followed: Mapping[str, Collection[int]]) -> list[str]:
    """These symbols and all that share a socket with one of them, and so on."""
    found = set(symbols)
    while True:
        numbers = {number for symbol in found for number in followed[symbol]}
        more = {symbol for symbol, of in followed.items() if numbers.intersection(of)} - found
        if not more:
            return sorted(found)
        found |= more


class SocketListener:
    """One socket of an exchange. Implements ``Listener``."""

    def __init__(self, market: ExchangeMarket, number: int) -> None:
        self._market, self._number = market, number

    async def opened(self) -> None:
        """Nothing to fetch: the first change of a book requests its snapshot."""

    async def drained(self) -> None:
        await self._market.drain()

    def frame(self, raw: bytes, received: Microseconds) -> None:
        self._market.normaliser.frame(self._number, raw, received)

    def status(self, kind: StatusKind, value: float, detail: str) -> None:
        self._market.normaliser.socket(self._number, kind, value, detail, wall())


async def main(settings: Settings) -> None:
    """Follow every exchange until cancelled."""
    codec = await load_codec(settings)
    before = await logged(settings, codec, (INSTRUMENTS,))
    following = dict[str, ExchangeMarket]()

    def read_elsewhere(instrument: Instrument) -> None:
        if instrument.exchange in following:
            following[instrument.exchange].read_elsewhere(instrument)

    async with (
        Publisher(settings, codec, client_id="market") as publisher,
        listings_reader(settings, codec) as listings,
        asyncio.TaskGroup() as tasks,
    ):
        tasks.create_task(follow_all(settings, Conflated(publisher), before=before, following=following))
        tasks.create_task(follow_listings(listings, read_elsewhere))


async def follow_all(
    settings: Settings,
    sink: Drained,
    make: Make = Normaliser,
    before: Iterable[Instrument] = (),
    following: dict[str, ExchangeMarket] | None = None,
) -> None:
    """Until cancelled. ``before`` are the instruments in the log; ``following`` receives one ``ExchangeMarket`` for
    each exchange."""
    markets = {} if following is None else following

    async def follow(name: str, tried: asyncio.Event) -> None:
        exchange = exchange_of(name)
        async with Client(exchange, settings.rest_url(name), MARKET, partial(sink.publish, STATUS)) as client:
            market = ExchangeMarket(exchange, sink, client, make)
            market.normaliser.logged([one for one in before if one.exchange == name])
            symbols = await market.load(settings.markets)
            markets[name] = market
            log.info("%s: following %d symbols", name, len(symbols))
            await market.run(settings.ws_url(name), symbols, tried)

    await follow_each(settings.exchanges, follow)
