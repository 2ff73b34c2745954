"""The façade's connection to the pipeline: readers that fill its view, and a publisher for its commands."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from types import TracebackType
from typing import Any, TypeVar

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import Microseconds, OrderCommand
from neuroflux.errors import Unreachable
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.manager import order_tracker
from neuroflux.manager.order_tracker import OrderTracker, TrackedOrder
from neuroflux.manager.view import SINCE, View
from neuroflux.records.entries import Entry
from neuroflux.records.places import Place
from neuroflux.records.topics import COMMANDS, KEPT
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings

CLIENT = "manager"
"""The façade's Kafka client id, and its name in ``issued_by``."""
FEW = 8
"""Records processed per batch: a query of another thread waits for at most this many."""
LOAD_TIMEOUT = 30.0
"""Seconds to wait for the retained records to be read."""
COMMAND_TIMEOUT = 30.0
"""Seconds to wait for Kafka to accept a command: longer than a broker needs to restart."""

T = TypeVar("T")


class Connection:
    """An async context manager, for one event loop. Raises Unreachable if the stack does not answer.

    ``view`` is the state in memory; ``until`` waits for a change of it; ``track`` and ``command`` handle orders.
    """

    def __init__(self, settings: Settings, now: Callable[[], Microseconds] = wall) -> None:
        self.settings, self.now = settings, now
        self.view = View(now)
        self._tracker = OrderTracker()
        self._moved = asyncio.Condition()
        self._failure: BaseException | None = None
        self._open = AsyncExitStack()
        self._feeds: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Connection:
        try:
            await self._connect()
        except BaseException:
            await self._close()
            raise
        return self

    async def _connect(self) -> None:
        codec = await load_codec(self.settings)
        opening = (
            Reader(self.settings, codec, KEPT, start="beginning"),
            Reader(self.settings, codec, tuple(SINCE), start="end"),
            Reader(self.settings, codec, order_tracker.TOPICS, start="end", key_filter=self._tracker.is_tracked),
        )
        publisher = Publisher(self.settings, codec, client_id=CLIENT)
        kept, recent, orders = await _all(*(self._open.enter_async_context(one) for one in opening))
        self.publisher = await self._open.enter_async_context(publisher)
        for topic, span in SINCE.items():
            await recent.seek_to_time(topic, self.now() - span)
        self._feed(orders, self._tracker.add)
        await _all(self._load(kept), self._load(recent))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        for feed in self._feeds:
            feed.cancel()
        await asyncio.gather(*self._feeds, return_exceptions=True)
        await self._open.aclose()

    # ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def _load(self, reader: Reader) -> None:
        """Read what is stored, and continue in the background."""
        loaded = asyncio.Event()
        self._feed(reader, self.view.take, loaded)
        waiting = asyncio.create_task(loaded.wait())
        try:
            await asyncio.wait({waiting, self._feeds[-1]}, timeout=LOAD_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        self.check()
        if not loaded.is_set():
            raise Unreachable(
                f"Kafka at {self.settings.kafka} did not return its retained records within {LOAD_TIMEOUT:.0f} s"
            )

    def _feed(self, reader: Reader, take: Callable[[Entry], None], loaded: asyncio.Event | None = None) -> None:
        task = asyncio.create_task(self._read(reader, take, loaded), name="manager-feed")
        task.add_done_callback(self._fed)
        self._feeds.append(task)

    async def _read(self, reader: Reader, take: Callable[[Entry], None], loaded: asyncio.Event | None) -> None:
        async with aclosing(reader.batches(max_records=FEW)) as batches:
            async for batch in batches:
                for entry in batch:
                    take(entry)
                async with self._moved:
                    self._moved.notify_all()
                if loaded is not None and not loaded.is_set() and await reader.caught_up():
                    loaded.set()
                await asyncio.sleep(0)

    def _fed(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failure = error

    def check(self) -> None:
        """Raise Unreachable if the connection to the pipeline was lost: the view is then no longer up to date."""
        if self._failure is not None:
            raise Unreachable(f"the connection to {self.settings.kafka} was lost: {self._failure!r}") from self._failure

    async def until(self, predicate: Callable[[], T], timeout: float) -> T:
        """The first true result of ``predicate``, or its last result after ``timeout`` seconds.

        It is called after every batch and at least every 0.2 s, so it may depend on the time too.
        """
        try:
            async with asyncio.timeout(timeout), self._moved:
                return await self._moved.wait_for(lambda: self._checked(predicate))
        except TimeoutError:
            return predicate()

    def _checked(self, predicate: Callable[[], T]) -> T:
        self.check()
        return predicate()

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────

    def track(self, order_id: str) -> TrackedOrder:
        """Track an order from now on: call this before the command is published; a context manager."""
        return self._tracker.track(order_id)

    async def command(self, command: OrderCommand) -> Place:
        """Write a command to ``orders.commands``; returns when Kafka has stored it. Raises Unreachable.

        Kafka may still store the command after the timeout, once it is reachable again: so the error names the order.
        """
        self.check()
        try:
            async with asyncio.timeout(COMMAND_TIMEOUT):
                return await self.publisher.write(COMMANDS, command)
        except TimeoutError:
            raise Unreachable(
                f"Kafka at {self.settings.kafka} did not store order {command.order_id} in {COMMAND_TIMEOUT:.0f} s, "
                "but may still do so: cancel it by its id, or send it again with the same order_id"
            ) from None

    async def query(self, sql: str) -> Sequence[Any]:
        """The rows of a ClickHouse query, run in a thread. Raises Unreachable, Refused."""
        return await asyncio.to_thread(_query, self.settings, sql)


def _query(settings: Settings, sql: str) -> Sequence[Any]:
    database = ClickHouse(settings)
    try:
        rows: Sequence[Any] = database.execute(sql)
        return rows
    finally:
        database.close()


async def _all(*work: Awaitable[T]) -> list[T]:
    """All results; if one fails, it is raised after the others have ended, so that nothing is left half open."""
    answers = await asyncio.gather(*work, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]
