"""Nonces of signed actions: what the simulator refuses, as the exchange does, and what executors of one key send."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

import aiohttp

from neuroflux.exchanges.hyperliquid.order_client import HyperliquidOrderClient
from neuroflux.exchanges.hyperliquid.signing import NONCE_STRIDE, Nonces
from neuroflux.exchanges.kit.requests import Keys, Request
from neuroflux.sim.server import Served


def order_clients(served: Served, rests: Sequence[int]) -> list[HyperliquidOrderClient]:
    """Order clients of one account, in independent processes."""
    account = served.simulation.dialects["hyperliquid"].account()
    return [HyperliquidOrderClient(Keys(account.address, account.secret), (), Nonces(rest)) for rest in rests]


async def refusal(session: aiohttp.ClientSession, request: Request) -> str:
    """Why an action was refused; "" where it was not."""
    async with session.post(f"/hyperliquid{request.path}", data=request.body) as answer:
        body = json.loads(await answer.text())
        return "" if body["status"] == "ok" else str(body["response"])


def now() -> int:
    return time.time_ns() // 1000


async def test_executors_that_share_a_key_sign_in_one_millisecond(served: Served) -> None:
    at = now()
    requests = [client.probe(at) for client in order_clients(served, range(NONCE_STRIDE)) for _ in range(3)]
    async with aiohttp.ClientSession(served.url) as session:
        assert [await refusal(session, request) for request in requests] == [""] * len(requests)


async def test_a_nonce_that_was_used_is_refused(served: Served) -> None:
    (client,) = order_clients(served, [0])
    request = client.probe(now())
    nonce = json.loads(request.body)["nonce"]
    async with aiohttp.ClientSession(served.url) as session:
        assert await refusal(session, request) == ""
        assert await refusal(session, request) == f"Invalid nonce: duplicate nonce {nonce}"
        assert await refusal(session, client.probe(now() + 2 * 86_400_000_000)) != ""


async def test_a_nonce_below_the_hundred_highest_is_refused(served: Served) -> None:
    """The hundred highest are kept, not the hundred last: a late one replaces no other."""
    first, second = order_clients(served, [0, 1])
    at = now()
    late, later = second.probe(at - 60_000_000), second.probe(at - 30_000_000)
    async with aiohttp.ClientSession(served.url) as session:
        assert [await refusal(session, first.probe(at)) for _ in range(99)] == [""] * 99
        assert await refusal(session, late) == ""
        assert await refusal(session, first.probe(at)) == ""
        assert (await refusal(session, late)).startswith("Invalid nonce")
        assert (await refusal(session, later)).startswith("Invalid nonce")
