"""Quote assets convert at live rates, and not at all without one."""

import pytest

from neuroflux.domain import Quote
from neuroflux.engine.markets.conversion import MAX_AGE, Conversions, Rate, is_conversion_market


def quote(
    symbol: str, bid: float, ask: float, time: int = 0, exchange: str = "binance", size: float = 1.0
) -> Quote[float]:
    return Quote(exchange, symbol, "USDC/USD", bid, size, ask, size, 1, time, time)


def test_the_anchor_is_worth_itself() -> None:
    rate = Conversions().to_usd("USDC", 5)
    assert rate is not None
    assert (rate.bid, rate.ask) == (1.0, 1.0)


def test_a_pair_with_the_anchor_as_base_is_inverted() -> None:
    conversions = Conversions()
    conversions.update(quote("USDC/USDT", 1.25, 1.28))
    rate = conversions.to_usd("USDT", 0)
    assert rate is not None
    assert (rate.bid, rate.ask) == (1 / 1.28, 0.8)
    assert rate.mid == pytest.approx(0.790625)


def test_a_pair_with_the_anchor_as_quote_is_used_directly() -> None:
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
def test_a_crossed_or_empty_quote_is_ignored(bid: float, ask: float) -> None:
    conversions = Conversions()
    conversions.update(quote("USDC/USDT", bid, ask))
    assert conversions.to_usd("USDT", 0) is None


def test_dollars_and_euros_of_an_account_have_a_rate_too() -> None:
    conversions = Conversions()
    conversions.update(quote("USDC/USD", 0.9998, 1.0002))
    conversions.update(quote("USDC/EUR", 0.9, 0.92))
    dollar, euro = conversions.to_usd("USD", 0), conversions.to_usd("EUR", 0)
    assert dollar is not None
    assert euro is not None
    assert dollar.mid == pytest.approx(1, abs=1e-6)
    assert (euro.bid, euro.ask) == (1 / 0.92, 1 / 0.9)


@pytest.mark.parametrize(
    ("market", "answer"),
    [
        ("USDC/USD", True),
        ("USDC/EUR", True),
        ("EUR/USD", True),
        ("BTC/USD", False),
        ("BTC/EUR", False),
        ("USDC/BTC", False),
    ],
)
def test_conversion_markets(market: str, answer: bool) -> None:
    assert is_conversion_market(market) is answer


def test_credits_count_at_par_without_a_quote() -> None:
    assert Conversions().to_usd("BNFCR", 1) == Rate(1.0, 1.0, 1)


DEEP = quote("USDC/USDT", 0.9995, 1.0005, size=1_000_000.0)


@pytest.mark.parametrize("thin", [(0.30, 0.90), (0.599, 0.601), (1.4, 1.5)])
@pytest.mark.parametrize("last", ["thin", "deep"])
def test_a_thin_market_sets_no_rate_beside_a_deep_one(thin: tuple[float, float], last: str) -> None:
    conversions = Conversions()
    result = [DEEP, quote("USDT/USDC", *thin, exchange="hyperliquid")]
    for one in result if last == "thin" else result[::-1]:
        conversions.update(one)
    rate = conversions.to_usd("USDT", 0)
    assert rate is not None
    assert rate.mid == pytest.approx(1.0, abs=0.001)
    assert conversions.quoted_by("USDT") == ("binance", "USDC/USDT")


def test_a_quote_with_too_wide_a_spread_removes_the_rate_of_its_market() -> None:
    conversions = Conversions()
    conversions.update(quote("USDT/USDC", 0.99, 1.01))
    conversions.update(quote("USDT/USDC", 0.30, 0.90))
    assert conversions.to_usd("USDT", 0) is None


def test_of_several_the_median_by_size_counts() -> None:
    conversions = Conversions()
    for exchange, mid, size in (("a", 0.97, 40.0), ("b", 1.0, 30.0), ("c", 1.01, 30.0)):
        conversions.update(quote("USDT/USDC", mid - 0.001, mid + 0.001, exchange=exchange, size=size))
    assert conversions.quoted_by("USDT") == ("b", "USDT/USDC")


def test_a_stale_deepest_market_is_replaced_by_another() -> None:
    conversions = Conversions()
    conversions.update(DEEP)
    conversions.update(quote("USDT/USDC", 0.98, 0.99, time=MAX_AGE, exchange="hyperliquid"))
    assert conversions.quoted_by("USDT") == ("binance", "USDC/USDT")
    rate = conversions.to_usd("USDT", 1 + MAX_AGE)
    assert rate is not None
    assert rate.mid == pytest.approx(0.985)
    assert conversions.quoted_by("USDT") == ("hyperliquid", "USDT/USDC")
    assert conversions.to_usd("USDT", 1 + 2 * MAX_AGE) is None
