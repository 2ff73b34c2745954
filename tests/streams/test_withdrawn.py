"""A book that lost a side takes its instrument out of the aggregated price, by the streams of a worker."""

from __future__ import annotations

from typing import Any

from neuroflux.domain import AggregatedPrice, BookSnapshot, Level, Quote
from neuroflux.engine.markets.comparable import Reference
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BOOKS, PRICES, QUOTES, Topic
from streams.arbitrage import ArbitrageStream
from streams.markets import Markets
from streams.prices import PriceStream
from tests.neuroflux.engine.routing.test_strategies import instrument

NOW = 1_800_000_000_000_000
Levels = tuple[Level[float], ...]


class Kept:
    def __init__(self) -> None:
        self.published: list[tuple[Topic, Any]] = []

    def publish(self, topic: Topic, record: Any) -> None:
        self.published.append((topic, record))

    def publish_raw(self, *_: Any) -> None:
        raise AssertionError("every record is sound")


def quote(exchange: str, at: int = NOW, sequence: int = 1) -> Quote[float]:
    return Quote(exchange, "BTC/USDC", "BTC/USD", 99.9, 5.0, 100.1, 5.0, sequence, at, at)


def book(exchange: str, bids: Levels, at: int = NOW, sequence: int = 1) -> BookSnapshot[float]:
    return BookSnapshot(exchange, "BTC/USDC", "BTC/USD", bids, (Level(100.1, 5.0),), sequence, at, at)


class Worker:
    """Both streams on two exchanges, as a worker and a replay step them."""

    def __init__(self) -> None:
        self.kept, known = Kept(), Reference([instrument("a"), instrument("b")])
        self._markets = Markets(ArbitrageStream(known, self.kept), PriceStream(known, self.kept))

    async def take(self, topic: Topic, *records: Any) -> None:
        written = max(one.received_time for one in records)
        await self._markets.take(
            [Entry(topic, 0, offset, topic.key(one), one, b"", "", written) for offset, one in enumerate(records)]
        )

    def of(self, topic: Topic) -> list[Any]:
        return [record for where, record in self.kept.published if where is topic]

    @property
    def sources(self) -> set[str]:
        price: AggregatedPrice = self.of(PRICES)[-1]
        return {one.exchange for one in price.sources}


async def test_prices_are_published_without_it_until_both_sides_are_back() -> None:
    worker, bids = Worker(), (Level(99.9, 5.0),)
    await worker.take(QUOTES, quote("b"), quote("a", NOW + 200_000))
    await worker.take(BOOKS, book("a", bids), book("b", bids))
    assert worker.sources == {"a", "b"}
    await worker.take(BOOKS, book("a", (), NOW + 210_000, 2), book("b", bids, NOW + 210_000, 2))
    assert worker.sources == {"b"}
    assert len(worker.of(PRICES)) == 3
    await worker.take(QUOTES, quote("a", NOW + 500_000, 3))
    assert worker.sources == {"a", "b"}
