"""Converts framed records of one topic to an Avro file for ClickHouse, each record preceded by its position in Kafka.

Source: Avro 1.12, "Object Container Files". The work per record is done in C: its bytes are copied unchanged, including
the framing, and the bytes around them are constant per partition, except for the offset.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, repeat
from operator import attrgetter
from typing import Any, Final, Protocol

from neuroflux.records.codec import schema_text
from neuroflux.records.tick_reader import FRAMING
from neuroflux.records.tick_writer import long, string
from neuroflux.records.topics import Topic

MARK_BYTES, OFFSET_BYTES = 8, 8
_PIECE = 2_000
_SYNC: Final = b"neuroflux: rows "

_partition: Final = attrgetter("partition")
_offset: Final = attrgetter("offset")
_value: Final = attrgetter("value")


class Row(Protocol):
    """A record as aiokafka fetched it; ``value`` is in Confluent framing, written with the schema of the topic."""

    @property
    def partition(self) -> int: ...

    @property
    def offset(self) -> int: ...

    @property
    def value(self) -> bytes: ...


def avro_file(topic: Topic, rows: Sequence[Row], mark: bytes) -> Iterator[bytes]:
    """The file in pieces, so that one can be sent while the next is made.

    Each record's bytes are unchanged, preceded by ``_partition``, ``_offset`` (eight bytes, little-endian) and
    ``_framing``, and followed by ``_mark``. If a reader finds another ``_mark`` than ``mark``, some record does not end
    where its bytes do. Choose a random one, which no writer of records can know.
    """
    numbers = {number: long(number) for number in set(map(_partition, rows))}
    yield _head(topic)
    for start in range(0, len(rows), _PIECE):
        yield _block(numbers, rows[start : start + _PIECE], mark)


def _block(numbers: Mapping[int, bytes], rows: Sequence[Row], mark: bytes) -> bytes:
    partitions = map(numbers.__getitem__, map(_partition, rows))
    parts = zip(partitions, _offsets(rows), map(_value, rows), repeat(mark), strict=False)
    records = b"".join(chain.from_iterable(parts))
    return b"".join((long(len(rows)), long(len(records)), records, _SYNC))


def _offsets(rows: Sequence[Row]) -> Iterable[bytes]:
    packed = struct.pack(f"<{len(rows)}q", *map(_offset, rows))
    return chain.from_iterable(struct.iter_unpack(f"{OFFSET_BYTES}s", packed))


@cache
def _head(topic: Topic) -> bytes:
    schema = json.loads(schema_text(topic))
    schema["fields"] = [
        {"name": "_partition", "type": "int"},
        _fixed("offset", OFFSET_BYTES),
        _fixed("framing", FRAMING),
        *schema["fields"],
        _fixed("mark", MARK_BYTES),
    ]
    described = string("avro.schema") + string(json.dumps(schema)) + string("avro.codec") + string("null")
    return b"Obj\x01" + long(2) + described + long(0) + _SYNC


def _fixed(name: str, size: int) -> dict[str, Any]:
    return {"name": f"_{name}", "type": {"type": "fixed", "name": name, "size": size}}
