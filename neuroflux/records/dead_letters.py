"""Dead letters: records that can't be decoded or are invalid, stored with their original bytes.

Kafka accepts no record above a megabyte, headers included. An original that leaves no room for the headers is cut, and
a header ``bytes`` holds its original size.
"""

from __future__ import annotations

from neuroflux.records.entries import Entry
from neuroflux.records.sink import Sink
from neuroflux.records.topics import MARKET_DEAD_LETTERS, ORDER_DEAD_LETTERS

MOST_BYTES = 900_000
MOST_REASON = 1_000


def dead_letter(sink: Sink, entry: Entry, reason: str) -> None:
    """Publish the original bytes, with the reason and the position in the headers."""
    letters = ORDER_DEAD_LETTERS if entry.topic.name.startswith(("orders.", "control.")) else MARKET_DEAD_LETTERS
    key = entry.key.encode()[: MOST_BYTES // 2]
    kept = entry.raw[: MOST_BYTES - len(key)]
    cut = () if len(kept) == len(entry.raw) else (("bytes", str(len(entry.raw)).encode()),)
    headers = (
        ("reason", reason[:MOST_REASON].encode(errors="replace")),
        ("topic", entry.topic.name.encode()),
        ("partition", str(entry.partition).encode()),
        ("offset", str(entry.offset).encode()),
        *cut,
    )
    sink.publish_raw(letters, key, kept, headers)
