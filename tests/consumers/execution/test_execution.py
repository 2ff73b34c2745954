"""The executor on a real broker, trading with the real adapter on a fake Binance with faults and lost answers."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from aiohttp import web
from msgspec.structs import replace
from uuid_utils import uuid7

from consumers.execution import stage
from consumers.execution.journal import OPEN, Saved, decoded
from neuroflux.domain import (
    Balance,
    BookSnapshot,
    CommandKind,
    ControlCommand,
    ControlKind,
    Fill,
    Level,
    Liquidity,
    OrderCommand,
    OrderEvent,
    OrderState,
    OrderType,
    Side,
)
from neuroflux.engine.orders.state import Phase
from neuroflux.exchanges.config import ORDER_LIMITS
from neuroflux.kafka.publisher import Publisher, partition_of
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import (
    ACCOUNT_FILLS,
    BALANCES,
    BOOKS,
    COMMANDS,
    CONTROL,
    DECISIONS,
    EVENTS,
    FILLS,
    INSTRUMENTS,
    JOURNAL,
    ORDER_DEAD_LETTERS,
)
from neuroflux.runtime.settings import Settings
from tests.consumers.execution.order_client_model import SPOT

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[3]
HALT_SECONDS = 1.0
"""Within which a halt has reached every executor."""
OUTPUTS = (EVENTS, FILLS, DECISIONS, JOURNAL, ORDER_DEAD_LETTERS)
DIE_BEFORE_SENDING = """
import os, signal, sys
from consumers.execution.gateway import Gateway
real = Gateway.send
async def send(self, exchange, request, timeout):
    if request.method == "POST":
        os.kill(os.getpid(), signal.SIGKILL)
    return await real(self, exchange, request, timeout)
