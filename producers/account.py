"""Private feeds to topics: balances, positions, transfers, and what the exchanges say of our orders and fills.

Reports and fills go to ``account.orders`` and ``account.fills`` as the exchange sends them; the execution, which knows
the client ids, matches them to orders.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    ExchangeStatus,
    Fill,
    Instrument,
    Microseconds,
    OrderReport,
    Position,
    StatusKind,
)
from neuroflux.engine.health.state import ACCOUNT, REST
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.config import INSTRUMENTS_SECONDS
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Hold, Listing, PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed, Exchange
from neuroflux.exchanges.kit.requests import Keys, Request, Subscription
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import ACCOUNT_FILLS, ACCOUNT_ORDERS, BALANCES, INSTRUMENTS, POSITIONS, STATUS, TRANSFERS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import Settings
from producers.account_fees import AccountFees
from producers.asking import Asking, Told, listed, subject_of
from producers.clock_probe import Vitals
from producers.due import Due, What
from producers.figures import Figure, Figures, Reading, last_of_each
from producers.listings import Listings
from producers.logged import follow_listings, listings_reader, logged
from producers.notices import Notices
from producers.rest import Rest
from producers.socket import Socket

KEEP_ALIVE_SECONDS = 20 * 60.0
KEEP_ALIVE_AGAIN_SECONDS = 60.0
SHORT_LIVED_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
"""A stream that ends so soon, as with a wrong key, is opened again later each time: asking all the time is banned."""
OVERLAP: Microseconds = 60_000_000
"""How far behind what was seen last the exchange is asked again: fills are told apart by their ids."""
FURTHEST: Microseconds = 24 * 3_600_000_000
"""How far back it is asked at most, where something could not be read for long."""

NAMED_FURTHEST: Microseconds = 80 * 24 * 3_600_000_000
"""The same for transfers: an exchange may keep their names for three months."""

LISTED_AGAIN_SECONDS = 10.0

Build = Callable[[Microseconds], Sequence[Request]]

log = logging.getLogger(__name__)


class ExchangeAccount:
    """One account. Implements ``Listener`` for its sockets.

    ``before`` is what the log has of this exchange: an asset that the account does not have any more, or that was
    another account's, is published as 0. ``markets`` are those that are followed, () for all.
    """

    def __init__(
        self,
        exchange: Exchange,
        keys: Keys,
        publisher: Publisher,
        rest: Rest,
        before: Iterable[Figure],
        markets: Collection[str] = (),
    ) -> None:
        self._exchange, self._keys, self._publisher, self._rest = exchange, keys, publisher, rest
        self._vitals = Vitals(exchange, rest, self._tell, REST)
        self._listings, self._notices = Listings(), Notices()
        before = list(before)
        self._named = min(max((one.event_time for one in before), default=wall()), wall())
        self._figures = Figures(before, self._publish_figure, self._tell, self._listings.name_of)
        self._fees = AccountFees(self._listings, self._ask_fees, publisher, markets)
        self._due, self._hurry = Due(time.monotonic()), asyncio.Event()
        self._seen = wall()
        self._ended, self._relist = asyncio.Event(), asyncio.Event()
        self._asked_for: set[str] = set()
        self._pages: asyncio.Queue[Request] = asyncio.Queue()
        self._is_following = False
        self._feed: AccountFeed

    async def run(self, address: str, tried: asyncio.Event) -> None:
        """Follow the account until cancelled; ``tried`` is set when its figures were asked for once."""
        await self._vitals.measure()
        listing = await self._first_listing()
        self._listings.read(listing)
        self._tell_faults(listing.faults)
        self._feed = self._exchange.account_feed(self._keys, listing.instruments)  # once: it knows what it reported
        self._figures.pushes_whole, self._is_following = self._feed.pushes_whole, True
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reconcile_when_due(tried))
            tasks.create_task(self._stream(address))
            tasks.create_task(self._keep_alive())
            tasks.create_task(self._ask_for_pages())
            tasks.create_task(self._vitals.watch())
            tasks.create_task(self._list_again())
            tasks.create_task(self._fees.keep())

    async def _first_listing(self) -> Listing:
        """Nothing can be followed before it; one exchange whose list can't be read must not hold the others."""
        while True:
            try:
                return await listed(self._rest, self._exchange)
            except NeuroFluxError as error:
                self._say(StatusKind.MALFORMED, 0.0, f"the list of instruments: {error}")
                await asyncio.sleep(LISTED_AGAIN_SECONDS)

    # ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _stream(self, address: str) -> None:
        """Open it, and again when it has ended, each time later while it does not last."""
        short = 0
        while True:
            self._ended.clear()
            began = time.monotonic()
            sockets = await self._open()
            if sockets:
                await self._follow(address, sockets)
            lasted = sockets and time.monotonic() - began >= SHORT_LIVED_SECONDS
            short = 0 if lasted else short + 1
            await asyncio.sleep(max(min(2**short - 1, LONGEST_WAIT_SECONDS), self._rest.held))

    async def _open(self) -> Sequence[Subscription]:
        """What has to be asked for before it (a listen key), and then the sockets; none where that was refused."""
        opening = await self._ask(self._feed.opening)
        self._take(opening.events)
        sockets = self._feed.subscriptions(self._vitals.now())
        if not sockets:
            why = "; ".join(opening.refusals) or "there is none to open"
            self._say(StatusKind.DISCONNECTED, 0.0, f"the stream can't be opened: {why}")
        return sockets

    async def _follow(self, address: str, sockets: Sequence[Subscription]) -> None:
        """Until one of its sockets ends: signatures and listen keys are of its opening."""
        tasks = [asyncio.create_task(Socket(address, one, self).run()) for one in sockets]
        ended = asyncio.create_task(self._ended.wait())
        try:
            done, _ = await asyncio.wait([*tasks, ended], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, ended):
                task.cancel()
            await asyncio.gather(*tasks, ended, return_exceptions=True)
            self._figures.disconnected()
        for task in done:
            task.result()

    async def _keep_alive(self) -> None:
        """The feed says from the answers whether the stream ends. What got none is asked again soon."""
        wait = KEEP_ALIVE_SECONDS
        while True:
            await asyncio.sleep(wait)
            told = await self._ask(self._feed.keep_alive)
            self._take(told.events)
            wait = KEEP_ALIVE_AGAIN_SECONDS if told.partial else KEEP_ALIVE_SECONDS

    # ── what is asked for ────────────────────────────────────────────────────────────────────────────────────────

    async def _reconcile_when_due(self, tried: asyncio.Event) -> None:
        while True:
            wait = self._due.wait(time.monotonic())
            if wait > 0:
                await self._until_hurried(wait)
                continue
            what = self._due.begin(time.monotonic())
            is_whole = await self._reconcile(what)
            self._due.ended(what, time.monotonic(), is_whole=is_whole)
            for status in self._notices.repeated(wall()):
                self._tell(status)
            tried.set()

    async def _until_hurried(self, seconds: float) -> None:
        self._hurry.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _reconcile(self, what: What) -> bool:
        """Ask for the figures, or for everything that the stream may have missed; whether all of it came."""
        began = wall()
        told = await self._ask(self._feed.figures if what is What.FIGURES else self._resync)
        self._take_answers(told, is_whole=self._has_all_figures(told))
        if what is What.EVERYTHING and not told.partial:
            self._seen = began
        if what is What.EVERYTHING:
            await self._read_transfers(began)
        return not told.partial

    async def _read_transfers(self, began: Microseconds) -> None:
        """Apart from all else, which an account that may not ask for them has none the less."""
        since = max(self._named - OVERLAP, began - NAMED_FURTHEST) + self._vitals.offset
        told = await self._ask(lambda now: self._feed.transfers(since, now))
        self._take(told.events)
        if not told.partial:
            self._named = began

    async def _ask(self, build: Build) -> Told:
        return await Asking(self._rest, self._feed, self._vitals.now).all(build)

    def _resync(self, now: Microseconds) -> Sequence[Request]:
        since = max(self._seen - OVERLAP, wall() - FURTHEST)
        return self._feed.resync(since + self._vitals.offset, now)

    def _has_all_figures(self, told: Told) -> bool:
        """Where the requests for them were whole: a list of fills that is refused takes nothing from them."""
        return told.partial.isdisjoint(subject_of(request) for request in self._feed.figures(self._vitals.now()))

    def _take_answers(self, told: Told, *, is_whole: bool) -> None:
        self._take_figures(told, is_whole=is_whole)
        self._take(one for one in told.events if not isinstance(one, Balance | Position))

    def _take_figures(self, told: Told, *, is_whole: bool) -> None:
        figures = last_of_each(one for one in told.events if isinstance(one, Balance | Position))
        if self._figures.read(Reading(figures, told.asked, told.received, is_whole, told.unread)):
            self._due.unsettled(time.monotonic())
            self._hurry.set()
        for figure in figures:
            if isinstance(figure, Position):
                self._note_symbol(figure.symbol)

    async def _ask_fees(self, symbols: Sequence[str]) -> Told:
        told = await self._ask(lambda now: self._feed.fees(symbols, now))
        self._take(one for one in told.events if not isinstance(one, FeeRates))
        return told

    async def _ask_for_pages(self) -> None:
        """What the stream did not say whole, as the fills of an order, or some of the figures."""
        while True:
            request = await self._pages.get()
            self._take_answers(await self._ask(_alone(request)), is_whole=False)

    # ── instruments ──────────────────────────────────────────────────────────────────────────────────────────────

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Take what another stage read of the exchange's list."""
        news = self._listings.unknown(self._fees.applied(instruments))
        if not news or not self._is_following:
            return
        self._feed.learn(self._listings.learn(news))
        self._due.everything(time.monotonic())  # what had the exchange's own name has another now
        self._hurry.set()

    async def _list_again(self) -> None:
        """Read the exchange's list when private data names a symbol that it did not have, and regularly."""
        while True:
            self._relist.clear()
            try:
                async with asyncio.timeout(INSTRUMENTS_SECONDS):
                    await self._relist.wait()
            except TimeoutError:
                self._asked_for.clear()
            try:
                listing = await listed(self._rest, self._exchange)
            except NeuroFluxError as error:
                self._say(StatusKind.MALFORMED, 0.0, f"the list of instruments: {error}")
                continue
            self._tell_faults(listing.faults)
            self._listed([one for one in listing.instruments if not self._listings.knows(one.symbol)])

    def _listed(self, new: Sequence[Instrument]) -> None:
        """What changed or is gone is the market stage's to publish: of two readings this one may be the older."""
        for instrument in new:
            self._publisher.publish(INSTRUMENTS, instrument)
        self.learn(new)

    def _note_symbol(self, symbol: str) -> None:
        """A symbol that is not listed keeps the exchange's name: perhaps it is new. Asked for once an interval."""
        if not self._listings.knows(symbol) and symbol not in self._asked_for:
            self._asked_for.add(symbol)
            self._relist.set()

    def _tell_faults(self, faults: Iterable[str]) -> None:
        for text in self._notices.faults(faults):
            self._say(StatusKind.UNKNOWN, 0.0, f"the list of instruments: {text}")

    # ── Listener ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def opened(self) -> None:
        """What happened while the socket was away is asked for."""
        self._figures.connected(wall())
        self._due.everything(time.monotonic())
        self._hurry.set()

    async def drained(self) -> None:
        await self._publisher.drain()

    def frame(self, raw: bytes, received: Microseconds) -> None:
        events = self._feed.frame(raw, received + self._vitals.offset)
        if not self._feed.pushes_whole and any(map(self._changes, events)):
            self._due.changed(time.monotonic())
            self._hurry.set()
        self._take(events)

    def status(self, kind: StatusKind, value: float, detail: str) -> None:
        self._say(kind, value, detail)
        if kind is StatusKind.DISCONNECTED:
            self._ended.set()

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, events: Iterable[FeedEvent]) -> None:
        publish = self._publisher.publish
        for event in events:
            match event:
                case Balance() | Position():
                    self._pushed(event)
                case OrderReport():
                    publish(ACCOUNT_ORDERS, event)
                    self._note_symbol(event.symbol)
                case Fill():
                    publish(ACCOUNT_FILLS, event)
                    self._fees.charged(event)
                    self._note_symbol(event.symbol)
                case AccountTransfer():
                    publish(TRANSFERS, event)
                case ExchangeStatus():
                    self._happened(event)
                case PageNeeded():
                    self._pages.put_nowait(event.request)
                case Hold():
                    self._rest.hold(event.seconds, event.reason)
                case Undecodable():
                    self._say(StatusKind.MALFORMED, 0.0, event.reason)

    def _changes(self, event: FeedEvent) -> bool:
        """Whether margins and free funds are others after it."""
        if isinstance(event, Balance | Position):
            return self._figures.changes(event)
        return isinstance(event, OrderReport | Fill)

    def _pushed(self, figure: Figure) -> None:
        if self._figures.pushed(figure, wall(), self._vitals.offset):
            self._due.unsettled(time.monotonic())
            self._hurry.set()
        if isinstance(figure, Position):
            self._note_symbol(figure.symbol)

    def _happened(self, status: ExchangeStatus) -> None:
        if self._notices.passes(status, wall()):
            self._tell(status)
        if status.kind is StatusKind.DISCONNECTED:
            self._ended.set()

    def _publish_figure(self, figure: Figure) -> None:
        self._publisher.publish(BALANCES if isinstance(figure, Balance) else POSITIONS, figure)

    def _say(self, kind: StatusKind, value: float, detail: str) -> None:
        self._tell(ExchangeStatus(self._exchange.ID, ACCOUNT, kind, value, detail, wall()))

    def _tell(self, status: ExchangeStatus) -> None:
        self._publisher.publish(STATUS, status)


