"""``track_portfolio_performance``: from what the warehouse kept of holdings and prices, by the minute."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from neuroflux.domain import Microseconds
from neuroflux.engine.equity import Holding
from neuroflux.engine.performance import PerformanceAnswer, performance
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.manager.connection import Connection
from neuroflux.manager.mirror import Mirror

HELD = "SELECT toUnixTimestamp(minute), exchange, asset, total, price FROM equity ORDER BY minute"
PRICED = """
SELECT market, toUnixTimestamp(toStartOfMinute(event_time)) AS minute, argMax(price, event_time)
FROM aggregated_prices WHERE market IN ({markets}) GROUP BY market, minute ORDER BY minute
"""

Series = list[tuple[Microseconds, float]]


async def track_performance(
    connection: Connection, exchanges: Collection[str], benchmark_symbols: Sequence[str] | None
) -> PerformanceAnswer:
    """Of what these exchanges held. Raises UnknownSymbol for a benchmark, UsageError, Unreachable."""
    markets = benchmark_markets(connection.mirror, benchmark_symbols)
    rows = await connection.query(HELD)
    prices = await connection.query(priced(markets.values())) if markets else ()
    return await asyncio.to_thread(performance, holdings(rows, exchanges), benchmarks(markets, prices))


def benchmark_markets(mirror: Mirror, symbols: Sequence[str] | None) -> dict[str, str]:
    """The market of each benchmark: a market, an instrument's symbol, or an asset (``BTC`` is ``BTC/USD``)."""
    if isinstance(symbols, str):
        raise UsageError(f"benchmark_symbols: a list of symbols is wanted, not {symbols!r}")
    return {symbol: _market(mirror, symbol) for symbol in symbols or ()}


def _market(mirror: Mirror, symbol: str) -> str:
    listed = mirror.called(symbol) or mirror.called(f"{symbol}/USD")
    if not listed:
        raise UnknownSymbol(f"benchmark_symbols: no instrument list names {symbol!r}")
    return listed[0].market


def priced(markets: Iterable[str]) -> str:
    """The question for the prices of these markets."""
    escaped = (market.replace("\\", "\\\\").replace("'", "\\'") for market in sorted(set(markets)))
    return PRICED.format(markets=", ".join(f"'{market}'" for market in escaped))


def holdings(rows: Iterable[Sequence[Any]], exchanges: Collection[str]) -> list[Holding]:
    """What was held on these exchanges, as ClickHouse tells it: seconds, exchange, asset, quantity, price."""
    return [
        Holding(int(minute) * 1_000_000, exchange, asset, float(total), None if price is None else float(price))
        for minute, exchange, asset, total, price in rows
        if exchange in exchanges
    ]


def benchmarks(markets: dict[str, str], rows: Iterable[Sequence[Any]]) -> dict[str, Series]:
    """The prices of each benchmark, by the name it was asked for with."""
    of: dict[str, Series] = {market: [] for market in markets.values()}
    for market, minute, price in rows:
        of[market].append((int(minute) * 1_000_000, float(price)))
    return {symbol: of[market] for symbol, market in markets.items()}
