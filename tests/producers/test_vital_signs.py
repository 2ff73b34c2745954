"""The clock of an exchange, measured against one that runs in the test: only its own answers set it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.engine.health.state import REST
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.kit.requests import Request
from neuroflux.http.client import Client
from neuroflux.runtime.clock import wall
from producers.vital_signs import VitalSigns

Handler = Callable[[web.Request], Awaitable[web.Response]]
NEAR = 100_000
"""Microseconds that a measurement on one machine may be off."""


async def on_time(_: web.Request) -> web.Response:
    return web.json_response({"serverTime": wall() // 1000})


@asynccontextmanager
async def measured(handler: Handler) -> AsyncIterator[tuple[VitalSigns, Client, list[ExchangeStatus]]]:
    app, statuses = web.Application(), list[ExchangeStatus]()
    app.router.add_get("/api/v3/time", handler)
    async with TestServer(app) as server, Client(Binance(), str(server.make_url("/")), REST, statuses.append) as client:
        yield VitalSigns(client), client, statuses


def kinds(statuses: list[ExchangeStatus]) -> list[StatusKind]:
    return [one.kind for one in statuses]


async def test_waiting_for_the_rate_limit_is_no_latency(monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a 418, with a wait of 70 s: the clock is measured around the request alone."""
    async with measured(on_time) as (signs, client, statuses):
        turn = client.turn

        async def late(weight: int, *urgency: object) -> None:
            await turn(weight)
            await asyncio.sleep(1.5)  # the waiting itself is what must not count

        monkeypatch.setattr(client, "turn", late)
        await signs.measure()
        assert abs(client.offset) < NEAR
        assert kinds(statuses) == [StatusKind.LATENCY, StatusKind.SKEW]
        assert statuses[0].value < 1_000


@pytest.mark.parametrize("status", [400, 403, 404, 500])
async def test_a_refused_answer_moves_no_clock_and_is_no_latency(status: int) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.json_response({"serverTime": 1}, status=status)

    async with measured(refuse) as (signs, client, statuses):
        client.offset = 7
        await signs.measure()
        assert client.offset == 7
        assert kinds(statuses) == [StatusKind.DISCONNECTED]
        assert str(status) in statuses[0].detail


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [(418, {}, 300), (418, {"Retry-After": "7"}, 300), (429, {"Retry-After": "900"}, 900)],
)
async def test_an_exchange_that_asks_us_to_wait_is_limited_and_receives_nothing(
    status: int, headers: dict[str, str], seconds: int
) -> None:
    requests = 0

    async def limit(_: web.Request) -> web.Response:
        nonlocal requests
        requests += 1
        until = wall() // 1000 + 300_000
        body = {"code": -1003, "msg": f"Way too many requests; IP banned until {until}."}
        return web.json_response(body, status=status, headers=headers)

    async with measured(limit) as (signs, client, statuses):
        await signs.measure()
        assert seconds - 1 < client.held <= seconds + 1, "a Date is to the second"
        await signs.measure()
        assert requests == 1
        assert [(one.kind, one.value) for one in statuses] == [(StatusKind.LIMITED, 1.0)] * 2
        assert str(status) in statuses[0].detail


async def test_the_clock_is_read_before_requests_that_wait_for_weight() -> None:
    async with measured(on_time) as (signs, client, statuses):
        client._queue.budget.reported(2.0, 0.3, asyncio.get_running_loop().time())  # nothing is left for 0.3 s
        reading = [asyncio.create_task(client.ask(Request("GET", "/api/v3/time", weight=4_000))) for _ in range(2)]
        await asyncio.sleep(0)
        await signs.measure()
        assert kinds(statuses) == [StatusKind.LATENCY, StatusKind.SKEW]
        assert sum(one.done() for one in reading) < 2
        for one in reading:
            one.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
