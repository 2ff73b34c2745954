"""What the execution sends to the exchanges, orders first; publishes latency, usage and connection statuses."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from msgspec import Struct

from neuroflux.domain import ExchangeStatus, Instrument, Microseconds, StatusKind
from neuroflux.engine.health.state import ORDERS, REST
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.exchanges.kit.interface import Exchange, OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.budget import Urgency
from neuroflux.http.client import REFUSED, Client, Unanswered
from neuroflux.http.clock_probe import measure_clock
from neuroflux.runtime.clock import wall

SAMPLE_SECONDS = 1.0
"""Latency and usage are published at most this often for each exchange."""
SKEW_SECONDS = 15.0
"""How often an exchange's clock is compared with ours; also the heartbeat of an exchange without orders."""


class Account(Struct, frozen=True):
    """One exchange that we may trade on; ``order_client`` returns the one that knows the newest instruments."""

    exchange: Exchange
    order_client: Callable[[], OrderClient]
    address: str


class Line(Struct):
    """The connection of one account. ``sampled`` and ``measured`` are monotonic seconds."""

    account: Account
    client: Client
    measuring: asyncio.Lock
    reached: bool = False
    risk_held_until: float = float("-inf")
    sampled: float = float("-inf")
    measured: float = float("-inf")


class Gateway:
    """Async context manager. ``publish`` is called with every status."""

    def __init__(self, accounts: Mapping[str, Account], publish: Callable[[ExchangeStatus], None]) -> None:
        self._accounts, self._publish = accounts, publish
        self._lines: dict[str, Line] = {}
        self._clocks: list[asyncio.Task[None]] = []
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for name, account in self._accounts.items():
            client = Client(account.exchange, account.address, REST, self._publish)
            self._lines[name] = Line(account, await self._opened.enter_async_context(client), asyncio.Lock())
        await asyncio.gather(*(self.measure(name) for name in self._lines))
        self._clocks = [asyncio.create_task(self._measure_regularly(name)) for name in self._lines]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for clock in self._clocks:
            clock.cancel()
        await asyncio.gather(*self._clocks, return_exceptions=True)
        await self._opened.aclose()

    @property
    def exchanges(self) -> Sequence[str]:
        return tuple(self._lines)

    def order_client(self, exchange: str) -> OrderClient:
        return self._lines[exchange].account.order_client()

    def now(self, exchange: str) -> Microseconds:
        """The exchange's time, as far as it is known."""
        return self._lines[exchange].client.now()

    def offset(self, exchange: str) -> Microseconds:
        """The exchange's clock minus ours."""
        return self._lines[exchange].client.offset

    # ── what an exchange accepts now ─────────────────────────────────────────────────────────────────────────────

    def held(self, exchange: str) -> float:
        """Seconds for which the exchange asks us to send nothing."""
        return self._lines[exchange].client.held

    def error_rate(self, exchange: str) -> float:
        """The share of the last requests that got no answer, or a server error."""
        return self._lines[exchange].client.failures.rate

    def failing(self, exchange: str) -> str:
        """Why the exchange counts as failing, by our own last requests; "" if it does not."""
        return self._lines[exchange].client.failures.reason

    def bound(self, exchange: str, bounds: Mapping[str, float]) -> None:
        """Keep to a lower rate than the exchange's own where ``weight_per_minute`` is set."""
        if exchange in self._lines:
            line = self._lines[exchange]
            line.client.bound(int(bounds.get("weight_per_minute", line.account.exchange.WEIGHT_PER_MINUTE)))

    def hold(self, exchange: str, seconds: float, why: str) -> None:
        """Send nothing for that long, and publish it."""
        self._lines[exchange].client.hold(seconds, why)

    def hold_risk(self, exchange: str, seconds: float, why: str) -> None:
        """Send no order that opens risk for that long, and publish it; everything else is still sent."""
        line, until = self._lines[exchange], _now() + seconds
        if until > line.risk_held_until:
            line.risk_held_until = until
            self._publish(ExchangeStatus(exchange, ORDERS, StatusKind.LIMITED, 1.0, why, wall()))

    def risk_held(self, exchange: str) -> float:
        """Seconds for which the exchange takes no order that opens risk."""
        return max(0.0, self._lines[exchange].risk_held_until - _now())

    def try_order(self, instrument: Instrument, urgency: Urgency) -> bool:
        """Whether a new order may be sent at once; it is then counted."""
        return self._lines[instrument.exchange].client.try_order(instrument.name, urgency)

    def order_wait(self, instrument: Instrument, urgency: Urgency) -> float:
        """Seconds that a new order would wait for the rate limits."""
        return self._lines[instrument.exchange].client.order_wait(instrument.name, urgency)

    async def order_turn(self, instrument: Instrument, urgency: Urgency) -> None:
        """Wait until the exchange's limits allow a new order."""
        await self._lines[instrument.exchange].client.order_turn(instrument.name, urgency)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def call(self, exchange: str, build: Callable[[OrderClient, Microseconds], Request]) -> Answer:
        """Build, wait for the rate limits, send. A request that had to wait is built again: signatures expire.

        Raises as ``send``.
        """
        client = self._lines[exchange].client
        request = build(self.order_client(exchange), client.now())
        if request.is_never_refused and not client.held:
            client.count(request.weight, request.bucket)
        elif not client.try_turn(request.weight, Urgency.FIRST, request.bucket):
            await client.turn(request.weight, Urgency.FIRST, request.bucket)
            request = build(self.order_client(exchange), client.now())
        return await self.send(exchange, request, EXCHANGE_TIMEOUTS["read"])

    async def place(self, exchange: str, request: Request) -> Answer:
        """Send an order, and publish how long its acknowledgement took. Raises as ``send``."""
        started = time.monotonic()
        try:
            answer = await self.send(exchange, request, EXCHANGE_TIMEOUTS["order"])
        except Unanswered:
            self._publish_latency(exchange, ORDERS, time.monotonic() - started)
            raise
        self._lines[exchange].client.order_answered()
        self._publish_latency(exchange, ORDERS, time.monotonic() - started)
        return answer

    async def send(self, exchange: str, request: Request, timeout: float) -> Answer:
        """Send a request that the rate limits allow, once. Raises Unsent or Unanswered."""
        line = self._lines[exchange]
        started = time.monotonic()
        answer = await line.client.send(request, timeout)
        self._sample(exchange, line, answer, time.monotonic() - started)
        return answer

    def _sample(self, exchange: str, line: Line, answer: Answer, seconds: float) -> None:
        now = time.monotonic()
        if now - line.sampled < SAMPLE_SECONDS:
            return
        line.sampled = now
        if answer.status < REFUSED and not line.client.held:  # a refusal is no proof that requests succeed
            self._publish_latency(exchange, REST, seconds)
        if line.client.used:
            self._publish(ExchangeStatus(exchange, REST, StatusKind.LIMITED, line.client.used, "", wall()))

    def _publish_latency(self, exchange: str, channel: str, seconds: float) -> None:
        self._publish(ExchangeStatus(exchange, channel, StatusKind.LATENCY, seconds * 1e3, "", wall()))

    # ── clocks ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def measure(self, exchange: str, since: float | None = None) -> None:
        """Compare the exchange's clock with ours and correct for it; not more often than once a second.

        With ``since`` (monotonic) not again if it was done after that: a clock can move within the second.
        """
        line = self._lines[exchange]
        async with line.measuring:
            if line.measured <= (time.monotonic() - SAMPLE_SECONDS if since is None else since):
                line.measured = time.monotonic()
                await self._measure(exchange, line)

    async def _measure(self, exchange: str, line: Line) -> None:
        try:
            answer = await measure_clock(line.client, EXCHANGE_TIMEOUTS["connect"])
        except NeuroFluxError as error:
            line.reached = False
            self._publish(ExchangeStatus(exchange, REST, StatusKind.DISCONNECTED, 0.0, str(error), wall()))
            return
        if answer is None:
            return
        self._sample(exchange, line, answer, (answer.received_at - answer.sent_at) / 1e6)
        if not line.reached:
            line.reached = True
            self._publish(ExchangeStatus(exchange, REST, StatusKind.CONNECTED, 0.0, "", wall()))
        self._publish(ExchangeStatus(exchange, REST, StatusKind.SKEW, line.client.offset / 1e3, "", wall()))

    async def _measure_regularly(self, exchange: str) -> None:
        """Every second for an exchange that fails, so that its recovery is known at once."""
        line = self._lines[exchange]
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            if self.failing(exchange) or time.monotonic() - line.measured >= SKEW_SECONDS:
                await self.measure(exchange)


def _now() -> float:
    return asyncio.get_running_loop().time()
