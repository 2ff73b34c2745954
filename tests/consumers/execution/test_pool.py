"""Orders of an account whose assets are margin together: none of what a perpetual settles in is needed."""

from __future__ import annotations

from decimal import Decimal

import pytest

from neuroflux.domain import Balance, ControlCommand, ControlKind, OrderState, Side
from neuroflux.engine.risk.limits import BALANCES_LIFE
from neuroflux.records.topics import BALANCES, CONTROL
from tests.consumers.execution.order_client_model import Bench, bench, now, place
from tests.consumers.execution.test_closing import PERPETUAL, futures, order


def credit(stage: Bench, free: str, *, pooled: bool = True, age: int = 0) -> None:
    amount, zero, at = Decimal(free), Decimal(0), now() - age
    stage.show(BALANCES, Balance("binance", "BNFCR", amount, zero, zero, amount, at, pooled=pooled), at)


@pytest.mark.parametrize(
    ("pooled", "free", "quantity", "state"),
    [
        (True, "10.2", "1", OrderState.FILLED),
        (True, "9.8", "1", OrderState.REFUSED),
        (True, "-5", "1", OrderState.REFUSED),
        (False, "1000", "1", OrderState.REFUSED),
    ],
)
async def test_other_assets_carry_a_perpetual_where_they_are_margin(
    pooled: bool, free: str, quantity: str, state: OrderState
) -> None:
    async with bench() as stage:
        futures(stage, "0", free="0")
        credit(stage, free, pooled=pooled)
        await stage.take(order(Side.BUY, quantity))
        end = await stage.ends("o")
        assert end.state is state
        assert state is OrderState.FILLED or end.reason.startswith("funds")


async def test_two_orders_share_the_pool() -> None:
    async with bench() as stage:
        futures(stage, "0", free="0")
        credit(stage, "15")
        await stage.take(order(Side.BUY, "1"))
        assert (await stage.ends("o")).state is OrderState.FILLED
        await stage.take(place("p", market=PERPETUAL.symbol, quantity=Decimal("1")))
        assert (await stage.ends("p")).reason.startswith("funds")


async def test_an_old_pool_and_the_bound_of_leverage_hold_as_for_one_asset() -> None:
    async with bench() as stage:
        futures(stage, "0", free="0")
        credit(stage, "1000", age=2 * BALANCES_LIFE)
        await stage.take(order(Side.BUY, "1"))
        assert (await stage.ends("o")).state is OrderState.REFUSED
    async with bench() as stage:
        futures(stage, "0", free="0")
        credit(stage, "50")
        stage.show(CONTROL, ControlCommand(account="binance", kind=ControlKind.LIMITS, limits={"max_leverage": 1.0}))
        await stage.take(order(Side.BUY, "1"))
        assert (await stage.ends("o")).reason.startswith("funds")
