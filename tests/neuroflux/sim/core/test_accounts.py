"""What the ledgers hold: locks, positions, margin, profit and funding."""

from __future__ import annotations

from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.accounts import ZERO, PerpetualLedger, Position, SpotLedger

BTCUSDT = next(listing for listing in venues()["binance"].listings if listing.symbol == "BTCUSDT")
PERPETUAL = next(listing for listing in venues()["binanceusdm"].listings if listing.symbol == "BTCUSDT")


def perpetual(mark: D = D(100)) -> PerpetualLedger:
    return PerpetualLedger({"USDT": D(1000)}, lambda _: mark)


def test_a_lock_moves_an_amount_and_returns_it() -> None:
    ledger = SpotLedger({"USDT": D(100)})
    ledger.lock("USDT", D(30))
    assert (ledger.of("USDT").free, ledger.of("USDT").locked) == (D(70), D(30))
    ledger.unlock("USDT", D(30))
    assert (ledger.of("USDT").free, ledger.of("USDT").locked) == (D(100), ZERO)


def test_a_purchase_below_its_limit_returns_the_difference() -> None:
    ledger = SpotLedger({"USDT": D(100)})
    ledger.lock("USDT", D(50))
    assert ledger.trade(BTCUSDT, "buy", D(1), D(40), D(50)) == D(1)
    assert (ledger.of("USDT").free, ledger.of("USDT").locked, ledger.of("BTC").free) == (D(60), ZERO, D(1))


def test_a_sale_pays_in_the_quote_asset() -> None:
    ledger = SpotLedger({"BTC": D(2)})
    ledger.lock("BTC", D(1))
    assert ledger.trade(BTCUSDT, "sell", D(1), D(40), D(1)) == D(40)
    assert (ledger.of("BTC").total, ledger.of("USDT").free) == (D(1), D(40))


def test_a_position_through_its_life() -> None:
    position = Position()
    assert position.trade(D(2), D(100)) == ZERO
    assert position.trade(D(2), D(110)) == ZERO
    assert position.entry_price == D(105)
    assert position.trade(D(-1), D(115)) == D(10)
    assert (position.quantity, position.entry_price) == (D(3), D(105))
    assert position.trade(D(-5), D(100)) == D(-15)
    assert (position.quantity, position.entry_price) == (D(-2), D(100))
    assert position.trade(D(2), D(90)) == D(20)
    assert (position.quantity, position.entry_price, position.realised) == (ZERO, ZERO, D(15))


fills = st.lists(st.tuples(st.integers(-9, 9).filter(bool), st.integers(50, 150)), min_size=1, max_size=30)


@given(fills, st.integers(50, 150))
def test_profit_is_what_was_paid_and_got(trades: list[tuple[int, int]], mark: int) -> None:
    """Realised and unrealised profit together are the worth of the position less what was paid for it."""
    position = Position()
    for quantity, price in trades:
        position.trade(D(quantity), D(price))
    unrealised = position.quantity * (mark - position.entry_price)
    paid = sum(D(quantity) * price for quantity, price in trades)
    assert position.quantity == sum(quantity for quantity, _ in trades)
    rounding = len(trades) * D("1e-8")
    assert abs(position.realised + unrealised - (position.quantity * mark - paid)) < rounding


def test_margin_follows_the_mark_and_the_leverage() -> None:
    ledger = perpetual(D(110))
    ledger.trade(PERPETUAL, "buy", D(2), D(100))
    ledger.charge("USDT", D("0.1"))
    assert ledger.leverage_of(PERPETUAL) == 20
    assert ledger.profit("USDT") == D(20)
    assert ledger.used("USDT") == D(11)
    assert ledger.available("USDT") == D(1000) - D("0.1") + D(20) - D(11)
    ledger.leverage["BTCUSDT"] = 10
    assert ledger.used("USDT") == D(22)


def test_available_margin_is_never_negative() -> None:
    ledger = perpetual(D(10))
    ledger.trade(PERPETUAL, "buy", D(100), D(100))
    assert ledger.available("USDT") == ZERO


@pytest.mark.parametrize(("held", "side", "asked", "adds"), [(0, "buy", 3, 3), (2, "sell", 3, 1), (2, "buy", 3, 3)])
def test_only_what_adds_to_a_position_needs_margin(held: int, side: str, asked: int, adds: int) -> None:
    ledger = perpetual()
    if held:
        ledger.trade(PERPETUAL, "buy", D(held), D(100))
    assert ledger.increase(PERPETUAL, "buy" if side == "buy" else "sell", D(asked)) == adds


@pytest.mark.parametrize(("side", "amount"), [("buy", D("-0.02")), ("sell", D("0.02"))])
def test_positive_funding_is_paid_by_the_long(side: str, amount: D) -> None:
    ledger = perpetual()
    ledger.trade(PERPETUAL, "buy" if side == "buy" else "sell", D(2), D(100))
    assert ledger.fund(PERPETUAL, ledger.position(PERPETUAL), D("0.0001")) == amount
    assert ledger.wallet["USDT"] == D(1000) + amount
