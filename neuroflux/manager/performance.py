"""``track_portfolio_performance``: computed from the holdings and prices that the warehouse stored, by minute."""

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

SELECT_HOLDINGS = """
SELECT toUnixTimestamp(minute), exchange, asset, total, price, toUnixTimestamp64Micro(told), unrealised_pnl FROM equity
WHERE minute IN (
    SELECT toStartOfMinute(event_time) FROM balances UNION DISTINCT
    SELECT toStartOfMinute(event_time) FROM aggregated_prices
) ORDER BY minute
"""
"""Only minutes in which a record was stored: while the pipeline is down there is nothing to measure a return by."""
SELECT_FILLS = """
SELECT toUnixTimestamp64Micro(event_time), exchange, symbol, side, price, quantity, fee, fee_asset FROM fills FINAL
"""
SELECT_TRANSFERS = """
SELECT toUnixTimestamp64Micro(event_time), exchange, asset, quantity, kind FROM (
    SELECT DISTINCT exchange, asset, quantity, kind, reason, transfer_id, event_time FROM transfers
)
"""
"""Transfers as the exchanges reported them, each once: an exchange may report the same one again."""
SELECT_POSITIONS = """
SELECT toUnixTimestamp(toStartOfMinute(event_time)) AS minute, exchange, symbol, max(abs(quantity)) > 0,
       argMax(quantity, (_partition, _offset)) != 0
FROM positions FINAL GROUP BY minute, exchange, symbol ORDER BY minute
"""
SELECT_PRICES = """
SELECT market, toUnixTimestamp(toStartOfMinute(event_time)) AS minute, argMax(price, event_time)
FROM aggregated_prices WHERE market IN ({markets}) GROUP BY market, minute ORDER BY minute
"""

SELECT_STORED = """
SELECT toUnixTimestamp64Micro(greatest((SELECT max(event_time) FROM balances),
                                       (SELECT max(event_time) FROM aggregated_prices)))
"""
SELECT_UNFILLED = """
SELECT exchange, toUnixTimestamp64Micro(min(report.event_time))
FROM account_orders AS report
LEFT JOIN (
    SELECT exchange, client_order_id, sum(quantity) AS quantity FROM fills FINAL GROUP BY exchange, client_order_id
) AS stored ON report.exchange = stored.exchange AND report.client_order_id = stored.client_order_id
WHERE report.filled_quantity > stored.quantity
  AND report.event_time > (SELECT max(event_time) FROM account_orders) - INTERVAL 10 MINUTE
  AND report.client_order_id IN (SELECT client_order_id FROM order_events)
GROUP BY exchange
"""
"""By exchange, the time of the first report that one of our orders was filled by more than the stored fills show."""

SETTLING: Microseconds = 10_000_000
"""A fill is stored at most this long after the balance that includes it, unless a report shows that it is missing."""
NEVER: Microseconds = 1 << 62

FindInstrument = Callable[[str, str], Instrument | None]
"""The instrument of an exchange and a symbol."""
Series = list[tuple[Microseconds, float]]


async def track_performance(
    connection: Connection, exchanges: Collection[str], benchmark_symbols: Sequence[str] | None
) -> PerformanceAnswer:
    """The performance of what these exchanges held. Raises UnknownSymbol for a benchmark, UsageError, Unreachable."""
    markets = benchmark_markets(connection.view, benchmark_symbols)
    statements = (SELECT_UNFILLED, SELECT_STORED, SELECT_HOLDINGS, SELECT_FILLS, SELECT_POSITIONS, SELECT_TRANSFERS)
    unfilled, stored, rows, filled, opened, transfers = [await connection.query(one) for one in statements]
    prices = await connection.query(priced(markets.values())) if markets else ()
    find_instrument = connection.view.instrument
    held = settled(holdings(rows, exchanges), settled_until(stored, unfilled, exchanges))
    flows, income = flows_and_income(transfers)
    moves, exposed = [*movements_of(filled, find_instrument), *income], exposures(opened, find_instrument)
    return await asyncio.to_thread(performance, held, benchmarks(markets, prices), moves, exposed, flows)


