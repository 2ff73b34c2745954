"""Orders for an unable exchange are routed to its first able backup, with the reason."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.domain import CommandKind, ExchangeHealth, Failover, HealthStatus, OrderCommand
from neuroflux.engine.health.failover import CONDITIONS, moved, unable

NOW = 1_000_000_000
WELL = ExchangeHealth("binance", HealthStatus.ONLINE, 20.0, 100.0, 0.1, NOW, "", NOW)
ORDER = OrderCommand(order_id="o", kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal(1), exchange="binance")
FAILOVER = Failover(primary="binance", backups=("hyperliquid", "kraken"), config_id="f", conditions=CONDITIONS)


@pytest.mark.parametrize(
    ("health", "errors", "why"),
    [
        (WELL, 0.0, ""),
        (replace(WELL, status=HealthStatus.DEGRADED), 0.0, ""),
        (None, 0.0, "its health is unknown"),
        (replace(WELL, status=HealthStatus.OFFLINE, reason="rest"), 0.0, "offline: rest"),
        (replace(WELL, event_time=NOW - 21_000_000), 0.0, "stale"),
        (WELL, 0.6, "error rate: 60%"),
        (replace(WELL, latency_ms=2_500.0), 0.0, "latency: 2500 ms"),
    ],
)
def test_each_condition_has_its_name(health: ExchangeHealth | None, errors: float, why: str) -> None:
    result = unable(CONDITIONS, health, errors, NOW)
    assert result.startswith(why)
    assert bool(result) == bool(why)


def test_a_condition_of_zero_is_disabled() -> None:
    assert unable({}, replace(WELL, status=HealthStatus.OFFLINE, latency_ms=1e6), 1.0, NOW + 10**9) == ""


def test_an_order_goes_to_the_first_backup_that_is_able() -> None:
    reasons = {"binance": "offline: rest", "hyperliquid": "latency: 9999 ms"}
    result, why = moved(ORDER, FAILOVER, lambda name: reasons.get(name, ""))
    assert result.exchange == "kraken"
    assert why == "failover: binance is unable (offline: rest)"


def test_an_order_keeps_its_exchange_while_that_is_able() -> None:
    assert moved(ORDER, FAILOVER, lambda name: "") == (ORDER, "")
    assert moved(ORDER, None, lambda name: "offline") == (ORDER, "")
    assert moved(ORDER, replace(FAILOVER, active=False), lambda name: "offline") == (ORDER, "")
    assert moved(ORDER, FAILOVER, lambda name: "offline") == (ORDER, "")  # no backup is able
