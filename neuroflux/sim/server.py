"""One web server with every simulated exchange, and the ``/sim`` paths that observe it and inject faults."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Struct

from neuroflux.errors import PortTaken, UsageError
from neuroflux.http.local_http import guarded
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import load_settings
from neuroflux.sim import catalogue
from neuroflux.sim.changes import Changes
from neuroflux.sim.core.faults import HTTP_FAULTS
from neuroflux.sim.core.liquidity import Liquidity
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.simulation import Dialect, Simulation
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.kit.answers import json_answer


class OrderRow(Struct, frozen=True):
    """An entry of ``GET /sim/orders``: one accepted order as it really is; ``accepted_at`` in µs."""

    exchange: str
    symbol: str
    client_order_id: str
    exchange_order_id: str
    side: str
    type: str
    price: str | None
    quantity: str
    filled_quantity: str
    state: str
    accepted_at: int


class Served(Struct, frozen=True):
    """A running server: its address, its simulation, and the task that steps it, which ends only by an error."""

    url: str
    simulation: Simulation
    moving: asyncio.Task[None]


def _row(order: Order, venue: Venue) -> OrderRow:
    price = order.ask.price
    return OrderRow(
        exchange=order.listing.exchange,
        symbol=order.listing.symbol,
        client_order_id=order.client_order_id,
        exchange_order_id=venue.order_name(order.order_id),
        side=order.ask.side,
        type=order.kind,
        price=None if price is None else f"{price:f}",
        quantity=f"{order.quantity:f}",
        filled_quantity=f"{order.filled:f}",
        state=order.state,
        accepted_at=order.created,
    )


def _sim_routes(simulation: Simulation) -> list[web.RouteDef]:
    async def accounts(_: web.Request) -> web.Response:
        return json_answer([one for dialect in simulation.dialects.values() for one in dialect.account().entries()])

    async def orders(_: web.Request) -> web.Response:
        venues = simulation.world.venues
        return json_answer([_row(order, venues[order.listing.exchange]) for order in simulation.world.truth])

    async def faults(_: web.Request) -> web.Response:
        return json_answer(
            [{**msgspec.to_builtins(active.fault), "left": active.left} for active in simulation.faults.active()]
        )

    async def add_fault(request: web.Request) -> web.Response:
        try:
            return json_answer(simulation.faults.add(await request.read()))
        except UsageError as error:
            return json_answer({"error": str(error)}, 400)

    async def clear_faults(_: web.Request) -> web.Response:
        simulation.faults.clear()
        return json_answer([])

    return [
        web.get("/sim/accounts", accounts),
        web.get("/sim/orders", orders),
        web.get("/sim/faults", faults),
        web.post("/sim/faults", add_fault),
        web.delete("/sim/faults", clear_faults),
    ]


def _disturb(simulation: Simulation) -> Middleware:
    """The faults that apply to any request of an exchange."""

    def dialect_of(request: web.Request) -> Dialect | None:
        if "Upgrade" in request.headers:
            return None
        for dialect in simulation.dialects.values():
            if request.path.startswith(dialect.prefixes):
                return dialect
        return None

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        dialect = dialect_of(request)
        if dialect is None:
            return await handler(request)
        delay = simulation.faults.milliseconds(dialect.venue.id, "latency", use=True)
        if delay:
            await asyncio.sleep(delay / 1000)
        for fault, status in HTTP_FAULTS.items():
            if struck := simulation.faults.take(dialect.venue.id, fault):
                return dialect.failure(status, struck.retry_after)
        return await handler(request)

    return middleware


def application(simulation: Simulation, replay: Path | None = None, name: str = "") -> web.Application:
    """The whole server of one simulation; ``replay`` is a recording that replaces one of its markets.

    ``name`` is the host name under which other machines reach it, where they may.
    """
    players = [catalogue.player(simulation, replay)] if replay is not None else []
    app = web.Application(middlewares=[guarded([name]), _disturb(simulation), *players])
    app.add_routes(_sim_routes(simulation))
    for dialect in simulation.dialects.values():
        app.add_routes(dialect.routes())
    return app


def simulation_of(
    seed: int,
    liquidity: Liquidity | None = None,
    clock: Callable[[], float] = time.time,
    dialects: Sequence[type[Dialect]] | None = None,
) -> Simulation:
    """A simulation of the exchanges of these dialects, by default all; ``clock`` gives seconds since the epoch."""
    dialects = catalogue.dialects() if dialects is None else dialects
    simulation = Simulation({dialect.venue.id: dialect.venue for dialect in dialects}, seed, liquidity, clock)
    for dialect in dialects:
        simulation.add(dialect(simulation))
    simulation.faults.change = Changes(simulation).apply
    return simulation


@asynccontextmanager
async def serve(
    port: int,
    seed: int,
    host: str = "127.0.0.1",
    *,
    replay: Path | None = None,
    liquidity: Liquidity | None = None,
    name: str = "",
    dialects: Sequence[type[Dialect]] | None = None,
) -> AsyncIterator[Served]:
    """Serve until the block is left. Port 0 takes a free one; ``replay`` is a recording, see replay.py.

    ``name`` as for ``application``; ``dialects`` are those of the exchanges, by default of all; without a ``liquidity``
    the prices are derived from the seed. Raises PortTaken, and UsageError on a file that is not a recording.
    """
    simulation = simulation_of(seed, liquidity, dialects=dialects)
    runner = web.AppRunner(application(simulation, replay, name), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await _listen(runner, host, port)
        moving = asyncio.create_task(simulation.run())
        try:
            address = runner.addresses[0]
            yield Served(f"http://{address[0]}:{address[1]}", simulation, moving)
        finally:
            moving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await moving
            for exchange_id in simulation.dialects:
                simulation.disconnect(exchange_id)
    finally:
        simulation.faults.clear()
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> None:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port, "the simulator", "NEUROFLUX_SIM") from error
        raise


async def run_forever(port: int, seed: int, host: str = "127.0.0.1", *, paper: bool = False) -> None:
    """Serve the exchanges of the settings until SIGTERM or SIGINT, or until cancelled.

    On paper the books are the live exchanges', read from Kafka.

    Raises PortTaken, and on paper Unreachable where no instruments arrive.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(_serve_forever(port, seed, host, paper=paper))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    finally:
        stopping.cancel()
        serving.cancel()
        await asyncio.gather(stopping, serving, return_exceptions=True)


async def _serve_forever(port: int, seed: int, host: str, *, paper: bool) -> None:
    async with AsyncExitStack() as opened:
        settings, liquidity, works, what = load_settings(), None, set[asyncio.Task[None]](), f"seed {seed}"
        if paper:
            from neuroflux.sim.paper.feed import live_liquidity  # here, because it needs a client of Kafka

            liquidity, following = await opened.enter_async_context(live_liquidity(settings))
            works.add(following)
            counts = (f"{len(listings)} of {exchange_id}" for exchange_id, listings in liquidity.listings.items())
            what = f"on paper: {', '.join(counts)}"
        dialects = catalogue.dialects(settings.exchanges)
        served = await opened.enter_async_context(
            serve(port, seed, host, liquidity=liquidity, name=urlsplit(settings.sim).hostname or "", dialects=dialects)
        )
        ready()
        print(f"{', '.join(one.venue.id for one in dialects)} at {served.url} ({what})", flush=True)
        done, _ = await asyncio.wait({served.moving, *works}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
