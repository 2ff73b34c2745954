"""The split compared with brute force, the pace with volume, and how the confidence changes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from decimal import Decimal
from math import exp, inf, isnan
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    BookSnapshot,
    CommandKind,
    ExchangeHealth,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    OrderCommand,
    Side,
)
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.risk.limits import Limits
from neuroflux.engine.routing.advice import OptimisedExecution, confidence, optimise, schedule
from neuroflux.engine.routing.candidates import Prospect
from neuroflux.errors import UsageError
from tests.neuroflux.engine.routing.brute_force import Levels, Offer, cost_of, markets

NOW = 1_000_000_000_000
LIMITS = Limits(1e9, 1.0, 5_000_000)
FAIR = AggregatedPrice("BTC/USD", 100.0, 0, 0, 1, 1, (), (), NOW)


def prospect(
    exchange: str,
    asks: Levels = ((100.0, 50.0),),
    bids: Levels = ((99.9, 50.0),),
    *,
    rate: float = 1.0,
    age: float = 0.0,
    **rules: Any,
) -> Prospect:
    """A book that is ``age`` seconds old."""
    given = {"quantity_step": Decimal("0.001"), "tick_size": Decimal("0.01"), "taker_fee": Decimal("0.001")} | rules
    one = Instrument(
        exchange=exchange,
        symbol="BTC/USDC",
        market="BTC/USD",
        name="BTCUSDC",
        base="BTC",
        quote="USDC",
        kind=InstrumentKind.SPOT,
        **given,
    )
    low, high = (tuple(Level(price, quantity) for price, quantity in side) for side in (bids, asks))
    book = BookSnapshot(exchange, one.symbol, one.market, low, high, 1, NOW, NOW - int(age * 1e6))
    return Prospect(one, book, None, Rate(rate, rate, NOW), None, Decimal(10**9))


def order(quantity: str = "1", side: Side = Side.BUY) -> OrderCommand:
    return OrderCommand(
        order_id="o",
        kind=CommandKind.PLACE,
        market="BTC/USD",
        side=side,
        quantity=Decimal(quantity),
        strategy="fastest",
    )


def advised(
    command: OrderCommand,
    *prospects: Prospect,
    urgency: str = "critical",
    volume: float = 100.0,
    errors: Sequence[float] = (),
    limits: Limits = LIMITS,
) -> OptimisedExecution:
    return optimise(command, prospects, FAIR, limits, urgency, volume, errors, NOW)


# ── where ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_costs_by_hand() -> None:
    """1 at 100 and 1 at 101 where the mid is 99.95: 1.1 USD of slippage, and a fee of 0.1 % of 201."""
    found = advised(order("2"), prospect("a", [(100.0, 1.0), (101.0, 5.0)]))
    assert found["recommended_exchange"] == "a"
    assert found["expected_slippage"] == pytest.approx(1.1 / 199.9)
    assert found["expected_cost"] == pytest.approx(1.1 + 0.201)
    assert found["order_splitting"] == {
        "a/BTC/USDC": {
            "exchange": "a",
            "symbol": "BTC/USDC",
            "quantity": Decimal(2),
            "share": 1.0,
            "slice_quantity": Decimal(2),
            "slices": 1,
        }
    }
    assert found["timing_strategy"] == "immediate: one order now"


def test_an_order_is_paid_from_its_own_quote_so_nothing_is_converted() -> None:
    spread = replace(prospect("a"), rate=Rate(0.999, 1.001, NOW))
    found = advised(order("1"), spread)
    assert found["expected_slippage"] == pytest.approx(0.05 / 99.95)
    assert found["expected_cost"] == pytest.approx(0.05 + 0.1)


@pytest.mark.parametrize("market", [60.0, 99.0, 101.0, 140.0])
def test_figures_are_against_the_book_not_against_an_average_of_the_past(market: float) -> None:
    """Against a minute's average of 101, a purchase from a book at 100 would look profitable."""
    past = replace(FAIR, price=market)
    wide = Limits(1e9, 10.0, 5_000_000)
    found = optimise(order("2"), [prospect("a")], past, wide, "critical", 100.0, (), NOW)
    assert found["expected_slippage"] == pytest.approx(0.1 / 199.9)
    assert found["expected_cost"] == pytest.approx(0.1 + 0.2)


def test_the_larger_part_is_the_recommendation() -> None:
    found = advised(order("1"), prospect("a", [(100.0, 0.4), (101.0, 9.0)]), prospect("b", [(100.2, 9.0)]))
    assert found["recommended_exchange"] == "b"
    assert {name: one["quantity"] for name, one in found["order_splitting"].items()} == {
        "a/BTC/USDC": Decimal("0.4"),
        "b/BTC/USDC": Decimal("0.6"),
    }


