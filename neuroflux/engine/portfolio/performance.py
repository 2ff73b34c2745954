"""Performance of a portfolio: returns, risk, attribution, and comparison with benchmarks. Statistics by empyrical.

Samples are minutes; a year has 525,600 of them, since these markets never close. Annualised figures need a day of
history, and ratios need ``ENOUGH`` samples: before that they are None, with a note. The risk-free rate is 0.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from math import fsum, isfinite
from typing import Any, Final, TypedDict

from neuroflux.domain import Microseconds
from neuroflux.engine.portfolio.equity import (
    Flow,
    Holding,
    Name,
    Snapshot,
    attribution,
    flow,
    history,
    outdated,
    profit,
    returns,
    unpriced,
)
from neuroflux.engine.portfolio.flows import HOUR, MINUTE, Exposure, Movement, flows, transfers

DAY: Final[Microseconds] = 24 * HOUR
A_YEAR: Final = 525_600
ENOUGH: Final = 30
PERIODS: Final = {"1h": HOUR, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY}
TAIL: Final = 0.05

Series = Sequence[tuple[Microseconds, float]]


class PerformanceAnswer(TypedDict):
    performance_metrics: dict[str, Any]
    benchmark_comparison: dict[str, Any]
    risk_metrics: dict[str, Any]
    attribution_analysis: dict[str, Any]
    period_returns: dict[str, float | None]
    volatility_analysis: dict[str, Any]
    history: dict[str, Any]
    notes: list[str]
    unpriced: list[str]


def performance(
    holdings: Sequence[Holding],
    benchmarks: Mapping[str, Series],
    moved: Iterable[Movement] = (),
    exposures: Collection[Exposure] = (),
    named: Collection[Flow] = (),
) -> PerformanceAnswer:
    """All performance figures of a history of holdings; one that can't be computed is None, with a note.

    ``named`` are the flows that exchanges reported, each with its own time.
    """
    moved = list(moved)
    flowed, uncertain = flows(holdings, moved, exposures, named)
    snapshots = history(holdings, flowed, transfers(holdings, moved))
    steps = returns(snapshots)
    span = snapshots[-1].time - snapshots[0].time if snapshots else 0
    index = _index(steps)
    return {
        "performance_metrics": _metrics(snapshots, steps, span),
        "benchmark_comparison": {name: _against(snapshots, steps, series) for name, series in benchmarks.items()},
        "risk_metrics": _risk(steps, span),
        "attribution_analysis": _attribution(snapshots),
        "period_returns": _periods(snapshots, index, span),
        "volatility_analysis": _volatility(snapshots, steps, index),
        "history": _history(snapshots, steps),
        "notes": _notes(snapshots, steps, span) + _uncertain(uncertain) + _unvalued(holdings),
        "unpriced": list(unpriced(holdings)),
    }


def _index(steps: Sequence[float]) -> list[float]:
    """The value of 1 invested at the start, after each step."""
    grown = [1.0]
    for one in steps:
        grown.append(grown[-1] * (1 + one))
    return grown


def _metrics(snapshots: Sequence[Snapshot], steps: Sequence[float], span: Microseconds) -> dict[str, Any]:
    import empyrical

    flows = fsum(flow(*pair) for pair in itertools.pairwise(snapshots))
    return {
        "equity_usd": snapshots[-1].worth if snapshots else None,
        "start_equity_usd": snapshots[0].worth if snapshots else None,
        "profit_usd": profit(snapshots) if snapshots else None,
        "flows_usd": flows,
        "total_return": _number(empyrical.cum_returns_final, steps) if steps else None,
        "annual_return": _number(empyrical.annual_return, steps, annualization=A_YEAR) if span >= DAY else None,
    }


def _risk(steps: Sequence[float], span: Microseconds) -> dict[str, Any]:
    """``value_at_risk`` and ``expected_shortfall`` are historical, of one minute, at 95 %, as fractions below 0."""
    import empyrical

    enough = len(steps) >= ENOUGH
    yearly = {"annualization": A_YEAR}
    return {
        "sharpe_ratio": _number(empyrical.sharpe_ratio, steps, **yearly) if enough else None,
        "sortino_ratio": _number(empyrical.sortino_ratio, steps, **yearly) if enough else None,
        "calmar_ratio": _number(empyrical.calmar_ratio, steps, **yearly) if enough and span >= DAY else None,
        "max_drawdown": _number(empyrical.max_drawdown, steps) if steps else None,
        "value_at_risk_95": _number(empyrical.value_at_risk, steps, cutoff=TAIL) if enough else None,
        "expected_shortfall_95": _number(empyrical.conditional_value_at_risk, steps, cutoff=TAIL) if enough else None,
    }


def _number(measure: Any, *series: Sequence[float], **how: Any) -> float | None:
    """The figure; None if it is not finite (a ratio to zero risk)."""
    import numpy

    with numpy.errstate(all="ignore"):
        value = float(measure(*(numpy.asarray(one, dtype=float) for one in series), **how))
    return value if isfinite(value) else None


def _volatility(snapshots: Sequence[Snapshot], steps: Sequence[float], index: Sequence[float]) -> dict[str, Any]:
    import empyrical

    enough = len(steps) >= ENOUGH
    last = steps[-60:]
    peak = max(range(len(index)), key=lambda at: index[at])
    trough = min(range(len(index)), key=lambda at: index[at] / max(index[: at + 1]))
    start = max(range(trough + 1), key=lambda at: index[at])
    recovered = next((at for at in range(trough, len(index)) if index[at] >= index[start]), None)
    times = [one.time for one in snapshots]
    yearly = {"annualization": A_YEAR}
    return {
        "annual_volatility": _number(empyrical.annual_volatility, steps, **yearly) if enough else None,
        "last_hour_volatility": _number(empyrical.annual_volatility, last, **yearly) if len(last) >= ENOUGH else None,
        "max_drawdown": _number(empyrical.max_drawdown, steps) if steps else None,
        "drawdown_start": _iso(times[start]) if times else None,
        "drawdown_trough": _iso(times[trough]) if times else None,
        "drawdown_recovered": _iso(times[recovered]) if times and recovered is not None else None,
        "current_drawdown": index[-1] / index[peak] - 1,
    }


def _periods(snapshots: Sequence[Snapshot], index: Sequence[float], span: Microseconds) -> dict[str, float | None]:
    """The return over each period before the newest sample; None if the history is shorter."""
    found: dict[str, float | None] = {}
    times = [one.time for one in snapshots]
    for name, length in PERIODS.items():
        at = bisect_right(times, times[-1] - length) - 1 if times else -1
        found[name] = index[-1] / index[at] - 1 if span >= length and at >= 0 else None
    return found | {"all": index[-1] - 1 if len(snapshots) > 1 else None}


def _attribution(snapshots: Sequence[Snapshot]) -> dict[str, Any]:
    """USD; each of the three breakdowns adds up to ``total``."""
    shares = attribution(snapshots)
    by_exchange = dict.fromkeys((one.exchange for one in shares), 0.0)
    by_asset = dict.fromkeys((one.asset for one in shares), 0.0)
    for one in shares:
        by_exchange[one.exchange] += one.total
        by_asset[one.asset] += one.total
    return {
        "total": fsum(one.total for one in shares),
        "by_exchange": by_exchange,
        "by_asset": by_asset,
        "by_exchange_and_asset": {
            f"{one.exchange} {one.asset}": {"price": one.price_effect, "trading": one.trading_effect} for one in shares
        },
    }


def _against(snapshots: Sequence[Snapshot], steps: Sequence[float], series: Series) -> dict[str, Any]:
    """Compared on the minutes that both have; ``alpha`` and ``tracking_error`` are annualised."""
    import empyrical
    import numpy

    known = dict(series)
    pairs = [
        (step, known[after.time] / known[before.time] - 1)
        for before, after, step in zip(snapshots, snapshots[1:], steps, strict=False)
        if known.get(before.time) and known.get(after.time)
    ]
    if len(pairs) < ENOUGH:
        return {"samples": len(pairs), "note": f"{len(pairs)} common samples; {ENOUGH} are needed"}
    ours, theirs = (list(one) for one in zip(*pairs, strict=True))
    active = [one - other for one, other in pairs]
    beta = _number(empyrical.beta, ours, theirs)
    return {
        "samples": len(pairs),
        "return": _number(empyrical.cum_returns_final, theirs),
        "active_return": _excess(ours, theirs),
        "beta": beta,
        "alpha": _alpha(ours, theirs, beta),
        "correlation": _number(lambda a, b: numpy.corrcoef(a, b)[0, 1], ours, theirs),
        "tracking_error": _number(empyrical.annual_volatility, active, annualization=A_YEAR),
    }


def _excess(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The return beyond the benchmark's over the common minutes, as a fraction."""
    return _index(ours)[-1] - _index(theirs)[-1]


