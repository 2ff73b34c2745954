"""Quotes of one class convert at live rates, and not at all without one."""

import pytest

from neuroflux.domain import Quote
from neuroflux.engine.conversion import MAX_AGE, Conversions, Rate, is_conversion_market


def quote(symbol: str, bid: float, ask: float, time: int = 0) -> Quote[float]:
    return Quote("binance", symbol, "USDC/USD", bid, 1.0, ask, 1.0, 1, time, time)


def test_the_anchor_is_worth_itself() -> None:
    rate = Conversions().to_usd("USDC", 5)
    assert rate is not None
    assert (rate.bid, rate.ask) == (1.0, 1.0)


def test_a_pair_with_the_anchor_as_base_is_turned_round() -> None:
    conversions = Conversions()
    conversions.update(quote("USDC/USDT", 1.0, 1.25))
    rate = conversions.to_usd("USDT", 0)
    assert rate is not None
    assert (rate.bid, rate.ask) == (0.8, 1.0)
    assert rate.mid == pytest.approx(0.9)


def test_a_pair_with_the_anchor_as_quote_stands_as_it_is() -> None:
    conversions = Conversions()
    conversions.update(quote("FDUSD/USDC", 0.99, 1.01))
    rate = conversions.to_usd("FDUSD", 0)
    assert rate is not None
    assert (rate.bid, rate.ask) == (0.99, 1.01)


def test_no_peg_is_assumed() -> None:
    conversions = Conversions()
    assert conversions.to_usd("USDT", 0) is None
    conversions.update(quote("USDC/USDT", 1.0, 1.1, time=1))
    assert conversions.to_usd("USDT", 1 + MAX_AGE) is not None
    assert conversions.to_usd("USDT", 2 + MAX_AGE) is None


@pytest.mark.parametrize(("bid", "ask"), [(1.1, 1.0), (0.0, 1.0), (1.0, 1.0)])
def test_a_crossed_or_empty_quote_is_passed_over(bid: float, ask: float) -> None:
    conversions = Conversions()
    conversions.update(quote("USDC/USDT", bid, ask))
    assert conversions.to_usd("USDT", 0) is None


@pytest.mark.parametrize(("market", "answer"), [("USDC/USD", True), ("BTC/USD", False), ("USDC/BTC", False)])
def test_conversion_markets(market: str, answer: bool) -> None:
    assert is_conversion_market(market) is answer


def test_credits_count_at_par_without_a_quote() -> None:
    assert Conversions().to_usd("BNFCR", 1) == Rate(1.0, 1.0, 1)
