"""A round of requests to a private feed is sent no faster than the limits of its requests allow."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import cast

from aiohttp import web

from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.interface import Feed
from neuroflux.exchanges.kit.requests import Answer, DecayingCounter, Request, WeightRate
from neuroflux.http.budget import Urgency
from producers.account_round import AccountRound
from tests.neuroflux.http.test_client import READ, connected

MOST, SECONDS = 5, 1
"""A fifth of the limit is kept for what is urgent."""


class Reader:
    def answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return [Ignored("answer")]


async def test_a_round_that_is_heavier_than_its_bucket_is_sent_in_portions() -> None:
    """OKX allows 5 requests for fees in 2 s: 20 at once were refused every 30 s, and no rate was known."""
    times, fees = list[float](), Request("GET", READ.path, bucket="fees")

    async def counted(_: web.Request) -> web.Response:
        times.append(time.monotonic())
        return web.Response()

    async with connected(counted, {"fees": WeightRate(MOST, SECONDS)}) as (client, _):
        answers = await AccountRound(client, cast(Feed, Reader())).all(lambda now: [fees] * (MOST + 1))
    assert len(answers.events) == len(times) == MOST + 1
    assert not answers.partial
    for first, last in zip(times, times[MOST:], strict=False):
        assert last - first >= 0.95 * SECONDS


async def test_a_round_that_is_heavier_than_a_counter_waits_for_a_full_one_and_is_sent_at_once() -> None:
    """The first round on Kraken weighs 5 where its share holds 3: its last request would wait for 20 s."""
    sent = list[float]()

    async def counted(_: web.Request) -> web.Response:
        sent.append(time.monotonic())
        return web.Response()

    async with connected(counted, {"polling": DecayingCounter(4, 0.01)}) as (client, _):
        polled = Request("GET", READ.path, bucket="polling")
        await AccountRound(client, cast(Feed, Reader())).all(lambda now: [polled] * (MOST + 1))
        assert not client.try_turn(1, Urgency.FIRST, "polling")
    assert len(sent) == MOST + 1
