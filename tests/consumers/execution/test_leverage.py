"""Setting the leverage: once before an order that opens a position, and only as long as its decision is valid; an order
that was halted meanwhile is not sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from neuroflux.domain import ControlCommand, ControlKind, Instrument, OrderCommand, OrderState, Side
from neuroflux.engine.orders.state import Order
from neuroflux.errors import Unreachable
from neuroflux.exchanges.kit.interface import OrderClient
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.records.topics import CONTROL
from tests.consumers.execution.order_client_model import Bench, FakeOrderClient, Gate, bench, place, until
from tests.consumers.execution.test_closing import PERPETUAL, futures


class LeverageClient(FakeOrderClient):
    def leverage(self, instrument: Instrument, leverage: int, now: int) -> Request:
        return Request("PUT", f"{instrument.symbol}/{leverage}")

    def refusal(self, answer: Answer) -> str:
        return ""


class SlowLeverage(Gate):
    """Answers requests for leverage once ``may_answer`` is set, or fails then."""

    def __init__(self) -> None:
        super().__init__()
        self._order_client = LeverageClient()
        self.may_answer, self.fails = asyncio.Event(), False

    @property
    def leverage_requests(self) -> list[str]:
        return [one.path for one in self.requests if one.method == "PUT"]

    async def call(self, exchange: str, build: Callable[[OrderClient, int], Request]) -> Answer:
        answer = await super().call(exchange, build)
        if answer.request.method == "PUT":
            await self.may_answer.wait()
            if self.fails:
                raise Unreachable("no answer within 10 s")
        return answer


def levered(stage: Bench, held: str = "0", leverage: float = 10.0) -> None:
    futures(stage, held, free="1000")
    limits = ControlCommand(account="binance", kind=ControlKind.LIMITS, limits={"leverage": leverage})
    stage.show(CONTROL, limits)


def order(order_id: str = "o", side: Side = Side.BUY) -> OrderCommand:
    return place(order_id, market=PERPETUAL.symbol, side=side)


@pytest.mark.parametrize("account", ["*", "binance"])
async def test_an_order_halted_while_the_leverage_is_set_is_not_sent(account: str) -> None:
    gate = SlowLeverage()
    async with bench(gate=gate) as stage:
        levered(stage)
        await stage.begin(order())
        await until(lambda: gate.leverage_requests)
        stage.show(CONTROL, ControlCommand(account=account, kind=ControlKind.HALT, why="stop"))
        gate.may_answer.set()
        end = await stage.ends("o")
        assert (end.state, end.reason, gate.placed) == (OrderState.CANCELLED, "halted: stop", [])


@pytest.mark.parametrize("held", ["1", "3"])
async def test_an_order_that_reduces_does_not_wait_for_the_leverage(held: str) -> None:
    gate = SlowLeverage()
    async with bench(gate=gate) as stage:
        levered(stage, held)
        await stage.take(order(side=Side.SELL))
        assert (len(gate.placed), gate.leverage_requests) == (1, [])


async def test_an_order_waits_for_the_leverage_for_a_bounded_time_and_the_request_continues(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("consumers.execution.leverage.WITHIN", 0.01)
    gate = SlowLeverage()
    async with bench(gate=gate) as stage:
        levered(stage)
        for number in range(3):
            await stage.take(order(f"o{number}"))
        assert len(gate.placed) == 3
        assert gate.leverage_requests == ["NFX/USDC:USDC/10"], "one request serves all that wait for it"
        gate.may_answer.set()
        await asyncio.sleep(0)
        await stage.take(order("later"))
        assert len(gate.leverage_requests) == 1


async def test_a_leverage_that_was_not_set_is_requested_with_the_next_order() -> None:
    gate = SlowLeverage()
    gate.fails = True
    gate.may_answer.set()
    async with bench(gate=gate) as stage:
        levered(stage)
        for number in range(2):
            await stage.take(order(f"o{number}"))
        assert (len(gate.placed), len(gate.leverage_requests)) == (2, 2)


async def test_an_order_that_is_decided_again_does_not_request_the_leverage_again() -> None:
    gate = SlowLeverage()
    gate.fails = True
    gate.may_answer.set()
    async with bench(gate=gate) as stage:
        levered(stage)
        await stage.take(order())
        await stage.ends("o")
        again = await stage.executor.decisions.redecide(last(stage, "o"))
        assert [leg.instrument for leg in again.legs] == [PERPETUAL]
        assert len(gate.leverage_requests) == 1


def last(stage: Bench, order_id: str) -> Order:
    kept = stage.journal.last(order_id)
    assert kept is not None
    return kept.order
