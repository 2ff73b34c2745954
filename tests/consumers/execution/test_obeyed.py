"""Control commands and failovers: an invalid one is reported once and changes nothing; a halt always counts."""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import pytest

from consumers.execution.gateway import Gateway
from consumers.execution.stage import bound
from consumers.execution.view import Views
from neuroflux.domain import ControlCommand, ControlKind, Failover
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.records.dead_letters import dead_letter
from neuroflux.records.entries import Entry
from neuroflux.records.topics import COMMANDS, CONTROL, FAILOVER, Topic

HUGE = "x" * 200_000
NAN = float("nan")


def taken(views: Views, topic: Topic, record: Any, error: str = "") -> list[str]:
    reasons: list[str] = []
    views.on_malformed = lambda entry, reason: reasons.append(reason)
    views.take(Entry(topic, 0, 0, "key", record, b"raw", error, 0))
    return reasons


@pytest.mark.parametrize(
    "limits", [{"leverage": NAN}, {"max_leverage": float("inf")}, {"leverage": -1.0}, {"weather": 1.0}, {HUGE: 1.0}]
)
def test_invalid_limits_change_nothing_and_are_reported(limits: dict[str, float]) -> None:
    views, accounts = Views(), list[Any]()
    views.on_limits = accounts.append
    control = ControlCommand(kind=ControlKind.LIMITS, account="binance", limits=limits)
    (reason,) = taken(views, CONTROL, control)
    assert reason.startswith("limits: ")
    assert len(reason) < 200
    assert (views.limits("binance"), accounts) == ({}, [])


class Lines:
    """The gateway, as far as it keeps limits."""

    exchanges = ("binance", "hyperliquid")

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, float]] = {}

    def bound(self, exchange: str, bounds: dict[str, float]) -> None:
        self.kept[exchange] = bounds


@pytest.mark.parametrize("first", ["*", "binance"])
def test_limits_for_all_apply_together_with_limits_for_one(first: str) -> None:
    views, lines = Views(), Lines()
    views.on_limits = partial(bound, cast(Gateway, lines), views)
    every, own = {"weight_per_minute": 600.0, "max_leverage": 2.0}, {"weight_per_minute": 900.0, "leverage": 5.0}
    for account, limits in [("*", every), ("binance", own)][:: 1 if first == "*" else -1]:
        assert not taken(views, CONTROL, ControlCommand(kind=ControlKind.LIMITS, account=account, limits=limits))
    assert views.limits("binance") == lines.kept["binance"] == {**every, "leverage": 5.0}
    assert views.limits("hyperliquid") == lines.kept["hyperliquid"] == every
    assert not taken(views, CONTROL, ControlCommand(kind=ControlKind.LIMITS, account="*"))
    assert lines.kept == {"binance": own, "hyperliquid": {}}


@pytest.mark.parametrize("kind", [ControlKind.HALT, ControlKind.RESUME, ControlKind.LIMITS])
def test_an_unknown_account_is_reported(kind: ControlKind) -> None:
    (reason,) = taken(Views(), CONTROL, ControlCommand(kind=kind, account="Binance"))
    assert reason == f"account: 'Binance' is not one of {', '.join(EXCHANGE_IDS)}, *"


def test_a_failover_without_an_exchange_moves_nothing() -> None:
    views = Views()
    everything = Failover(primary="", backups=("hyperliquid",), config_id="1")
    assert taken(views, FAILOVER, everything) == [f"exchange: '' is not one of {', '.join(EXCHANGE_IDS)}"]
    assert views.failovers.get("") is None


def test_a_halt_counts_however_long_its_reason_is() -> None:
    views, halts = Views(), list[str]()
    views.on_halt = lambda account, why: halts.append(why)
    assert taken(views, CONTROL, ControlCommand(kind=ControlKind.HALT, why=HUGE)) == []
    assert views.halted().startswith("halted: xxx")
    assert len(views.halted()) < 1_100
    assert len(halts[0]) == 1_000


def test_a_record_that_raises_is_reported_and_the_next_is_applied() -> None:
    views = Views()

    def raising(*_: Any) -> None:
        raise ValueError("cannot convert float NaN to integer")

    views.on_limits = raising
    control = ControlCommand(kind=ControlKind.LIMITS, account="binance", limits={"leverage": 2.0})
    assert taken(views, CONTROL, control) == ["fault: ValueError('cannot convert float NaN to integer')"]
    assert taken(views, CONTROL, ControlCommand(kind=ControlKind.HALT)) == []
    assert views.halted() == "halted"


def test_an_unreadable_record_is_reported() -> None:
    assert taken(Views(), CONTROL, None, "not in Confluent framing") == ["not in Confluent framing"]
    assert taken(Views(), FAILOVER, None, "not in Confluent framing") == [], "the warehouse keeps it"


def test_an_invalid_failover_is_not_applied() -> None:
    views = Views()
    odd = Failover(primary="binance", backups=("hyperliquid",), config_id="1", conditions={"error_rate": NAN})
    assert taken(views, FAILOVER, odd) == ["conditions: error_rate is nan, and must be from 0 to 1e+09"]
    assert views.failovers.get("binance") is None


class Letters:
    def __init__(self) -> None:
        self.taken: list[tuple[bytes, bytes, dict[str, bytes]]] = []

    def publish(self, topic: Topic, record: Any) -> None:
        raise NotImplementedError

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Any) -> None:
        self.taken.append((key or b"", value, dict(headers)))


@pytest.mark.parametrize(("key", "raw"), [(100, 100), (200_000, 200_000), (10, 1_048_000), (500_000, 540_000)])
def test_a_dead_letter_is_no_larger_than_kafka_takes(key: int, raw: int) -> None:
    letters = Letters()
    dead_letter(letters, Entry(COMMANDS, 0, 0, "k" * key, None, b"r" * raw, "", 0), "why" * 100_000)
    ((its_key, kept, headers),) = letters.taken
    size = len(its_key) + len(kept) + sum(len(name) + len(text) for name, text in headers.items())
    assert size < 950_000
    assert len(headers["reason"]) == 1_000
    assert headers.get("bytes") == (None if len(kept) == raw else str(raw).encode())
