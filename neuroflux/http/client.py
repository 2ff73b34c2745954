"""One connection to one exchange over HTTP: within its rate limits, and with one set of rules for its answers.

What an answer means for the next requests is read by the adapter's ``usage``, whatever the status:

it asks us to wait       418, 429, or a refusal for rate inside a 200: nothing is sent for so long; LIMITED is published
one order too many       new orders wait until the shortest limit of orders has room; other requests do not
share of a limit in use  is counted in the budget, since others may share the limit

A 5xx, or no answer, counts as a failure of the exchange. The client sends no request twice: only the caller knows what
it may have changed. (aiohttp itself repeats one that is no POST, once, if the exchange has closed an idle connection.)
The one exception is a request with ``sign`` that was refused because another one, signed later, had overtaken it
(``is_overtaken``): nothing was done, so it is signed anew and sent again, a few times.
A request without an answer raises one of two errors: ``Unsent``, it was never sent, and ``Unanswered``, it is unknown
whether it was executed.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace, TracebackType
from typing import Final, Self

import aiohttp

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.engine.health.state import ORDERS
from neuroflux.errors import RateLimited, Unreachable
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS, RATE_LIMIT_BUFFER
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer, Request, Usage, order_bucket
from neuroflux.http.buckets import Seconds
from neuroflux.http.budget import Budget, Urgency
from neuroflux.http.exchange_http import FAILURES, ask, why
from neuroflux.http.in_turn import InTurn
from neuroflux.http.queue import Queue
from neuroflux.runtime.clock import wall

CONNECTIONS: Final = 50
KEEP_ALIVE: Seconds = 60.0
RECENT: Final = 20
"""The share of failures is measured over so many requests."""
FAILING: Final = 2
"""After so many failures in a row an exchange counts as failing."""
REFUSED: Final = 400
SERVER_ERROR: Final = 500
MINUTE: Seconds = 60.0
CLOCKS_DIFFER: Seconds = 0.2
"""The exchange's minute may begin so much later than its clock, as we measured it, says."""
ORDER_WEIGHT: Final = 1
IN_TURN: Seconds = 1.0
"""How long a request whose order matters keeps the next one back, if it is not answered sooner."""
SIGN_AGAIN_AFTER: Final[tuple[Seconds, ...]] = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4)
"""The pauses before a request that was overtaken is signed again: other processes sign with the same key, and the clock
of another machine may be ahead of ours."""


class Unsent(Unreachable):
    """No connection: the request was never sent."""


class Unanswered(Unreachable):
    """The request may have arrived; the answer did not."""


class Failures:
    """Which of the last requests failed."""

    def __init__(self) -> None:
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._reason, self._in_a_row = "", 0

    def count(self, reason: str) -> None:
        """Count one request; ``reason`` is why it failed, "" if it did not."""
        self._recent.append(bool(reason))
        self._reason, self._in_a_row = reason, self._in_a_row + 1 if reason else 0

    @property
    def rate(self) -> float:
        """The share of the last ``RECENT`` requests that failed."""
        return sum(self._recent) / RECENT

    @property
    def reason(self) -> str:
        """Why the exchange counts as failing; "" if it does not."""
        return self._reason if self._in_a_row >= FAILING else ""


