"""Decodes messages of aiokafka to entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from neuroflux.errors import MalformedFrame
from neuroflux.kafka.batches import Unread
from neuroflux.kafka.deaths import deaths_of
from neuroflux.kafka.learning import Learning
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry, key_of
from neuroflux.records.topics import BY_NAME, Topic
from neuroflux.runtime.settings import Settings


class Decoder:
    """Decodes messages of aiokafka to entries.

    An unknown schema is looked up in the registry, once per topic. It is valid only for records of the topic under
    whose subject it is registered.
    """

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._codec, self._learning = codec, Learning(settings, codec)
        self._deaths = deaths_of(settings)
        self._unknown: set[tuple[str, int]] = set()

    async def entries(self, fetched: Sequence[Any]) -> list[Entry]:
        decoded = self._entries(fetched)
        new = {one for entry in decoded if entry.error and (one := self._new(entry))}
        if not new:
            return decoded
        for topic in {topic for topic, _ in new}:
            await self._learning.learn(topic)
        self._unknown |= {(topic.name, number) for topic, number in new if not self._codec.knows(topic, number)}
        return self._entries(fetched)

    def entry(self, message: Any) -> Entry:
        """Decode one message, with the known schemas only."""
        return self._entries((message,))[0]

    def _entries(self, fetched: Sequence[Any]) -> list[Entry]:
        try:
            return [self._entry(message) for message in fetched]
        finally:
            self._deaths.end()

    def _entry(self, message: Any) -> Entry:
        topic, raw = BY_NAME[message.topic], message.value or b""
        record, error = None, ""
        if isinstance(message.value, Unread):
            error = message.value.why
        elif topic.record is not bytes and (record := self._codec.tick(topic, raw)) is None:
            record, error = self._decoded(topic, raw, message)
        key, at = key_of(message), message.timestamp * 1000
        return Entry(topic, message.partition, message.offset, key, record, raw, error, at, tuple(message.headers))

    def _decoded(self, topic: Topic, raw: bytes, message: Any) -> tuple[Any, str]:
        """The record, or why there is none."""
        if why := self._deaths.begin(message):
            return None, why
        try:
            return self._codec.decode(topic, raw), ""
        except MalformedFrame as malformed:
            return None, str(malformed)

    def _new(self, entry: Entry) -> tuple[Topic, int] | None:
        """The schema of this record, if it is unknown and was never looked up."""
        try:
            number = self._codec.schema_id(entry.raw)
        except MalformedFrame:
            return None
        is_old = self._codec.knows(entry.topic, number) or (entry.topic.name, number) in self._unknown
        return None if is_old else (entry.topic, number)
