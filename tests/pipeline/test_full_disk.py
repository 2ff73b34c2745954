"""The disk fills up while orders come in: the stack stops on purpose and says why; with room again all is as it was."""

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

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SIZE = "1600m"
"""A little more than a start asks for."""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, in memory."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    """To the last byte."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(1 << 20)):
                pass
        except OSError:
            return


def test_a_full_disk_stops_the_stack_on_purpose_and_loses_nothing(
    small_disk: Path, make_settings: MakeSettings
) -> None:
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
    """Why the stack ended; nothing while it has not."""
    told = daemon.status(pipeline.settings)
    return told[0].detail if {one.state for one in told} == {State.STOPPED} else ""
