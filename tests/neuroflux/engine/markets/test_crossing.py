"""Two books walked together: compared with a search over quantities, and with the payments made."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import Level
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.markets.crossing import Leg, Taken, cross
from neuroflux.engine.markets.walk import walk

PAR = Rate(1.0, 1.0, 0)
NO_BOUND = 1e12


def leg(
    *levels: tuple[float, float], quote: str = "USDC", rate: Rate = PAR, fee: float = 0.0, multiplier: int = 1
) -> Leg:
    return Leg([Level(*one) for one in levels], quote, rate, fee, multiplier)


def test_takes_only_what_pays() -> None:
    taken = cross(leg((100, 1), (101, 2), (103, 5)), leg((102, 2), (101.5, 5), (100, 9)), NO_BOUND)
    assert taken is not None
    assert taken.quantity == 3  # 1 at 100, 2 at 101; against 2 at 102, 1 at 101.5
    assert taken.gross == pytest.approx(2 * 102 + 101.5 - 100 - 2 * 101)
    assert taken.net == taken.gross
    assert (taken.buy_price, taken.sell_price) == pytest.approx((302 / 3, 305.5 / 3))


def test_books_that_do_not_cross_give_nothing() -> None:
    assert cross(leg((100, 1)), leg((100, 1)), NO_BOUND) is None
    assert cross(leg(), leg((100, 1)), NO_BOUND) is None


def test_a_cross_below_the_fees_gives_nothing() -> None:
    assert cross(leg((100, 1), fee=0.001), leg((100.15, 1), fee=0.001), NO_BOUND) is None
    assert cross(leg((100, 1), fee=0.0005), leg((100.15, 1), fee=0.0005), NO_BOUND) is not None


def test_a_cross_below_the_conversion_cost_gives_nothing() -> None:
    wide = Rate(0.99, 1.01, 0)
    assert cross(leg((100, 1), quote="USDT", rate=wide), leg((100.9, 1)), NO_BOUND) is None
    assert cross(leg((100, 1)), leg((100.9, 1), quote="USDT", rate=wide), NO_BOUND) is None
    taken = cross(leg((100, 1), quote="USDT", rate=wide), leg((100.9, 1), quote="USDT", rate=wide), NO_BOUND)
    assert taken is not None
    assert taken.conversion == 0  # what is sold for USDT pays for the next buy in USDT


def test_the_bound_in_usd_holds() -> None:
    half = Rate(0.5, 0.5, 0)
    taken = cross(leg((100, 10), (101, 10), quote="X", rate=half), leg((110, 99), quote="X", rate=half), 550)
    assert taken is not None
    assert taken.notional == pytest.approx(550)
    assert taken.quantity == pytest.approx(10 + 100 / 101)


def test_multipliers_are_normalised() -> None:
    per_coin = leg((0.00001, 5000.0))
    per_thousand = leg((0.011, 3.0), multiplier=1000)
    taken = cross(per_coin, per_thousand, NO_BOUND)
    assert taken is not None
    assert taken.quantity == 3000
    assert taken.gross == pytest.approx(3000 * (0.000011 - 0.00001))
    assert (taken.buy_price, taken.sell_price) == pytest.approx((0.00001, 0.011))


prices = st.floats(90, 110)
sizes = st.floats(0.001, 100)
rates = st.tuples(st.floats(0.98, 1.0), st.floats(1.0, 1.02)).map(lambda both: Rate(*both, 0))


def side(quote: str, *, falling: bool) -> st.SearchStrategy[Leg]:
    levels = st.dictionaries(prices, sizes, min_size=1, max_size=6).map(
        lambda found: [Level(price, found[price]) for price in sorted(found, reverse=falling)]
    )
    return st.builds(
        Leg, levels, st.sampled_from(["USDC", quote]), rates, st.floats(0, 0.002), st.sampled_from([1, 10])
    )


def money(buy: Leg, sell: Leg, quantity: float) -> float:
    """USD left after buying and selling that quantity, with each payment converted separately."""
    bought = walk(buy.levels, quantity / buy.multiplier)
    sold = walk(sell.levels, quantity / sell.multiplier)
    paid = bought.quantity * bought.average_price * (1 + buy.fee)
    got = sold.quantity * sold.average_price * (1 - sell.fee)
    same = buy.quote == sell.quote
    return got * (sell.rate.mid if same else sell.rate.bid) - paid * (buy.rate.mid if same else buy.rate.ask)


@given(side("USDT", falling=False), side("USDT", falling=True), st.lists(st.floats(0.001, 1), min_size=1))
def test_no_other_quantity_brings_more(buy: Leg, sell: Leg, shares: list[float]) -> None:
    if buy.quote == sell.quote:
        sell = Leg(sell.levels, sell.quote, buy.rate, sell.fee, sell.multiplier)
    there = min(sum(one.quantity for one in leg.levels) * leg.multiplier for leg in (buy, sell))
    taken = cross(buy, sell, NO_BOUND)
    best = taken.net if taken is not None else 0.0
    for share in shares:
        assert money(buy, sell, share * there) <= best + 1e-6


@given(side("USDT", falling=False), side("USDT", falling=True), st.floats(1, 1e6))
def test_the_sum_is_the_money_that_moves(buy: Leg, sell: Leg, bound: float) -> None:
    if buy.quote == sell.quote:
        sell = Leg(sell.levels, sell.quote, buy.rate, sell.fee, sell.multiplier)
    taken = cross(buy, sell, bound)
    if taken is None:
        return
    assert taken.net == pytest.approx(taken.gross - taken.fees - taken.conversion)
    assert taken.net == pytest.approx(money(buy, sell, taken.quantity), abs=1e-6)
    assert taken.notional <= bound * (1 + 1e-9)
    assert min(taken.net, taken.quantity, taken.fees + 1, taken.conversion + 1) > 0


def test_a_bound_met_by_rounding_ends_the_walk() -> None:
    """The rest of the bound may be too small to change the floating-point sum of the payments."""
    found: Taken | None = cross(leg((0.1, 3.0), (0.3, 7e20)), leg((1e6, 1e21)), 0.1 * 3.0 + 1e-17)
    assert found is not None
    assert found.quantity == pytest.approx(3.0)
