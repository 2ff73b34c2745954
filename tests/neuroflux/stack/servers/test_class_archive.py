"""The archives of loaded classes: their names, and the run that writes them."""

import os
from pathlib import Path

import pytest

from neuroflux.errors import StackError
from neuroflux.runtime.settings import Settings
from neuroflux.stack.plan import infrastructure
from neuroflux.stack.servers import class_archive
from neuroflux.stack.servers.class_archive import train, writing
from neuroflux.stack.servers.jvm import archive, java
from neuroflux.stack.servers.kafka import kafka
from neuroflux.stack.supervise.service import Service
from neuroflux.stack.supervise.supervisor import Stack


def test_java_comes_from_its_package() -> None:
    assert os.access(java(), os.X_OK)


def test_an_archive_is_for_one_set_of_classes() -> None:
    cache = Path("/cache")
    assert archive("kafka", cache, "a.jar") == archive("kafka", cache, "a.jar")
    assert archive("kafka", cache, "a.jar") != archive("kafka", cache, "b.jar")
    assert archive("kafka", cache, "a.jar").parent == cache


def test_homes_and_brokers_share_an_archive(tmp_path: Path) -> None:
    one, *three = kafka(Settings(home=tmp_path / "a"), 1) + kafka(Settings(home=tmp_path / "b"), 3)
    assert {broker.archive for broker in three} == {one.archive}
    assert f"-XX:AOTCache={one.archive}" in one.command


def test_the_training_run_writes_beside_it(tmp_path: Path) -> None:
    service = infrastructure(Settings(home=tmp_path))[0]
    assert service.archive is not None
    trained = writing(service, tmp_path)
    assert f"-XX:AOTCacheOutput={tmp_path / service.archive.name}" in trained.command
    assert not any(part.startswith("-XX:AOTCache=") for part in trained.command)
    assert trained.archive is None, "else it would be trained again, for ever"


async def test_a_failed_training_is_reported_and_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def only_the_broker(settings: Settings) -> list[Service]:
        return kafka(settings, 1)

    async def refuse(stack: Stack) -> None:
        raise StackError("no broker today")

    lines: list[str] = []
    monkeypatch.setattr(class_archive, "infrastructure", only_the_broker)
    monkeypatch.setattr(Stack, "start", refuse)
    await train(Settings(home=tmp_path / "home", cache=tmp_path), lines.append)
    assert "no broker today" in lines[-1]
    assert [(path.suffix, path.stat().st_size) for path in kept(tmp_path)] == [(".aot", 0)]


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.iterdir() if path.name != ".lock"]
