"""Each record is one row: also when the writer dies between insert and commit, and when an answer is lost."""

import asyncio
import json
import os
import signal
import struct
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumers import warehouse
from neuroflux.clickhouse.client import ClickHouse
from neuroflux.clickhouse.tables import STORED
from neuroflux.domain import BookSnapshot as Book
from neuroflux.domain import CommandKind, Level, OrderCommand, Quote, Side, Trade
from neuroflux.errors import Refused, Unreachable
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import Codec, schema_text
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BOOKS, COMMANDS, MARKET_DEAD_LETTERS, QUOTES, TRADES, Topic
from neuroflux.runtime.settings import Settings
from tests.conftest import RunningStack
from tests.neuroflux.kafka.test_kafka import register

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]

DIES_BEFORE_THE_COMMIT = """
import asyncio, os, signal, sys
from consumers import warehouse
from neuroflux.kafka.reader import Reader
from neuroflux.runtime.settings import load_settings

async def die(self, offsets):
    os.kill(os.getpid(), signal.SIGKILL)

Reader.commit = die
warehouse.GROUP = sys.argv[1]
asyncio.run(warehouse.main(load_settings()))
"""


@pytest.fixture
def symbol() -> str:
    return f"T{uuid.uuid4().hex}/USD"


@pytest.fixture
async def codec(stack: RunningStack) -> Codec:
    return await load_codec(stack.settings)


