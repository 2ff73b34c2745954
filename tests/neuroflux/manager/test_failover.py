"""Backup tests: the conditions to pass, and the reason of a failure."""

from typing import Any

import pytest

from neuroflux.domain import ExchangeStatus, HealthStatus, StatusKind
from neuroflux.manager.account_probe import ProbeResult, result_of
from neuroflux.manager.failover import backup_test, outcome
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.reports import NOW, SECOND, balance, health, healthy_view, publish

TAKEN = ProbeResult(3.0, "")


def test_only_the_result_with_the_probe_id_counts() -> None:
    view = View()
    assert result_of(view, "binance", "id") is None
    publish(view, topics.STATUS, ExchangeStatus("binance", "probe", StatusKind.PROBED, 3.0, "id HTTP 401: no", NOW))
    assert result_of(view, "binance", "id") == ProbeResult(3.0, "HTTP 401: no")
    assert result_of(view, "binance", "other") is None
    publish(view, topics.STATUS, ExchangeStatus("binance", "probe", StatusKind.PROBED, 3.0, "other", NOW))
    assert result_of(view, "binance", "other") == TAKEN


def test_a_backup_that_works_passes() -> None:
    view = healthy_view()
    test = backup_test(view, "hyperliquid", TAKEN, NOW, NOW + SECOND)
    assert test == {
        "passed": True,
        "health": "online",
        "signed_read_ms": 3.0,
        "book_age_seconds": 1.0,
        "funds_usd": 100.0,
        "reason": "",
    }
    assert outcome(view, {"hyperliquid": test}) == "tested"


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ({"health": health("binance", HealthStatus.OFFLINE, reason="rest")}, "health: offline: rest"),
        ({"health": health("binance", event_time=NOW - 30 * SECOND)}, "health: not reported"),
        ({"balance": (balance("binance"), NOW - 200 * SECOND)}, "balances: not reported"),
        ({"probed": ProbeResult(3.0, "HTTP 401")}, "signed read: HTTP 401"),
        ({"probed": ProbeResult()}, "signed read: no answer"),
        ({"balance": (balance("binance", free="0"), NOW)}, "funds"),
        ({"began": NOW + 1}, "book"),
    ],
)
def test_the_fault_of_a_backup_is_its_reason(broken: dict[str, Any], reason: str) -> None:
    view = healthy_view()
    if "health" in broken:
        publish(view, topics.HEALTH, broken["health"])
    if "balance" in broken:
        publish(view, topics.BALANCES, *broken["balance"])
    test = backup_test(view, "binance", broken.get("probed", TAKEN), broken.get("began", NOW), NOW)
    assert not test["passed"]
    assert test["reason"].startswith(reason)
    assert outcome(view, {"binance": test}) == "failed"


def test_an_unknown_backup_is_untested() -> None:
    view = View()
    test = backup_test(view, "binance", ProbeResult(), NOW, NOW)
    assert not test["passed"]
    assert outcome(view, {"binance": test}) == "untested"
