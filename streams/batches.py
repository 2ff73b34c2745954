"""A Faust transport whose messages are batches: the records of one topic that one fetch returned.

Faust's overhead is per message, in its conductor, stream and acknowledgement; so a message carries many records, of all
partitions in the fetch.

Offsets. Faust commits consecutive acknowledged offsets. It takes offsets between two messages for a gap that was never
sent, and fills the gap up to and including the next message, processed or not (``Consumer._add_gap``, ``_new_offset``).
After a rebalance it drops messages before the last one that it read, committed or not (``_drain_messages``). Neither is
correct for batches, so the bookkeeping is done here: for each partition, the batches with its records are queued in the
order of their delivery, and the offset to commit is the end of the last batch before the first unacknowledged one.
There are no gaps, nothing is dropped, and records that are read again are processed again.

A batch belongs to one generation of the group. After a rebalance each partition is read again from its committed
offset, so a batch of an older generation is not processed, and its acknowledgement has no effect. The generation is
read in the fetching thread, where no rebalance can occur between the fetch and that.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from faust.transport.drivers import TRANSPORTS
from faust.transport.drivers import aiokafka as driver
from faust.types.tuples import ack_lock

SCHEME = "batches"
FETCH_WAIT_MS = 50
"""How long the broker may hold a fetch while there are no records."""


class Payload:
    """The raw records of a batch, and their entries once the first agent has decoded them."""

    __slots__ = ("entries", "records")

    def __init__(self, records: list[Any]) -> None:
        self.records = records
        self.entries: list[Any] | None = None


class Batch(NamedTuple):
    """A message that carries many records, with the fields that Faust reads of a Kafka record.

    Its partition and offset are those of the last record of its first partition; ``ends`` holds the last offset of each
    partition. A batch with the offsets 5 to 7 of partition 0 and 3 to 9 of partition 1 has partition 0, offset 7 and
    ends 7 and 9.
    """

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: int
    value: Payload
    generation: int
    ends: Mapping[Any, int]
    headers: tuple[Any, ...] = ()
    key: None = None
    checksum: None = None
    serialized_key_size: int = 0
    serialized_value_size: int = 0


def packed(fetched: Mapping[Any, list[Any]], generation: int) -> Batch:
    """The batch of the records fetched of one topic, by partition."""
    records = [record for few in fetched.values() for record in few]
    ends = {tp: few[-1].offset for tp, few in fetched.items()}
    tp, few = next(iter(fetched.items()))
    last = few[-1]
    return Batch(
        tp.topic, tp.partition, last.offset, last.timestamp, last.timestamp_type, Payload(records), generation, ends
    )


class _Nothing(dict[Any, Any]):
    """Replaces Faust's memory of the last read offsets, by which it detects gaps and drops messages; always empty."""

    def __getitem__(self, _: Any) -> None:
        return None


class BatchThread(driver.AIOKafkaConsumerThread):
    """Fetches records, and packs those of each topic into a batch."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """A consumer with a short fetch wait.

        Faust's default is 1.5 s. A fetch covers the partitions whose records were all delivered, and a partition that
        is delivered meanwhile has to wait for it.
        """
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        return consumer

    async def _fetch_records(self, *arguments: Any, **options: Any) -> Any:
        fetched = await super()._fetch_records(*arguments, **options)
        generation = self.app.consumer_generation_id
        topics: dict[str, dict[Any, list[Any]]] = {}
        for tp, few in fetched.items():
            if few:
                topics.setdefault(tp.topic, {})[tp] = few
        return {next(iter(one)): [packed(one, generation)] for one in topics.values()}


class BatchConsumer(driver.Consumer):
    """Delivers batches, and commits them in order."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._read_offset = _Nothing()
        self._delivered: dict[Any, deque[tuple[Any, int]]] = defaultdict(deque)

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: Any, record: Batch) -> Any:
        """Faust calls this just before it delivers the message."""
        message = super()._to_message(tp, record)
        message.generation_id = record.generation
        if record.generation == self.app.consumer_generation_id:
            for place, end in record.ends.items():
                self._delivered[place].append((message, end))
        return message

    def ack(self, message: Any) -> bool:
        """Acknowledge a batch; called when every agent that received it has processed it."""
        with ack_lock:
            first, message.acked = not message.acked, True
            self._unacked_messages.discard(message)
            return first

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[Any]:
        return (tp for tp in self._delivered if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: Any) -> int | None:
        """The offset after the last batch before the first unacknowledged one; None if that is the first."""
        delivered, new = self._delivered[tp], None
        while delivered and delivered[0][0].acked:
            new = delivered.popleft()[1] + 1
        return new

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        await super().on_partitions_revoked(revoked)
        self._delivered.clear()  # all are revoked, and read again from their committed offsets


class Transport(driver.Transport):
    Consumer = BatchConsumer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
