"""Back-pressure: while Kafka is slow, only the newest quote and book snapshot of each symbol is kept.

Nothing else is kept or dropped here: trades, funding and statuses are passed to the sink, which makes the sockets wait
when it is full. So memory stays bounded, and what is published next is current.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol

from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.kafka.publisher import BUFFER_RECORDS
from neuroflux.records.sink import Drained
from neuroflux.records.topics import BOOKS, QUOTES, STATUS, Topic
from neuroflux.runtime.clock import wall

CONFLATE_ABOVE = BUFFER_RECORDS // 2
"""Records waiting for Kafka, above which quotes and books are conflated; half a second at full speed."""

Key = tuple[str, str, str]
"""Exchange, symbol, topic."""


class BufferedSink(Drained, Protocol):
    """A sink that reports how many records wait in it."""

    @property
    def waiting(self) -> int: ...


class Conflated:
    """Passes records to ``sink``. Dropped ones are counted, and reported as CONFLATED once there is room again."""

    def __init__(self, sink: BufferedSink) -> None:
        self._sink = sink
        self._kept: dict[Key, tuple[Topic, Any]] = {}
        self._dropped: Counter[str] = Counter()

    def publish(self, topic: Topic, record: Any) -> None:
        if topic is QUOTES or topic is BOOKS:
            if self._sink.waiting > CONFLATE_ABOVE:
                self._keep(topic, record)
                return
            if self._kept:
                self._forget((record.exchange, record.symbol, topic.name))
        elif topic is STATUS and self._kept:
            self._withdraw(record)
        self._sink.publish(topic, record)

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        self._sink.publish_raw(topic, key, value, headers)

    async def drain(self) -> None:
        """Publish the kept records when there is room; return when there is room for more."""
        if self._kept and self._sink.waiting <= CONFLATE_ABOVE:
            self._release()
        await self._sink.drain()

    def _keep(self, topic: Topic, record: Any) -> None:
        key = record.exchange, record.symbol, topic.name
        self._forget(key)
        self._kept[key] = topic, record

    def _forget(self, key: Key) -> None:
        if self._kept.pop(key, None) is not None:
            self._dropped[key[0]] += 1

    def _withdraw(self, status: ExchangeStatus) -> None:
        """Drop the kept records of a book with a gap, or of a disconnected socket."""
        if status.kind is StatusKind.GAP:
            self._forget((status.exchange, status.symbol, BOOKS.name))
        elif status.kind is StatusKind.DISCONNECTED:
            for key in [one for one in self._kept if one[0] == status.exchange]:
                self._forget(key)

    def _release(self) -> None:
        kept, self._kept = self._kept, {}
        for topic, record in kept.values():
            self._sink.publish(topic, record)
        dropped, self._dropped = self._dropped, Counter()
        for exchange, count in dropped.items():
            why = "quotes and book snapshots were replaced by newer ones while Kafka was slow"
            self._sink.publish(STATUS, ExchangeStatus(exchange, "market", StatusKind.CONFLATED, count, why, wall()))