class Client:
    """Async context manager. ``publish`` receives LIMITED statuses, of ``channel`` or, for new orders, of ORDERS.

    ``buffer`` is the share of each limit that is kept for what is urgent, and for other clients of the same address.
    ``offset`` is the exchange's clock minus ours. ``used`` is the share of the limit that is nearest to its maximum, as
    the newest answer reports it.
    """

    def __init__(
        self,
        exchange: Exchange,
        address: str,
        channel: str,
        publish: Callable[[ExchangeStatus], None],
        buffer: float = RATE_LIMIT_BUFFER,
    ) -> None:
        self.exchange, self.channel, self.publish = exchange, channel, publish
        self._address, self._buffer = address, buffer
        self._in_turn = InTurn(IN_TURN)
        self.failures = Failures()
        self.offset: Microseconds = 0
        self.used = 0.0

    async def __aenter__(self) -> Self:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(_note_sent)
        self._connector = aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEEP_ALIVE)
        # Two sessions on the same connections: a trace adds some 16 us to a request, and orders must not pay for it.
        self._session = aiohttp.ClientSession(connector=self._connector, connector_owner=False)
        self._traced = aiohttp.ClientSession(connector=self._connector, connector_owner=False, trace_configs=[trace])
        rates = [(one.most, float(one.seconds)) for one in self.exchange.ORDER_RATES]
        weight, buckets = self.exchange.WEIGHT_PER_MINUTE, self.exchange.BUCKETS
        self._queue = Queue(Budget(weight, self._buffer, _now(), rates, buckets))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()
        await self._traced.close()
        await self._connector.close()

    def now(self) -> Microseconds:
        """The exchange's time, as far as it is known: what is signed must be of its time."""
        return wall() + self.offset

    # ── the rate budget ──────────────────────────────────────────────────────────────────────────────────────────

    @property
    def held(self) -> Seconds:
        """How much longer the exchange asks us to wait."""
        return self._queue.budget.held(_now())

    def hold(self, seconds: Seconds, why: str) -> None:
        """Send nothing for so long, and publish it."""
        longer = seconds > self.held
        self._queue.budget.hold(seconds, _now())
        if longer:
            self._limited(self.channel, f"{why}: nothing is sent for {seconds:.0f} s")

    def bound(self, weight_per_minute: int) -> None:
        """Keep to a lower rate than the exchange's own."""
        self._queue.budget.bound(min(weight_per_minute, self.exchange.WEIGHT_PER_MINUTE), _now())

    def try_turn(self, weight: int, urgency: Urgency, bucket: str = "") -> bool:
        """Spend the weight if that is possible at once."""
        return self._queue.try_turn(weight, urgency, bucket)

    def count(self, weight: int, bucket: str) -> None:
        """Count a request that is sent whatever was spent, because the exchange does not refuse it."""
        self._queue.budget.count(weight, _now(), bucket)

    async def turn(self, weight: int, urgency: Urgency = Urgency.READ, bucket: str = "") -> None:
        """Wait until the weight may be spent, and spend it. Sign after that: signatures expire."""
        await self._queue.turn(weight, urgency, bucket)

    def try_order(self, name: str, urgency: Urgency) -> bool:
        """Whether a new order in this instrument (the exchange's name) may be sent at once; it is then counted."""
        return self._queue.try_turn(ORDER_WEIGHT, urgency, order_bucket(self.exchange.BUCKETS, name), is_order=True)

    def order_wait(self, name: str, urgency: Urgency) -> Seconds:
        """How long a new order would wait for its turn."""
        return self._queue.expected(ORDER_WEIGHT, urgency, order_bucket(self.exchange.BUCKETS, name))

    async def order_turn(self, name: str, urgency: Urgency) -> None:
        """Wait until the exchange's limits allow a new order; it is then counted."""
        await self._queue.turn(ORDER_WEIGHT, urgency, order_bucket(self.exchange.BUCKETS, name), is_order=True)

    def order_answered(self) -> None:
        """A new order was answered: the exchange has counted it."""
        self._queue.budget.order_answered(_now())

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask(self, request: Request) -> Answer:
        """Wait for the turn, then ``read``."""
        await self.turn(request.weight, Urgency.READ, request.bucket)
        return await self.read(request)

    async def read(self, request: Request, timeout: Seconds = EXCHANGE_TIMEOUTS["read"]) -> Answer:
        """Send a request whose turn it is; the answer has both its times.

        Raises Unsent, Unanswered, RateLimited where the exchange asks us to wait, and Unreachable for a 5xx.
        """
        sent = SimpleNamespace(at=wall(), clock=time.monotonic())
        answer = await self._answer(self._traced, request, timeout, sent)
        usage = self._apply(answer)
        if usage.wait is not None:
            raise RateLimited(f"{self.exchange.ID}: {_refusal(answer)}", usage.wait)
        if answer.status >= SERVER_ERROR:
            raise Unreachable(f"{self.exchange.ID}: HTTP {answer.status}")
        return answer

    async def send(self, request: Request, timeout: Seconds) -> Answer:
        """Send a request whose turn it is, as fast as possible; return its answer, of whatever status.

        Raises Unsent or Unanswered.
        """
        answer = await self._answer(self._session, request, timeout, None)
        self._apply(answer)
        return answer

    async def _answer(
        self, session: aiohttp.ClientSession, request: Request, timeout: Seconds, sent: SimpleNamespace | None
    ) -> Answer:
        """Send it, one after the other where the order matters; again where it was overtaken all the same."""
        if request.sign is None:
            return await self._sent(session, request, timeout, sent)
        async with self._in_turn.turn():
            for pause in SIGN_AGAIN_AFTER:
                answer = await self._sent(session, request, timeout, sent)
                if not self.exchange.is_overtaken(answer):
                    return answer
                await asyncio.sleep(pause)
            return await self._sent(session, request, timeout, sent)

    async def _sent(
        self, session: aiohttp.ClientSession, request: Request, timeout: Seconds, sent: SimpleNamespace | None
    ) -> Answer:
        try:
            status, headers, body = await ask(session, self._address, request, _within(timeout), sent)
        except aiohttp.ClientConnectorError as error:
            raise self._failed(Unsent(f"{self.exchange.ID}: no connection: {why(error)}")) from None
        except TimeoutError:
            raise self._failed(Unanswered(f"{self.exchange.ID}: no answer within {timeout:g} s")) from None
        except FAILURES as error:
            raise self._failed(Unanswered(f"{self.exchange.ID}: the connection broke: {why(error)}")) from None
        if sent is None:
            return Answer(request, status, body, headers, received_at=wall())
        took = int((time.monotonic() - sent.clock) * 1e6)  # a step of our own clock must not count as travel time
        return Answer(request, status, body, headers, sent.at, sent.at + took)

    def _failed(self, error: Unreachable) -> Unreachable:
        self.failures.count(str(error))
        return error

    # ── the rules ────────────────────────────────────────────────────────────────────────────────────────────────

    def _apply(self, answer: Answer) -> Usage:
        self.failures.count(f"{self.exchange.ID}: HTTP {answer.status}" if answer.status >= SERVER_ERROR else "")
        usage, budget, now = self.exchange.usage(answer), self._queue.budget, _now()
        if usage.weight:
            budget.reported(usage.weight, self._until_next_minute(), now)
        if usage.is_full:
            budget.full_of_orders(now)
            self._limited(ORDERS, "too many new orders")
        shares = [budget.orders_reported(seconds, count, now) for seconds, count in usage.orders.items()]
        self.used = max(usage.weight, float(usage.is_full), *shares, 0.0)
        if usage.wait is not None:
            self.hold(usage.wait, _refusal(answer))
        return usage

    def _until_next_minute(self) -> Seconds:
        """The exchange counts by minutes of its own clock: what is used in one is free again in the next."""
        return MINUTE - self.now() / 1e6 % MINUTE + CLOCKS_DIFFER

    def _limited(self, channel: str, why: str) -> None:
        self.publish(ExchangeStatus(self.exchange.ID, channel, StatusKind.LIMITED, 1.0, why, wall()))


def _refusal(answer: Answer) -> str:
    return f"HTTP {answer.status}" if answer.status >= REFUSED else "too many requests"


@cache
def _within(seconds: Seconds) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(connect=EXCHANGE_TIMEOUTS["connect"], total=seconds)


async def _note_sent(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
    """There is a connection, and the request is being written to it."""
    sent = context.trace_request_ctx
    sent.at, sent.clock = wall(), time.monotonic()


def _now() -> Seconds:
    return asyncio.get_running_loop().time()
