"""Bounds for batches of records: one that can't be read, or is too large to decompress, does not stop its consumers.

A broker limits the compressed size of a batch: half a megabyte of gzip may be half a gigabyte of records, which
aiokafka decompresses as a whole. And aiokafka raises the same error for a batch at every try (a compression without a
library, a header whose name is not UTF-8), so that no consumer could get past it. Here such a batch ends with a
substitute record at its last offset, whose value is ``Unread``: it is reported like any other unreadable record.

A broker that decompresses (``compression.type=uncompressed``) would need that memory itself, for all clients.

Importing this module bounds every consumer of this process; aiokafka has no other hook for it
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
"""Of a decompressed batch: eight times the size that a broker accepts for an uncompressed one."""

_LENGTH, _OVERHEAD = struct.Struct(">8xi"), 12
_ATTRIBUTES, _HEAD = struct.Struct(">21xh"), 61
"""The layout of record batches since Kafka 0.11. Source: Kafka's manual, "Record Batch"."""
_CODECS: Final = {1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}
_CODEC_MASK: Final = 7

log = logging.getLogger(__name__)


class Unread(bytes):
    """The value of a substitute for records that were not read; ``why`` is the reason."""

    why: str


class _StandIn(NamedTuple):
    """The fields of a record that aiokafka reads."""

    offset: int
    timestamp: int
    timestamp_type: int
    value: Unread
    key: None = None
    checksum: None = None
    headers: tuple[()] = ()


class BoundedRecords:
    """The records of one fetch of a partition; replaces aiokafka's MemoryRecords."""

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
    """A batch whose iteration never raises; everything else is aiokafka's."""

    def __init__(self, batch: Any, raw: memoryview) -> None:
        self._batch, self._raw = batch, raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Any]:
        try:
            _check_size(self._raw)
            yield from self._batch
        except Exception as error:  # noqa: BLE001  # any error would be raised at every try
            yield self._stand_in(error)

    def _stand_in(self, error: Exception) -> _StandIn:
        first, last = self._batch.base_offset, self._batch.next_offset - 1
        value = Unread()
        value.why = f"the batch at offsets {first} to {last} was not read completely: {error!r}"
        log.error(value.why)
        return _StandIn(last, self._batch.max_timestamp, self._batch.timestamp_type, value)


def _check_size(raw: memoryview) -> None:
    """Raises ValueError for a batch that is too large to decompress, or is not compressed with gzip."""
    codec = _ATTRIBUTES.unpack_from(raw)[0] & _CODEC_MASK
    if not codec:
        return
    if (name := _CODECS.get(codec, str(codec))) != "gzip":
        raise ValueError(f"it is compressed with {name}; only gzip is supported")
    with GzipFile(fileobj=BytesIO(raw[_HEAD:])) as unpacking:
        if len(unpacking.read(MOST_BYTES + 1)) > MOST_BYTES:
            raise ValueError(f"it is larger than {MOST_BYTES >> 20} MiB when decompressed")


fetcher.MemoryRecords = BoundedRecords
