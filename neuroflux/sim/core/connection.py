"""One client's socket: frames are sent in order, unless a fault changes that."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable
from random import Random

from aiohttp import WSMsgType, web

from neuroflux.sim.core.faults import Faults

MOST_LATE = 0.02
"""Seconds by which a frame of the account may be sent after its event."""

PRIVATE = "private"
"""The name of an account's stream where the exchange gives it none."""
MAX_WAITING = 20_000
"""Frames; a client that is further behind is disconnected."""


class Connection:
    """A socket of one exchange. ``streams`` are its subscriptions, kept by the dialect.

    ``is_served`` returns whether this socket ever sends frames of a stream; ``wrap`` builds a frame from a stream's
    name and a payload; ``stamp`` writes into a frame what is counted per socket, just before it is sent. A frame that
    the fault ``gap`` drops was counted, one that ``mute`` drops was not. ``idle``: for how many seconds nothing may
    pass before the socket is closed, and the code and the reason of that; None: for ever.
    """

    def __init__(self, exchange_id: str, faults: Faults, random: Random) -> None:
        self._random = random
        self.exchange_id = exchange_id
        self.streams: dict[str, None] = {}
        self.is_served: Callable[[str], bool] = lambda name: True
        self.wrap: Callable[[str, str], str] = lambda name, text: text
        self.stamp: Callable[[str], str] = lambda text: text
        self.socket = web.WebSocketResponse(heartbeat=30, compress=False, max_msg_size=1 << 20)
        self._faults = faults
        self._waiting: deque[tuple[float, str]] = deque()
        self._news = asyncio.Event()
        self._is_over = False
        self._is_ending = False
        self._end = (1000, "")
        self.idle: tuple[float, int, str] | None = None
        self._passed = 0.0

    def reply(self, text: str) -> None:
        """Send the answer to a client's request: the faults of the data do not apply to it."""
        self._enqueue(self.stamp(text))

    def send(self, text: str, *, stream: str = "", is_depth: bool = False, is_private: bool = False) -> None:
        """Send a frame of data, subject to the active faults; one of the account with a small delay, or a fault's.

        ``stream`` is the name that the fault ``mute`` is compared with.
        """
        faults, exchange = self._faults, self.exchange_id
        if faults.mutes(exchange, stream):
            return
        text = self.stamp(text)
        if is_depth and faults.take(exchange, "gap"):
            return
        if faults.take(exchange, "malformed"):
            text = text[: len(text) // 2]
        late = self._lateness() if is_private else 0.0
        self._enqueue(text, late)
        if faults.take(exchange, "duplicate"):
            self._enqueue(text, late)

    def _lateness(self) -> float:
        """Seconds: half of the account's frames are sent at once, the others may follow the answer to their cause."""
        fault = self._faults.setting(self.exchange_id, "stream_delay")
        if fault is not None:
            return fault.ms / 1000
        return self._random.choice((0.0, self._random.uniform(0, MOST_LATE)))

    def _enqueue(self, text: str, late: float = 0.0) -> None:
        if self._is_over or self._is_ending:
            return
        self._passed = asyncio.get_running_loop().time()
        if len(self._waiting) >= MAX_WAITING:
            self.close()
            return
        late += self._faults.milliseconds(self.exchange_id, "latency", use=True) / 1000
        due = asyncio.get_running_loop().time() + late if late else 0.0
        self._waiting.append((due, text))
        self._news.set()

    def finish(self, code: int, reason: str) -> None:
        """Close the socket with this code when the frames that are queued now are sent."""
        self._is_ending, self._end = True, (code, reason)
        self._news.set()

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Disconnect the client, and drop the frames that are still queued."""
        self._is_over, self._end = True, (code, reason)
        self._waiting.clear()
        self._news.set()

    async def run(self, request: web.Request, on_text: Callable[[str], Awaitable[None]]) -> web.WebSocketResponse:
        """Serve the socket until either side closes it; ``on_text`` receives every text frame of the client."""
        await self.socket.prepare(request)
        self._passed = asyncio.get_running_loop().time()
        tasks = [asyncio.create_task(self._write())]
        if self.idle is not None:
            tasks.append(asyncio.create_task(self._watch(*self.idle)))
        try:
            async for message in self.socket:
                self._passed = asyncio.get_running_loop().time()
                if message.type is WSMsgType.TEXT:
                    await on_text(message.data)
        finally:
            self._is_over = True
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        return self.socket

    async def _watch(self, seconds: float, code: int, reason: str) -> None:
        loop = asyncio.get_running_loop()
        left = seconds
        while left > 0:
            await asyncio.sleep(left)
            left = self._passed + seconds - loop.time()
        self.close(code, reason)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not self._is_over:
                self._news.clear()
                while self._waiting:
                    due, text = self._waiting.popleft()
                    if due > loop.time():
                        await asyncio.sleep(due - loop.time())
                    await self.socket.send_str(text)
                if self._is_ending:
                    break
                if not self._is_over:
                    await self._news.wait()
            code, reason = self._end
            await self.socket.close(code=code, message=reason.encode())
        except ConnectionError:
            pass  # the client disconnected; the reader ends too