def test_only_cost_counts_whatever_the_commands_strategy() -> None:
    near, far = (
        ExchangeHealth(name, HealthStatus.ONLINE, ms, 100.0, 0.0, NOW, "", NOW) for name, ms in (("a", 1), ("b", 9))
    )
    dear = replace(prospect("a", [(100.5, 9.0)]), health=near)
    assert advised(order(), dear, replace(prospect("b"), health=far))["recommended_exchange"] == "b"


@given(markets())
def test_no_split_costs_less(given: tuple[Side, list[Offer], int]) -> None:
    side, exchanges, tenths = given
    offered = []
    for number, (levels, fee, rate) in enumerate(exchanges):
        asks, bids = (levels, [(1.0, 1.0)]) if side is Side.BUY else ([(1_000.0, 1.0)], levels)
        step = Decimal("0.1")
        offered.append(prospect(f"x{number}", asks, bids, rate=rate, taker_fee=Decimal(fee), quantity_step=step))
    assume(sum(round(quantity * 10) for levels, _, _ in exchanges for _, quantity in levels) >= tenths)
    found = advised(order(str(tenths / 10), side), *offered)
    best = min(
        cost_above_100(side, exchanges, split)
        for split in itertools.product(range(tenths + 1), repeat=len(exchanges))
        if sum(split) == tenths
    )
    taken = found["order_splitting"].values()
    split = {one["exchange"]: round(float(one["quantity"]) * 10) for one in taken}
    chosen = [split.get(f"x{number}", 0) for number in range(len(exchanges))]
    assert cost_above_100(side, exchanges, chosen) == pytest.approx(best, abs=1e-9)
    assert found["expected_cost"] > 0
    assert sum(one["quantity"] for one in found["order_splitting"].values()) == pytest.approx(Decimal(tenths) / 10)


def cost_above_100(side: Side, exchanges: list[Offer], tenths: Sequence[int]) -> float:
    """The USD cost beyond 100 per unit of so many tenths on each exchange; infinite beyond its book."""
    sign = 1 if side is Side.BUY else -1
    return cost_of(side, exchanges, tenths) - sign * 100.0 * sum(tenths) / 10


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("urgency", "count"), [("low", 8), ("normal", 4), ("high", 2), ("critical", 1)])
def test_the_pace_is_a_share_of_the_volume(urgency: str, count: int) -> None:
    """40 units in a market of 100 per minute: 5, 10 or 20 per minute, or all at once."""
    found = advised(order("40"), prospect("a"), urgency=urgency)
    slices = found["slices"]
    assert (slices["count"], slices["quantity"], slices["last_quantity"]) == (count, *(Decimal(40) / count,) * 2)
    assert slices["interval_seconds"] == (60.0 if count > 1 else 0.0)


def test_smaller_slices_have_less_slippage() -> None:
    steep = prospect("a", [(100.0 + n, 10.0) for n in range(10)])
    slips = [
        advised(order("80"), steep, urgency=one)["expected_slippage"] for one in ("low", "normal", "high", "critical")
    ]
    assert slips == sorted(slips)
    assert slips[0] == pytest.approx(0.05 / 99.95), "half the spread"
    assert slips[0] < slips[-1]


def test_slices_make_possible_what_the_books_do_not_hold_at_once() -> None:
    assert advised(order("80"), prospect("a"))["reasons"][0].startswith("liquidity")
    patient = advised(order("80"), prospect("a"), urgency="low")
    assert patient["timing_strategy"] == (
        "participation: 16 slices of 5, one every 60 s, 5% of the 100 traded per minute"
    )


def test_without_volume_there_is_nothing_to_pace_by() -> None:
    assert advised(order("40"), prospect("a"), urgency="low", volume=0.0)["slices"]["count"] == 1


def test_a_quiet_market_takes_no_more_slices_than_a_day_has_minutes() -> None:
    slices = schedule(Decimal(1_440), 0.05, 1e-9, 0.0)
    assert (slices["count"], slices["quantity"]) == (1_440, Decimal(1))
    twice = schedule(Decimal(1_440), 0.05, 10.0, 0.0)
    assert twice["interval_seconds"] == pytest.approx(120.0)


def test_slices_keep_the_exchanges_minimum() -> None:
    strict = prospect("a", min_notional=Decimal(1_000))
    slices = advised(order("40"), strict, urgency="low", volume=1.0)["slices"]
    assert slices["quantity"] * 100 >= 1_000
    assert slices["quantity"] / Decimal(slices["interval_seconds"]) * 60 == pytest.approx(Decimal("0.05"))