def benchmark_markets(view: View, symbols: Sequence[str] | None) -> dict[str, str]:
    """The market of each benchmark: a market, an instrument's symbol, or an asset (``BTC`` is ``BTC/USD``)."""
    if isinstance(symbols, str):
        raise UsageError(f"benchmark_symbols: expected a list of symbols, not {symbols!r}")
    return {symbol: _market(view, symbol) for symbol in symbols or ()}


def _market(view: View, symbol: str) -> str:
    listed = view.called(symbol) or view.called(f"{symbol}/USD")
    if not listed:
        raise UnknownSymbol(f"benchmark_symbols: no instrument list names {symbol!r}")
    return listed[0].market


def priced(markets: Iterable[str]) -> str:
    """The query for the prices of these markets."""
    return SELECT_PRICES.format(markets=texts(markets))


def holdings(rows: Iterable[Sequence[Any]], exchanges: Collection[str]) -> list[Holding]:
    """What was held on these exchanges, in the columns of ``SELECT_HOLDINGS``."""
    return [
        Holding(int(minute) * 1_000_000, exchange, asset, total, price, reported, unrealised)
        for minute, exchange, asset, total, price, reported, unrealised in rows
        if exchange in exchanges
    ]


def settled_until(
    stored: Iterable[Sequence[Any]], unfilled: Iterable[Sequence[Any]], exchanges: Iterable[str]
) -> dict[str, Microseconds]:
    """The time up to which the fills behind a balance are stored, by exchange."""
    newest = max((one for (one,) in stored if one is not None), default=0)
    until = dict.fromkeys(exchanges, newest - SETTLING)
    for exchange, since in unfilled:
        if exchange in until:
            until[exchange] = min(until[exchange], since - 1)
    return until


def movements_of(rows: Iterable[Sequence[Any]], find_instrument: FindInstrument) -> list[Movement]:
    """The changes by fills and their fees; only the fee where the instrument is no longer listed."""
    moves: list[Movement] = []
    for time, exchange, symbol, side, price, quantity, paid, paid_in in rows:
        instrument = find_instrument(exchange, symbol)
        if instrument is not None:
            moves += movements(instrument, Side(side), (time, float(price), float(quantity)))
        moves.append(fee(instrument, time, exchange, (float(paid), paid_in)))
    return moves


def flows_and_income(rows: Iterable[Sequence[Any]]) -> tuple[list[Flow], list[Movement]]:
    """Deposits and withdrawals, and gains or losses other than trades, as the exchanges reported them."""
    flows, income = list[Flow](), list[Movement]()
    for time, exchange, asset, quantity, kind in rows:
        if kind == TransferKind.RESULT:
            income.append(Movement(time, exchange, asset, float(quantity)))
        else:
            flows.append(Flow(time, exchange, asset, float(quantity)))
    return flows, income


def exposures(rows: Iterable[Sequence[Any]], find_instrument: FindInstrument) -> list[Exposure]:
    """The minutes in which a position was open. One open at the end of a minute stays open until reported closed."""
    found: list[Exposure] = []
    since: dict[tuple[str, str], Microseconds] = {}
    for seconds, exchange, symbol, some, at_end in rows:
        minute, name = int(seconds) * MINUTE // 60, (exchange, symbol)
        begin = since.pop(name, minute)
        if at_end:
            since[name] = begin
        elif some or begin < minute:
            found += _exposure(find_instrument, name, begin, minute + MINUTE)
    return found + [one for name, begin in since.items() for one in _exposure(find_instrument, name, begin, NEVER)]


def _exposure(
    find_instrument: FindInstrument, name: tuple[str, str], begin: Microseconds, end: Microseconds
) -> list[Exposure]:
    instrument = find_instrument(*name)
    return [Exposure(name[0], instrument.settle, begin, end)] if instrument else []


def benchmarks(markets: dict[str, str], rows: Iterable[Sequence[Any]]) -> dict[str, Series]:
    """The prices of each benchmark, by the name that was requested."""
    of: dict[str, Series] = {market: [] for market in markets.values()}
    for market, minute, price in rows:
        of[market].append((int(minute) * 1_000_000, float(price)))
    return {symbol: of[market] for symbol, market in markets.items()}
