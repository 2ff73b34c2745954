"""Where records go: to Kafka by a Publisher, or to what stands for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from neuroflux.records.topics import Topic


class Sink(Protocol):
    def publish(self, topic: Topic, record: Any) -> None:
        """Take one record."""
        ...

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        """Take bytes as they are: a dead letter."""
        ...


class Drained(Sink, Protocol):
    """A sink that can be full."""

    async def drain(self) -> None:
        """Return when there is room for more."""
        ...
