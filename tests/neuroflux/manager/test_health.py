"""``monitor_exchange_health``: every condition is met by what names it, and by nothing else."""

from math import isnan, nan
from typing import Any

import pytest

from neuroflux.domain import ControlCommand, ControlKind, Failover, HealthStatus, StatusKind
from neuroflux.manager.health import DO, conditions, exchange_health
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.told import NOW, SECOND, all_well, health, status, tell

ALL = ("binance", "binanceusdm", "hyperliquid")


def test_when_all_is_well_there_is_nothing_to_do() -> None:
    answer = exchange_health(all_well(), ALL, NOW)
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
def test_a_figure_makes_its_condition(condition: str, fields: dict[str, Any]) -> None:
    view = all_well()
    tell(view, topics.HEALTH, health("binance", **fields))
    assert list(conditions(view, "binance", NOW)) == [condition]
    assert list(conditions(view, "hyperliquid", NOW)) == []
    (action,) = exchange_health(view, ALL, NOW)["recommended_actions"]
    assert (action["exchange"], action["condition"], action["action"]) == ("binance", condition, DO[condition])
    assert action["reason"]


def test_a_limit_of_which_the_exchange_says_nothing_is_unknown_and_not_unused() -> None:
    view = all_well()
    tell(view, topics.HEALTH, health("binance", rate_limit_usage=nan))
    answer = exchange_health(view, ALL, NOW)
    assert isnan(answer["exchange_status"]["binance"]["rate_limit_usage"])
    limit = answer["api_rate_limits"]["binance"]
    assert isnan(limit["usage_percent"])
    assert isnan(limit["left_percent"])
    assert answer["recommended_actions"] == []


def test_an_offline_exchange_wants_a_failover_until_it_has_one() -> None:
    view = all_well()
    tell(view, topics.HEALTH, health("binance", HealthStatus.OFFLINE, reason="rest disconnected"))
    assert list(conditions(view, "binance", NOW)) == ["offline", "unbacked"]
    tell(view, topics.FAILOVER, Failover(primary="binance", backups=("hyperliquid",), config_id="c"))
    assert conditions(view, "binance", NOW) == {"offline": "rest disconnected"}
    tell(view, topics.FAILOVER, Failover(primary="binance", backups=("hyperliquid",), config_id="c", active=False))
    assert "unbacked" in conditions(view, "binance", NOW)


def test_health_that_nobody_tells_any_more_is_unknown_and_counts_as_offline() -> None:
    view = all_well()
    later = NOW + 21 * SECOND
    assert "unknown" in conditions(view, "binance", later)
    answer = exchange_health(view, ALL, later)
    assert answer["exchange_status"]["binance"]["status"] == "offline"
    assert "21 s ago" in answer["exchange_status"]["binance"]["reason"]
    assert answer["overall_health"] == "critical"


def test_an_account_that_differs_is_to_be_compared() -> None:
    view = all_well()
    tell(view, topics.STATUS, status("binance", StatusKind.DIFFERENCE, "USDC: 1, not 2", value=1.0))
    assert conditions(view, "binance", NOW) == {"account": "differs: USDC: 1, not 2"}


@pytest.mark.parametrize("account", ["*", "binance"])
def test_a_halt_is_told_until_it_is_taken_back(account: str) -> None:
    view = all_well()
    tell(view, topics.CONTROL, ControlCommand(account=account, kind=ControlKind.HALT, why="drill"))
    assert conditions(view, "binance", NOW) == {"halted": "halted: drill"}
    tell(view, topics.CONTROL, ControlCommand(account=account, kind=ControlKind.RESUME))
    assert conditions(view, "binance", NOW) == {}


@pytest.mark.parametrize(
    ("down", "overall"), [((), "healthy"), (("binance",), "degraded"), (("binance", "hyperliquid"), "critical")]
)
def test_overall_is_critical_when_more_are_down_than_up(down: tuple[str, ...], overall: str) -> None:
    view = all_well()
    for exchange in down:
        tell(view, topics.HEALTH, health(exchange, HealthStatus.OFFLINE))
    assert exchange_health(view, ALL, NOW)["overall_health"] == overall


def test_nothing_known_is_critical() -> None:
    answer = exchange_health(View(), ALL, NOW)
    assert answer["overall_health"] == "critical"
    assert {one["status"] for one in answer["exchange_status"].values()} == {"offline"}
    assert exchange_health(View(), (), NOW)["overall_health"] == "critical"
