"""Twenty short runs: under faults and kills no order is sent twice or lost; everything is reported and stored once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import THREE
from tests.torture.__main__ import run_all

RUNS, ORDERS, SECONDS = 20, 60, 2.0


@pytest.mark.stack
@pytest.mark.long
@pytest.mark.timeout(900)
def test_no_order_is_lost_or_sent_twice(tmp_path: Path) -> None:
    found = run_all(range(RUNS), ORDERS, SECONDS, tmp_path, choose=lambda _: THREE)
    assert len(found) == RUNS
    assert sum(one.fills for one in found) > RUNS
    assert {one.seed: one.verdict.faults for one in found if one.verdict.faults} == {}
