"""A Faust transport whose messages are batches: what one fetch brought of one partition, with one offset.

The cost of Faust is a message's, in its conductor, stream and acknowledgement; so a message carries many records.

Offsets. A batch has the offset of its last record. Faust commits by runs of acknowledged offsets, and takes what lies
between two of them for gaps that were never sent; it fills a gap up to and with the message behind it, processed or
not. So here the books are kept otherwise: every batch that is handed out is remembered, and what may be committed is
the end of the longest run of them, from the first, that is acknowledged. A commit never passes a record that was not
processed, and a record is passed over by none.
"""

from __future__ import annotations

from collections import defaultdict, deque
from typing import Any, NamedTuple

import faust
from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver

from neuroflux.codec import Codec
from neuroflux.errors import MalformedFrame
from neuroflux.kafka import Entry
from neuroflux.topics import BY_NAME

SCHEME = "batches"


class Batch(NamedTuple):
    """What Faust reads of a Kafka record, holding many; ``offset`` is the last one's."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    headers: tuple[Any, ...]
    key: None
    value: list[Any]
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def packed(topic: str, partition: int, records: list[Any]) -> Batch:
    last = records[-1]
    return Batch(topic, partition, last.offset, last.timestamp, last.timestamp_type, (), None, records)


class BatchConsumer(driver.Consumer):
    """Hands out batches, and commits them in their order."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._handed: dict[Any, deque[int]] = defaultdict(deque)

    async def _getmany(self, active_partitions: Any, timeout: float) -> Any:
        fetched = await super()._getmany(active_partitions=active_partitions, timeout=timeout)
        return {tp: [packed(tp.topic, tp.partition, records)] for tp, records in fetched.items() if records}

    def _to_message(self, tp: Any, record: Batch) -> Any:
        """Faust asks for the message just before it hands it out."""
        self._handed[tp].append(record.offset)
        return super()._to_message(tp, record)

    async def _add_gap(self, tp: Any, offset_from: int, offset_to: int) -> None:
        """Between two batches nothing is missing."""

    def _new_offset(self, tp: Any) -> int | None:
        """The offset behind the last batch of the run that is done; None where the first is not."""
        done, handed, new = self._acked_index[tp], self._handed[tp], None
        while handed and handed[0] in done:
            new = handed.popleft()
            done.discard(new)
            self._acked[tp].remove(new)
        return None if new is None else new + 1

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        for tp in revoked:
            self._handed.pop(tp, None)
        await super().on_partitions_revoked(revoked)


class Transport(driver.Transport):
    Consumer = BatchConsumer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"


class Decoded(faust.Schema[Any, Any]):
    """A batch as entries, decoded once for all agents that read it."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self._codec = codec

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> list[Entry]:
        return [self._entry(record) for record in message.value]

    def _entry(self, record: Any) -> Entry:
        topic, raw = BY_NAME[record.topic], record.value or b""
        decoded, error = None, ""
        try:
            decoded = self._codec.decode(topic, raw)
        except MalformedFrame as malformed:
            error = str(malformed)  # the warehouse, which reads every topic, writes the dead letter
        key = (record.key or b"").decode(errors="replace")
        return Entry(topic, record.partition, record.offset, key, decoded, raw, error, record.timestamp * 1000)
