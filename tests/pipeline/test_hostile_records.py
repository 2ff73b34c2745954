"""Hostile records of clients with write access to a topic: none stops a stage, and orders continue after them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from neuroflux.domain import CommandKind, OrderCommand
from neuroflux.kafka.commands import now
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec, register_schemas
from neuroflux.records.entries import Entry
from neuroflux.records.topics import (
    BALANCES,
    COMMANDS,
    CONTROL,
    EVENTS,
    FAILOVER,
    HEALTH,
    INSTRUMENTS,
    ORDER_DEAD_LETTERS,
    POSITIONS,
    QUOTES,
    STATUS,
    TRADES,
    Topic,
)
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon
from neuroflux.stack.supervise.service import State
from tests.conftest import service
from tests.hostile import HEAD, ZSTD, Headers, batch, bomb, sealed, send, with_bad_header
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    """A separate pipeline for this module: its records stay on the topics, where other tests would read them."""
    yield from run_pipeline(tmp_path_factory.mktemp("hostile"), make_settings)


HUGE = b"\x80\x80\x80\x80\x80\x80\x80\x80\x20"
"""2^60 as an array count."""
RECURSIVE = {"type": "record", "name": "Node", "fields": [{"name": "n", "type": ["null", "Node"]}]}
NULLS = {"type": "array", "items": "null"}
BOOLEANS = {"type": "array", "items": "boolean"}

ZSTD_OF_ONE_RECORD = (
    bytes.fromhex("28b52ffd")
    + b"\x20"
    + bytes([7])
    + (7 << 3 | 1).to_bytes(3, "little")
    + (b"\x0c\x00\x00\x00\x01\x00\x00")
)
"""One raw block: a record without key, value and headers. Source: RFC 8878."""

Make = Callable[[Pipeline], bytearray]


def one(value: bytes | None, key: bytes | None = b"hostile", headers: Headers | None = None) -> bytearray:
    return batch([(key, value, headers or [])])


def ask(pipeline: Pipeline, method: str, path: str, body: object | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else None
    address = pipeline.settings.registry + path
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"}, method=method)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.loads(answer.read() or b"null")


def registered(pipeline: Pipeline, field: object, subject: str = COMMANDS.subject) -> int:
    """The id of a registered schema with one field of this type."""
    schema = {"type": "record", "name": "OrderCommand", "namespace": "neuroflux"}
    ask(pipeline, "PUT", f"/config/{subject}", {"compatibility": "NONE"})
    text = json.dumps(schema | {"fields": [{"name": "junk", "type": field}]})
    return int(ask(pipeline, "POST", f"/subjects/{subject}/versions", {"schema": text})["id"])


def framed(number: int, body: bytes) -> bytearray:
    return one(struct.pack(">bI", 0, number) + body)


def a_huge_decimal(pipeline: Pipeline) -> bytearray:
    """A huge decimal in our own schema, as the quantity."""
    codec = asyncio.run(load_codec(pipeline.settings))
    raw = codec.encode(COMMANDS, command(CommandKind.PLACE, "huge", quantity=Decimal(3)))
    three = b"\x10" + (3 * 10**18).to_bytes(8, "big")
    assert raw.count(three) == 1
    return one(raw.replace(three, b"\xc0\xee\x6d" + b"\x7f" * 900_000))


def command(kind: CommandKind, order_id: str, **fields: Any) -> OrderCommand:
    return OrderCommand(order_id=order_id, kind=kind, market="BTC/USD", issued_by="t", issued_at=now(), **fields)


def in_zstd(_: Pipeline) -> bytearray:
    """Compressed with another client's library, since aiokafka has none here."""
    return sealed(bytearray(batch([(None, b"", [])])[:HEAD]) + ZSTD_OF_ONE_RECORD, ZSTD)


HOSTILE: Mapping[str, Make] = {
    "a type that contains itself": lambda p: framed(registered(p, RECURSIVE), b"\x02" * 100_000),
    "the same of another subject": lambda p: framed(registered(p, RECURSIVE, "evil-value"), b"\x02" * 100_000),
    "nulls without end": lambda p: framed(registered(p, NULLS), HUGE),
    "booleans without end": lambda p: framed(registered(p, BOOLEANS), HUGE),
    "a decimal of a megabyte": a_huge_decimal,
    "a bomb": lambda _: bomb(500 << 20),
    "a batch in zstd": in_zstd,
    "a name that is not UTF-8": lambda _: with_bad_header((b"hostile", b"value", [])),
    "headers by the thousand": lambda _: one(b"value", headers=[("h", b"")] * 100_000),
    "a large header": lambda _: one(b"value", headers=[("h", bytes(900_000))]),
    "a key that is not UTF-8": lambda _: one(b"value", key=b"\xff\xfe"),
    "a large key": lambda _: one(b"value", key=b"\xff" * 900_000),
    "no value": lambda _: one(None),
    "nothing": lambda _: one(None, key=None),
}


def write(pipeline: Pipeline, topic: Topic, raw: bytearray) -> int:
    """Write a batch to every partition; returns the offset in the first."""

    async def everywhere() -> list[int]:
        return [await send(pipeline.settings, topic, number, raw) for number in range(topic.partitions)]

    return asyncio.run(everywhere())[0]


def restarts(pipeline: Pipeline) -> dict[str, int]:
    return {status.name: status.restarts for status in daemon.status(pipeline.settings)}


