"""``track_portfolio_performance``: the requested markets, and rows as holdings."""

import pytest

from neuroflux.engine.portfolio.equity import Holding
from neuroflux.engine.portfolio.flows import Exposure, Movement
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.manager.performance import (
    NEVER,
    SETTLING,
    benchmark_markets,
    benchmarks,
    exposures,
    holdings,
    movements_of,
    priced,
    settled_until,
)
from tests.neuroflux.manager.reports import healthy_view


def test_a_benchmark_is_a_market_a_symbol_or_an_asset() -> None:
    found = benchmark_markets(healthy_view(), ["BTC", "BTC/USD", "BTC/USDC:USDC"])
    assert found == dict.fromkeys(["BTC", "BTC/USD", "BTC/USDC:USDC"], "BTC/USD")
    assert benchmark_markets(healthy_view(), None) == {}
    with pytest.raises(UnknownSymbol, match=r"benchmark_symbols: .*'NO'"):
        benchmark_markets(healthy_view(), ["NO"])
    with pytest.raises(UsageError, match="benchmark_symbols: expected a list"):
        benchmark_markets(healthy_view(), "BTC")


def test_rows_become_holdings_of_the_connected_exchanges() -> None:
    rows = [
        (60, "binance", "BTC", 2.0, 100.0, 7, 0.5),
        (60, "binance", "DUST", 1.0, None, 7, 0.0),
        (60, "other", "BTC", 1.0, 1.0, 7, 0.0),
    ]
    assert holdings(rows, ("binance",)) == [
        Holding(60_000_000, "binance", "BTC", 2.0, 100.0, 7, 0.5),
        Holding(60_000_000, "binance", "DUST", 1.0, None, 7),
    ]


def test_each_benchmark_has_its_prices_by_the_requested_name() -> None:
    rows = [("BTC/USD", 60, 100.0), ("BTC/USD", 120, 101.0)]
    series = [(60_000_000, 100.0), (120_000_000, 101.0)]
    assert benchmarks({"BTC": "BTC/USD", "BTC/USD": "BTC/USD"}, rows) == {"BTC": series, "BTC/USD": series}


def test_a_quotation_mark_in_a_market_is_escaped() -> None:
    assert r"IN ('A\' OR 1')" in priced(["A' OR 1"])


def test_fills_and_fees_become_movements() -> None:
    find_instrument = healthy_view().instrument
    rows = [
        (5, "binance", "BTC/USDC", "buy", "100", "2", "0.001", "BTC"),
        (6, "hyperliquid", "BTC/USDC:USDC", "sell", "100", "2", "0.1", "USDC"),
        (7, "binance", "GONE/USDC", "buy", "1", "1", "1", "BNB"),
    ]
    assert movements_of(rows, find_instrument) == [
        Movement(5, "binance", "BTC", 2.0, to="BTC"),
        Movement(5, "binance", "USDC", -200.0, to="BTC"),
        Movement(5, "binance", "BTC", -0.001, to="BTC"),
        Movement(6, "hyperliquid", "USDC", 0.0, on_margin=True),
        Movement(6, "hyperliquid", "USDC", -0.1, to="USDC"),
        Movement(7, "binance", "BNB", -1.0),
    ]


def test_a_position_is_open_until_it_is_reported_closed() -> None:
    name, second = ("hyperliquid", "BTC/USDC:USDC"), 1_000_000
    find_instrument = healthy_view().instrument
    rows = [(60, *name, 1, 1), (180, *name, 1, 0), (240, *name, 0, 0), (300, *name, 1, 0), (600, *name, 1, 1)]
    assert exposures(rows, find_instrument) == [
        Exposure("hyperliquid", "USDC", 60 * second, 240 * second),
        Exposure("hyperliquid", "USDC", 300 * second, 360 * second),
        Exposure("hyperliquid", "USDC", 600 * second, NEVER),
    ]


def test_a_balance_counts_once_its_fills_are_stored() -> None:
    newest, names = 100 * SETTLING, ("binance", "hyperliquid")
    assert settled_until([(newest,)], [], names) == dict.fromkeys(names, 99 * SETTLING)
    missing = [("binance", 50 * SETTLING), ("other", 1), ("hyperliquid", newest)]
    assert settled_until([(newest,)], missing, names) == {"binance": 50 * SETTLING - 1, "hyperliquid": 99 * SETTLING}
    assert settled_until([(None,)], [], ("binance",)) == {"binance": -SETTLING}
