"""Records of the log as entries: decoded, or with the reason why they can't be."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from msgspec import Struct

from neuroflux.codec import Codec
from neuroflux.domain import Cause
from neuroflux.errors import MalformedFrame, NeuroFluxError
from neuroflux.registry import learn
from neuroflux.settings import Settings
from neuroflux.topics import BY_NAME, Topic

log = logging.getLogger(__name__)
Headers = Sequence[tuple[str, bytes]]


class Entry(Struct, frozen=True, gc=False):
    """One record of the log. ``error`` says why ``record`` is None; ``raw`` is the value as it came.

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
        """The record as what is computed from it names it."""
        return Cause(self.topic.name, self.partition, self.offset)


def key_of(message: Any) -> str:
    """The key of what aiokafka fetched."""
    return _text(message.key or b"")


@lru_cache(maxsize=16_384)
def _text(key: bytes) -> str:
    return key.decode(errors="replace")


class Decoder:
    """What aiokafka fetched to entries; a schema that somebody else wrote with is asked of the registry, once."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings, self._codec = settings, codec
        self._unknown: set[int] = set()

    async def entries(self, fetched: Sequence[Any]) -> list[Entry]:
        decoded = [self.entry(message) for message in fetched]
        if new := {number for entry in decoded if entry.error and (number := self._new(entry.raw))}:
            for number in new:
                await self._learn(number)
            return await self.entries(fetched)
        return decoded

    def entry(self, message: Any) -> Entry:
        """By the schemas that are known."""
        topic, raw = BY_NAME[message.topic], message.value or b""
        record, error = None, ""
        if topic.record is not bytes:
            try:
                record = self._codec.decode(topic, raw)
            except MalformedFrame as malformed:
                error = str(malformed)
        key, at = key_of(message), message.timestamp * 1000
        return Entry(topic, message.partition, message.offset, key, record, raw, error, at, tuple(message.headers))

    def _new(self, raw: bytes) -> int:
        """The schema these bytes were written with, where it was never asked for; else 0."""
        try:
            number = self._codec.schema_id(raw)
        except MalformedFrame:
            return 0
        return 0 if self._codec.knows(number) or number in self._unknown else number

    async def _learn(self, number: int) -> None:
        try:
            await learn(self._settings, self._codec, number)
        except NeuroFluxError as error:
            self._unknown.add(number)
            log.warning("records written with schema %d are not read: %s", number, error)
