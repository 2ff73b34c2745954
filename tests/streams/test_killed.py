"""Workers that are killed, join and leave under load: no record is skipped, and no commit is ahead of processing."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from neuroflux.domain import Quote
from neuroflux.kafka.admin import extents
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import MARKET_PARTITIONS, QUOTES
from neuroflux.runtime.settings import Settings
from neuroflux.stack.environment import spelled_out

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(150)]

ROOT = Path(__file__).parents[2]
RECORDER = Path(__file__).with_name("recorder.py")
QUOTE = Quote("a", "X/USDC", "X/USD", "99", "1", "100", "1", 1, 1, 1)
MESSAGES = 60_000
KILLS = 3
Offsets = Mapping[int, int]


class Recorders:
    """Workers of one group, and what they recorded."""

    def __init__(self, settings: Settings) -> None:
        self.name = f"recorded-{uuid4()}"
        self._settings = settings
        self._running: list[Process] = []

    async def __aenter__(self) -> Recorders:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka)
        await admin.start()
        await admin.create_topics([NewTopic(self.name, 1, 1)])
        await admin.close()
        return self

    async def __aexit__(self, *_: object) -> None:
        while self._running:
            await self.end(signal.SIGKILL)

    async def begin(self) -> None:
        """Start a worker; returns when it was given partitions."""
        environment = os.environ | spelled_out(self._settings) | {"PYTHONPATH": str(ROOT)}
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(RECORDER), self.name, env=environment, cwd=ROOT, stdout=PIPE
        )
        self._running.append(process)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"assigned\n"

    async def end(self, how: signal.Signals) -> int:
        """Stop the longest running worker."""
        process = self._running.pop(0)
        process.send_signal(how)
        return await process.wait()

    async def recorded(self) -> dict[tuple[str, int], set[int]]:
        """The offsets that each agent processed, by partition."""
        found: dict[tuple[str, int], set[int]] = defaultdict(set)
        consumer = AIOKafkaConsumer(bootstrap_servers=self._settings.kafka, auto_offset_reset="earliest")
        await consumer.start()
        try:
            place = TopicPartition(self.name, 0)
            consumer.assign([place])
            end = (await consumer.end_offsets([place]))[place]
            while await consumer.position(place) < end:
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    for record in records:
                        agent, partition, offsets = msgspec.json.decode(record.value)
                        found[(agent, partition)].update(offsets)
        finally:
            await consumer.stop()
        return found

    async def committed(self) -> Offsets:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.kafka)
        await admin.start()
        result = await admin.list_consumer_group_offsets(self.name)
        await admin.close()
        return {place.partition: one.offset for place, one in result.items() if one.offset >= 0}


async def produce(publisher: Publisher) -> None:
    for number in range(MESSAGES):
        publisher.publish(QUOTES, QUOTE, partition=number % MARKET_PARTITIONS)
        if number % 500 == 0:
            await publisher.flush()
            await asyncio.sleep(0.02)  # so that it continues while workers start and stop
    await publisher.flush()


async def assert_no_commit_ran_ahead(recorders: Recorders, starts: Offsets) -> None:
    committed, recorded = await recorders.committed(), await recorders.recorded()
    for partition, offset in committed.items():
        for agent in ("quick", "slow"):
            passed_over = set(range(starts[partition], offset)) - recorded[(agent, partition)]
            assert not passed_over, f"{agent}: {offset} of {partition} was committed without {sorted(passed_over)[:5]}"


async def _ends(settings: Settings) -> Offsets:
    return {number: one.end for number, one in (await extents(settings, (QUOTES,)))[QUOTES.name].items()}


async def _everything_was_processed(recorders: Recorders, starts: Offsets, ends: Offsets) -> None:
    """Wait until everything is committed, then check every offset."""
    while (committed := await recorders.committed()) != ends:
        assert all(offset <= ends[partition] for partition, offset in committed.items())
        await asyncio.sleep(0.2)
    recorded = await recorders.recorded()
    for agent in ("quick", "slow"):
        for partition in range(MARKET_PARTITIONS):
            missing = set(range(starts[partition], ends[partition])) - recorded[(agent, partition)]
            assert not missing, f"{agent} passed over {len(missing)} of {partition}, the first {min(missing)}"


async def _starts(settings: Settings) -> Offsets:
    return {number: one.start for number, one in (await extents(settings, (QUOTES,)))[QUOTES.name].items()}


async def test_a_killed_worker_skips_no_record(stack: Any) -> None:
    settings, chance = stack.settings, random.Random(1)
    starts = await _starts(settings)
    async with Publisher(settings, await load_codec(settings)) as publisher, Recorders(settings) as recorders:
        producing = asyncio.create_task(produce(publisher))
        for _ in range(KILLS):
            await recorders.begin()
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await recorders.end(signal.SIGKILL)
            await assert_no_commit_ran_ahead(recorders, starts)
        await recorders.begin()
        await producing
        await _everything_was_processed(recorders, starts, await _ends(settings))
        assert await recorders.end(signal.SIGTERM) == 0


async def test_workers_that_join_and_leave_skip_no_record(stack: Any) -> None:
    settings, chance = stack.settings, random.Random(2)
    starts = await _starts(settings)
    async with Publisher(settings, await load_codec(settings)) as publisher, Recorders(settings) as recorders:
        producing = asyncio.create_task(produce(publisher))
        await recorders.begin()
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGKILL, signal.SIGKILL):
            await recorders.begin()
            await asyncio.sleep(chance.uniform(0.3, 1.5))
            await recorders.end(how)
            await assert_no_commit_ran_ahead(recorders, starts)
        await producing
        await _everything_was_processed(recorders, starts, await _ends(settings))
        assert await recorders.end(signal.SIGTERM) == 0
