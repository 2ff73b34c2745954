"""Framed records of one topic to the Avro file in which ClickHouse takes them: each with its place in the log.

Source: Avro 1.12, "Object Container Files". Each record is a block of its own, which says how long it is, and has a
mark behind it: so one that is damaged does not shift what comes after it, and one that goes on too long is seen.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Final, Protocol

from neuroflux.codec import schema_text
from neuroflux.flat_reading import FRAMING
from neuroflux.flat_writing import counter, long, string
from neuroflux.topics import Topic

MARK = "the end."
_PLACE = (("_topic", "string"), ("_partition", "int"), ("_offset", "long"))
_MARK = {"name": "_mark", "type": {"type": "fixed", "name": "mark", "size": len(MARK)}}
_SYNC: Final = b"neuroflux: rows "
_END_OF_BLOCK: Final = MARK.encode() + _SYNC
_ONE_RECORD: Final = long(1)
_PIECE = 2_000


class Row(Protocol):
    """A record as aiokafka fetched it; ``value`` is in Confluent framing, written with the schema of the topic."""

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def value(self) -> bytes: ...


def avro_file(topic: Topic, rows: Sequence[Row]) -> Iterator[bytes]:
    """The records as they came; before the fields of each ``_topic``, ``_partition`` and ``_offset``, and ``_mark``
    behind them, which is ``MARK`` where the record ends where its bytes do. In pieces, so that the first can be read
    while the next is made.
    """
    partitions = {number: string(topic.name) + long(number) for number in {row.partition for row in rows}}
    yield _head(topic)
    for start in range(0, len(rows), _PIECE):
        yield _blocks(partitions, rows[start : start + _PIECE])


def _blocks(partitions: Mapping[int, bytes], rows: Iterable[Row]) -> bytes:
    parts: list[bytes] = []
    for row in rows:
        place, record = partitions[row.partition] + counter(row.offset), row.value[FRAMING:]
        length = long(len(place) + len(record) + len(MARK))
        parts += (_ONE_RECORD, length, place, record, _END_OF_BLOCK)
    return b"".join(parts)


@cache
def _head(topic: Topic) -> bytes:
    schema = json.loads(schema_text(topic))
    schema["fields"] = [*({"name": name, "type": kind} for name, kind in _PLACE), *schema["fields"], _MARK]
    described = string("avro.schema") + string(json.dumps(schema)) + string("avro.codec") + string("null")
    return b"Obj\x01" + long(2) + described + long(0) + _SYNC
