"""One client's socket: frames leave in order, unless a fault has it otherwise."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from neuroflux.sim.faults import Faults

MAX_WAITING = 20_000
"""Frames; a client that is further behind is cut off."""


class Connection:
    """A socket of one exchange. ``streams`` is what its dialect remembers of subscriptions."""

    def __init__(self, exchange_id: str, faults: Faults) -> None:
        self.exchange_id = exchange_id
        self.streams: dict[str, None] = {}
        self.socket = web.WebSocketResponse(heartbeat=30, compress=False, max_msg_size=1 << 20)
        self._faults = faults
        self._waiting: deque[tuple[float, str]] = deque()
        self._news = asyncio.Event()
        self._is_over = False

    def reply(self, text: str) -> None:
        """Send an answer to the client's own request: faults of the data leave it alone."""
        self._enqueue(text)

    def send(self, text: str, *, is_depth: bool = False) -> None:
        """Send a frame of data, as the faults at work allow."""
        faults, exchange = self._faults, self.exchange_id
        if faults.take(exchange, "mute"):
            return
        if is_depth and faults.take(exchange, "gap"):
            return
        if faults.take(exchange, "malformed"):
            text = text[: len(text) // 2]
        self._enqueue(text)
        if faults.take(exchange, "duplicate"):
            self._enqueue(text)

    def _enqueue(self, text: str) -> None:
        if self._is_over:
            return
        if len(self._waiting) >= MAX_WAITING:
            self.close()
            return
        delay = self._faults.milliseconds(self.exchange_id, "latency", use=True)
        due = asyncio.get_running_loop().time() + delay / 1000 if delay else 0.0
        self._waiting.append((due, text))
        self._news.set()

    def close(self) -> None:
        """Cut the connection off, without what still waits."""
        self._is_over = True
        self._waiting.clear()
        self._news.set()

    async def run(self, request: web.Request, on_text: Callable[[str], Awaitable[None]]) -> web.WebSocketResponse:
        """Talk until either side ends it; ``on_text`` gets every text frame of the client."""
        await self.socket.prepare(request)
        writer = asyncio.create_task(self._write())
        try:
            async for message in self.socket:
                if message.type is WSMsgType.TEXT:
                    await on_text(message.data)
        finally:
            self._is_over = True
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
        return self.socket

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
                if not self._is_over:
                    await self._news.wait()
            await self.socket.close()
        except ConnectionError:
            pass  # the client is gone; the reader ends too
