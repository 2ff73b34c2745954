"""``optimize_execution_parameters``: the engine's advice, from the current books and past orders."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

from neuroflux.clickhouse.tables import texts
from neuroflux.domain import CommandKind, Microseconds, OrderCommand, Side
from neuroflux.engine.markets.prices import WINDOW
from neuroflux.engine.risk.limits import Limits, limits_of
from neuroflux.engine.routing.advice import OptimisedExecution, optimise
from neuroflux.engine.routing.candidates import instruments_for
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.manager.answers import OptimizationAnswer
from neuroflux.manager.connection import Connection
from neuroflux.manager.initialise import trades_for_real
from neuroflux.manager.view import View

URGENCIES = ("low", "normal", "high", "critical")
PAST = 200
"""The number of newest orders whose estimates are compared with their fills."""
MINUTE: Microseconds = 60_000_000

ERRORS = """
SELECT exchange, symbol, any(expected), sum(price * quantity) / sum(quantity)
FROM (SELECT order_id, exchange, symbol, toFloat64(price) AS price, toFloat64(quantity) AS quantity
      FROM fills FINAL WHERE symbol IN ({symbols})) AS filled
INNER JOIN (SELECT order_id, arrayJoin(candidates) AS one, one.exchange AS exchange, one.symbol AS symbol,
                   one.price AS expected
            FROM (SELECT order_id, candidates FROM order_decisions FINAL
                  WHERE notEmpty(chosen) ORDER BY event_time DESC LIMIT {past})) AS decided
USING (order_id, exchange, symbol)
GROUP BY order_id, exchange, symbol
"""
"""By fill of the newest orders: the expected price (USD per unit of the base) and the actual one (in its quote)."""


def read_order(symbol: str, order_size: float, urgency: str) -> OrderCommand:
    """The order to advise on: a purchase, or a sale if the size is negative. Raises UsageError."""
    if isinstance(order_size, bool) or not isinstance(order_size, int | float) or not isfinite(order_size):
        raise UsageError(f"order_size: expected a number, not {order_size!r}")
    if not order_size:
        raise UsageError("order_size: must not be 0")
    if urgency not in URGENCIES:
        raise UsageError(f"urgency: {urgency!r} is not one of {', '.join(URGENCIES)}")
    side = Side.BUY if order_size > 0 else Side.SELL
    quantity = Decimal(str(abs(order_size)))
    return OrderCommand(order_id="", kind=CommandKind.PLACE, market=symbol, side=side, quantity=quantity)


def advise(
    view: View,
    command: OrderCommand,
    limits: Limits,
    urgency: str,
    past_errors: Sequence[float],
    now: Microseconds,
) -> OptimizationAnswer:
    """The advice for the current books. Raises UnknownSymbol."""
    instruments = instruments_for(command, view.called(command.market))
    if not instruments:
        raise UnknownSymbol(f"symbol: no instrument list names {command.market!r}")
    prospects = [view.prospect(one, command.side, now) for one in instruments]
    aggregated = view.prices.get(instruments[0].market)
    volume = aggregated.volume * MINUTE / WINDOW if aggregated else 0.0
    return _answer(optimise(command, prospects, aggregated, limits, urgency, volume, past_errors, now))


def _answer(found: OptimisedExecution) -> OptimizationAnswer:
    return {
        "recommended_exchange": found["recommended_exchange"],
        "order_splitting": _plain(found["order_splitting"]),
        "timing_strategy": found["timing_strategy"],
        "expected_slippage": 100 * found["expected_slippage"],
        "expected_cost": found["expected_cost"],
        "confidence_score": found["confidence_score"],
        "slices": _plain(found["slices"]),
        "reasons": found["reasons"],
    }


def _plain(value: Any) -> Any:
    """Amounts as floats, as in all answers."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    return float(value) if isinstance(value, Decimal) else value


async def optimise_execution(
    connection: Connection, symbol: str, order_size: float, urgency: str
) -> OptimizationAnswer:
    """Advice on a size in units of the base, negative to sell. Raises UsageError, UnknownSymbol, Unreachable."""
    command = read_order(symbol, order_size, urgency)
    errors = await _past_errors(connection, symbol)
    limits = limits_of(connection.settings.order_limits(live=trades_for_real(connection.settings)))
    with connection.view.lock:
        return advise(connection.view, command, limits, urgency, errors, connection.now())


async def _past_errors(connection: Connection, symbol: str) -> Sequence[float]:
    view, now = connection.view, connection.now()
    symbols = texts(one.symbol for one in view.called(symbol))
    if not symbols:
        raise UnknownSymbol(f"symbol: no instrument list names {symbol!r}")
    rows = await connection.query(ERRORS.format(symbols=symbols, past=PAST))
    errors = (_error(view, now, *row) for row in rows)
    return [one for one in errors if one is not None]


def _error(view: View, now: Microseconds, exchange: str, symbol: str, expected: float, paid: float) -> float | None:
    """|paid - expected| as a fraction of the expected price; None if it can't be computed."""
    instrument = view.instrument(exchange, symbol)
    rate = view.rate(instrument.quote, now) if instrument is not None else None
    if instrument is None or rate is None or not expected:
        return None
    return abs(paid * rate.mid / instrument.multiplier / expected - 1)
