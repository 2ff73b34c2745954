"""What an exchange outside the catalogue shows: how much code the kits leave, and that it works end to end."""

from __future__ import annotations

import ast
import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from pathlib import Path

import aiohttp
import msgspec
import pytest
from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Reject,
    Side,
    StatusKind,
    TimeInForce,
)
from neuroflux.engine.health.state import MARKET as MARKET_REQUESTS
from neuroflux.engine.health.state import REST
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Answer, Keys, Request
from neuroflux.http.client import Client
from neuroflux.records.topics import ACCOUNT_FILLS, ACCOUNT_ORDERS, BALANCES, BOOKS, MARKET_DEAD_LETTERS, QUOTES, STATUS
from neuroflux.sim.server import Served, serve
from producers.account import ExchangeAccount
from producers.market import ExchangeMarket
from tests.mintex.adapter import Mintex
from tests.mintex.dialect import VENUE, MintexDialect
from tests.neuroflux.sim.client import fault
from tests.producers.test_market import Recorder

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
NOW = 1_760_000_000_000_000


def code_lines(name: str) -> int:
    """Lines without blank ones, comments and docstrings."""
    source = (HERE / name).read_text()
    statements = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Expr)]
    strings = [one for one in statements if isinstance(one.value, ast.Constant) and isinstance(one.value.value, str)]
    prose = {line for one in strings for line in range(one.lineno, (one.end_lineno or one.lineno) + 1)}
    code = [line.strip() for number, line in enumerate(source.splitlines(), 1) if number not in prose]
    return sum(bool(line) and not line.startswith("#") for line in code)


@pytest.mark.parametrize(("name", "most"), [("adapter.py", 280), ("dialect.py", 260)])
def test_an_exchange_is_small(name: str, most: int) -> None:
    """Without blank lines, comments and docstrings; imports count."""
    assert code_lines(name) <= most


@pytest.mark.parametrize(("name", "other"), [("adapter.py", "neuroflux.sim"), ("dialect.py", "neuroflux.exchanges")])
def test_adapter_and_dialect_are_independent(name: str, other: str) -> None:
    imported = [node for node in ast.walk(ast.parse((HERE / name).read_text())) if isinstance(node, ast.ImportFrom)]
    modules = [str(one.module) for one in imported]
    assert not [one for one in modules if one.startswith((other, "tests"))]


def test_every_test_that_the_checklist_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "ADD_AN_EXCHANGE.md").read_text()))
    suites = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(named) > 20
    assert [name for name in sorted(named) if not any(f"def {name}(" in suite for suite in suites)] == []


# ── end to end ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(0, seed=1, dialects=[MintexDialect]) as server:
        yield server


@pytest.fixture
def keys(served: Served) -> Keys:
    account = served.simulation.dialects[Mintex.ID].account()
    return Keys(account.key, account.secret, passphrase=account.passphrase)


async def answer_to(served: Served, request: Request) -> Answer:
    async with aiohttp.ClientSession() as session:
        url = served.url + VENUE.path + request.path
        sent = session.request(request.method, url, data=request.body or None, headers=dict(request.headers))
        async with sent as response:
            headers = {name.lower(): value for name, value in response.headers.items()}
            return Answer(request, response.status, await response.read(), headers)


def now() -> int:
    return time.time_ns() // 1000


async def bought(served: Served, keys: Keys, number: int = 0) -> tuple[Request, Outcome]:
    """Buy 0.01 BTC, which is one contract."""
    exchange = Mintex()
    listed = [await answer_to(served, request) for request in exchange.instruments_requests()]
    instruments = exchange.listing(listed).instruments
    client = exchange.order_client(keys, instruments)
    client_id, price = client.client_order_id("test", 0, number), Decimal(99_000)
    one = next(one for one in instruments if one.symbol == "BTC/USDT")
    placement = Placement(one, client_id, Side.BUY, OrderType.MARKET, Decimal("0.01"), price, TimeInForce.IOC)
    request = client.place(placement, now())
    return request, client.outcome(await answer_to(served, request))


async def test_orders_are_sent_in_contracts_and_reported_in_coins(served: Served, keys: Keys) -> None:
    request, outcome = await bought(served, keys)
    assert msgspec.json.decode(request.body)["size"] == "1"
    assert isinstance(outcome, Ack)
    assert outcome.report.filled_quantity == Decimal("0.01")
    (order,) = served.simulation.exchange(Mintex.ID).orders.values()
    assert order.filled == Decimal("0.01")


@pytest.mark.parametrize("part", ["key", "secret", "passphrase"])
async def test_every_part_of_a_key_is_checked(served: Served, keys: Keys, part: str) -> None:
    _, outcome = await bought(served, replace(keys, **{part: "wrong"}))
    assert outcome == Reject("2001", "error 2001")


