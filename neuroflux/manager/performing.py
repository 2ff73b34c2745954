"""``track_portfolio_performance``: from what the warehouse kept of holdings and prices, by the minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from neuroflux.domain import Instrument, Microseconds, Side
from neuroflux.engine.equity import Holding
from neuroflux.engine.flows import Exposure, Movement, movements
from neuroflux.engine.performance import MINUTE, PerformanceAnswer, performance
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.manager.connection import Connection
from neuroflux.manager.mirror import Mirror

HELD = """
SELECT toUnixTimestamp(minute), exchange, asset, total, price, toUnixTimestamp64Micro(told) FROM equity ORDER BY minute
"""
FILLED = """
SELECT toUnixTimestamp64Micro(event_time), exchange, symbol, side, price, quantity, fee, fee_asset FROM fills FINAL
"""
OPEN = """
SELECT toUnixTimestamp(toStartOfMinute(event_time)) AS minute, exchange, symbol, max(abs(quantity)) > 0,
       argMax(quantity, event_time) != 0
FROM positions FINAL GROUP BY minute, exchange, symbol ORDER BY minute
"""
PRICED = """
SELECT market, toUnixTimestamp(toStartOfMinute(event_time)) AS minute, argMax(price, event_time)
FROM aggregated_prices WHERE market IN ({markets}) GROUP BY market, minute ORDER BY minute
"""

FOR_EVER: Microseconds = 1 << 62

Named = Callable[[str, str], Instrument | None]
"""The instrument of an exchange and a symbol."""
Series = list[tuple[Microseconds, float]]


async def track_performance(
    connection: Connection, exchanges: Collection[str], benchmark_symbols: Sequence[str] | None
) -> PerformanceAnswer:
    """Of what these exchanges held. Raises UnknownSymbol for a benchmark, UsageError, Unreachable."""
    markets = benchmark_markets(connection.mirror, benchmark_symbols)
    rows, filled, opened = [await connection.query(one) for one in (HELD, FILLED, OPEN)]
    prices = await connection.query(priced(markets.values())) if markets else ()
    held, named = holdings(rows, exchanges), connection.mirror.instrument
    moved, exposed = moved_by(filled, named), exposures(opened, named)
    return await asyncio.to_thread(performance, held, benchmarks(markets, prices), moved, exposed)


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
    """What was held on these exchanges, as ClickHouse tells it: minute, exchange, asset, total, price, when told."""
    return [
        Holding(int(minute) * 1_000_000, exchange, asset, float(total), None if price is None else float(price), told)
        for minute, exchange, asset, total, price, told in rows
        if exchange in exchanges
    ]


def moved_by(rows: Iterable[Sequence[Any]], named: Named) -> list[Movement]:
    """What fills and their fees changed; of an instrument that nobody lists any more only the fee."""
    moved: list[Movement] = []
    for time, exchange, symbol, side, price, quantity, fee, fee_asset in rows:
        instrument = named(exchange, symbol)
        if instrument is not None:
            moved += movements(instrument, Side(side), (time, float(price), float(quantity)))
        moved.append(Movement(time, exchange, fee_asset, -float(fee)))
    return moved


def exposures(rows: Iterable[Sequence[Any]], named: Named) -> list[Exposure]:
    """The minutes in which a position was open: one that is open at a minute's end is so until it is told closed."""
    found: list[Exposure] = []
    since: dict[tuple[str, str], Microseconds] = {}
    for seconds, exchange, symbol, some, at_end in rows:
        minute, name = int(seconds) * MINUTE // 60, (exchange, symbol)
        begin = since.pop(name, minute)
        if at_end:
            since[name] = begin
        elif some or begin < minute:
            found += _exposure(named, name, begin, minute + MINUTE)
    return found + [one for name, begin in since.items() for one in _exposure(named, name, begin, FOR_EVER)]


def _exposure(named: Named, name: tuple[str, str], begin: Microseconds, end: Microseconds) -> list[Exposure]:
    instrument = named(*name)
    return [Exposure(name[0], instrument.settle, begin, end)] if instrument else []


def benchmarks(markets: dict[str, str], rows: Iterable[Sequence[Any]]) -> dict[str, Series]:
    """The prices of each benchmark, by the name it was asked for with."""
    of: dict[str, Series] = {market: [] for market in markets.values()}
    for market, minute, price in rows:
        of[market].append((int(minute) * 1_000_000, float(price)))
    return {symbol: of[market] for symbol, market in markets.items()}
