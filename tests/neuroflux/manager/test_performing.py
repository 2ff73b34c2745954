"""``track_portfolio_performance``: which markets are asked for, and how rows become holdings."""

import pytest

from neuroflux.engine.equity import Holding
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.manager.performing import benchmark_markets, benchmarks, holdings, priced
from tests.neuroflux.manager.told import all_well


def test_a_benchmark_is_a_market_a_symbol_or_an_asset() -> None:
    found = benchmark_markets(all_well(), ["BTC", "BTC/USD", "BTC/USDC:USDC"])
    assert found == dict.fromkeys(["BTC", "BTC/USD", "BTC/USDC:USDC"], "BTC/USD")
    assert benchmark_markets(all_well(), None) == {}
    with pytest.raises(UnknownSymbol, match=r"benchmark_symbols: .*'NO'"):
        benchmark_markets(all_well(), ["NO"])
    with pytest.raises(UsageError, match="benchmark_symbols: a list"):
        benchmark_markets(all_well(), "BTC")


def test_rows_become_holdings_of_the_connected_exchanges() -> None:
    rows = [(60, "binance", "BTC", 2.0, 100.0), (60, "binance", "DUST", 1.0, None), (60, "other", "BTC", 1.0, 1.0)]
    assert holdings(rows, ("binance",)) == [
        Holding(60_000_000, "binance", "BTC", 2.0, 100.0),
        Holding(60_000_000, "binance", "DUST", 1.0, None),
    ]


def test_each_benchmark_has_its_prices_by_the_name_it_was_asked_with() -> None:
    rows = [("BTC/USD", 60, 100.0), ("BTC/USD", 120, 101.0)]
    series = [(60_000_000, 100.0), (120_000_000, 101.0)]
    assert benchmarks({"BTC": "BTC/USD", "BTC/USD": "BTC/USD"}, rows) == {"BTC": series, "BTC/USD": series}


def test_a_quote_in_a_market_does_not_end_the_text() -> None:
    assert r"IN ('A\' OR 1')" in priced(["A' OR 1"])