@given(
    st.decimals("0.0001", "10000", places=4),
    st.sampled_from([0.05, 0.1, 0.2, float("inf")]),
    st.floats(0, 1e6),
    st.just(0.0) | st.floats(1e-6, 100),
)
def test_slices_sum_to_the_order(quantity: Decimal, share: float, volume: float, least: float) -> None:
    slices = schedule(quantity, share, volume, least)
    assert slices["quantity"] * (slices["count"] - 1) + slices["last_quantity"] == quantity
    assert slices["last_quantity"] > 0
    assert slices["count"] == 1 or min(float(slices["quantity"]), float(slices["last_quantity"])) >= least * (1 - 1e-9)


@given(st.decimals("0.01", "10000", places=4), st.sampled_from([0.05, 0.2, inf]), st.floats(0, 1e6), st.floats(1, 100))
def test_no_slice_is_larger_than_one_order_may_be(quantity: Decimal, share: float, volume: float, most: float) -> None:
    slices = schedule(quantity, share, volume, 0.0, most)
    assert slices["quantity"] * (slices["count"] - 1) + slices["last_quantity"] == quantity
    assert max(slices["quantity"], slices["last_quantity"]) <= Decimal(most) + Decimal("1e-8")


# ── confidence ───────────────────────────────────────────────────────────────────────────────────────────────────────

fractions = st.floats(0, 1)
money = st.floats(1, 1e9)


@given(fractions, fractions, money, money, st.lists(fractions, max_size=5), st.data())
def test_confidence_moves_the_right_way(
    age: float, more: float, depth: float, size: float, errors: list[float], data: st.DataObject
) -> None:
    here = confidence(age, depth, size, errors)
    assert 0 <= here <= 1
    assert confidence(age + more, depth, size, errors) <= here
    assert confidence(age, depth * (1 + more), size, errors) >= here
    assert confidence(age, depth, size * (1 + more), errors) <= here
    if errors:
        worse = data.draw(st.integers(0, len(errors) - 1))
        larger = [error + more * (number == worse) for number, error in enumerate(errors)]
        assert confidence(age, depth, size, larger) <= here


def test_confidence_by_hand_and_from_the_books() -> None:
    """A book twice as deep as the order, and no earlier estimate: a half of a half."""
    command = order("25")
    assert advised(command, prospect("a", [(100.0, 25.0)]))["confidence_score"] == pytest.approx(0.25)
    fresh = advised(command, prospect("a"))["confidence_score"]
    assert fresh == pytest.approx(0.5 * 50 / 75)
    assert advised(command, prospect("a", age=1.0))["confidence_score"] < fresh
    both = advised(order("75"), prospect("a"), prospect("b", age=5.0))["confidence_score"]
    assert both == pytest.approx(0.5 * 100 / 175 * exp(-1), rel=1e-3), "the older of two counts"
    assert advised(command, prospect("a"), errors=[0.0] * 5)["confidence_score"] > fresh
    assert advised(command, prospect("a"), errors=[0.01] * 5)["confidence_score"] < fresh
    assert confidence(0.0, 0.0, 1.0, []) == 0.0


# ── impossible orders ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unknown_urgency_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="urgency"):
        advised(order(), prospect("a"), urgency="soon")


def test_if_no_exchange_can_take_it_the_reasons_are_reported() -> None:
    old = advised(order(), prospect("a", age=60.0))
    assert (old["recommended_exchange"], old["order_splitting"], old["confidence_score"]) == ("", {}, 0.0)
    assert "stale" in old["reasons"][0]
    assert advised(order())["reasons"] == ["symbol: nothing trades 'BTC/USD'"]
    assert advised(order("0"), prospect("a"))["reasons"] == ["quantity: 0 is not above 0"]
    assert isnan(old["expected_slippage"]), "unknown, not 0"
    assert isnan(old["expected_cost"])


def test_a_size_above_the_limit_of_one_order_is_split_into_orders_within_it() -> None:
    """A size above ``notional`` must be split, not refused."""
    narrow = Limits(1_000.0, 0.02, 5_000_000)
    found = advised(order("35"), prospect("a"), limits=narrow)
    slices = found["slices"]
    assert slices["count"] == 4
    assert float(max(slices["quantity"], slices["last_quantity"])) * 100.0 <= 1_000
    assert slices["quantity"] * (slices["count"] - 1) + slices["last_quantity"] == 35
    assert found["timing_strategy"].startswith("immediate: 4 orders now")
    assert found["expected_cost"] == pytest.approx(35 * (0.05 + 0.1))
    paced = advised(order("35"), prospect("a"), limits=narrow, urgency="high")["slices"]
    assert paced["count"] == 4
    assert paced["interval_seconds"] > 0
