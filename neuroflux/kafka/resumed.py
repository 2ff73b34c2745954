"""Publishes what a run gives that can be made again, from where an earlier one was cut off."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from neuroflux.domain import Microseconds
from neuroflux.kafka.publisher import Publisher, partition_of
from neuroflux.records.places import Extent
from neuroflux.records.topics import Topic


class Resumed:
    """A run that always gives the same records in the same order passes over those that are ``existing`` already.

    Set ``now`` to the time of what is taken: it is the time of the records that it causes, in the log too.
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
        """What each partition of a topic has, or will have, of what was given so far."""
        return tuple(self._published[topic.name][partition] for partition in range(topic.partitions))
