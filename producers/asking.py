"""How the stages ask: patiently, and a list that goes on to its end."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from msgspec import Struct
from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.errors import RateLimited, Transient
from neuroflux.exchanges.kit.events import FeedEvent, Listing, PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import Exchange, Feed
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.runtime.clock import wall
from producers.rest import Rest

PAGES = 100
"""Pages of one list that are read at most."""
FRESH_SECONDS = 1.0
"""What was signed longer ago is built again before it is sent."""
OK = 200
_UNREAD = (StatusKind.MALFORMED, StatusKind.UNKNOWN)

log = logging.getLogger(__name__)


async def patiently(rest: Rest, request: Request) -> Answer:
    """Ask until there is an answer, each time later."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Transient),
        wait=wait_random_exponential(multiplier=0.2, max=10),
        before_sleep=before_sleep_log(log, logging.WARNING),
    ):
        with attempt:
            return await rest.ask(request)
    raise AssertionError("the retry loop returns or raises")


async def listed(rest: Rest, exchange: Exchange) -> Listing:
    """What the exchange lists. Raises what ``Exchange.listing`` raises."""
    return exchange.listing([await patiently(rest, request) for request in exchange.instruments_requests()])


Subject = tuple[str, str, bytes]
"""What is asked for, without times and signatures."""


def subject_of(request: Request) -> Subject:
    return request.method, request.path.partition("?")[0], request.body


class Told(Struct, frozen=True):
    """What the answers said. ``asked`` and ``received`` are our times of the first request and the last answer.

    ``partial`` has what was not answered, refused, or not read to its end; ``unread`` the texts of what could not be
    read in the others; ``refusals`` what was said where something was refused.
    """

    events: list[FeedEvent]
    asked: Microseconds
    received: Microseconds
    partial: set[Subject]
    unread: list[str]
    refusals: list[str]


class Asking:
    """One round of requests to a private feed. Raises nothing for what an exchange answers, or does not."""

    def __init__(self, rest: Rest, feed: Feed, now: Callable[[], Microseconds]) -> None:
        self._rest, self._feed, self._now = rest, feed, now
        self._events: list[FeedEvent] = []
        self._refusals: list[str] = []
        self._partial: set[Subject] = set()
        self._asked: Microseconds = 0

    async def all(self, build: Callable[[Microseconds], Sequence[Request]]) -> Told:
        """Ask for all that ``build`` builds: signed when the turn has come, since signatures age."""
        if requests := build(self._now()):
            await self._rest.turn(sum(request.weight for request in requests))
            await self._each(build)
        return Told(self._events, self._asked, wall(), self._partial, self._unread(), self._refusals)

    async def _each(self, build: Callable[[Microseconds], Sequence[Request]]) -> None:
        requests, built = build(self._now()), time.monotonic()
        for number in range(len(requests)):
            if time.monotonic() - built > FRESH_SECONDS and len(again := build(self._now())) == len(requests):
                requests, built = again, time.monotonic()
            try:
                await self._one(requests[number])
            except RateLimited as error:
                self._failed(requests[number:], error)
                return
            except Transient as error:
                self._failed(requests[number : number + 1], error)

    def _failed(self, requests: Sequence[Request], error: Transient) -> None:
        log.warning("%s", error)
        self._refusals.append(str(error))
        self._partial |= {subject_of(request) for request in requests}

    async def _one(self, request: Request) -> None:
        """One list to its end."""
        pages = deque(self._take(request, await self._rest.send(request)))
        for _ in range(PAGES):
            if not pages:
                return
            pages += self._take(request, await self._rest.ask(pages.popleft()))
        self._partial.add(subject_of(request))
        self._events.append(Undecodable(f"{request.path.partition('?')[0]}: not read beyond {PAGES} pages"))

    def _take(self, request: Request, answer: Answer) -> list[Request]:
        self._asked = self._asked or answer.sent_at
        events = self._feed.answer(answer, self._now())
        self._events += [one for one in events if not isinstance(one, PageNeeded)]
        unread = [one for one in events if isinstance(one, Undecodable)]
        if answer.status != OK:
            self._refusals.append(f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}")
        if answer.status != OK or (unread and len(unread) == len(events)):
            self._partial.add(subject_of(request))
        return [one.request for one in events if isinstance(one, PageNeeded)]

    def _unread(self) -> list[str]:
        """Rows are named by a status, and whole answers by what could not be read."""
        rows = (one for one in self._events if isinstance(one, ExchangeStatus) and one.kind in _UNREAD)
        return [
            *(one.reason for one in self._events if isinstance(one, Undecodable)),
            *(one.detail for one in rows),
        ]
