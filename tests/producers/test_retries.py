"""What the stages try again, and when they are ready though an exchange is down."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

import producers.retries
from neuroflux.errors import MalformedFrame, Unreachable
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.client import Client
from producers.retries import ListReader, ask_until_answered, follow_each, is_set_within

REQUEST = Request("GET", "/list")


class FakeClient:
    """Fails so many times before it answers. Also its own exchange."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.sent = failures, 0

    @property
    def exchange(self) -> FakeClient:
        return self

    def instruments_requests(self) -> Sequence[Request]:
        return (REQUEST,)

    async def ask(self, request: Request) -> Answer:
        self.sent += 1
        if self.sent <= self.failures:
            raise Unreachable("x: HTTP 503")
        return Answer(request, 200, b"%d" % self.sent)


async def test_a_request_is_sent_until_it_is_answered() -> None:
    client = FakeClient(2)
    assert (await ask_until_answered(cast(Client, client), REQUEST)).body == b"3"


async def test_a_list_that_cannot_be_read_is_reported_and_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers.retries, "LIST_RETRY_SECONDS", 0.0)
    reports: list[str] = []

    def parse(answers: Sequence[Answer]) -> list[bytes]:
        if answers[0].body == b"1":
            raise MalformedFrame("no list")
        return []

    reader = ListReader(cast(Client, FakeClient()), parse, reports.append)
    assert await reader.first() == [], "an empty list was read, too"
    assert reports == ["the list of instruments: no list"]


async def test_the_stage_is_ready_when_each_exchange_was_tried_or_one_takes_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(producers.retries, "READY_SECONDS", 0.2)
    is_ready = asyncio.Event()
    monkeypatch.setattr(producers.retries, "ready", is_ready.set)

    async def follow(name: str, tried: asyncio.Event) -> None:
        if name == "up":
            tried.set()
        await asyncio.Event().wait()

    for exchanges, soon in ((("up",), True), ((), True), (("up", "down"), False)):
        is_ready.clear()
        running = asyncio.create_task(follow_each(exchanges, follow))
        assert await is_set_within(is_ready, 0.1) is soon
        assert await is_set_within(is_ready, 5.0)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
