"""The producers' way to one exchange's REST: within its rate limit, with what it tells of latency."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType

import aiohttp
import yarl

from neuroflux.budget import Budget, Urgency
from neuroflux.errors import RateLimited, Unreachable
from neuroflux.exchanges.base_exchange import Answer, Exchange, Request
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS, RATE_LIMIT_BUFFER
from neuroflux.queueing import Queue

_TIMEOUT = aiohttp.ClientTimeout(connect=EXCHANGE_TIMEOUTS["connect"], total=EXCHANGE_TIMEOUTS["read"])
_ASKED_TO_WAIT = (418, 429)
_HOLD_SECONDS = 5.0
"""How long to wait after a 418 or 429 that does not say."""
MINUTE = 60.0
CLOCKS_DIFFER = 1.0
"""Seconds by which the exchange's minute may begin after ours."""


class Rest:
    """An async context manager. ``latency_ms`` is of the last answer."""

    def __init__(self, exchange: Exchange, address: str) -> None:
        self._exchange, self._id, self._address = exchange, exchange.ID, address.rstrip("/")
        self.latency_ms = 0.0

    async def __aenter__(self) -> Rest:
        self._session = aiohttp.ClientSession(timeout=_TIMEOUT)
        now = asyncio.get_running_loop().time()
        self._queue = Queue(Budget(self._exchange.WEIGHT_PER_MINUTE, RATE_LIMIT_BUFFER, now))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def ask(self, request: Request) -> Answer:
        """Wait for the turn and send. Raises Unreachable for no answer or a 5xx, RateLimited for a 418 or 429."""
        await self._queue.turn(request.weight, Urgency.READ)
        started = time.monotonic()
        try:
            answer = await self._send(request)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unreachable(f"{self._id}: {error!r}") from error
        self.latency_ms = (time.monotonic() - started) * 1e3
        self._note_usage(answer)
        if answer.status in _ASKED_TO_WAIT:
            raise RateLimited(f"{self._id}: HTTP {answer.status}", self._hold(answer))
        if answer.status >= 500:
            raise Unreachable(f"{self._id}: HTTP {answer.status}")
        return answer

    def _note_usage(self, answer: Answer) -> None:
        """The exchange counts what all of us use, by minutes of its own: what is used is back with the next one."""
        if used := self._exchange.usage(answer).weight:
            resets_in = MINUTE - time.time() % MINUTE + CLOCKS_DIFFER
            self._queue.budget.told(used, resets_in, asyncio.get_running_loop().time())

    def _hold(self, answer: Answer) -> float:
        asked = answer.headers.get("retry-after", "")
        seconds = float(asked) if asked.isdigit() else _HOLD_SECONDS
        self._queue.budget.hold(seconds, asyncio.get_running_loop().time())
        return seconds

    async def _send(self, request: Request) -> Answer:
        url = yarl.URL(self._address + request.path, encoded=True)  # as it was signed: nothing is quoted again
        body, headers = request.body or None, request.headers
        async with self._session.request(request.method, url, data=body, headers=headers) as response:
            told = {name.lower(): value for name, value in response.headers.items()}
            return Answer(request, response.status, await response.read(), told)
