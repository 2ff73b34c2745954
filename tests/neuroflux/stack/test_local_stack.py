"""The real stack: Kafka, registry and ClickHouse, started, killed and restarted in their own home."""

import asyncio
import os
import signal
import subprocess
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from clickhouse_driver import Client
from clickhouse_driver.errors import ServerException

from neuroflux.cli.connections import connections
from neuroflux.clickhouse.login import with_login
from neuroflux.records.topics import ALL, COMMANDS
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon, home
from neuroflux.stack.supervise.service import ServiceStatus, State

pytestmark = pytest.mark.stack

OTHERS = (
    "CREATE DATABASE other",
    "CREATE USER somebody",
    "SYSTEM STOP LISTEN HTTP",
    "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    "SELECT * FROM url('http://127.0.0.1:1', 'LineAsString')",
    "CREATE TABLE linked (x String) ENGINE = URL('http://127.0.0.1:1', 'LineAsString')",
)
WARM_START = 30.0
"""A loose bound in seconds, because other tests may load the machine; without load it takes less than half."""


@pytest.fixture(scope="module")
def tie() -> Iterator[int]:
    read, write = os.pipe()
    yield read
    os.close(read)
    os.close(write)


@pytest.fixture(scope="module")
def settings(
    tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[[Path], Settings], tie: int
) -> Iterator[Settings]:
    settings = make_settings(tmp_path_factory.mktemp("own") / "home")
    daemon.up(settings, pipeline=False, tie=tie)
    yield settings
    daemon.down(settings)


def status(settings: Settings, name: str) -> ServiceStatus:
    return next(one for one in daemon.status(settings) if one.name == name)


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def ended(pid: int) -> bool:
    """Whether a process has ended; so has a zombie, once its last thread has ended."""
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return not found or (found.startswith("Z") and "l" not in found)


async def send(address: str, key: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait(COMMANDS.name, b"written before", key=key, partition=0)


async def keys(settings: Settings) -> list[bytes]:
    place = TopicPartition(COMMANDS.name, 0)
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka, auto_offset_reset="earliest") as consumer:
        consumer.assign([place])
        end = (await consumer.end_offsets([place]))[place]
        return [(await consumer.getone()).key for _ in range(end)]


def query(settings: Settings, text: str) -> list[tuple[object, ...]]:
    return ask(with_login(settings), text)


def ask(url: str, text: str) -> list[tuple[object, ...]]:
    client = Client.from_url(url)
    try:
        rows: list[tuple[object, ...]] = client.execute(text)
        return rows
    finally:
        client.disconnect()


def subject(settings: Settings) -> str:
    with urllib.request.urlopen(f"{settings.registry}/subjects/{COMMANDS.name}-value/versions/latest") as answer:
        return bytes(answer.read()).decode()


async def test_up_creates_all_that_the_stages_need(settings: Settings) -> None:
    states = {one.name: one.state for one in daemon.status(settings)}
    assert states == {
        "kafka": State.READY,
        "registry": State.READY,
        "clickhouse": State.READY,
        "setup": State.FINISHED,
    }
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        assert {topic.name for topic in ALL} <= await consumer.topics()
    assert "orders.commands-value" in subject(settings)
    assert ("neuroflux",) in query(settings, "SHOW DATABASES")


def test_the_application_has_its_own_user(settings: Settings) -> None:
    assert query(settings, "SELECT currentUser()") == [("neuroflux",)]


@pytest.mark.parametrize("sql", OTHERS)
def test_the_application_owns_its_database_and_nothing_else(settings: Settings, sql: str) -> None:
    with pytest.raises(ServerException, match="Not enough privileges"):
        query(settings, sql)


@pytest.mark.parametrize("login", ["", "default:@", "neuroflux:neuroflux@", "neuroflux:@"])
@pytest.mark.parametrize("sql", ["SELECT * FROM system.parts", "CREATE TABLE t (x Int8)", "DROP DATABASE neuroflux"])
def test_no_access_without_the_password(settings: Settings, login: str, sql: str) -> None:
    with pytest.raises(ServerException, match=r"Quota for user `default`|Authentication failed"):
        ask(settings.clickhouse.replace("//", f"//{login}"), sql)


def test_connection_settings_of_other_clients_are_printed(settings: Settings) -> None:
    found = connections(settings)
    assert (found["kafka"], found["registry"]) == (settings.kafka, settings.registry)
    assert ask(found["clickhouse"], "SELECT currentUser(), currentDatabase()") == [("neuroflux", "neuroflux")]
    http = urlsplit(found["clickhouse_http"])
    asked = urllib.request.Request(
        f"{settings.clickhouse_http}/?{http.query}&query=SELECT%201",
        headers={"Authorization": f"Basic {b64encode(f'{http.username}:{http.password}'.encode()).decode()}"},
    )
    with urllib.request.urlopen(asked) as answer:
        assert answer.read() == b"1\n"


@pytest.mark.parametrize("name", ["clickhouse", "kafka"])
def test_a_killed_service_is_restarted(settings: Settings, name: str) -> None:
    before = status(settings, name)
    os.kill(before.pid, signal.SIGKILL)
    until(lambda: status(settings, name).restarts == before.restarts + 1)
    until(lambda: status(settings, name).state is State.READY)
    assert status(settings, name).pid != before.pid


def test_each_service_has_a_log(settings: Settings) -> None:
    for name in ("kafka", "registry", "clickhouse", "setup", "supervisor"):
        assert daemon.log_path(settings, name).exists()


@pytest.mark.parametrize("end", [signal.SIGTERM, pytest.param(signal.SIGKILL, marks=pytest.mark.long)])
async def test_a_stop_leaves_no_process_and_loses_no_data(settings: Settings, tie: int, end: signal.Signals) -> None:
    supervisor = home.Lock(settings).holder()
    pids = [one.pid for one in daemon.status(settings) if one.pid]
    table, schema = f"kept_{end.name}", subject(settings)
    query(settings, f"CREATE TABLE neuroflux.{table} (x Int64) ENGINE = MergeTree ORDER BY x")
    query(settings, f"INSERT INTO neuroflux.{table} SELECT number FROM numbers(1000)")
    await send(settings.kafka, table.encode())

    os.kill(supervisor, end)
    await asyncio.to_thread(until, lambda: all(map(ended, [supervisor, *pids])), 15)
    assert home.Lock(settings).holder() == 0
    assert {one.state for one in daemon.status(settings)} == {State.STOPPED}

    began = time.monotonic()
    await asyncio.to_thread(daemon.up, settings, pipeline=False, tie=tie)
    assert time.monotonic() - began < WARM_START
    assert query(settings, f"SELECT count() FROM neuroflux.{table}") == [(1000,)]
    assert table.encode() in await keys(settings)
    assert subject(settings) == schema
