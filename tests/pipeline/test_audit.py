"""``neuroflux audit`` on a pipeline with random trading, and with each fault of the simulator.

``make test`` trades for 15 s, ``make test-long`` for a minute. NEUROFLUX_AUDIT=faults also sets each mode of an
account, and injects three faults of each exchange at a time, half a minute each; NEUROFLUX_AUDIT=long trades for ten
minutes and injects each fault alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from itertools import chain, zip_longest
from typing import Any

import pytest

from neuroflux.exchanges.exchange_manager import ExchangeManager
from tests.conftest import THREE
from tests.faults import MODES, NEED_A_POSITION, Parameters, faults
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline
from tests.pipeline.trader import Trader

ASKED = os.environ.get("NEUROFLUX_AUDIT", "")
LONG = ASKED == "long"
on_demand = pytest.mark.skipif(ASKED not in ("faults", "long"), reason="minutes in all: NEUROFLUX_AUDIT=faults")
SHORT, SECONDS = 15, 600 if LONG else 60
STEPS_UNDER_A_FAULT = 4
AT_A_TIME = 1 if LONG else 3
"""Faults of one exchange."""
SEED = 20261128

pytestmark = [pytest.mark.stack, pytest.mark.timeout(SECONDS + 300)]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    """A separate pipeline for this module: its trades spend money that other tests need."""
    yield from run_pipeline(tmp_path_factory.mktemp("audited"), make_settings)


@pytest.fixture(scope="module")
def trader(pipeline: Pipeline) -> Iterator[Trader]:
    with ExchangeManager(pipeline.settings) as manager:
        yield Trader(manager, pipeline, SEED)


def audited(pipeline: Pipeline) -> list[dict[str, Any]]:
    """The lines of an audit, which exits with 1 if and only if it found a difference."""
    done = pipeline.program("audit", "--json", timeout=180)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines, done.stderr
    assert lines[-1]["kind"] == "summary"
    assert done.returncode == (1 if of_kind(lines, "differs") else 0), done.stderr
    return lines


def of_kind(lines: list[dict[str, Any]], kind: str) -> list[str]:
    return [json.dumps(one) for one in lines if one["kind"] == kind]


@on_demand
@pytest.mark.parametrize(
    "mode",
    [one for one in faults() if one["fault"] in MODES and one["exchange"] in THREE],
    ids=lambda one: f"{one['exchange']}-{one['fault']}",
)
def test_each_mode_of_an_account_leaves_no_difference(pipeline: Pipeline, mode: Parameters) -> None:
    """Runs first, while nothing is open: an exchange changes the mode of an account only without orders and positions.

    The mode lasts until the audit is over, because a change back is only noticed by the next query, within a minute.
    """
    pipeline.sim("/sim/faults", mode | ({"seconds": 180} if "seconds" in mode else {}))
    try:
        lines = audited(pipeline)
    finally:
        pipeline.clear_faults()
        if ending := MODES[mode["fault"]]:
            pipeline.sim("/sim/faults", mode | ending)
    assert "\n".join(of_kind(lines, "differs")) == ""


@pytest.mark.parametrize("seconds", [SHORT, pytest.param(SECONDS, marks=pytest.mark.long)])
def test_random_trading_leaves_no_difference(pipeline: Pipeline, trader: Trader, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        trader.step()
    pipeline.clear_faults()
    assert seconds == SHORT or {"resting", "in parts", "cancelled"} <= trader.done.keys(), trader.done
    lines = audited(pipeline)
    print("\n".join(json.dumps(one) for one in lines))
    assert of_kind(lines, "not checked") == []
    assert lines[-1]["counts"]["agrees"] > 200
    assert "\n".join(of_kind(lines, "differs")) == ""
    assert all(one["reason"] for one in lines if one["kind"] == "in flight")


def together() -> list[tuple[Parameters, ...]]:
    """Groups of faults: some of each exchange, or each alone."""
    struck = [one for one in faults(modes=False) if one["fault"] not in NEED_A_POSITION]
    by_exchange = [[one for one in struck if one["exchange"] == exchange] for exchange in THREE]
    chunks = [[each[at : at + AT_A_TIME] for at in range(0, len(each), AT_A_TIME)] for each in by_exchange]
    return [tuple(chain.from_iterable(filter(None, group))) for group in zip_longest(*chunks)]


def _named(group: tuple[Parameters, ...]) -> str:
    return "+".join(f"{one['exchange']}-{one['fault']}" for one in group)[:100]


@on_demand
@pytest.mark.parametrize("group", together(), ids=_named)
def test_each_fault_leaves_no_difference(pipeline: Pipeline, trader: Trader, group: tuple[Parameters, ...]) -> None:
    for fault in group:
        pipeline.sim("/sim/faults", fault)
    try:
        for _ in range(STEPS_UNDER_A_FAULT):
            trader.step()
        lines = audited(pipeline)
    finally:
        pipeline.clear_faults()
    assert "\n".join(of_kind(lines, "differs")) == ""
