"""market.quotes, market.trades, market.books → arbitrage.signals and prices.aggregated, a batch at a time."""

from __future__ import annotations

from typing import Protocol

from neuroflux.records.entries import Entry
from streams import arbitrage, prices
from streams.arbitrage import ArbitrageStream

TOPICS = tuple(dict.fromkeys((*arbitrage.TOPICS, *prices.TOPICS)))


class Prices(Protocol):
    async def take(self, batch: list[Entry]) -> None: ...


class Markets:
    """Arbitrage and prices in one agent, since Faust's overhead is per agent and a burst arrives in many small batches.
    Arbitrage comes first, since the latency of signals matters most.
    """

    def __init__(self, arbitrage: ArbitrageStream, prices: Prices) -> None:
        self._arbitrage, self._prices = arbitrage, prices

    async def take(self, batch: list[Entry]) -> None:
        """Process a batch, which is of one topic."""
        topic = batch[0].topic
        if topic in arbitrage.TOPICS:
            await self._arbitrage.take(batch)
        if topic in prices.TOPICS:
            await self._prices.take(batch)
