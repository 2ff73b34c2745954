"""The tests that try all faults cover every fault of the simulator."""

from __future__ import annotations

import msgspec
import pytest

from neuroflux.sim.server import simulation_of
from tests.faults import NEED_A_POSITION, Parameters, faults, without_parameters

TRIED_FLAT = [one for one in faults() if one["fault"] not in NEED_A_POSITION]
"""Faults that need a position, which a new simulation does not have."""


def test_every_fault_has_parameters() -> None:
    assert without_parameters() == set()


@pytest.mark.parametrize("fault", TRIED_FLAT, ids=lambda one: f"{one['exchange']}-{one['fault']}")
def test_the_simulator_accepts_each_fault(fault: Parameters) -> None:
    taken = simulation_of(1).faults.add(msgspec.json.encode(fault))
    assert (taken.exchange, taken.fault) == (fault["exchange"], fault["fault"])
