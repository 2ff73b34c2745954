"""Reads Kafka topics in batches, with or without a consumer group."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Literal

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from neuroflux.errors import Unreachable, UsageError
from neuroflux.kafka.clients import or_unreachable, security, stopped
from neuroflux.kafka.decoder import Decoder
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry, key_of
from neuroflux.records.topics import Topic
from neuroflux.runtime.settings import Settings

LARGE_FETCH_BYTES = 1 << 20

Start = Literal["beginning", "end", "committed"]
KeyFilter = Callable[[str, str], bool]
"""Whether a record with this topic and key is to be decoded."""
Fetched = Mapping[TopicPartition, Sequence[Any]]
Assigned = Callable[["Reader", set[TopicPartition]], Awaitable[None]]


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    def __init__(self, reader: Reader, on_assign: Assigned | None, on_revoke: Assigned | None) -> None:
        self._reader, self._on_assign, self._on_revoke = reader, on_assign, on_revoke

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        if self._on_assign is not None:
            await self._on_assign(self._reader, assigned)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if self._on_revoke is not None:
            await self._on_revoke(self._reader, revoked)


class Reader:
    """Reads topics in batches; an async context manager.

    With a ``group``, partitions are shared with the other members and reading resumes at the group's committed offsets.
    Without one, every partition is read, from ``start``. ``on_revoke`` is called while the partitions are still
    assigned. A record that ``key_filter`` rejects is skipped before it is decoded. With ``large_fetches`` the broker
    collects records for up to 0.1 s before it answers: a tenth of the fetches, and of their cost at both ends.
    """

    def __init__(
        self,
        settings: Settings,
        codec: Codec,
        topics: Sequence[Topic],
        *,
        group: str | None = None,
        start: Start = "committed",
        on_assign: Assigned | None = None,
        on_revoke: Assigned | None = None,
        key_filter: KeyFilter | None = None,
        large_fetches: bool = False,
    ) -> None:
        if (group is None) == (start == "committed"):
            raise UsageError("a reader resumes at its group's committed offsets, or starts at the beginning or the end")
        self._settings, self._topics, self._group, self._start = settings, topics, group, start
        self._decoder = Decoder(settings, codec)
        self._rebalance = _Rebalance(self, on_assign, on_revoke)
        self._key_filter, self._large_fetches = key_filter, large_fetches
        self._ends: dict[TopicPartition, int] = {}

    async def __aenter__(self) -> Reader:
        self.consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka,
            **security(self._settings),
            group_id=self._group,
            group_instance_id=self._settings.instance or None if self._group else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            fetch_min_bytes=LARGE_FETCH_BYTES if self._large_fetches else 1,
            max_partition_fetch_bytes=4 << 20,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=1_000,
        )
        if self._group is not None:
            self.consumer.subscribe([topic.name for topic in self._topics], listener=self._rebalance)
        await or_unreachable(self._begin(), self._settings.kafka, self.consumer.stop)
        return self

    async def _begin(self) -> None:
        await self.consumer.start()
        if self._group is None:
            await self._place()

    async def _place(self) -> None:
        every = [TopicPartition(topic.name, number) for topic in self._topics for number in range(topic.partitions)]
        self.consumer.assign(every)
        self._ends = await self.consumer.end_offsets(every)
        starts = self._ends if self._start == "end" else await self.consumer.beginning_offsets(every)
        for partition, offset in starts.items():
            self.consumer.seek(partition, offset)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not await stopped(self.consumer.stop()):
            await self.consumer._client.close()

    async def batches(self, max_records: int = 2000, timeout: float = 0.2) -> AsyncGenerator[list[Entry], None]:
        """Batches in the order of each partition; an empty list if nothing arrived for ``timeout`` seconds."""
        while True:
            fetched = await self.fetch(max_records, timeout)
            yield await self._decoder.entries(
                [message for messages in fetched.values() for message in messages if self._is_selected(message)]
            )

    async def fetch(self, max_records: int = 2000, timeout: float = 0.2) -> Fetched:
        """The next batch as aiokafka returns it, neither decoded nor filtered."""
        fetched: Fetched = await self.consumer.getmany(timeout_ms=int(timeout * 1000), max_records=max_records)
        return fetched

    def _is_selected(self, message: Any) -> bool:
        return self._key_filter is None or self._key_filter(message.topic, key_of(message))

    async def up_to(self, ends: Mapping[TopicPartition, int]) -> list[Entry]:
        """Wait for every record before these offsets, by partition; later records are read next."""
        found: list[Entry] = []
        while behind := [place for place, end in ends.items() if await self.consumer.position(place) < end]:
            fetched = await self.consumer.getmany(*behind, timeout_ms=200)
            for place, messages in fetched.items():
                found += await self._decoder.entries([one for one in messages if one.offset < ends[place]])
                if messages[-1].offset >= ends[place]:
                    self.consumer.seek(place, ends[place])
        return found

    async def commit(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Commit the group's position: the offset of the next record to read, by partition."""
        if not offsets:
            return  # aiokafka treats it as an error
        try:
            await self.consumer.commit(dict(offsets))
        except KafkaError as error:
            raise Unreachable(f"Kafka did not accept the offsets of {self._group}: {error!r}") from error

    async def seek_to_time(self, topic: Topic, time: int) -> None:
        """Continue with the records written to a topic since ``time`` (µs), or at its end if there are none. Only
        without a group.
        """
        places = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        found = await self.consumer.offsets_for_times(dict.fromkeys(places, max(time, 0) // 1000))
        for place in places:
            self.consumer.seek(place, self._ends[place] if found[place] is None else found[place].offset)

    async def caught_up(self) -> bool:
        """Whether every record that existed when this reader started has been returned."""
        for partition, end in self._ends.items():
            if await self.consumer.position(partition) < end:
                return False
        return True
