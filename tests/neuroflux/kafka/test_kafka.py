"""Publisher and Reader on a real Kafka: places, partitions, order, groups, foreign schemas, declared topics."""

from __future__ import annotations

import asyncio
import itertools
import json
import struct
import time
import uuid
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiokafka import TopicPartition
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, ConfigResource  # type: ignore[attr-defined]

from neuroflux.domain import ExchangeStatus, Quote, StatusKind
from neuroflux.errors import Unreachable, UsageError
from neuroflux.kafka.admin import create_topics, extents
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import Codec, schema_text
from neuroflux.records.entries import Entry
from neuroflux.records.topics import ALL, MARKET_DEAD_LETTERS, QUOTES, STATUS, Topic
from neuroflux.runtime.settings import Settings
from tests.conftest import RunningStack

pytestmark = pytest.mark.stack

TIMEOUT_SECONDS = 30
UNKNOWN_SCHEMA = 2_000_000_000
FEW_SECONDS = 3.0


@pytest.fixture
def settings(stack: RunningStack) -> Settings:
    return stack.settings


@pytest.fixture
async def codec(settings: Settings) -> Codec:
    return await load_codec(settings)


@pytest.fixture
def own() -> str:
    """The key of this test's records."""
    return f"T{uuid.uuid4().hex}"


def quote(market: str, sequence: int = 0) -> Quote[Any]:
    return Quote("binance", market, market, "1.5", "2", "1.75", "3", sequence, 5, 6)


def status(exchange: str, number: int) -> ExchangeStatus:
    return ExchangeStatus(exchange, "quotes", StatusKind.LATENCY, float(number), "", 5)


async def until(reader: Reader, mine: Callable[[Entry], bool], count: int) -> list[Entry]:
    """The first ``count`` records of this test."""
    found: list[Entry] = []
    async with asyncio.timeout(TIMEOUT_SECONDS):
        async for batch in reader.batches():
            found += filter(mine, batch)
            if len(found) >= count:
                return found
    raise AssertionError("batches do not end")


async def test_records_are_read_as_published_and_in_order(settings: Settings, codec: Codec, own: str) -> None:
    markets = [f"{own}-{number}/USD" for number in range(8)]
    async with Publisher(settings, codec) as publisher, Reader(settings, codec, (QUOTES,), start="end") as reader:
        for sequence in range(50):
            for market in markets:
                publisher.publish(QUOTES, quote(market, sequence))
        await publisher.flush()
        found = await until(reader, lambda entry: entry.key.startswith(own), 400)
    assert len(found) == 400
    for market in markets:
        of_market = [entry for entry in found if entry.key == market]
        assert [entry.record.sequence for entry in of_market] == list(range(50))
        assert len({entry.partition for entry in of_market}) == 1
    assert len({entry.partition for entry in found}) > 1
    first = found[0]
    assert first.error == ""
    assert first.record == Quote("binance", first.key, first.key, 1.5, 2.0, 1.75, 3.0, first.record.sequence, 5, 6)
    assert codec.decode(QUOTES, first.raw) == first.record


async def test_a_flush_waits_for_nothing_that_comes_after_it(settings: Settings, codec: Codec, own: str) -> None:
    async def go_on(publisher: Publisher) -> None:
        for number in itertools.count(1):
            publisher.publish(QUOTES, quote(f"{own}/USD", number))
            await asyncio.sleep(0)

    async with Publisher(settings, codec) as publisher:
        publisher.publish(QUOTES, quote(f"{own}/USD"))
        others = asyncio.create_task(go_on(publisher))
        async with asyncio.timeout(TIMEOUT_SECONDS):
            await publisher.flush()
        assert publisher.waiting, "something was on its way all the time"
        others.cancel()


