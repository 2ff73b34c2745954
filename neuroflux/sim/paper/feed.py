"""What the paper exchange reads off Kafka: the instruments of the live exchanges once, then their books and funding."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from neuroflux.domain import BookSnapshot, Funding, Instrument
from neuroflux.engine.markets.soundness import flaw
from neuroflux.errors import Unreachable
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import BOOKS, FUNDING, INSTRUMENTS
from neuroflux.runtime.settings import Settings
from neuroflux.sim.core.coins import EXCHANGES, Listing
from neuroflux.sim.paper.liquidity import PaperLiquidity, Where, listings_of, markets

PATIENCE = 20.0
"""Seconds within which the first instruments must be there: the market stage was ready before us."""


@asynccontextmanager
async def live_liquidity(
    settings: Settings, patience: float = PATIENCE
) -> AsyncIterator[tuple[PaperLiquidity, asyncio.Task[None]]]:
    """A house that knows the instruments, and the task that keeps it at the live books, which ends only by an error.

    Raises Unreachable where Kafka does not answer, or no instruments come.
    """
    codec = await load_codec(settings)
    liquidity = PaperLiquidity(await _listings(settings, codec, patience))
    wanted = frozenset(markets())
    reader = Reader(settings, codec, (BOOKS, FUNDING), start="end", key_filter=lambda topic, key: key in wanted)
    async with reader:
        following = asyncio.create_task(_follow(reader, liquidity))
        try:
            yield liquidity, following
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


async def _follow(reader: Reader, liquidity: PaperLiquidity) -> None:
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            for entry in batch:
                if _is_sound(entry):
                    liquidity.take(entry.record)
            await asyncio.sleep(0)  # a backlog must not keep the orders waiting


def _is_sound(entry: Entry) -> bool:
    """Whoever may write to a topic may write nonsense."""
    if isinstance(entry.record, Funding):
        return bool(abs(entry.record.rate) < 1)  # and is a number
    return isinstance(entry.record, BookSnapshot) and not flaw(entry.record, entry.timestamp)


async def _listings(settings: Settings, codec: Codec, patience: float) -> dict[Where, Listing]:
    """What the exchanges list, when each has told; at the end of the patience, what those list that have."""
    told: dict[Where, Instrument] = {}
    expected = set(settings.exchanges) & set(EXCHANGES)
    try:
        async with asyncio.timeout(patience), Reader(settings, codec, (INSTRUMENTS,), start="beginning") as reader:
            await _until_told(reader, told, expected)
    except TimeoutError:
        if not listings_of(told.values()):
            raise Unreachable(
                f"no instruments of {', '.join(sorted(expected))} came within {patience:.0f} s on {INSTRUMENTS.name}: "
                "are the exchanges reachable? The log of the market stage tells"
            ) from None
    return listings_of(told.values())


async def _until_told(reader: Reader, told: dict[Where, Instrument], expected: set[str]) -> None:
    """Until every exchange is there and no more comes: an exchange's list is some thousand records in one go."""
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            for entry in batch:
                _note(entry, told)
            if not batch and await reader.caught_up() and expected <= {exchange for exchange, _ in told}:
                return


def _note(entry: Entry, told: dict[Where, Instrument]) -> None:
    if isinstance(entry.record, Instrument):
        told[entry.record.exchange, entry.record.symbol] = entry.record
