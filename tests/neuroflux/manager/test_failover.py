"""Trying a backup: what it must show, and what is said of one that lacks it."""

from typing import Any

import pytest

from neuroflux.domain import ExchangeStatus, HealthStatus, StatusKind
from neuroflux.manager.account_probe import Probed, answer_to
from neuroflux.manager.failover import outcome, tried
from neuroflux.manager.view import View
from neuroflux.records import topics
from tests.neuroflux.manager.told import NOW, SECOND, all_well, balance, health, tell

TAKEN = Probed(3.0, "")


def test_an_answer_is_of_the_probe_that_was_asked_for() -> None:
    view = View()
    assert answer_to(view, "binance", "id") is None
    tell(view, topics.STATUS, ExchangeStatus("binance", "probe", StatusKind.PROBED, 3.0, "id HTTP 401: no", NOW))
    assert answer_to(view, "binance", "id") == Probed(3.0, "HTTP 401: no")
    assert answer_to(view, "binance", "other") is None
    tell(view, topics.STATUS, ExchangeStatus("binance", "probe", StatusKind.PROBED, 3.0, "other", NOW))
    assert answer_to(view, "binance", "other") == TAKEN


def test_a_backup_that_works_passes() -> None:
    view = all_well()
    test = tried(view, "hyperliquid", TAKEN, NOW, NOW + SECOND)
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
        ({"health": health("binance", event_time=NOW - 30 * SECOND)}, "health: nobody"),
        ({"balance": (balance("binance"), NOW - 200 * SECOND)}, "balances: they were not"),
        ({"probed": Probed(3.0, "HTTP 401")}, "signed read: HTTP 401"),
        ({"probed": Probed()}, "signed read: nobody answered"),
        ({"balance": (balance("binance", free="0"), NOW)}, "funds"),
        ({"began": NOW + 1}, "book"),
    ],
)
def test_what_a_backup_lacks_is_named(broken: dict[str, Any], reason: str) -> None:
    view = all_well()
    if "health" in broken:
        tell(view, topics.HEALTH, broken["health"])
    if "balance" in broken:
        tell(view, topics.BALANCES, *broken["balance"])
    test = tried(view, "binance", broken.get("probed", TAKEN), broken.get("began", NOW), NOW)
    assert not test["passed"]
    assert test["reason"].startswith(reason)
    assert outcome(view, {"binance": test}) == "failed"


def test_one_of_which_nothing_is_known_is_untested() -> None:
    view = View()
    test = tried(view, "binance", Probed(), NOW, NOW)
    assert not test["passed"]
    assert outcome(view, {"binance": test}) == "untested"