def check_trading(pipeline: Pipeline) -> None:
    answer = pipeline.program("order", "buy", "BTC/USD", "0.001", "--wait", "--json")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout.splitlines()[-1])["state"] == "filled"


def letter(settings: Settings, topic: Topic, offset: int) -> Entry:
    """The dead letter of a record of the first partition."""

    async def find() -> Entry:
        async with (
            Reader(settings, await load_codec(settings), (ORDER_DEAD_LETTERS,), start="beginning") as reader,
            asyncio.timeout(30),
            aclosing(reader.batches()) as batches,
        ):
            async for entries in batches:
                for entry in entries:
                    headers = dict(entry.headers)
                    place = headers["topic"], headers["partition"], headers["offset"]
                    if place == (topic.name.encode(), b"0", str(offset).encode()):
                        return entry
        raise AssertionError

    return asyncio.run(find())


def one_of_many(kinds: Mapping[str, Make]) -> list[Any]:
    """The first is always tried, the others with what takes long."""
    first, *others = kinds.items()
    tried = [pytest.param(make, id=name, marks=pytest.mark.long) for name, make in others]
    return [pytest.param(first[1], id=first[0]), *tried]


@pytest.mark.parametrize("make", one_of_many(HOSTILE))
def test_an_unreadable_command_stops_no_order(pipeline: Pipeline, make: Make) -> None:
    before = restarts(pipeline)
    offset = write(pipeline, COMMANDS, make(pipeline))
    check_trading(pipeline)
    assert letter(pipeline.settings, COMMANDS, offset)
    assert restarts(pipeline) == before


MARKET: Mapping[str, Make] = {
    "a bomb": lambda _: bomb(500 << 20),
    "a batch in zstd": in_zstd,
    "a name that is not UTF-8": lambda _: with_bad_header((b"hostile", b"value", [])),
    "headers by the thousand": lambda _: one(b"value", headers=[("h", b"")] * 100_000),
    "a key that is not UTF-8": lambda _: one(b"value", key=b"\xff\xfe"),
    "a type that contains itself": lambda p: framed(registered(p, RECURSIVE, QUOTES.subject), b"\x02" * 100_000),
}


@pytest.mark.parametrize("make", one_of_many(MARKET))
def test_unreadable_market_data_stops_no_stage(pipeline: Pipeline, make: Make) -> None:
    before = restarts(pipeline)
    raw = make(pipeline)
    for topic in (QUOTES, TRADES, STATUS):
        write(pipeline, topic, raw)
    assert pipeline.program("health", "--json").returncode == 0
    check_trading(pipeline)
    stored(pipeline)
    assert restarts(pipeline) == before


def stored(pipeline: Pipeline) -> None:
    """Check that quotes and prices from now on are stored: warehouse and streams continue."""
    for table in ("quotes", "aggregated_prices"):
        wait_for(partial(newer, pipeline, table, time.time()))


def newer(pipeline: Pipeline, table: str, since: float) -> bool:
    sql = f"SELECT count() FROM {table} WHERE event_time > toDateTime64('{since:.6f}', 6)"
    return pipeline.query(sql)[0][0] != "0"


def test_tombstones_and_garbage_on_compacted_topics_stop_no_start(pipeline: Pipeline) -> None:
    """Every client reads compacted topics from the beginning when it starts."""
    for topic in (INSTRUMENTS, BALANCES, POSITIONS, HEALTH, CONTROL, FAILOVER):
        for raw in (one(None, b"nobody"), one(None, b"\xff"), one(b"rubbish"), bomb(9 << 20)):
            write(pipeline, topic, raw)
    before = restarts(pipeline)
    for name in ("execution", "warehouse", "streams"):
        os.kill(service(pipeline.settings, name).pid, signal.SIGKILL)
    wait_for(
        lambda: all(is_restored(pipeline, name, before[name]) for name in ("execution", "warehouse", "streams")), 60
    )
    assert pipeline.program("balances", "--json").returncode == 0
    check_trading(pipeline)
    stored(pipeline)
    assert restarts(pipeline) == before | {name: before[name] + 1 for name in ("execution", "warehouse", "streams")}


def is_restored(pipeline: Pipeline, name: str, before: int) -> bool:
    found = service(pipeline.settings, name)
    return found.state is State.READY and found.restarts > before


def test_without_the_registry_s_schemas_trading_stops_and_resumes(pipeline: Pipeline) -> None:
    for permanently in ("", "?permanent=true"):
        for subject in (COMMANDS.subject, CONTROL.subject, EVENTS.subject):
            ask(pipeline, "DELETE", f"/subjects/{subject}{permanently}")
    try:
        check_trading(pipeline)
        assert pipeline.program("halt").returncode == 0
        assert "halted" in refusal(pipeline)
        assert pipeline.program("resume").returncode == 0
        check_trading(pipeline)
    finally:
        asyncio.run(register_schemas(pipeline.settings))
    check_trading(pipeline)
    assert pipeline.program("halt").returncode == 0
    assert "halted" in refusal(pipeline)
    assert pipeline.program("resume").returncode == 0
    check_trading(pipeline)


def refusal(pipeline: Pipeline) -> str:
    answer = pipeline.program("order", "buy", "BTC/USD", "0.001", "--wait", "--json")
    assert answer.returncode == 1
    return answer.stderr
