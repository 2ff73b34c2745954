"""Public feeds to topics: instruments, quotes, trades, funding, pictures of books, and what happens to exchanges."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence

from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from neuroflux.clock import wall
from neuroflux.domain import (
    ExchangeStatus,
    Funding,
    Microseconds,
    Numeral,
    Quote,
    StatusKind,
    Trade,
)
from neuroflux.errors import Transient
from neuroflux.exchanges.base_exchange import (
    Answer,
    BookChanged,
    Exchange,
    FeedEvent,
    MarketFeed,
    Request,
    SnapshotNeeded,
    Subscription,
    Undecodable,
)
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.kafka import Publisher, load_codec
from neuroflux.settings import Settings
from neuroflux.stack.notify import ready
from neuroflux.topics import BOOKS, FUNDING, INSTRUMENTS, MARKET_DEAD_LETTERS, QUOTES, STATUS, TRADES
from producers.pictures import INTERVAL, Pictures
from producers.rest import Rest
from producers.sockets import Socket
from producers.vitals import Seldom, Vitals

SNAPSHOT_WORKERS = 4

log = logging.getLogger(__name__)


class ExchangeMarket:
    """One exchange's public data."""

    def __init__(self, exchange: Exchange, publisher: Publisher, rest: Rest) -> None:
        self._exchange, self._publisher, self._rest = exchange, publisher, rest
        self._followed: list[Followed] = []
        self._pictures_of: dict[str, Pictures] = {}
        self._wanted: asyncio.Queue[SnapshotNeeded] = asyncio.Queue()
        self._asked: set[str] = set()
        self._seldom = Seldom()
        self._feed: MarketFeed

    # ── instruments ──────────────────────────────────────────────────────────────────────────────────────────────

    async def load(self, markets: Sequence[str]) -> list[str]:
        """Fetch and publish the instruments; the symbols to follow."""
        answers = [await self._patiently(request) for request in self._exchange.instruments_requests()]
        instruments = self._exchange.instruments(answers)
        for instrument in instruments:
            self._publisher.publish(INSTRUMENTS, instrument)
        self._feed = self._exchange.market_feed(instruments)
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

    # ── running ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def run(self, address: str, symbols: Sequence[str], tried: asyncio.Event) -> None:
        """Follow these symbols until cancelled; ``tried`` is set when every socket was opened, or tried, once."""
        self._followed = [Followed(self, one) for one in self._feed.subscriptions(symbols)]
        sockets = [Socket(address, one.subscription, one) for one in self._followed]
        async with asyncio.TaskGroup() as tasks:
            for socket in sockets:
                tasks.create_task(socket.run())
            for _ in range(SNAPSHOT_WORKERS):
                tasks.create_task(self._fetch_snapshots())
            tasks.create_task(self._publish_pictures())
            tasks.create_task(Vitals(self._exchange, self._rest, self.tell).watch())
            for socket in sockets:
                await socket.tried.wait()
            tried.set()

    async def _publish_pictures(self) -> None:
        while True:
            await asyncio.sleep(INTERVAL / 4e6)
            now = wall()
            for followed in self._followed:
                for picture in followed.pictures.due(now):
                    if picture.bids and picture.asks:
                        self._publisher.publish(BOOKS, picture)
            await self.drain()

    async def _fetch_snapshots(self) -> None:
        while True:
            wish = await self._wanted.get()
            answer = await self._patiently(wish.request)
            self._asked.discard(wish.symbol)
            pictures = self._pictures_of[wish.symbol]
            self._take(self._feed.answer(answer, wall()), pictures, answer.body, "snapshot")

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def drain(self) -> None:
        await self._publisher.drain()

    def frame(self, raw: bytes, received: Microseconds, pictures: Pictures, channel: str) -> None:
        self._take(self._feed.frame(raw, received), pictures, raw, channel)

    def lost(self, subscription: Subscription) -> None:
        self._feed.disconnected(subscription)

    def _take(self, events: Iterable[FeedEvent], pictures: Pictures, raw: bytes, channel: str) -> None:
        publish = self._publisher.publish
        for event in events:
            match event:
                case Quote():
                    self._quote(event)
                case BookChanged():
                    pictures.changed(event)
                case Trade():
                    publish(TRADES, event)
                case Funding():
                    publish(FUNDING, event)
                case SnapshotNeeded():
                    pictures.withdraw(event.symbol)
                    self._want(event, pictures)
                case ExchangeStatus():
                    if event.kind is StatusKind.GAP:
                        pictures.withdraw(event.symbol)
                    self.tell(event)
                case Undecodable():
                    self._dead_letter(raw, event.reason, channel)

    def _quote(self, quote: Quote[Numeral]) -> None:
        """A crossed or empty top is no quote."""
        if 0 < float(quote.bid_price) < float(quote.ask_price) and float(quote.bid_size) and float(quote.ask_size):
            self._publisher.publish(QUOTES, quote)
            return
        if self._seldom.now(quote.symbol, quote.received_time):
            why = f"{quote.symbol}: bid {quote.bid_price} x {quote.bid_size}, ask {quote.ask_price} x {quote.ask_size}"
            when = quote.received_time
            self.tell(ExchangeStatus(quote.exchange, "quotes", StatusKind.EXCLUDED, 0.0, why, when, quote.symbol))

    def _want(self, wish: SnapshotNeeded, pictures: Pictures) -> None:
        self._pictures_of[wish.symbol] = pictures
        if wish.symbol not in self._asked:
            self._asked.add(wish.symbol)
            self._wanted.put_nowait(wish)

    def _dead_letter(self, raw: bytes, reason: str, channel: str) -> None:
        told = {"reason": reason, "exchange": self._exchange.ID, "channel": channel}
        headers = [(name, text.encode()) for name, text in told.items()]
        self._publisher.publish_raw(MARKET_DEAD_LETTERS, None, raw, headers)
        if self._seldom.now("malformed", wall()):
            self.say(channel, StatusKind.MALFORMED, 0.0, reason)

    def tell(self, status: ExchangeStatus) -> None:
        self._publisher.publish(STATUS, status)

    def say(self, channel: str, kind: StatusKind, value: float, detail: str) -> None:
        self.tell(ExchangeStatus(self._exchange.ID, channel, kind, value, detail, wall()))


