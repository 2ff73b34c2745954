"""Performance compared with manual calculations and with a second library, and the invariants of attribution."""

from __future__ import annotations

import itertools
import json
from math import isclose, sqrt

import pytest
import QuantLib
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from neuroflux.engine.portfolio.equity import Holding, attribution, history, profit, returns, unpriced
from neuroflux.engine.portfolio.flows import HOUR, MINUTE
from neuroflux.engine.portfolio.performance import A_YEAR, DAY, ENOUGH, TAIL, performance

NOW = 1_700_000_040_000_000


def rows(*prices: float, quantity: float = 2.0, start: int = NOW) -> list[Holding]:
    """Two bitcoins on one exchange, minute by minute."""
    return [Holding(start + at * MINUTE, "binance", "BTC", quantity, price) for at, price in enumerate(prices)]


def wandering(count: int) -> list[float]:
    """Deterministic prices: a sum of waves."""
    from math import sin

    return [1000 * (1 + 0.01 * sin(at / 7) + 0.003 * sin(at * 1.7) + at * 1e-5) for at in range(count)]


def test_profit_and_returns_by_hand() -> None:
    snapshots = history(rows(100.0, 110.0, 99.0))
    assert returns(snapshots) == pytest.approx([0.1, -0.1])
    assert profit(snapshots) == pytest.approx(-2.0)
    result = performance(rows(100.0, 110.0, 99.0), {})
    assert result["performance_metrics"]["total_return"] == pytest.approx(-0.01)
    assert result["risk_metrics"]["max_drawdown"] == pytest.approx(-0.1)
    assert result["period_returns"] == {"1h": None, "24h": None, "7d": None, "30d": None, "all": pytest.approx(-0.01)}


def test_an_exchange_that_appears_later_brings_money_and_no_profit() -> None:
    later = [Holding(NOW + MINUTE, "hyperliquid", "USDC", 500.0, 1.0)]
    result = performance(rows(100.0, 110.0) + later, {})
    assert result["performance_metrics"]["flows_usd"] == pytest.approx(500.0)
    assert result["performance_metrics"]["profit_usd"] == pytest.approx(20.0)
    assert result["performance_metrics"]["total_return"] == pytest.approx(0.1)


def test_an_asset_without_any_price_is_named_and_in_no_figure() -> None:
    odd = [Holding(NOW + at * MINUTE, "binance", "ODD", 7.0, None) for at in range(2)]
    result = performance(rows(100.0, 110.0) + odd, {})
    assert result["unpriced"] == ["ODD"] == list(unpriced(odd))
    assert result["performance_metrics"]["equity_usd"] == pytest.approx(220.0)


def test_an_asset_without_a_current_price_is_valued_by_its_last_with_a_note() -> None:
    unpriced_now = [*rows(100.0, 110.0), Holding(NOW + 2 * MINUTE, "binance", "BTC", 2.0, None)]
    result = performance(unpriced_now, {})
    assert result["performance_metrics"]["equity_usd"] == pytest.approx(220.0)
    assert any("BTC: no current price is known" in note for note in result["notes"])
    assert not any("BTC" in note for note in performance(rows(100.0, 110.0), {})["notes"])
    odd = performance([Holding(NOW, "binance", "ODD", 7.0, None)], {})
    assert any("ODD: no price is known:" in note for note in odd["notes"])


def test_the_history_begins_when_everything_held_is_priced() -> None:
    late = [Holding(NOW + at * MINUTE, "binance", "ETH", 1.0, None if at == 0 else 10.0) for at in range(3)]
    assert len(history(rows(100.0, 110.0, 120.0) + late)) == 2


def test_too_little_history_is_noted_and_not_filled() -> None:
    result = performance([], {"BTC": []})
    assert result["performance_metrics"]["equity_usd"] is None
    assert any("no history" in note for note in result["notes"])
    short = performance(rows(*wandering(ENOUGH)), {})
    assert short["risk_metrics"]["sharpe_ratio"] is None
    assert any(f"need {ENOUGH}" in note for note in short["notes"])
    missing = performance([*rows(1.0), *rows(1.0, start=NOW + 10 * MINUTE)], {})
    assert any("9 minutes are missing" in note for note in missing["notes"])


