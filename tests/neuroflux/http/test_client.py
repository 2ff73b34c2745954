"""The one set of rules for what an exchange answers, as the stages that read and the one that trades meet it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import cast

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.errors import RateLimited, Unreachable
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import (
    Answer,
    Buckets,
    DecayingCounter,
    EachInstrument,
    OrderRate,
    Request,
    Usage,
    WeightRate,
)
from neuroflux.http.budget import Urgency
from neuroflux.http.client import SIGN_AGAIN_AFTER, Client, Unsent
from neuroflux.runtime.clock import wall

READ = Request("GET", "/x")
REFUSED_FOR_RATE = '{"retCode":10006,"retMsg":"Too many visits!"}'

Handler = Callable[[web.Request], Awaitable[web.Response]]


class FakeExchange:
    """Refuses for rate inside a 200, as Bybit and Kraken do."""

    ID = "x"
    WEIGHT_PER_MINUTE = 600
    ORDER_RATES: tuple[OrderRate, ...] = ()

    def __init__(self, buckets: Buckets) -> None:
        self.BUCKETS = buckets

    def usage(self, answer: Answer) -> Usage:
        wait = 30.0 if answer.status in (418, 429) or b"10006" in answer.body else None
        return Usage(float(answer.headers.get("x-usage", 0)), wait=wait)

    def is_overtaken(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.body == b"stale"


@asynccontextmanager
async def connected(
    handler: Handler, buckets: Buckets | None = None
) -> AsyncIterator[tuple[Client, list[ExchangeStatus]]]:
    app, statuses = web.Application(), list[ExchangeStatus]()
    app.router.add_route("*", "/x", handler)
    exchange = cast(Exchange, FakeExchange(buckets or {}))
    async with (
        TestServer(app) as server,
        Client(exchange, str(server.make_url("/")), "rest", statuses.append) as client,
    ):
        yield client, statuses


def answering(status: int, text: str = "", **headers: str) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(status=status, text=text, headers=headers)

    return handler


RATE_REFUSALS = [(418, ""), (429, ""), (200, REFUSED_FOR_RATE)]


@pytest.mark.parametrize(("status", "text"), RATE_REFUSALS)
async def test_a_refusal_for_rate_holds_everything_whatever_its_status(status: int, text: str) -> None:
    why = "too many requests" if status == 200 else f"HTTP {status}"
    async with connected(answering(status, text)) as (client, statuses):
        with pytest.raises(RateLimited, match=f"x: {why}") as caught:
            await client.ask(READ)
        assert caught.value.retry_after == 30.0
        assert 29 < client.held <= 30
        assert not client.try_turn(1, Urgency.FIRST)
        assert not client.try_order("NFX", Urgency.FIRST)
    assert [(one.channel, one.kind, one.value) for one in statuses] == [("rest", StatusKind.LIMITED, 1.0)]


@pytest.mark.parametrize(("status", "text"), RATE_REFUSALS)
async def test_the_same_refusal_is_returned_to_who_reads_the_answer_of_an_order(status: int, text: str) -> None:
    async with connected(answering(status, text)) as (client, statuses):
        assert (await client.send(READ, 1.0)).status == status
        assert 29 < client.held <= 30
        assert len(statuses) == 1
        client.hold(5.0, "the order client")
        assert len(statuses) == 1, "a hold that is no longer is not published again"


async def test_a_server_error_counts_as_a_failure_and_is_raised_only_by_read() -> None:
    async with connected(answering(503)) as (client, statuses):
        assert (await client.send(READ, 1.0)).status == 503
        assert client.failures.reason == ""
        with pytest.raises(Unreachable, match="x: HTTP 503"):
            await client.read(READ)
        assert client.failures.reason == "x: HTTP 503"
        assert client.failures.rate == 0.1
        assert client.held == 0
    assert statuses == []


async def test_any_other_refusal_is_an_answer() -> None:
    async with connected(answering(403, "no")) as (client, _):
        answer = await client.ask(READ)
        assert (answer.status, answer.body) == (403, b"no")
        assert client.failures.rate == 0


async def test_a_request_is_sent_once_though_nothing_listens() -> None:
    exchange = cast(Exchange, FakeExchange({}))
    async with Client(exchange, "http://127.0.0.1:9", "rest", lambda status: None) as client:
        with pytest.raises(Unsent, match="x: no connection"):
            await client.read(READ)
        assert client.failures.rate == 0.05


async def test_what_is_read_has_both_its_times() -> None:
    async with connected(answering(200)) as (client, _):
        before = wall()
        answer = await client.read(READ)
        assert before <= answer.sent_at <= answer.received_at <= wall()


async def test_reported_usage_bounds_what_is_left_of_the_exchanges_own_minute() -> None:
    async with connected(answering(200, **{"x-usage": "0.85"})) as (client, _):
        client.offset = 30_000_000 - wall() % 60_000_000  # by its clock half of the minute is over
        await client.read(READ)
        assert client.used == 0.85
        assert not client.try_turn(1, Urgency.READ)
        assert 29 < client.order_wait("NFX", Urgency.ORDER) < 31
        assert client.order_wait("NFX", Urgency.FIRST) == 0, "what is urgent may use half of the buffer, up to 0.9"


async def test_requests_and_orders_are_counted_in_their_buckets() -> None:
    buckets: Buckets = {
        "private": WeightRate(10, 60.0),
        "orders": DecayingCounter(10, 0.01),
    }
    async with connected(answering(200), buckets) as (client, _):
        await client.ask(Request("GET", "/x", weight=8, bucket="private"))
        assert not client.try_turn(1, Urgency.READ, "private")
        assert [client.try_order("NFX", Urgency.ORDER) for _ in range(9)] == [True] * 8 + [False]
        assert client.try_turn(480, Urgency.FIRST), "the weight per minute is untouched"


async def test_a_limit_of_each_instrument_holds_that_one_alone() -> None:
    async with connected(answering(200), {"orders": EachInstrument(DecayingCounter(10, 0.01))}) as (client, _):
        assert [client.try_order("NFX", Urgency.ORDER) for _ in range(9)] == [True] * 8 + [False]
        assert client.order_wait("NFX", Urgency.ORDER) > 60
        assert client.order_wait("BTC", Urgency.ORDER) == 0
        client.count(8, "orders BTC")
        assert not client.try_order("BTC", Urgency.ORDER)
        assert client.try_order("ETH", Urgency.ORDER)


# ── requests that are signed when they are sent ──────────────────────────────────────────────────────────────────


class Numbers:
    """The exchange's side: a number that is not above the last one is refused with ``stale``.

    ``lag`` delays the first request, so that the next one would overtake it.
    """

    def __init__(self, lag: float = 0.0) -> None:
        self.seen, self.refused, self._lag = list[int](), 0, lag

    async def handle(self, request: web.Request) -> web.Response:
        number = int(await request.text())
        lag, self._lag = self._lag, 0.0
        await asyncio.sleep(lag)
        if self.seen and number <= self.seen[-1]:
            self.refused += 1
            return web.Response(text="stale")
        self.seen.append(number)
        return web.Response(text="done")


def numbered(start: int = 0) -> Request:
    numbers = count(start)
    return Request("POST", "/x", b"body", sign=lambda one, now: replace(one, body=str(next(numbers)).encode()))


async def test_a_request_is_signed_when_it_is_sent_by_our_own_clock_and_answered_as_it_was() -> None:
    times, server = list[int](), Numbers()

    def sign(one: Request, now: int) -> Request:
        times.append(now)
        return replace(one, body=str(now).encode())

    async with connected(server.handle) as (client, _):
        client.offset, request = 3_600_000_000, Request("POST", "/x", b"body", sign=sign)
        before = wall()
        answer = await client.send(request, 1.0)
    assert answer.request is request
    assert server.seen == times
    assert before <= times[0] <= wall()


async def test_signed_requests_of_one_connection_do_not_overtake_each_other() -> None:
    server, request = Numbers(lag=0.2), numbered()
    async with connected(server.handle) as (client, _):
        answers = await asyncio.gather(*(client.send(request, 1.0) for _ in range(5)))
    assert server.seen == [0, 1, 2, 3, 4]
    assert server.refused == 0
    assert {one.body for one in answers} == {b"done"}


async def test_one_without_an_answer_does_not_keep_the_others_back_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroflux.http.client.IN_TURN", 0.05)
    server, request = Numbers(lag=30.0), numbered()
    async with connected(server.handle) as (client, _):
        lost = asyncio.create_task(client.send(request, 20.0))
        await asyncio.sleep(0.01)
        assert (await client.send(request, 5.0)).body == b"done"
        assert not lost.done()
        lost.cancel()
    assert server.seen == [1]


async def test_one_that_was_overtaken_by_another_process_is_signed_again() -> None:
    server = Numbers()
    server.seen = [2]
    async with connected(server.handle) as (client, _):
        assert (await client.read(numbered())).body == b"done"
    assert (server.seen, server.refused) == ([2, 3], 3)


async def test_one_that_is_always_overtaken_is_answered_with_the_refusal() -> None:
    server = Numbers()
    server.seen = [1_000]
    async with connected(server.handle) as (client, _):
        assert (await client.send(numbered(), 1.0)).body == b"stale"
    assert server.refused == len(SIGN_AGAIN_AFTER) + 1


async def test_what_may_have_been_done_is_not_sent_again() -> None:
    tries = 0

    async def handler(_: web.Request) -> web.Response:
        nonlocal tries
        tries += 1
        return web.Response(status=502, text="stale")

    async with connected(handler) as (client, _):
        assert (await client.send(numbered(), 1.0)).status == 502
    assert tries == 1
