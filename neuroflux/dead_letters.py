"""Dead letters: records that can't be read, or of which nothing can be made, kept as they came."""

from __future__ import annotations

from neuroflux.entries import Entry
from neuroflux.sink import Sink
from neuroflux.topics import MARKET_DEAD_LETTERS, ORDER_DEAD_LETTERS


def dead_letter(sink: Sink, entry: Entry, reason: str) -> None:
    """Keep the bytes, with why and from where."""
    letters = ORDER_DEAD_LETTERS if entry.topic.name.startswith(("orders.", "control.")) else MARKET_DEAD_LETTERS
    headers = (
        ("reason", reason.encode()),
        ("topic", entry.topic.name.encode()),
        ("partition", str(entry.partition).encode()),
        ("offset", str(entry.offset).encode()),
    )
    sink.publish_raw(letters, entry.key.encode(), entry.raw, headers)
