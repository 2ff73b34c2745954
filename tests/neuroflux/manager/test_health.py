"""``monitor_exchange_health``: each condition is triggered by its figure alone."""

from math import isnan, nan
from typing import Any

import pytest

from neuroflux.domain import ControlCommand, ControlKind, Failover, HealthStatus, StatusKind
from neuroflux.manager.health import ACTIONS, conditions, exchange_health
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import NOW, SECOND, health, healthy_view, publish, status

ALL = ("binance", "binanceusdm", "hyperliquid")


def test_healthy_exchanges_have_no_actions() -> None:
    answer = exchange_health(healthy_view(), ALL, NOW)
    assert answer["overall_health"] == "healthy"
    assert answer["recommended_actions"] == []
    assert answer["exchange_status"]["binance"]["rate_limit_usage"] == 10.0, "percent"
    assert answer["api_rate_limits"]["binance"]["left_percent"] == 70.0
    assert answer["connectivity_metrics"]["average_latency_ms"] == 3.0
    assert answer["last_checked"].endswith("Z")


@pytest.mark.parametrize(
    ("condition", "fields"),
    [
        ("slow", {"latency_ms": 1_001.0}),
        ("rate_limit", {"rate_limit_usage": 0.8}),
        ("unreliable", {"uptime_percent": 98.9}),
        ("degraded", {"status": HealthStatus.DEGRADED, "reason": "a book had a gap"}),
    ],
)
def test_each_figure_triggers_its_condition(condition: str, fields: dict[str, Any]) -> None:
    view = healthy_view()
    publish(view, topics.HEALTH, health("binance", **fields))
    assert list(conditions(view, "binance", NOW)) == [condition]
    assert list(conditions(view, "hyperliquid", NOW)) == []
    (action,) = exchange_health(view, ALL, NOW)["recommended_actions"]
    assert (action["exchange"], action["condition"], action["action"]) == ("binance", condition, ACTIONS[condition])
    assert action["reason"]


def test_an_unreported_rate_limit_is_unknown_and_not_unused() -> None:
    view = healthy_view()
    publish(view, topics.HEALTH, health("binance", rate_limit_usage=nan))
    answer = exchange_health(view, ALL, NOW)
    assert isnan(answer["exchange_status"]["binance"]["rate_limit_usage"])
    limit = answer["api_rate_limits"]["binance"]
    assert isnan(limit["usage_percent"])
    assert isnan(limit["left_percent"])
    assert answer["recommended_actions"] == []


def test_an_offline_exchange_needs_a_failover() -> None:
    view = healthy_view()
    publish(view, topics.HEALTH, health("binance", HealthStatus.OFFLINE, reason="rest disconnected"))
    assert list(conditions(view, "binance", NOW)) == ["offline", "unbacked"]
    publish(view, topics.FAILOVER, Failover(primary="binance", backups=("hyperliquid",), config_id="c"))
    assert conditions(view, "binance", NOW) == {"offline": "rest disconnected"}
    publish(view, topics.FAILOVER, Failover(primary="binance", backups=("hyperliquid",), config_id="c", active=False))
    assert "unbacked" in conditions(view, "binance", NOW)


def test_stale_health_is_unknown_and_counts_as_offline() -> None:
    view = healthy_view()
    later = NOW + 21 * SECOND
    assert "unknown" in conditions(view, "binance", later)
    answer = exchange_health(view, ALL, later)
    assert answer["exchange_status"]["binance"]["status"] == "offline"
    assert "21 s ago" in answer["exchange_status"]["binance"]["reason"]
    assert answer["overall_health"] == "critical"


def test_a_differing_account_has_an_action() -> None:
    view = healthy_view()
    publish(view, topics.STATUS, status("binance", StatusKind.DIFFERENCE, "USDC: 1, not 2", value=1.0))
    assert conditions(view, "binance", NOW) == {"account": "differs: USDC: 1, not 2"}


@pytest.mark.parametrize("account", ["*", "binance"])
def test_a_halt_is_reported_until_it_is_resumed(account: str) -> None:
    view = healthy_view()
    publish(view, topics.CONTROL, ControlCommand(account=account, kind=ControlKind.HALT, why="drill"))
    assert conditions(view, "binance", NOW) == {"halted": "halted: drill"}
    publish(view, topics.CONTROL, ControlCommand(account=account, kind=ControlKind.RESUME))
    assert conditions(view, "binance", NOW) == {}


@pytest.mark.parametrize(
    ("down", "overall"), [((), "healthy"), (("binance",), "degraded"), (("binance", "hyperliquid"), "critical")]
)
def test_overall_is_critical_when_more_are_down_than_up(down: tuple[str, ...], overall: str) -> None:
    view = healthy_view()
    for exchange in down:
        publish(view, topics.HEALTH, health(exchange, HealthStatus.OFFLINE))
    assert exchange_health(view, ALL, NOW)["overall_health"] == overall


def test_no_known_exchange_is_critical() -> None:
    answer = exchange_health(View(), ALL, NOW)
    assert answer["overall_health"] == "critical"
    assert {one["status"] for one in answer["exchange_status"].values()} == {"offline"}
    assert exchange_health(View(), (), NOW)["overall_health"] == "critical"
