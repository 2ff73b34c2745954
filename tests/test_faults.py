"""No fault of the simulator is left out of the tests that try them all."""

from __future__ import annotations

import msgspec
import pytest

from neuroflux.sim.server import simulation_of
from tests.faults import NEED_A_POSITION, Parameters, faults, without_parameters

TRIED_FLAT = [one for one in faults() if one["fault"] not in NEED_A_POSITION]
"""What needs a position can't strike in a simulation that has just begun."""


def test_every_fault_has_parameters() -> None:
    assert without_parameters() == set()


@pytest.mark.parametrize("fault", TRIED_FLAT, ids=lambda one: f"{one['exchange']}-{one['fault']}")
def test_the_simulator_takes_each(fault: Parameters) -> None:
    taken = simulation_of(1).faults.add(msgspec.json.encode(fault))
    assert (taken.exchange, taken.fault) == (fault["exchange"], fault["fault"])
