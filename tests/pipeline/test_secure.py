"""A secure stack: trading works as before, and the broker refuses clients without a right."""

from __future__ import annotations

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from neuroflux.domain import CommandKind, JournalEntry, OrderCommand
from neuroflux.errors import Forbidden, Unreachable
from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.kafka.commands import new_order_id
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import Registry, load_codec
from neuroflux.records.topics import COMMANDS, JOURNAL, QUOTES, Topic
from neuroflux.runtime.credentials import credentials_path, read_credentials
from neuroflux.runtime.settings import Settings
from neuroflux.stack.access import READER, TRADER
from neuroflux.stack.home import log_path
from neuroflux.stack.servers.clickhouse import READER_SECONDS
from tests.pipeline.canary import command_lines
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

COMMAND = OrderCommand(order_id=new_order_id(), kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal("0.001"))
ENTRY = JournalEntry("nobody", "open", 0, b"", 1)


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    yield from run_pipeline(tmp_path_factory.mktemp("secure"), make_settings, "--secure")


def known_as(pipeline: Pipeline, name: str, password: str = "") -> Settings:
    found = password or read_credentials(pipeline.settings.home)[name]
    return pipeline.settings.model_copy(update={"kafka_user": name, "kafka_password": SecretStr(found)})


async def write(settings: Settings, topic: Topic, record: object) -> None:
    async with Publisher(settings, await load_codec(settings)) as publisher:
        await publisher.write(topic, record)


def test_program_and_facade_can_send_orders(pipeline: Pipeline) -> None:
    wait_for(lambda: pipeline.program("order", "buy", "BTC/USD", "0.01", "--wait").returncode == 0, 60)
    with ExchangeManager(known_as(pipeline, TRADER)) as manager:
        order = {"symbol": "BTC/USD", "side": "buy", "quantity": 0.01}
        assert wait_for(lambda: manager.route_order(order)["state"] == "filled", 30)
    wait_for(lambda: int(ask(pipeline, "SELECT count() FROM order_events WHERE state = 'filled'")) >= 2)
    order_id = wait_for(lambda: ask(pipeline, "SELECT order_id FROM order_decisions LIMIT 1").strip())
    assert pipeline.program("explain", order_id).returncode == 0


@pytest.mark.parametrize(
    ("name", "topic", "record"),
    [
        (READER, COMMANDS, COMMAND),
        ("streams", COMMANDS, COMMAND),
        ("execution", COMMANDS, COMMAND),
        ("streams", JOURNAL, ENTRY),
        (TRADER, JOURNAL, ENTRY),
    ],
)
async def test_a_client_without_a_right_is_refused_by_the_broker(
    pipeline: Pipeline, name: str, topic: Topic, record: object
) -> None:
    with pytest.raises(Forbidden, match="not allowed"):
        await write(known_as(pipeline, name), topic, record)


async def test_a_reader_reads(pipeline: Pipeline) -> None:
    settings = known_as(pipeline, READER)
    async with Reader(settings, await load_codec(settings), (QUOTES,), start="beginning") as reader:
        async for batch in reader.batches():
            if batch:
                break
    assert batch[0].record.market


@pytest.mark.parametrize("name", [READER, TRADER, "market"])
@pytest.mark.parametrize("group", ["execution", "warehouse", "neuroflux-streams"])
async def test_no_other_client_takes_a_stage_s_partitions(pipeline: Pipeline, name: str, group: str) -> None:
    """A member of a group can take its partitions and commit its offsets."""
    settings = known_as(pipeline, name)
    with pytest.raises(Forbidden, match="not allowed"):
        async with asyncio.timeout(20), Reader(settings, await load_codec(settings), (COMMANDS,), group=group):
            pass


