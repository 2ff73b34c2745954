"""Execution of an arbitrage opportunity: both legs as one command, and their result."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from math import isfinite, isnan, nan
from typing import Any, Final, Literal

from neuroflux.domain import CommandKind, CommandLeg, Microseconds, OrderCommand, OrderState, Side
from neuroflux.errors import UsageError
from neuroflux.kafka.commands import new_order_id
from neuroflux.manager.answers import ArbitrageAnswer, micros
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.fill_sums import close_cost, legs, sum_fills
from neuroflux.manager.order_tracker import TrackedOrder
from neuroflux.manager.view import View
from neuroflux.runtime.clock import wall

NEEDED: Final = ("symbol", "buy_exchange", "buy_symbol", "sell_exchange", "sell_symbol", "quantity")
FOLLOWED_SECONDS: Final = 60.0
"""Seconds to wait for a pair and its hedges; afterwards the pair continues, but its result is not awaited."""


async def execute(connection: Connection, opportunity: Mapping[str, Any]) -> ArbitrageAnswer:
    """Publish the pair and return when it has ended; raises UsageError for an invalid opportunity."""
    command, began = pair_of(opportunity), connection.now()
    with connection.track(command.order_id) as tracked:
        await connection.command(command)
        await connection.until(lambda: tracked.complete, FOLLOWED_SECONDS)
        return arbitrage_answer(connection.view, command, tracked, began, connection.now())


def pair_of(opportunity: Mapping[str, Any]) -> OrderCommand:
    """The command; the execution stage refuses it once expired, or if the books no longer pay for closing it."""
    missing = [key for key in NEEDED if not isinstance(opportunity, Mapping) or not opportunity.get(key)]
    if missing:
        raise UsageError(f"opportunity: {missing[0]!r} is missing; pass an item of scan_arbitrage_opportunities()")
    quantity = _fundable(opportunity)
    return OrderCommand(
        order_id=new_order_id(),
        kind=CommandKind.PAIR,
        market=str(opportunity["symbol"]),
        quantity=quantity,
        legs=tuple(
            CommandLeg(str(opportunity[f"{side}_exchange"]), str(opportunity[f"{side}_symbol"]), side, quantity)
            for side in (Side.BUY, Side.SELL)
        ),
        expires_at=_time(opportunity.get("expires_at")),
        min_profit=_exit_cost(opportunity, quantity),
        issued_by=CLIENT,
        issued_at=wall(),
    )


def _fundable(opportunity: Mapping[str, Any]) -> Decimal:
    """The quantity the accounts can fund, if known and less than the books hold."""
    quantity, funded = _quantity(opportunity["quantity"]), opportunity.get("fundable_quantity")
    known = isinstance(funded, int | float) and not isnan(funded)
    return min(quantity, _quantity(funded)) if known else quantity


def _exit_cost(opportunity: Mapping[str, Any], quantity: Decimal) -> float:
    """Minimum USD that the entry must earn: the cost of closing this quantity, 0 if nothing stays open."""
    given = opportunity.get("exit_cost", 0.0)
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given) or given < 0:
        raise UsageError(f"opportunity['exit_cost']: {given!r} is not a finite number of at least 0")
    return float(given) * float(quantity / _quantity(opportunity["quantity"]))


def _quantity(given: Any) -> Decimal:
    try:
        quantity = round(Decimal(str(given)), 12).normalize()
    except ArithmeticError:
        raise UsageError("opportunity['quantity']: expected a number") from None
    if not quantity.is_finite() or quantity <= 0:
        raise UsageError(f"opportunity['quantity']: {quantity} is not above 0")
    return quantity


def _time(given: Any) -> Microseconds:
    try:
        return micros(str(given or ""))
    except ValueError:
        raise UsageError(f"opportunity['expires_at']: {given!r} is not a time") from None


def arbitrage_answer(
    view: View, command: OrderCommand, tracked: TrackedOrder, began: Microseconds, now: Microseconds
) -> ArbitrageAnswer:
    """Profit and fees from the fills of both legs and their hedges, less the cost of closing what is open."""
    money, last = sum_fills(view, tracked.fills, now), tracked.last
    exit_cost = close_cost(view, tracked.fills, now)
    return {
        "arbitrage_id": command.order_id,
        "status": _status(tracked),
        "profit_realized": money.profit - exit_cost,
        "execution_details": {
            "legs": legs(view, tracked.fills),
            "reason": last.reason if last else "no executor has taken the order yet",
            "decision": tracked.decision.reason if tracked.decision else "",
            "state": last.state.value if last else "",
            "complete": tracked.complete,
            "unpriced": list(money.unpriced),
        },
        "fees_paid": money.fees,
        "execution_time": (now - began) / 1e6,
        "risk_assessment": _risk(view, tracked, now),
        "entry_edge": money.profit,
        "exit_cost": exit_cost,
    }


def _status(tracked: TrackedOrder) -> Literal["executed", "partial", "failed"]:
    last = tracked.last
    if last is not None and last.state is OrderState.FILLED:
        return "executed"
    return "partial" if tracked.fills else "failed"


def _risk(view: View, tracked: TrackedOrder, now: Microseconds) -> dict[str, Any]:
    """``open_quantity`` (units of the base, negative: short) and ``open_usd`` are what is not hedged by a leg."""
    last, left, usd = tracked.last, 0.0, 0.0
    for fill in tracked.fills:
        instrument = view.instrument(fill.exchange, fill.symbol)
        if instrument is None:
            continue
        left += float(fill.quantity) * instrument.multiplier * (1 if fill.side is Side.BUY else -1)
        rate = view.rate(instrument.quote, now)
        usd = float(fill.price) / instrument.multiplier * (rate.mid if rate is not None else nan)
    even = abs(left) < 1e-12
    return {
        "naked_usd_max": last.naked_usd if last else 0.0,
        "naked_ms": last.naked_ms if last else 0.0,
        "open_quantity": 0.0 if even else left,
        "open_usd": 0.0 if even else left * usd,
    }
