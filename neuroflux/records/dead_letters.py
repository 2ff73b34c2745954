"""Dead letters: records that can't be decoded or are invalid, stored with their original bytes.

Kafka accepts no record above a megabyte, headers included. An original that leaves no room for the headers is cut, and
a header ``bytes`` holds its original size.
"""

from __future__ import annotations

from collections.abc import Sequence

from neuroflux.records.entries import Entry
from neuroflux.records.sink import Sink
from neuroflux.records.topics import MARKET_DEAD_LETTERS, ORDER_DEAD_LETTERS, Topic

MOST_BYTES = 900_000
MOST_REASON = 1_000


def dead_letter(sink: Sink, entry: Entry, reason: str) -> None:
    """Publish the original bytes, with the reason and the position in the headers."""
    letters = ORDER_DEAD_LETTERS if entry.topic.name.startswith(("orders.", "control.")) else MARKET_DEAD_LETTERS
    place = (
        ("topic", entry.topic.name.encode()),
        ("partition", str(entry.partition).encode()),
        ("offset", str(entry.offset).encode()),
    )
    _publish(sink, letters, entry.key.encode()[: MOST_BYTES // 2], entry.raw, reason, place)


def frame_dead_letter(sink: Sink, raw: bytes, reason: str, exchange: str, channel: str) -> None:
    """Publish a frame of an exchange, which may be as large as the socket's limit."""
    _publish(
        sink, MARKET_DEAD_LETTERS, None, raw, reason, (("exchange", exchange.encode()), ("channel", channel.encode()))
    )


def _publish(
    sink: Sink, letters: Topic, key: bytes | None, raw: bytes, reason: str, place: Sequence[tuple[str, bytes]]
) -> None:
    kept = raw[: MOST_BYTES - len(key or b"")]
    cut = () if len(kept) == len(raw) else (("bytes", str(len(raw)).encode()),)
    why = ("reason", reason[:MOST_REASON].encode(errors="replace"))
    sink.publish_raw(letters, key, kept, (why, *place, *cut))
