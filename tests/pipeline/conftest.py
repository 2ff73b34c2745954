"""The whole pipeline in the background, as a user starts it: ``neuroflux up`` in its own folder."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import pytest
from msgspec import Struct

from neuroflux.clickhouse.login import with_login
from neuroflux.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PROGRAM = Path(sys.executable).with_name("neuroflux")
T = TypeVar("T")


class Pipeline(Struct, frozen=True):
    """A running pipeline: its settings, and the environment for the program."""

    settings: Settings
    environment: dict[str, str]

    def program(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [str(PROGRAM), *arguments]
        return subprocess.run(
            command, cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def sim(self, path: str, body: object | None = None) -> Any:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.settings.sim + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def clear_faults(self) -> None:
        request = urllib.request.Request(f"{self.settings.sim}/sim/faults", method="DELETE")
        with urllib.request.urlopen(request, timeout=10):
            pass

    def login(self) -> dict[str, str]:
        """The HTTP headers with the login of the ClickHouse owner."""
        who = urlsplit(with_login(self.settings))
        return {"X-ClickHouse-User": who.username or "", "X-ClickHouse-Key": who.password or ""}

    def query(self, sql: str) -> list[list[str]]:
        """Query ClickHouse over HTTP, as any client would."""
        url = f"{self.settings.clickhouse_http}/?database=neuroflux"
        with urllib.request.urlopen(urllib.request.Request(url, sql.encode(), self.login()), timeout=10) as answer:
            return [line.split("\t") for line in answer.read().decode().splitlines()]


def wait_for(condition: Callable[[], T], seconds: float = 30) -> T:
    """Poll until the result is true and return it; fail after ``seconds``."""
    until = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < until, f"still {answer!r} after {seconds} s"
        time.sleep(0.1)
    return answer


MakeSettings = Callable[[Path], Settings]


def run_pipeline(home: Path, make_settings: MakeSettings, *options: str) -> Iterator[Pipeline]:
    """A pipeline with its own accounts, from ``up`` with these options to ``down``."""
    settings = make_settings(home)
    plain = settings.model_dump(mode="json", exclude={"kafka_user", "kafka_password", "instance"}, exclude_none=True)
    chosen = {f"NEUROFLUX_{name.upper()}": value for name, value in plain.items()}
    text = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in chosen.items()}
    running = Pipeline(settings, {**os.environ, **text})
    try:
        started = running.program("up", *options, timeout=120)
        assert started.returncode == 0, started.stderr
        yield running
    finally:
        stopped = running.program("down", timeout=60)
        assert stopped.returncode == 0, stopped.stderr


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run tests of the session's pipeline last: it runs until the end, and two pipelines exceed two cores."""
    items.sort(key=_shares_the_pipeline)


def _shares_the_pipeline(item: pytest.Item) -> bool:
    assert isinstance(item, pytest.Function)
    return "pipeline" in item.fixturenames and not hasattr(item.module, "pipeline")


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    yield from run_pipeline(tmp_path_factory.mktemp("pipeline"), make_settings)
