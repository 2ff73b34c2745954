"""The producers' way to one exchange's REST: within its rate limit, with the time that each answer took."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from types import SimpleNamespace, TracebackType

import aiohttp

from neuroflux.errors import RateLimited, Unreachable
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS, RATE_LIMIT_BUFFER
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.budget import Budget, Urgency
from neuroflux.http.exchange_http import FAILURES, ask, why
from neuroflux.http.queue import Queue
from neuroflux.runtime.clock import wall

_TIMEOUT = aiohttp.ClientTimeout(connect=EXCHANGE_TIMEOUTS["connect"], total=EXCHANGE_TIMEOUTS["read"])
MINUTE = 60.0
CLOCKS_DIFFER = 1.0
"""Seconds by which the exchange's minute may begin after ours."""


class Rest:
    """An async context manager. ``on_limited`` is called with the reason when the exchange asks us to wait longer."""

    def __init__(self, exchange: Exchange, address: str) -> None:
        self._exchange, self._id, self._address = exchange, exchange.ID, address
        self.on_limited: Callable[[str], None] = lambda why: None

    async def __aenter__(self) -> Rest:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._session = aiohttp.ClientSession(trace_configs=[trace])
        now = asyncio.get_running_loop().time()
        self._queue = Queue(Budget(self._exchange.WEIGHT_PER_MINUTE, RATE_LIMIT_BUFFER, now))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Answer:
        """Wait for the turn and send. Raises as ``send``."""
        await self.turn(request.weight)
        return await self.send(request)

    async def turn(self, weight: int, urgency: Urgency = Urgency.READ) -> None:
        """Wait until so much weight may be spent; it then counts. What is signed is built after that: it ages."""
        await self._queue.turn(weight, urgency)

    @property
    def held(self) -> float:
        """Seconds for which the exchange still asks us to stay away."""
        return self._queue.budget.held(asyncio.get_running_loop().time())

    async def send(self, request: Request) -> Answer:
        """Send what has its turn. Raises Unreachable for no answer or a 5xx, RateLimited where it asks us to wait."""
        try:
            answer = await self._send(request)
        except FAILURES as error:
            raise Unreachable(f"{self._id}: {why(error)}") from None
        usage = self._exchange.usage(answer)
        self._note_used(usage.weight)
        if usage.wait is not None:
            self.hold(usage.wait, f"HTTP {answer.status}")
            raise RateLimited(f"{self._id}: HTTP {answer.status}", usage.wait)
        if answer.status >= 500:
            raise Unreachable(f"{self._id}: HTTP {answer.status}")
        return answer

    def _note_used(self, used: float) -> None:
        """The exchange counts what all of us use, by minutes of its own: what is used is back with the next one."""
        if used:
            resets_in = MINUTE - time.time() % MINUTE + CLOCKS_DIFFER
            self._queue.budget.told(used, resets_in, asyncio.get_running_loop().time())

    def hold(self, seconds: float, why: str) -> None:
        """Send nothing for so long."""
        longer = seconds > self.held
        self._queue.budget.hold(seconds, asyncio.get_running_loop().time())
        if longer:
            self.on_limited(f"{why}: nothing is sent for {seconds:.0f} s")

    async def _send(self, request: Request) -> Answer:
        sent = SimpleNamespace(at=wall(), clock=time.monotonic())
        status, headers, body = await ask(self._session, self._address, request, _TIMEOUT, sent)
        took = int((time.monotonic() - sent.clock) * 1e6)  # a step of our own clock must not count as travel time
        return Answer(request, status, body, headers, sent.at, sent.at + took)


async def _note_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    """The connection was there, and the request is on its way."""
    sent = context.trace_request_ctx
    sent.at, sent.clock = wall(), time.monotonic()
