"""Framed records of one topic to the Avro file in which ClickHouse takes them: each behind its place in the log.

Source: Avro 1.12, "Object Container Files". What is done for each record is done in C: its bytes stay as they are,
framing and all, and what stands around them is the same for a partition, but for the offset.
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
    """The records as they came; before the fields of each ``_partition``, ``_offset`` (eight bytes, the lowest first)
    and ``_framing``, and ``_mark`` behind them. In pieces, so that the first can be read while the next is made.

    Another ``_mark`` than ``mark`` tells that some record does not end where its bytes do. Choose one that nobody who
    writes records can know.
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