def _alone(request: Request) -> Build:
    """It was signed by the feed, and can't be signed again."""
    return lambda now: (request,)


async def main(settings: Settings) -> None:
    """Follow every account that there are keys for, until cancelled."""
    accounts = {name: keys for name in settings.exchanges if (keys := settings.keys(name)) is not None}
    for name in settings.exchanges:
        if name not in accounts:
            log.info("%s: no keys, so no account", name)
    tried = {name: asyncio.Event() for name in accounts}
    codec, following = await load_codec(settings), dict[str, ExchangeAccount]()
    before = await logged(settings, codec, (BALANCES, POSITIONS))
    async with (
        Publisher(settings, codec, client_id="account") as publisher,
        listings_reader(settings, codec) as listings,  # before accounts publish: which of two was later is seen
        asyncio.TaskGroup() as tasks,
    ):
        for name, keys in accounts.items():
            tasks.create_task(_account(settings, name, keys, publisher, tried[name], before, following))
        tasks.create_task(_when_tried(tried.values()))
        if accounts:
            tasks.create_task(follow_listings(listings, lambda one: _learn(following, one)))


def _learn(following: Mapping[str, ExchangeAccount], instrument: Instrument) -> None:
    if instrument.exchange in following:
        following[instrument.exchange].learn((instrument,))


async def _account(
    settings: Settings,
    name: str,
    keys: Keys,
    publisher: Publisher,
    tried: asyncio.Event,
    before: Iterable[Any],
    following: dict[str, ExchangeAccount],
) -> None:
    exchange, own = exchange_of(name), [one for one in before if one.exchange == name]
    async with Rest(exchange, settings.rest_url(name)) as rest:
        following[name] = ExchangeAccount(exchange, keys, publisher, rest, own, settings.markets)
        await following[name].run(settings.private_ws_url(name), tried)


async def _when_tried(every: Iterable[asyncio.Event]) -> None:
    """Ready when each account was read once, or ten seconds have not been enough: one must not hold the others."""
    waiting = [asyncio.create_task(tried.wait()) for tried in every]
    if waiting:
        await asyncio.wait(waiting, timeout=10)
    ready()