Gateway.send = send
"""
RUN = """
import sys
from consumers.execution import stage
from neuroflux.runtime.stage import run_stage
sys.argv = ["consumers", "execution"]
run_stage("consumers", {"execution": stage.main})
"""


class FakeBinance:
    """Takes orders and reports them. ``before`` and ``after`` may delay an answer, raise, or replace it."""

    def __init__(self) -> None:
        self.orders: dict[str, dict[str, Any]] = {}
        self.placed: list[str] = []
        self.queried: list[str] = []
        self.rests: Callable[[dict[str, str]], bool] = lambda given: self.resting
        self.resting = False
        self.reports_fills = True
        self.before: Callable[[str], Any] = lambda name: None
        self.after: Callable[[str], Any] = lambda name: None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v3/time", self.time),
            web.post("/api/v3/order", self.place),
            web.get("/api/v3/order", self.query),
            web.delete("/api/v3/order", self.cancel),
            web.get("/api/v3/myTrades", self.trades),
        ]

    async def time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": time.time_ns() // 1_000_000})

    async def place(self, request: web.Request) -> web.StreamResponse:
        given = dict(parse_qsl(request.query_string))
        name = given["newClientOrderId"]
        self.placed.append(name)
        if time.time_ns() // 1_000_000 > int(given["timestamp"]) + int(given["recvWindow"]):
            text = "Timestamp for this request is outside of the recvWindow."
            return web.json_response({"code": -1021, "msg": text}, status=400)
        early: web.StreamResponse | None = await _awaited(self.before(name))
        if early is not None:
            return early
        filled = "0" if self.rests(given) else given["quantity"]
        order = {
            "symbol": given["symbol"],
            "orderId": time.time_ns(),
            "clientOrderId": name,
            "price": given["price"],
            "origQty": given["quantity"],
            "executedQty": filled,
            "cummulativeQuoteQty": str(Decimal(filled) * 100),
            "status": "NEW" if self.rests(given) else "FILLED",
            "type": "LIMIT",
            "side": given["side"],
            "timeInForce": given["timeInForce"],
            "transactTime": time.time_ns() // 1_000_000,
        }
        self.orders[name] = order
        late: web.StreamResponse | None = await _awaited(self.after(name))
        if late is not None:
            return late
        return web.json_response({**order, "fills": self._fills(order) if self.reports_fills else []})

    def _fills(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        if order["executedQty"] == "0":
            return []
        part = {"price": "100", "qty": order["executedQty"], "commission": "0.1", "commissionAsset": "USDC"}
        return [{**part, "tradeId": order["orderId"] + 1}]

    async def query(self, request: web.Request) -> web.Response:
        name = request.query["origClientOrderId"]
        self.queried.append(name)
        if name not in self.orders:
            return web.json_response({"code": -2013, "msg": "Order does not exist."}, status=400)
        return web.json_response(self.orders[name])

    async def cancel(self, request: web.Request) -> web.Response:
        order = self.orders[request.query["origClientOrderId"]]
        order["status"] = "CANCELED"
        return web.json_response({**order, "clientOrderId": "x", "origClientOrderId": order["clientOrderId"]})

    async def trades(self, _: web.Request) -> web.Response:
        rows = [
            {"symbol": o["symbol"], "id": f["tradeId"], "orderId": o["orderId"], "time": o["transactTime"]}
            | {"isBuyer": True, "isMaker": False}
            | {key: f[key] for key in ("price", "qty", "commission", "commissionAsset")}
            for o in self.orders.values()
            for f in self._fills(o)
        ]
        return web.json_response(rows)


async def _awaited(value: Any) -> Any:
    return await value if asyncio.iscoroutine(value) else value


class World:
    """The log, the exchange, and what the executor has written so far."""

    def __init__(self, settings: Settings, codec: Codec, publisher: Publisher, exchange: FakeBinance) -> None:
        self.settings, self.codec, self.publisher, self.exchange = settings, codec, publisher, exchange
        self.entries: list[Entry] = []
        self.environment = dict(os.environ)

    async def order(self, quantity: str = "1", order_id: str = "", **how: Any) -> str:
        order_id = order_id or str(uuid7())
        given: dict[str, Any] = {"market": "NFX/USD", "quantity": Decimal(quantity)}
        await self.send(OrderCommand(order_id=order_id, kind=CommandKind.PLACE, **(given | how)))
        return order_id

    async def send(self, command: OrderCommand) -> None:
        await self.publisher.write(COMMANDS, command)

    def events(self, order_id: str) -> list[OrderEvent]:
        return [e.record for e in self.entries if e.topic is EVENTS and e.key == order_id]

    def fills(self, order_id: str) -> list[Fill]:
        return [e.record for e in self.entries if e.topic is FILLS and e.key == order_id]

    def journal(self, order_id: str) -> list[Saved]:
        ours = (e for e in self.entries if e.topic is JOURNAL and e.key == order_id)
        return [decoded(e.record.body) for e in ours if e.record.kind == OPEN]

    async def end(self, order_id: str, seconds: float = 20) -> OrderEvent:
        """The event that ends an order."""

        def last() -> OrderEvent | None:
            ended = [e for e in self.events(order_id) if e.state.final and not e.client_order_id]
            return ended[0] if ended else None

        found: OrderEvent = await until(last, seconds)
        return found

    async def reaches(self, order_id: str, state: OrderState, seconds: float = 20) -> None:
        await until(lambda: state in {event.state for event in self.events(order_id)}, seconds)

    async def live(self, ready: asyncio.Event) -> None:
        """Publish books, and read what the executor writes."""
        async with Reader(self.settings, self.codec, OUTPUTS, start="end") as reader:
            ready.set()
            async for batch in reader.batches(timeout=0.1):
                self.entries += batch
                self.publish_books()

    def publish_books(self) -> None:
        now = time.time_ns() // 1_000
        bids, asks = (Level(99.9, 500.0),), (Level(100.0, 500.0),)
        book = BookSnapshot("binance", "NFX/USDC", "NFX/USD", bids, asks, now, now, now)
        self.publisher.publish(BOOKS, book)

    async def publish_account(self) -> None:
        await self.publisher.write(INSTRUMENTS, SPOT)
        for asset, amount in (("USDC", 1_000_000), ("NFX", 10_000)):
            free = Decimal(amount)
            balance = Balance("binance", asset, free, Decimal(0), Decimal(0), free, time.time_ns() // 1_000)
            await self.publisher.write(BALANCES, balance)


async def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """Poll until the condition holds."""
    async with asyncio.timeout(seconds):
        while not (seen := condition()):  # noqa: ASYNC110  # it looks at what another task gathers
            await asyncio.sleep(0.02)
        return seen


@pytest.fixture
async def world(stack: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    fake = FakeBinance()
    application = web.Application()
    application.router.add_routes(fake.routes())
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    bounds = {name: ORDER_LIMITS[name] for name in ("max_notional_usd", "max_daily_loss_usd")}
    settings = stack.settings.model_copy(update={"exchanges": ("binance",), **bounds})
    chosen = {
        "NEUROFLUX_BINANCE_REST_URL": f"http://127.0.0.1:{runner.addresses[0][1]}",
        "NEUROFLUX_BINANCE_API_KEY": "key",
        "NEUROFLUX_BINANCE_SECRET_KEY": "secret",
        "NEUROFLUX_KAFKA": settings.kafka,
        "NEUROFLUX_REGISTRY": settings.registry,
        "NEUROFLUX_EXCHANGES": "binance",
        **{f"NEUROFLUX_{name.upper()}": str(limit) for name, limit in bounds.items()},
    }
    for name, value in chosen.items():
        monkeypatch.setenv(name, value)
    codec = await load_codec(settings)
    async with Publisher(settings, codec) as publisher:
        made = World(settings, codec, publisher, fake)
        await made.publish_account()
        reading = asyncio.Event()
        living = asyncio.create_task(made.live(reading))
        await reading.wait()
        yield made
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
    await runner.cleanup()


@asynccontextmanager
async def executor(world: World) -> AsyncIterator[None]:
    """The stage in this process, until the block is left."""
    running = asyncio.create_task(stage.main(world.settings))
    try:
        yield
        assert not running.done(), "the executor has stopped"
    finally:
        running.cancel()
        ended = await asyncio.gather(running, return_exceptions=True)
        assert isinstance(ended[0], asyncio.CancelledError), ended


@asynccontextmanager
async def process(*arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The stage in a Python process of its own, killed with -9 when the block is left."""
    running = await asyncio.create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, env=os.environ | environment)
    try:
        yield running
    finally:
        if running.returncode is None:
            running.kill()
        await running.wait()