@pytest.fixture
async def group(stack: RunningStack, symbol: str) -> str:
    """One that has nothing more to read, since other tests write too; and the tables are there."""
    database = ClickHouse(stack.settings)
    await asyncio.to_thread(database.migrate)
    await asyncio.to_thread(database.close)
    name = f"w-{symbol}"
    places = [TopicPartition(topic.name, number) for topic in STORED for number in range(topic.partitions)]
    address = stack.settings.kafka
    async with AIOKafkaConsumer(bootstrap_servers=address, group_id=name, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.commit(await consumer.end_offsets(places))
    return name


def quotes(symbol: str, count: int) -> list[Quote[str]]:
    return [
        Quote("binance", symbol, symbol, "1.5", "2", "1.75", "3", number, 1, time.time_ns() // 1000)
        for number in range(count)
    ]


async def publish(settings: Settings, codec: Codec, records: list[Any], topic: Any) -> None:
    async with Publisher(settings, codec) as publisher:
        for record in records:
            publisher.publish(topic, record)


@asynccontextmanager
async def running(settings: Settings, monkeypatch: pytest.MonkeyPatch, group: str) -> AsyncIterator[None]:
    monkeypatch.setattr(warehouse, "GROUP", group)
    task = asyncio.create_task(warehouse.main(settings))
    try:
        yield
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def rows_of(settings: Settings, sql: str, enough: Callable[[Any], bool]) -> Any:
    database = ClickHouse(settings)
    try:
        async with asyncio.timeout(40):
            while True:
                found = await asyncio.to_thread(database.execute, sql)
                if enough(found):
                    return found
                await asyncio.sleep(0.1)
    finally:
        database.close()


def counted(symbol: str) -> str:
    return f"SELECT count(), uniqExact(sequence) FROM quotes WHERE symbol = '{symbol}'"


async def test_values_are_stored_unchanged(
    stack: RunningStack, codec: Codec, symbol: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = OrderCommand(
        order_id=symbol, kind=CommandKind.PLACE, quantity=Decimal("0.123456789012345678"), issued_at=5
    )
    book = Book(
        "binance",
        symbol,
        symbol,
        (Level("1.5", "2"),),
        (Level("1.75", "3"), Level("2", "4")),
        7,
        8,
        time.time_ns() // 1000,
    )
    await publish(stack.settings, codec, [command], COMMANDS)
    await publish(stack.settings, codec, [book], BOOKS)
    async with running(stack.settings, monkeypatch, group):
        sql = f"SELECT quantity, toUnixTimestamp64Micro(issued_at) FROM order_commands WHERE order_id = '{symbol}'"
        assert await rows_of(stack.settings, sql, bool) == [(Decimal("0.123456789012345678"), 5)]
        sql = f"SELECT bids, asks, sequence FROM books WHERE symbol = '{symbol}'"
        assert await rows_of(stack.settings, sql, bool) == [([(1.5, 2.0)], [(1.75, 3.0), (2.0, 4.0)], 7)]


def delayed(newest: Callable[[ClickHouse, Topic], dict[int, int]]) -> Callable[[ClickHouse, Topic], dict[int, int]]:
    def late(database: ClickHouse, topic: Topic) -> dict[int, int]:
        if topic is QUOTES:
            time.sleep(2 * warehouse.BATCH_SECONDS)
        return newest(database, topic)

    return late


async def test_killed_between_insert_and_commit(
    stack: RunningStack, codec: Codec, symbol: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process learns what is stored only after it has read more than that."""
    await publish(stack.settings, codec, quotes(symbol, 500), QUOTES)
    variables = {
        f"NEUROFLUX_{name.upper()}": str(value)
        for name, value in stack.settings.model_dump().items()
        if isinstance(value, str | Path)
    }
    command = [sys.executable, "-c", DIES_BEFORE_THE_COMMIT, group]
    died = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env={**os.environ, **variables}, timeout=60, check=False
    )
    assert died.returncode == -signal.SIGKILL
    ((rows, _),) = await rows_of(stack.settings, counted(symbol), bool)
    assert rows == 500, "it was killed after the insert"
    await publish(stack.settings, codec, quotes(symbol, 501)[500:], QUOTES)
    monkeypatch.setattr(ClickHouse, "newest", delayed(ClickHouse.newest))
    async with running(stack.settings, monkeypatch, group):
        found = await rows_of(stack.settings, counted(symbol), lambda rows: rows[0][1] == 501)
    assert found == [(501, 501)]


async def test_an_insert_whose_answer_is_lost_is_not_made_twice(
    stack: RunningStack, codec: Codec, symbol: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = ClickHouse.insert
    lost: list[Any] = []

    def insert_and_lose(self: ClickHouse, topic: Any, entries: Any) -> None:
        insert(self, topic, entries)
        if topic is QUOTES and not lost:
            lost.append(topic)
            raise Unreachable("the answer was lost")

    monkeypatch.setattr(ClickHouse, "insert", insert_and_lose)
    await publish(stack.settings, codec, quotes(symbol, 100), QUOTES)
    async with running(stack.settings, monkeypatch, group):
        assert await rows_of(stack.settings, counted(symbol), lambda rows: rows[0][1] == 100) == [(100, 100)]
    assert lost


def side_of_no_trade(codec: Codec, symbol: str) -> tuple[Topic, bytes]:
    trade = Trade("binance", symbol, symbol, "1", Side.BUY, 1.0, 1.0, 1, 1)
    return TRADES, codec.encode(TRADES, trade).replace(b"\x021\x00", b"\x021\x0a")


def behind_the_record(extra: bytes) -> Callable[[Codec, str], tuple[Topic, bytes]]:
    return lambda codec, symbol: (QUOTES, codec.encode(QUOTES, quotes(symbol, 1)[0]) + extra)


UNREADABLE: dict[str, Callable[[Codec, str], tuple[Topic, bytes]]] = {
    "framing": lambda codec, symbol: (QUOTES, b"no record"),
    "not a record": lambda codec, symbol: (QUOTES, codec.header(QUOTES) + b"\xff" * 60),
    "string index out of range": lambda codec, symbol: (QUOTES, codec.encode(QUOTES, quotes(symbol, 1)[0])[:-2]),
    "1 bytes after": behind_the_record(b"\x00"),
    "9 bytes after": behind_the_record(b"\x00" * 9),
    "IndexError": side_of_no_trade,
}


@pytest.mark.parametrize("why", UNREADABLE)
async def test_an_unreadable_record_is_a_dead_letter_and_the_others_are_stored(
    stack: RunningStack, codec: Codec, symbol: str, group: str, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    topic, raw = UNREADABLE[why](codec, symbol)
    before, after = quotes(symbol, 4)[:2], quotes(symbol, 4)[2:]
    async with Publisher(stack.settings, codec) as publisher:
        for quote in before:
            publisher.publish(QUOTES, quote)
        publisher.publish_raw(topic, symbol.encode(), raw)
        for quote in after:
            publisher.publish(QUOTES, quote)
    async with running(stack.settings, monkeypatch, group):
        assert await rows_of(stack.settings, counted(symbol), lambda rows: rows[0][1] == 4) == [(4, 4)]
        found = await letter(stack.settings, codec, symbol)
    assert found.raw == raw
    headers = dict(found.headers)
    assert headers["topic"] == topic.name.encode()
    assert why in headers["reason"].decode()


async def test_records_of_another_schema_are_stored_too(
    stack: RunningStack, codec: Codec, symbol: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer = json.loads(schema_text(QUOTES))
    newer["fields"].insert(0, {"name": "region", "type": "string", "default": ""})
    schema_id = await register(stack.settings, QUOTES.subject, json.dumps(newer))
    ours, theirs = quotes(symbol, 2)
    async with Publisher(stack.settings, codec) as publisher:
        publisher.publish(QUOTES, ours)
        publisher.publish_raw(
            QUOTES, symbol.encode(), struct.pack(">bI", 0, schema_id) + b"\x08east" + codec.encode(QUOTES, theirs)[5:]
        )
    async with running(stack.settings, monkeypatch, group):
        assert await rows_of(stack.settings, counted(symbol), lambda rows: rows[0][1] == 2) == [(2, 2)]


async def test_a_record_that_clickhouse_refuses_is_a_dead_letter(
    stack: RunningStack, codec: Codec, symbol: str, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = ClickHouse.insert

    def choosy(self: ClickHouse, topic: Topic, rows: Sequence[Any]) -> None:
        if any(row.key == symbol.encode() and codec.decode(topic, row.value).sequence == 5 for row in rows):
            raise Refused("ClickHouse: not this one")
        insert(self, topic, rows)

    monkeypatch.setattr(ClickHouse, "insert", choosy)
    await publish(stack.settings, codec, quotes(symbol, 9), QUOTES)
    async with running(stack.settings, monkeypatch, group):
        assert await rows_of(stack.settings, counted(symbol), lambda rows: rows[0][1] == 8) == [(8, 8)]
        found = await letter(stack.settings, codec, symbol)
    assert dict(found.headers)["reason"] == b"ClickHouse: not this one"
    assert codec.decode(QUOTES, found.raw).sequence == 5


async def test_a_missing_table_is_waited_for_and_no_record_blamed(
    stack: RunningStack,
    codec: Codec,
    symbol: str,
    group: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    database = ClickHouse(stack.settings)
    await publish(stack.settings, codec, quotes(symbol, 1), QUOTES)
    async with running(stack.settings, monkeypatch, group):
        await rows_of(stack.settings, counted(symbol), lambda rows: rows[0][1] == 1)
        await asyncio.to_thread(database.execute, f"RENAME TABLE {QUOTES.table} TO quotes_renamed")
        try:
            await publish(stack.settings, codec, quotes(symbol, 20)[1:], QUOTES)
            async with asyncio.timeout(30):
                while "quotes accepts no insert" not in caplog.text:  # noqa: ASYNC110  # a log has no event
                    await asyncio.sleep(0.05)
        finally:
            await asyncio.to_thread(database.execute, f"RENAME TABLE quotes_renamed TO {QUOTES.table}")
            await asyncio.to_thread(database.close)
        assert await rows_of(stack.settings, counted(symbol), lambda rows: rows[0][1] == 20) == [(20, 20)]
    async with Reader(stack.settings, codec, (MARKET_DEAD_LETTERS,), start="beginning") as reader:
        async for batch in reader.batches():
            assert symbol not in {entry.key for entry in batch}
            if await reader.caught_up():
                break


async def letter(settings: Settings, codec: Codec, key: str) -> Entry:
    async with Reader(settings, codec, (MARKET_DEAD_LETTERS,), start="beginning") as reader, asyncio.timeout(30):
        async for batch in reader.batches():
            for entry in batch:
                if entry.key == key:
                    return entry
    raise AssertionError("the reader ended")
