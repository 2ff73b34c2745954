"""Values that are too large or not numbers are named in a short text; valid ones pass."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from neuroflux.domain import CommandKind, CommandLeg, ControlCommand, ControlKind, Failover, OrderCommand, Side
from neuroflux.engine.risk.command_bounds import MAX_LEGS, control_fault, failover_fault, order_id_fault, size_fault
from neuroflux.exchanges.catalogue import EXCHANGE_IDS

GOOD = OrderCommand(order_id="o", kind=CommandKind.PLACE, market="BTC/USD")
LIMITS = ControlCommand(kind=ControlKind.LIMITS, account="binance", limits={"leverage": 3.0})
HALT = ControlCommand(kind=ControlKind.HALT, why="x" * 200_000)
FAILOVER = Failover(primary="binance", backups=("hyperliquid",), config_id="1", conditions={"offline": 1.0})
HUGE = "x" * 200_000


@pytest.mark.parametrize("order_id", ["", "#claim", "a\nb", "a\x00", HUGE])
def test_invalid_order_ids(order_id: str) -> None:
    assert 0 < len(order_id_fault(order_id)) < 200


@pytest.mark.parametrize("order_id", ["1", "019a-uuid", "Auftrag für BTC", "x" * 128])
def test_valid_order_ids(order_id: str) -> None:
    assert order_id_fault(order_id) == ""


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (GOOD, ""),
        (replace(GOOD, market=HUGE), "market"),
        (replace(GOOD, exchange=HUGE), "exchange"),
        (replace(GOOD, strategy=HUGE), "strategy"),
        (replace(GOOD, issued_by=HUGE), "issued_by"),
        (replace(GOOD, legs=(CommandLeg(HUGE, "s", Side.BUY, GOOD.quantity),)), "legs: exchange"),
        (replace(GOOD, legs=(CommandLeg("e", HUGE, Side.BUY, GOOD.quantity),)), "legs: symbol"),
        (replace(GOOD, legs=(CommandLeg("e", "s", Side.BUY, GOOD.quantity),) * (MAX_LEGS + 1)), "legs: there are 65"),
    ],
)
def test_what_is_too_large_is_named(command: OrderCommand, names: str) -> None:
    result = size_fault(command)
    assert result.startswith(names)
    assert bool(result) == bool(names)
    assert len(result) < 200


@pytest.mark.parametrize(
    ("control", "names"),
    [
        (LIMITS, ""),
        (HALT, ""),
        (replace(HALT, account=HUGE), "account"),
        (replace(HALT, account=""), "account"),
        (replace(HALT, account="binance"), ""),
        (replace(HALT, account="Binance"), f"account: 'Binance' is not one of {', '.join(EXCHANGE_IDS)}, *"),
        (replace(HALT, account="binance", kind=ControlKind.RESUME, why=""), ""),
        (replace(HALT, account="nosuch", kind=ControlKind.RESUME), "account: 'nosuch'"),
        (replace(LIMITS, account="*"), ""),
        (replace(LIMITS, account="all"), "account: 'all'"),
        (ControlCommand(kind=ControlKind.PROBE, account="nosuch", why="id"), ""),
        (replace(LIMITS, limits={"leverage": float("nan")}), "limits: leverage is nan"),
        (replace(LIMITS, limits={"max_leverage": float("inf")}), "limits: max_leverage is inf"),
        (replace(LIMITS, limits={"weight_per_minute": -1.0}), "limits: weight_per_minute is -1"),
        (replace(LIMITS, limits={"weight_per_minute": 0.0}), "limits: weight_per_minute is 0.0, and must be from 100"),
        (replace(LIMITS, limits={"weight_per_minute": 99.9}), "limits: weight_per_minute is 99.9"),
        (replace(LIMITS, limits={"weight_per_minute": 100.0}), ""),
        (replace(LIMITS, limits={"leverage": 0.0}), "limits: leverage is 0.0, and must be from 1"),
        (replace(LIMITS, limits={"max_leverage": 0.0}), "limits: max_leverage is 0.0, and must be from 0.01"),
        (replace(LIMITS, limits={HUGE: 1.0}), "limits: 'xxx"),
        (ControlCommand(kind=ControlKind.PROBE, why=HUGE), "why"),
    ],
)
def test_an_invalid_control_command_is_named(control: ControlCommand, names: str) -> None:
    result = control_fault(control, EXCHANGE_IDS)
    assert result.startswith(names)
    assert bool(result) == bool(names)
    assert len(result) < 200


@pytest.mark.parametrize(
    ("failover", "names"),
    [
        (FAILOVER, ""),
        (replace(FAILOVER, primary=HUGE), "exchange"),
        (replace(FAILOVER, primary=""), "exchange: '' is not one of binance"),
        (replace(FAILOVER, primary="*"), "exchange: '*'"),
        (replace(FAILOVER, backups=("hyperliquid", "")), "exchange: ''"),
        (replace(FAILOVER, backups=("hyperliquid",) * 65), "backups"),
        (replace(FAILOVER, conditions={"error_rate": float("nan")}), "conditions: error_rate is nan"),
        (replace(FAILOVER, conditions={"weather": 1.0}), "conditions: 'weather'"),
    ],
)
def test_an_invalid_failover_is_named(failover: Failover, names: str) -> None:
    result = failover_fault(failover, EXCHANGE_IDS)
    assert result.startswith(names)
    assert bool(result) == bool(names)
