"""A worker of a replay commits its progress, and nothing before it has made any."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from uuid import uuid4

import pytest
from aiokafka import TopicPartition

from neuroflux.domain import ReplayMark
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import MARKS, QUOTES
from streams.replay import Worker
from tests.conftest import RunningStack

pytestmark = pytest.mark.stack
PATIENCE = 30


async def test_a_restarted_worker_commits_nothing_yet(stack: RunningStack) -> None:
    settings = stack.settings
    codec = await load_codec(settings)
    places = {TopicPartition(QUOTES.name, number) for number in range(QUOTES.partitions)}
    async with Publisher(settings, codec) as publisher, asyncio.timeout(PATIENCE):
        worker = Worker(settings, codec, publisher)
        await publisher.write(MARKS, ReplayMark({QUOTES.name: (0,) * QUOTES.partitions}, last=False, event_time=1))
        group = Reader(
            settings,
            codec,
            (QUOTES,),
            group=f"replay-{uuid4()}",
            on_assign=worker.assigned,
            on_revoke=worker.revoked,
            key_filter=lambda *_: False,
        )
        async with group, aclosing(group.batches()) as batches:
            async for _ in batches:
                await worker.commit_progress(group)
                if {await group.consumer.committed(place) for place in places} == {0}:
                    break
            await worker.revoked(group, places)
            await worker.commit_progress(group)
            assert {await group.consumer.committed(place) for place in places} == {0}