# ── single orders ────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_market_order_is_filled_and_everything_is_published(world: World) -> None:
    async with executor(world):
        order_id = await world.order()
        end = await world.end(order_id)
    assert (end.state, end.filled_quantity, end.average_price) == (OrderState.FILLED, Decimal(1), Decimal(100))
    assert (end.exchange, end.symbol) == ("binance", "NFX/USDC")
    assert [fee.amount for fee in end.fees] == [Decimal("0.1")]
    states = [event.state.value for event in world.events(order_id)]
    assert states == ["received", "routed", "sending", "filled", "filled"]
    (fill,) = await until(lambda: world.fills(order_id))
    assert (fill.order_id, fill.quantity) == (order_id, Decimal(1))
    (sent,) = world.exchange.orders.values()
    assert (sent["timeInForce"], Decimal(sent["price"])) == ("IOC", Decimal("100.5"))
    (decision,) = await until(lambda: [e.record for e in world.entries if e.topic is DECISIONS and e.key == order_id])
    assert decision.causes[0].topic == BOOKS.name
    assert decision.candidates[0].exchange == "binance"


async def test_on_a_real_exchange_an_order_is_small_until_another_limit_is_set(world: World) -> None:
    world.settings = world.settings.model_copy(update={"max_notional_usd": None})
    async with executor(world):
        end = await world.end(await world.order("2"))
    assert (end.state, world.exchange.orders) == (OrderState.REFUSED, {})
    assert "above the limit of 100.00 USD" in end.reason


async def test_the_intent_is_in_the_journal_before_the_order_reaches_the_exchange(world: World) -> None:
    journalled: list[Phase] = []

    async def look(name: str) -> None:
        """Read the journal while the exchange has not answered."""
        async with Reader(world.settings, world.codec, (JOURNAL,), start="beginning") as reader:
            async for batch in reader.batches():
                for entry in batch:
                    if entry.record.kind == OPEN:
                        attempts = decoded(entry.record.body).order.attempts
                        journalled.extend(a.phase for a in attempts if a.client_order_id == name)
                if await reader.caught_up():
                    return

    world.exchange.before = look
    async with executor(world):
        assert (await world.end(await world.order())).state is OrderState.FILLED
    assert journalled == [Phase.SENDING]


