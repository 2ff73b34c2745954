"""Kafka administration: create topics, grant rights, and read committed offsets and the extents of partitions."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import TopicAlreadyExistsError, for_code
from aiokafka.protocol.admin import CreateAclsRequest

from neuroflux.errors import Unreachable
from neuroflux.kafka.clients import or_unreachable, security
from neuroflux.records.places import Extent
from neuroflux.records.topics import ALL, DELETE, Topic
from neuroflux.runtime.settings import Settings

RETENTION_MS = 24 * 3600 * 1000
"""Of topics with the clean-up policy ``delete``, except those of orders, which are kept forever."""
RETENTION_BYTES = 4 << 30
"""The maximum size of a partition of market data."""


async def create_topics(settings: Settings, replication: int = 1) -> None:
    """Create every missing topic, with its partitions and clean-up policy.

    For a replay, topics keep everything: their records are as old as the recording.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, **security(settings))
    await or_unreachable(admin.start(), settings.kafka, admin.close)
    try:
        answer = await admin.create_topics(
            [_new_topic(topic, replication, settings.recording is not None) for topic in ALL]
        )
    finally:
        await admin.close()
    for name, code, *_ in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise Unreachable(f"topic {name} could not be created: {for_code(code).__name__}")


def _new_topic(topic: Topic, replication: int, for_ever: bool) -> NewTopic:
    cleanup = DELETE if for_ever else topic.cleanup
    settings = {"cleanup.policy": cleanup, "min.insync.replicas": str(max(1, replication - 1))}
    if cleanup == DELETE:
        kept = for_ever or topic.name.startswith("orders.")
        settings["retention.ms"] = "-1" if kept else str(RETENTION_MS)
        settings["retention.bytes"] = "-1" if kept else str(RETENTION_BYTES)
    return NewTopic(topic.name, topic.partitions, replication, topic_configs=settings)


class Granted(Protocol):
    """The right of a principal to an operation (``READ``, ``WRITE``) on the ``TOPIC`` or ``GROUP`` of this name."""

    @property
    def principal(self) -> str: ...

    @property
    def operation(self) -> str: ...

    @property
    def resource(self) -> str: ...

    @property
    def name(self) -> str: ...


_RESOURCES, _OPERATIONS = {"TOPIC": 2, "GROUP": 3}, {"READ": 3, "WRITE": 4}
_LITERAL, _ALLOW = 3, 3
"""Numbers of Kafka's protocol: org.apache.kafka.common.resource.ResourceType, acl.AclOperation and so on."""


async def grant(settings: Settings, rights: Iterable[Granted]) -> None:
    """Grant rights; repeating it has no effect. Raises Unreachable, also if our user may not grant rights."""
    client = AIOKafkaClient(bootstrap_servers=settings.kafka, **security(settings))
    try:
        await or_unreachable(client.bootstrap(), settings.kafka, client.close)
        for one in rights:
            names = (_RESOURCES[one.resource], one.name, _LITERAL, f"User:{one.principal}", "*")
            request = CreateAclsRequest(*names, _OPERATIONS[one.operation], _ALLOW)
            answer = await client.send(client.get_random_node(), request)
            for code, text in answer.creation_responses:
                if code:
                    raise Unreachable(f"a right of {one.principal} was refused: {text or for_code(code).__name__}")
    finally:
        await client.close()


async def committed(settings: Settings, group: str) -> dict[TopicPartition, int]:
    """The committed offset of a group, by partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka, **security(settings))
    await or_unreachable(admin.start(), settings.kafka, admin.close)
    try:
        return {place: found.offset for place, found in (await admin.list_consumer_group_offsets(group)).items()}
    finally:
        await admin.close()


async def extents(settings: Settings, topics: Iterable[Topic]) -> dict[str, dict[int, Extent]]:
    """The extent of each partition, by topic."""
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, **security(settings))
    await or_unreachable(consumer.start(), settings.kafka, consumer.stop)
    try:
        every = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        starts, ends = await consumer.beginning_offsets(every), await consumer.end_offsets(every)
        found: dict[str, dict[int, Extent]] = {}
        for one in every:
            found.setdefault(one.topic, {})[one.partition] = Extent(starts[one], ends[one])
        return found
    finally:
        await consumer.stop()
