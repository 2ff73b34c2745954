"""One socket of an exchange, kept open: reconnects with back-off and jitter, and is watched by the data it receives."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from math import inf
from operator import not_
from typing import Any, Protocol

from picows.websockets.asyncio.client import ClientConnection, connect
from picows.websockets.exceptions import ConnectionClosed, WebSocketException
from tenacity import AsyncRetrying, retry_if_result, wait_random_exponential

from neuroflux.domain import Microseconds, StatusKind
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.exchanges.kit.requests import Subscription
from neuroflux.runtime.clock import wall
from producers.silence import LEAST, Silence

SHORT_LIVED_SECONDS = 5.0
"""A connection that ends sooner counts as failed: the next one waits longer."""
MAX_WAIT_SECONDS = 30.0
MAX_FRAME = 64 << 20
RESUBSCRIBE_SECONDS = 0.2
"""Between two resubscriptions on one socket, of two messages each: Kraken drops messages of a socket above a rate that
it does not publish. What a socket has missed may concern all of its books at once."""
SAME_BOOK_SECONDS = 15.0
"""Between two resubscriptions to one book: one that can't be proved must not be subscribed to all the time."""
LOST = (OSError, WebSocketException)

Work = Coroutine[Any, Any, None]


class Listener(Protocol):
    """Receives the frames and statuses of one socket."""

    async def opened(self) -> None: ...

    def frame(self, raw: bytes, received: Microseconds) -> None: ...

    def status(self, kind: StatusKind, value: float, detail: str) -> None: ...

    async def drained(self) -> None:
        """Returns when there is room for more: back-pressure."""
        ...


