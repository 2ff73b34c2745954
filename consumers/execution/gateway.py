"""The way to the exchanges' REST: sends what adapters built, keeps their limits and clocks, tells how it went.

An answer that can't be had is one of two errors: ``Unsent``, the request never left, and ``Unanswered``, nobody knows
what became of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

import aiohttp
import msgspec
from msgspec import Struct

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.engine.health.state import ORDERS, REST
from neuroflux.errors import NeuroFluxError, Unreachable
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS, RATE_LIMIT_BUFFER
from neuroflux.exchanges.kit.interface import Exchange, OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request, Usage
from neuroflux.http.budget import Budget, Urgency
from neuroflux.http.exchange_http import FAILURES, ask, why
from neuroflux.http.queue import Queue
from neuroflux.runtime.clock import wall

SAMPLE_SECONDS = 1.0
"""Latency and usage are published at most this often for each exchange."""
SKEW_SECONDS = 15.0
"""How often an exchange's clock is compared with ours; also the sign of life of a quiet exchange."""
CONNECTIONS = 50
RECENT = 20
"""Of so many requests the share that failed is known."""
FAILING = 2
"""So many requests in a row without an answer, or with a server's error, and the exchange counts as failing."""
REFUSED = 400
SERVER_ERROR = 500
MINUTE: Microseconds = 60_000_000
ORDER_WEIGHT = 1
"""Of a new order, on every exchange that there is."""


class Unsent(Unreachable):
    """No connection: the request never left."""


class Unanswered(Unreachable):
    """The request may have arrived; the answer did not."""


class Account(Struct, frozen=True):
    """One exchange that we may trade on; ``order_client`` gives the desk that knows the newest instruments."""

    exchange: Exchange
    order_client: Callable[[], OrderClient]
    address: str


class Line(Struct):
    """The open way to one exchange. ``offset`` is its clock less ours, in microseconds."""

    account: Account
    session: aiohttp.ClientSession
    queue: Queue
    measuring: asyncio.Lock
    reached: bool = False
    offset: Microseconds = 0
    risk_held_until: float = float("-inf")
    failures: deque[bool] = msgspec.field(default_factory=lambda: deque(maxlen=RECENT))
    failed: str = ""
    failed_in_a_row: int = 0
    sampled: float = 0.0
    measured: float = float("-inf")


