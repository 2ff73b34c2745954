"""An exchange that takes no new risk is still sent cancels at once."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from neuroflux.domain import StatusKind
from neuroflux.exchanges.kit.requests import Request
from tests.consumers.execution.test_gateway import gateway

CANCEL = Request("DELETE", "/order?origClientOrderId=nf1")


async def test_a_hold_of_new_risk_is_no_hold_and_a_cancel_is_sent_at_once() -> None:
    """A -1008 of Binance held every request for a minute, cancels and closing orders too."""
    received: list[str] = []

    async def cancelled(request: web.Request) -> web.Response:
        received.append(f"{request.method} {request.raw_path}")
        return web.Response()

    async with gateway(cancelled) as (opened, told):
        opened.hold_risk("x", 30.0, "-1008: only what reduces")
        assert opened.held("x") == 0
        assert opened.risk_held("x") == pytest.approx(30.0, abs=1.0)
        async with asyncio.timeout(5):
            await opened.call("x", lambda client, now: CANCEL)
    assert received == [f"{CANCEL.method} {CANCEL.path}"]
    limited = [(one.channel, one.detail) for one in told if one.kind is StatusKind.LIMITED]
    assert limited == [("orders", "-1008: only what reduces")]
