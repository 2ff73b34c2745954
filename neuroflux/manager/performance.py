"""``track_portfolio_performance``: from what the warehouse kept of holdings and prices, by the minute."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from neuroflux.clickhouse.tables import texts
from neuroflux.domain import Instrument, Microseconds, Side, TransferKind
from neuroflux.engine.portfolio.equity import Flow, Holding
from neuroflux.engine.portfolio.flows import MINUTE, Exposure, Movement, fee, movements, settled
from neuroflux.engine.portfolio.performance import PerformanceAnswer, performance
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.manager.connection import Connection
from neuroflux.manager.view import View

HELD = """
SELECT toUnixTimestamp(minute), exchange, asset, total, price, toUnixTimestamp64Micro(told), unrealised_pnl FROM equity
WHERE minute IN (
    SELECT toStartOfMinute(event_time) FROM balances UNION DISTINCT
    SELECT toStartOfMinute(event_time) FROM aggregated_prices
) ORDER BY minute
"""
"""Of the minutes in which anything was stored: while nothing runs, there is nothing to measure a return by."""
FILLED = """
SELECT toUnixTimestamp64Micro(event_time), exchange, symbol, side, price, quantity, fee, fee_asset FROM fills FINAL
"""
NAMED = """
SELECT toUnixTimestamp64Micro(event_time), exchange, asset, quantity, kind FROM (
    SELECT DISTINCT exchange, asset, quantity, kind, reason, transfer_id, event_time FROM transfers
)
"""
"""What exchanges name that came and went, each once: they may be told again."""
OPEN = """
SELECT toUnixTimestamp(toStartOfMinute(event_time)) AS minute, exchange, symbol, max(abs(quantity)) > 0,
       argMax(quantity, (_partition, _offset)) != 0
FROM positions FINAL GROUP BY minute, exchange, symbol ORDER BY minute
"""
PRICED = """
SELECT market, toUnixTimestamp(toStartOfMinute(event_time)) AS minute, argMax(price, event_time)
FROM aggregated_prices WHERE market IN ({markets}) GROUP BY market, minute ORDER BY minute
"""

STORED = """
SELECT toUnixTimestamp64Micro(greatest((SELECT max(event_time) FROM balances),
                                       (SELECT max(event_time) FROM aggregated_prices)))
"""
UNFILLED = """
SELECT exchange, toUnixTimestamp64Micro(min(said.event_time))
FROM account_orders AS said
LEFT JOIN (
    SELECT exchange, client_order_id, sum(quantity) AS quantity FROM fills FINAL GROUP BY exchange, client_order_id
) AS stored ON said.exchange = stored.exchange AND said.client_order_id = stored.client_order_id
WHERE said.filled_quantity > stored.quantity
  AND said.event_time > (SELECT max(event_time) FROM account_orders) - INTERVAL 10 MINUTE
  AND said.client_order_id IN (SELECT client_order_id FROM order_events)
GROUP BY exchange
"""
"""The first report of each exchange that one of our orders was filled further than the stored fills say."""

SETTLING: Microseconds = 10_000_000
"""A fill is stored at most so long after the balance that shows it, unless a report says that it is missing."""
FOR_EVER: Microseconds = 1 << 62

Named = Callable[[str, str], Instrument | None]
"""The instrument of an exchange and a symbol."""
Series = list[tuple[Microseconds, float]]


async def track_performance(
    connection: Connection, exchanges: Collection[str], benchmark_symbols: Sequence[str] | None
) -> PerformanceAnswer:
    """Of what these exchanges held. Raises UnknownSymbol for a benchmark, UsageError, Unreachable."""
    markets = benchmark_markets(connection.view, benchmark_symbols)
    asked = (UNFILLED, STORED, HELD, FILLED, OPEN, NAMED)
    unfilled, stored, rows, filled, opened, told = [await connection.query(one) for one in asked]
    prices = await connection.query(priced(markets.values())) if markets else ()
    named = connection.view.instrument
    held = settled(holdings(rows, exchanges), settled_until(stored, unfilled, exchanges))
    flowed, earned = named_by(told)
    moved, exposed = [*moved_by(filled, named), *earned], exposures(opened, named)
    return await asyncio.to_thread(performance, held, benchmarks(markets, prices), moved, exposed, flowed)


def benchmark_markets(view: View, symbols: Sequence[str] | None) -> dict[str, str]:
    """The market of each benchmark: a market, an instrument's symbol, or an asset (``BTC`` is ``BTC/USD``)."""
    if isinstance(symbols, str):
        raise UsageError(f"benchmark_symbols: a list of symbols is wanted, not {symbols!r}")
    return {symbol: _market(view, symbol) for symbol in symbols or ()}


def _market(view: View, symbol: str) -> str:
    listed = view.called(symbol) or view.called(f"{symbol}/USD")
    if not listed:
        raise UnknownSymbol(f"benchmark_symbols: no instrument list names {symbol!r}")
    return listed[0].market


def priced(markets: Iterable[str]) -> str:
    """The question for the prices of these markets."""
    return PRICED.format(markets=texts(markets))


def holdings(rows: Iterable[Sequence[Any]], exchanges: Collection[str]) -> list[Holding]:
    """What was held on these exchanges, in the columns of ``HELD``."""
    return [
        Holding(int(minute) * 1_000_000, exchange, asset, total, price, told, unrealised)
        for minute, exchange, asset, total, price, told, unrealised in rows
        if exchange in exchanges
    ]


def settled_until(
    stored: Iterable[Sequence[Any]], unfilled: Iterable[Sequence[Any]], exchanges: Iterable[str]
) -> dict[str, Microseconds]:
    """Until when the fills that led to a balance are stored, by exchange."""
    newest = max((one for (one,) in stored if one is not None), default=0)
    until = dict.fromkeys(exchanges, newest - SETTLING)
    for exchange, since in unfilled:
        if exchange in until:
            until[exchange] = min(until[exchange], since - 1)
    return until


def moved_by(rows: Iterable[Sequence[Any]], named: Named) -> list[Movement]:
    """What fills and their fees changed; of an instrument that nobody lists any more only the fee."""
    moved: list[Movement] = []
    for time, exchange, symbol, side, price, quantity, paid, paid_in in rows:
        instrument = named(exchange, symbol)
        if instrument is not None:
            moved += movements(instrument, Side(side), (time, float(price), float(quantity)))
        moved.append(fee(instrument, time, exchange, (float(paid), paid_in)))
    return moved


def named_by(rows: Iterable[Sequence[Any]]) -> tuple[list[Flow], list[Movement]]:
    """What exchanges say that came and went, and what they say that the account gained or lost beside its trades."""
    flowed, earned = list[Flow](), list[Movement]()
    for time, exchange, asset, quantity, kind in rows:
        if kind == TransferKind.RESULT:
            earned.append(Movement(time, exchange, asset, float(quantity)))
        else:
            flowed.append(Flow(time, exchange, asset, float(quantity)))
    return flowed, earned


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
