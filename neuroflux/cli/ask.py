"""Queries to the façade from the command line, printed as a table or as JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from math import isnan
from typing import Any

from rich.console import Console
from rich.table import Table

from neuroflux.errors import Unreachable
from neuroflux.manager.async_manager import AsyncExchangeManager
from neuroflux.manager.own_stack import answers
from neuroflux.runtime.settings import Settings

console = Console(width=None if sys.stdout.isatty() else 160)


async def ask(settings: Settings, query: str, *, as_json: bool) -> None:
    """Query the façade once and print the answer. Raises Unreachable if no stack runs: a query does not start one."""
    if not answers(settings):
        raise Unreachable(f"Kafka at {settings.kafka} does not answer; `neuroflux up` starts everything")
    async with AsyncExchangeManager(settings) as manager:
        answer = await _QUERIES[query](manager)
    if as_json:
        console.out(json.dumps(_plain(answer), allow_nan=False), highlight=False)
    else:
        _TABLES[query](answer)


_QUERIES = {
    "balances": lambda manager: manager.get_unified_balance(),
    "health": lambda manager: manager.monitor_exchange_health(),
    "opportunities": lambda manager: manager.scan_arbitrage_opportunities(),
    "performance": lambda manager: manager.track_portfolio_performance(),
}


def _plain(answer: Any) -> Any:
    """JSON has no ``nan``: an unknown figure is null."""
    match answer:
        case dict():
            return {name: _plain(one) for name, one in answer.items()}
        case list() | tuple():
            return [_plain(one) for one in answer]
        case float() if isnan(answer):
            return None
    return answer


def _balances(answer: Any) -> None:
    table = Table("asset", "total", "available", "in orders", "in positions", "USD", box=None)
    for asset, one in answer["asset_breakdown"].items():
        numbers = (one["total"], one["available"], one["in_orders"], one["in_positions"])
        usd = "no price" if asset in answer["unpriced"] else f"{one['value_usd']:,.2f}"
        table.add_row(asset, *(f"{number:,.8g}" for number in numbers), usd)
    console.print(table)
    for name, sync in answer["sync_status"].items():
        console.print(f"{name}: {sync['status']}, {sync['age_seconds']:.0f} s old {sync['detail']}", highlight=False)
    console.print(f"total {answer['total_balance_usd']:,.2f} USD", highlight=False)


def _health(answer: Any) -> None:
    table = Table("exchange", "status", "latency ms", "uptime %", "limit used %", "last answer", "reason", box=None)
    for name, one in answer["exchange_status"].items():
        numbers = (one["latency_ms"], one["uptime_percent"], one["rate_limit_usage"])
        shown = (f"{number:.1f}" for number in numbers)
        table.add_row(name, one["status"], *shown, one["last_successful_request"], one["reason"])
    console.print(table)
    actions = (f"{one['exchange']}: {one['action']} ({one['reason']})" for one in answer["recommended_actions"])
    console.print(answer["overall_health"], *actions, sep="\n", highlight=False)


def _opportunities(answer: Any) -> None:
    table = Table("market", "kind", "USD", "buy", "at", "sell", "at", "quantity", "until", box=None)
    for one in answer:
        buy, sell = (f"{one[f'{side}_exchange']} {one[f'{side}_symbol']}" for side in ("buy", "sell"))
        prices = [f"{one[f'{side}_price']:,.8g}" for side in ("buy", "sell")]
        funded = one["quantity"] if isnan(one["fundable_quantity"]) else one["fundable_quantity"]
        profit, quantity = f"{one['expected_profit']:,.2f}", f"{funded:,.6g}"
        table.add_row(one["symbol"], one["kind"], profit, buy, prices[0], sell, prices[1], quantity, one["expires_at"])
    console.print(table if answer else "no open opportunities")


def _performance(answer: Any) -> None:
    table = Table("", "", box=None)
    for group in ("performance_metrics", "period_returns", "risk_metrics", "volatility_analysis"):
        for name, value in _flat(answer[group]).items():
            table.add_row(name, f"{value:,.6g}" if isinstance(value, float) else str(value))
    console.print(table)
    console.print(*answer.get("notes", ()), sep="\n", highlight=False)


def _flat(group: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in group.items() if not isinstance(value, dict | list)}


_TABLES = {
    "balances": _balances,
    "health": _health,
    "opportunities": _opportunities,
    "performance": _performance,
}
