"""The worker without Kafka: which partitions it is assigned, and what ends it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from types import SimpleNamespace

import pytest

from neuroflux.kafka.decoder import Decoder
from neuroflux.records.topics import BOOKS, MARKET_PARTITIONS, QUOTES, STATUS, TRADES
from neuroflux.runtime.settings import Settings
from streams import health, markets
from streams.worker import Worker

PARTITIONS = {
    QUOTES.name: MARKET_PARTITIONS,
    TRADES.name: MARKET_PARTITIONS,
    BOOKS.name: MARKET_PARTITIONS,
    STATUS.name: 1,
}


async def worker() -> Worker:
    return Worker(Settings(), None, Decoder(Settings(), None), "alone")  # type: ignore[arg-type]


@pytest.mark.parametrize("workers", [1, 2, 3, 4, 5])
async def test_a_market_has_one_worker_whatever_their_number(workers: int) -> None:
    topics = {topic.name for topics in (markets.TOPICS, health.TOPICS) for topic in topics}
    assert topics == PARTITIONS.keys()
    assignor = (await worker()).app.assignor
    cluster = SimpleNamespace(partitions_for_topic=lambda topic: set(range(PARTITIONS[topic])))
    members = {f"worker-{number}": assignor.metadata(topics) for number in range(workers)}
    given = assignor.assign(cluster, members)
    owners = defaultdict(set)
    for member, one in given.items():
        for topic, number in one.partitions():
            assert (topic, number) not in owners
            owners[(topic, number)].add(member)
    assert owners.keys() == {(topic, number) for topic, count in PARTITIONS.items() for number in range(count)}
    for number in range(MARKET_PARTITIONS):
        assert len(set.union(*(owners[(topic.name, number)] for topic in (QUOTES, TRADES, BOOKS)))) == 1
    assert len({member for one in owners.values() for member in one}) == min(workers, MARKET_PARTITIONS)


async def test_work_beside_that_fails_ends_the_worker() -> None:
    async def fails() -> None:
        raise ValueError("beside")

    running = await worker()
    running.beside(fails())
    with pytest.raises(ValueError, match="beside"):
        await running.run(asyncio.Event(), lambda: None)