async def test_the_same_command_twice_is_one_order(world: World) -> None:
    order_id = str(uuid7())
    command = OrderCommand(order_id=order_id, kind=CommandKind.PLACE, market="NFX/USD", quantity=Decimal(1))
    async with executor(world):
        await world.send(command)
        await world.send(command)
        await world.end(order_id)
        await world.send(command)
        await world.end(await world.order())
    assert len(world.exchange.placed) == 2
    assert [e.state for e in world.events(order_id)].count(OrderState.RECEIVED) == 1


async def test_many_orders_do_not_wait_for_one_another(world: World) -> None:
    slow = asyncio.Event()

    async def first_waits(name: str) -> None:
        if name == world.exchange.placed[0]:
            await slow.wait()

    world.exchange.after = first_waits
    async with executor(world):
        first = await world.order("2")
        await until(lambda: world.exchange.placed)
        others = [await world.order() for _ in range(30)]
        for order_id in others:
            assert (await world.end(order_id)).state is OrderState.FILLED
        assert not [e for e in world.events(first) if e.state.final]
        slow.set()
        await world.end(first)
    assert len(world.exchange.placed) == 31


async def test_an_invalid_command_is_refused_or_a_dead_letter(world: World) -> None:
    async with executor(world):
        nothing = await world.order("0")
        unknown = await world.order(market="NOPE/USD")
        pair = str(uuid7())
        await world.send(OrderCommand(order_id=pair, kind=CommandKind.PAIR))
        world.publisher.publish_raw(COMMANDS, b"odd", b"this is no Avro")
        assert (await world.end(nothing)).reason.startswith("quantity: 0 is not above 0")
        assert (await world.end(unknown)).reason == "symbol: nothing trades 'NOPE/USD'"
        assert (await world.end(pair)).reason == "legs: a pair has two, one bought and one sold"
        letters = await until(lambda: [e for e in world.entries if e.topic is ORDER_DEAD_LETTERS and e.key == "odd"])
    assert letters[0].raw == b"this is no Avro"
    headers = dict(letters[0].headers)
    assert headers["topic"] == b"orders.commands"
    assert headers["reason"]
    assert {"partition", "offset"} <= set(headers)
    assert not world.exchange.placed


async def test_a_command_that_was_not_taken_for_an_hour_is_not_carried_out(world: World) -> None:
    old = OrderCommand(order_id=str(uuid7()), kind=CommandKind.PLACE, market="NFX/USD", quantity=Decimal(1))
    fresh = replace(old, order_id=str(uuid7()))
    an_hour_ago = time.time_ns() // 1_000_000 - 3_600_000
    raw = world.codec.encode(COMMANDS, old)
    world.publisher.publish_raw(COMMANDS, old.order_id.encode(), raw, at=an_hour_ago)
    await world.send(fresh)
    async with executor(world):
        late = re.match(r"late: it was sent (3,6\d\d\.\d) s ago", (await world.end(old.order_id)).reason)
        assert late
        assert 3_600 <= float(late[1].replace(",", "")) <= time.time() - an_hour_ago / 1_000 + 0.1, "rounded"
        assert (await world.end(fresh.order_id)).state is OrderState.FILLED
    assert len(world.exchange.placed) == 1


async def test_a_resting_order_is_cancelled(world: World) -> None:
    world.exchange.resting = True
    async with executor(world):
        order_id = await world.order(type=OrderType.LIMIT, price=Decimal(90))
        await world.reaches(order_id, OrderState.ACKNOWLEDGED)
        await world.send(OrderCommand(order_id=order_id, kind=CommandKind.CANCEL, issued_by="me"))
        end = await world.end(order_id)
        assert (end.state, end.reason) == (OrderState.CANCELLED, "cancelled by me")
        await world.send(OrderCommand(order_id=order_id, kind=CommandKind.CANCEL))
        await until(lambda: any(e.reason.startswith("nothing to cancel") for e in world.events(order_id)))
        unknown_id = str(uuid7())
        await world.send(OrderCommand(order_id=unknown_id, kind=CommandKind.CANCEL))
        assert (await world.end(unknown_id)).state is OrderState.REFUSED