async def test_write_returns_the_place(settings: Settings, codec: Codec, own: str) -> None:
    async with Publisher(settings, codec) as publisher, Reader(settings, codec, (QUOTES,), start="end") as reader:
        places = [await publisher.write(QUOTES, quote(own, number), partition=2) for number in range(3)]
        found = await until(reader, lambda entry: entry.key == own, 3)
    assert [(entry.partition, entry.offset) for entry in found] == [(one.partition, one.offset) for one in places]
    assert {one.partition for one in places} == {2}
    assert places[0].offset < places[1].offset < places[2].offset


async def test_a_key_has_the_same_partition_as_with_other_clients(settings: Settings, codec: Codec, own: str) -> None:
    markets = [f"{own}-{name}" for name in ("BTC/USD", "ETH/USD", "кошка/USD", "", "x" * 300, "1", "2", "3")]
    theirs = await asyncio.to_thread(_partitions_by_librdkafka, settings, codec, markets)
    async with Publisher(settings, codec) as publisher:
        ours = {market: (await publisher.write(QUOTES, quote(market))).partition for market in markets}
    assert ours == theirs
    assert len(set(ours.values())) > 1


def _partitions_by_librdkafka(settings: Settings, codec: Codec, markets: list[str]) -> dict[str, int]:
    producer = Producer({"bootstrap.servers": settings.kafka, "partitioner": "murmur2_random"})
    outcome: dict[str, int] = {}

    def delivered(error: Any, message: Any) -> None:
        assert error is None
        outcome[message.key().decode()] = message.partition()

    for market in markets:
        producer.produce(QUOTES.name, codec.encode(QUOTES, quote(market)), key=market.encode(), on_delivery=delivered)
    assert producer.flush(TIMEOUT_SECONDS) == 0
    return outcome


async def test_bytes_that_are_not_a_record_are_read_with_the_reason(settings: Settings, codec: Codec, own: str) -> None:
    unregistered = struct.pack(">bI", 0, UNKNOWN_SCHEMA) + b"body"
    async with Publisher(settings, codec) as publisher, Reader(settings, codec, (QUOTES,), start="end") as reader:
        for raw in (b"rubbish", unregistered, b"", unregistered):
            publisher.publish_raw(QUOTES, own.encode(), raw)
        publisher.publish(QUOTES, quote(own))
        found = await until(reader, lambda entry: entry.key == own, 5)
    *unreadable, good = found
    assert [entry.raw for entry in unreadable] == [b"rubbish", unregistered, b"", unregistered]
    assert [entry.record for entry in unreadable] == [None] * 4
    assert "framing" in unreadable[0].error
    assert str(UNKNOWN_SCHEMA) in unreadable[1].error
    assert str(UNKNOWN_SCHEMA) in unreadable[3].error
    assert (good.error, good.record.market) == ("", own)


async def test_a_schema_registered_by_another_program_is_looked_up(settings: Settings, codec: Codec, own: str) -> None:
    schema_id = await register(settings, QUOTES.subject, newer_quotes(own))
    assert not codec.knows(QUOTES, schema_id)
    raw = struct.pack(">bI", 0, schema_id) + codec.encode(QUOTES, quote(own, 7))[5:] + b"\x08east"
    async with Publisher(settings, codec) as publisher, Reader(settings, codec, (QUOTES,), start="end") as reader:
        publisher.publish_raw(QUOTES, own.encode(), raw)
        (found,) = await until(reader, lambda entry: entry.key == own, 1)
    assert found.error == ""
    assert found.record == Quote("binance", own, own, 1.5, 2.0, 1.75, 3.0, 7, 5, 6)


async def test_a_schema_of_another_subject_is_not_looked_up(settings: Settings, codec: Codec, own: str) -> None:
    schema_id = await register(settings, f"{own}-value", newer_quotes(own))
    raw = struct.pack(">bI", 0, schema_id) + codec.encode(QUOTES, quote(own, 7))[5:] + b"\x08east"
    async with Publisher(settings, codec) as publisher, Reader(settings, codec, (QUOTES,), start="end") as reader:
        publisher.publish_raw(QUOTES, own.encode(), raw)
        (found,) = await until(reader, lambda entry: entry.key == own, 1)
    assert found.error == f"schema {schema_id} is not known for {QUOTES.name}"


