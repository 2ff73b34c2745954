"""The reference data that every worker needs, whatever its partitions: instruments, and rates of the quote assets.

It is read without a group: workers share the partitions of the markets, but each reads all reference data. One reader
loads and follows, so that nothing is missed in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from neuroflux.domain import Instrument, Microseconds, Quote
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.conversion import MAX_AGE, is_conversion_market
from neuroflux.engine.markets.soundness import flaw, flaw_of_instrument
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import EVENTS, INSTRUMENTS, QUOTES
from neuroflux.runtime.settings import Settings


def take(reference: Reference, entry: Entry) -> None:
    """Add an instrument or a quote, unless it is invalid."""
    match entry.record:
        case Instrument() as instrument if not flaw_of_instrument(instrument):
            reference.list(instrument)
        case Quote() as quote if not flaw(quote, entry.timestamp):
            reference.convert(quote, entry.cause)


async def follow(
    settings: Settings,
    codec: Codec,
    reference: Reference,
    on_order: Callable[[Entry], None],
    now: Microseconds,
    loaded: asyncio.Event,
) -> None:
    """Keep the reference current until cancelled; ``loaded`` is set when everything written until now was read.

    Instruments are read from the beginning, quotes since ``MAX_AGE``, and only those of conversion markets are decoded.
    Events of orders are passed to ``on_order``.
    """
    topics = (INSTRUMENTS, QUOTES, EVENTS)
    async with Reader(settings, codec, topics, start="beginning", key_filter=is_followed, large_fetches=True) as reader:
        await reader.seek_to_time(QUOTES, now - MAX_AGE)
        await reader.seek_to_time(EVENTS, now)
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    if entry.topic is EVENTS:
                        on_order(entry)
                    else:
                        take(reference, entry)
                if not loaded.is_set() and await reader.caught_up():
                    loaded.set()


def is_followed(topic: str, key: str) -> bool:
    """Whether a record with this key is needed: of quotes, only those of conversion markets."""
    return topic != QUOTES.name or is_conversion_market(key)
