"""Private feeds to topics: balances, positions, transfers, and the exchanges' reports of our orders and fills.

Reports and fills go to ``account.orders`` and ``account.fills`` as the exchange sends them; the execution, which knows
the client ids, matches them to orders.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection, Iterable, Sequence
from functools import partial

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
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.config import INSTRUMENTS_SECONDS
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Hold, PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed, Exchange
from neuroflux.exchanges.kit.requests import Keys, Request, Subscription
from neuroflux.http.budget import Urgency
from neuroflux.http.client import Client
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import ACCOUNT_FILLS, ACCOUNT_ORDERS, BALANCES, INSTRUMENTS, POSITIONS, STATUS, TRANSFERS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from producers.account_fees import AccountFees
from producers.account_round import AccountRound, Answers, Build, subject_of
from producers.due import Due, What
from producers.figures import Figure, Figures, Reading, last_of_each
from producers.listings import Listings
from producers.logged import follow_listings, listings_reader, logged
from producers.notices import Notices
from producers.retries import ListReader, follow_each, is_set_within
from producers.socket import Socket
from producers.vital_signs import VitalSigns

KEEP_ALIVE_SECONDS = 20 * 60.0
KEEP_ALIVE_AGAIN_SECONDS = 60.0
SHORT_LIVED_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
"""A stream that ends within ``SHORT_LIVED_SECONDS``, as with a wrong key, is reopened after longer and longer
waits, up to this: an exchange bans an address that retries all the time."""
OVERLAP: Microseconds = 60_000_000
"""Fills are requested from this long before the last ones seen; their ids show which are known."""
FURTHEST: Microseconds = 24 * 3_600_000_000
"""Fills are requested from at most this long ago, if reading has failed for longer."""
TRANSFERS_FURTHEST: Microseconds = 80 * 24 * 3_600_000_000
"""The same for transfers: an exchange may keep them for three months."""

log = logging.getLogger(__name__)


class ExchangeAccount:
    """One account. Implements ``Listener`` for its sockets.

    ``before`` are the figures of this exchange in the log: an asset that the account no longer has, or that was
    another account's, is published as 0. ``markets`` are those that are followed, () for all.
    """

    def __init__(
        self,
        exchange: Exchange,
        keys: Keys,
        publisher: Publisher,
        client: Client,
        before: Iterable[Figure],
        markets: Collection[str] = (),
    ) -> None:
        self._exchange, self._keys, self._publisher, self._client = exchange, keys, publisher, client
        self._vital_signs = VitalSigns(client)
        self._list = ListReader(client, exchange.listing, partial(self._report, StatusKind.MALFORMED, 0.0))
        self._listings, self._notices = Listings(), Notices()
        before = list(before)
        self._transfers_read = min(max((one.event_time for one in before), default=wall()), wall())
        self._figures = Figures(before, self._publish_figure, self._publish_status, self._listings.name_of)
        self._fees = AccountFees(self._listings, self._request_fees, publisher, markets)
        self._due, self._wake = Due(time.monotonic()), asyncio.Event()
        self._fills_read = wall()
        self._ended, self._relist = asyncio.Event(), asyncio.Event()
        self._looked_for: set[str] = set()
        self._pages: asyncio.Queue[Request] = asyncio.Queue()
        self._is_following = False
        self._feed: AccountFeed

    async def run(self, address: str, tried: asyncio.Event) -> None:
        """Follow the account until cancelled; ``tried`` is set when its figures were requested once."""
        await self._vital_signs.measure()
        listing = await self._list.first()
        self._listings.read(listing)
        self._report_faults(listing.faults)
        self._feed = self._exchange.account_feed(self._keys, listing.instruments)  # once: it remembers what it reported
        self._figures.pushes_whole, self._is_following = self._feed.pushes_whole, True
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reconcile_when_due(tried))
            tasks.create_task(self._stream(address))
            tasks.create_task(self._keep_alive())
            tasks.create_task(self._read_pages())
            tasks.create_task(self._vital_signs.watch())
            tasks.create_task(self._read_list_again())
            tasks.create_task(self._fees.keep())

    # ── the stream ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _stream(self, address: str) -> None:
        """Keep the stream open; streams that end soon are reopened after longer and longer waits."""
        short = 0
        while True:
            self._ended.clear()
            began = time.monotonic()
            sockets = await self._open()
            if sockets:
                await self._follow(address, sockets)
            lasted = sockets and time.monotonic() - began >= SHORT_LIVED_SECONDS
            short = 0 if lasted else short + 1
            await asyncio.sleep(max(min(2**short - 1, LONGEST_WAIT_SECONDS), self._client.held))

    async def _open(self) -> Sequence[Subscription]:
        """Request what the stream needs (a listen key) and return its sockets; none if that was refused."""
        opening = await self._request(self._feed.opening)
        self._take(opening.events)
        sockets = self._feed.subscriptions(self._client.now())
        if not sockets:
            why = "; ".join(opening.refusals) or "there is no socket to open"
            self._report(StatusKind.DISCONNECTED, 0.0, f"the stream can't be opened: {why}")
        return sockets

    async def _follow(self, address: str, sockets: Sequence[Subscription]) -> None:
        """Run until one of the sockets ends: signatures and listen keys are valid for one opening."""
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
        """The feed reports from the answers whether the stream ends. A request without an answer is soon repeated."""
        wait = KEEP_ALIVE_SECONDS
        while True:
            await asyncio.sleep(wait)
            answers = await self._request(self._feed.keep_alive)
            self._take(answers.events)
            wait = KEEP_ALIVE_AGAIN_SECONDS if answers.partial else KEEP_ALIVE_SECONDS

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def _reconcile_when_due(self, tried: asyncio.Event) -> None:
        while True:
            wait = self._due.wait(time.monotonic())
            if wait > 0:
                self._wake.clear()
                await is_set_within(self._wake, wait)
                continue
            what = self._due.begin(time.monotonic())
            is_whole = await self._reconcile(what)
            self._due.ended(what, time.monotonic(), is_whole=is_whole)
            for status in self._notices.repeated(wall()):
                self._publish_status(status)
            tried.set()

    async def _reconcile(self, what: What) -> bool:
        """Request the figures, or everything that the stream may have missed; returns whether all of it was read."""
        began = wall()
        if what is What.FIGURES:  # after a gap in all books the market data uses up the limit for a minute
            answers = await self._request(self._feed.figures, Urgency.FIRST)
        else:
            answers = await self._request(self._resync)
        self._take_answers(answers, is_whole=self._has_all_figures(answers))
        if what is What.EVERYTHING and not answers.partial:
            self._fills_read = began
        if what is What.EVERYTHING:
            await self._read_transfers(began)
        return not answers.partial

    async def _read_transfers(self, began: Microseconds) -> None:
        """In a separate round: a key without permission for transfers can still read everything else."""
        since = max(self._transfers_read - OVERLAP, began - TRANSFERS_FURTHEST) + self._client.offset
        answers = await self._request(lambda now: self._feed.transfers(since, now))
        self._take(answers.events)
        if not answers.partial:
            self._transfers_read = began

    async def _request(self, build: Build, urgency: Urgency = Urgency.READ) -> Answers:
        return await AccountRound(self._client, self._feed).all(build, urgency)

    def _resync(self, now: Microseconds) -> Sequence[Request]:
        since = max(self._fills_read - OVERLAP, wall() - FURTHEST)
        return self._feed.resync(since + self._client.offset, now)

    def _has_all_figures(self, answers: Answers) -> bool:
        """Whether all requests for figures were answered completely; a refused list of fills does not matter."""
        return answers.partial.isdisjoint(subject_of(request) for request in self._feed.figures(self._client.now()))

    def _take_answers(self, answers: Answers, *, is_whole: bool) -> None:
        self._take_figures(answers, is_whole=is_whole)
        self._take(one for one in answers.events if not isinstance(one, Balance | Position))

    def _take_figures(self, answers: Answers, *, is_whole: bool) -> None:
        figures = last_of_each(one for one in answers.events if isinstance(one, Balance | Position))
        if self._figures.read(Reading(figures, answers.requested_at, answers.received, is_whole, answers.unread)):
            self._due.unsettled(time.monotonic())
            self._wake.set()
        for figure in figures:
            if isinstance(figure, Position):
                self._note_symbol(figure.symbol)

    async def _request_fees(self, symbols: Sequence[str]) -> Answers:
        answers = await self._request(lambda now: self._feed.fees(symbols, now))
        self._take(one for one in answers.events if not isinstance(one, FeeRates))
        return answers

    async def _read_pages(self) -> None:
        """Request what the stream did not push completely, such as the fills of an order or some of the figures."""
        while True:
            request = await self._pages.get()
            self._take_answers(await self._request(_alone(request)), is_whole=False)

    # ── instruments ──────────────────────────────────────────────────────────────────────────────────────────────

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Take instruments that another stage read in the exchange's list."""
        unknown = self._listings.unknown(self._fees.applied(instruments))
        if not unknown or not self._is_following:
            return
        self._feed.learn(self._listings.learn(unknown))
        self._due.everything(time.monotonic())  # figures under the exchange's own name have another symbol now
        self._wake.set()

    async def _read_list_again(self) -> None:
        """Read the list regularly, and when private data names an unknown symbol."""
        while True:
            self._relist.clear()
            if not await is_set_within(self._relist, INSTRUMENTS_SECONDS):
                self._looked_for.clear()
            listing = await self._list.read()
            if listing is not None:
                self._report_faults(listing.faults)
                self._listed([one for one in listing.instruments if not self._listings.knows(one.symbol)])

    def _listed(self, new: Sequence[Instrument]) -> None:
        """Publish new instruments only: changes and delistings are the market stage's, whose list may be newer."""
        for instrument in new:
            self._publisher.publish(INSTRUMENTS, instrument)
        self.learn(new)

    def _note_symbol(self, symbol: str) -> None:
        """A symbol that is not listed keeps the exchange's name. It may be new: the list is read once an interval."""
        if not self._listings.knows(symbol) and symbol not in self._looked_for:
            self._looked_for.add(symbol)
            self._relist.set()

    def _report_faults(self, faults: Iterable[str]) -> None:
        for text in self._notices.faults(faults):
            self._report(StatusKind.UNKNOWN, 0.0, f"the list of instruments: {text}")

    # ── Listener ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def opened(self) -> None:
        """Request the events that were missed while the socket was disconnected."""
        if self._feed.pushes_figures:
            self._figures.connected(wall())
        self._due.everything(time.monotonic())
        self._wake.set()

    async def drained(self) -> None:
        await self._publisher.drain()

    def frame(self, raw: bytes, received: Microseconds) -> None:
        events = self._feed.frame(raw, received + self._client.offset)
        if not self._feed.pushes_whole and any(map(self._changes, events)):
            self._due.changed(time.monotonic())
            self._wake.set()
        self._take(events)

    def status(self, kind: StatusKind, value: float, detail: str) -> None:
        self._report(kind, value, detail)
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
                    self._take_status(event)
                case PageNeeded():
                    self._pages.put_nowait(event.request)
                case Hold():
                    self._client.hold(event.seconds, event.reason)
                case Undecodable():
                    self._report(StatusKind.MALFORMED, 0.0, event.reason)

    def _changes(self, event: FeedEvent) -> bool:
        """Whether an event changes margins and free funds."""
        if isinstance(event, Balance | Position):
            return self._figures.changes(event)
        return isinstance(event, OrderReport | Fill)

    def _pushed(self, figure: Figure) -> None:
        if self._figures.pushed(figure, wall(), self._client.offset):
            self._due.unsettled(time.monotonic())
            self._wake.set()
        if isinstance(figure, Position):
            self._note_symbol(figure.symbol)

    def _take_status(self, status: ExchangeStatus) -> None:
        if self._notices.passes(status, wall()):
            self._publish_status(status)
        if status.kind is StatusKind.DISCONNECTED:
            self._ended.set()

    def _publish_figure(self, figure: Figure) -> None:
        self._publisher.publish(BALANCES if isinstance(figure, Balance) else POSITIONS, figure)

    def _report(self, kind: StatusKind, value: float, detail: str) -> None:
        self._publish_status(ExchangeStatus(self._exchange.ID, ACCOUNT, kind, value, detail, wall()))

    def _publish_status(self, status: ExchangeStatus) -> None:
        self._publisher.publish(STATUS, status)


