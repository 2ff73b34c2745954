"""What the paper exchanges read from Kafka: the live instruments once, then their books and funding."""

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
from neuroflux.sim.catalogue import SIMULATED
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.paper.liquidity import PaperLiquidity, Where, listings_of, markets

PATIENCE = 20.0
"""Seconds within which the first instruments must arrive: the market stage was ready before this one."""


@asynccontextmanager
async def live_liquidity(
    settings: Settings, patience: float = PATIENCE
) -> AsyncIterator[tuple[PaperLiquidity, asyncio.Task[None]]]:
    """A liquidity with the live instruments, and the task that keeps its books current, which ends only by an error.

    Raises Unreachable where Kafka does not answer, or no instruments arrive.
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
    """A topic may hold any record: each is checked."""
    if isinstance(entry.record, Funding):
        return bool(abs(entry.record.rate) < 1)  # and is a number
    return isinstance(entry.record, BookSnapshot) and not flaw(entry.record, entry.timestamp)


async def _listings(settings: Settings, codec: Codec, patience: float) -> dict[Where, Listing]:
    """What the exchanges list, as soon as each has published it; after ``patience`` seconds, what is known by then."""
    known: dict[Where, Instrument] = {}
    expected = set(settings.exchanges) & set(SIMULATED)
    try:
        async with asyncio.timeout(patience), Reader(settings, codec, (INSTRUMENTS,), start="beginning") as reader:
            await _until_complete(reader, known, expected)
    except TimeoutError:
        if not listings_of(known.values()):
            raise Unreachable(
                f"no instruments of {', '.join(sorted(expected))} came within {patience:.0f} s on {INSTRUMENTS.name}: "
                "are the exchanges reachable? The log of the market stage has the reason"
            ) from None
    return listings_of(known.values())


async def _until_complete(reader: Reader, known: dict[Where, Instrument], expected: set[str]) -> None:
    """Until every exchange is known and the topic is read: an exchange's list is some thousand records."""
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            for entry in batch:
                _note(entry, known)
            if not batch and await reader.caught_up() and expected <= {exchange for exchange, _ in known}:
                return


def _note(entry: Entry, known: dict[Where, Instrument]) -> None:
    if isinstance(entry.record, Instrument):
        known[entry.record.exchange, entry.record.symbol] = entry.record
