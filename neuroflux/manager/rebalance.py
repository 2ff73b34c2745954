"""Portfolio rebalance: planned from the holdings, published as one command, then the balances are read again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import fsum, isfinite, nan
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from neuroflux.domain import (
    Balance,
    CommandKind,
    CommandLeg,
    InstrumentKind,
    Microseconds,
    OrderCommand,
    Requirements,
    Side,
)
from neuroflux.engine.portfolio.rebalance import RebalancePlan, RebalanceTrade, plan
from neuroflux.engine.risk.limits import limits_of
from neuroflux.engine.routing.candidates import Prospect
from neuroflux.errors import UsageError
from neuroflux.exchanges.config import ORDER_LIMITS
from neuroflux.kafka.commands import new_order_id
from neuroflux.manager.answers import RebalanceAnswer
from neuroflux.manager.balances import unified_balance
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.fill_sums import legs, sum_fills
from neuroflux.manager.order_tracker import TrackedOrder
from neuroflux.manager.view import View
from neuroflux.runtime.clock import wall

FOLLOWED_SECONDS: Final = 60.0
ROUNDING: Final = 1e-9
"""The rounding error that a float may have for a quantity that was traded in full."""
READ_BACK_SECONDS: Final = 10.0
"""Seconds to wait for the exchanges to report the balances after the trades."""


async def rebalance(
    connection: Connection,
    exchanges: Sequence[str],
    target: Mapping[str, float],
    max_slippage: float,
    *,
    dry_run: bool,
) -> RebalanceAnswer:
    """Plan, trade, and read the balances again; raises UsageError for an invalid target or slippage."""
    _check_number("max_slippage", max_slippage)
    view, began = connection.view, connection.now()
    known = known_to(view, exchanges, target, began)
    limits = limits_of(ORDER_LIMITS)
    planned = await asyncio.to_thread(
        plan, target, known.held, known.prospects, known.prices, max_slippage, limits, began
    )
    command = _command(view, planned, max_slippage)
    with connection.track(command.order_id) as tracked:
        if planned.trades and not dry_run:
            await connection.command(command)
            await connection.until(lambda: tracked.complete, FOLLOWED_SECONDS)
            await _read_back(connection, tracked)
        final = planned.expected_allocation if dry_run else allocation(view, exchanges, connection.now())
        return _answer(view, command, planned, tracked, final, began, dry_run=dry_run)


class Known(Struct, frozen=True):
    """The input of a plan: balances, spot instruments with their books, and USD per unit of each asset."""

    held: list[Balance]
    prospects: list[Prospect]
    prices: dict[str, float]


def known_to(view: View, exchanges: Sequence[str], target: Mapping[str, float], now: Microseconds) -> Known:
    """One snapshot of the exchanges' holdings and spot books."""
    if not isinstance(target, Mapping) or not target:
        raise UsageError("target_allocation: expected a dict of assets and shares")
    for asset, share in target.items():
        _check_number(f"target_allocation[{asset!r}]", share)
    with view.lock:
        return _known(view, exchanges, set(target), now)


def _check_number(name: str, given: object) -> None:
    if isinstance(given, bool) or not isinstance(given, int | float) or not isfinite(given):
        raise UsageError(f"{name}: expected a finite number, not {given!r}")


def _known(view: View, exchanges: Sequence[str], requested: set[str], now: Microseconds) -> Known:
    held = [one.balance for one in view.balances.values() if one.balance.exchange in exchanges]
    assets = {one.asset for one in held if one.total} | requested
    spot = [
        one
        for one in view.instruments
        if one.exchange in exchanges and one.kind is InstrumentKind.SPOT and one.active and one.base in assets
    ]
    rates = {asset: view.rate(asset, now) for asset in assets}
    prices = {asset: rate.mid for asset, rate in rates.items() if rate is not None}
    return Known(held, [view.prospect(one, Side.BUY, now) for one in spot], prices)


def _command(view: View, planned: RebalancePlan, max_slippage: float) -> OrderCommand:
    return OrderCommand(
        order_id=new_order_id(),
        kind=CommandKind.REBALANCE,
        requirements=Requirements(max_slippage=max_slippage),
        legs=tuple(_leg(view, one) for one in planned.trades),
        issued_by=CLIENT,
        issued_at=wall(),
    )


def _leg(view: View, trade: RebalanceTrade) -> CommandLeg:
    quantity = trade.quantity * _multiplier(view, trade)
    return CommandLeg(trade.exchange, trade.symbol, trade.side, quantity, trade.bound_price)