async def test_a_thousand_unknown_schemas_cost_one_lookup(settings: Settings, codec: Codec, own: str) -> None:
    async with Publisher(settings, codec) as publisher, Reader(settings, codec, (QUOTES,), start="end") as reader:
        for number in range(1_000):
            publisher.publish_raw(QUOTES, own.encode(), struct.pack(">bI", 0, UNKNOWN_SCHEMA + number))
        await publisher.flush()
        began = time.monotonic()
        found = await until(reader, lambda entry: entry.key == own, 1_000)
        assert time.monotonic() - began < FEW_SECONDS
    assert all(entry.error for entry in found)


def newer_quotes(field: str) -> str:
    """The schema of quotes with an additional text field."""
    newer = json.loads(schema_text(QUOTES))
    newer["fields"].append({"name": field, "type": "string", "default": ""})
    return json.dumps(newer)


async def register(settings: Settings, subject: str, schema: str) -> int:
    url = f"{settings.registry}/subjects/{subject}/versions"
    async with aiohttp.ClientSession() as session, session.post(url, json={"schema": schema}) as answer:
        assert answer.status == 200, await answer.text()
        return int((await answer.json(content_type=None))["id"])


async def test_dead_letters_keep_bytes_key_and_headers(settings: Settings, codec: Codec, own: str) -> None:
    letters = MARKET_DEAD_LETTERS
    async with Publisher(settings, codec) as publisher, Reader(settings, codec, (letters,), start="end") as reader:
        publisher.publish_raw(letters, own.encode(), b"\x00\xff", [("reason", b"none"), ("topic", b"t")])
        (found,) = await until(reader, lambda entry: entry.key == own, 1)
    assert (found.raw, found.error, found.record) == (b"\x00\xff", "", None)
    assert found.headers == (("reason", b"none"), ("topic", b"t"))


async def test_a_group_resumes_where_it_committed(settings: Settings, codec: Codec, own: str) -> None:
    async with Publisher(settings, codec) as publisher:
        offsets = [(await publisher.write(STATUS, status(own, number))).offset for number in range(6)]
    async with Reader(settings, codec, (STATUS,), group=own) as reader:
        read = await until(reader, lambda entry: entry.key == own, 6)
        assert [entry.record.value for entry in read] == [0, 1, 2, 3, 4, 5]
        await reader.commit({TopicPartition(STATUS.name, 0): offsets[3]})
    async with Reader(settings, codec, (STATUS,), group=own) as reader:
        again = await until(reader, lambda _: True, 1)
    assert again[0].offset == offsets[3]
    assert [entry.record.value for entry in again if entry.key == own][:1] == [3]


async def test_from_the_beginning_until_caught_up(settings: Settings, codec: Codec, own: str) -> None:
    async with Publisher(settings, codec) as publisher:
        for number in range(20):
            publisher.publish(STATUS, status(own, number))
    read: list[float] = []
    async with Reader(settings, codec, (STATUS,), start="beginning") as reader, asyncio.timeout(TIMEOUT_SECONDS):
        assert not await reader.caught_up()
        async for batch in reader.batches(max_records=7):
            read += [entry.record.value for entry in batch if entry.key == own]
            if await reader.caught_up():
                break
    assert read == list(range(20))


async def test_records_rejected_by_the_key_filter_are_skipped(settings: Settings, codec: Codec, own: str) -> None:
    wanted = f"{own}-3"
    async with (
        Publisher(settings, codec) as publisher,
        Reader(settings, codec, (STATUS,), start="end", key_filter=lambda _, key: key == wanted) as reader,
    ):
        for number in range(5):
            publisher.publish(STATUS, status(f"{own}-{number}", number))
        found = await until(reader, lambda _: True, 1)
    assert [entry.key for entry in found] == [wanted]