@pytest.mark.parametrize(("name", "password"), [(TRADER, "wrong"), ("nobody", "wrong")])
async def test_a_wrong_password_is_refused(
    pipeline: Pipeline, name: str, password: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The client reports it like a broker that does not answer, except in its log."""
    with pytest.raises(Unreachable):
        await write(known_as(pipeline, name, password), COMMANDS, COMMAND)
    assert "SaslAuthenticationFailed" in caplog.text


def ask(pipeline: Pipeline, sql: str, user: str = READER) -> str:
    """ClickHouse over HTTP as one of its users."""
    password = read_credentials(pipeline.settings.home).get(user, "")
    headers = {"X-ClickHouse-User": user, "X-ClickHouse-Key": password}
    url = f"{pipeline.settings.clickhouse_http}/?database=neuroflux"
    with urllib.request.urlopen(urllib.request.Request(url, sql.encode(), headers), timeout=10) as answer:
        return str(answer.read().decode())


def test_clickhouses_reader_reads_and_writes_nothing(pipeline: Pipeline) -> None:
    assert int(ask(pipeline, "SELECT count() FROM quotes")) >= 0
    with pytest.raises(urllib.error.HTTPError):
        ask(pipeline, "TRUNCATE TABLE quotes")


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("SELECT groupArray(number) FROM numbers(300000000)", "MEMORY_LIMIT_EXCEEDED"),
        ("SELECT number FROM numbers(300000000) FORMAT Null", "TOO_MANY_ROWS_OR_BYTES"),
        ("SELECT sleepEachRow(1) FROM numbers(9) SETTINGS max_execution_time = 0", "READONLY"),
    ],
)
def test_clickhouses_reader_can_not_use_all_resources(pipeline: Pipeline, sql: str, why: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(pipeline, sql)
    assert why in refused.value.read().decode()
    assert int(ask(pipeline, "SELECT getSetting('max_execution_time')")) == READER_SECONDS


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM quotes",
        "TRUNCATE TABLE quotes",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:8900', 'LineAsString')",
        "KILL QUERY WHERE 1",
        "CREATE USER somebody",
    ],
)
def test_clickhouses_default_user_is_closed(pipeline: Pipeline, sql: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        ask(pipeline, sql, "default")
    assert "QUOTA_EXCEEDED" in refused.value.read().decode()


def test_the_printed_logins_are_trader_and_reader(pipeline: Pipeline) -> None:
    passwords = read_credentials(pipeline.settings.home)
    answer = json.loads(pipeline.program("status", "--connect", "--json").stdout)
    assert (answer["kafka_security_protocol"], answer["kafka_sasl_mechanism"]) == ("SASL_PLAINTEXT", "SCRAM-SHA-512")
    login = answer["kafka_sasl_plain_username"], answer["kafka_sasl_plain_password"]
    assert login == (TRADER, passwords[TRADER])
    assert answer["clickhouse"].startswith(f"clickhouse://{READER}:{passwords[READER]}@127.0.0.1:")


def test_no_password_is_in_a_log_a_command_line_or_the_state(pipeline: Pipeline) -> None:
    passwords = read_credentials(pipeline.settings.home).values()
    logs = [one.read_text(errors="replace") for one in log_path(pipeline.settings, "x").parent.iterdir()]
    lines = [text.decode(errors="replace") for _, text in command_lines()]
    state = pipeline.program("status", "--json").stdout
    assert len(json.loads(state.splitlines()[0])) > 1
    assert not [one for one in passwords for text in (*logs, *lines, state) if one in text]
    private = [credentials_path(pipeline.settings.home), pipeline.settings.home / "kafka" / "1" / "server.properties"]
    assert {one.stat().st_mode & 0o777 for one in private} == {0o600}


def test_a_home_without_security_stays_so(
    tmp_path: Path, make_settings: Callable[[Path], Settings], pipeline: Pipeline
) -> None:
    made = tmp_path / "kafka"
    made.mkdir()
    (made / "brokers").write_text("1")
    environment = pipeline.environment | {"NEUROFLUX_HOME": str(tmp_path)}
    refused = Pipeline(pipeline.settings, environment).program("up", "--secure")
    assert refused.returncode == 2
    assert "was made without --secure" in refused.stderr


WRITES = [
    ("POST", "/subjects/orders.commands-value/versions", {"schema": '{"type": "string"}'}),
    ("POST", "/subjects/evil-value/versions", {"schema": '{"type": "string"}'}),
    ("PUT", "/config/orders.commands-value", {"compatibility": "NONE"}),
    ("PUT", "/config", {"compatibility": "NONE"}),
    ("PUT", "/mode", {"mode": "READONLY"}),
    ("DELETE", "/subjects/orders.commands-value", None),
    ("DELETE", "/subjects/orders.commands-value/versions/1", None),
    ("POST", "/../../registry/v3/groups/default/artifacts", {"artifactId": "evil"}),
    ("DELETE", "/../../registry/v3/groups/default", None),
    ("PUT", "/../../registry/v3/admin/config/properties/apicurio.auth.role-based-authorization", {"value": "false"}),
    ("GET", "/../../registry/v3/admin/export", None),
    ("POST", "/../../registry/v3/admin/rules", {"ruleType": "VALIDITY", "config": "FULL"}),
]


@pytest.mark.parametrize(("method", "path", "body"), WRITES, ids=[f"{method} {path}" for method, path, _ in WRITES])
@pytest.mark.parametrize("name", ["", TRADER, "execution"])
def test_the_registry_is_read_by_all_and_written_only_by_setup(
    pipeline: Pipeline, name: str, method: str, path: str, body: object
) -> None:
    headers = {"Content-Type": "application/json"}
    if name:
        headers |= {"Authorization": basic(name, read_credentials(pipeline.settings.home)[name])}
    address = (pipeline.settings.registry + path).replace("/ccompat/v7/../..", "")
    data = None if body is None else json.dumps(body).encode()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(address, data, headers, method=method), timeout=10)
    with caught.value as refusal:
        assert refusal.code == 401
    assert len(asyncio.run(versions(pipeline))) == 1


def test_the_registry_is_not_read_by_a_page_of_another_site(pipeline: Pipeline) -> None:
    address = f"{pipeline.settings.registry}/subjects"
    with urllib.request.urlopen(address, timeout=10) as answer:
        assert "orders.commands-value" in json.loads(answer.read())
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(address, headers={"Host": "evil.example:8081"}), timeout=10)
    with caught.value as refusal:
        assert refusal.code == 403


async def versions(pipeline: Pipeline) -> list[int]:
    async with Registry(pipeline.settings.registry) as registry:
        return await registry.versions(COMMANDS)


def basic(name: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"
