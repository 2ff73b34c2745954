"""``get_market_data_aggregated``: weighted by volume over what is fresh and agrees; the rest is listed as excluded."""

from math import isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import StatusKind
from neuroflux.engine.markets.prices import liquidity_score
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.manager.market_data import market_data
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import NOW, SECOND, book, healthy_view, instrument, price, publish, source, status

HYPERLIQUID = ("hyperliquid", "BTC/USDC:USDC")


def test_for_all_exchanges_the_price_is_that_of_the_record() -> None:
    view = healthy_view()
    answer, record = market_data(view, "BTC/USD", None, NOW), view.prices["BTC/USD"]
    assert (answer["aggregated_price"], answer["total_volume"]) == (record.price, record.volume)
    assert answer["price_range"] == {"min": record.low, "max": record.high}
    assert answer["liquidity_score"] == record.liquidity_score
    assert answer["window_seconds"] == 60
    assert answer["excluded"] == {}
    assert answer["causes"] == [{"topic": "market.trades", "partition": 0, "offset": 3}]


def test_for_some_exchanges_the_price_is_weighted_by_volume() -> None:
    answer = market_data(healthy_view(), "BTC/USD", ["binance"], NOW)
    assert answer["aggregated_price"] == pytest.approx((100 * 2 + 101 * 1) / 3)
    assert answer["total_volume"] == 3
    assert set(answer["exchange_data"]) == {"binance", "binanceusdm"}, "the name covers both"
    assert answer["liquidity_score"] == pytest.approx(liquidity_score(4000, 0.002))


@given(st.lists(st.tuples(st.floats(90, 110), st.floats(0, 1e6)), min_size=2, max_size=2))
def test_the_price_is_within_its_range(figures: list[tuple[float, float]]) -> None:
    view = healthy_view()
    sources = tuple(source(name, "BTC/USDC", *each) for name, each in zip(("binance", "x"), figures, strict=True))
    publish(view, topics.PRICES, price(sources=(*sources, source(*HYPERLIQUID, 100.0, 1.0))))
    answer = market_data(view, "BTC/USD", ["binance", "hyperliquid"], NOW)
    low, high = answer["price_range"]["min"], answer["price_range"]["max"]
    assert low - 1e-9 <= answer["aggregated_price"] <= high + 1e-9


def test_one_instrument_alone() -> None:
    answer = market_data(healthy_view(), "BTC/USDC", None, NOW)
    assert answer["aggregated_price"] == 100
    assert answer["exchange_data"]["binance"]["instruments"]["BTC/USDC"]["bid"] == 99.9


def test_raw_data_is_in_the_quote_and_the_rest_in_usd() -> None:
    view = healthy_view()
    publish(view, topics.INSTRUMENTS, instrument("binance", "BTC/USDT"))
    publish(view, topics.BOOKS, book("binance", "USDC/USDT", 1.25, half=0.05))
    publish(view, topics.BOOKS, book("binance", "BTC/USDT", 125.0))
    publish(view, topics.PRICES, price(sources=(source("binance", "BTC/USDT", 100.0),)))
    shown = market_data(view, "BTC/USDT", None, NOW)["exchange_data"]["binance"]
    assert shown["instruments"]["BTC/USDT"]["ask"] == 125.1
    assert shown["ask"] == pytest.approx(125.1 * (1 / 1.3 + 1 / 1.2) / 2)


def test_excluded_instruments_have_a_reason() -> None:
    view = healthy_view()
    for symbol in ("BTC/USDT", "BTC/FDUSD", "BTC/DAI", "BTC/TUSD"):
        publish(view, topics.INSTRUMENTS, instrument("binance", symbol, active=symbol != "BTC/TUSD"))
    publish(view, topics.BOOKS, book("binance", "BTC/USDT", time=NOW - 11 * SECOND))
    publish(view, topics.BOOKS, book("binance", "BTC/DAI"))
    view.prices["BTC/USD"] = price(sources=(source(), source("binanceusdm", "BTC/USDC:USDC")))
    publish(
        view,
        topics.STATUS,
        status("hyperliquid", StatusKind.EXCLUDED, "200 USD, but the others say 100", HYPERLIQUID[1]),
    )
    excluded = market_data(view, "BTC/USD", None, NOW)["excluded"]
    assert {name: why.partition(":")[0] for name, why in excluded.items()} == {
        "binance:BTC/USDT": "stale",
        "binance:BTC/FDUSD": "stale",
        "binance:BTC/DAI": "conversion",
        "binance:BTC/TUSD": "inactive",
        "hyperliquid:BTC/USDC:USDC": "outlier",
    }
    assert "11.0 s old" in excluded["binance:BTC/USDT"]