class Socket:
    """Reads one subscription until cancelled; ``tried`` is set after the first attempt to connect.

    A socket that stalled counts as connected again when it receives data, not when it is opened.
    """

    def __init__(self, address: str, subscription: Subscription, listener: Listener) -> None:
        self._address, self._subscription, self._listener = address, subscription, listener
        self._silence = Silence(subscription.quiet_seconds, is_steady=subscription.is_steady)
        self._is_held = False
        self._stalled = ""
        self._reopening, self._why = asyncio.Event(), ""
        self._resubscribing: asyncio.Queue[str] = asyncio.Queue()
        self._queued: set[str] = set()
        self._subscribed_at: dict[str, float] = {}
        self.tried = asyncio.Event()

    def reopen(self, why: str) -> None:
        """Replace the connection by a new one at once: it is about to be closed, or a stream of it is silent."""
        self._why = why
        self._reopening.set()

    def resubscribe(self, symbol: str, why: str) -> None:
        """Subscribe again to the book of a symbol: on this connection if possible, else on a new one."""
        if symbol not in self._subscription.resubscribes:
            self.reopen(why)
        elif symbol not in self._queued:
            self._queued.add(symbol)
            loop, before = asyncio.get_running_loop(), self._subscribed_at.get(symbol, -inf)
            loop.call_at(max(before + SAME_BOOK_SECONDS, loop.time()), self._resubscribing.put_nowait, symbol)

    async def run(self) -> None:
        until_one_lasts = AsyncRetrying(
            retry=retry_if_result(not_), wait=wait_random_exponential(multiplier=0.2, max=MAX_WAIT_SECONDS)
        )
        while True:
            await until_one_lasts(self._connection)

    async def _connection(self) -> bool:
        """One connection, from its opening to its loss; returns whether it lasted."""
        started, reason = time.monotonic(), ""
        try:
            connection = await self._open()
            try:
                await self._read(connection)
            finally:
                await self._close(connection)
        except ConnectionClosed:
            reason = self._stalled or "closed"
        except LOST as error:
            reason = str(error) or type(error).__name__
        finally:
            self._listener.status(StatusKind.DISCONNECTED, 0.0, reason)
            self.tried.set()
        return time.monotonic() - started >= SHORT_LIVED_SECONDS

    async def _open(self) -> ClientConnection:
        """picows 2.3 leaks a connection whose opening is cancelled: so it is shielded, and closed afterwards."""
        opening = asyncio.create_task(self._connect())
        try:
            return await asyncio.shield(opening)
        except asyncio.CancelledError:
            self._closing = asyncio.create_task(_close_once_open(opening))
            raise

    async def _close(self, connection: ClientConnection) -> None:
        """In a task of its own: picows closes with wait_for, and that of Python 3.11 may lose a cancellation."""
        self._closing = asyncio.create_task(connection.close())
        await asyncio.shield(self._closing)

    async def _connect(self) -> ClientConnection:
        try:
            return await connect(
                self._address + self._subscription.path,
                compression=None,
                max_size=MAX_FRAME,
                open_timeout=EXCHANGE_TIMEOUTS["connect"],
                close_timeout=1,
                ping_interval=20,
                ping_timeout=20,
                proxy=None,  # REST uses none either
                max_redirects=0,  # the first frame may be a login
                use_aiofastnet=False,  # no faster here, and the loop's own TLS is Python's ssl
            )
        except AssertionError:  # picows 2.3 raises it if the server closes before it has answered
            raise ConnectionError("closed during the handshake") from None

    async def _read(self, connection: ClientConnection) -> None:
        """Until it is lost or to be reopened, or one of its tasks fails: raises why."""
        self._reopening.clear()
        self._resubscribing, self._queued = asyncio.Queue(), set()  # a new connection receives every snapshot
        for frame in self._subscription.first:
            await connection.send(frame, text=True)
        self._silence.opened(time.monotonic())
        if not self._stalled:
            self._listener.status(StatusKind.CONNECTED, 0.0, "")
        self.tried.set()
        tasks = [asyncio.create_task(work) for work in self._work(connection)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            ended = [task for task in tasks if task.done()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in ended:
            task.result()

    def _work(self, connection: ClientConnection) -> list[Work]:
        """The listener's first, so that its failure is not reported as the connection's."""
        work = [self._listener.opened(), self._watch(connection), self._pump(connection), self._until_reopened()]
        if self._subscription.heartbeat_seconds:
            work.append(self._beat(connection))
        if self._subscription.resubscribes:
            work.append(self._resubscribe(connection))
        return work

    async def _until_reopened(self) -> None:
        await self._reopening.wait()
        raise ConnectionResetError(self._why)

    async def _pump(self, connection: ClientConnection) -> None:
        frame, drained, data_received = self._listener.frame, self._listener.drained, self._silence.data_received
        answers, later = self._subscription.answers, self._subscription.later
        while True:
            raw: Any = await connection.recv(decode=False)  # bytes, since nothing is decoded
            if later and self._subscription.awaits in raw:
                for one in later:
                    await connection.send(one, text=True)
                later = ()
            if not raw.startswith(answers):
                data_received(time.monotonic())
                if self._stalled:
                    self._data_resumed()
            frame(raw, wall())
            self._is_held = True
            await drained()
            self._is_held = False

    def _data_resumed(self) -> None:
        self._stalled = ""
        self._listener.status(StatusKind.CONNECTED, 0.0, "")

    async def _watch(self, connection: ClientConnection) -> None:
        """Close a connection without data, even if it answers pings.

        A socket that is not read, because there is no room for its data, is not stalled.
        """
        while True:
            left = self._left(time.monotonic())
            if left <= 0:
                break
            await asyncio.sleep(min(left, LEAST))
        silent = self._silence.silent(time.monotonic())
        self._stalled = f"no data for {silent:.0f} s"
        self._listener.status(StatusKind.STALE, silent, self._stalled)
        await connection.close()

    def _left(self, now: float) -> float:
        """Seconds for which it may still be silent."""
        allowed = self._silence.allowed(now)
        return allowed if self._is_held else allowed - self._silence.silent(now)

    async def _beat(self, connection: ClientConnection) -> None:
        while True:
            await asyncio.sleep(self._subscription.heartbeat_seconds)
            await connection.send(self._subscription.heartbeat, text=True)

    async def _resubscribe(self, connection: ClientConnection) -> None:
        while True:
            symbol = await self._resubscribing.get()
            self._queued.discard(symbol)
            self._subscribed_at[symbol] = asyncio.get_running_loop().time()
            for frame in self._subscription.resubscribes[symbol]:
                await connection.send(frame, text=True)
            await asyncio.sleep(RESUBSCRIBE_SECONDS)


async def _close_once_open(opening: asyncio.Task[ClientConnection]) -> None:
    with suppress(*LOST):
        await (await opening).close()