async def test_a_halt_cancels_what_is_open_and_refuses_what_is_new(world: World) -> None:
    world.exchange.resting = True
    async with executor(world):
        open_one = await world.order(type=OrderType.LIMIT, price=Decimal(90))
        await world.reaches(open_one, OrderState.ACKNOWLEDGED)
        began = time.monotonic()
        await world.publisher.write(CONTROL, ControlCommand(kind=ControlKind.HALT, why="test"))
        assert (await world.end(open_one)).state is OrderState.CANCELLED
        assert time.monotonic() - began < HALT_SECONDS
        assert (await world.end(await world.order())).reason == "halted: test"
    async with executor(world):
        assert (await world.end(await world.order())).reason == "halted: test", "also after a restart"
        await world.publisher.write(CONTROL, ControlCommand(kind=ControlKind.RESUME))
        world.exchange.resting = False

        async def fills_again() -> bool:
            return (await world.end(await world.order())).state is OrderState.FILLED

        await until_true(fills_again)


def one_of_each_partition() -> list[str]:
    """Order ids, of which each partition of the commands has one: so each executor that shares them has some."""
    found: dict[int, str] = {}
    while len(found) < COMMANDS.partitions:
        order_id = str(uuid7())
        found.setdefault(partition_of(order_id.encode(), COMMANDS.partitions), order_id)
    return list(found.values())


