"""The trades of the last minute for a worker that is newly assigned a partition, so that prices continue seamlessly.

A worker that starts, is assigned a partition again, or reads records again after a kill, would otherwise weight a
market by the trades since then only, or count trades twice. If records are missing before a batch, the minute before it
is read from Kafka; records that were processed before are skipped.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from aiokafka import TopicPartition

from neuroflux.engine.markets.prices import WINDOW
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import TRADES
from neuroflux.runtime.settings import Settings
from streams.prices import PriceStream

_partition = attrgetter("partition")


class RestoredPrices:
    """Runs a price stream. A batch is of one topic, and the records of each partition in it are contiguous."""

    def __init__(self, settings: Settings, codec: Codec, prices: PriceStream) -> None:
        self._settings, self._codec, self._prices = settings, codec, prices
        self._next: dict[int, int] = {}

    async def take(self, batch: list[Entry]) -> None:
        if batch[0].topic is TRADES:
            batch = [entry for _, few in groupby(batch, _partition) for entry in await self._new(list(few))]
        await self._prices.take(batch)

    async def _new(self, few: Sequence[Entry]) -> Sequence[Entry]:
        """The records of one partition that were not processed before; earlier missing trades are read first."""
        first, last = few[0], few[-1]
        following = self._next.get(first.partition, -1)
        if following < 0 or first.offset > following:
            self._prices.recall(await self._before(first))
        self._next[first.partition] = max(following, last.offset + 1)
        return [entry for entry in few if entry.offset >= following]

    async def _before(self, entry: Entry) -> list[Entry]:
        async with Reader(self._settings, self._codec, (TRADES,), start="beginning") as reader:
            await reader.seek_to_time(TRADES, entry.timestamp - WINDOW)
            return await reader.up_to({TopicPartition(TRADES.name, entry.partition): entry.offset})
