"""What every worker must know whatever partitions it has: the instruments, and the rates between quotes.

Read without a group, so that any number of workers can share the partitions of a market and each knows them all.
"""

from __future__ import annotations

from contextlib import aclosing

from neuroflux.codec import Codec
from neuroflux.domain import Instrument, Quote
from neuroflux.engine.comparable import Reference
from neuroflux.engine.conversion import is_conversion_market
from neuroflux.kafka import Entry, Reader
from neuroflux.settings import Settings
from neuroflux.topics import INSTRUMENTS, QUOTES


def take(reference: Reference, entry: Entry) -> None:
    match entry.record:
        case Instrument() as instrument:
            reference.list(instrument)
        case Quote() as quote if is_conversion_market(entry.key):
            reference.convert(quote)


async def load(settings: Settings, codec: Codec, reference: Reference) -> None:
    """Every instrument that was listed so far."""
    async with Reader(settings, codec, (INSTRUMENTS,), start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    take(reference, entry)
                if await reader.caught_up():
                    return


async def follow(settings: Settings, codec: Codec, reference: Reference) -> None:
    """Keep it current until cancelled; of quotes only those of conversion markets are decoded."""
    async with (
        Reader(settings, codec, (INSTRUMENTS, QUOTES), start="end", wanted=_wanted) as reader,
        aclosing(reader.batches()) as batches,
    ):
        async for batch in batches:
            for entry in batch:
                take(reference, entry)


def _wanted(topic: str, key: str) -> bool:
    return topic != QUOTES.name or is_conversion_market(key)
