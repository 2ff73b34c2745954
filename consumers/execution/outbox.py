"""After a crash: which records of open orders were journalled and never reached their topics."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from consumers.execution.journal import Published, Saved
from neuroflux.domain import Microseconds
from neuroflux.kafka.reader import Reader
from neuroflux.records.codec import Codec
from neuroflux.records.topics import DECISIONS, EVENTS, FILLS
from neuroflux.runtime.settings import Settings

TOPICS = (DECISIONS, EVENTS, FILLS)
MARGIN: Microseconds = 1_000_000
"""Tolerance for the timestamps of Kafka, whose clock may be a little behind ours."""


async def missing_records(settings: Settings, codec: Codec, restored: Sequence[Saved]) -> dict[str, list[Published]]:
    """By order id. The topics are read from the oldest of these journal entries on, so nothing is published twice."""
    publishing = [kept for kept in restored if kept.published]
    missing: dict[str, list[Published]] = {kept.order.id: list(kept.published) for kept in restored}
    if not publishing:
        return missing
    since = min(kept.event_time for kept in publishing) - MARGIN
    async with Reader(settings, codec, TOPICS, start="end") as reader:
        for topic in TOPICS:
            await reader.seek_to_time(topic, since)
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    _strike(missing, entry.key, entry.record)
                if await reader.caught_up():
                    break
    return missing


def _strike(missing: dict[str, list[Published]], order_id: str, record: Published | None) -> None:
    if record is not None and record in missing.get(order_id, ()):
        missing[order_id].remove(record)
