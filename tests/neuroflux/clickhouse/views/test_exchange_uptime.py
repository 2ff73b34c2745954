"""``exchange_uptime`` calculated by hand, and compared with health's own figure of the same hour."""

from __future__ import annotations

from typing import Any

import pytest

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.domain import ExchangeHealth, ExchangeStatus, HealthStatus, StatusKind
from neuroflux.engine.health.state import Health
from neuroflux.records.topics import HEALTH
from tests.neuroflux.clickhouse.views.records import SECOND, insert

pytestmark = pytest.mark.stack
NOON = 1_699_963_200 * SECOND
"""2023-11-14 12:00 UTC, in microseconds."""


def uptime(database: ClickHouse) -> list[tuple[Any, ...]]:
    found = "SELECT exchange, uptime_percent, seconds_observed FROM exchange_uptime ORDER BY exchange"
    return [tuple(row) for row in database.execute(found)]


def health(exchange: str, status: HealthStatus, after: int) -> ExchangeHealth:
    return ExchangeHealth(exchange, status, 1.0, 100.0, 0.0, NOON, "", NOON + after * SECOND)


def test_each_report_holds_until_the_next_and_degraded_is_up(database: ClickHouse) -> None:
    online, degraded, offline = HealthStatus.ONLINE, HealthStatus.DEGRADED, HealthStatus.OFFLINE
    insert(
        database,
        HEALTH,
        health("binance", online, 0),
        health("hyperliquid", offline, 5),
        health("binance", offline, 5),
        health("hyperliquid", degraded, 10),
        health("binance", online, 15),
        health("hyperliquid", offline, 20),
        health("binance", online, 20),
    )
    assert uptime(database) == [("binance", 50, 20), ("hyperliquid", pytest.approx(100 * 10 / 15), 15)]


def test_our_own_downtime_is_not_observed(database: ClickHouse) -> None:
    online, offline = HealthStatus.ONLINE, HealthStatus.OFFLINE
    states = {0: online, 5: online, 120: online, 125: offline, 130: online}
    insert(database, HEALTH, *(health("binance", status, after) for after, status in states.items()))
    assert uptime(database) == [("binance", 80, 25)]


def hour() -> list[ExchangeHealth]:
    """The health records of an hour, with a tick every second. Each exchange answers every 5 s, except that ``a`` is
    disconnected for two minutes, then silent for two, and then our own programs are down for three.
    """
    engine, result = Health(), list[ExchangeHealth]()
    for second in range(3600):
        now = NOON + second * SECOND
        if 2000 < second < 2180:
            continue
        if second % 5 == 0:
            result += engine.status_changed(ExchangeStatus("b", "rest", StatusKind.LATENCY, 9.0, "", now), now)
            kind = StatusKind.DISCONNECTED if 500 <= second < 620 else StatusKind.LATENCY
            if not 1000 <= second < 1120:
                result += engine.status_changed(ExchangeStatus("a", "rest", kind, 9.0, "", now), now)
        result += engine.tick(now)
    return result


def test_health_and_the_view_have_one_definition(database: ClickHouse) -> None:
    result = hour()
    insert(database, HEALTH, *result)
    ours = {one.exchange: one.uptime_percent for one in result}
    (_, a, observed), (_, b, _) = uptime(database)
    assert (a, b) == (pytest.approx(ours["a"], abs=0.1), pytest.approx(ours["b"], abs=0.1))
    down = 120 + 120 - 25  # 30 s of silence, the last answer of which was 5 s before
    assert observed == pytest.approx(3600 - 180 + 10, abs=10)
    assert (a, b) == (pytest.approx(100 - 100 * down / 3430, abs=0.1), 100)
