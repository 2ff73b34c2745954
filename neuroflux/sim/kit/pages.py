"""How many rows an answer has."""

from __future__ import annotations

from neuroflux.sim.core.faults import Faults


def rows_of_a_page(faults: Faults, exchange_id: str, most: int) -> int:
    """The rows that an answer may have: ``most``, or fewer by the fault ``page_size``."""
    fault = faults.setting(exchange_id, "page_size")
    return min(most, int(fault.value)) if fault else most