async def test_a_halt_reaches_every_executor_also_one_that_starts_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Two share the partitions; a third one starts during the halt, and the partitions are rebalanced."""
    world.exchange.resting = True
    async with executor(world), executor(world):
        resting = one_of_each_partition()
        for one in resting:
            await world.order(order_id=one, type=OrderType.LIMIT, price=Decimal(90))
            await world.reaches(one, OrderState.ACKNOWLEDGED)
        began = time.monotonic()
        await world.publisher.write(CONTROL, ControlCommand(kind=ControlKind.HALT, why="test"))
        try:
            assert {(await world.end(one)).state for one in resting} == {OrderState.CANCELLED}
            assert time.monotonic() - began < HALT_SECONDS
            sent = len(world.exchange.placed)
            caplog.set_level(logging.INFO, "consumers.execution.executor")
            async with executor(world):
                await until(lambda: all_claimed(caplog.messages, among=3))
                late = one_of_each_partition()
                for one in late:
                    await world.order(order_id=one)
                assert {(await world.end(one)).reason for one in late} == {"halted: test"}
        finally:
            await world.publisher.write(CONTROL, ControlCommand(kind=ControlKind.RESUME))
    assert len(world.exchange.placed) == sent


def all_claimed(messages: Sequence[str], *, among: int) -> bool:
    """Whether so many executors share all partitions now; their claims may follow claims before a rebalance."""
    claims = [re.findall(r"\d+", text.partition("with")[0]) for text in messages if text.startswith("claimed")][-among:]
    every = [str(partition) for partition in range(COMMANDS.partitions)]
    return len(claims) == among and all(claims) and sorted(chain.from_iterable(claims)) == every


async def until_true(attempt: Callable[[], Any], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await attempt():
            pass


async def test_fills_are_read_from_the_private_stream_or_queried(world: World) -> None:
    world.exchange.reports_fills = False
    async with executor(world):
        order_id = await world.order()
        end = await world.end(order_id)
        assert (end.state, end.average_price) == (OrderState.FILLED, Decimal(100))
        (ours,) = await until(lambda: world.fills(order_id))
        zero = Decimal(0)
        where = ("", "binance", "NFX/USDC", "someone", "4711", str(uuid7()), Side.BUY)
        others = Fill(*where, Decimal(1), Decimal(1), zero, "USDC", Liquidity.MAKER, 1)
        await world.publisher.write(ACCOUNT_FILLS, replace(ours, order_id=""))
        await world.publisher.write(ACCOUNT_FILLS, others)
        await world.publisher.write(ACCOUNT_FILLS, others)
        await until(lambda: world.fills(""))
        await asyncio.sleep(1)
    assert [fill.trade_id for fill in world.fills("")] == [others.trade_id]
    assert len(world.fills(order_id)) == 1


# ── in doubt ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_an_order_whose_answer_is_lost_is_queried_and_not_sent_again(world: World) -> None:
    async def silence(_: str) -> None:
        await asyncio.sleep(30)

    world.exchange.after = silence
    async with executor(world):
        order_id = await world.order()
        end = await world.end(order_id, 30)
    assert end.state is OrderState.FILLED
    assert len(world.exchange.placed) == 1
    assert world.exchange.queried == world.exchange.placed
    assert OrderState.IN_DOUBT in {event.state for event in world.events(order_id)}
    assert len(await until(lambda: world.fills(order_id))) == 1


async def test_an_order_that_never_arrived_is_sent_again_under_another_id(world: World) -> None:
    async def first_is_lost(_: str) -> web.Response | None:
        lost = len(world.exchange.placed) == 1
        return web.Response(status=503, text="Unknown error, please check your request") if lost else None

    world.exchange.before = first_is_lost
    async with executor(world):
        order_id = await world.order()
        end = await world.end(order_id, 30)
    assert end.state is OrderState.FILLED
    assert len(set(world.exchange.placed)) == 2
    assert len(world.exchange.orders) == 1


async def test_an_order_refused_for_rate_is_sent_later(world: World) -> None:
    async def first_too_many(_: str) -> web.Response | None:
        once = len(world.exchange.placed) == 1
        body = {"code": -1003, "msg": "Too many requests."}
        return web.json_response(body, status=429, headers={"Retry-After": "1"}) if once else None

    world.exchange.before = first_too_many
    async with executor(world):
        assert (await world.end(await world.order())).state is OrderState.FILLED
    assert len(set(world.exchange.placed)) == 1


# ── kill -9 ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_killed_between_intent_and_send(world: World) -> None:
    async with process("-c", DIE_BEFORE_SENDING + RUN) as dying:
        order_id = await world.order()
        async with asyncio.timeout(30):
            assert await dying.wait() == -9

    def last_phase() -> list[Phase]:
        return [attempt.phase for saved in world.journal(order_id)[-1:] for attempt in saved.order.attempts]

    await until(lambda: last_phase() == [Phase.SENDING])
    assert not world.exchange.placed
    async with executor(world):
        end = await world.end(order_id, 60)
    assert end.state is OrderState.FILLED
    assert world.exchange.queried[0] not in world.exchange.orders, "queried first, and then sent under another id"
    assert len(world.exchange.placed) == len(world.exchange.orders) == 1
    assert len(await until(lambda: world.fills(order_id))) == 1


async def test_killed_between_send_and_answer(world: World) -> None:
    async def hold(_: str) -> None:
        await asyncio.sleep(30)

    world.exchange.after = hold
    async with process("-c", RUN):
        order_id = await world.order()
        await until(lambda: world.exchange.orders, 30)
    world.exchange.after = lambda name: None
    async with executor(world):
        end = await world.end(order_id, 60)
    assert end.state is OrderState.FILLED
    assert len(world.exchange.placed) == 1
    states = [event.state.value for event in world.events(order_id)]
    assert states == ["received", "routed", "sending", "in_doubt", "working", "filled", "filled"]


@pytest.mark.long
async def test_killed_again_and_again_nothing_is_lost_or_sent_twice(world: World) -> None:
    orders: list[str] = []
    for delay in (0.0, 0.05, 0.2):
        async with process("-c", RUN):
            orders += [await world.order() for _ in range(10)]
            await world.reaches(orders[-10], OrderState.RECEIVED, 40)
            await asyncio.sleep(delay)
    async with executor(world):
        ends = [await world.end(order_id, 60) for order_id in orders]
    assert {end.state for end in ends} == {OrderState.FILLED}
    assert len(world.exchange.orders) == len(orders)
    for order_id in orders:
        await until(partial(world.fills, order_id))  # another topic: it may be read a moment later
    for order_id in orders:
        assert len(world.fills(order_id)) == 1
        events = [(e.state, e.client_order_id, e.event_time) for e in world.events(order_id)]
        assert len(events) == len(set(events))
        assert [e.state for e in world.events(order_id)].count(OrderState.RECEIVED) == 1
