"""Kafka records as entries: decoded, or with the reason why they can't be."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from neuroflux.domain import Cause
from neuroflux.records.topics import Topic

Headers = Sequence[tuple[str, bytes]]


class Entry(Struct, frozen=True, gc=False):
    """One Kafka record. If it can't be decoded, ``record`` is None and ``error`` says why; ``raw`` is the raw value.

    ``timestamp`` is the producer's, in microseconds (Kafka keeps milliseconds).
    """

    topic: Topic
    partition: int
    offset: int
    key: str
    record: Any
    raw: bytes
    error: str
    timestamp: int
    headers: Headers = ()

    @property
    def cause(self) -> Cause:
        """The reference to this record, for records that are computed from it."""
        return Cause(self.topic.name, self.partition, self.offset)


def key_of(message: Any) -> str:
    """The key of a message of aiokafka, as text."""
    return _text(message.key or b"")


@lru_cache(maxsize=16_384)
def _text(key: bytes) -> str:
    return key.decode(errors="replace")
