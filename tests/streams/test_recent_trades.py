"""A worker that is newly assigned a partition computes the same prices as one that had it all along."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

import pytest

from neuroflux.domain import AggregatedPrice, Instrument, InstrumentKind, Quote, Side, Trade
from neuroflux.engine.markets.comparable import Reference
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import QUOTES, TRADES
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from streams.prices import PriceStream
from streams.recent_trades import RestoredPrices

pytestmark = pytest.mark.stack
TRADED = 6


class Kept:
    def __init__(self) -> None:
        self.prices: list[AggregatedPrice] = []

    def publish(self, _: Any, record: Any) -> None:
        self.prices.append(record)

    def publish_raw(self, *_: Any) -> None:
        raise AssertionError("every record is sound")


async def traded(settings: Settings, market: str, now: int) -> list[Entry]:
    """``TRADED`` trades in Kafka, as they are read."""
    codec = await load_codec(settings)
    async with Reader(settings, codec, (TRADES,), start="end") as reader:
        async with Publisher(settings, codec) as publisher:
            for number in range(TRADED):
                one = Trade("a", market, market, str(number), Side.BUY, 100.0 + number, 1.0, now, now)
                await publisher.write(TRADES, one)
        found: list[Entry] = []
        async for batch in reader.batches():
            found += [entry for entry in batch if entry.record.market == market]
            if len(found) == TRADED:
                return found
    raise AssertionError("batches do not end")


async def priced(settings: Settings, market: str, batches: Sequence[list[Entry]], now: int) -> AggregatedPrice:
    """The last price that a worker publishes after these batches."""
    base, quote = market.split("/")
    listed = Instrument(
        exchange="a",
        symbol=market,
        market=market,
        name=market,
        base=base,
        quote=quote,
        kind=InstrumentKind.SPOT,
    )
    kept = Kept()
    prices = RestoredPrices(settings, await load_codec(settings), PriceStream(Reference([listed]), kept))
    for batch in batches:
        await prices.take(batch)
    top = Quote("a", market, market, 99.0, 1.0, 101.0, 1.0, 9, now, now + 1_000_000)
    await prices.take([Entry(QUOTES, batches[0][0].partition, 0, market, top, b"", "", wall() + 1_000_000)])
    return kept.prices[-1]


async def test_a_worker_resumes_where_another_stopped(stack: Any) -> None:
    market, now = f"T{uuid4().hex}/USDC", time.time_ns() // 1000
    tape = await traded(stack.settings, market, now)
    always = await priced(stack.settings, market, [tape], now)
    assert always.volume == TRADED
    for batches in ([tape[4:]], [tape[2:4], tape[4:]], [tape, tape], [tape, tape[3:]], [tape[:3], tape[5:]]):
        assert await priced(stack.settings, market, batches, now) == always