async def test_large_fetches_return_records_together_and_soon(settings: Settings, codec: Codec, own: str) -> None:
    reader = Reader(settings, codec, (QUOTES,), start="end", large_fetches=True)
    async with Publisher(settings, codec) as publisher, reader, asyncio.timeout(TIMEOUT_SECONDS):
        trickling = asyncio.create_task(trickle(publisher, own, 100))
        sizes: list[int] = []
        async for batch in reader.batches():
            if size := sum(entry.key == own for entry in batch):
                sizes.append(size)
            if sum(sizes) == 100:
                break
        seconds = await trickling
    assert len(sizes) <= seconds / 0.1 + 2
    assert len(sizes) < 50


async def trickle(publisher: Publisher, market: str, count: int) -> float:
    """Write quotes one after another; returns the seconds that took."""
    began = time.monotonic()
    for sequence in range(count):
        await publisher.write(QUOTES, quote(market, sequence))
    return time.monotonic() - began


async def test_extents_grow_by_what_was_written(settings: Settings, codec: Codec, own: str) -> None:
    before = (await extents(settings, (QUOTES,)))[QUOTES.name]
    async with Publisher(settings, codec) as publisher:
        for _ in range(3):
            publisher.publish(QUOTES, quote(own), partition=1)
    after = (await extents(settings, (QUOTES,)))[QUOTES.name]
    assert set(after) == set(range(QUOTES.partitions))
    assert {number: after[number].end - before[number].end for number in after} == {0: 0, 1: 3, 2: 0, 3: 0}


async def test_topics_are_made_once_and_as_declared(settings: Settings) -> None:
    await create_topics(settings)
    partitions, cleanups = await asyncio.to_thread(_declared, settings)
    assert partitions == {topic.name: topic.partitions for topic in ALL}
    assert cleanups == {topic.name: set(topic.cleanup.split(",")) for topic in ALL}


def _declared(settings: Settings) -> tuple[dict[str, int], dict[str, set[str]]]:
    admin = AdminClient({"bootstrap.servers": settings.kafka})
    topics = admin.list_topics(timeout=TIMEOUT_SECONDS).topics
    asked = admin.describe_configs([ConfigResource("topic", topic.name) for topic in ALL])
    outcome = {
        resource.name: future.result(TIMEOUT_SECONDS)["cleanup.policy"].value for resource, future in asked.items()
    }
    partitions = {topic.name: len(topics[topic.name].partitions) for topic in ALL}
    return partitions, {name: set(policy.split(",")) for name, policy in outcome.items()}


async def test_a_kafka_that_is_down_is_unreachable(settings: Settings, codec: Codec) -> None:
    nowhere = settings.model_copy(update={"kafka": "127.0.0.1:1"})
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        async with Publisher(nowhere, codec):
            pass
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        async with Reader(nowhere, codec, (QUOTES,), start="end"):
            pass
    with pytest.raises(Unreachable, match=r"127\.0\.0\.1:1"):
        await create_topics(nowhere)


async def test_a_reader_whose_opening_is_cancelled_leaves_nothing_open(settings: Settings, codec: Codec) -> None:
    reader = Reader(settings, codec, (QUOTES,), start="end")
    opening = asyncio.create_task(reader.__aenter__())
    async with asyncio.timeout(TIMEOUT_SECONDS):
        while not hasattr(reader, "consumer") or not reader.consumer.assignment():  # noqa: ASYNC110  # aiokafka has no event for it
            await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert not [one for one in reader.consumer._client._conns.values() if one.connected()]


@pytest.mark.parametrize("wrong", [{"group": "g", "start": "end"}, {}])
def test_a_reader_has_one_start_position(settings: Settings, wrong: dict[str, Any]) -> None:
    topics: tuple[Topic, ...] = (QUOTES,)
    with pytest.raises(UsageError):
        Reader(settings, Codec({}), topics, **wrong)
