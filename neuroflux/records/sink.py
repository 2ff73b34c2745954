"""The interface through which records are published: a Publisher, or a substitute in tests and replays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from neuroflux.records.topics import Topic


class Sink(Protocol):
    def publish(self, topic: Topic, record: Any) -> None:
        """Publish one record."""
        ...

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        """Publish bytes unchanged, such as a dead letter."""
        ...


class Drained(Sink, Protocol):
    """A sink with a bounded buffer."""

    async def drain(self) -> None:
        """Return when the buffer has room for more."""
        ...
