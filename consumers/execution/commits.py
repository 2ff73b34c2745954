"""Which commands are done: a partition may be committed up to the first one that is not."""

from __future__ import annotations

from aiokafka import TopicPartition


class Offsets:
    """Commands run concurrently and end in any order; the committed offset never passes one that has not ended."""

    def __init__(self) -> None:
        self._pending: dict[TopicPartition, set[int]] = {}
        self._next: dict[TopicPartition, int] = {}

    def begun(self, partition: TopicPartition, offset: int) -> None:
        self._pending.setdefault(partition, set()).add(offset)
        self._next[partition] = offset + 1

    def done(self, partition: TopicPartition, offset: int) -> None:
        self._pending.get(partition, set()).discard(offset)

    def committable(self) -> dict[TopicPartition, int]:
        """The next offset to read, of each partition."""
        return {one: min(self._pending[one], default=following) for one, following in self._next.items()}

    def forget(self, partition: TopicPartition) -> None:
        """The partition belongs to another executor now."""
        self._pending.pop(partition, None)
        self._next.pop(partition, None)

    @property
    def waiting(self) -> int:
        """How many commands have begun and not ended."""
        return sum(map(len, self._pending.values()))
