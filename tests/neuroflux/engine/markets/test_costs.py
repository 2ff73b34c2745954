"""Costs of orders: against the mid of their book, and from one function everywhere."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import AggregatedPrice, InstrumentKind, Level, OrderType, Requirements, Side, TimeInForce
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.markets.costs import all_in, closing_cost, costs
from neuroflux.engine.routing.candidates import Prospect, reference_price
from neuroflux.engine.routing.strategies import Routed
from tests.neuroflux.engine.routing.test_strategies import NOW, choose, instrument, limit, order, prospect, reasons

SECOND = 1_000_000


def fair(price: float, age: float = 0.0) -> AggregatedPrice:
    return AggregatedPrice("BTC/USD", price, 0, 0, 1, 1, (), (), NOW - int(age * SECOND))


def result(routed: Routed) -> float:
    """The all-in cost that the reason names."""
    found = re.search(r"all-in cost (-?[\d,.]+) USD", routed.decision.reason)
    assert found, routed.decision.reason
    return float(found[1].replace(",", ""))


def estimated(routed: Routed) -> float:
    """The total cost by the decision's figures, of what was chosen."""
    chosen = {(one.exchange, one.symbol) for one in routed.decision.chosen}
    return all_in(one for one in routed.decision.candidates if (one.exchange, one.symbol) in chosen)


@pytest.mark.parametrize("average", [99.0, 99.95, 101.0])
def test_costs_are_against_the_mid_and_not_against_an_average(average: float) -> None:
    (one,) = choose(order("1"), prospect(instrument("a")), price=fair(average)).decision.candidates
    assert (one.fee, one.spread, one.slippage, one.conversion) == pytest.approx((0.1, 0.05, 0.0, 0.0))
    assert one.total == pytest.approx(0.15)


@given(
    st.sampled_from(Side),
    st.floats(0.01, 5),
    st.floats(0.1, 9),
    st.floats(0.99, 1.01),
    st.sampled_from(["optimal", "fastest", "cheapest", "balanced"]),
)
def test_the_reason_and_the_figures_agree_and_no_cost_is_below_zero(
    side: Side, step: float, quantity: float, average: float, strategy: str
) -> None:
    deep = prospect(instrument("a"), [(100.0, 3.0), (100 + step / 10, 9.0)], [(99.9, 3.0), (99.9 - step / 10, 9.0)])
    other = prospect(instrument("b", "USDT"), [(100.1, 2.0)], [(99.8, 2.0)], rate=1.0002)
    command = order(str(round(quantity, 3)), side=side, strategy=strategy)
    routed = choose(command, deep, other, price=fair(100 * average))
    if routed.legs:
        assert result(routed) == pytest.approx(estimated(routed), abs=1e-4)
        assert estimated(routed) >= 0


def test_a_split_costs_what_walking_each_part_costs() -> None:
    """Figures of the whole quantity, scaled by share, would make every split look expensive."""
    steep = [(100.0, 1.0), (110.0, 9.0)]
    routed = choose(order("2"), prospect(instrument("a"), steep), prospect(instrument("b"), steep))
    assert {leg.instrument.exchange for leg in routed.legs} == {"a", "b"}
    assert estimated(routed) == pytest.approx(2 * (0.05 + 0.1))
    assert result(routed) == pytest.approx(0.3)


def test_a_resting_order_pays_the_maker_fee_only() -> None:
    away = choose(limit("98"), prospect(instrument("a")))
    assert estimated(away) == pytest.approx(98 * 0.0005) == pytest.approx(result(away))
    post_only = choose(limit("99.9", time_in_force=TimeInForce.POST_ONLY), prospect(instrument("a")))
    assert estimated(post_only) == pytest.approx(99.9 * 0.0005)


def test_a_limit_that_crosses_in_part_takes_what_is_there_and_rests_with_the_rest() -> None:
    command = order("3", type=OrderType.LIMIT, price=Decimal("100.5"))
    routed = choose(command, prospect(instrument("a"), [(100.0, 1.0), (101.0, 5.0)]))
    (one,) = routed.decision.candidates
    assert one.fee == pytest.approx(100 * 0.001 + 2 * 100.5 * 0.0005)
    assert one.spread == pytest.approx(0.05)
    assert one.price == pytest.approx((100 + 2 * 100.5) / 3)


def test_a_resting_order_names_the_figure_it_was_chosen_by() -> None:
    near, far = prospect(instrument("near", fee="0.002")), prospect(instrument("far", fee="0"), [(101.0, 5.0)])
    reason = choose(limit("98"), near, far).decision.reason
    found = re.search(r"nearest to being filled ([\d.]+) USD per unit, far BTC/USDC ([\d.]+)", reason)
    assert found, reason
    assert float(found[1]) < float(found[2])


@given(st.sampled_from([1, 1000]), st.sampled_from(Side), st.integers(1, 40))
def test_a_multiplier_changes_nothing(multiplier: int, side: Side, tenths: int) -> None:
    one = instrument("a", multiplier=multiplier, quantity_step=Decimal("0.0001"))
    asks, bids = [(100.0, 1.0), (100.5, 9.0)], [(99.9, 1.0), (99.5, 9.0)]
    wire = [[(price * multiplier, quantity / multiplier) for price, quantity in levels] for levels in (asks, bids)]
    here = choose(order(str(tenths / 10), side=side), prospect(one, *wire)).decision.candidates
    plain = choose(order(str(tenths / 10), side=side), prospect(instrument("a"), asks, bids)).decision.candidates
    for name in ("price", "quantity", "fee", "spread", "slippage", "total", "liquidity"):
        assert getattr(here[0], name) == pytest.approx(getattr(plain[0], name)), name