def test_the_best_prices_of_an_exchange_are_of_one_instrument() -> None:
    """The best of spot, perpetual and quotes together crossed itself: bid 65,130.66 above ask 65,130.14."""
    view = healthy_view()
    publish(view, topics.INSTRUMENTS, instrument("binance", "BTC/FDUSD"))
    publish(view, topics.BOOKS, book("binance", "FDUSD/USDC", 1.001, half=0.0001))
    publish(view, topics.BOOKS, book("binance", "BTC/FDUSD", 101.0))
    sources = (source("binance", "BTC/USDC", 100.0, 2.0), source("binance", "BTC/FDUSD", 101.0, 1.0))
    publish(view, topics.PRICES, price(sources=sources))
    shown = market_data(view, "BTC/USD", ["binance"], NOW)["exchange_data"]["binance"]
    assert (shown["bid"], shown["ask"]) == (99.9, 100.1)
    assert all(one["included"] for one in shown["instruments"].values())


def test_a_stale_book_is_excluded_even_if_quotes_arrive_again() -> None:
    view = healthy_view()
    publish(view, topics.BOOKS, book(*HYPERLIQUID, time=NOW - 35 * SECOND))
    answer = market_data(view, "BTC/USD", None, NOW)
    assert "35.0 s old" in answer["excluded"]["hyperliquid:BTC/USDC:USDC"]
    shown = answer["exchange_data"]["hyperliquid"]
    assert not shown["instruments"]["BTC/USDC:USDC"]["included"]
    assert isnan(shown["bid"])
    assert answer["aggregated_price"] == pytest.approx((100 * 2 + 101 * 1) / 3)


def test_an_instrument_of_another_market_is_excluded_as_such() -> None:
    view = healthy_view()
    publish(view, topics.INSTRUMENTS, instrument("hyperliquid", "BTC/USDC", market="UBTC/USD"))
    publish(view, topics.BOOKS, book("hyperliquid", "BTC/USDC"))
    excluded = market_data(view, "BTC/USDC", None, NOW)["excluded"]
    assert excluded == {"hyperliquid:BTC/USDC": "market: it is of UBTC/USD, and the price is of BTC/USD"}


def test_without_a_fresh_price_the_figures_are_unknown() -> None:
    answer = market_data(healthy_view(), "BTC/USD", None, NOW + 60 * SECOND)
    assert answer["status"] == "no_data"
    assert isnan(answer["aggregated_price"])
    assert isnan(answer["price_range"]["min"])
    assert (answer["total_volume"], answer["liquidity_score"]) == (0, 0)
    assert len(answer["excluded"]) == 3
    assert answer["data_freshness"]["binance"] == 60


def test_wrong_use_names_the_argument() -> None:
    with pytest.raises(UnknownSymbol, match=r"symbol: .*'NO/USD'"):
        market_data(healthy_view(), "NO/USD", None, NOW)
    with pytest.raises(UnknownSymbol, match="on hyperliquid"):
        market_data(healthy_view(), "BTC/USDC", ["hyperliquid"], NOW)
    with pytest.raises(UsageError, match=r"exchanges: .*'nosuch'"):
        market_data(healthy_view(), "BTC/USD", ["nosuch"], NOW)
    with pytest.raises(UsageError, match="exchanges: expected a list"):
        market_data(healthy_view(), "BTC/USD", "binance", NOW)
    with pytest.raises(UnknownSymbol):
        market_data(View(), "BTC/USD", None, NOW)


@given(st.floats(0.1, 1e5), st.floats(0.1, 1e5), st.floats(0.001, 5), st.floats(0.001, 5))
def test_liquidity_rises_with_depth_and_tightness(size: float, more: float, half: float, wider: float) -> None:
    def score(size: float, half: float) -> float:
        view = healthy_view()
        publish(view, topics.BOOKS, book("hyperliquid", HYPERLIQUID[1], size=size, half=half))
        return market_data(view, "BTC/USD", ["hyperliquid"], NOW)["liquidity_score"]

    assert 0 <= score(size, half) <= 1
    assert score(size + more, half) >= score(size, half)
    assert score(size, half + wider) <= score(size, half)
