"""Batches that are too large to decompress or can't be read are reported, and records after them are read."""

from __future__ import annotations

from collections.abc import Sequence
from tracemalloc import get_traced_memory, start, stop
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher

from neuroflux.kafka.batches import MOST_BYTES, BoundedRecords, Unread
from tests.hostile import GZIP, Record, batch, bomb, sealed, with_bad_header

PLACE = TopicPartition("t", 0)
GOOD: Record = (b"key", b"good", [("name", None)])


def at(raw: bytearray, offset: int) -> bytes:
    """The same batch at the offset that a broker gave it."""
    return offset.to_bytes(8, "big") + raw[8:]


def read(*batches: bytes) -> list[Any]:
    """Iterate over all records, as aiokafka does."""
    records = BoundedRecords(b"".join(batches))
    return list(fetcher.PartitionRecords(PLACE, records, [], 0, None, None, True, fetcher.READ_UNCOMMITTED))


def result(read: Sequence[Any]) -> list[tuple[int, bytes]]:
    return [(one.offset, one.value) for one in read]


def test_every_consumer_of_this_process_is_bounded() -> None:
    assert fetcher.MemoryRecords is BoundedRecords


@pytest.mark.parametrize("codec", [0, GZIP])
def test_normal_batches_are_unchanged(codec: int) -> None:
    found = read(at(batch([GOOD, (None, None, [])], codec), 0), at(batch([GOOD], codec), 2))
    assert result(found) == [(0, b"good"), (1, None), (2, b"good")]
    assert (found[0].key, found[0].headers, found[1].key) == (b"key", (("name", None),), None)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (bomb(MOST_BYTES + 1), "larger than 8 MiB"),
        (bomb(500 << 20), "larger than 8 MiB"),
        (sealed(batch([GOOD]), 4), "compressed with zstd"),
        (sealed(batch([GOOD]), 3), "compressed with lz4"),
        (sealed(batch([GOOD]), 2), "compressed with snappy"),
        (sealed(batch([GOOD]), 7), "compressed with 7"),
        (sealed(batch([GOOD]), GZIP), "gzip"),
        (sealed(batch([GOOD], GZIP)[:-5], GZIP), "EOF"),
    ],
    ids=["a bomb", "a large bomb", "zstd", "lz4", "snappy", "unknown", "no gzip", "cut short"],
)
def test_a_batch_that_can_not_be_decompressed_is_reported_and_skipped(raw: bytearray, why: str) -> None:
    before, bad, behind = read(at(batch([GOOD]), 0), at(raw, 1), at(batch([GOOD]), 2))
    assert result([before, behind]) == [(0, b"good"), (2, b"good")]
    assert (bad.offset, bad.key, bad.value, bad.headers) == (1, None, b"", ())
    assert isinstance(bad.value, Unread)
    assert "offsets 1 to 1" in bad.value.why
    assert why in bad.value.why


def test_a_decompression_bomb_takes_bounded_memory() -> None:
    raw = at(bomb(500 << 20), 0)
    start()
    try:
        read(raw)
        assert get_traced_memory()[1] < 4 * MOST_BYTES
    finally:
        stop()


def test_a_batch_of_exactly_the_bound_is_read() -> None:
    (found,) = read(at(bomb(MOST_BYTES - 100), 0))
    assert len(found.value) == MOST_BYTES - 100


def test_records_before_an_unreadable_one_are_read() -> None:
    first, bad, behind = read(at(with_bad_header(GOOD), 0), at(batch([GOOD]), 2))
    assert result([first, behind]) == [(0, b"good"), (2, b"good")]
    assert bad.offset == 1
    assert "UnicodeDecodeError" in bad.value.why
