"""Routing compared with brute force on small books, and every reason that excludes a candidate or refuses an order."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    BookSnapshot,
    Cause,
    CommandKind,
    ExchangeHealth,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    OrderCommand,
    OrderType,
    Requirements,
    Side,
    TimeInForce,
)
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.markets.rounding import violation
from neuroflux.engine.risk.limits import Limits
from neuroflux.engine.routing.candidates import Prospect, instruments_for
from neuroflux.engine.routing.strategies import MARKET_COLLAR, Routed, decide
from neuroflux.exchanges.config import BALANCED_WEIGHTS
from tests.neuroflux.engine.routing.brute_force import Levels, Offer, cost_of, markets

LIMITS = Limits(100_000.0, 0.02, 5_000_000)
NOW = 1_000_000_000_000


def instrument(exchange: str, quote: str = "USDC", fee: str = "0.001", **rules: object) -> Instrument:
    given: dict[str, object] = {"quantity_step": Decimal("0.001"), "tick_size": Decimal("0.01")}
    return Instrument(
        exchange=exchange,
        symbol=f"BTC/{quote}",
        market="BTC/USD",
        name=f"BTC{quote}",
        base="BTC",
        quote=quote,
        kind=InstrumentKind.SPOT,
        taker_fee=Decimal(fee),
        maker_fee=Decimal(fee) / 2,
        **(given | rules),  # type: ignore[arg-type]
    )


def prospect(
    one: Instrument,
    asks: Levels = ((100.0, 5.0),),
    bids: Levels = ((99.9, 5.0),),
    *,
    rate: float = 1.0,
    free: object = "1000000",
    latency: float = 10.0,
    order_latency: float = 0.0,
) -> Prospect:
    book = BookSnapshot(
        one.exchange,
        one.symbol,
        one.market,
        tuple(Level(price, quantity) for price, quantity in bids),
        tuple(Level(price, quantity) for price, quantity in asks),
        1,
        NOW,
        NOW,
    )
    health = ExchangeHealth(one.exchange, HealthStatus.ONLINE, latency, 100.0, 0.0, NOW, "", NOW, order_latency)
    cause = Cause("market.books", 1, 42)
    return Prospect(one, book, cause, Rate(rate, rate, NOW), health, Decimal(str(free)))


def order(quantity: str = "1", **how: object) -> OrderCommand:
    given: dict[str, object] = {"market": "BTC/USD", "quantity": Decimal(quantity)}
    return OrderCommand(order_id="o", kind=CommandKind.PLACE, **(given | how))  # type: ignore[arg-type]


def choose(
    command: OrderCommand,
    *prospects: Prospect,
    price: AggregatedPrice | None = None,
    weights: Mapping[str, float] = BALANCED_WEIGHTS,
) -> Routed:
    return decide(command, prospects, price, LIMITS, NOW, weights=weights)


def parts(routed: Routed) -> dict[str, Decimal]:
    return {leg.instrument.exchange: leg.quantity for leg in routed.legs}


def reasons(routed: Routed) -> dict[str, str]:
    return {one.exchange: one.reason.partition(":")[0] for one in routed.decision.candidates}


# ── which instruments ────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_market_means_spot_and_a_symbol_means_itself() -> None:
    spot, other = instrument("a", "USDT"), instrument("b", "USDC")
    future = replace(spot, exchange="c", symbol="BTC/USDT:USDT", kind=InstrumentKind.PERPETUAL)
    known = [spot, other, future]
    assert instruments_for(order(), known) == [spot, other]
    assert instruments_for(order(), [future]) == [future]
    assert instruments_for(order(market="BTC/USDT"), known) == [spot]
    assert instruments_for(order(market="BTC/USDT:USDT"), known) == [future]
    assert instruments_for(order(exchange="b"), known) == [other]
    assert instruments_for(order(market="XYZ/USD"), known) == []


def test_an_unknown_symbol_is_refused() -> None:
    routed = choose(order(market="XYZ/USD"))
    assert not routed.legs
    assert routed.decision.reason == "symbol: nothing trades 'XYZ/USD'"


# ── optimal ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_fee_decides_where_prices_are_alike() -> None:
    routed = choose(order(), prospect(instrument("dear", fee="0.002")), prospect(instrument("cheap", fee="0.0001")))
    assert parts(routed) == {"cheap": Decimal(1)}
    (leg,) = routed.legs
    assert leg.time_in_force is TimeInForce.IOC
    assert leg.price == 100 * (1 + MARKET_COLLAR)
    assert routed.decision.causes == (Cause("market.books", 1, 42),) * 2
    assert "all-in cost" in routed.decision.reason


def test_the_quote_is_converted_and_never_assumed_to_be_a_dollar() -> None:
    tether = prospect(instrument("tether", "USDT"), rate=0.99)
    assert parts(choose(order(), prospect(instrument("coin")), tether)) == {"tether": Decimal(1)}
    tether = prospect(instrument("tether", "USDT"), rate=1.01)
    assert parts(choose(order(), prospect(instrument("coin")), tether)) == {"coin": Decimal(1)}


def test_it_is_split_where_that_is_cheaper() -> None:
    first = prospect(instrument("a"), [(100.0, 0.4), (101.0, 5.0)])
    second = prospect(instrument("b"), [(100.2, 0.8), (102.0, 5.0)])
    assert parts(choose(order(), first, second)) == {"a": Decimal("0.4"), "b": Decimal("0.6")}


@given(markets())
def test_optimal_is_what_brute_force_finds(given: tuple[Side, list[Offer], int]) -> None:
    side, exchanges, tenths = given
    step = {"quantity_step": Decimal("0.1")}
    offered = []
    for number, (levels, fee, rate) in enumerate(exchanges):
        one = instrument(f"x{number}", f"Q{number}", fee, **step)
        asks, bids = (levels, [(1.0, 1.0)]) if side is Side.BUY else ([(1_000.0, 1.0)], levels)
        offered.append(prospect(one, asks, bids, rate=rate))
    there = sum(round(quantity * 10) for levels, _, _ in exchanges for _, quantity in levels)
    assume(there >= tenths)
    wide = Limits(1e9, 1.0, 5_000_000)
    fair = AggregatedPrice("BTC/USD", 100.0, 0, 0, 1, 1, (), (), NOW)
    routed = decide(order(str(tenths / 10), side=side), offered, fair, wide, NOW)
    assert sum(parts(routed).values()) == Decimal(tenths) / 10
    chosen = [round(float(parts(routed).get(f"x{number}", 0)) * 10) for number in range(len(exchanges))]
    best = min(
        cost_of(side, exchanges, split)
        for split in itertools.product(range(tenths + 1), repeat=len(exchanges))
        if sum(split) == tenths
    )
    assert cost_of(side, exchanges, chosen) == pytest.approx(best)


# ── the other strategies ─────────────────────────────────────────────────────────────────────────────────────────────

FAST = prospect(instrument("fast", fee="0.002"), [(100.5, 5.0)], latency=1.0)
CHEAP = prospect(instrument("cheap", fee="0"), [(100.4, 5.0)], latency=200.0)
MIDDLE = prospect(instrument("middle", fee="0.001"), [(100.1, 5.0)], latency=20.0)


@pytest.mark.parametrize(
    ("strategy", "exchange"),
    [("optimal", "middle"), ("fastest", "fast"), ("cheapest", "cheap"), ("balanced", "middle")],
)
def test_strategies_choose_by_what_they_are_named_for(strategy: str, exchange: str) -> None:
    assert parts(choose(order(strategy=strategy), FAST, CHEAP, MIDDLE)) == {exchange: Decimal(1)}


def test_fastest_uses_the_acknowledgement_latency_where_it_was_measured() -> None:
    slow = prospect(instrument("fast", fee="0.002"), [(100.5, 5.0)], latency=1.0, order_latency=300.0)
    assert parts(choose(order(strategy="fastest"), slow, CHEAP, MIDDLE)) == {"middle": Decimal(1)}


@pytest.mark.parametrize(("cost", "exchange"), [(1.0, "middle"), (0.01, "fast")])
def test_balanced_follows_its_weights(cost: float, exchange: str) -> None:
    weights = {"cost": cost, "latency": 1 - cost}
    assert parts(choose(order(strategy="balanced"), FAST, CHEAP, MIDDLE, weights=weights)) == {exchange: Decimal(1)}


def test_what_the_first_choice_lacks_is_taken_from_the_next() -> None:
    thin = prospect(instrument("fast", fee="0.002"), [(100.5, 0.25)], latency=1.0)
    routed = choose(order(strategy="fastest"), thin, CHEAP, MIDDLE)
    assert parts(routed) == {"fast": Decimal("0.25"), "middle": Decimal("0.75")}


def test_redundant_splits_and_never_multiplies() -> None:
    routed = choose(order("0.999", strategy="redundant"), FAST, CHEAP, MIDDLE)
    assert parts(routed) == {"middle": Decimal("0.499"), "cheap": Decimal("0.5")}
    alone = choose(order(strategy="redundant"), FAST)
    assert alone.decision.reason.startswith("redundant: only one exchange")


# ── exclusions ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_excluded_candidates_name_the_rule() -> None:
    good = prospect(instrument("good"))
    assert good.book is not None
    assert good.health is not None
    old = replace(good.book, received_time=NOW - 5_000_001)
    left_out = {
        "stale": replace(good, book=old),
        "health": replace(good, health=replace(good.health, status=HealthStatus.OFFLINE)),
        "conversion": replace(good, rate=None),
        "funds": replace(good, free=None),
        "keys": replace(good, blocked="keys: none"),
        "inactive": replace(good, instrument=replace(good.instrument, active=False)),
        "fee": replace(good, instrument=replace(good.instrument, taker_fee=Decimal("0.01"))),
        "liquidity": prospect(instrument("good"), [(100.0, 2.0)]),
    }
    requested = Requirements(max_fee=0.002, min_liquidity=300)
    named = [replace(one, instrument=replace(one.instrument, exchange=rule)) for rule, one in left_out.items()]
    routed = choose(order(requirements=requested), good, *named)
    assert reasons(routed) == {"good": ""} | {rule: rule for rule in left_out}
    assert parts(routed) == {"good": Decimal(1)}
    none = choose(order(requirements=requested), *named)
    assert not none.legs
    assert all(f"{rule}:" in none.decision.reason for rule in left_out)


def test_slippage_is_bounded_level_by_level() -> None:
    deep = prospect(instrument("a"), [(100.0, 0.5), (100.2, 5.0)])
    assert parts(choose(order(), deep)) == {"a": Decimal(1)}
    strict = choose(order(requirements=Requirements(max_slippage=0.001)), deep)
    assert strict.decision.reason == "liquidity: 0.5 of 1 is available within the bounds"


def test_levels_beyond_the_collar_are_not_taken() -> None:
    far = prospect(instrument("a"), [(100.0, 0.5), (103.0, 5.0)])
    assert choose(order(), far).decision.reason.startswith("liquidity: 0.5 of 1")
    high = AggregatedPrice("BTC/USD", 90.0, 0, 0, 1, 1, (), (), NOW)
    assert "nothing to take within the bounds" in choose(order(), far, price=high).decision.reason


@pytest.mark.parametrize("strategy", ["optimal", "cheapest", "balanced", "fastest"])
@pytest.mark.parametrize(("side", "price"), [(Side.BUY, 0.03), (Side.BUY, 89.0), (Side.SELL, 113.0)])
def test_another_asset_with_the_same_ticker_is_excluded_however_good_its_price(
    strategy: str, side: Side, price: float
) -> None:
    market = AggregatedPrice("BTC/USD", 100.0, 0, 0, 1, 1, (), (), NOW)
    true, namesake = prospect(instrument("a")), prospect(instrument("b"), [(price, 9e9)], [(price * 0.999, 9e9)])
    routed = choose(order(side=side, strategy=strategy), true, namesake, price=market)
    assert set(parts(routed)) == {"a"}
    reasons = {one.exchange: one.reason for one in routed.decision.candidates}
    assert "not the same thing" in reasons["b"]


def test_a_position_is_closed_at_any_offered_price() -> None:
    market = AggregatedPrice("BTC/USD", 100.0, 0, 0, 1, 1, (), (), NOW)
    high = prospect(instrument("b"), [(112.0, 5.0)], [(111.9, 5.0)])
    low = prospect(instrument("a"))
    assert set(parts(choose(order(side=Side.SELL), low, high, price=market))) == {"a"}
    held = replace(high, reducible=Decimal(1))
    assert "b" in parts(choose(order(side=Side.SELL), low, held, price=market))
    assert choose(order(side=Side.SELL), high, price=market).legs, "alone there is nothing to compare it to"


def test_funds_bound_each_account_once() -> None:
    poor = prospect(instrument("poor", fee="0"), free="20")
    rich = prospect(instrument("rich"))
    routed = choose(order(), poor, rich)
    assert parts(routed)["poor"] < Decimal("0.2")
    assert sum(parts(routed).values()) == 1
    broke = choose(order(), poor)
    assert broke.decision.reason == "funds: 0.80099502 of 1 is not covered; free: 20 USDC on poor"
    twice = choose(order(), poor, replace(poor, instrument=replace(poor.instrument, symbol="BTC/USDC2")))
    assert twice.decision.reason.startswith("funds: 0.8")


def test_a_sale_needs_what_is_sold() -> None:
    holder = prospect(instrument("a"), free="0.5")
    assert choose(order("0.5", side=Side.SELL), holder).legs
    assert choose(order("0.6", side=Side.SELL), holder).decision.reason.startswith("funds: 0.1 of 0.6")


def test_the_notional_is_limited() -> None:
    deep = prospect(instrument("a"), [(100.0, 5_000.0)])
    assert choose(order("1001"), deep).decision.reason.startswith("notional: 100,100.00 USD is above")


def test_rounding_is_reported_and_loses_only_the_step() -> None:
    routed = choose(order("0.1239"), prospect(instrument("a")))
    assert parts(routed) == {"a": Decimal("0.123")}
    assert "0.0009 left out by rounding" in routed.decision.reason
    nothing = choose(order("0.0001"), prospect(instrument("a")))
    assert nothing.decision.reason.startswith("minimum: a BTC/USDC: quantity 0")


def test_a_part_below_an_exchanges_minimum_goes_to_the_others() -> None:
    small = prospect(instrument("a", fee="0", min_notional=Decimal(50)), [(100.0, 0.3)])
    assert parts(choose(order(), small, prospect(instrument("b")))) == {"b": Decimal(1)}
    alone = choose(order("0.3"), small)
    assert alone.decision.reason.startswith("minimum: a BTC/USDC: value 30")


def test_a_multiplied_contract_is_compared_and_sent_in_its_own_units() -> None:
    thousand = instrument("m", multiplier=1000, quantity_step=Decimal(1))
    routed = choose(order("5000"), prospect(thousand, [(20.0, 100.0)], [(19.9, 100.0)]))
    assert parts(routed) == {"m": Decimal(5)}
    assert routed.decision.candidates[0].price == pytest.approx(0.02)


# ── limit orders ─────────────────────────────────────────────────────────────────────────────────────────────────────


def limit(price: str, **how: object) -> OrderCommand:
    return order("1", **({"type": OrderType.LIMIT, "price": Decimal(price)} | how))


def test_a_limit_order_rests_whole_where_it_is_nearest_to_being_filled() -> None:
    routed = choose(limit("98"), prospect(instrument("far"), [(101.0, 5.0)]), prospect(instrument("near")))
    (leg,) = routed.legs
    assert (leg.instrument.exchange, leg.price, leg.time_in_force) == ("near", Decimal(98), TimeInForce.GTC)


def test_a_limit_of_a_market_is_in_usd_and_holds_after_conversion() -> None:
    tether = prospect(instrument("a", "USDT"), rate=0.98)
    (leg,) = choose(limit("98"), tether).legs
    assert leg.price == 100
    (exact,) = choose(limit("98.123", market="BTC/USDT"), tether).legs
    assert exact.price == Decimal("98.12"), "rounded so that it is never worse than requested"


def test_a_limit_beyond_the_collar_is_refused_and_a_low_bid_is_not() -> None:
    assert choose(limit("150"), prospect(instrument("a"))).decision.reason.startswith("collar: 150 USD is 50")
    assert choose(limit("50"), prospect(instrument("a"))).legs


def test_post_only_never_takes() -> None:
    post_only = TimeInForce.POST_ONLY
    crossing = choose(limit("100.5", time_in_force=post_only), prospect(instrument("a")))
    assert "post-only" in crossing.decision.reason
    (leg,) = choose(limit("99", time_in_force=post_only), prospect(instrument("a"))).legs
    assert leg.time_in_force is post_only


def test_all_or_nothing_goes_to_one_exchange_that_has_it_all() -> None:
    thin, deep = prospect(instrument("a"), [(100.0, 0.5)]), prospect(instrument("b"), [(100.5, 2.0)])
    assert parts(choose(limit("101", time_in_force=TimeInForce.FOK), thin, deep)) == {"b": Decimal(1)}
    refused = choose(limit("101", time_in_force=TimeInForce.FOK), thin)
    assert refused.decision.reason == "liquidity: 0.5 of 1 is available within the bounds"


def test_an_immediate_limit_order_is_sent_for_the_whole_quantity() -> None:
    thin = prospect(instrument("a"), [(100.0, 0.5)])
    assert parts(choose(limit("101", time_in_force=TimeInForce.IOC), thin)) == {"a": Decimal(1)}
    away = choose(limit("99", time_in_force=TimeInForce.IOC), thin)
    assert "nothing to take within the bounds" in away.decision.reason


@pytest.mark.parametrize(("free", "sent"), [("1000", "10"), ("999", ""), ("100", ""), ("0", "")])
@pytest.mark.parametrize("there", [50.0, 4.0])
@pytest.mark.parametrize("when", [TimeInForce.IOC, TimeInForce.GTC])
def test_no_limit_order_exceeds_the_funds(when: TimeInForce, there: float, free: str, sent: str) -> None:
    requested = order("10", type=OrderType.LIMIT, price=Decimal(100), time_in_force=when)
    routed = choose(requested, prospect(instrument("a"), [(100.0, there)], free=free))
    assert parts(routed) == ({"a": Decimal(sent)} if sent else {})
    assert sent or routed.decision.reason.startswith("funds: ")


def test_the_quantity_beyond_the_books_is_sent_where_it_can_be_paid_for() -> None:
    requested = order("10", type=OrderType.LIMIT, price=Decimal(100), time_in_force=TimeInForce.IOC)
    thin = [prospect(instrument(name), [(100.0, 2.0)], free=free) for name, free in (("a", "300"), ("b", "900"))]
    assert parts(choose(requested, *thin)) == {"a": Decimal(3), "b": Decimal(7)}
    half = choose(replace(requested, strategy="redundant"), *thin)
    assert not half.legs, "half of it can't be paid for at a"
    rich = [prospect(instrument(name), [(100.0, 2.0)]) for name in "ab"]
    assert parts(choose(replace(requested, strategy="redundant"), *rich)) == {"a": Decimal(5), "b": Decimal(5)}


@given(markets(), st.sampled_from(["optimal", "fastest", "cheapest", "balanced", "redundant"]))
def test_every_choice_obeys_the_rules(given: tuple[Side, list[Offer], int], strategy: str) -> None:
    side, exchanges, tenths = given
    offered = []
    for number, (levels, fee, rate) in enumerate(exchanges):
        one = instrument(f"x{number}", f"Q{number}", fee, min_notional=Decimal(15), quantity_step=Decimal("0.02"))
        asks, bids = (levels, [(98.0, 1.0)]) if side is Side.BUY else ([(102.0, 1.0)], levels)
        offered.append(prospect(one, asks, bids, rate=rate, free="60" if side is Side.BUY else "0.6"))
    requested = order(str(tenths / 10), side=side, strategy=strategy)
    routed = choose(requested, *offered)
    assert routed == choose(requested, *offered)
    assert bool(routed.legs) == bool(routed.decision.chosen)
    assert routed.decision.reason
    assert sum(leg.quantity for leg in routed.legs) <= requested.quantity
    for leg in routed.legs:
        assert not violation(leg.instrument, leg.quantity, leg.price, OrderType.LIMIT)
