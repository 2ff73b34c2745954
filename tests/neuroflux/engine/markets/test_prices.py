"""Aggregated prices: what they include, what they exclude, and when they are published."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    AggregatedPrice,
    BookSnapshot,
    Cause,
    ExchangeStatus,
    Instrument,
    InstrumentKind,
    Level,
    Quote,
    Side,
    StatusKind,
    Trade,
)
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.prices import EVERY, OUTLIER, REMIND, STALE, WINDOW, Prices, Published, liquidity_score

NOW = 1_800_000_000_000_000
RATE = Cause("market.quotes", 3, 77)


def listed(exchange: str, quote: str = "USDC", multiplier: int = 1) -> Instrument:
    return Instrument(
        exchange=exchange,
        symbol=f"X/{quote}",
        market="X/USD",
        name=f"X{quote}",
        base="X",
        quote=quote,
        kind=InstrumentKind.SPOT,
        multiplier=multiplier,
        taker_fee=Decimal("0.001"),
    )


def reference(*instruments: Instrument) -> Reference:
    return Reference(instruments or (listed("a"), listed("b"), listed("c")))


def quote(
    exchange: str, mid: float, at: int = NOW, size: float = 10.0, asset: str = "USDC", spread: float = 0.01
) -> Quote[float]:
    half = mid * spread / 2
    return Quote(exchange, f"X/{asset}", "X/USD", mid - half, size, mid + half, size, 1, at, at)


def trade(exchange: str, price: float, quantity: float, at: int = NOW, asset: str = "USDC") -> Trade[float]:
    return Trade(exchange, f"X/{asset}", "X/USD", "1", Side.BUY, price, quantity, at, at)


def fold(prices: Prices, records: Iterable[Quote[float] | Trade[float] | BookSnapshot[float]]) -> list[Published]:
    result: list[Published] = []
    for offset, record in enumerate(records):
        if isinstance(record, Quote):
            result += prices.quote(record, Cause("market.quotes", 0, offset))
        elif isinstance(record, BookSnapshot):
            result += prices.withdraw(record)
        else:
            result += prices.trade(record, Cause("market.trades", 0, offset))
    return result


def last(prices: Prices, *records: Quote[float] | Trade[float]) -> AggregatedPrice:
    found = [one for one in fold(prices, records) if isinstance(one, AggregatedPrice)]
    return found[-1]


def test_weighs_by_what_each_traded() -> None:
    price = last(
        Prices(reference()),
        trade("a", 100, 3),
        trade("b", 101, 1),
        quote("a", 999, at=NOW + 1),
        quote("b", 999, at=NOW + EVERY),
        quote("b", 999, at=NOW + 2 * EVERY),
    )
    assert price.price == pytest.approx((3 * 100 + 1 * 101) / 4)
    assert (price.low, price.high, price.volume) == (100, 101, 4)
    assert {(one.exchange, one.price, one.volume) for one in price.sources} == {("a", 100, 3), ("b", 101, 1)}


def test_before_any_trade_weighs_mids_by_size() -> None:
    price = last(Prices(reference()), quote("a", 100, size=30), quote("b", 101, at=NOW + EVERY, size=10))
    weights = 30 * 100, 10 * 101
    assert price.price == pytest.approx((100 * weights[0] + 101 * weights[1]) / sum(weights))
    assert price.volume == 0


def test_trades_leave_the_window() -> None:
    later = NOW + WINDOW + 1_000_000
    price = last(
        Prices(reference()),
        quote("a", 102),
        trade("a", 100, 5),
        trade("a", 101, 1, at=NOW + WINDOW // 2),
        quote("a", 102, at=later),
    )
    assert (price.price, price.volume) == (101, 1)


def test_old_trades_that_an_exchange_repeats_on_subscription_are_ignored() -> None:
    """Hyperliquid's first frame has some 30 trades; those of a quiet coin are hours old."""
    old = [
        replace(trade("a", 250 - number, 1000), event_time=NOW - 86_400_000_000 // (number + 1)) for number in range(30)
    ]
    price = last(Prices(reference()), quote("a", 200), *old, quote("a", 200, at=NOW + EVERY))
    assert (price.price, price.volume) == (200, 0)
    price = last(Prices(reference()), replace(trade("a", 210, 2), event_time=NOW - WINDOW), quote("a", 200, at=NOW + 1))
    assert (price.price, price.volume) == (210, 2), "a trade exactly as old as the window counts"


def test_a_trade_out_of_order_counts_in_its_own_second() -> None:
    market = Prices(reference())
    for one in (trade("a", 100, 1), trade("a", 90, 1, at=NOW - 29_000_000), trade("a", 10, 100, at=NOW - 62_000_000)):
        market.trade(one, RATE)
    price = last(market, quote("a", 200, at=NOW + EVERY))
    assert (price.price, price.volume) == (95, 2)
    price = last(market, quote("a", 200, at=NOW + WINDOW - 20_000_000))
    assert (price.price, price.volume) == (100, 1)


def test_no_rounding_error_remains_of_trades_that_left_the_window() -> None:
    later = NOW + WINDOW + 1_000_000
    price = last(
        Prices(reference()),
        trade("a", 1e9, 1e8),
        trade("a", 0.1, 1e-9, at=NOW + WINDOW // 2),
        quote("a", 0.1, at=later),
    )
    assert price.volume == 1e-9
    assert price.price == pytest.approx(0.1)


def test_multipliers_are_normalised() -> None:
    known = reference(listed("a"), listed("b", multiplier=1000))
    price = last(
        Prices(known),
        quote("a", 0.00001),
        trade("a", 0.00001, 4000),
        quote("b", 0.0101),
        trade("b", 0.0101, 4, at=NOW + EVERY),
    )
    assert price.volume == 8000
    assert price.price == pytest.approx((0.00001 + 0.0000101) / 2)


def test_quotes_are_converted_at_the_live_rate() -> None:
    known = reference(listed("a"), listed("b", quote="USDT"))
    prices = Prices(known)
    assert [one.symbol for one in last(prices, quote("b", 100, asset="USDT"), quote("a", 100)).sources] == ["X/USDC"]
    known.convert(Quote("a", "USDC/USDT", "USDC/USD", 1.24, 1, 1.26, 1, 1, NOW, NOW), RATE)
    price = last(prices, quote("b", 100, asset="USDT", at=NOW + EVERY), quote("a", 81, at=NOW + 2 * EVERY))
    assert {one.exchange: round(one.price, 1) for one in price.sources} == {"a": 81.0, "b": 80.0}
    assert RATE in price.causes


def test_a_rate_that_is_stale_excludes() -> None:
    known = reference(listed("a"), listed("b", quote="USDT"))
    known.convert(Quote("a", "USDC/USDT", "USDC/USD", 0.99, 1, 1.01, 1, 1, NOW, NOW), RATE)
    later = NOW + 60_000_000
    price = last(Prices(known), quote("b", 100, asset="USDT", at=later), quote("a", 100, at=later + EVERY))
    assert [one.exchange for one in price.sources] == ["a"]


def test_a_stale_quote_excludes_and_its_age_is_reported() -> None:
    prices = Prices(reference())
    price = last(prices, quote("a", 100), quote("b", 100, at=NOW + STALE))
    assert {one.exchange: one.age_ms for one in price.sources} == {"a": STALE / 1000, "b": 0}
    price = last(prices, quote("b", 100, at=NOW + STALE + EVERY))
    assert [one.exchange for one in price.sources] == ["b"]


def lost_a_side(exchange: str, at: int, sequence: int = 2) -> BookSnapshot[float]:
    return BookSnapshot(exchange, "X/USDC", "X/USD", (), (Level(100.0, 1.0),), sequence, at, at)


def test_a_book_that_lost_a_side_excludes_the_last_quote_until_there_is_another() -> None:
    """The price without it is given at once; trades of the instrument bring no price of it back."""
    prices = Prices(reference())
    price = last(prices, quote("a", 100), quote("b", 101, at=NOW + EVERY))
    assert [one.exchange for one in price.sources] == ["a", "b"]
    (without,) = prices.withdraw(lost_a_side("a", NOW + EVERY + 1))
    assert isinstance(without, AggregatedPrice)
    assert ([one.exchange for one in without.sources], without.price) == (["b"], 101)
    assert without.event_time == NOW + EVERY + 1
    price = last(prices, trade("a", 100, 5, at=NOW + 3 * EVERY), quote("b", 101, at=NOW + 4 * EVERY))
    assert [one.exchange for one in price.sources] == ["b"]
    price = last(prices, replace(quote("a", 100, at=NOW + 5 * EVERY), sequence=3))
    assert [one.exchange for one in price.sources] == ["a", "b"]


def test_a_book_that_is_older_than_the_quote_withdraws_nothing() -> None:
    """Books are published at most five times a second: both sides may be back before the one without is read."""
    prices = Prices(reference())
    fold(prices, [replace(quote("a", 100), sequence=3)])
    assert prices.withdraw(lost_a_side("a", NOW + EVERY)) == ()
    assert [one.exchange for one in last(prices, quote("b", 101, at=NOW + 2 * EVERY)).sources] == ["a", "b"]


def test_what_is_withdrawn_already_gives_no_price_again_nor_does_a_market_without_any() -> None:
    prices = Prices(reference())
    fold(prices, [quote("a", 100), quote("b", 101)])
    given = [len(prices.withdraw(lost_a_side(name, NOW + EVERY))) for name in ("a", "a", "c", "b")]
    assert given == [1, 0, 0, 0]


def test_another_asset_with_the_same_ticker_is_excluded_and_reported() -> None:
    prices = Prices(reference())
    result = fold(prices, [quote("a", 100, size=50), quote("b", 1.0, at=NOW + EVERY, size=10)])
    status, price = result[-2:]
    assert isinstance(status, ExchangeStatus)
    assert (status.exchange, status.symbol, status.kind) == ("b", "X/USDC", StatusKind.EXCLUDED)
    assert "1 USD" in status.detail
    assert "100" in status.detail
    assert isinstance(price, AggregatedPrice)
    assert [one.exchange for one in price.sources] == ["a"]
    assert len(fold(prices, [quote("b", 1.0, at=NOW + 2 * EVERY)])) == 1  # not published with every price
    assert len(fold(prices, [quote("a", 100, at=NOW + REMIND), quote("b", 1.0, at=NOW + REMIND + EVERY)])) == 3


def test_an_instrument_that_agrees_again_is_included_and_reported_once() -> None:
    prices = Prices(reference())
    fold(prices, [quote("a", 100, size=50), quote("b", 1.0, at=NOW + EVERY, size=10)])
    result = fold(prices, [quote("b", 100.5, at=NOW + 2 * EVERY, size=10), quote("b", 100.4, at=NOW + 3 * EVERY)])
    messages = [one for one in result if isinstance(one, ExchangeStatus)]
    assert [(one.exchange, one.kind, one.detail) for one in messages] == [
        ("b", StatusKind.INCLUDED, "X/USDC: 100.5 USD, median of the market 100")
    ]
    assert [one.exchange for one in result[-1].sources] == ["a", "b"]  # type: ignore[union-attr]
    again = fold(prices, [quote("b", 1.0, at=NOW + 4 * EVERY, size=10)])
    assert [one.kind for one in again if isinstance(one, ExchangeStatus)] == [StatusKind.EXCLUDED]


def test_of_many_the_outlier_is_left_out() -> None:
    apart = 100 * (1 + 2 * OUTLIER)
    price = last(Prices(reference()), quote("a", 100), quote("b", 101), quote("c", apart, at=NOW + EVERY))
    assert [one.exchange for one in price.sources] == ["a", "b"]


def test_a_market_is_published_at_most_at_its_interval() -> None:
    prices = Prices(reference())
    times = [NOW, NOW + 1, NOW + EVERY - 1, NOW + EVERY, NOW + EVERY + 1, NOW + 3 * EVERY]
    result = [len(prices.quote(quote("a", 100, at=at), RATE)) for at in times]
    assert result == [1, 0, 0, 1, 0, 1]


def test_a_trade_gives_a_price_too() -> None:
    prices = Prices(reference())
    assert fold(prices, [quote("a", 100), trade("a", 99, 1, at=NOW + EVERY)])[-1].event_time == NOW + EVERY


def test_unknown_instruments_are_not_priced() -> None:
    assert fold(Prices(Reference()), [quote("a", 100), trade("a", 100, 1)]) == []


def test_names_the_records_it_was_made_from() -> None:
    price = last(Prices(reference()), quote("a", 100), trade("a", 100, 1), quote("b", 100, at=NOW + EVERY))
    assert price.causes == (Cause("market.quotes", 0, 0), Cause("market.trades", 0, 1), Cause("market.quotes", 0, 2))


amounts = st.floats(1.0, 1e9)


@given(amounts, amounts, st.floats(0, 0.1), st.floats(0, 0.1))
def test_liquidity_rises_with_depth_and_tightness(depth: float, more: float, spread: float, wider: float) -> None:
    score = liquidity_score(depth, spread)
    assert 0 <= score < 1
    assert liquidity_score(depth + more, spread) >= score >= liquidity_score(depth, spread + wider)


kinds = st.sampled_from(["quote", "trade", "book"])
events = st.lists(
    st.tuples(st.sampled_from("abc"), kinds, st.floats(95, 105), st.floats(0.1, 10), st.integers(0, 10**6)),
    max_size=40,
)


@given(events)
def test_the_same_records_give_the_same_prices_between_the_extremes(
    given: list[tuple[str, str, float, float, int]],
) -> None:
    records: list[Quote[float] | Trade[float] | BookSnapshot[float]] = []
    at = NOW
    for exchange, kind, price, quantity, after in given:
        at += after
        if kind == "book":
            records.append(lost_a_side(exchange, at))
        elif kind == "quote":
            records.append(quote(exchange, price, at, quantity))
        else:
            records.append(trade(exchange, price, quantity, at))
    result = fold(Prices(reference()), records)
    assert result == fold(Prices(reference()), records)
    for one in result:
        if isinstance(one, AggregatedPrice):
            assert 95 * 0.99 <= one.low <= one.price * (1 + 1e-12) <= one.high * (1 + 1e-9) <= 105 * 1.01


def test_an_instrument_listed_later_is_priced_from_then_on() -> None:
    known = Reference([listed("a")])
    prices = Prices(known)
    fold(prices, [quote("b", 100)])
    known.list(replace(listed("b"), active=True))
    price = last(prices, quote("a", 100, at=NOW + EVERY))
    assert {one.exchange for one in price.sources} == {"a", "b"}


def test_earlier_trades_are_restored_once() -> None:
    tape = [trade("a", 100.0, 3.0, NOW - WINDOW // 2), trade("b", 102.0, 1.0, NOW - 1)]
    seen, result = Prices(reference()), Prices(reference())
    fold(seen, tape)
    for _ in range(2):
        result.recall([(one, Cause("market.trades", 0, offset)) for offset, one in enumerate(tape)])
    quotes = quote("a", 101.0), quote("b", 101.0)
    assert fold(result, quotes)[-1] == fold(seen, quotes)[-1]