class Followed:
    """One socket of an exchange and the books that come over it. Implements ``Listener``."""

    def __init__(self, market: ExchangeMarket, subscription: Subscription) -> None:
        self.subscription = subscription
        self.pictures = Pictures()
        self._market = market
        self._channel = subscription.path.partition("?")[0]

    async def opened(self) -> None:
        """Nothing to fetch: the first change of a book asks for its snapshot."""

    async def drained(self) -> None:
        await self._market.drain()

    def frame(self, raw: bytes, received: Microseconds) -> None:
        self.pictures.alive(received)
        self._market.frame(raw, received, self.pictures, self._channel)

    def status(self, kind: StatusKind, value: float, detail: str) -> None:
        if kind is StatusKind.DISCONNECTED:
            self._market.lost(self.subscription)
            self.pictures.withdraw_all()
        self._market.say(self._channel, kind, value, detail)


async def main(settings: Settings) -> None:
    """Follow every exchange until cancelled; one that is down does not hold the others."""
    async with Publisher(settings, await load_codec(settings), client_id="market") as publisher:
        tried = {name: asyncio.Event() for name in settings.exchanges}
        async with asyncio.TaskGroup() as tasks:
            for name in settings.exchanges:
                tasks.create_task(_follow(settings, name, publisher, tried[name]))
            tasks.create_task(_when_tried(tried.values()))


async def _follow(settings: Settings, name: str, publisher: Publisher, tried: asyncio.Event) -> None:
    exchange = exchange_of(name)
    async with Rest(exchange, settings.rest_url(name)) as rest:
        market = ExchangeMarket(exchange, publisher, rest)
        symbols = await market.load(settings.markets)
        log.info("%s: following %d symbols", name, len(symbols))
        await market.run(settings.ws_url(name), symbols, tried)


async def _when_tried(every: Iterable[asyncio.Event]) -> None:
    """Ready when each exchange was tried, or ten seconds have not been enough: one must not hold the others."""
    await asyncio.wait([asyncio.create_task(tried.wait()) for tried in every], timeout=10)
    ready()
