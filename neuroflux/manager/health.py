"""``monitor_exchange_health``: the health of each exchange, and recommended actions.

Each action follows from one named condition:

unknown       its health was never reported, or not for 20 s
offline       its health status is offline
degraded      its health status is degraded
slow          its mean latency is above ``SLOW_MS``
rate_limit    the part of its limit that ``RATE_LIMIT_BUFFER`` leaves usable is used up
unreliable    its uptime over 24 hours is below ``RELIABLE`` percent
account       its balances are missing or stale, or differ between its stream and REST
halted        orders to it were stopped by hand
unbacked      it is offline or unknown, and has no active failover
drift         the portfolio has left the target of its last rebalance (manager/drift.py); not tied to an exchange

Overall: ``critical`` if no exchange is up, or more are down than up; ``degraded`` if any is not online; else
``healthy``. An exchange is up if its health is fresh and online or degraded.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan, nan
from typing import Final, Literal

from neuroflux.domain import ExchangeHealth, HealthStatus, Microseconds
from neuroflux.engine.health.state import SLOW_MS
from neuroflux.exchanges.config import RATE_LIMIT_BUFFER
from neuroflux.manager.answers import Action, ConnectivityMetrics, ExchangeHealthAnswer, HealthAnswer, RateLimit, iso
from neuroflux.manager.balances import sync_status
from neuroflux.manager.initialise import HEALTH_LIFE
from neuroflux.manager.view import View

RELIABLE: Final = 99.0
ACTIONS: Final = {
    "unknown": "check that the services run: `neuroflux status`",
    "offline": "use other exchanges until it answers again",
    "degraded": "prefer other exchanges for urgent orders",
    "slow": "route with `fastest`, or use other exchanges, while it is slow",
    "rate_limit": "send fewer requests, or lower rate_limits in initialize_exchanges",
    "unreliable": "set up a failover with setup_exchange_failover",
    "account": "compare its balances with the exchange before trading on them",
    "halted": "run `neuroflux resume` once the reason no longer applies",
    "unbacked": "name a backup with setup_exchange_failover",
}


def exchange_health(view: View, exchanges: Sequence[str], now: Microseconds) -> HealthAnswer:
    """The health of these exchanges."""
    shown = {name: _status_of(view.health.get(name), now) for name in exchanges}
    return {
        "overall_health": overall(list(shown.values())),
        "exchange_status": shown,
        "connectivity_metrics": _connectivity([view.health[name] for name in exchanges if name in view.health], now),
        "api_rate_limits": {name: _rate_limit(one["rate_limit_usage"]) for name, one in shown.items()},
        "recommended_actions": [action for name in exchanges for action in actions(view, name, now)],
        "last_checked": iso(now),
    }


def overall(statuses: Sequence[ExchangeHealthAnswer]) -> Literal["healthy", "degraded", "critical"]:
    """The rule in this module's docstring."""
    down = sum(one["status"] == "offline" for one in statuses)
    if not statuses or down == len(statuses) or down > len(statuses) - down:
        return "critical"
    return "healthy" if all(one["status"] == "online" for one in statuses) else "degraded"


def _fresh(health: ExchangeHealth | None, now: Microseconds) -> bool:
    return health is not None and now - health.event_time <= HEALTH_LIFE


def _status_of(health: ExchangeHealth | None, now: Microseconds) -> ExchangeHealthAnswer:
    """Without a health, or with one that is too old, an exchange is offline."""
    if health is None:
        return {
            "status": "offline",
            "latency_ms": nan,
            "uptime_percent": nan,
            "rate_limit_usage": nan,
            "last_successful_request": "",
            "reason": "its health is not known",
            "age_seconds": nan,
        }
    age = (now - health.event_time) / 1e6
    fresh = _fresh(health, now)
    return {
        "status": health.status.value if fresh else "offline",
        "latency_ms": health.latency_ms,
        "uptime_percent": health.uptime_percent,
        "rate_limit_usage": 100 * health.rate_limit_usage,
        "last_successful_request": iso(health.last_successful_request),
        "reason": health.reason if fresh else f"its health was last reported {age:.0f} s ago",
        "age_seconds": age,
    }


def _connectivity(known: Sequence[ExchangeHealth], now: Microseconds) -> ConnectivityMetrics:
    latencies = [one.latency_ms for one in known]
    uptimes = [one.uptime_percent for one in known]
    return {
        "average_latency_ms": sum(latencies) / len(latencies) if latencies else nan,
        "worst_latency_ms": max(latencies, default=nan),
        "average_uptime_percent": sum(uptimes) / len(uptimes) if uptimes else nan,
        "online": sum(one.status is HealthStatus.ONLINE and _fresh(one, now) for one in known),
        "total": len(known),
    }


def _rate_limit(usage: float) -> RateLimit:
    """``nan`` if the exchange does not report its usage."""
    usable = 100 * (1 - RATE_LIMIT_BUFFER)
    return {
        "usage_percent": usage,
        "usable_percent": usable,
        "left_percent": nan if isnan(usage) else max(0.0, usable - usage),
        "near_limit": usage >= usable,
    }


# ── recommended actions ──────────────────────────────────────────────────────────────────────────────────────────


def actions(view: View, exchange: str, now: Microseconds) -> list[Action]:
    """The recommended actions for one exchange, the most severe first."""
    return [
        {"exchange": exchange, "condition": condition, "action": ACTIONS[condition], "reason": reason}
        for condition, reason in conditions(view, exchange, now).items()
    ]


def conditions(view: View, exchange: str, now: Microseconds) -> dict[str, str]:
    """The conditions that apply, each with the figure behind it."""
    health = view.health.get(exchange)
    met = (
        _health_conditions(health, now)
        if health and _fresh(health, now)
        else {"unknown": _status_of(health, now)["reason"]}
    )
    sync, halt = sync_status(view, exchange, now), view.halt_of(exchange)
    if sync["status"] != "synced":
        met["account"] = f"{sync['status']}: {sync['detail']}"
    if halt:
        met["halted"] = halt
    failover = view.failovers.get(exchange)
    if met.keys() & {"unknown", "offline"} and not (failover and failover.active):
        met["unbacked"] = "no failover is active"
    return met


def _health_conditions(health: ExchangeHealth, now: Microseconds) -> dict[str, str]:
    met: dict[str, str] = {}
    if health.status is not HealthStatus.ONLINE:
        met[health.status.value] = health.reason
    if health.latency_ms > SLOW_MS:
        met["slow"] = f"{health.latency_ms:.0f} ms on average"
    if health.rate_limit_usage >= 1 - RATE_LIMIT_BUFFER:
        met["rate_limit"] = f"{health.rate_limit_usage:.0%} of the limit is used"
    if health.uptime_percent < RELIABLE:
        met["unreliable"] = f"up for {health.uptime_percent:.2f} % of the last 24 hours"
    return met
