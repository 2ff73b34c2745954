"""Private feeds to topics: balances, positions, and what the exchanges say of our orders and fills.

Reports and fills go to ``account.orders`` and ``account.fills`` as the exchange tells them; the execution, which knows
the client ids, matches them to orders.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from decimal import Decimal

from msgspec.structs import replace
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from neuroflux.clock import wall
from neuroflux.codec import Codec
from neuroflux.domain import Balance, ExchangeStatus, Fill, Instrument, Microseconds, OrderReport, Position, StatusKind
from neuroflux.engine.health import REST
from neuroflux.errors import Transient
from neuroflux.exchanges.base_exchange import (
    AccountFeed,
    Answer,
    Exchange,
    FeedEvent,
    Keys,
    Request,
    Undecodable,
)
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.publisher import Publisher
from neuroflux.reader import Reader
from neuroflux.registry import load_codec
from neuroflux.settings import Settings
from neuroflux.stack.notify import ready
from neuroflux.topics import ACCOUNT_FILLS, ACCOUNT_ORDERS, BALANCES, POSITIONS, STATUS
from producers.rest import Rest
from producers.sockets import Socket
from producers.vitals import Vitals

RECONCILE_SECONDS = 60.0
KEEP_ALIVE_SECONDS = 20 * 60.0
SHORT_LIVED_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 60.0
"""A stream that ends so soon, as with a wrong key, is opened again later each time: asking all the time is banned."""
OK = 200
OVERLAP: Microseconds = 60_000_000
"""How far behind what was seen last the exchange is asked again: fills are told apart by their ids."""
REPEAT: Microseconds = 50_000_000
"""An unchanged figure is published again after this long, so that its age is known."""
SETTLED: Microseconds = 2_000_000
"""A figure that the stream changed less than this ago is still moving, and REST may lag behind it."""

log = logging.getLogger(__name__)


class ExchangeAccount:
    """One account. Implements ``Listener`` for its sockets.

    ``before`` is what the log has of this exchange: an asset that the account does not have any more, or that was
    another account's, is told to be none.
    """

    def __init__(
        self, exchange: Exchange, keys: Keys, publisher: Publisher, rest: Rest, before: Iterable[Balance | Position]
    ) -> None:
        self._before = {(type(one).__name__, _name(one)): one for one in before}
        self._exchange, self._keys, self._publisher, self._rest = exchange, keys, publisher, rest
        self._vitals = Vitals(exchange, rest, self._tell, REST)
        self._known: dict[tuple[str, str], Balance | Position] = {}
        self._seen = wall()
        self._ended = asyncio.Event()
        self._feed: AccountFeed

    async def run(self, address: str, tried: asyncio.Event) -> None:
        """Follow the account until cancelled; ``tried`` is set when its figures were read once."""
        instruments = await self._instruments()
        await self._vitals.measure()
        self._feed = self._exchange.account_feed(self._keys, instruments)  # once: it knows where fills may be missing
        short = 0
        while True:
            self._ended.clear()
            began = time.monotonic()
            for request in self._feed.opening(self._vitals.now()):
                self._take(self._feed.answer(await self._patiently(request), wall()), streamed=True)
            await self._follow(address, tried)
            short = short + 1 if time.monotonic() - began < SHORT_LIVED_SECONDS else 0
            await asyncio.sleep(min(2**short - 1, LONGEST_WAIT_SECONDS))

    async def _instruments(self) -> Sequence[Instrument]:
        answers = [await self._patiently(request) for request in self._exchange.instruments_requests()]
        return self._exchange.instruments(answers)

    async def _patiently(self, request: Request) -> Answer:
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(Transient),
            wait=wait_random_exponential(multiplier=0.2, max=10),
            before_sleep=before_sleep_log(log, logging.WARNING),
        ):
            with attempt:
                return await self._rest.ask(request)
        raise AssertionError("the retry loop returns or raises")

    async def _follow(self, address: str, tried: asyncio.Event) -> None:
        """Until the exchange ends the stream: then it must be opened anew."""
        await self._reconcile()
        tried.set()
        work = [
            *(Socket(address, one, self).run() for one in self._feed.subscriptions(self._vitals.now())),
            self._regularly_reconcile(),
            self._keep_alive(),
            self._vitals.watch(),
        ]
        tasks = [asyncio.create_task(one) for one in (*work, self._until_ended())]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _until_ended(self) -> None:
        await self._ended.wait()

    async def _regularly_reconcile(self) -> None:
        while True:
            await asyncio.sleep(RECONCILE_SECONDS)
            await self._reconcile()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            for request in self._feed.keep_alive(self._vitals.now()):
                await self._patiently(request)

    async def _reconcile(self) -> None:
        """Ask for everything the stream may have missed, and compare it with what the stream said.

        A figure may be the sum of several answers (Hyperliquid's spot and margin), so only its last one is taken.
        """
        asked, events, whole = wall(), list[FeedEvent](), True
        for request in self._feed.resync(self._seen - OVERLAP, self._vitals.now()):
            answer = await self._patiently(request)
            events += self._feed.answer(answer, wall())
            whole = whole and answer.status == OK
        self._take(_last_figures(events), streamed=False, asked=asked)
        if whole:
            self._tell_gone()
        self._seen = wall()

    def _tell_gone(self) -> None:
        """Once, after the account was read: what was held before and is not named any more is gone."""
        gone = [one for name, one in self._before.items() if name not in self._known and _amount(one)]
        self._before.clear()
        self._take((_none_of(one) for one in gone), streamed=True)

    # ── Listener ─────────────────────────────────────────────────────────────────────────────────────────────────

    async def opened(self) -> None:
        """What happened while the socket was away is asked for."""
        await self._reconcile()

    async def drained(self) -> None:
        await self._publisher.drain()

    def frame(self, raw: bytes, received: Microseconds) -> None:
        self._take(self._feed.frame(raw, received), streamed=True)

    def status(self, kind: StatusKind, value: float, detail: str) -> None:
        self._say(kind, value, detail)
        if kind is StatusKind.DISCONNECTED:
            self._ended.set()  # signatures and listen keys of the stream are of its opening

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(self, events: Iterable[FeedEvent], *, streamed: bool, asked: Microseconds = 0) -> None:
        publish = self._publisher.publish
        for event in events:
            match event:
                case Balance():
                    self._figure(event, streamed, asked)
                case Position():
                    self._figure(event, streamed, asked)
                case OrderReport():
                    publish(ACCOUNT_ORDERS, event)
                case Fill():
                    publish(ACCOUNT_FILLS, event)
                case ExchangeStatus():
                    self._tell(event)
                    if event.kind is StatusKind.DISCONNECTED:
                        self._ended.set()
                case Undecodable():
                    self._say(StatusKind.MALFORMED, 0.0, event.reason)

    def _figure(self, figure: Balance | Position, streamed: bool, asked: Microseconds) -> None:
        """Publish what is new; say where REST and the stream differ though nothing moved."""
        name = (type(figure).__name__, _name(figure))
        known = self._known.get(name)
        same = known is not None and replace(known, event_time=0) == replace(figure, event_time=0)
        if known is not None and same and figure.event_time - known.event_time < REPEAT:
            return
        if known is not None and not streamed and not same and known.event_time < asked - SETTLED:
            self._difference(known, figure)
        self._known[name] = figure
        self._publisher.publish(BALANCES if isinstance(figure, Balance) else POSITIONS, figure)

    def _difference(self, known: Balance | Position, figure: Balance | Position) -> None:
        before, after = _amount(known), _amount(figure)
        if before == after:
            return
        detail = f"{_name(figure)}: the stream said {before}, the exchange says {after}"
        value = float(after - before)
        self._say(StatusKind.DIFFERENCE, value, detail)

    def _say(self, kind: StatusKind, value: float, detail: str) -> None:
        self._tell(ExchangeStatus(self._exchange.ID, "account", kind, value, detail, wall()))

    def _tell(self, status: ExchangeStatus) -> None:
        self._publisher.publish(STATUS, status)


def _last_figures(events: Sequence[FeedEvent]) -> list[FeedEvent]:
    """All events, but of each figure only the last."""
    last = {(type(one), _name(one)): one for one in events if isinstance(one, Balance | Position)}
    figures = set(map(id, last.values()))
    return [one for one in events if not isinstance(one, Balance | Position) or id(one) in figures]


def _name(figure: Balance | Position) -> str:
    return figure.asset if isinstance(figure, Balance) else figure.symbol


def _none_of(figure: Balance | Position) -> Balance | Position:
    zero, now = Decimal(0), wall()
    if isinstance(figure, Balance):
        return Balance(figure.exchange, figure.asset, zero, zero, zero, zero, now)
    return Position(figure.exchange, figure.symbol, zero, zero, zero, now)


def _amount(figure: Balance | Position) -> Decimal:
    return figure.total if isinstance(figure, Balance) else figure.quantity


async def main(settings: Settings) -> None:
    """Follow every account that there are keys for, until cancelled."""
    accounts = {name: keys for name in settings.exchanges if (keys := settings.keys(name)) is not None}
    for name in settings.exchanges:
        if name not in accounts:
            log.info("%s: no keys, so no account", name)
    tried = {name: asyncio.Event() for name in accounts}
    codec = await load_codec(settings)
    told = await _told(settings, codec)
    async with Publisher(settings, codec, client_id="account") as publisher, asyncio.TaskGroup() as tasks:
        for name, keys in accounts.items():
            tasks.create_task(_account(settings, name, keys, publisher, tried[name], told))
        tasks.create_task(_when_tried(tried.values()))


async def _told(settings: Settings, codec: Codec) -> list[Balance | Position]:
    """The newest of every balance and position that is in the log."""
    newest: dict[tuple[str, str], Balance | Position] = {}
    async with Reader(settings, codec, (BALANCES, POSITIONS), start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    if isinstance(entry.record, Balance | Position):
                        newest[(entry.topic.name, entry.key)] = entry.record
                if await reader.caught_up():
                    break
    return list(newest.values())


async def _account(
    settings: Settings,
    name: str,
    keys: Keys,
    publisher: Publisher,
    tried: asyncio.Event,
    told: Iterable[Balance | Position],
) -> None:
    exchange, before = exchange_of(name), [one for one in told if one.exchange == name]
    async with Rest(exchange, settings.rest_url(name)) as rest:
        await ExchangeAccount(exchange, keys, publisher, rest, before).run(settings.private_ws_url(name), tried)


async def _when_tried(every: Iterable[asyncio.Event]) -> None:
    """Ready when each account was read once, or ten seconds have not been enough: one must not hold the others."""
    waiting = [asyncio.create_task(tried.wait()) for tried in every]
    if waiting:
        await asyncio.wait(waiting, timeout=10)
    ready()
