"""A broker of docker-compose.yml, started on this machine by the launcher of the Apache Kafka image.

Hosts and ports differ, and it is one broker instead of three; everything else is from the file.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # documented, but not in its __all__
    AdminClient,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from pydantic import SecretStr

from neuroflux.domain import CommandKind, OrderCommand
from neuroflux.errors import Forbidden
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import COMMANDS
from neuroflux.runtime.settings import Settings
from neuroflux.stack.access import READER, SETUP, TRADER
from neuroflux.stack.install.lockfile import artifacts
from neuroflux.stack.servers.jvm import FLAGS, java
from neuroflux.stack.setup import make_topics
from neuroflux.stack.supervise.checks import listens
from tests.conftest import CONTAINERS, RunningStack
from tests.ports import free_port

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(120),
    pytest.mark.skipif(CONTAINERS, reason="Kafka's jars run here"),
]

COMPOSE = Path(__file__).parents[1] / "docker-compose.yml"
WORD = "a-password"
COMMAND = OrderCommand(order_id="from-compose", kind=CommandKind.PLACE, market="BTC/USD", quantity=Decimal("0.001"))


def environment(folder: Path, first: int) -> dict[str, str]:
    """The environment of the first broker as a single node: brokers use port ``first``, clients the next one."""
    given: dict[str, Any] = yaml.safe_load(COMPOSE.read_text())["services"]["kafka-1"]["environment"]
    alone = {
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@127.0.0.1:{first + 3}",
        "KAFKA_LOG_DIRS": str(folder / "log"),
        **{name: "1" for name in given if "REPLICATION_FACTOR" in name or name.endswith(("_MIN_ISR", "_REPLICAS"))},
    }
    ports = {":19091": f":{first}", ":19092": f":{first + 1}", ":9092": f":{first + 2}", ":9093": f":{first + 3}"}
    return {name: moved(str(value), ports) for name, value in (given | alone).items()}


def moved(value: str, ports: Mapping[str, str]) -> str:
    value = value.replace("${NEUROFLUX_BROKER_PASSWORD:?make passwords}", WORD).replace("kafka-1", "127.0.0.1")
    for old, new in ports.items():
        value = value.replace(f"//{old}", f"//127.0.0.1{new}").replace(old, new)
    return value


def write_properties(run: Sequence[str], folder: Path, given: Mapping[str, str]) -> None:
    """Create server.properties and the storage from the environment, by the image's own program."""
    places = ("-D", f"{folder}/defaults", "-M", f"{folder}/mounted", "-F", f"{folder}/final")
    command = (*run, "kafka.docker.KafkaDockerWrapper", "setup", *places)
    made = subprocess.run(command, env=given, capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stdout + made.stderr


@pytest.fixture
async def broker(tmp_path: Path, stack: RunningStack) -> AsyncIterator[Settings]:
    folder, first = tmp_path, free_port(1, 2, 3)
    for name in ("defaults", "mounted", "final"):
        (folder / name).mkdir()
    for name in ("log4j2.yaml", "tools-log4j2.yaml", "server.properties"):
        (folder / "defaults" / name).touch()
    classes = os.pathsep.join(str(stack.settings.cache.absolute() / jar.file_name) for jar in artifacts("kafka"))
    run = (java(), *FLAGS, "-Xmx512m", "-cp", classes)
    given = {**os.environ, **environment(folder, first)}
    await asyncio.to_thread(write_properties, run, folder, given)
    serving = await asyncio.create_subprocess_exec(
        *run, "kafka.Kafka", str(folder / "final" / "server.properties"), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while not await listens("127.0.0.1", first + 1):
                assert serving.returncode is None, "the broker has ended"
                await asyncio.sleep(0.1)
        yield stack.settings.model_copy(update={"kafka": f"127.0.0.1:{first + 1}"})
    finally:
        serving.kill()
        await serving.wait()


def known_as(settings: Settings, name: str) -> Settings:
    return settings.model_copy(update={"kafka_user": name, "kafka_password": SecretStr(WORD)})


def add_users(address: str, *names: str) -> None:
    """Do what the service ``users`` does with kafka-configs.sh, over the listener of the brokers."""
    admin = AdminClient(
        {
            "bootstrap.servers": address,
            "security.protocol": "SASL_PLAINTEXT",
            "sasl.mechanism": "PLAIN",
            "sasl.username": "broker",
            "sasl.password": WORD,
        }
    )
    kind = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
    given = admin.alter_user_scram_credentials(
        [UserScramCredentialUpsertion(name, kind, WORD.encode()) for name in names]
    )
    for one in given.values():
        one.result(30)


async def test_kafka_of_the_containers_has_its_users_and_acls(broker: Settings) -> None:
    host, port = broker.kafka.split(":")
    await asyncio.to_thread(add_users, f"{host}:{int(port) - 1}", SETUP, TRADER, READER)
    await make_topics(known_as(broker, SETUP), 1)
    await write(known_as(broker, TRADER))
    with pytest.raises(Forbidden, match="not allowed"):
        await write(known_as(broker, READER))


async def write(settings: Settings) -> None:
    async with Publisher(settings, await load_codec(settings)) as publisher:
        await publisher.write(COMMANDS, COMMAND)
