"""Batches of records as Kafka hands them out, bounded: one that can't be read, or is too much to unpack, stops nobody.

A broker bounds a batch by its compressed bytes: half a megabyte of gzip may be half a gigabyte of records, which
aiokafka unpacks as a whole. And what aiokafka raises at a batch (a compression it has no library for, a header whose
name is not UTF-8) it raises at every try, so that nobody could go on behind it. Here such a batch ends with one record
in its place, at its last offset, whose value is ``Unread``: what was not read is told where records that can't be read
are.

A broker that unpacks (``compression.type=uncompressed``) would need the memory in place of us, and is one for all.

Importing this module bounds every consumer of this process; aiokafka has no other place for it
(``aiokafka.consumer.fetcher`` of 0.14, which Faust's driver uses too).
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from gzip import GzipFile
from io import BytesIO
from typing import Any, Final, NamedTuple

from aiokafka.consumer import fetcher
from aiokafka.record.memory_records import MemoryRecords

MOST_BYTES: Final = 8 << 20
"""Of a batch, unpacked: eight times what a broker takes of one that is not packed."""

_LENGTH, _OVERHEAD = struct.Struct(">8xi"), 12
_ATTRIBUTES, _HEAD = struct.Struct(">21xh"), 61
"""Of record batches since Kafka 0.11. Source: Kafka's manual, "Record Batch"."""
_CODECS: Final = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_CODEC_MASK: Final = 7

log = logging.getLogger(__name__)


class Unread(bytes):
    """The value of a record that stands for others, which were not read."""

    why: str


class _StandIn(NamedTuple):
    """What aiokafka reads of a record."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: Unread
    key: None = None
    checksum: None = None
    headers: tuple[()] = ()


class BoundedRecords:
    """What one fetch brought of a partition, in the place of aiokafka's MemoryRecords."""

    def __init__(self, fetched: bytes) -> None:
        self._records: Any = MemoryRecords(fetched)
        self._rest = memoryview(fetched)

    def has_next(self) -> bool:
        return bool(self._records.has_next())

    def size_in_bytes(self) -> int:
        return int(self._records.size_in_bytes())

    def next_batch(self) -> BoundedBatch:
        length = _OVERHEAD + _LENGTH.unpack_from(self._rest)[0]
        raw, self._rest = self._rest[:length], self._rest[length:]
        return BoundedBatch(self._records.next_batch(), raw)


class BoundedBatch:
    """A batch whose records can be gone through without an error; all else is as aiokafka's says."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            _check_size(self._raw)
            yield from self._batch
        except Exception as error:  # noqa: BLE001  # whatever is wrong with it, it would be so at every try
            yield self._stand_in(error)

    def _stand_in(self, error: Exception) -> _StandIn:
        first, last = self._batch.base_offset, self._batch.next_offset - 1
        value = Unread()
        value.why = f"not all of the batch at offsets {first} to {last} was read: {error!r}"
        log.error(value.why)
        return _StandIn(last, self._batch.max_timestamp, self._batch.timestamp_type, value)


def _check_size(raw: memoryview) -> None:
    """Raises ValueError for a batch that has too much to be unpacked, or is packed otherwise than with gzip."""
    codec = _ATTRIBUTES.unpack_from(raw)[0] & _CODEC_MASK
    if not codec:
        return
    if (name := _CODECS.get(codec, str(codec))) != "gzip":
        raise ValueError(f"it is compressed with {name}, and only gzip is read")
    with GzipFile(fileobj=BytesIO(raw[_HEAD:])) as unpacking:
        if len(unpacking.read(MOST_BYTES + 1)) > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES >> 20} MiB when it is unpacked")


fetcher.MemoryRecords = BoundedRecords
