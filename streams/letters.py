"""Dead letters: records that can be read, and of which nothing can be computed."""

from __future__ import annotations

from neuroflux.entries import Entry
from neuroflux.sink import Sink
from neuroflux.topics import MARKET_DEAD_LETTERS


def dead_letter(sink: Sink, entry: Entry, reason: str) -> None:
    """Keep the bytes as they came, with why and from where."""
    headers = (
        ("reason", reason.encode()),
        ("topic", entry.topic.name.encode()),
        ("partition", str(entry.partition).encode()),
        ("offset", str(entry.offset).encode()),
    )
    sink.publish_raw(MARKET_DEAD_LETTERS, entry.key.encode(), entry.raw, headers)
