"""The gateway against a faulty server: which requests count as not sent, as unknown, or as refused for rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar, cast

import pytest
from aiohttp import web
from msgspec.structs import replace

from consumers.execution.gateway import Account, Gateway
from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.exchanges.kit.interface import Exchange, OrderClient
from neuroflux.exchanges.kit.requests import Answer, OrderRate, Request, Usage, WeightRate
from neuroflux.http.budget import Urgency
from neuroflux.http.client import Unanswered, Unsent
from tests.consumers.execution.order_client_model import SPOT

SKEW = 3_000_000
PLACE = Request("POST", "/order?symbol=a%2Fb&sign=%3D+", b"x=1", {"X-KEY": "k"})


class FakeOrderClient:
    """Builds nothing: the tests send requests of their own."""


class FakeExchange:
    """Reports the usage that a header names."""

    ID = "x"
    WEIGHT_PER_MINUTE = 6_000
    BUCKETS: ClassVar[dict[str, WeightRate]] = {}
    ORDER_RATES = (OrderRate(10, 10),)

    def usage(self, answer: Answer) -> Usage:
        orders = {10: int(answer.headers["x-orders"])} if "x-orders" in answer.headers else {}
        wait = float(answer.headers["x-wait"]) if "x-wait" in answer.headers else None
        return Usage(float(answer.headers.get("x-usage", 0)), orders, answer.body == b"too many orders", wait)

    def server_time_request(self) -> Request:
        return Request("GET", "/time")

    def server_time(self, answer: Answer) -> int:
        return int(answer.body)


INSTRUMENT = replace(SPOT, exchange="x")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def gateway(handler: Handler) -> AsyncIterator[tuple[Gateway, list[ExchangeStatus]]]:
    async def clock(_: web.Request) -> web.Response:
        return web.Response(text=str(time.time_ns() // 1_000 + SKEW))

    application = web.Application()
    application.router.add_get("/time", clock)
    application.router.add_route("*", "/order", handler)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    statuses: list[ExchangeStatus] = []
    account = Account(cast(Exchange, FakeExchange()), lambda: cast(OrderClient, FakeOrderClient()), address)
    try:
        async with Gateway({"x": account}, statuses.append) as opened:
            yield opened, statuses
    finally:
        await runner.cleanup()


def kinds(statuses: Sequence[ExchangeStatus]) -> list[StatusKind]:
    return [one.kind for one in statuses]


async def answer_ok(request: web.Request) -> web.Response:
    return web.Response(text=f"{request.raw_path} {await request.text()} {request.headers['X-KEY']}")


async def test_a_request_is_sent_exactly_as_it_was_signed() -> None:
    async with gateway(answer_ok) as (opened, _):
        answer = await opened.send("x", PLACE, 1.0)
    assert answer.status == 200
    assert answer.body == b"/order?symbol=a%2Fb&sign=%3D+ x=1 k"


async def test_what_an_exchange_never_refuses_is_sent_at_once_and_counted() -> None:
    counted = Request("POST", "/order", headers={"X-KEY": "k"}, weight=6_000)
    exempt = replace(counted, is_never_refused=True)
    async with gateway(answer_ok) as (opened, _):
        for _ in range(3):
            await asyncio.wait_for(opened.call("x", lambda *_: exempt), 5.0)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(opened.call("x", lambda *_: counted), 0.1)
        assert opened.order_wait(INSTRUMENT, Urgency.ORDER) > 60


async def test_the_clock_is_compared_and_corrected() -> None:
    async with gateway(answer_ok) as (opened, statuses):
        assert opened.offset("x") == pytest.approx(SKEW, abs=200_000)
        assert opened.now("x") - time.time_ns() // 1_000 == pytest.approx(SKEW, abs=200_000)
    (skew,) = (one for one in statuses if one.kind is StatusKind.SKEW)
    assert skew.value == pytest.approx(SKEW / 1e3, abs=200)


async def test_latency_is_published_once_a_second_and_no_more() -> None:
    async with gateway(answer_ok) as (opened, statuses):
        await asyncio.gather(*(opened.send("x", PLACE, 1.0) for _ in range(20)))
    assert kinds(statuses).count(StatusKind.LATENCY) == 1


async def test_the_latency_of_each_order_is_published_but_not_of_one_that_was_never_sent() -> None:
    async with gateway(answer_ok) as (opened, statuses):
        await asyncio.gather(*(opened.place("x", PLACE) for _ in range(5)))
        await opened.send("x", PLACE, 1.0)
        latencies = [one for one in statuses if (one.channel, one.kind) == ("orders", StatusKind.LATENCY)]
    assert len(latencies) == 5
    assert all(one.value > 0 for one in latencies)
    account = Account(
        cast(Exchange, FakeExchange()), lambda: cast(OrderClient, FakeOrderClient()), "http://127.0.0.1:9"
    )
    statuses.clear()
    async with Gateway({"x": account}, statuses.append) as unreachable:
        with pytest.raises(Unsent):
            await unreachable.place("x", PLACE)
    assert not [one for one in statuses if one.channel == "orders"]


async def test_no_answer_in_time_and_a_broken_connection_are_unknown() -> None:
    async def never(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async def breaks(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    async with gateway(never) as (opened, _):
        with pytest.raises(Unanswered, match=r"no answer within 0.2 s"):
            await opened.send("x", PLACE, 0.2)
    async with gateway(breaks) as (opened, _):
        with pytest.raises(Unanswered, match="the connection broke"):
            await opened.send("x", PLACE, 1.0)


async def test_an_order_whose_connection_broke_is_not_sent_again() -> None:
    seen = 0

    async def breaks(request: web.Request) -> web.Response:
        nonlocal seen
        seen += 1
        if seen == 2:
            assert request.transport is not None
            request.transport.abort()
        return web.Response()

    async with gateway(breaks) as (opened, _):
        await opened.send("x", PLACE, 1.0)
        with pytest.raises(Unanswered):
            await opened.send("x", PLACE, 1.0)
    assert seen == 2


async def test_without_a_connection_nothing_was_sent() -> None:
    address = "http://127.0.0.1:9"
    account = Account(cast(Exchange, FakeExchange()), lambda: cast(OrderClient, FakeOrderClient()), address)
    statuses: list[ExchangeStatus] = []
    async with Gateway({"x": account}, statuses.append) as opened:
        with pytest.raises(Unsent, match="no connection"):
            await opened.send("x", PLACE, 1.0)
    assert kinds(statuses) == [StatusKind.DISCONNECTED]


async def test_an_exchange_fails_after_two_requests_in_a_row_until_one_is_answered() -> None:
    answers = [503, 503, 200]

    async def badly(_: web.Request) -> web.Response:
        return web.Response(status=answers.pop(0))

    async with gateway(badly) as (opened, _):
        seen = []
        for _turn in range(3):
            await opened.send("x", PLACE, 1.0)
            seen.append(opened.failing("x"))
    assert seen == ["", "x: HTTP 503", ""]


async def test_a_hold_is_kept_and_published() -> None:
    async def limited(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"X-Wait": "30"})

    async with gateway(limited) as (opened, statuses):
        answer = await opened.send("x", PLACE, 1.0)
        assert answer.status == 429
        assert answer.received_at == pytest.approx(time.time_ns() // 1_000, abs=200_000)
        assert 29 < opened.held("x") <= 30
        assert not opened.try_order(INSTRUMENT, Urgency.ORDER)
    assert [one.value for one in statuses if one.kind is StatusKind.LIMITED] == [1.0]


async def test_a_refusal_is_no_sign_that_requests_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def limited(_: web.Request) -> web.Response:
        return web.Response(status=429)

    monkeypatch.setattr("consumers.execution.gateway.SAMPLE_SECONDS", 0.0)
    async with gateway(limited) as (opened, statuses):
        before = kinds(statuses).count(StatusKind.LATENCY)
        await opened.send("x", PLACE, 1.0)
        assert kinds(statuses).count(StatusKind.LATENCY) == before


async def test_usage_is_published_and_bounds_what_is_left() -> None:
    async def full(_: web.Request) -> web.Response:
        return web.Response(headers={"X-Usage": "0.8"})

    async with gateway(full) as (opened, statuses):
        opened._lines["x"].sampled = float("-inf")
        await opened.send("x", PLACE, 1.0)
        assert not opened.try_order(INSTRUMENT, Urgency.ORDER)
        assert opened.try_order(INSTRUMENT, Urgency.FIRST)
    assert [one.value for one in statuses if one.kind is StatusKind.LIMITED] == [0.8]


async def test_too_many_orders_stop_new_orders_and_nothing_else() -> None:
    async def too_many(_: web.Request) -> web.Response:
        return web.Response(status=429, text="too many orders")

    async with gateway(too_many) as (opened, statuses):
        assert opened.try_order(INSTRUMENT, Urgency.ORDER)
        await opened.send("x", PLACE, 1.0)
        assert opened.held("x") == 0
        assert not opened.try_order(INSTRUMENT, Urgency.FIRST)
        await opened.measure("x")
    assert [(one.channel, one.value) for one in statuses if one.kind is StatusKind.LIMITED] == [("orders", 1.0)]


async def test_orders_counted_by_the_exchange_count_for_us_too() -> None:
    async def counted(_: web.Request) -> web.Response:
        return web.Response(headers={"X-Orders": "8"})

    async with gateway(counted) as (opened, _):
        await opened.send("x", PLACE, 1.0)
        assert not opened.try_order(INSTRUMENT, Urgency.ORDER)
        assert opened.try_order(INSTRUMENT, Urgency.FIRST)
