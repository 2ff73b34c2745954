"""Kafka as a local service: brokers in KRaft mode, each also a controller, in one JVM each."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from neuroflux.errors import StackError, UsageError
from neuroflux.settings import Settings
from neuroflux.stack.checks import listens
from neuroflux.stack.environment import base
from neuroflux.stack.jvm import FLAGS, READ, archive, java
from neuroflux.stack.lock import artifacts
from neuroflux.stack.services import Port, Readiness, Service

SETTING = "NEUROFLUX_KAFKA"
CLUSTER_ID = "bmV1cm9mbHV4LWxvY2FsMA"
HEAP = "-Xmx512m"
MADE_FOR = "brokers"
"""The file with their number."""
STEP = 10
"""Between the ports of two brokers. The controller of each listens one above."""

LOGGING = """<Configuration status="error">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %m (%c{1})%n"/></Console></Appenders>
  <Loggers><Root level="warn"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"""

CONFIG = """process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
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
# A laptop, not a data centre: few partitions, small segments, nothing waits for members that may still come.
offsets.topic.num.partitions=8
transaction.state.log.num.partitions=4
share.coordinator.state.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
log.segment.bytes=67108864
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
# A broker that was killed is let in again when its old session is over: 9 s by default.
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


class Broker(Struct, frozen=True):
    """``id`` is from 1; ``controller`` is the port of its part in the quorum."""

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
    """The address of the cluster, for clients: every broker, so that it is found also while one is down."""
    return ",".join(f"{node.host}:{node.port}" for node in nodes)


def voters(nodes: Sequence[Broker]) -> str:
    return ",".join(f"{node.id}@{node.host}:{node.controller}" for node in nodes)


def properties(node: Broker, nodes: Sequence[Broker], folder: Path) -> str:
    """The text of server.properties; ``folder`` is the node's own."""
    return CONFIG.format(
        id=node.id,
        voters=voters(nodes),
        host=node.host,
        port=node.port,
        controller=node.controller,
        folder=folder,
        replication=min(3, len(nodes)),
        quorum=min(3, len(nodes)) // 2 + 1,
    )


def kafka(settings: Settings, count: int) -> list[Service]:
    """The services of a cluster of ``count`` brokers; raises UsageError where the home holds one of another size."""
    _same_size(settings.home.absolute() / "kafka", count)
    nodes = brokers(settings.kafka, count)
    return [_service(settings, node, nodes) for node in nodes]


def _service(settings: Settings, node: Broker, nodes: Sequence[Broker]) -> Service:
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
        check=partial(answers, node),
        prepare=partial(_prepare, node, nodes, folder, run),
    )


def _prepare(node: Broker, nodes: Sequence[Broker], folder: Path, run: Sequence[str]) -> None:
    """Write the configuration, and format the storage before the first start."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder.parent / MADE_FOR).write_text(str(len(nodes)))
    config = folder / "server.properties"
    config.write_text(properties(node, nodes, folder))
    (folder / "log4j2.xml").write_text(LOGGING)
    if (folder / "log" / "meta.properties").exists():
        return
    format_it = [*run, "kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(config)]
    done = subprocess.run(format_it, capture_output=True, text=True)
    if done.returncode:
        raise StackError(f"kafka's storage can't be made: {(done.stderr or done.stdout).strip().splitlines()[-1]}")


def _same_size(home: Path, count: int) -> None:
    """What is stored has its replicas on the brokers of the first start: another number of them can't read it."""
    made = home / MADE_FOR
    if made.exists() and made.read_text() != str(count):
        raise UsageError(
            f"{home} was made for {made.read_text()} broker(s), not {count}; set NEUROFLUX_HOME to another"
        )


async def answers(node: Broker) -> bool:
    """Whether the broker answers and the cluster counts it as alive."""
    if not await listens(node.host, node.port):
        return False
    from aiokafka.admin import AIOKafkaAdminClient  # here, because most commands of the program never ask
    from aiokafka.errors import KafkaError

    client = AIOKafkaAdminClient(bootstrap_servers=f"{node.host}:{node.port}", request_timeout_ms=5000)
    try:
        await client.start()
        cluster = await client.describe_cluster()
    except (KafkaError, OSError):
        return False
    finally:
        await client.close()
    return any(broker["node_id"] == node.id for broker in cluster["brokers"])
