"""Deposits and withdrawals are told from trades, fees, lags and new accounts, and are no profit."""

from __future__ import annotations

import itertools
from math import isclose

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import Instrument, InstrumentKind, Side
from neuroflux.engine.equity import Flow, Holding, attribution, history, profit, returns
from neuroflux.engine.flows import Exposure, Movement, flows, movements
from neuroflux.engine.performance import MINUTE, performance

NOW = 1_700_000_040_000_000
SPOT = Instrument(
    exchange="binance",
    symbol="BTC/USDC",
    market="BTC/USD",
    name="BTCUSDC",
    base="BTC",
    quote="USDC",
    kind=InstrumentKind.SPOT,
)
PERPETUAL = Instrument(
    exchange="hyperliquid",
    symbol="BTC/USDC:USDC",
    market="BTC/USD",
    name="BTC",
    base="BTC",
    quote="USDC",
    settle="USDC",
    kind=InstrumentKind.PERPETUAL,
)


def held(
    asset: str, *quantities: float, price: float = 1.0, exchange: str = "binance", start: int = 0
) -> list[Holding]:
    """Minute by minute, each told at the half of it."""
    at = [NOW + (start + number) * MINUTE for number in range(len(quantities))]
    return [
        Holding(time, exchange, asset, quantity, price, time + MINUTE // 2)
        for time, quantity in zip(at, quantities, strict=True)
    ]


def bought(minute: float, quantity: float, price: float) -> list[Movement]:
    return movements(SPOT, Side.BUY, (NOW + int(minute * MINUTE), price, quantity))


def test_a_deposit_and_a_withdrawal_are_flows_and_no_profit() -> None:
    holdings = held("USDC", 1000, 1500, 1500, 1200)
    assert flows(holdings, (), ()) == (
        [Flow(NOW + MINUTE, "binance", "USDC", 500.0), Flow(NOW + 3 * MINUTE, "binance", "USDC", -300.0)],
        [],
    )
    told = performance(holdings, {})
    assert told["performance_metrics"]["profit_usd"] == pytest.approx(0)
    assert told["performance_metrics"]["flows_usd"] == pytest.approx(200)
    assert told["performance_metrics"]["total_return"] == pytest.approx(0)
    assert told["attribution_analysis"]["total"] == pytest.approx(0)


def test_a_trade_and_its_fee_are_none() -> None:
    fee = Movement(NOW + MINUTE, "binance", "BTC", -0.001)
    holdings = held("USDC", 1000, 800) + held("BTC", 1.0, 2.999, price=100)
    assert flows(holdings, [*bought(1, 2.0, 100.0), fee], ()) == ([], [])
    (unpaid,) = flows(holdings, bought(1, 2.0, 100.0), ())[0]
    assert unpaid.asset == "BTC"
    assert unpaid.quantity == pytest.approx(-0.001)


def test_a_deposit_beside_a_trade_is_told_from_it() -> None:
    holdings = held("USDC", 1000, 950) + held("BTC", 1.0, 3.0, price=100)
    (only,) = flows(holdings, bought(1, 2.0, 100.0), ())[0]
    assert only.asset == "USDC"
    assert only.quantity == pytest.approx(150.0)


def test_a_balance_that_comes_late_is_no_flow() -> None:
    holdings = held("USDC", 1000, 1000, 800) + held("BTC", 1.0, 3.0, 3.0, price=100)
    assert flows(holdings, bought(1, 2.0, 100.0), ()) == ([], [])


def test_an_asset_that_is_new_on_a_known_exchange_was_deposited() -> None:
    holdings = held("USDC", 1000, 1000) + held("ETH", 2.0, price=10, start=1)
    assert flows(holdings, (), ())[0] == [Flow(NOW + MINUTE, "binance", "ETH", 2.0)]
    told = performance(holdings, {})["performance_metrics"]
    assert (told["profit_usd"], told["flows_usd"]) == (pytest.approx(0), pytest.approx(20))


def test_while_a_position_is_open_its_margin_can_not_be_told_and_it_is_said() -> None:
    holdings = held("USDC", 1000, 1500, 1400, 1600, exchange="hyperliquid")
    exposed = Exposure("hyperliquid", "USDC", NOW + 2 * MINUTE, NOW + 3 * MINUTE)
    found, untold = flows(holdings, (), [exposed])
    assert found == [Flow(NOW + MINUTE, "hyperliquid", "USDC", 500.0)], "before it was opened it can"
    assert untold == [("hyperliquid", "USDC")]
    told = performance(holdings, {}, (), [exposed])
    assert told["performance_metrics"]["profit_usd"] == pytest.approx(100)
    assert any(note.startswith("USDC on hyperliquid: while positions") for note in told["notes"])


def test_a_position_between_two_balances_is_known_by_its_fills() -> None:
    fill = movements(PERPETUAL, Side.BUY, (NOW + MINUTE, 100.0, 1.0))
    assert flows(held("USDC", 1000, 1010, exchange="hyperliquid"), fill, ())[0] == []


def test_a_flow_of_a_minute_without_prices_counts_in_the_next_picture() -> None:
    holdings = held("USDC", 1000, 1000, 1000) + [
        Holding(one.time, "binance", "ETH", one.quantity, price, one.told)
        for one, price in zip(held("ETH", 0.0, 2.0, 2.0), (None, None, 10.0), strict=True)
    ]
    pictures = history(holdings, flows(holdings, (), ())[0])
    assert profit(pictures) == pytest.approx(0)


steps = st.lists(st.tuples(st.floats(-50, 50), st.floats(-500, 500), st.floats(50, 150)), min_size=2, max_size=20)


@given(steps)
def test_profit_is_what_prices_made_whatever_was_traded_and_moved(moves: list[tuple[float, float, float]]) -> None:
    """Bitcoins bought at each minute's price, dollars deposited at will: the profit is the price's alone."""
    btc, cash, price = 1000.0, 1_000_000.0, 100.0
    holdings, moved, made, put = [], list[Movement](), 0.0, 0.0
    for minute, (quantity, deposit, after) in enumerate([(0.0, 0.0, 100.0), *moves]):
        made += btc * (after - price)
        btc, cash, price = btc + quantity, cash - quantity * after + deposit, after
        deposit = deposit if abs(deposit) > 0.01 else 0.0
        put += deposit
        moved += bought(minute + 0.25, quantity, after)
        holdings += held("BTC", btc, price=after, start=minute) + held("USDC", cash, start=minute)
    found, untold = flows(holdings, moved, ())
    pictures = history(holdings, found)
    lagging = any(abs(one[1] + two[1]) <= 0.01 for one, two in itertools.pairwise(moves))
    assert not untold
    if not lagging:
        assert isclose(sum(one.quantity for one in found if one.asset == "USDC"), put, abs_tol=0.1)
    total = sum(one.total for one in attribution(pictures))
    assert isclose(total, profit(pictures), abs_tol=1e-3)
    assert isclose(profit(pictures), made, abs_tol=0.05 * len(moves) + (1000 * len(moves) if lagging else 0))
    assert len(returns(pictures)) == len(moves)
