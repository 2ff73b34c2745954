"""The disk fills up during trading: the stack stops and reports why; with free space again it continues."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.stack import daemon
from neuroflux.stack.supervise.service import State
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for
from tests.pipeline.test_fire import check_stored, trade

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(240)]

SIZE = "1600m"
"""Slightly more than a start requires."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A separate disk in memory."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    """Fill the disk to the last byte."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 20)):
                pass
        except OSError:
            return


def test_a_full_disk_stops_the_stack_and_loses_no_data(small_disk: Path, make_settings: MakeSettings) -> None:
    with contextmanager(run_pipeline)(small_disk, make_settings) as pipeline:
        with ExchangeManager(pipeline.settings) as manager:
            wait_for(lambda: trade(manager) == "filled", 60)
            filler = small_disk / "filler"
            fill(filler)
            with ThreadPoolExecutor(1) as meanwhile:
                meanwhile.submit(trade, manager)
                try:
                    why = wait_for(lambda: ended_by(pipeline), 120)
                finally:
                    filler.unlink()
        assert "free some, or set NEUROFLUX_HOME" in why
        again = pipeline.program("up", timeout=120)
        assert again.returncode == 0, again.stderr
        with ExchangeManager(pipeline.settings) as manager:
            wait_for(lambda: trade(manager) == "filled", 60)
        check_stored(pipeline)


def ended_by(pipeline: Pipeline) -> str:
    """Why the stack ended; "" while it runs."""
    services = daemon.status(pipeline.settings)
    return services[0].detail if {one.state for one in services} == {State.STOPPED} else ""