async def test_a_refused_login_is_reported(served: Served, keys: Keys) -> None:
    feed = Mintex().account_feed(replace(keys, passphrase="wrong"), ())
    (subscription,) = feed.subscriptions(now())
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(served.url + VENUE.path + subscription.path) as socket:
            for frame in subscription.frames:
                await socket.send_str(frame.decode())
            (status,) = feed.frame(await socket.receive_str(), now())
    assert (status.kind, status.detail) == (StatusKind.DISCONNECTED, "2001")  # type: ignore[union-attr]


async def test_the_passphrase_is_offered_with_the_demo_account(served: Served, keys: Keys) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.get("/sim/accounts") as answer:
        (account,) = json.loads(await answer.text())
    assert account["passphrase"] == keys.passphrase


async def test_a_bucket_that_is_full_throttles_orders_and_holds_the_client(served: Served, keys: Keys) -> None:
    exchange = Mintex()
    outcomes = [await bought(served, keys, number) for number in range(9)]
    assert {request.bucket for request, _ in outcomes} == {ORDER_BUCKET}
    probe = exchange.order_client(keys, ()).probe(now())
    answers = [await answer_to(served, probe) for _ in range(25)]
    refused = [one for one in answers if one.status == 429]
    assert probe.bucket == "account"
    assert refused
    assert exchange.usage(refused[0]).wait == 2.0
    assert exchange.usage(answers[0]).wait is None


async def test_the_client_keeps_to_the_buckets(served: Served, keys: Keys) -> None:
    """More requests than the bucket has room for are delayed, and none is refused."""
    exchange, probes = Mintex(), 25
    async with Client(exchange, served.url + VENUE.path, MARKET_REQUESTS, lambda status: None) as client:
        order_client, began = exchange.order_client(keys, ()), time.monotonic()
        for _ in range(probes):
            request = order_client.probe(client.now())
            await client.turn(request.weight, bucket=request.bucket)
            assert (await client.read(order_client.probe(client.now()))).status == 200
    assert time.monotonic() - began > 0.4


@asynccontextmanager
async def followed(served: Served) -> AsyncIterator[Recorder]:
    """The real stage of public data, with what it publishes."""
    exchange, published, tried = Mintex(), Recorder(), asyncio.Event()
    base = served.url + VENUE.path
    async with Client(exchange, base, MARKET_REQUESTS, partial(published.publish, STATUS)) as client:
        market = ExchangeMarket(exchange, published, client)
        symbols = await market.load(["BTC/USD"])
        running = asyncio.create_task(market.run(base.replace("http", "ws", 1), symbols, tried))
        try:
            yield published
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


async def test_a_book_is_subscribed_to_again_after_a_gap_on_the_same_connection(served: Served) -> None:
    async with followed(served) as published, aiohttp.ClientSession(served.url) as session:
        await published.until(lambda: published.of(BOOKS) and published.of(QUOTES))
        await fault(session, "gap", Mintex.ID, count=1)
        await published.until(lambda: StatusKind.RESYNCED in published.kinds())
        kinds = published.kinds()
    assert kinds == [StatusKind.CONNECTED, StatusKind.GAP, StatusKind.RESYNCED]
    assert not [topic for topic, *_ in published.letters if topic is MARKET_DEAD_LETTERS]


async def test_the_account_stage_publishes_what_was_traded(served: Served, keys: Keys) -> None:
    exchange, published, base = Mintex(), Recorder(), served.url + VENUE.path
    async with Client(exchange, base, REST, partial(published.publish, STATUS)) as client:
        account = ExchangeAccount(exchange, keys, published, client, ())  # type: ignore[arg-type]
        running = asyncio.create_task(account.run(base.replace("http", "ws", 1), asyncio.Event()))
        await published.until(lambda: StatusKind.CONNECTED in published.kinds() and published.of(BALANCES))
        await bought(served, keys)
        await published.until(lambda: published.of(ACCOUNT_FILLS))
        await published.until(lambda: _btc(published) != Decimal("0.5"))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert sum(one.quantity for one in published.of(ACCOUNT_FILLS)) == Decimal("0.01")
    assert published.of(ACCOUNT_ORDERS)[-1].state is OrderState.FILLED
    assert _btc(published) == served.simulation.exchange(Mintex.ID).spot.of("BTC").total
    assert StatusKind.MALFORMED not in published.kinds()


def _btc(published: Recorder) -> Decimal:
    totals: list[Decimal] = [one.total for one in published.of(BALANCES) if one.asset == "BTC"]
    return totals[-1]
