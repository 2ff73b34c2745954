"""Invalid records are named, and valid ones can be computed with: no valid record makes an engine raise."""

from __future__ import annotations

from decimal import Decimal
from math import inf, isfinite, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    BookSnapshot,
    Cause,
    ExchangeHealth,
    HealthStatus,
    Instrument,
    InstrumentKind,
    Level,
    Quote,
    Side,
    Trade,
)
from neuroflux.engine.markets.arbitrage import Arbitrage, thresholds_of
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.prices import Prices
from neuroflux.engine.markets.soundness import AHEAD, flaw, flaw_of_health, flaw_of_instrument
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS
from tests.neuroflux.engine.routing.test_strategies import choose, instrument, order, prospect

NOW = 1_800_000_000_000_000
CAUSE = Cause("market.quotes", 0, 0)
QUOTE = Quote("a", "X/USDC", "X/USD", 99.0, 1.0, 100.0, 1.0, 1, NOW, NOW)
TRADE = Trade("a", "X/USDC", "X/USD", "1", Side.BUY, 100.0, 1.0, NOW, NOW)
BOOK = BookSnapshot(
    "a", "X/USDC", "X/USD", (Level(99.0, 1.0), Level(98.0, 1.0)), (Level(100.0, 1.0), Level(101.0, 1.0)), 1, NOW, NOW
)


@pytest.mark.parametrize("record", [QUOTE, TRADE, BOOK])
def test_a_sound_record_has_no_flaw(record: Any) -> None:
    assert flaw(record, NOW) == ""
    assert flaw(replace(record, received_time=NOW - 10**12), NOW) == ""  # a replay


@pytest.mark.parametrize("wrong", [0.0, -1.0, nan, inf, -inf, 1e300, 1e-300])
def test_an_invalid_number_is_named(wrong: float) -> None:
    for name in ("bid_price", "bid_size", "ask_price", "ask_size"):
        assert "range" in flaw(replace(QUOTE, **{name: wrong}), NOW)
    assert "range" in flaw(replace(TRADE, price=wrong), NOW)
    assert "range" in flaw(replace(TRADE, quantity=wrong), NOW)
    assert "range" in flaw(replace(BOOK, bids=(Level(99.0, 1.0), Level(98.0, wrong))), NOW)


@pytest.mark.parametrize("record", [QUOTE, TRADE, BOOK])
def test_a_time_ahead_of_the_log_is_named(record: Any) -> None:
    assert "received_time" in flaw(replace(record, received_time=NOW + AHEAD + 1), NOW)
    assert "received_time" in flaw(replace(record, received_time=NOW * 1000), NOW)
    assert "received_time" in flaw(replace(record, received_time=0), NOW)


def test_a_book_that_contradicts_itself_is_named() -> None:
    assert flaw(replace(QUOTE, bid_price=100.0), NOW) == "crossed"
    assert flaw(replace(BOOK, bids=(Level(100.0, 1.0),)), NOW) == "crossed"
    assert flaw(replace(BOOK, asks=()), NOW) == "a side is empty"
    assert flaw(replace(BOOK, bids=BOOK.bids[::-1]), NOW).startswith("not best first")
    assert flaw(replace(BOOK, asks=BOOK.asks[::-1]), NOW).startswith("not best first")


def listed(exchange: str, multiplier: int) -> Instrument:
    return Instrument(
        exchange=exchange,
        symbol="X/USDC",
        market="X/USD",
        name="X",
        base="X",
        quote="USDC",
        kind=InstrumentKind.SPOT,
        multiplier=multiplier,
        taker_fee=Decimal("0.001"),
    )


numbers = st.floats(allow_nan=True, allow_infinity=True) | st.floats(1e-17, 1e17)
levels = st.lists(st.builds(Level, numbers, numbers), max_size=3).map(tuple)
where = st.sampled_from([("a", "X/USDC", "X/USD"), ("b", "X/USDC", "X/USD")])
times = st.integers(-(10**9), 10**9).map(lambda after: NOW + after)
side, one, text = st.just(Side.BUY), st.just(1), st.just("1")