def _alpha(ours: Sequence[float], theirs: Sequence[float], beta: float | None) -> float | None:
    """Jensen's alpha: the mean per minute times the minutes of a year, without compounding such short steps."""
    if beta is None:
        return None
    return (sum(ours) - beta * sum(theirs)) / len(ours) * A_YEAR


def _history(snapshots: Sequence[Snapshot], steps: Sequence[float]) -> dict[str, Any]:
    ends = (snapshots[0].time, snapshots[-1].time) if snapshots else None
    return {
        "from": _iso(ends[0]) if ends else None,
        "to": _iso(ends[1]) if ends else None,
        "samples": len(steps),
        "interval_seconds": MINUTE / 1e6,
        "missing_minutes": max(0, (ends[1] - ends[0]) // MINUTE - len(steps)) if ends else 0,
    }


def _notes(snapshots: Sequence[Snapshot], steps: Sequence[float], span: Microseconds) -> list[str]:
    notes = []
    if not snapshots:
        notes.append("no history: the warehouse has no balances with prices yet")
    if len(steps) < ENOUGH:
        notes.append(f"{len(steps)} minutes of history: volatility, ratios and value at risk need {ENOUGH}")
    if span < DAY:
        notes.append("less than a day of history: compounded figures are not annualised (annual return, Calmar)")
    notes += [f"the return over {name} needs a longer history" for name, length in PERIODS.items() if span < length]
    missing = _history(snapshots, steps)["missing_minutes"]
    return notes + ([f"{missing} minutes are missing: a return over a gap counts as one sample"] if missing else [])


def _uncertain(names: Iterable[Name]) -> list[str]:
    return [
        f"{asset} on {exchange}: while positions were open, deposits and withdrawals that the exchange did not report "
        "and that occurred within minutes of a position's trade or of a full hour (funding) count as profit"
        for exchange, asset in names
    ]


def _unvalued(holdings: Sequence[Holding]) -> list[str]:
    never = "no price is known: it counts as worthless, and what was paid for it as a loss"
    now = "no current price is known: it is valued at the last one"
    return [
        *(f"{asset}: {never}" for asset in unpriced(holdings)),
        *(f"{asset}: {now}" for asset in outdated(holdings)),
    ]


def _iso(time: Microseconds) -> str:
    return datetime.fromtimestamp(time / 1e6, UTC).isoformat().replace("+00:00", "Z")
