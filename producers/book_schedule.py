"""When the snapshot of a book is due: rate-limited by symbol, and repeated while an unchanged book is current."""

from __future__ import annotations

from collections.abc import Iterator

from neuroflux.domain import BookSnapshot, Microseconds, Numeral
from neuroflux.exchanges.kit.events import BookChanged

DEPTH = 50
INTERVAL: Microseconds = 200_000
"""Five per second: snapshots of 50 levels are most of what is stored, and twice as many would double it."""
REPEAT: Microseconds = 1_000_000
"""An unchanged book is published again while its socket receives frames: it is as fresh as the last frame."""


class _Kept:
    __slots__ = ("change", "changed", "published")

    def __init__(self, change: BookChanged) -> None:
        self.change = change
        self.changed = True
        self.published: Microseconds = 0


class BookSchedule:
    """The books of one socket. Holds the newest change of each; the changes between are conflated."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}
        self._alive: Microseconds = 0

    def changed(self, change: BookChanged) -> None:
        kept = self._kept.get(change.symbol)
        if kept is None:
            self._kept[change.symbol] = _Kept(change)
        else:
            kept.change, kept.changed = change, True

    def alive(self, received: Microseconds) -> None:
        """A frame was received on the socket: books that it did not change are current."""
        self._alive = received

    def withdraw(self, symbol: str) -> None:
        self._kept.pop(symbol, None)

    def withdraw_all(self) -> None:
        self._kept.clear()

    def due(self, now: Microseconds) -> Iterator[BookSnapshot[Numeral]]:
        """Snapshots to publish now."""
        for kept in self._kept.values():
            age = now - kept.published
            if age < INTERVAL or (not kept.changed and (age < REPEAT or self._alive <= kept.published)):
                continue
            kept.published, kept.changed = now, False
            yield self._snapshot(kept.change)

    def _snapshot(self, change: BookChanged) -> BookSnapshot[Numeral]:
        book, received = change.book, max(self._alive, change.received_time)
        sides = book.bids(DEPTH), book.asks(DEPTH)
        where = change.exchange, change.symbol, change.market
        return BookSnapshot(*where, *sides, change.sequence, change.event_time, received)
