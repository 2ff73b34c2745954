"""Commands that could not be carried out, written to the dead letters."""

from __future__ import annotations

import logging

from neuroflux.kafka.publisher import Publisher
from neuroflux.records.dead_letters import dead_letter
from neuroflux.records.entries import Entry

log = logging.getLogger(__name__)


async def write_dead_letter(publisher: Publisher, entry: Entry, reason: str) -> None:
    """Returns when Kafka has acknowledged it."""
    log.warning("dead letter: %s %s@%s: %s", entry.topic.name, entry.partition, entry.offset, reason)
    dead_letter(publisher, entry, reason)
    await publisher.flush()
