"""Batches as entries, decoded once for all agents that read them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import faust

from neuroflux.codec import Codec
from neuroflux.errors import MalformedFrame, NeuroFluxError
from neuroflux.kafka import Entry
from neuroflux.registry import learn
from neuroflux.settings import Settings
from neuroflux.topics import BY_NAME
from streams.batches import Payload

log = logging.getLogger(__name__)


class Decoder:
    """Records to entries; a schema that somebody else wrote with is asked of the registry, once."""

    def __init__(self, settings: Settings, codec: Codec) -> None:
        self._settings, self._codec = settings, codec
        self._unknown: set[int] = set()

    async def entries(self, records: Sequence[Any]) -> list[Entry]:
        decoded = [self._entry(record) for record in records]
        if new := {number for entry in decoded if entry.error and (number := self._new(entry.raw))}:
            for number in new:
                await self._learn(number)
            return await self.entries(records)
        return decoded

    def _entry(self, record: Any) -> Entry:
        topic, raw = BY_NAME[record.topic], record.value or b""
        decoded, error = None, ""
        try:
            decoded = self._codec.decode(topic, raw)
        except MalformedFrame as malformed:
            error = str(malformed)  # the warehouse, which reads every topic, writes the dead letter
        key = (record.key or b"").decode(errors="replace")
        return Entry(topic, record.partition, record.offset, key, decoded, raw, error, record.timestamp * 1000)

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
            log.warning("records written with schema %d are passed over: %s", number, error)


class Decoded(faust.Schema[Any, Any]):
    """What an agent gets of a batch: a list of entries."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        self._decoder = decoder

    def compile(self, app: Any, **_: Any) -> Any:
        async def decode(message: Any, **_: Any) -> Any:
            payload: Payload = message.value
            if payload.entries is None:
                payload.entries = await self._decoder.entries(payload.records)
            return app.create_event(None, payload.entries, message.headers, message)

        return decode
