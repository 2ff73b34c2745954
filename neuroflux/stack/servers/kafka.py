"""Kafka as a local service: brokers in KRaft mode, each also a controller, in one JVM each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct
from pydantic import SecretStr

from neuroflux.errors import StackError, UsageError
from neuroflux.runtime.credentials import read_credentials
from neuroflux.runtime.settings import Settings
from neuroflux.stack.access import BROKER, SETUP, SUPER_USERS
from neuroflux.stack.environment import base
from neuroflux.stack.install.lockfile import artifacts
from neuroflux.stack.servers.jvm import FLAGS, READ, archive, java
from neuroflux.stack.supervise.checks import listens
from neuroflux.stack.supervise.service import Port, Readiness, Service

SETTING = "NEUROFLUX_KAFKA"
CLUSTER_ID = "bmV1cm9mbHV4LWxvY2FsMA"
HEAP = "-Xmx512m"
MADE_FOR = "brokers"
"""The file with the number of brokers."""
STEP = 10
"""Difference between the ports of two brokers. Each controller listens on the next port."""

LOGGING = """<Configuration status="error">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %m (%c{1})%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""

CONFIG = """process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners={protocol}://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners={protocol}://{host}:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/log
auto.create.topics.enable=false
default.replication.factor={replication}
min.insync.replicas={quorum}
offsets.topic.replication.factor={replication}
transaction.state.log.replication.factor={replication}
transaction.state.log.min.isr={quorum}
share.coordinator.state.topic.replication.factor={replication}
share.coordinator.state.topic.min.isr={quorum}
# A laptop, not a data centre: few partitions, small segments, no wait for further group members.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
# A killed broker can rejoin only after its old session has expired: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


PLAIN, SECURE = "PLAINTEXT", "SASL_PLAINTEXT"

SECURITY = """listener.security.protocol.map=SASL_PLAINTEXT:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT
inter.broker.listener.name=SASL_PLAINTEXT
sasl.enabled.mechanisms=SCRAM-SHA-512
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
listener.name.sasl_plaintext.scram-sha-512.sasl.jaas.config={scram} username="{user}" password="{password}";
# SCRAM users exist only once the quorum runs: its own members log in with a password from their configuration.
listener.name.controller.sasl.enabled.mechanisms=PLAIN
sasl.mechanism.controller.protocol=PLAIN
listener.name.controller.plain.sasl.jaas.config={plain} \\
  username="{user}" password="{password}" user_{user}="{password}";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users={super_users}
allow.everyone.if.no.acl.found=false
"""
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required"
PLAIN_LOGIN = "org.apache.kafka.common.security.plain.PlainLoginModule required"


class Broker(Struct, frozen=True):
    """``id`` starts at 1; ``controller`` is the port of its quorum member."""

    id: int
    host: str
    port: int
    controller: int


def brokers(address: str, count: int) -> tuple[Broker, ...]:
    """The nodes of a cluster whose first listens at ``address`` (host:port)."""
    first = urlsplit(f"//{address.split(',')[0]}")
    if first.hostname is None or first.port is None:
        raise UsageError(f"{SETTING}: {address!r} is not host:port")
    host, port = first.hostname, first.port
    return tuple(Broker(n + 1, host, port + n * STEP, port + n * STEP + 1) for n in range(count))


def bootstrap(nodes: Sequence[Broker]) -> str:
    """The address of the cluster, for clients: every broker, so that it is reachable while one is down."""
    return ",".join(f"{node.host}:{node.port}" for node in nodes)


def voters(nodes: Sequence[Broker]) -> str:
    return ",".join(f"{node.id}@{node.host}:{node.controller}" for node in nodes)


def properties(node: Broker, nodes: Sequence[Broker], folder: Path, passwords: Mapping[str, str]) -> str:
    """The text of server.properties; ``folder`` is the node's own. ``passwords`` by principal make it secure."""
    plain = CONFIG.format(
        protocol=SECURE if passwords else PLAIN,
        id=node.id,
        voters=voters(nodes),
        host=node.host,
        port=node.port,
        controller=node.controller,
        folder=folder,
        replication=min(3, len(nodes)),
        quorum=min(3, len(nodes)) // 2 + 1,
    )
    return plain + (_security(passwords) if passwords else "")