async def _read_back(connection: Connection, tracked: TrackedOrder) -> None:
    """Wait until the exchanges that traded have reported balances newer than the last fill."""
    last = {fill.exchange: max(0, fill.event_time) for fill in sorted(tracked.fills, key=lambda one: one.event_time)}
    written = connection.view.balances_written
    await connection.until(lambda: all(written.get(name, 0) >= time for name, time in last.items()), READ_BACK_SECONDS)


def allocation(view: View, exchanges: Sequence[str], now: Microseconds) -> dict[str, float]:
    """The share of each priced asset, from the balances the exchanges reported."""
    held = unified_balance(view, exchanges, None, now)["asset_breakdown"]
    worth = {asset: one["value_usd"] for asset, one in held.items() if one["value_usd"] > 0}
    total = sum(worth.values())
    return {asset: value / total for asset, value in worth.items()}


# ── the answer ───────────────────────────────────────────────────────────────────────────────────────────────────


def _answer(
    view: View,
    command: OrderCommand,
    planned: RebalancePlan,
    tracked: TrackedOrder,
    final: dict[str, float],
    began: Microseconds,
    *,
    dry_run: bool,
) -> RebalanceAnswer:
    executed, last, now = legs(view, tracked.fills), tracked.last, wall()
    slippage = [_slippage(view, one, executed, now) for one in planned.trades]
    lost = fsum(one["slippage_usd"] or 0.0 for one in slippage)
    spent = sum_fills(view, tracked.fills, now).fees + lost
    return {
        "rebalance_id": command.order_id,
        "status": "planned" if dry_run else _status(view, planned, executed),
        "orders_executed": executed,
        "final_allocation": final,
        "total_cost": planned.total_cost if dry_run else spent,
        "execution_time": (now - began) / 1e6,
        "slippage_analysis": {"max_allowed": command.requirements.max_slippage, "total_usd": lost, "trades": slippage},
        "plan": _plain(planned),
        "reason": last.reason if last else _why(planned),
    }


def _plain(value: Any) -> Any:
    """Structs as dicts and decimals as floats, as in all answers."""
    match value:
        case Decimal():
            return float(value)
        case msgspec.Struct():
            return {name: _plain(part) for name, part in msgspec.structs.asdict(value).items()}
        case tuple():
            return [_plain(part) for part in value]
    return value


def _why(planned: RebalancePlan) -> str:
    return "; ".join(f"{one.asset}: {one.reason}" for one in planned.skipped)


def _status(
    view: View, planned: RebalancePlan, executed: Sequence[Mapping[str, Any]]
) -> Literal["completed", "partial", "failed"]:
    """``completed``: the whole plan was traded in full, and what is left is too small to trade.

    ``failed``: more is left, and nothing was traded.
    """
    done = {(one["exchange"], one["symbol"], one["side"]): one["quantity"] for one in executed}
    missing = [
        one
        for one in planned.trades
        if done.get((one.exchange, one.symbol, one.side.value), 0.0) < _quantity(view, one) * (1 - ROUNDING)
    ]
    if not missing and not planned.partial:
        return "completed"
    return "partial" if executed else "failed"


def _multiplier(view: View, trade: RebalanceTrade) -> int:
    instrument = view.instrument(trade.exchange, trade.symbol)
    return instrument.multiplier if instrument is not None else 1


def _quantity(view: View, trade: RebalanceTrade) -> float:
    """In units of the base."""
    return float(trade.quantity) * _multiplier(view, trade)


def _slippage(
    view: View, trade: RebalanceTrade, executed: Sequence[Mapping[str, Any]], now: Microseconds
) -> dict[str, Any]:
    """Against the mid price at the time of the plan: what the plan expected, plus what the fills cost beyond that."""
    name = (trade.exchange, trade.symbol, trade.side.value)
    found = next((one for one in executed if (one["exchange"], one["symbol"], one["side"]) == name), None)
    expected_price = float(trade.price) / _multiplier(view, trade)
    reported = {
        "exchange": trade.exchange,
        "symbol": trade.symbol,
        "side": trade.side.value,
        "expected_price": expected_price,
        "expected_usd": trade.slippage_usd,
    }
    if found is None:
        return reported | {"average_price": None, "slippage_usd": None}
    instrument = view.instrument(trade.exchange, trade.symbol)
    rate = view.rate(instrument.quote, now) if instrument is not None else None
    sign = 1 if trade.side is Side.BUY else -1
    beyond = sign * (found["average_price"] - expected_price) * found["quantity"] * (rate.mid if rate else nan)
    expected = trade.slippage_usd * found["quantity"] / _quantity(view, trade)
    return reported | {"average_price": found["average_price"], "slippage_usd": expected + beyond}
