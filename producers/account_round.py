"""One round of requests to a private feed: each list is read to its end, and what could not be read is recorded."""

from __future__ import annotations

import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence

from msgspec import Struct

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.errors import RateLimited, Transient
from neuroflux.exchanges.kit.events import FeedEvent, PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import Feed
from neuroflux.exchanges.kit.requests import Answer, Request, WeightRate
from neuroflux.http.budget import Urgency
from neuroflux.http.client import Client
from neuroflux.runtime.clock import wall
from producers.retries import PAGES

FRESH_SECONDS = 1.0
"""A request that was signed longer ago is built again before it is sent."""
OK = 200
_UNREAD = (StatusKind.MALFORMED, StatusKind.UNKNOWN)

Build = Callable[[Microseconds], Sequence[Request]]
Subject = tuple[str, str, bytes]
"""What a request is about, without times and signatures."""

log = logging.getLogger(__name__)


def subject_of(request: Request) -> Subject:
    return request.method, request.path.partition("?")[0], request.body


class Answers(Struct, frozen=True):
    """The answers of one round. ``requested_at`` and ``received`` are our times of the first request and last answer.

    ``partial`` are the requests that were not answered, refused, or not read to their end; ``unread`` the texts of what
    could not be read in the others; ``refusals`` the texts of what was refused or not answered.
    """

    events: list[FeedEvent]
    requested_at: Microseconds
    received: Microseconds
    partial: set[Subject]
    unread: list[str]
    refusals: list[str]


class AccountRound:
    """Raises nothing for what an exchange answers, or does not answer."""

    def __init__(self, client: Client, feed: Feed) -> None:
        self._client, self._feed = client, feed
        self._events: list[FeedEvent] = []
        self._refusals: list[str] = []
        self._partial: set[Subject] = set()
        self._requested_at: Microseconds = 0

    async def all(self, build: Build, urgency: Urgency = Urgency.READ) -> Answers:
        """Send all that ``build`` builds; it is called again once the weight may be spent, since signatures expire."""
        if requests := build(self._client.now()):
            for bucket, weight in self._weights(requests).items():
                await self._client.turn(weight, urgency, bucket)
            await self._each(build, urgency)
        return Answers(self._events, self._requested_at, wall(), self._partial, self._unread(), self._refusals)

    def _weights(self, requests: Sequence[Request]) -> Counter[str]:
        """By bucket, without the limits of seconds."""
        weights = Counter[str]()
        for one in requests:
            if not self._is_of_seconds(one.bucket):
                weights[one.bucket] += one.weight
        return weights

    def _is_of_seconds(self, bucket: str) -> bool:
        return isinstance(self._client.exchange.BUCKETS.get(bucket), WeightRate)

    async def _each(self, build: Build, urgency: Urgency) -> None:
        """The limits of seconds are waited for one by one: a round may be heavier than a whole one of them."""
        requests, built = build(self._client.now()), time.monotonic()
        for number in range(len(requests)):
            if self._is_of_seconds(requests[number].bucket):
                await self._client.turn(requests[number].weight, urgency, requests[number].bucket)
            is_old = time.monotonic() - built > FRESH_SECONDS
            if is_old and len(again := build(self._client.now())) == len(requests):
                requests, built = again, time.monotonic()
            try:
                await self._list(requests[number])
            except RateLimited as error:
                self._failed(requests[number:], error)
                return
            except Transient as error:
                self._failed(requests[number : number + 1], error)

    def _failed(self, requests: Sequence[Request], error: Transient) -> None:
        log.warning("%s", error)
        self._refusals.append(str(error))
        self._partial |= {subject_of(request) for request in requests}

    async def _list(self, request: Request) -> None:
        """One list to its end."""
        pages = deque(self._take(request, await self._client.read(request)))
        for _ in range(PAGES):
            if not pages:
                return
            pages += self._take(request, await self._client.ask(pages.popleft()))
        self._partial.add(subject_of(request))
        self._events.append(Undecodable(f"{request.path.partition('?')[0]}: not read beyond {PAGES} pages"))

    def _take(self, request: Request, answer: Answer) -> list[Request]:
        """Record one answer; return the requests for its next pages."""
        self._requested_at = self._requested_at or answer.sent_at
        events = self._feed.answer(answer, self._client.now())
        self._events += [one for one in events if not isinstance(one, PageNeeded)]
        unread = [one for one in events if isinstance(one, Undecodable)]
        if answer.status != OK:
            self._refusals.append(f"HTTP {answer.status}: {answer.body[:200].decode(errors='replace')}")
        if answer.status != OK or (unread and len(unread) == len(events)):
            self._partial.add(subject_of(request))
        return [one.request for one in events if isinstance(one, PageNeeded)]

    def _unread(self) -> list[str]:
        """Rows that could not be read are named by a status, whole answers by the reason."""
        rows = (one for one in self._events if isinstance(one, ExchangeStatus) and one.kind in _UNREAD)
        return [
            *(one.reason for one in self._events if isinstance(one, Undecodable)),
            *(one.detail for one in rows),
        ]
