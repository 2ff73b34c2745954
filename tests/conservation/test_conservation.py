"""Some seeds of the conservation run, and its ledger."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.domain import Fill, Instrument, InstrumentKind, Liquidity, Side
from tests.conservation.ledger import expected
from tests.conservation.run import conserve

SEEDS = range(1, 7)
PERPETUAL = Instrument(
    exchange="a",
    symbol="X/USDC:USDC",
    market="X/USD",
    name="X",
    base="X",
    quote="USDC",
    settle="USDC",
    kind=InstrumentKind.PERPETUAL,
)
FILL = Fill(
    order_id="",
    exchange="a",
    symbol="X/USDC:USDC",
    client_order_id="",
    exchange_order_id="1",
    trade_id="1",
    side=Side.BUY,
    price=Decimal(100),
    quantity=Decimal(2),
    fee=Decimal("0.5"),
    fee_asset="USDC",
    liquidity=Liquidity.TAKER,
    event_time=1,
)


@pytest.mark.parametrize("seed", SEEDS)
async def test_the_account_is_conserved(seed: int) -> None:
    outcome = await conserve(seed)
    assert outcome.faults == []
    assert outcome.fills > 10
    assert outcome.funded > 0
    assert outcome.samples == 5


def test_a_purchase_is_no_profit_and_a_sale_realises_one() -> None:
    sold = replace(FILL, side=Side.SELL, price=Decimal(110), quantity=Decimal(3), trade_id="2", event_time=2)
    moved, held = expected([sold, FILL], {("a", "X/USDC:USDC"): PERPETUAL})
    assert moved["a", "USDC"] == Decimal(20) - Decimal(1), "two closed at 10 each, and two fees"
    assert (held["a", "X/USDC:USDC"].quantity, held["a", "X/USDC:USDC"].entry) == (Decimal(-1), Decimal(110))


def test_of_a_trade_of_the_account_with_itself_the_taker_is_settled_first() -> None:
    bought = replace(FILL, price=Decimal(110), trade_id="2", event_time=2, liquidity=Liquidity.MAKER)
    sold = replace(bought, side=Side.SELL, liquidity=Liquidity.TAKER)
    moved, held = expected([bought, FILL, sold], {("a", "X/USDC:USDC"): PERPETUAL})
    assert moved["a", "USDC"] == Decimal(20) - Decimal("1.5"), "two closed at 10 each, and three fees"
    assert (held["a", "X/USDC:USDC"].quantity, held["a", "X/USDC:USDC"].entry) == (Decimal(2), Decimal(110))


def test_the_movements_of_a_spot_trade() -> None:
    spot = replace(PERPETUAL, kind=InstrumentKind.SPOT, settle="")
    moved, _ = expected([replace(FILL, fee_asset="X")], {("a", "X/USDC:USDC"): spot})
    assert moved == {("a", "X"): Decimal("1.5"), ("a", "USDC"): Decimal(-200)}
