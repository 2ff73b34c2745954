"""The running simulation: the world, its clock, the faults, and the dialects that publish its events."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Protocol

import msgspec
from aiohttp import web
from msgspec import Struct

from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault, Faults
from neuroflux.sim.core.liquidity import Liquidity
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.prices import STEP
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.core.world import Change, World

LATEST_ANSWER = 0.01
"""Seconds by which the answer to an order may be delayed after the order was matched."""


class DemoAccount(Struct, frozen=True, omit_defaults=True):
    """Credentials and balances: an entry of ``GET /sim/accounts``. Balances are totals by asset, as text.

    ``address`` is empty where the exchange knows no addresses; where it is not, clients use it in place of a key.
    ``passphrase`` is the third part of a key where the exchange has one; it is left out of the entry elsewhere.
    ``more_keys`` are other keys and secrets of the same account, each listed as an entry of its own: for clients that
    can't share a key.
    """

    exchange: str
    key: str
    secret: str
    address: str
    balances: dict[str, str]
    passphrase: str = ""
    more_keys: tuple[tuple[str, str], ...] = ()

    def entries(self) -> list[DemoAccount]:
        """An entry for each key; the first is the one that the stages use."""
        keys = ((self.key, self.secret), *self.more_keys)
        return [msgspec.structs.replace(self, key=key, secret=secret, more_keys=()) for key, secret in keys]


class Dialect(Protocol):
    """The wire format of one exchange. ``prefixes`` are the paths of its REST interface.

    ``changes`` are the faults done at once that this exchange alone has: each raises UsageError where it can't be done.
    """

    venue: Venue
    prefixes: tuple[str, ...]
    changes: Mapping[str, Callable[[Fault], None]]

    def __init__(self, simulation: Simulation) -> None: ...

    def routes(self) -> list[web.RouteDef]:
        """Its REST paths and sockets."""

    def publish(self, changes: Sequence[Change], now: int) -> None:
        """Send the changes to their subscribers; called after every step and every order. ``now`` in µs."""

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        """This exchange's answer of status 418, 429 or 503; ``retry_after`` in seconds, None for its own default."""

    def account(self) -> DemoAccount:
        """The demo account of this exchange."""


class Simulation:
    """Owns the world and steps it by the wall clock. Without a ``liquidity`` its prices are derived from the seed."""

    def __init__(
        self,
        venues: Mapping[str, Venue],
        seed: int,
        liquidity: Liquidity | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.seed = seed
        self._random = Random(f"lateness {seed}")
        self._clock = clock
        self.faults = Faults(time.monotonic, venues)
        self.world = World(venues, seed, self.faults, int(clock() * 1_000_000), liquidity)
        self.dialects: dict[str, Dialect] = {}
        self.connections: dict[str, set[Connection]] = {exchange_id: set() for exchange_id in venues}

    def now(self, exchange_id: str) -> int:
        """The exchange's own clock in µs: the wall's, with its skew."""
        return int(self._clock() * 1_000_000) + 1000 * self.faults.milliseconds(exchange_id, "skew")

    def status(self, order: Order, written: str, unknown: str) -> str:
        """An order's state as the exchange writes it; a fault replaces it by its own, or by the ``unknown`` one."""
        fault = self.faults.take(order.listing.exchange, "unknown_status", order.listing.symbol)
        return (fault.value or unknown) if fault else written

    def exchange(self, exchange_id: str) -> SimExchange:
        return self.world.exchanges[exchange_id]

    def add(self, dialect: Dialect) -> None:
        self.dialects[dialect.venue.id] = dialect

    def flush(self, exchange_id: str) -> None:
        """Publish the changes of one exchange until now."""
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
        """One step of the world, and the publications that follow from it."""
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
        """Delay the answer to an order at times, so that its events may arrive before the answer."""
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.uniform(0, LATEST_ANSWER))

    async def never(self, request: web.Request) -> web.StreamResponse:
        """Never answer: hold the request until the faults are cleared or a minute passed, and abort it."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.faults.cleared.wait(), 60)
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=504)
