"""Publishes the output of a reproducible run, continuing where an interrupted run ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from neuroflux.domain import Microseconds
from neuroflux.kafka.publisher import Publisher, partition_of
from neuroflux.records.places import Extent
from neuroflux.records.topics import Topic


class Resumed:
    """A sink for a run that always publishes the same records in the same order: it skips the ``existing`` ones.

    Set ``now`` to the time of the input that is being processed: it becomes the timestamp of its output in Kafka.
    """

    def __init__(self, publisher: Publisher, existing: Mapping[str, Mapping[int, Extent]]) -> None:
        self._publisher, self._existing = publisher, existing
        self._published: dict[str, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        self.now: Microseconds = 0

    def publish(self, topic: Topic, record: Any) -> None:
        key = topic.key(record).encode()
        if self._is_new(topic, partition := partition_of(key, topic.partitions)):
            value = self._publisher.codec.encode(topic, record)
            self._publisher.publish_raw(topic, key, value, partition=partition, at=self.now // 1000)

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        if self._is_new(topic, partition := partition_of(key or b"", topic.partitions)):
            self._publisher.publish_raw(topic, key, value, headers, partition=partition, at=self.now // 1000)

    def _is_new(self, topic: Topic, partition: int) -> bool:
        published = self._published[topic.name]
        published[partition] += 1
        return published[partition] > self._existing[topic.name][partition].end

    def ends(self, topic: Topic) -> tuple[int, ...]:
        """The number of records of each partition of a topic that were published so far, skipped ones included."""
        return tuple(self._published[topic.name][partition] for partition in range(topic.partitions))
