"""No command stops the stage: an invalid one becomes a dead letter and an event, and the others continue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, cast

import pytest
from msgspec.structs import replace

from consumers.execution.runner import Runner
from neuroflux.domain import (
    Ack,
    CommandKind,
    CommandLeg,
    Fill,
    OrderCommand,
    OrderState,
    OrderType,
    Outcome,
    Requirements,
    Side,
)
from neuroflux.engine.orders.inputs import CancelRequested, Ticked
from neuroflux.errors import UsageError
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from tests.consumers.execution.order_client_model import (
    Bench,
    Gate,
    bench,
    cancel,
    filled,
    place,
    report,
    until,
    working,
)

HUGE = "x" * 200_000
LEG = CommandLeg("binance", "NFX/USDC", Side.BUY, Decimal("0.01"))
NAN = float("nan")
ODD = [
    place("odd", legs=(LEG,)),
    place("odd", legs=(LEG, LEG)),
    replace(place("odd"), kind=CommandKind.PAIR, legs=(LEG, LEG)),
    replace(place("odd"), kind=CommandKind.PAIR),
    replace(place("odd"), kind=CommandKind.REBALANCE),
    replace(place("odd"), kind=CommandKind.REBALANCE, legs=(LEG, LEG)),
    place("odd", legs=(LEG,) * 10_000),
    place("odd", market=HUGE),
    place("odd", strategy=HUGE),
    place("odd", exchange=HUGE),
    place("odd", issued_by=HUGE),
    place("odd", requirements=Requirements(max_slippage=NAN)),
    place("odd", price=Decimal(1)),
    place("odd", quantity=Decimal(10) ** 19),
    place("odd", type=OrderType.LIMIT, price=Decimal(10) ** 19),
    replace(cancel("odd"), issued_by=HUGE),
    replace(place("odd"), kind=CommandKind.PAIR, legs=(LEG, replace(LEG, side=Side.SELL)), min_profit=NAN),
]


@pytest.mark.parametrize("command", ODD, ids=range(len(ODD)))
async def test_an_invalid_command_is_refused_with_its_reason(command: OrderCommand) -> None:
    async with bench() as stage:
        await stage.take(command)
        end = await stage.ends("odd")
        assert end.state is OrderState.REFUSED
        assert 0 < len(end.reason) < 1_100
        await stage.take(place("good"))
        assert (await stage.ends("good")).state is OrderState.FILLED


@pytest.mark.parametrize("order_id", ["", HUGE, "a\nb", "#claim"])
async def test_a_command_without_a_usable_id_is_a_dead_letter(order_id: str) -> None:
    async with bench() as stage:
        for command in (place(order_id), cancel(order_id)):
            await stage.take(command)
        assert [headers["reason"][:8] for _, headers in stage.log.letters] == [b"order_id"] * 2
        assert not stage.log.events(order_id)
        await stage.take(place("good"))
        assert (await stage.ends("good")).state is OrderState.FILLED


def cancelled(named: str) -> Outcome:
    return Ack(report(named, OrderState.CANCELLED))


def fill_of(named: str) -> Fill:
    """All of a unit."""
    outcome = filled(named)
    assert isinstance(outcome, Ack)
    return outcome.fills[0]


def raising(error: Exception) -> Any:
    def function(*_: Any, **__: Any) -> Awaitable[None]:
        raise error

    return function


@pytest.mark.parametrize("where", ["decider.decide", "leverages.ensure", "decider.fault", "decider.warm"])
async def test_a_command_that_raises_before_its_order_began(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as stage:
        with monkeypatch.context() as patch:
            patch.setattr(f"consumers.execution.{_CLASSES[where]}", raising(KeyError(Side.SELL)))
            await stage.take(place("odd"))
        assert "KeyError" in (await stage.ends("odd")).reason
        assert [headers["offset"] for _, headers in stage.log.letters] == [b"0"]
        await stage.take(place("good"))
        assert (await stage.ends("good")).state is OrderState.FILLED


_CLASSES = {
    "decider.decide": "decider.Decider.decide",
    "leverages.ensure": "leverage.Leverages.ensure",
    "decider.fault": "decider.Decider.fault",
    "decider.warm": "decider.Decider.warm",
}


async def test_a_command_whose_records_kafka_does_not_take() -> None:
    async with bench() as stage:
        stage.log.most_in_journal = 50
        await stage.take(place("odd"))
        assert (await stage.ends("odd")).reason.startswith("fault: TooLarge")
        assert len(stage.log.letters) == 1
        assert not stage.gate.requests
        stage.log.most_in_journal = 1_000_000
        await stage.take(place("good"))
        assert (await stage.ends("good")).state is OrderState.FILLED


async def test_an_order_that_raises_is_cancelled_and_reported_and_the_others_continue(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as stage:
        stage.gate.answers |= {"POST": working, "DELETE": working, "GET": working}
        await stage.take(place("odd", type=OrderType.LIMIT, price=Decimal(90)))
        await until(lambda: any(r.path == "odd/0/0" for r in stage.gate.requests))
        runner = stage.executor.orders.runners["odd"]
        with monkeypatch.context() as patch:
            patch.setattr("consumers.execution.runner.step", raising(UsageError("no room")))
            await runner.settle(CancelRequested("now"))
        await until(lambda: "odd" not in stage.executor.orders.runners)
        assert [r.method for r in stage.gate.requests if r.path == "odd/0/0"][-1] == "DELETE"
        assert stage.log.events("odd")[-1].reason.startswith("fault: UsageError")
        assert len(stage.log.letters) == 1
        stage.gate.answers["POST"] = filled
        await stage.take(place("good"))
        assert (await stage.ends("good")).state is OrderState.FILLED


class Slow(Gate):
    """Answers a cancel once ``may_answer`` is set; ``cancelling`` is set when one was requested."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer, self.cancelling = asyncio.Event(), asyncio.Event()
        self.answers = {"POST": working, "DELETE": working, "GET": working}

    async def call(self, exchange: str, build: Callable[[OrderClient, int], Request]) -> Answer:
        answer = await super().call(exchange, build)
        if answer.request.method == "DELETE":
            self.cancelling.set()
            await self.may_answer.wait()
        return answer


