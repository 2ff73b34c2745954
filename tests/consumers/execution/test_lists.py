"""Lists of orders and fills are read once for all orders that need them at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from consumers.execution.gateway import Gateway
from consumers.execution.lists import CLOCK_SKEW, MAX_STATUS_PAGES, Enough, Lists
from neuroflux.domain import Fill, InDoubt, NotThere, OrderReport, OrderState, Outcome
from neuroflux.errors import Unreachable
from neuroflux.exchanges.kit.events import PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from tests.consumers.execution.order_client_model import SPOT, FakeOrderClient, Gate, bench, filled, place, report
from tests.consumers.execution.test_pages import PAGES, execution

Listed = OrderReport | Fill | PageNeeded | Undecodable
OPEN, ENDED = "/open", "/ended"
FOUND: list[Listed] = [
    report("o/0/0", OrderState.FILLED, "1"),
    *(execution("o/0/0", number) for number in range(PAGES)),
]


class Listing(FakeOrderClient):
    """Has the orders in two lists; ``since`` are the times from which they were requested."""

    settled_after = 0
    remembers_ended = True
    reads_lists = True

    def __init__(self, rows: dict[str, list[Listed]] | None = None) -> None:
        self.rows, self.since = rows or {}, list[int]()

    def statuses(self, since: int, now: int) -> Sequence[Request]:
        self.since.append(since)
        return Request("GET", OPEN), Request("GET", ENDED)

    def fills_since(self, instrument: object, since: int, now: int) -> Request:
        return Request("GET", "/fills")

    def reports(self, answer: Answer) -> Sequence[Listed]:
        return self.rows.get(answer.request.path, [])


class Line:
    """Sends when ``allowed`` is set, as rate limits do; ``sent`` are the paths."""

    def __init__(self, client: Listing) -> None:
        self.client, self.sent, self.allowed = cast(OrderClient, client), list[str](), asyncio.Event()
        self.error: Exception | None = None
        self.allowed.set()

    def order_client(self, exchange: str) -> OrderClient:
        return self.client

    async def call(self, exchange: str, build: Callable[[OrderClient, int], Request]) -> Answer:
        build(self.client, 0)
        await self.allowed.wait()
        request = build(self.client, 0)
        self.sent.append(request.path)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Answer(request, 200, b"")


def lists_of(line: Line, fills: list[Fill] | None = None) -> Lists:
    return Lists(cast(Gateway, line), (fills if fills is not None else []).append)


def named(name: str) -> Enough:
    return lambda found: any(one.client_order_id == name for one in found)


def never(_: object) -> bool:
    return False


def rows(*names: str) -> list[Listed]:
    return [report(name, OrderState.ACKNOWLEDGED) for name in names]


async def test_who_asks_while_the_limits_hold_the_request_shares_it() -> None:
    line = Line(Listing({OPEN: rows("a"), ENDED: rows("b")}))
    line.allowed.clear()
    lists = lists_of(line)
    readings = [
        asyncio.create_task(lists.orders("x", since, named(name)))
        for name, since in (("a", 5 * CLOCK_SKEW), ("b", 3 * CLOCK_SKEW), ("c", 4 * CLOCK_SKEW))
    ]
    await asyncio.sleep(0)
    line.allowed.set()
    found = await asyncio.gather(*readings)
    assert line.sent == [OPEN, ENDED]
    assert cast(Listing, line.client).since[-1] == 2 * CLOCK_SKEW
    assert all(one.is_at_end and {each.client_order_id for each in one.reports} == {"a", "b"} for one in found)


async def test_lists_are_read_until_every_order_was_found() -> None:
    line = Line(Listing({OPEN: rows("a", "b")}))
    lists = lists_of(line)
    reading = await lists.orders("x", 0, named("b"))
    assert (line.sent, reading.is_at_end) == ([OPEN], False)
    assert len(reading.reports) == 2


async def test_who_asks_after_the_request_was_sent_needs_another() -> None:
    line = Line(Listing({OPEN: rows("a", "b")}))
    lists = lists_of(line)
    first = asyncio.create_task(lists.orders("x", 0, named("a")))
    while not line.sent:  # noqa: ASYNC110
        await asyncio.sleep(0)
    second = await lists.orders("x", 0, named("b"))
    assert (await first).requested_at < second.requested_at
    assert line.sent == [OPEN, OPEN]


async def test_an_error_is_of_those_who_asked_and_not_of_those_after_them() -> None:
    line = Line(Listing({OPEN: rows("a")}))
    line.error = Unreachable("no answer")
    lists = lists_of(line)
    both = await asyncio.gather(*(lists.orders("x", 0, named("a")) for _ in range(2)), return_exceptions=True)
    assert [type(one) for one in both] == [Unreachable, Unreachable]
    line.error = None
    assert (await lists.orders("x", 0, named("a"))).reports


async def test_nothing_is_requested_for_orders_that_have_been_left() -> None:
    line = Line(Listing({OPEN: rows("a")}))
    line.allowed.clear()
    lists = lists_of(line)
    left = asyncio.create_task(lists.orders("x", 0, named("a")))
    await asyncio.sleep(0)
    lists.close()
    left.cancel()
    with pytest.raises(asyncio.CancelledError):
        await left
    assert line.sent == []


async def test_pages_are_read_up_to_a_limit() -> None:
    following: list[Listed] = [PageNeeded(Request("GET", ENDED))]
    line = Line(Listing({ENDED: following}))
    reading = await lists_of(line).orders("x", 0, named("a"))
    assert (reading.is_at_end, len(line.sent)) == (False, MAX_STATUS_PAGES)


async def test_fills_of_the_whole_account_are_read_once_and_each_is_taken() -> None:
    fills = list[Fill]()
    line = Line(Listing({"/fills": [execution("a", 0), execution("b", 1)]}))
    lists = lists_of(line, fills)
    assert await asyncio.gather(*(lists.unread_fills(SPOT, 0, never) for _ in range(3))) == ["", "", ""]
    assert ([one.trade_id for one in fills], line.sent) == (["t0", "t1"], ["/fills"])


async def test_pages_of_fills_are_read_until_the_ones_that_are_needed_are_known() -> None:
    fills = list[Fill]()
    line = Line(Listing({"/fills": [execution("a", 0), PageNeeded(Request("GET", "/fills"))]}))
    assert await lists_of(line, fills).unread_fills(SPOT, 0, lambda _: len(fills) > 1) == ""
    assert line.sent == ["/fills"] * 2
    assert "more than" in await lists_of(line, fills).unread_fills(SPOT, 0, never)


async def test_fills_of_which_a_row_can_not_be_read_are_not_all() -> None:
    line = Line(Listing({"/fills": [execution("a", 0), Undecodable("no price")]}))
    assert "no price" in await lists_of(line).unread_fills(SPOT, 0, never)


# ── what they say of an order ────────────────────────────────────────────────────────────────────────────────────


def lost(_: str) -> Outcome:
    return InDoubt("timeout")


def asked(gate: Gate) -> list[str]:
    return [one.path for one in gate.requests if one.method == "GET"]


def gate_of(client: Listing, query: Callable[[str], Outcome] = lost) -> Gate:
    answers = iter((lost, filled))
    gate = Gate()
    gate._order_client = client
    gate.answers = {"POST": lambda name: next(answers)(name), "GET": query}
    return gate


async def test_an_order_is_found_in_a_list() -> None:
    gate = gate_of(Listing({ENDED: FOUND}))
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        assert (await stage.ends("o")).state is OrderState.FILLED
    assert asked(gate)[:2] == [OPEN, ENDED]
    assert len(gate.placed) == 1


async def test_an_order_that_no_list_has_is_sent_again() -> None:
    gate = gate_of(Listing())
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        assert (await stage.ends("o")).state is OrderState.FILLED
    assert (asked(gate), len(gate.placed)) == ([OPEN, ENDED], 2)


async def test_an_order_that_longer_lists_may_have_is_queried_itself() -> None:
    gate = gate_of(Listing({ENDED: [PageNeeded(Request("GET", ENDED))]}), lambda _: NotThere("unknown"))
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        assert (await stage.ends("o")).state is OrderState.FILLED
    assert asked(gate) == [OPEN, *[ENDED] * (MAX_STATUS_PAGES - 1), "o/0/0"]


async def test_an_order_is_not_absent_where_a_row_can_not_be_read() -> None:
    client = Listing({OPEN: [Undecodable("no price")]})
    gate = gate_of(client)
    async with bench(gate=gate) as stage:
        await stage.take(place("o"))
        while asked(gate).count(ENDED) < 2:
            stage.check()
            await asyncio.sleep(0)
        assert len(gate.placed) == 1
        client.rows = {OPEN: FOUND}
        assert (await stage.ends("o")).state is OrderState.FILLED
    assert len(gate.placed) == 1
