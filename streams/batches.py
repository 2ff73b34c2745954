"""A Faust transport whose messages are batches: what one fetch brought of one topic.

The cost of Faust is a message's, in its conductor, stream and acknowledgement; so a message carries many records, of
every partition that the fetch brought.

Offsets. Faust commits by runs of acknowledged offsets. What lies between two messages it takes for a gap that was
never sent, and fills the gap up to and with the message behind it, processed or not (``Consumer._add_gap``,
``_new_offset``); and after a rebalance it drops what lies before the last message it read, committed or not
(``_drain_messages``). With batches neither may happen, so the books are kept here: the batches with records of a
partition wait in the order in which they were handed out, and what may be committed is the end of the last one before
the first that is not done. Nothing is a gap, nothing is dropped, and what is read again is processed again.

A batch is of one generation of the group. After a rebalance each partition is read anew from what was committed, so
a batch of an older generation is not processed, and its acknowledgement changes nothing. The generation is noted in
the thread that fetches, where a rebalance can't come between the records and the note.
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
"""How long a fetch that finds nothing waits for something."""


class Payload:
    """The records of a batch as they came, and what the first to decode them made of them."""

    __slots__ = ("entries", "records")

    def __init__(self, records: list[Any]) -> None:
        self.records = records
        self.entries: list[Any] | None = None


class Batch(NamedTuple):
    """What Faust reads of a Kafka record, holding many. Its place is the last one's of the first of its partitions;
    ``ends`` has the last of each.
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
    """What was fetched of one topic, by partition."""
    records = [record for few in fetched.values() for record in few]
    ends = {tp: few[-1].offset for tp, few in fetched.items()}
    tp, few = next(iter(fetched.items()))
    last = few[-1]
    return Batch(
        tp.topic, tp.partition, last.offset, last.timestamp, last.timestamp_type, Payload(records), generation, ends
    )


class _Nothing(dict[Any, Any]):
    """Faust's memory of what it read last, which makes it see gaps and drop messages: it never remembers."""

    def __getitem__(self, _: Any) -> None:
        return None


class BatchThread(driver.AIOKafkaConsumerThread):
    """Fetches, and packs what a fetch brought of each topic."""

    def _create_worker_consumer(self, transport: Any) -> Any:
        """Faust lets a fetch wait for 1.5 s; it is of the partitions whose records have all been handed out, and one
        that is handed out meanwhile has to wait for it."""
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
    """Hands out batches, and commits them in their order."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._read_offset = _Nothing()
        self._handed: dict[Any, deque[tuple[Any, int]]] = defaultdict(deque)

    def _new_consumer_thread(self) -> BatchThread:
        return BatchThread(self, loop=self.loop, beacon=self.beacon)

    def _to_message(self, tp: Any, record: Batch) -> Any:
        """Faust asks for the message just before it hands it out."""
        message = super()._to_message(tp, record)
        message.generation_id = record.generation
        if record.generation == self.app.consumer_generation_id:
            for place, end in record.ends.items():
                self._handed[place].append((message, end))
        return message

    def ack(self, message: Any) -> bool:
        """Every agent that got the batch is done with it."""
        with ack_lock:
            first, message.acked = not message.acked, True
            self._unacked_messages.discard(message)
            return first

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[Any]:
        return (tp for tp in self._handed if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: Any) -> int | None:
        """The offset behind the last batch before the first that is not done; None where the first is not."""
        handed, new = self._handed[tp], None
        while handed and handed[0][0].acked:
            new = handed.popleft()[1] + 1
        return new

    async def on_partitions_revoked(self, revoked: set[Any]) -> None:
        await super().on_partitions_revoked(revoked)
        self._handed.clear()  # all are revoked, and each that comes back is read anew


class Transport(driver.Transport):
    Consumer = BatchConsumer


TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"
