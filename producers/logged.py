"""Reads the log: the newest records of compacted topics at the start, and the instruments of other stages after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from neuroflux.domain import Instrument
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.topics import INSTRUMENTS, Topic
from neuroflux.runtime.settings import Settings


async def logged(settings: Settings, codec: Codec, topics: Sequence[Topic]) -> list[Any]:
    """The newest record of every key of these topics."""
    newest: dict[tuple[str, str], Any] = {}
    async with Reader(settings, codec, topics, start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    if not entry.error:
                        newest[(entry.topic.name, entry.key)] = entry.record
                if await reader.caught_up():
                    break
    return list(newest.values())


def listings_reader(settings: Settings, codec: Codec) -> Reader:
    """A reader of the instruments that are published after it was opened."""
    return Reader(settings, codec, (INSTRUMENTS,), start="end", large_fetches=True)


async def follow_listings(reader: Reader, take: Callable[[Instrument], None]) -> None:
    """Pass each instrument to ``take``, until cancelled."""
    async with aclosing(reader.batches()) as batches:
        async for batch in batches:
            for entry in batch:
                if isinstance(entry.record, Instrument):
                    take(entry.record)
