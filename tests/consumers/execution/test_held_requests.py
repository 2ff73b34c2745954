"""Requests that the rate limits hold: an order has each of its queries and cancels pending once, however often it asks.

45 orders in doubt, queried and cancelled again every few seconds while Binance's minute was used up, filled the queue
with thousands of requests: they used up the next minutes too, and the execution was blocked for seconds at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

from neuroflux.domain import Ack, InDoubt, OrderState, OrderType
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.records.topics import EVENTS
from tests.consumers.execution.order_client_model import Gate, bench, cancel, place, report, until, working


class UsedUp(Gate):
    """The rate limit is used up until ``free`` is set; ``waiting`` are the requests that wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.free = asyncio.Event()
        self.waiting: list[str] = []

    async def call(self, exchange: str, build: Callable[[OrderClient, int], Request]) -> Answer:
        self.waiting.append(build(self.order_client(exchange), 0).method)
        await self.free.wait()
        return await super().call(exchange, build)


async def test_a_cancel_that_waits_is_not_sent_again_for_every_further_command() -> None:
    gate = UsedUp()
    async with bench(gate=gate) as stage:
        gate.answers["POST"] = working
        gate.answers["DELETE"] = gate.answers["GET"] = lambda named: Ack(report(named, OrderState.CANCELLED))
        await stage.take(place("rests", type=OrderType.LIMIT, price=Decimal(90)))
        records = stage.log.records
        await until(lambda: OrderState.ACKNOWLEDGED in [one.state for topic, one in records if topic is EVENTS])
        for _ in range(20):
            await stage.take(cancel("rests"))
        assert gate.waiting == ["DELETE"]
        gate.free.set()
        assert (await stage.ends("rests")).state is OrderState.CANCELLED


async def test_an_order_in_doubt_waits_with_one_query_and_asks_again_after_its_answer() -> None:
    gate = UsedUp()
    async with bench(gate=gate) as stage:
        gate.answers["POST"] = lambda _: InDoubt("no answer within 5 s")
        gate.answers["GET"] = lambda named: (
            Ack(report(named, OrderState.CANCELLED)) if gate.waiting.count("GET") > 1 else InDoubt("HTTP 502")
        )
        await stage.take(place("doubtful"))
        runner = await stage.executor.commands._runners.follower("doubtful")
        assert runner is not None
        await until(lambda: runner.order.attempts[0].asked >= 4)  # two of its queries were due before
        assert gate.waiting == ["GET"]
        gate.free.set()
        assert (await stage.ends("doubtful")).state is OrderState.CANCELLED
        assert gate.waiting.count("GET") == 2