def _security(passwords: Mapping[str, str]) -> str:
    return SECURITY.format(
        scram=SCRAM,
        plain=PLAIN_LOGIN,
        user=BROKER,
        password=passwords[BROKER],
        super_users=";".join(f"User:{name}" for name in SUPER_USERS),
    )


def kafka(settings: Settings, count: int) -> list[Service]:
    """The services of a cluster of ``count`` brokers; raises UsageError if the home has one of another size."""
    _same_size(settings.home.absolute() / "kafka", count)
    nodes, passwords = brokers(settings.kafka, count), read_credentials(settings.home)
    return [_service(settings, node, nodes, passwords) for node in nodes]


def is_made(home: Path) -> bool:
    """Whether a storage exists; with or without passwords, it can't be changed afterwards."""
    return (home.absolute() / "kafka" / MADE_FOR).exists()


def _service(settings: Settings, node: Broker, nodes: Sequence[Broker], passwords: Mapping[str, str]) -> Service:
    folder = settings.home.absolute() / "kafka" / str(node.id)
    jars = artifacts("kafka")
    classes = os.pathsep.join(str(settings.cache.absolute() / jar.file_name) for jar in jars)
    loaded = archive("kafka", settings.cache.absolute(), classes)
    logging = f"-Dlog4j2.configurationFile={folder / 'log4j2.xml'}"
    run = (java(), *FLAGS, HEAP, f"{READ}{loaded}", logging, "-cp", classes)
    return Service(
        name="kafka" if len(nodes) == 1 else f"kafka-{node.id}",
        command=(*run, "kafka.Kafka", str(folder / "server.properties")),
        readiness=Readiness.CHECK,
        env=base(settings),
        cwd=settings.home.absolute(),
        address=f"{node.host}:{node.port}",
        ports=(Port(node.host, node.port, SETTING), Port(node.host, node.controller, SETTING)),
        downloads=jars,
        archive=loaded,
        check=partial(answers, node, passwords.get(SETUP, "")),
        prepare=partial(_prepare, node, nodes, folder, run, passwords),
    )


def _prepare(
    node: Broker, nodes: Sequence[Broker], folder: Path, run: Sequence[str], passwords: Mapping[str, str]
) -> None:
    """Write the configuration, and format the storage before the first start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / MADE_FOR).write_text(str(len(nodes)))
    config = folder / "server.properties"
    _write_private(config, properties(node, nodes, folder, passwords))
    (folder / "log4j2.xml").write_text(LOGGING)
    if (folder / "log" / "meta.properties").exists():
        return
    users = [f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in passwords.items()]
    scram = [part for user in users for part in ("--add-scram", user)]
    format_it = [*run[1:], "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config), *scram]
    arguments = folder / "format.args"  # any user may read the command line of a process
    _write_private(arguments, "\n".join(f'"{one}"' for one in format_it))
    done = subprocess.run((run[0], f"@{arguments}"), capture_output=True, text=True)
    arguments.unlink()
    if done.returncode:
        raise StackError(f"Kafka's storage can't be created: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


def _write_private(file: Path, text: str) -> None:
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
        opened.write(text)


def _same_size(home: Path, count: int) -> None:
    """Replicas are stored on the brokers of the first start: another number of brokers can't read them."""
    made = home / MADE_FOR
    if made.exists() and made.read_text() != str(count):
        raise UsageError(
            f"{home} was made for {made.read_text()} broker(s), not {count}; set NEUROFLUX_HOME to another"
        )


async def answers(node: Broker, password: str = "") -> bool:
    """Whether the broker answers and the cluster counts it as alive; ``password`` is that of ``setup``, if any."""
    if not await listens(node.host, node.port):
        return False
    from aiokafka.admin import AIOKafkaAdminClient  # here, because most commands never check
    from aiokafka.errors import KafkaError

    from neuroflux.kafka.clients import security

    asking = Settings(kafka_user=SETUP if password else "", kafka_password=SecretStr(password))
    client = AIOKafkaAdminClient(
        bootstrap_servers=f"{node.host}:{node.port}", request_timeout_ms=5000, **security(asking)
    )
    try:
        await client.start()
        cluster = await client.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
    return any(broker["node_id"] == node.id for broker in cluster["brokers"])