def test_a_perpetual_is_paid_from_its_margin_and_nothing_is_converted() -> None:
    one = replace(instrument("a", "USDT"), symbol="BTC/USDT:USDT", kind=InstrumentKind.PERPETUAL, settle="USDT")
    wide = replace(prospect(one), rate=Rate(0.99, 1.01, NOW))
    (figures,) = choose(order("1"), wide).decision.candidates
    assert figures.conversion == 0
    assert figures.total == pytest.approx(0.15)


# ── what is not known ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_candidate_that_could_not_be_priced_has_no_figures() -> None:
    (one,) = choose(order("1"), replace(prospect(instrument("a")), book=None)).decision.candidates
    assert one.reason == "stale: no book"
    assert all(isnan(getattr(one, name)) for name in ("price", "quantity", "fee", "slippage", "total", "book_age_ms"))


def test_an_unsound_book_gives_no_offer() -> None:
    good = prospect(instrument("good"))
    assert good.book is not None
    crossed = replace(good, book=replace(good.book, bids=(Level(100.1, 1.0),)))
    ahead = replace(good, book=replace(good.book, received_time=NOW + 86_400 * SECOND))
    soon = replace(good, book=replace(good.book, received_time=NOW + 30 * SECOND))
    number = replace(good, book=replace(good.book, asks=(Level(float("nan"), 1.0),)))
    named = {"crossed": crossed, "ahead": ahead, "soon": soon, "number": number}
    routed = choose(
        order("1"), *(replace(p, instrument=replace(p.instrument, exchange=name)) for name, p in named.items())
    )
    assert reasons(routed) == {"crossed": "unsound", "ahead": "stale", "soon": "stale", "number": "unsound"}
    assert not routed.legs


def test_an_account_without_funds_is_not_a_backup() -> None:
    """An account that holds nothing of the sold asset is not among the able candidates."""
    broke = prospect(instrument("broke"), bids=[(99.8, 5.0)], free="0")
    routed = choose(order("1", side=Side.SELL), prospect(instrument("rich")), broke)
    assert reasons(routed) == {"rich": "", "broke": "funds"}


# ── where the market is ──────────────────────────────────────────────────────────────────────────────────────────


def at(exchange: str, price: float, age: float = 0.0, half: float = 0.05) -> Prospect:
    one = prospect(instrument(exchange), [(price + half, 5.0)], [(price - half, 5.0)])
    assert one.book is not None
    return replace(one, book=replace(one.book, received_time=NOW - int(age * SECOND)))


def test_the_reference_is_the_market_now_where_two_exchanges_agree() -> None:
    fast = [at("a", 105.0), at("b", 105.2)]
    assert reference_price(fast, fair(102.0), NOW) == pytest.approx(105.0)
    assert reference_price([*fast, at("c", 105.1)], fair(102.0), NOW) == pytest.approx(105.1)
    assert reference_price(fast, None, NOW) == pytest.approx(105.1)


def test_one_wrong_book_does_not_move_the_reference() -> None:
    assert reference_price([at("a", 120.0)], fair(100.0), NOW) == 100.0
    assert reference_price([at("a", 100.0), at("b", 200.0)], fair(100.5), NOW) == 100.5
    assert reference_price([at("a", 100.0), at("b", 200.0), at("c", 100.2)], None, NOW) == pytest.approx(100.2)
    old_or_wide = [at("a", 50.0, age=9.0), at("b", 60.0, half=10.0), at("c", 101.0)]
    assert reference_price(old_or_wide, fair(100.0), NOW) == 100.0
    assert reference_price([], fair(100.0, age=60.0), NOW) == 0.0


def test_other_instruments_of_the_market_give_the_reference_where_the_prospects_do_not() -> None:
    others = [at("b", 105.2), at("c", 105.1)]
    assert reference_price([at("a", 105.0)], fair(102.0), NOW, others) == pytest.approx(105.1)
    assert reference_price([at("a", 120.0)], fair(100.0), NOW, [at("a", 120.0)]) == 100.0, "the same book counts once"
    assert reference_price([at("a", 105.0), at("d", 105.0)], fair(102.0), NOW, [at("b", 50.0)]) == 105.0


def test_a_collar_follows_a_fast_market() -> None:
    """At a market of 105, an order within 2 % must be accepted although the minute's average is 102."""
    command = order("1", requirements=Requirements(max_slippage=0.01))
    assert choose(command, at("a", 105.0), at("b", 105.0), price=fair(102.0)).legs


def test_costs_of_nothing_are_unknown() -> None:
    assert isnan(costs(instrument("a"), 100.0, Rate(1, 1, NOW), (), 1.0).total)
    assert isnan(closing_cost(instrument("a"), 100.0, Rate(1, 1, NOW), (), 1.0))


def test_closing_costs_the_fee_and_what_the_book_takes_beyond_its_mid() -> None:
    thousand = instrument("a", multiplier=1000)
    levels = (Level(99.0, 1.0), Level(98.0, 1.0))
    cost = closing_cost(thousand, 100.0, Rate(0.5, 0.5, NOW), levels, 2_000.0)
    assert cost == pytest.approx(0.5 * (197 * 0.001 + 1 + 2))
    more = closing_cost(thousand, 100.0, Rate(0.5, 0.5, NOW), levels, 4_000.0)
    assert more == pytest.approx(2 * cost), "the quantity beyond the levels costs no less"
