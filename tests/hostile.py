"""Hostile batches: decompression bombs and batches that aiokafka can't read; and a way to write them to Kafka."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Sequence

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import for_code
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.util import calc_crc32c

from neuroflux.kafka.clients import security
from neuroflux.records.topics import Topic
from neuroflux.runtime.settings import Settings

GZIP, ZSTD = 1, 4
Headers = list[tuple[str, bytes | None]]
Record = tuple[bytes | None, bytes | None, Headers]
"""Key, value and headers."""

HEAD, _LENGTH, _ATTRIBUTES = 61, 8, 21
_NOW = 1_700_000_000_000


def batch(records: Sequence[Record], codec: int = 0) -> bytearray:
    """A batch of records at offset 0, compressed with gzip, or declared as compressed with another codec."""
    size = sum(len(key or b"") + len(value or b"") + 100 + 50 * len(headers) for key, value, headers in records)
    builder = DefaultRecordBatchBuilder(2, GZIP if codec == GZIP else 0, 0, -1, -1, -1, max(size, 1 << 20) * 2)
    for offset, (key, value, headers) in enumerate(records):
        assert builder.append(offset, _NOW, key, value, headers) is not None
    return sealed(builder.build(), codec)


def bomb(unpacked: int, pieces: int = 500) -> bytearray:
    """A batch with one record whose value is ``size`` zero bytes, built in parts."""
    head = b"\x00" + _varint(0) + _varint(0) + _varint(4) + b"bomb" + _varint(unpacked)
    whole = bytearray()
    body_size = len(head) + unpacked + len(_varint(0))
    pack = gzip.compress
    whole += pack(_varint(body_size) + head)
    piece = unpacked // pieces
    zeros = pack(bytes(piece))
    whole += zeros * pieces + pack(bytes(unpacked - piece * pieces) + _varint(0))
    frame = bytearray(batch([(None, b"", [])])[:HEAD]) + whole
    return sealed(frame, GZIP)


def with_bad_header(record: Record) -> bytearray:
    """A batch of two records; the header name of the second is not UTF-8."""
    key, value, _ = record
    raw = batch([record, (key, value, [("NAME", b"")])])
    at = raw.index(b"NAME")
    raw[at : at + 4] = b"\xff\xfe\xfd\xfc"
    return sealed(raw, 0)


def sealed(raw: bytearray, codec: int) -> bytearray:
    """The batch with correct length, attributes and checksum."""
    struct.pack_into(">i", raw, _LENGTH, len(raw) - _LENGTH - 4)
    struct.pack_into(">h", raw, _ATTRIBUTES, codec)
    struct.pack_into(">I", raw, _ATTRIBUTES - 4, calc_crc32c(memoryview(raw)[_ATTRIBUTES:]))
    return raw


def _varint(number: int) -> bytes:
    """Source: Avro's and Kafka's zigzag."""
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left & ~0x7F:
        out.append((left & 0x7F) | 0x80)
        left >>= 7
    return bytes([*out, left])


async def send(settings: Settings, topic: Topic, partition: int, raw: bytes | bytearray) -> int:
    """Write a batch unchanged; returns the offset of its first record."""
    client = AIOKafkaClient(bootstrap_servers=settings.kafka, **security(settings))
    await client.bootstrap()
    try:
        request = ProduceRequest(None, -1, 20_000, [(topic.name, [(partition, bytes(raw))])])
        answer = await client.send(client.get_random_node(), request)
    finally:
        await client.close()
    ((_, ((_, code, offset, *_),)),) = answer.topics
    if code:
        raise for_code(code)
    return int(offset)