def _alone(request: Request) -> Build:
    """A single request that the feed has signed already."""
    return lambda now: (request,)


async def main(settings: Settings) -> None:
    """Follow every account whose keys are set, until cancelled."""
    accounts = {name: keys for name in settings.exchanges if (keys := settings.keys(name)) is not None}
    for name in settings.exchanges:
        if name not in accounts:
            log.info("%s: no keys, so no account", name)
    codec, following = await load_codec(settings), dict[str, ExchangeAccount]()
    before = await logged(settings, codec, (BALANCES, POSITIONS))

    def read_elsewhere(instrument: Instrument) -> None:
        if instrument.exchange in following:
            following[instrument.exchange].learn((instrument,))

    async with (
        Publisher(settings, codec, client_id="account") as publisher,
        listings_reader(
            settings, codec
        ) as listings,  # opened before accounts publish, so that the later of two is known
        asyncio.TaskGroup() as tasks,
    ):

        async def follow(name: str, tried: asyncio.Event) -> None:
            exchange, own = exchange_of(name), [one for one in before if one.exchange == name]
            async with Client(exchange, settings.rest_url(name), REST, partial(publisher.publish, STATUS)) as client:
                account = ExchangeAccount(exchange, accounts[name], publisher, client, own, settings.markets)
                following[name] = account
                await account.run(settings.private_ws_url(name), tried)

        tasks.create_task(follow_each(accounts, follow))
        if accounts:
            tasks.create_task(follow_listings(listings, read_elsewhere))
