"""The tape of the last minute for a worker that comes to a partition: prices go on where another left them.

A worker that begins, is given a partition back, or reads records again after a kill, would else weigh a market by what
was traded since, or count trades twice. Where records are missing before those that come, the minute before them is
read from the log; those that were taken before are passed over.
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


class TapedPrices:
    """Steps a price stream. A batch is of one topic, and each of its partitions stands in one piece."""

    def __init__(self, settings: Settings, codec: Codec, prices: PriceStream) -> None:
        self._settings, self._codec, self._prices = settings, codec, prices
        self._next: dict[int, int] = {}

    async def take(self, batch: list[Entry]) -> None:
        if batch[0].topic is TRADES:
            batch = [entry for _, few in groupby(batch, _partition) for entry in await self._new(list(few))]
        await self._prices.take(batch)

    async def _new(self, few: Sequence[Entry]) -> Sequence[Entry]:
        """Those of one partition that were not taken before; where some are missing before them, the tape is read."""
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
