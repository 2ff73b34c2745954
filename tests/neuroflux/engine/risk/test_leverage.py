"""An account's leverage is bounded by its open positions, whatever the exchange would allow."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import Balance, Instrument, InstrumentKind, Position, Side
from neuroflux.engine.risk.leverage import bounded, reducible, room, worth
from neuroflux.engine.risk.limits import MARGIN, Seen


def position(symbol: str, quantity: int, entry: int = 100, profit: int = 0) -> Position:
    return Position("binanceusdm", symbol, Decimal(quantity), Decimal(entry), Decimal(profit), 0)


def perpetual(exchange: str = "binanceusdm", kind: InstrumentKind = InstrumentKind.PERPETUAL) -> Instrument:
    return Instrument(
        exchange=exchange,
        symbol="BTC/USDT:USDT",
        market="BTC/USD",
        name="BTCUSDT",
        base="BTC",
        quote="USDT",
        settle="USDT",
        kind=kind,
    )


def balance(total: int, free: int) -> Balance:
    return Balance("binanceusdm", "USDT", Decimal(free), Decimal(0), Decimal(total - free), Decimal(total), 0)


def test_a_position_is_worth_its_mark_price() -> None:
    assert worth(position("x", 2, 100, 20)) == 220
    assert worth(position("x", -2, 100, 20)) == -180, "a short that has gained is smaller"


@pytest.mark.parametrize(
    ("held", "side", "allowed"),
    [
        ({}, Side.BUY, 3000),
        ({"a": 10}, Side.BUY, 2000),
        ({"a": 10}, Side.SELL, 4000),
        ({"a": -10}, Side.BUY, 4000),
        ({"b": -10}, Side.BUY, 2000),
        ({"a": 5, "b": 30}, Side.BUY, 0),
        ({"a": 5, "b": 30}, Side.SELL, 500),
        ({"a": 5, "b": 90}, Side.SELL, 500),
    ],
)
def test_what_may_still_be_bought_or_sold(held: dict[str, int], side: Side, allowed: int) -> None:
    """The room with an equity of 1000 and a maximum leverage of 3; prices are 100."""
    positions = {name: position(name, quantity) for name, quantity in held.items()}
    assert room("a", side, positions, Decimal(1000), Decimal(3)) == allowed


@given(
    st.dictionaries(st.sampled_from("abc"), st.integers(-50, 50)),
    st.sampled_from(list(Side)),
    st.integers(0, 2000),
    st.integers(1, 20),
)
def test_an_order_of_that_size_stays_within_the_bound(held: dict[str, int], side: Side, equity: int, most: int) -> None:
    positions = {name: position(name, quantity) for name, quantity in held.items()}
    before = sum(abs(worth(one)) for one in positions.values())
    allowed = room("a", side, positions, Decimal(equity), Decimal(most))
    others = sum(abs(worth(one)) for name, one in positions.items() if name != "a")
    mine = worth(positions["a"]) if "a" in positions else Decimal(0)
    after = others + abs(mine + (allowed if side is Side.BUY else -allowed))
    assert after <= max(Decimal(equity * most), before)


def test_funds_are_planned_with_no_more_than_that() -> None:
    limits, held = {"max_leverage": 2.0}, {"BTC/USDT:USDT": position("BTC/USDT:USDT", 15)}
    given_ = (perpetual(), Side.BUY, limits, balance(1000, 900), held)
    assert bounded(Decimal(900), Decimal(0), *given_) == 500 * MARGIN
    assert bounded(Decimal(900), Decimal(20), *given_) == 500 * MARGIN - 20, "less what open orders use"
    assert bounded(Decimal(3), Decimal(0), *given_) == 3
    losing = {"BTC/USDT:USDT": position("BTC/USDT:USDT", 15, profit=-200)}
    assert bounded(Decimal(900), Decimal(0), *given_[:4], losing) == 300 * MARGIN, "800 of equity, 1300 open"
    assert bounded(Decimal(900), Decimal(0), perpetual(), Side.BUY, {}, balance(1000, 900), held) == 900
    spot = perpetual(kind=InstrumentKind.SPOT)
    assert bounded(Decimal(900), Decimal(0), spot, *given_[1:]) == 900
    assert bounded(Decimal(0), Decimal(0), perpetual(), Side.BUY, limits, None, {}) == 0


NOW = Seen(10, 10)


@pytest.mark.parametrize(
    ("held", "side", "closes"),
    [(2, Side.SELL, 2), (2, Side.BUY, 0), (-2, Side.BUY, 2), (-2, Side.SELL, 0), (0, Side.SELL, 0)],
)
def test_what_is_held_may_be_closed(held: int, side: Side, closes: int) -> None:
    assert reducible(perpetual(), side, position("BTC/USDT:USDT", held), (), NOW) == closes
    assert reducible(perpetual(), side, None, (), NOW) == 0
    spot = perpetual(kind=InstrumentKind.SPOT)
    assert reducible(spot, side, position("BTC/USDT:USDT", held), (), NOW) == 0


def test_what_makes_a_position_smaller_is_not_counted_in_what_may_be_added() -> None:
    """Equity 1000, leverage 2: 1000 are open, and a sale closes those before it opens 2000."""
    held = {"BTC/USDT:USDT": position("BTC/USDT:USDT", 10)}
    limits = {"max_leverage": 2.0}
    funds = bounded(Decimal(900), Decimal(0), perpetual(), Side.SELL, limits, balance(1000, 900), held)
    assert funds == 2000 * MARGIN