def built(record: type, *fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(where, st.tuples(*fields)).map(lambda both: record(*both[0], *both[1]))


records = (
    built(Quote, numbers, numbers, numbers, numbers, one, times, times)
    | built(Trade, text, side, numbers, numbers, times, times)
    | built(BookSnapshot, levels, levels, one, times, times)
)


@given(st.lists(records, max_size=20))
def test_every_sound_record_can_be_computed_with(given: list[Any]) -> None:
    reference = Reference([listed("a", 1), listed("b", 1000)])
    prices, arbitrage = Prices(reference), Arbitrage(reference, thresholds_of(ARBITRAGE_THRESHOLDS))
    result: list[Any] = []
    for record in given:
        if flaw(record, NOW):
            continue
        match record:
            case Trade():
                result += prices.trade(record, CAUSE)
            case Quote():
                result += prices.quote(record, CAUSE)
                result += arbitrage.quote(record, CAUSE)
            case BookSnapshot():
                result += arbitrage.book(record, CAUSE)
    for price in result:
        if isinstance(price, AggregatedPrice):
            assert isfinite(price.price)
            assert price.low <= price.price * (1 + 1e-9) <= price.high * (1 + 2e-9)
            assert 0 <= price.liquidity_score <= 1


def test_only_the_figures_used_by_decisions_must_be_finite() -> None:
    """The rate limit usage of some exchanges is unknown; their health is valid all the same."""
    known = ExchangeHealth("a", HealthStatus.ONLINE, 3.0, 100.0, nan, NOW, "", NOW)
    assert flaw_of_health(known, NOW) == ""
    assert "not a finite number" in flaw_of_health(replace(known, latency_ms=nan), NOW)
    assert "written" in flaw_of_health(known, NOW - 2 * AHEAD)


LISTED = instrument("a", multiplier=1000)


@pytest.mark.parametrize(
    ("wrong", "reads"),
    [
        ({"multiplier": 0}, "multiplier is 0"),
        ({"multiplier": -1}, "multiplier"),
        ({"multiplier": 10**18}, "multiplier"),
        ({"taker_fee": Decimal(-5)}, "a fee"),
        ({"maker_fee": Decimal("0.11")}, "a fee"),
        ({"quantity_step": Decimal(-1)}, "a step"),
        ({"tick_size": Decimal("-0.01")}, "a step"),
        ({"min_notional": Decimal(-1)}, "a step"),
        ({"price_significant_figures": -1}, "digits"),
        ({"price_decimals": 1_000_000}, "digits"),
        ({"taker_fee": Decimal("-0.0001")}, ""),
        ({"multiplier": 1_000_000, "price_significant_figures": 5, "price_decimals": 8}, ""),
    ],
)
def test_an_instrument_with_invalid_rules_is_named(wrong: dict[str, Any], reads: str) -> None:
    result = flaw_of_instrument(replace(LISTED, **wrong))
    assert result.startswith(reads)
    assert bool(result) is bool(reads)


some = st.sampled_from([Decimal(text) for text in ("-5", "-0.01", "0", "1E-18", "0.001", "1", "1E+18")])
digits = st.sampled_from([-1, 0, 5, 38, 10**6])
rules = st.fixed_dictionaries(
    dict.fromkeys(("taker_fee", "maker_fee", "tick_size", "quantity_step", "min_quantity", "max_quantity"), some)
    | {"multiplier": st.sampled_from([-1, 0, 1, 1000, 10**9, 10**12])}
    | {"price_significant_figures": digits, "price_decimals": digits}
)


@given(rules, st.sampled_from(Side), st.sampled_from(["optimal", "balanced", "redundant"]))
def test_invalid_rules_of_one_instrument_do_not_affect_others(odd: dict[str, Any], side: Side, strategy: str) -> None:
    one = replace(instrument("odd"), **odd)
    others = [prospect(instrument(exchange)) for exchange in ("a", "b")]
    sound = [*others, *([] if flaw_of_instrument(one) else [prospect(one)])]
    assert choose(order("1", side=side, strategy=strategy), *sound).legs
