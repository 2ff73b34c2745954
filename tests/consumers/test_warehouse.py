"""Each record is one row: also when the writer dies between insert and commit, and when an answer is lost."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumers import warehouse
from neuroflux.clickhouse import ClickHouse
from neuroflux.codec import Codec
from neuroflux.domain import BookPicture as Book
from neuroflux.domain import CommandKind, Level, OrderCommand, Quote
from neuroflux.errors import Unreachable
from neuroflux.kafka import Publisher, Reader, load_codec
from neuroflux.settings import Settings
from neuroflux.tables import STORED
from neuroflux.topics import BOOKS, COMMANDS, MARKET_DEAD_LETTERS, QUOTES, Topic
from tests.conftest import RunningStack

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[2]

DIES_BEFORE_THE_COMMIT = """
import asyncio, os, signal, sys
from consumers import warehouse
from neuroflux.kafka import Reader
from neuroflux.settings import load_settings

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


async def prepared(settings: Settings) -> None:
    database = ClickHouse(settings)
    await asyncio.to_thread(database.migrate)
    database.close()


async def at_the_end(settings: Settings, group: str) -> str:
    """A group that has nothing more to read: other tests write too."""
    places = [TopicPartition(topic.name, number) for topic in STORED for number in range(topic.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign(places)
        await consumer.commit(await consumer.end_offsets(places))
    return group


async def test_values_stand_as_they_were(
    stack: RunningStack, codec: Codec, symbol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepared(stack.settings)
    group = await at_the_end(stack.settings, f"w-{symbol}")
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


def told_late(newest: Callable[[ClickHouse, Topic], dict[int, int]]) -> Callable[[ClickHouse, Topic], dict[int, int]]:
    def late(database: ClickHouse, topic: Topic) -> dict[int, int]:
        if topic is QUOTES:
            time.sleep(2 * warehouse.BATCH_SECONDS)
        return newest(database, topic)

    return late


async def test_killed_between_insert_and_commit(
    stack: RunningStack, codec: Codec, symbol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the one who comes next is told late what is stored, when it has read more than that."""
    group = await at_the_end(stack.settings, f"w-{symbol}")
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
    monkeypatch.setattr(ClickHouse, "newest", told_late(ClickHouse.newest))
    async with running(stack.settings, monkeypatch, group):
        found = await rows_of(stack.settings, counted(symbol), lambda told: told[0][1] == 501)
    assert found == [(501, 501)]


async def test_an_insert_whose_answer_is_lost_is_not_made_twice(
    stack: RunningStack, codec: Codec, symbol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = ClickHouse.insert
    lost: list[Any] = []

    def insert_and_lose(self: ClickHouse, topic: Any, entries: Any) -> None:
        insert(self, topic, entries)
        if topic is QUOTES and not lost:
            lost.append(topic)
            raise Unreachable("the answer was lost")

    monkeypatch.setattr(ClickHouse, "insert", insert_and_lose)
    await prepared(stack.settings)
    group = await at_the_end(stack.settings, f"w-{symbol}")
    await publish(stack.settings, codec, quotes(symbol, 100), QUOTES)
    async with running(stack.settings, monkeypatch, group):
        assert await rows_of(stack.settings, counted(symbol), lambda told: told[0][1] == 100) == [(100, 100)]
    assert lost


async def test_what_can_not_be_read_is_kept_and_the_rest_goes_on(
    stack: RunningStack, codec: Codec, symbol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await prepared(stack.settings)
    group = await at_the_end(stack.settings, f"w-{symbol}")
    async with Publisher(stack.settings, codec) as publisher:
        publisher.publish_raw(QUOTES, symbol.encode(), b"no record")
        for quote in quotes(symbol, 3):
            publisher.publish(QUOTES, quote)
    async with running(stack.settings, monkeypatch, group):
        await rows_of(stack.settings, counted(symbol), lambda told: told[0][1] == 3)
        headers = await letter(stack.settings, codec, symbol)
    assert headers["topic"] == b"market.quotes"
    assert b"framing" in headers["reason"]


async def letter(settings: Settings, codec: Codec, key: str) -> dict[str, bytes]:
    async with Reader(settings, codec, (MARKET_DEAD_LETTERS,), start="beginning") as reader, asyncio.timeout(30):
        async for batch in reader.batches():
            for entry in batch:
                if entry.key == key:
                    assert entry.raw == b"no record"
                    return dict(entry.headers)
    raise AssertionError("the reader ended")
