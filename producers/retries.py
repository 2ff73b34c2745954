"""Retries until success: of requests, and of reading an exchange's list of instruments.

One exchange that is down must not delay the others, so each is followed in a task of its own.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from typing import Any, Final, Generic, TypeVar

from tenacity import AsyncRetrying, before_sleep_log, retry_if_exception_type, wait_random_exponential

from neuroflux.errors import NeuroFluxError, Transient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.client import Client
from neuroflux.runtime.readiness import ready

PAGES: Final = 100
"""The most pages of one list that are read."""
LIST_RETRY_SECONDS: Final = 10.0
READY_SECONDS: Final = 10.0

Listed = TypeVar("Listed")

log = logging.getLogger(__name__)


async def ask_until_answered(client: Client, request: Request) -> Answer:
    """Send a request that changes nothing until it is answered, with longer and longer pauses."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(Transient),
        wait=wait_random_exponential(multiplier=0.2, max=10),
        before_sleep=before_sleep_log(log, logging.WARNING),
    ):
        with attempt:
            return await client.ask(request)
    raise AssertionError("the retry loop returns or raises")


class ListReader(Generic[Listed]):
    """Reads an exchange's list of instruments. ``parse`` takes its answers; ``report`` receives why it could not."""

    def __init__(
        self, client: Client, parse: Callable[[Sequence[Answer]], Listed], report: Callable[[str], None]
    ) -> None:
        self._client, self._parse, self._report = client, parse, report

    async def first(self) -> Listed:
        """Read the list until that succeeds: nothing can be followed before."""
        while True:
            if (listed := await self.read()) is not None:
                return listed
            await asyncio.sleep(LIST_RETRY_SECONDS)

    async def read(self) -> Listed | None:
        """Read the list once; None, with a report, for one that cannot be parsed."""
        requests = self._client.exchange.instruments_requests()
        try:
            return self._parse([await ask_until_answered(self._client, request) for request in requests])
        except NeuroFluxError as error:
            self._report(f"the list of instruments: {error}")
            return None


async def is_set_within(event: asyncio.Event, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True


async def follow_each(
    exchanges: Collection[str], follow: Callable[[str, asyncio.Event], Coroutine[Any, Any, None]]
) -> None:
    """Follow every exchange until cancelled; ``follow`` sets its event once it has tried to connect.

    The stage is ready when every exchange was tried, or after ``READY_SECONDS``.
    """
    tried = {name: asyncio.Event() for name in exchanges}
    async with asyncio.TaskGroup() as tasks:
        for name, event in tried.items():
            tasks.create_task(follow(name, event))
        tasks.create_task(_ready_once_tried(tried.values()))


async def _ready_once_tried(events: Iterable[asyncio.Event]) -> None:
    waiting = [asyncio.create_task(event.wait()) for event in events]
    if waiting:
        await asyncio.wait(waiting, timeout=READY_SECONDS)
    ready()
