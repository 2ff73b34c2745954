"""A recording of the simulator, replayed: prices and signals are identical each time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from neuroflux.kafka.admin import extents
from neuroflux.records.topics import PRICES
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon, environment
from neuroflux.stack.home import log_path
from neuroflux.stack.supervise.service import State
from tests.pipeline.conftest import PROGRAM, ROOT, MakeSettings, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

SECONDS = 9


@contextmanager
def process(*command: str, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    running = subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
    )
    try:
        yield running
    finally:
        running.terminate()
        running.communicate(timeout=60)


def summary_of(running: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = running.communicate(timeout=120)
    assert running.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    return found


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Settings:
    return make_settings(tmp_path_factory.mktemp("replay"))


@pytest.fixture(scope="module")
def env(settings: Settings) -> dict[str, str]:
    return environment.base(settings)


@pytest.fixture(scope="module")
def recording(settings: Settings, env: dict[str, str]) -> Path:
    path, port = settings.home / "recorded.gz", settings.sim.rpartition(":")[2]
    with process(sys.executable, "-m", "neuroflux.sim", "--port", port, "--seed", "2", env=env):
        taken = [str(PROGRAM), "record", str(path), "--seconds", str(SECONDS)]
        done = subprocess.run(taken, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def plain(recording: Path, env: dict[str, str]) -> dict[str, Any]:
    """A replay as fast as possible, with one undisturbed worker."""
    with process(str(PROGRAM), "replay", str(recording), "--json", env=env) as running:
        return summary_of(running)


def test_a_replay_publishes_prices_and_signals_and_stores_all(plain: dict[str, Any]) -> None:
    assert plain["equal"]
    assert plain["records"]["prices.aggregated"] > 100
    assert plain["records"]["arbitrage.signals"] > 0


def test_wrong_use_is_one_line(env: dict[str, str], recording: Path) -> None:
    for command in ("record", str(recording)), ("replay", str(recording) + ".none"):
        done = subprocess.run([str(PROGRAM), *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr


@pytest.mark.long
async def test_two_workers_kills_and_a_rebalance_give_the_same(
    settings: Settings, env: dict[str, str], recording: Path, plain: dict[str, Any]
) -> None:
    """The player and a worker are killed, and a third worker starts and stops, while prices are being computed."""
    home = settings.home.absolute() / "replays" / f"{recording.name}-2"
    here = settings.model_copy(update={"home": home, "recording": recording})

    def stepping(name: str) -> int:
        log = log_path(here, name)
        return log.read_text().count("replaying partitions") if log.exists() else 0

    def kill(name: str) -> None:
        (one,) = (one for one in daemon.status(here) if one.name == name)
        assert one.pid, "0 would be this test's own group"
        os.kill(one.pid, signal.SIGKILL)
        wait_for(lambda: any(now.name == name and now.restarts > one.restarts for now in daemon.status(here)))

    async def given() -> int:
        return sum(part.end for part in (await extents(here, (PRICES,)))[PRICES.name].values())

    command = (str(PROGRAM), "replay", str(recording), "--json", "--workers", "2", "--speed", "1")
    with process(*command, env=env) as running:
        names = {"replay", "streams-1", "streams-2"}
        up = {State.READY}
        wait_for(lambda: {s.name for s in daemon.status(here) if s.name in names and s.state in up} == names, 60)
        before = stepping("streams-1")
        with process(sys.executable, "-m", "streams", "replay", env=environment.base(here)):
            wait_for(lambda: stepping("streams-1") > before)  # the group has rebalanced
            kill("streams-1")
            kill("replay")
        assert 0 < await given() < plain["records"]["prices.aggregated"], "it all came too late, or too early"
        again = summary_of(running)
    assert again["digests"] == plain["digests"]
    assert again["equal"]
    stored = ("market.quotes", "market.trades", "market.books", "prices.aggregated", "arbitrage.signals")
    assert [again["records"][name] for name in stored] == [plain["records"][name] for name in stored]
