"""Prices and quantities are rounded exactly, towards the requested side."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import Instrument, InstrumentKind, OrderType, Side
from neuroflux.engine.markets.rounding import round_price, round_quantity, violation

BINANCE = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    market="BTC/USD",
    name="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.SPOT,
    tick_size=Decimal("0.01"),
    quantity_step=Decimal("0.001"),
    market_quantity_step=Decimal("0.01"),
    min_quantity=Decimal("0.002"),
    max_quantity=Decimal(9),
    min_notional=Decimal(5),
)
HYPERLIQUID = msgspec.structs.replace(
    BINANCE,
    exchange="hyperliquid",
    tick_size=Decimal(0),
    market_quantity_step=Decimal(0),
    max_quantity=Decimal(0),
    price_significant_figures=5,
    price_decimals=3,
)
NUMBERS = st.decimals(min_value="0.000000000000000001", max_value="99999999999", places=18)
ABOVE_STEPS = st.decimals(min_value="0.1", max_value="99999999999", places=18)
STEPS = st.sampled_from(["0.01", "0.5", "0.00000001", "0.3", "25", "0.125", "1"]).map(Decimal)
SIDES = st.sampled_from(list(Side))
TYPES = st.sampled_from(list(OrderType))


def figures(price: Decimal) -> int:
    return len(price.normalize().as_tuple().digits)


def decimals(price: Decimal) -> int:
    return max(0, -int(price.normalize().as_tuple().exponent))


@pytest.mark.parametrize(
    ("price", "side", "aggressive", "expected"),
    [
        ("100.017", Side.BUY, False, "100.01"),
        ("100.017", Side.BUY, True, "100.02"),
        ("100.011", Side.SELL, False, "100.02"),
        ("100.011", Side.SELL, True, "100.01"),
        ("100.01", Side.BUY, True, "100.01"),
        ("0.009", Side.BUY, False, "0"),
    ],
)
def test_by_tick(price: str, side: Side, aggressive: bool, expected: str) -> None:
    assert round_price(BINANCE, Decimal(price), side, aggressive) == Decimal(expected)


@pytest.mark.parametrize(
    ("price", "aggressive", "expected"),
    [
        ("1234.56", False, "1234.5"),
        ("1234.56", True, "1234.6"),
        ("123456.7", False, "123456"),
        ("123456.7", True, "123457"),
        ("1234567", True, "1234567"),
        ("1.23456", False, "1.234"),
        ("0.0012345", True, "0.002"),
        ("99999.5", True, "100000"),
        ("9.9999", True, "10"),
    ],
)
def test_by_significant_figures_and_decimals(price: str, aggressive: bool, expected: str) -> None:
    assert round_price(HYPERLIQUID, Decimal(price), Side.BUY, aggressive) == Decimal(expected)


@given(NUMBERS, STEPS, SIDES, st.booleans())
def test_a_price_is_a_multiple_on_the_right_side_and_near(
    price: Decimal, tick: Decimal, side: Side, aggressive: bool
) -> None:
    instrument = msgspec.structs.replace(BINANCE, tick_size=tick)
    rounded = round_price(instrument, price, side, aggressive)
    assert rounded % tick == 0
    assert abs(rounded - price) < tick
    assert rounded >= price if (side is Side.BUY) == aggressive else rounded <= price
    assert round_price(instrument, rounded, side, aggressive) == rounded


@given(NUMBERS, st.integers(0, 8), SIDES, st.booleans())
def test_a_price_keeps_figures_and_decimals(price: Decimal, places: int, side: Side, aggressive: bool) -> None:
    instrument = msgspec.structs.replace(HYPERLIQUID, price_decimals=places)
    rounded = round_price(instrument, price, side, aggressive)
    assert decimals(rounded) <= places
    assert decimals(rounded) == 0 or figures(rounded) <= 5
    assert rounded >= price if (side is Side.BUY) == aggressive else rounded <= price
    assert abs(rounded - price) <= max(price / 10000, Decimal(1).scaleb(-places))
    assert round_price(instrument, rounded, side, aggressive) == rounded


@given(NUMBERS, STEPS, TYPES)
def test_a_quantity_is_the_greatest_multiple_that_is_not_more(
    quantity: Decimal, step: Decimal, type_: OrderType
) -> None:
    instrument = msgspec.structs.replace(BINANCE, quantity_step=step, market_quantity_step=Decimal(0))
    rounded = round_quantity(instrument, quantity, type_)
    assert rounded % step == 0
    assert rounded <= quantity < rounded + step


def test_a_market_order_keeps_the_coarser_step() -> None:
    assert round_quantity(BINANCE, Decimal("1.2349"), OrderType.LIMIT) == Decimal("1.234")
    assert round_quantity(BINANCE, Decimal("1.2349"), OrderType.MARKET) == Decimal("1.23")
    finer = msgspec.structs.replace(BINANCE, market_quantity_step=Decimal("0.0001"))
    assert round_quantity(finer, Decimal("1.2349"), OrderType.MARKET) == Decimal("1.234")


def test_without_a_step_nothing_is_rounded() -> None:
    free = msgspec.structs.replace(BINANCE, tick_size=Decimal(0), quantity_step=Decimal(0))
    assert round_price(free, Decimal("1.23456789"), Side.BUY, True) == Decimal("1.23456789")
    assert round_quantity(free, Decimal("1.23456789"), OrderType.LIMIT) == Decimal("1.23456789")


@given(ABOVE_STEPS, ABOVE_STEPS, SIDES, st.booleans(), TYPES, st.sampled_from([BINANCE, HYPERLIQUID]))
def test_a_rounded_order_obeys_the_precision_rules(
    quantity: Decimal, price: Decimal, side: Side, aggressive: bool, type_: OrderType, instrument: Instrument
) -> None:
    rounded_price = round_price(instrument, price, side, aggressive)
    rounded_quantity = round_quantity(instrument, quantity, type_)
    assert "multiple" not in violation(instrument, rounded_quantity, rounded_price, type_)


@pytest.mark.parametrize(
    ("quantity", "price", "type_", "words"),
    [
        ("1", "100", OrderType.LIMIT, ""),
        ("1", "0", OrderType.MARKET, ""),
        ("0", "100", OrderType.LIMIT, "not above 0"),
        ("-1", "100", OrderType.LIMIT, "not above 0"),
        ("1", "0", OrderType.LIMIT, "not above 0"),
        ("1", "-1", OrderType.MARKET, "not above 0"),
        ("1.0001", "100", OrderType.LIMIT, "quantity 1.0001 is not a multiple of 0.001"),
        ("1.001", "100", OrderType.MARKET, "quantity 1.001 is not a multiple of 0.01"),
        ("1", "100.001", OrderType.LIMIT, "price 100.001 is not a multiple of 0.01"),
        ("0.001", "99999", OrderType.LIMIT, "below the minimum of 0.002"),
        ("10", "100", OrderType.LIMIT, "above the maximum of 9"),
        ("0.01", "100", OrderType.LIMIT, "value 1.00 is below the minimum of 5 USDT"),
        ("0.01", "100", OrderType.MARKET, "value 1.00 is below the minimum of 5 USDT"),
    ],
)
def test_violations(quantity: str, price: str, type_: OrderType, words: str) -> None:
    found = violation(BINANCE, Decimal(quantity), Decimal(price), type_)
    assert words in found
    assert bool(found) == bool(words)


def test_without_a_maximum_any_quantity_is_allowed() -> None:
    assert violation(HYPERLIQUID, Decimal(10_000), Decimal(100), OrderType.LIMIT) == ""


def test_a_reducing_order_has_no_minimum_value_but_keeps_its_step() -> None:
    small, price = BINANCE.quantity_step, BINANCE.tick_size
    assert "minimum" in violation(BINANCE, small, price, OrderType.LIMIT)
    assert "value" not in violation(BINANCE, small, price, OrderType.LIMIT, reduces=True)
    assert "multiple" in violation(BINANCE, small / 2, price, OrderType.LIMIT, reduces=True)
