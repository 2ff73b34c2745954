"""The session's stack: Kafka, registry and ClickHouse, with topics, schemas and the database."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import yaml
from aiohttp import web_app
from msgspec import Struct

from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon
from neuroflux.stack.install.install import install
from neuroflux.stack.plan import infrastructure
from neuroflux.stack.setup import set_up
from neuroflux.stack.supervise.service import ServiceStatus
from tests.ports import free_port

hypothesis.settings.register_profile("any machine", deadline=None)
hypothesis.settings.load_profile("any machine")
"""How long an example takes says how busy the machine is, not whether the code is right."""
CONTAINERS = os.environ.get("NEUROFLUX_TEST_STACK", "local") == "containers"
COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
START_TIMEOUT = 120
THREE = ("binance", "binanceusdm", "hyperliquid")
"""The exchanges of a test's pipeline: enough for what no exchange does alone, and few enough for two cores."""


@pytest.fixture(autouse=True)
def forgotten_applications() -> Iterator[None]:
    """aiohttp caches the last 1024 pairs of a handler and its application, of which a test's simulator has 38 MB."""
    yield
    web_app._cached_build_middleware.cache_clear()


class RunningStack(Struct, frozen=True):
    """A running stack. Each test uses its own topics, groups and keys."""

    settings: Settings


def settings_in(home: Path, exchanges: Sequence[str] = THREE) -> Settings:
    return Settings(
        home=home,
        exchanges=tuple(exchanges),
        kafka=f"127.0.0.1:{free_port(1, 10, 11, 20, 21)}",
        registry=f"http://127.0.0.1:{free_port()}/apis/ccompat/v7",
        clickhouse=f"clickhouse://127.0.0.1:{free_port()}/neuroflux",
        clickhouse_http=f"http://127.0.0.1:{free_port()}",
        sim=f"http://127.0.0.1:{free_port()}",
    )


def service(settings: Settings, name: str) -> ServiceStatus:
    return next(one for one in daemon.status(settings) if one.name == name)


@contextmanager
def stopped(settings: Settings, name: str) -> Iterator[None]:
    """Suspend a service for the duration of the block."""
    pid = service(settings, name).pid
    assert pid, "0 would be this test's own group"
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="session")
def make_settings() -> Callable[[Path], Settings]:
    """Makes settings for a separate stack: in that home, on free ports."""
    return settings_in


def pytest_collection_finish(session: pytest.Session) -> None:
    """Download before the first test, so that no test's time-out covers it."""
    if CONTAINERS or session.config.option.collectonly:
        return
    if any(item.get_closest_marker("stack") or "stack" in getattr(item, "fixturenames", ()) for item in session.items):
        settings = Settings()
        install([part for service in infrastructure(settings) for part in service.downloads], settings.cache, print)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Kafka, registry and ClickHouse on free ports: local, or with NEUROFLUX_TEST_STACK=containers in Docker."""
    settings = settings_in(tmp_path_factory.mktemp("stack"))
    with _containers(settings) if CONTAINERS else _local(settings) as started:
        yield RunningStack(started)


@contextmanager
def _local(settings: Settings) -> Iterator[Settings]:
    tie, hold = os.pipe()  # closed when this process ends in any way, so that no stack remains
    try:
        daemon.up(settings, pipeline=False, tie=tie)
        yield settings
    finally:
        daemon.down(settings)
        os.close(tie)
        os.close(hold)


@contextmanager
def _containers(settings: Settings) -> Iterator[Settings]:
    """The same from the images of docker-compose.yml."""
    images: dict[str, Any] = {
        name: one["image"] for name, one in yaml.safe_load(COMPOSE.read_text())["services"].items()
    }
    there = settings.model_copy(
        update={"clickhouse": settings.clickhouse.replace("//", "//neuroflux:neuroflux@", 1)},
    )
    with ExitStack() as running, ThreadPoolExecutor(1) as thread:
        running.enter_context(_kafka(images["kafka-1"], there))
        running.enter_context(_registry(images["registry"], there))
        running.enter_context(_clickhouse(images["clickhouse"], there))
        thread.submit(asyncio.run, _make_ready(there)).result()  # the tests' loops run in this thread
        yield there


def _kafka(image: str, settings: Settings) -> Any:
    from testcontainers.core.container import DockerContainer

    port = int(settings.kafka.rpartition(":")[2])
    return (
        DockerContainer(image)
        .with_bind_ports(9092, port)
        .with_env("KAFKA_NODE_ID", "1")
        .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093")
        .with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://127.0.0.1:{port}")
        .with_env("KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT")
        .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    )


def _registry(image: str, settings: Settings) -> Any:
    from testcontainers.core.container import DockerContainer

    port = int(settings.registry.split(":")[2].split("/")[0])
    return DockerContainer(image).with_bind_ports(8080, port)


def _clickhouse(image: str, settings: Settings) -> Any:
    from testcontainers.core.container import DockerContainer

    return (
        DockerContainer(image)
        .with_bind_ports(9000, int(settings.clickhouse.rpartition(":")[2].split("/")[0]))
        .with_bind_ports(8123, int(settings.clickhouse_http.rpartition(":")[2]))
        .with_env("CLICKHOUSE_USER", "neuroflux")
        .with_env("CLICKHOUSE_PASSWORD", "neuroflux")
    )


async def _make_ready(settings: Settings) -> None:
    async with asyncio.timeout(START_TIMEOUT):
        for service in infrastructure(settings):
            while service.check and not await service.check():  # noqa: ASYNC110  # a container has no event to wait for
                await asyncio.sleep(0.2)
    await set_up(settings)
