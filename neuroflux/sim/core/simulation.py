"""The running simulation: the world, its clock, the faults, and the dialects that publish what happens."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Protocol

from aiohttp import web
from msgspec import Struct

from neuroflux.sim.core.coins import EXCHANGES
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.core.liquidity import Liquidity
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.prices import STEP
from neuroflux.sim.core.world import Change, World

LATEST_ANSWER = 0.01
"""Seconds by which the answer to an order may come after the moment that it tells of."""
UNKNOWN_STATUS = "PENDING_REVIEW"
"""What the fault ``unknown_status`` writes where it names nothing."""


class DemoAccount(Struct, frozen=True):
    """Who may trade, with what: an entry of ``GET /sim/accounts``. Balances are totals by asset, as text."""

    exchange: str
    key: str
    secret: str
    address: str
    balances: dict[str, str]


class Dialect(Protocol):
    """How one exchange talks. ``prefixes`` are the paths of its REST interface."""

    exchange_id: str
    prefixes: tuple[str, ...]

    def routes(self) -> list[web.RouteDef]:
        """Its REST paths and sockets."""

    def publish(self, changes: Sequence[Change], now: int) -> None:
        """Send what changed to those who subscribed to it; called after every step and every order. ``now`` in µs."""

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        """How this exchange words a 418, a 429 or a 503; ``retry_after`` in seconds, None as long as it does itself."""

    def account(self) -> DemoAccount:
        """The demo account of this exchange."""


class Simulation:
    """Owns the world and moves it on by the wall clock. Without a ``liquidity`` its prices are made of the seed."""

    def __init__(self, seed: int, liquidity: Liquidity | None = None, clock: Callable[[], float] = time.time) -> None:
        self.seed = seed
        self._random = Random(f"lateness {seed}")
        self._clock = clock
        self.faults = Faults(time.monotonic, EXCHANGES)
        self.world = World(seed, self.faults, int(clock() * 1_000_000), liquidity)
        self.dialects: dict[str, Dialect] = {}
        self.connections: dict[str, set[Connection]] = {exchange_id: set() for exchange_id in EXCHANGES}

    def now(self, exchange_id: str) -> int:
        """The exchange's own clock in µs: the wall's, with its skew."""
        return int(self._clock() * 1_000_000) + 1000 * self.faults.milliseconds(exchange_id, "skew")

    def status(self, order: Order) -> str:
        """An order's state as Binance writes it; a fault writes one that nobody knows."""
        exchange_id, symbol = order.listing.exchange, order.listing.symbol
        fault = self.faults.take(exchange_id, "unknown_status", symbol)
        return (fault.value or UNKNOWN_STATUS) if fault else order.state.upper()

    def exchange(self, exchange_id: str) -> SimExchange:
        return self.world.exchanges[exchange_id]

    def add(self, dialect: Dialect) -> None:
        self.dialects[dialect.exchange_id] = dialect

    def flush(self, exchange_id: str) -> None:
        """Publish what changed on one exchange until now."""
        self.dialects[exchange_id].publish(list(self.world.drain(exchange_id)), self.now(exchange_id))

    def connection(self, exchange_id: str) -> Connection:
        """A new socket of an exchange, not open yet. ``leave`` it at the end."""
        connection = Connection(exchange_id, self.faults, self._random)
        self.connections[exchange_id].add(connection)
        return connection

    def leave(self, connection: Connection) -> None:
        self.connections[connection.exchange_id].discard(connection)

    def disconnect(self, exchange_id: str) -> None:
        """Close every socket of an exchange."""
        for connection in list(self.connections[exchange_id]):
            connection.close()

    def step(self) -> None:
        """One step of the world, and everything that follows from it."""
        self.world.step(int(self._clock() * 1_000_000))
        for exchange_id in self.dialects:
            self.flush(exchange_id)
            if self.faults.take(exchange_id, "disconnect"):
                self.disconnect(exchange_id)

    async def run(self) -> None:
        """Step ten times a second until cancelled; steps that a busy machine missed are left out."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + STEP, loop.time())
            await asyncio.sleep(due - loop.time())
            self.step()

    async def linger(self) -> None:
        """Hold the answer to an order back at times, so that what happened may be known before it is answered."""
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.uniform(0, LATEST_ANSWER))

    async def never(self, request: web.Request) -> web.StreamResponse:
        """An answer that doesn't come: hold the request until the faults are cleared or a minute passed."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.faults.cleared.wait(), 60)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=504)