class Gateway:
    """Async context manager. ``tell`` is called with every status to publish."""

    def __init__(self, accounts: Mapping[str, Account], tell: Callable[[ExchangeStatus], None]) -> None:
        self._accounts = accounts
        self._tell = tell
        self._lines: dict[str, Line] = {}
        self._clocks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for name, account in self._accounts.items():
            session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=60))
            now = asyncio.get_running_loop().time()
            rates = [(one.most, float(one.seconds)) for one in account.exchange.ORDER_RATES]
            budget = Budget(account.exchange.WEIGHT_PER_MINUTE, RATE_LIMIT_BUFFER, now, rates)
            self._lines[name] = Line(account, session, Queue(budget), asyncio.Lock())
        await asyncio.gather(*(self.measure(name) for name in self._lines))
        self._clocks = [asyncio.create_task(self._keep_time(name)) for name in self._lines]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for clock in self._clocks:
            clock.cancel()
        await asyncio.gather(*self._clocks, return_exceptions=True)
        for line in self._lines.values():
            await line.session.close()

    @property
    def exchanges(self) -> Sequence[str]:
        return tuple(self._lines)

    def order_client(self, exchange: str) -> OrderClient:
        return self._lines[exchange].account.order_client()

    def now(self, exchange: str) -> Microseconds:
        """The exchange's time, as far as we know it."""
        return wall() + self._lines[exchange].offset

    def offset(self, exchange: str) -> Microseconds:
        """The exchange's clock less ours."""
        return self._lines[exchange].offset

    def held(self, exchange: str) -> float:
        """Seconds for which the exchange asked us to stay away."""
        return self._lines[exchange].queue.budget.held(asyncio.get_running_loop().time())

    def error_rate(self, exchange: str) -> float:
        """The share of the last requests that were not answered, or answered with a server's error."""
        failures = self._lines[exchange].failures
        return sum(failures) / RECENT

    def failing(self, exchange: str) -> str:
        """Why the exchange counts as failing, by our own requests of this moment; "" where it does not."""
        line = self._lines[exchange]
        return line.failed if line.failed_in_a_row >= FAILING else ""

    def bound(self, exchange: str, bounds: Mapping[str, float]) -> None:
        """Keep a lower rate than the exchange's own where ``weight_per_minute`` asks for it."""
        line = self._lines.get(exchange)
        if line is not None:
            most = line.account.exchange.WEIGHT_PER_MINUTE
            asked = int(bounds.get("weight_per_minute", most))
            line.queue.budget.bound(min(most, asked), asyncio.get_running_loop().time())

    def hold(self, exchange: str, seconds: float, why: str) -> None:
        """Send nothing for that long, and say so."""
        now, budget = asyncio.get_running_loop().time(), self._lines[exchange].queue.budget
        longer = seconds > budget.held(now)
        budget.hold(seconds, now)
        if longer:
            self._tell(ExchangeStatus(exchange, REST, StatusKind.LIMITED, 1.0, why, wall()))

    def hold_risk(self, exchange: str, seconds: float, why: str) -> None:
        """Send no order that opens risk for that long, and say so; everything else goes on."""
        line, until = self._lines[exchange], asyncio.get_running_loop().time() + seconds
        if until > line.risk_held_until:
            line.risk_held_until = until
            self._tell(ExchangeStatus(exchange, ORDERS, StatusKind.LIMITED, 1.0, why, wall()))

    def risk_held(self, exchange: str) -> float:
        """Seconds for which the exchange takes no order that opens risk."""
        return max(0.0, self._lines[exchange].risk_held_until - asyncio.get_running_loop().time())

    def try_order(self, exchange: str, urgency: Urgency) -> bool:
        """Whether a new order may be sent at once; it then counts."""
        return self._lines[exchange].queue.try_turn(ORDER_WEIGHT, urgency, is_order=True)

    def order_wait(self, exchange: str, urgency: Urgency) -> float:
        """Seconds that a new order would wait for its turn."""
        return self._lines[exchange].queue.expected(ORDER_WEIGHT, urgency)

    async def order_turn(self, exchange: str, urgency: Urgency) -> None:
        """Wait until the exchange's limits allow a new order."""
        await self._lines[exchange].queue.turn(ORDER_WEIGHT, urgency, is_order=True)

    async def call(self, exchange: str, build: Callable[[OrderClient, Microseconds], Request]) -> Answer:
        """Build, wait for its turn, send. Built again where it had to wait: signatures age. Raises as ``send``."""
        line = self._lines[exchange]
        request = build(self.order_client(exchange), self.now(exchange))
        if not line.queue.try_turn(request.weight, Urgency.FIRST):
            await line.queue.turn(request.weight, Urgency.FIRST)
            request = build(self.order_client(exchange), self.now(exchange))
        return await self.send(exchange, request, EXCHANGE_TIMEOUTS["read"])

    async def place(self, exchange: str, request: Request) -> Answer:
        """Send an order, and tell how long its acknowledgement took. Raises as ``send``."""
        started = time.monotonic()
        try:
            answer = await self.send(exchange, request, EXCHANGE_TIMEOUTS["order"])
        except Unanswered:
            self._tell_latency(exchange, ORDERS, time.monotonic() - started)
            raise
        self._lines[exchange].queue.budget.order_answered(asyncio.get_running_loop().time())
        self._tell_latency(exchange, ORDERS, time.monotonic() - started)
        return answer

    async def send(self, exchange: str, request: Request, timeout: float) -> Answer:
        """Send a request whose turn it is, once. Raises Unsent or Unanswered."""
        line = self._lines[exchange]
        started = time.monotonic()
        try:
            answer = await self._answer(exchange, line, request, timeout)
        except Unreachable as error:
            self._count(line, str(error))
            raise
        self._count(line, f"{exchange}: HTTP {answer.status}" if answer.status >= SERVER_ERROR else "")
        self._sample(exchange, line, answer, time.monotonic() - started)
        return answer

    def _count(self, line: Line, failed: str) -> None:
        line.failures.append(bool(failed))
        line.failed, line.failed_in_a_row = failed, line.failed_in_a_row + 1 if failed else 0

    async def _answer(self, exchange: str, line: Line, request: Request, timeout: float) -> Answer:
        try:
            return await self._exchange_bytes(line, request, timeout)
        except aiohttp.ClientConnectorError as error:
            raise Unsent(f"{exchange}: no connection: {why(error)}") from None
        except TimeoutError:
            raise Unanswered(f"{exchange}: no answer within {timeout:g} s") from None
        except FAILURES as error:
            raise Unanswered(f"{exchange}: the connection broke: {why(error)}") from None

    async def _exchange_bytes(self, line: Line, request: Request, timeout: float) -> Answer:
        within = aiohttp.ClientTimeout(connect=EXCHANGE_TIMEOUTS["connect"], total=timeout)
        status, headers, body = await ask(line.session, line.account.address, request, within)
        return Answer(request, status, body, headers, received_at=wall())

    def _sample(self, exchange: str, line: Line, answer: Answer, seconds: float) -> None:
        usage = line.account.exchange.usage(answer)
        share = self._used(exchange, line, usage)
        if usage.wait is not None:
            self.hold(exchange, usage.wait, f"HTTP {answer.status}")
        now = time.monotonic()
        if now - line.sampled < SAMPLE_SECONDS:
            return
        line.sampled = now
        if answer.status < REFUSED:  # a refusal proves neither that requests succeed nor how long they take
            self._tell_latency(exchange, REST, seconds)
        if share:
            self._tell(ExchangeStatus(exchange, REST, StatusKind.LIMITED, share, "", wall()))

    def _used(self, exchange: str, line: Line, usage: Usage) -> float:
        """Take in what the exchange counts, of whomever; the used share of the limit that is nearest."""
        budget, now = line.queue.budget, asyncio.get_running_loop().time()
        if usage.weight:
            budget.told(usage.weight, self._until_next_minute(exchange), now)
        if usage.is_full:
            self._full_of_orders(exchange, budget, now)
        shares = [budget.told_orders(seconds, count, now) for seconds, count in usage.orders.items()]
        return max(usage.weight, float(usage.is_full), *shares, 0.0)

    def _until_next_minute(self, exchange: str) -> float:
        """Seconds by the exchange's clock, and a little more: ours is known to some milliseconds."""
        return (MINUTE - self.now(exchange) % MINUTE) / 1e6 + 0.2

    def _full_of_orders(self, exchange: str, budget: Budget, now: float) -> None:
        """Send no new order until the exchange counts fewer, and say so; everything else goes on."""
        budget.full_of_orders(now)
        self._tell(ExchangeStatus(exchange, ORDERS, StatusKind.LIMITED, 1.0, "too many new orders", wall()))

    def _tell_latency(self, exchange: str, channel: str, seconds: float) -> None:
        self._tell(ExchangeStatus(exchange, channel, StatusKind.LATENCY, seconds * 1e3, "", wall()))

    # ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def measure(self, exchange: str, since: float | None = None) -> None:
        """Compare the exchange's clock with ours and correct for it; not more often than once a second.

        With ``since`` (monotonic) not again if it was done after that: a clock can move within the second.
        """
        line = self._lines[exchange]
        request = line.account.exchange.server_time_request()
        async with line.measuring:
            due = time.monotonic() - SAMPLE_SECONDS if since is None else since
            if request is not None and line.measured <= due:
                line.measured = time.monotonic()
                await self._measure(exchange, line, request)

    async def _measure(self, exchange: str, line: Line, request: Request) -> None:
        try:
            await line.queue.turn(request.weight, Urgency.FIRST)
            before = wall()
            answer = await self.send(exchange, request, EXCHANGE_TIMEOUTS["connect"])
            line.offset = line.account.exchange.server_time(answer) - (before + wall()) // 2
        except NeuroFluxError as error:
            line.reached = False
            self._tell(ExchangeStatus(exchange, REST, StatusKind.DISCONNECTED, 0.0, str(error), wall()))
            return
        if not line.reached:
            line.reached = True
            self._tell(ExchangeStatus(exchange, REST, StatusKind.CONNECTED, 0.0, "", wall()))
        self._tell(ExchangeStatus(exchange, REST, StatusKind.SKEW, line.offset / 1e3, "", wall()))

    async def _keep_time(self, exchange: str) -> None:
        """At its time; of an exchange that fails more often, so that it is known at once when it is back."""
        line = self._lines[exchange]
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            if self.failing(exchange) or time.monotonic() - line.measured >= SKEW_SECONDS:
                await self.measure(exchange)