def test_periods_are_measured_back_from_the_newest_sample() -> None:
    prices = wandering(DAY // MINUTE + 30)
    result = performance(rows(*prices), {})["period_returns"]
    assert result["1h"] == pytest.approx(prices[-1] / prices[-1 - HOUR // MINUTE] - 1)
    assert result["24h"] == pytest.approx(prices[-1] / prices[-1 - DAY // MINUTE] - 1)
    assert result["7d"] is None


def test_the_statistics_agree_with_quantlib() -> None:
    prices = wandering(2000)
    steps = returns(history(rows(*prices)))
    result = performance(rows(*prices), {})
    second = QuantLib.RiskStatistics()
    for one in steps:
        second.add(one)
    risk = result["risk_metrics"]
    assert result["volatility_analysis"]["annual_volatility"] == pytest.approx(
        second.standardDeviation() * sqrt(A_YEAR), rel=1e-9
    )
    assert risk["sharpe_ratio"] == pytest.approx(second.mean() / second.standardDeviation() * sqrt(A_YEAR), rel=1e-9)
    downside = sqrt(sum(min(one, 0.0) ** 2 for one in steps) / len(steps))
    assert risk["sortino_ratio"] == pytest.approx(second.mean() / downside * sqrt(A_YEAR), rel=1e-9)
    assert risk["value_at_risk_95"] == pytest.approx(-second.valueAtRisk(1 - TAIL), rel=0.01)
    assert risk["expected_shortfall_95"] == pytest.approx(-second.expectedShortfall(1 - TAIL), rel=0.02)


def test_a_benchmark_agrees_with_scipys_regression() -> None:
    ours, theirs = wandering(500), wandering(900)[400:]
    series = [(NOW + at * MINUTE, price) for at, price in enumerate(theirs)]
    result = performance(rows(*ours), {"BTC": series})["benchmark_comparison"]["BTC"]
    first = returns(history(rows(*ours)))
    second = [after / before - 1 for before, after in itertools.pairwise(theirs)]
    line = stats.linregress(second, first)
    assert result["samples"] == len(first)
    assert result["beta"] == pytest.approx(line.slope, rel=1e-9)
    assert result["correlation"] == pytest.approx(line.rvalue, rel=1e-9)
    assert result["alpha"] == pytest.approx(line.intercept * A_YEAR, rel=1e-6)
    active = [one - other for one, other in zip(first, second, strict=True)]
    assert result["tracking_error"] == pytest.approx(stats.tstd(active) * sqrt(A_YEAR), rel=1e-9)


def test_a_benchmark_without_common_samples_says_so() -> None:
    result = performance(rows(*wandering(100)), {"BTC": [(1, 1.0)]})["benchmark_comparison"]["BTC"]
    assert result == {"samples": 0, "note": f"0 common samples; {ENOUGH} are needed"}


NAMES = [("binance", "BTC"), ("binance", "USDT"), ("hyperliquid", "BTC"), ("hyperliquid", "USDC")]
MINUTES = st.lists(
    st.dictionaries(st.sampled_from(NAMES), st.tuples(st.floats(0, 1e3), st.floats(0.01, 1e5)), max_size=4),
    max_size=12,
)


@given(minutes=MINUTES)
def test_attribution_sums_to_the_profit_whatever_is_held(
    minutes: list[dict[tuple[str, str], tuple[float, float]]],
) -> None:
    holdings = [
        Holding(NOW + at * MINUTE, *name, quantity, price)
        for at, result in enumerate(minutes)
        for name, (quantity, price) in result.items()
    ]
    snapshots = history(holdings)
    gained, scale = profit(snapshots), 1 + sum(one.worth for one in snapshots)
    assert isclose(sum(one.total for one in attribution(snapshots)), gained, abs_tol=1e-9 * scale)
    result = performance(holdings, {})
    gained = result["performance_metrics"]["profit_usd"] or 0.0  # without what flows it finds
    for way in ("by_exchange", "by_asset"):
        assert isclose(sum(result["attribution_analysis"][way].values()), gained, abs_tol=1e-9 * scale)
    json.dumps(result, allow_nan=False)
