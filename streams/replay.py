"""Prices and signals of a replay, computed in the order of recorded time: the output is always the same.

A live worker processes records in the order of arrival, which differs between runs for two topics. Here the worker
waits for a mark of the replay, reads every topic up to the mark, and processes the records sorted by time, so that its
output is a function of the recording. It computes all partitions, and publishes those that its group assigned to it.
After a rebalance or a crash it begins again, and skips the output that is already in Kafka. So two replays are equal to
the byte, with any number of workers, killed or not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import aclosing
from typing import Any

from aiokafka import TopicPartition

from neuroflux.domain import ReplayMark
from neuroflux.engine.markets.comparable import Reference
from neuroflux.errors import Unreachable
from neuroflux.kafka.admin import extents
from neuroflux.kafka.publisher import Publisher, partition_of
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.kafka.resumed import Resumed
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BOOKS, INSTRUMENTS, MARKS, PRICES, QUOTES, SIGNALS, TRADES, Topic
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import Settings
from neuroflux.stack.plan import REPLAY_GROUP
from streams import reference
from streams.arbitrage import ArbitrageStream
from streams.markets import Markets
from streams.prices import PriceStream

STEPPED = (INSTRUMENTS, QUOTES, TRADES, BOOKS)
"""In the order in which records of the same millisecond are processed."""
PUBLISHED = (PRICES, SIGNALS)

log = logging.getLogger(__name__)
Ends = Mapping[TopicPartition, int]


class Share:
    """Publishes the prices and signals of some partitions. All other records are published by the live worker only."""

    def __init__(self, sink: Resumed, partitions: Collection[int]) -> None:
        self._sink, self._partitions = sink, partitions

    def publish(self, topic: Topic, record: Any) -> None:
        if topic in PUBLISHED and partition_of(topic.key(record).encode(), topic.partitions) in self._partitions:
            self._sink.publish(topic, record)

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Any) -> None:
        """Ignored: an invalid record was reported when it was recorded."""


class Steps:
    """The reference and the streams of a worker; ``sink.now`` is the time of the record being processed."""

    def __init__(self, sink: Resumed, share: Share) -> None:
        self._sink = sink
        self._known = Reference()
        self._markets = Markets(ArbitrageStream(self._known, share), PriceStream(self._known, share))

    async def take(self, entries: Collection[Entry]) -> None:
        """Process records sorted by time."""
        for entry in sorted(entries, key=_when):
            self._sink.now = entry.timestamp
            if entry.topic is INSTRUMENTS or reference.is_followed(entry.topic.name, entry.key):
                reference.take(self._known, entry)
            if entry.topic is not INSTRUMENTS:
                await self._markets.take([entry])


def _when(entry: Entry) -> tuple[int, int, int, int]:
    return entry.timestamp, STEPPED.index(entry.topic), entry.partition, entry.offset


class Worker:
    """Processes the replay while it is a member of the group; call ``commit_progress`` between two reads."""

    def __init__(self, settings: Settings, codec: Codec, publisher: Publisher) -> None:
        self._settings, self._codec, self._publisher = settings, codec, publisher
        self._run: asyncio.Task[None] | None = None
        self._reached: Ends = {}
        self._committed: Ends = {}

    async def assigned(self, _: Reader, places: set[TopicPartition]) -> None:
        self._run = asyncio.create_task(self._steps({one.partition for one in places}))

    async def revoked(self, _: Reader, places: set[TopicPartition]) -> None:
        """Stop, and flush everything published: the next worker counts what is in Kafka."""
        if self._run is not None:
            self._run.cancel()
            await asyncio.gather(self._run, return_exceptions=True)
            self._run, self._reached = None, {}
        await self._publisher.flush()

    async def commit_progress(self, reader: Reader) -> None:
        """Commit the progress to the group; raises the error that ended the processing, if any."""
        if self._run is not None and self._run.done():
            self._run.result()
        reached = self._reached
        if reached != self._committed:
            try:
                await reader.commit(reached)
                self._committed = reached
            except Unreachable as error:
                log.info("the group is rebalancing, will commit later: %s", error)

    async def _steps(self, partitions: set[int]) -> None:
        """Process the log from its beginning to the last mark."""
        log.info("replaying partitions %s", sorted(partitions))
        sink = Resumed(self._publisher, await extents(self._settings, PUBLISHED))
        steps = Steps(sink, Share(sink, partitions))
        async with (
            Reader(self._settings, self._codec, (MARKS,), start="beginning") as marks,
            Reader(self._settings, self._codec, STEPPED, start="beginning") as inputs,
            aclosing(marks.batches()) as batches,
        ):
            async for batch in batches:
                for entry in batch:
                    await steps.take(await inputs.up_to(_ends(entry.record)))
                    await self._publisher.flush()
                    self._reached = _progress(entry.record, partitions)


def _ends(mark: ReplayMark) -> Ends:
    return {TopicPartition(topic, part): end for topic, ends in mark.ends.items() for part, end in enumerate(ends)}


def _progress(mark: ReplayMark, partitions: Collection[int]) -> Ends:
    return {one: end for one, end in _ends(mark).items() if one.topic == QUOTES.name and one.partition in partitions}


async def main(settings: Settings) -> None:
    """Run one worker until cancelled. Its group assigns the partitions of the quotes; those of other topics follow."""
    codec = await load_codec(settings)
    async with Publisher(settings, codec, client_id=REPLAY_GROUP) as publisher:
        worker = Worker(settings, codec, publisher)
        group = Reader(
            settings,
            codec,
            (QUOTES,),
            group=REPLAY_GROUP,
            on_assign=worker.assigned,
            on_revoke=worker.revoked,
            key_filter=lambda topic, key: False,
        )
        async with group, aclosing(group.batches()) as batches:
            async for _ in batches:
                await worker.commit_progress(group)
                ready()