@asynccontextmanager
async def set_aside(
    monkeypatch: pytest.MonkeyPatch, *, by_a_cancel: bool = False
) -> AsyncIterator[tuple[Bench, Runner]]:
    """A bench whose order raised and is being set aside, which takes until its exchange may answer."""
    gate = Slow()
    async with bench(gate=gate) as stage:
        await stage.take(place("odd", type=OrderType.LIMIT, price=Decimal(90)))
        runner = stage.executor.orders.runners["odd"]
        await until(lambda: runner.order.attempts[0].exchange_order_id)
        with monkeypatch.context() as patch:
            patch.setattr("consumers.execution.runner.step", raising(UsageError("no room")))
            if by_a_cancel:
                await stage.begin(cancel("odd"))
            else:
                runner.enqueue(Ticked())
            await gate.cancelling.wait()
        yield stage, runner


async def test_a_cancel_of_an_order_that_is_being_set_aside_waits_for_that_and_ends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with set_aside(monkeypatch) as (stage, first):
        for _ in range(2):
            await stage.begin(cancel("odd"))
        await asyncio.sleep(0.01)
        assert stage.executor.orders.runners["odd"] is first, "an order has one runner"
        stage.gate.answers["GET"] = cancelled
        cast(Slow, stage.gate).may_answer.set()
        assert (await stage.ends("odd")).state is OrderState.CANCELLED
        await until(lambda: "odd" not in stage.executor.orders.runners)
        assert len(stage.log.letters) == 1


async def test_a_cancel_that_raises_is_done_when_the_order_was_set_aside(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with set_aside(monkeypatch, by_a_cancel=True) as (stage, _):
        stage.gate.answers["GET"] = cancelled
        cast(Slow, stage.gate).may_answer.set()
        assert (await stage.ends("odd")).state is OrderState.CANCELLED


async def test_a_fill_of_an_order_that_is_being_set_aside_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    async with set_aside(monkeypatch) as (stage, _):
        stage.executor.matching.take(fill_of("odd/0/0"))
        cast(Slow, stage.gate).may_answer.set()
        assert (await stage.ends("odd")).state is OrderState.FILLED


# ── ids that were used before, and cancels that arrive first ─────────────────────────────────────────────────────


async def test_the_same_command_again_changes_nothing_and_another_under_its_id_is_reported() -> None:
    async with bench() as stage:
        first = place("one")
        await stage.take(first)
        await stage.ends("one")
        before = len(stage.log.events("one"))
        await stage.take(replace(first, issued_at=first.issued_at + 5))
        assert (len(stage.log.events("one")), stage.log.letters) == (before, [])
        await stage.take(place("one", side=Side.SELL, quantity=Decimal(2)))
        assert stage.log.letters[0][1]["reason"].startswith(b"another command has this order")
        last = stage.log.events("one")[-1]
        assert (last.state, last.side, last.filled_quantity) == (OrderState.FILLED, Side.BUY, Decimal(1))
        assert last.reason.startswith("not this order's: another command has this order_id")
        assert len(stage.gate.placed) == 1


async def test_a_cancel_that_arrives_before_its_order_counts_also_after_a_restart() -> None:
    async with bench() as stage:
        await stage.begin(cancel("early"))
        await stage.take(place("early"))
        end = await stage.ends("early")
        assert not stage.gate.placed
        assert (end.state, stage.log.events("early")[-1].reason) == (
            OrderState.REFUSED,
            "cancelled: cancelled, before it came",
        )
        await stage.take(cancel("later"))
    async with bench(stage.log) as again:
        await again.take(place("later"))
        assert again.log.events("later")[-1].reason == "cancelled: cancelled, before it came"
        await again.take(place("good"))
        assert (await again.ends("good")).state is OrderState.FILLED


async def test_a_cancel_is_remembered_no_longer_than_a_command_is_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bench() as stage:
        with monkeypatch.context() as patch:
            patch.setattr("consumers.execution.journal.wall", lambda: 0)
            await stage.take(cancel("old"))
        await stage.take(place("old"))
        await until(lambda: len(stage.gate.placed) == 1)
