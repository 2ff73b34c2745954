"""An exchange that takes no new risk, or no new orders, is still sent cancels at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal

import pytest
from aiohttp import web

from neuroflux.domain import Ack, OrderState, OrderType, Outcome, StatusKind, Throttled
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.records.topics import EVENTS
from tests.consumers.execution.order_client_model import Gate, bench, cancel, place, report, until, working
from tests.consumers.execution.test_gateway import gateway

CANCEL = Request("DELETE", "/order?origClientOrderId=nf1")


async def test_a_hold_of_new_risk_is_no_hold_and_a_cancel_is_sent_at_once() -> None:
    """A -1008 of Binance held every request for a minute, cancels and closing orders too."""
    received: list[str] = []

    async def cancelled(request: web.Request) -> web.Response:
        received.append(f"{request.method} {request.raw_path}")
        return web.Response()

    async with gateway(cancelled) as (opened, statuses):
        opened.hold_risk("x", 30.0, "-1008: only what reduces")
        assert opened.held("x") == 0
        assert opened.risk_held("x") == pytest.approx(30.0, abs=1.0)
        async with asyncio.timeout(5):
            await opened.call("x", lambda client, now: CANCEL)
    assert received == [f"{CANCEL.method} {CANCEL.path}"]
    limited = [(one.channel, one.detail) for one in statuses if one.kind is StatusKind.LIMITED]
    assert limited == [("orders", "-1008: only what reduces")]


class Held(Gate):
    """Sends nothing while it is held; an order rests until its cancel is sent."""

    async def call(self, exchange: str, build: Callable[[OrderClient, int], Request]) -> Answer:
        await asyncio.sleep(self.hold_seconds)
        return await super().call(exchange, build)

    def until_cancelled(self, named: str) -> Outcome:
        was_cancelled = "DELETE" in [one.method for one in self.requests if one.path == named]
        return Ack(report(named, OrderState.CANCELLED if was_cancelled else OrderState.ACKNOWLEDGED))


async def test_too_many_new_orders_hold_no_cancel_of_another_order() -> None:
    """The address limit of Hyperliquid counts new orders, and cancels by themselves: they waited with the orders."""
    refused = Throttled(30.0, "Too many cumulative requests sent", orders_only=True)
    gate = Held()
    async with bench(gate=gate) as stage:
        gate.answers["POST"] = lambda named: refused if named.startswith("late") else working(named)
        for method in ("DELETE", "GET"):
            gate.answers[method] = gate.until_cancelled
        await stage.take(place("rests", type=OrderType.LIMIT, price=Decimal(90)))
        events = stage.log.records
        await until(lambda: OrderState.ACKNOWLEDGED in [one.state for topic, one in events if topic is EVENTS])
        await stage.take(place("late"))
        await until(lambda: "late/0/0" in [one.path for one in gate.requests])
        assert gate.hold_seconds == 0
        await stage.take(cancel("rests"))
        assert (await stage.ends("rests")).state is OrderState.CANCELLED
