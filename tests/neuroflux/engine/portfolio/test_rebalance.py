"""Rebalances calculated by hand, and invariants of every plan: own account, within bounds, less drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import Balance, BookSnapshot, Instrument, InstrumentKind, Level, OrderType, Side
from neuroflux.domain.symbols import USD_CLASS, market_of
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.markets.rounding import violation
from neuroflux.engine.portfolio.rebalance import DUST, RebalancePlan, distance, plan
from neuroflux.engine.risk.limits import limits_of
from neuroflux.engine.routing.candidates import Prospect
from neuroflux.errors import UsageError
from neuroflux.exchanges.config import ORDER_LIMITS

NOW = 1_000_000_000_000
PRICES = {"BTC": 50_000.0, "ETH": 2_500.0, "SOL": 100.0, "USDC": 1.0, "USDT": 1.0}
ZERO = Decimal(0)


def holds(exchange: str, asset: str, free: object, *, in_orders: object = 0, in_positions: object = 0) -> Balance:
    there, ordered, locked = (Decimal(str(one)) for one in (free, in_orders, in_positions))
    return Balance(exchange, asset, there, ordered, locked, there + ordered + locked, NOW)


def trades_at(
    exchange: str,
    base: str,
    quote: str = "USDC",
    *,
    depth: float = 1e9,
    spread: float = 0.0002,
    fee: str = "0.001",
    mid: float = 0.0,
    **rules: Any,
) -> Prospect:
    """A spot instrument whose book has two levels a side: half of ``depth`` USD at the top, half 0.4 % behind it."""
    kept = {"quantity_step": Decimal("0.00001"), "tick_size": Decimal("0.00001"), "min_notional": Decimal(10)} | rules
    one = Instrument(
        exchange=exchange,
        symbol=f"{base}/{quote}",
        market=market_of(base, quote),
        name=base + quote,
        base=base,
        quote=quote,
        kind=InstrumentKind.SPOT,
        taker_fee=Decimal(fee),
        **kept,
    )
    price = mid or PRICES[base]
    asks, bids = (
        tuple(Level(round(price * (1 + sign * (spread / 2 + behind)), 5), depth / 2 / price) for behind in (0.0, 0.004))
        for sign in (1, -1)
    )
    book = BookSnapshot(exchange, one.symbol, one.market, bids, asks, 1, NOW, NOW)
    return Prospect(one, book, None, Rate(1.0, 1.0, NOW))


def planned(
    target: Mapping[str, float], held: Sequence[Balance], *prospects: Prospect, slippage: float = 0.01
) -> RebalancePlan:
    return plan(target, held, prospects, PRICES, slippage, limits_of(ORDER_LIMITS), NOW)


def orders(found: RebalancePlan) -> list[tuple[str, str, str]]:
    return [(one.exchange, one.side.value, one.symbol) for one in found.trades]


def rules(found: RebalancePlan) -> dict[str, str]:
    return {one.asset: one.reason.partition(":")[0] for one in found.skipped}


BTC_A, ETH_A, SOL_A = (trades_at("a", base) for base in ("BTC", "ETH", "SOL"))
BTC_B, ETH_B = (trades_at("b", base, fee="0.0001") for base in ("BTC", "ETH"))


# ── targets ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "target", [{}, {"BTC": 0.5}, {"BTC": 0.6, "ETH": 0.5}, {"BTC": 1.5, "ETH": -0.5}, {"BTC": float("nan")}]
)
def test_a_target_that_does_not_sum_to_one_is_refused_by_name(target: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="target_allocation"):
        planned(target, [])


@pytest.mark.parametrize("slippage", [-0.1, 1.0, float("nan")])
def test_a_slippage_outside_of_0_to_1_is_refused_by_name(slippage: float) -> None:
    with pytest.raises(UsageError, match="max_slippage"):
        planned({"BTC": 1.0}, [], slippage=slippage)


def test_three_thirds_sum_to_one() -> None:
    held = [holds("a", "BTC", 1), holds("a", "ETH", 20), holds("a", "SOL", 500)]
    found = planned({"BTC": 0.333, "ETH": 0.333, "SOL": 0.333}, held, BTC_A, ETH_A, SOL_A)
    assert found.trades == ()
    assert not found.partial


# ── simple cases, by hand ────────────────────────────────────────────────────────────────────────────────────────────


def test_cash_buys_the_target_assets() -> None:
    found = planned({"BTC": 0.5, "USDC": 0.5}, [holds("a", "USDC", 100_000)], BTC_A)
    (trade,) = found.trades
    assert (trade.side, trade.exchange, trade.symbol) == (Side.BUY, "a", "BTC/USDC")
    assert found.current_allocation == {"USDC": 1.0}
    assert found.expected_allocation["BTC"] == pytest.approx(0.5, abs=1e-5)
    assert found.total_usd == 100_000
    # 1 bp of half-spread and 10 bp of fee on 50,000 USD
    assert trade.slippage_usd == pytest.approx(5.0, rel=1e-2)
    assert trade.fee_usd == pytest.approx(50.0, rel=1e-2)
    assert found.total_cost == pytest.approx(trade.cost_usd)
    assert not found.partial


def test_assets_outside_of_the_target_are_sold_for_those_in_it() -> None:
    found = planned({"ETH": 1.0}, [holds("a", "BTC", 1)], BTC_A, ETH_A)
    assert orders(found) == [("a", "sell", "BTC/USDC"), ("a", "buy", "ETH/USDC")]
    assert found.trades[0].quantity == 1
    assert found.expected_allocation["ETH"] == pytest.approx(1.0, abs=1e-3)
    assert not found.partial, found.skipped


def test_the_reference_example_takes_one_trade_for_each_deviating_asset() -> None:
    target = {"BTC": 0.4, "ETH": 0.3, "SOL": 0.2, "USDC": 0.1}
    found = planned(target, [holds("a", "BTC", 2)], BTC_A, ETH_A, SOL_A, trades_at("b", "BTC"))
    assert orders(found) == [("a", "sell", "BTC/USDC"), ("a", "buy", "ETH/USDC"), ("a", "buy", "SOL/USDC")]
    assert found.expected_allocation == pytest.approx(target, abs=float(DUST))


def test_a_sale_goes_where_it_costs_least_of_those_that_hold_enough() -> None:
    held = [holds("a", "BTC", 1), holds("b", "BTC", 1)]
    found = planned({"BTC": 0.75, "USDC": 0.25}, held, BTC_A, BTC_B)
    assert orders(found) == [("b", "sell", "BTC/USDC")]
    assert found.trades[0].quantity == pytest.approx(Decimal("0.5"), abs=Decimal("0.001"))


def test_each_trade_goes_to_its_own_cheapest_exchange() -> None:
    held = [holds(exchange, name, 40_000 / PRICES[name]) for exchange in "ab" for name in ("BTC", "ETH")]
    cheap = trades_at("a", "ETH", fee="0.0001")
    dear = trades_at("b", "ETH")
    found = planned({"BTC": 0.25, "ETH": 0.25, "USDC": 0.5}, held, BTC_A, BTC_B, cheap, dear)
    assert sorted(orders(found)) == [("a", "sell", "ETH/USDC"), ("b", "sell", "BTC/USDC")]


def test_each_trade_goes_where_it_fills_completely_even_at_a_higher_cost() -> None:
    held = [holds("a", "BTC", "1.5"), holds("b", "BTC", "0.5"), holds("a", "ETH", 10), holds("b", "ETH", 30)]
    cheap = trades_at("a", "ETH", fee="0.0001")
    dear = trades_at("b", "ETH")
    found = planned({"USDC": 0.6, "BTC": 0.35, "ETH": 0.05}, held, BTC_A, BTC_B, cheap, dear)
    assert {("a", "sell", "BTC/USDC"), ("b", "sell", "ETH/USDC")} <= set(orders(found))
    assert len(found.trades) == 3, "30 of 35 ETH on b, the rest on a"


def test_one_expensive_trade_is_preferred_to_two_cheap_ones() -> None:
    held = [holds("a", "BTC", "1.5"), holds("b", "BTC", "0.5")]
    assert orders(planned({"BTC": 0.5, "USDC": 0.5}, held, BTC_A, BTC_B)) == [("a", "sell", "BTC/USDC")]


def test_a_sale_is_made_where_its_proceeds_are_needed() -> None:
    held = [holds("a", "BTC", 1), holds("b", "BTC", 1)]
    found = planned({"BTC": 0.6, "ETH": 0.4}, held, BTC_A, BTC_B, ETH_A)
    assert orders(found) == [("a", "sell", "BTC/USDC"), ("a", "buy", "ETH/USDC")]
    assert found.transfers == ()


def test_two_purchases_on_two_exchanges_are_each_paid_from_their_own_account() -> None:
    held = [holds("a", "BTC", 1), holds("b", "BTC", 1)]
    sol = trades_at("b", "SOL")
    found = planned({"BTC": 0.5, "ETH": 0.25, "SOL": 0.25}, held, BTC_A, BTC_B, ETH_A, sol)
    assert sorted(orders(found)) == [
        ("a", "buy", "ETH/USDC"),
        ("a", "sell", "BTC/USDC"),
        ("b", "buy", "SOL/USDC"),
        ("b", "sell", "BTC/USDC"),
    ]
    assert not found.partial


def test_the_split_of_a_sale_is_chosen_so_that_it_opens_few_orders() -> None:
    """Selling on "b" for cash first, where it is as cheap, would leave too little there and take a fourth."""
    held = [holds("a", "BTC", "1.2"), holds("b", "BTC", "0.8")]
    free = [trades_at(exchange, base, fee="0", spread=0.0001) for exchange in "ab" for base in ("BTC", "ETH")]
    found = planned({"ETH": 0.6, "USDC": 0.4}, held, *free)
    assert len(found.trades) == 3
    assert found.expected_allocation == pytest.approx({"BTC": 0.0, "ETH": 0.6, "USDC": 0.4}, abs=float(DUST))


def test_what_is_sold_on_one_exchange_is_paid_for_with_the_money_of_another() -> None:
    """An excess of 501 USD and a shortage of 496 USD remained, although both accounts could trade them: the
    stablecoins were at their goal, so neither a sale nor a purchase alone got nearer to it."""
    held = [holds("a", "USDC", 10_000), holds("b", "ETH", 4)]
    found = planned({"SOL": 0.5, "USDC": 0.5}, held, SOL_A, ETH_B)
    assert orders(found) == [("b", "sell", "ETH/USDC"), ("a", "buy", "SOL/USDC")]
    assert found.expected_allocation == pytest.approx({"ETH": 0.0, "SOL": 0.5, "USDC": 0.5}, abs=1e-3)
    assert not found.partial


def test_money_that_the_target_keeps_is_named_as_the_reason() -> None:
    held = [holds("a", "USDC", 10_000), holds("b", "ETH", 4)]
    found = planned({"SOL": 0.5, "USDC": 0.5}, held, SOL_A)
    (reason,) = (one.reason for one in found.skipped if one.asset == "SOL")
    assert reason.startswith("funds: the target keeps the stablecoins where it is traded (10,000.00 USDC on a)")


# ── what can't be traded ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_transfer_of_money_from_elsewhere_is_proposed() -> None:
    found = planned({"ETH": 0.5, "USDC": 0.5}, [holds("a", "USDC", 1_000)], BTC_A, ETH_B)
    assert found.trades == ()
    (move,) = found.transfers
    assert (move.asset, move.source, move.destination, move.quantity) == ("USDC", "a", "b", Decimal(500))
    assert rules(found) == {"ETH": "funds"}
    assert found.partial


def test_a_transfer_of_an_asset_to_where_it_can_be_sold_is_proposed() -> None:
    found = planned({"BTC": 0.4, "USDC": 0.6}, [holds("a", "BTC", 1)], BTC_B)
    (move,) = found.transfers
    assert (move.asset, move.source, move.destination, move.quantity) == ("BTC", "a", "b", Decimal("0.6"))
    assert rules(found) == {"BTC": "symbol"}
    assert found.partial


def test_each_transfer_is_proposed_once() -> None:
    held = [holds("a", "USDC", 300), holds("c", "USDC", 700)]
    found = planned({"ETH": 0.5, "SOL": 0.5}, held, ETH_B, trades_at("b", "SOL"))
    assert [(one.source, int(one.quantity)) for one in found.transfers] == [("a", 300), ("c", 200), ("c", 500)]


def test_no_useless_transfer_is_proposed() -> None:
    assert planned({"ETH": 1.0}, [holds("a", "BTC", 1)], BTC_B, trades_at("c", "ETH")).transfers == ()


def test_a_thin_sale_does_not_spend_cash_that_the_target_keeps() -> None:
    held = [holds("a", "BTC", 1), holds("a", "USDC", 50_000)]
    found = planned({"ETH": 0.5, "USDC": 0.5}, held, trades_at("a", "BTC", depth=10_000), ETH_A)
    assert [round(one.value_usd, -2) for one in found.trades] == [10_000, 10_000]
    assert found.expected_allocation["USDC"] == pytest.approx(0.5, abs=0.001)


def test_several_purchases_share_an_account_with_their_fees() -> None:
    """Two orders reserve, at their limits, no more than the account has, although there is more elsewhere."""
    held = [holds("a", "USDC", 1_000), holds("b", "USDC", 1_000)]
    found = planned({"BTC": 0.3, "ETH": 0.3, "USDC": 0.4}, held, BTC_A, ETH_A)
    assert len(found.trades) == 2
    assert sum(one.quantity * one.bound_price * Decimal("1.001") for one in found.trades) <= 1_000
    assert found.trades[1].bound_price > found.trades[1].price or found.partial


def test_nothing_is_sold_for_an_asset_that_can_not_be_bought() -> None:
    found = planned({"ETH": 1.0}, [holds("a", "BTC", 1)], BTC_A, BTC_B, ETH_B)
    assert found.trades == ()
    assert [(one.asset, one.source, one.destination) for one in found.transfers] == [("BTC", "a", "b")]
    assert found.partial


def test_no_more_than_the_book_holds_within_the_slippage() -> None:
    thin = trades_at("a", "BTC", depth=20_000)
    held = [holds("a", "USDC", 100_000)]
    strict = planned({"BTC": 0.5, "USDC": 0.5}, held, thin, slippage=0.001)
    assert strict.trades[0].value_usd == pytest.approx(10_000)
    assert rules(strict) == {"BTC": "slippage"}
    assert strict.partial
    assert strict.skipped[0].value_usd == pytest.approx(-40_000, rel=0.01)
    wider = planned({"BTC": 0.5, "USDC": 0.5}, held, thin)
    assert wider.trades[0].value_usd == pytest.approx(20_000)


def test_a_book_that_is_far_from_the_market_is_not_traded() -> None:
    dear = trades_at("a", "BTC", mid=51_000)
    found = planned({"BTC": 0.5, "USDC": 0.5}, [holds("a", "USDC", 1_000)], dear)
    assert (found.trades, rules(found)) == ((), {"BTC": "slippage"})


def test_collateral_and_open_orders_count_and_are_locked() -> None:
    held = [holds("a", "BTC", "0.1", in_orders="0.5", in_positions="0.4"), holds("b", "USDC", 0, in_positions=50_000)]
    found = planned({"USDC": 1.0}, held, BTC_A)
    assert found.total_usd == 100_000
    assert found.trades[0].quantity == Decimal("0.1")
    assert {(one.exchange, one.asset): one.value_usd for one in found.locked} == {
        ("a", "BTC"): 45_000.0,
        ("b", "USDC"): 50_000.0,
    }
    assert rules(found) == {"BTC": "locked"}
    assert found.partial


def test_locked_collateral_buys_nothing() -> None:
    held = [holds("a", "USDC", 100, in_positions=900)]
    found = planned({"BTC": 0.5, "USDC": 0.5}, held, BTC_A)
    assert found.trades[0].value_usd == pytest.approx(100, rel=0.01)
    assert rules(found) == {"BTC": "funds"}


def test_dust_and_minimums_are_respected_and_reported() -> None:
    held = [holds("a", "USDC", 10_000), holds("a", "BTC", "0.00008"), holds("a", "ETH", "0.0032")]
    found = planned({"USDC": 1.0}, held, BTC_A, ETH_A)
    assert found.trades == ()
    assert rules(found) == {"BTC": "dust", "ETH": "minimum"}
    assert not found.partial


def test_a_part_below_the_minimum_goes_elsewhere() -> None:
    strict = trades_at("b", "BTC", fee="0", min_notional=Decimal(1_000))
    held = [holds("a", "USDC", 1_000), holds("b", "USDC", 1_000)]
    found = planned({"BTC": 0.25, "USDC": 0.75}, held, BTC_A, strict)
    assert orders(found) == [("a", "buy", "BTC/USDC")]
    assert not found.skipped


def test_an_asset_without_a_price_is_listed_and_not_counted() -> None:
    found = planned({"USDC": 1.0}, [holds("a", "XYZ", 5), holds("a", "USDC", 100)], BTC_A)
    assert found.total_usd == 100
    assert rules(found) == {"XYZ": "price"}
    assert not found.partial
    wanted = planned({"XYZ": 0.5, "USDC": 0.5}, [holds("a", "USDC", 100)], BTC_A)
    assert rules(wanted) == {"XYZ": "symbol"}
    assert wanted.partial


def test_a_stale_book_is_reported_and_not_traded() -> None:
    assert BTC_A.book is not None
    old = replace(BTC_A, book=replace(BTC_A.book, received_time=NOW - 60_000_000))
    found = planned({"BTC": 1.0}, [holds("a", "USDC", 100)], old)
    assert found.skipped[0].reason.startswith("a BTC/USDC: stale")
    assert found.partial


def test_an_empty_portfolio_has_nothing_to_trade() -> None:
    found = planned({"BTC": 1.0}, [], BTC_A)
    assert (found.trades, found.total_usd, found.current_allocation) == ((), 0.0, {})


# ── stablecoins ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_stablecoin_is_exchanged_for_the_one_that_is_named() -> None:
    pair = trades_at("a", "USDC", "USDT", fee="0")
    found = planned({"BTC": 0.5, "USDC": 0.5}, [holds("a", "USDT", 10_000)], trades_at("a", "BTC", "USDT"), pair)
    assert orders(found) == [("a", "buy", "BTC/USDT"), ("a", "buy", "USDC/USDT")]
    assert found.expected_allocation["USDC"] == pytest.approx(0.5, abs=1e-3)


def test_a_missing_stablecoin_conversion_is_reported() -> None:
    found = planned({"BTC": 0.5, "USDC": 0.5}, [holds("a", "USDT", 10_000)], trades_at("a", "BTC", "USDT"))
    assert orders(found) == [("a", "buy", "BTC/USDT")]
    assert rules(found) == {"USDC": "conversion"}


def test_usd_is_any_stablecoin() -> None:
    held = [holds("a", "USDT", 5_000), holds("b", "USDC", 5_000)]
    found = planned({"USD": 1.0}, held, trades_at("a", "USDC", "USDT"))
    assert (found.trades, found.skipped) == ((), ())


def test_the_named_stablecoin_is_kept_and_the_other_spent() -> None:
    held = [holds("a", "USDT", 5_000), holds("a", "USDC", 5_000)]
    found = planned({"BTC": 0.5, "USDC": 0.5}, held, trades_at("a", "BTC", "USDT"), BTC_A)
    assert orders(found) == [("a", "buy", "BTC/USDT")]


# ── invariants ───────────────────────────────────────────────────────────────────────────────────────────────────────

ASSETS = ("BTC", "ETH", "SOL")
EXCHANGES = ("a", "b", "c")


@st.composite
def scenes(draw: st.DrawFn) -> tuple[dict[str, float], list[Balance], list[Prospect], float]:
    weights = draw(st.lists(st.integers(0, 10), min_size=4, max_size=4).filter(any))
    target = {name: weight / sum(weights) for name, weight in zip((*ASSETS, "USDC"), weights, strict=True) if weight}
    usd = st.sampled_from([0, 0, 3, 200, 1_000, 40_000])
    held = [
        holds(
            exchange, name, Decimal(str(draw(usd) / PRICES[name])), in_positions=draw(st.sampled_from([0, 0, "0.01"]))
        )
        for exchange in EXCHANGES
        for name in (*ASSETS, "USDC", "USDT")
    ]
    listed = [(exchange, name, quote) for exchange in EXCHANGES for name in ASSETS for quote in ("USDC", "USDT")]
    listed += [(exchange, "USDC", "USDT") for exchange in EXCHANGES]
    prospects = [
        trades_at(
            exchange,
            base,
            quote,
            depth=draw(st.sampled_from([100.0, 10_000.0, 1e8])),
            fee=draw(st.sampled_from(["0", "0.0005", "0.002"])),
            quantity_step=draw(st.sampled_from([Decimal("0.00001"), Decimal("0.001"), Decimal("0.1"), ZERO])),
            mid=PRICES[base] * draw(st.sampled_from([0.999, 1.0, 1.001])),
        )
        for exchange, base, quote in draw(st.lists(st.sampled_from(listed), unique=True, max_size=8))
    ]
    return target, held, prospects, draw(st.sampled_from([0.0, 0.002, 0.01]))


@given(scenes())
def test_every_plan_keeps_the_invariants(scene: tuple[dict[str, float], list[Balance], list[Prospect], float]) -> None:
    target, held, prospects, slippage = scene
    found = planned(target, held, *prospects, slippage=slippage)
    known = {(one.instrument.exchange, one.instrument.symbol): one for one in prospects}
    purses, then = ({(one.exchange, one.asset): one.free for one in held} for _ in range(2))
    assert len({(one.exchange, one.symbol) for one in found.trades}) == len(found.trades), "one order an instrument"
    assert [one.side for one in found.trades if one.symbol != "USDC/USDT"] == sorted(
        (one.side for one in found.trades if one.symbol != "USDC/USDT"), reverse=True
    ), "sales first"
    for trade in found.trades:
        one = known[trade.exchange, trade.symbol].instrument
        assert not violation(one, trade.quantity, trade.bound_price, OrderType.LIMIT)
        worst = trade.price if trade.side is Side.SELL else trade.bound_price
        _pay(purses, trade.side, one, trade.quantity, worst)
        _pay(then, trade.side, one, trade.quantity, trade.price)
        within(known[trade.exchange, trade.symbol], trade.side, trade.quantity, trade.bound_price, slippage)
    assert all(amount >= -Decimal("1e-15") for amount in purses.values()), "each account spends its own funds only"
    if any(trade.symbol != "USDC/USDT" for trade in found.trades):
        assert distance(found.expected_allocation, target) < distance(found.current_allocation, target)
    elif not found.trades:
        assert found.expected_allocation == found.current_allocation
    if not found.partial and found.total_usd:
        off = distance(found.expected_allocation, target)
        small = sum(abs(one.value_usd) for one in found.skipped) / found.total_usd
        assert off <= 2 * small + 10 * (float(DUST) + found.total_cost / found.total_usd) + 1e-9
    moved: dict[tuple[str, str], Decimal] = {}
    for move in found.transfers:
        moved[move.source, move.asset] = moved.get((move.source, move.asset), ZERO) + move.quantity
    assert all(amount <= then[purse] for purse, amount in moved.items()), "a proposed transfer is available"


def _pay(
    purses: dict[tuple[str, str], Decimal], side: Side, one: Instrument, quantity: Decimal, price: Decimal
) -> None:
    base, quote = (one.exchange, one.base), (one.exchange, one.quote)
    if side is Side.SELL:
        purses[base] -= quantity
        purses[quote] += quantity * price * (1 - one.taker_fee)
    else:
        purses[quote] -= quantity * price * (1 + one.taker_fee)


def within(prospect: Prospect, side: Side, quantity: Decimal, bound: Decimal, slippage: float) -> None:
    """The bound limits the slippage against the mid, and the book holds the quantity up to it."""
    book = prospect.book
    assert book is not None
    mid = (book.bids[0].price + book.asks[0].price) / 2
    sign = 1 if side is Side.BUY else -1
    assert sign * (float(bound) / mid - 1) <= slippage + 1e-12
    levels = book.asks if side is Side.BUY else book.bids
    there = sum(
        Decimal(str(one.quantity)) for one in levels if sign * one.price <= sign * float(bound) * (1 + sign * 1e-6)
    )
    assert quantity <= there


@given(scenes())
def test_a_portfolio_at_its_target_is_left_alone(
    scene: tuple[dict[str, float], list[Balance], list[Prospect], float],
) -> None:
    _, held, prospects, slippage = scene
    at_rest = planned({"USD": 1.0}, held, slippage=slippage).current_allocation
    if at_rest:
        target = {name: share for name, share in at_rest.items() if name not in USD_CLASS}
        cash = {name: share for name, share in at_rest.items() if name in USD_CLASS}
        assert planned(target | cash, held, *prospects, slippage=slippage).trades == ()


@given(st.lists(st.integers(0, 8), min_size=3, max_size=3), st.lists(st.integers(1, 8), min_size=3, max_size=3))
def test_on_one_exchange_each_deviating_asset_takes_one_trade(here: list[int], there: list[int]) -> None:
    """All assets trade against the stablecoin, so fewer trades are impossible."""
    held = [
        holds("a", name, Decimal(n * 10_000) / Decimal(str(PRICES[name]))) for name, n in zip(ASSETS, here, strict=True)
    ]
    held.append(holds("a", "USDC", 10_000))
    total, whole = sum(here) + 1, sum(there) + 1
    target = {name: n / whole for name, n in zip(ASSETS, there, strict=True)} | {"USDC": 1 / whole}
    off = [
        name
        for name, now, then in zip(ASSETS, here, there, strict=True)
        if abs(now / total - then / whole) > float(DUST)
    ]
    found = planned(target, held, BTC_A, ETH_A, SOL_A)
    assert sorted(one.symbol for one in found.trades) == sorted(f"{name}/USDC" for name in off)
    assert not found.partial
