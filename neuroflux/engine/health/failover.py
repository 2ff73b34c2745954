"""Failover: when an exchange counts as unable to take orders, and which of its backups takes them instead."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec.structs import replace

from neuroflux.domain import ExchangeHealth, Failover, HealthStatus, Microseconds, OrderCommand

CONDITIONS: Final = {"offline": 1.0, "stale_seconds": 20.0, "error_rate": 0.5, "latency_ms": 2_000.0}
"""The default conditions that make a primary exchange unable; 0 disables a condition."""


def unable(conditions: Mapping[str, float], health: ExchangeHealth | None, error_rate: float, now: Microseconds) -> str:
    """The first condition that is met, in words, or "". ``error_rate`` is the failed share of the last requests."""
    if health is None:
        return "its health is unknown"
    if conditions.get("offline") and health.status is HealthStatus.OFFLINE:
        return f"offline: {health.reason}"
    silent, limit = (now - health.event_time) / 1e6, conditions.get("stale_seconds", 0.0)
    if limit and silent > limit:
        return f"stale: no report for {silent:.0f} s"
    limit = conditions.get("error_rate", 0.0)
    if limit and error_rate > limit:
        return f"error rate: {error_rate:.0%} of the last requests failed"
    limit = conditions.get("latency_ms", 0.0)
    return f"latency: {health.latency_ms:.0f} ms" if limit and health.latency_ms > limit else ""


def moved(
    command: OrderCommand, failover: Failover | None, inability: Callable[[str], str]
) -> tuple[OrderCommand, str]:
    """The command with the exchange to route it to, and why that changed, or "".

    ``inability`` gives the reason why an exchange is unable, or "". Only an order for one exchange is moved: any other
    is routed around unable exchanges anyway.
    """
    if failover is None or not failover.active:
        return command, ""
    why = inability(failover.primary)
    able = next((name for name in failover.backups if not inability(name)), "") if why else ""
    if not able:
        return command, ""
    return replace(command, exchange=able), f"failover: {failover.primary} is unable ({why})"
