"""One symbol's book: it is proved by a snapshot and the updates that follow it, or it is not shown.

    UNPROVED ── snapshot by REST ──▶ ANCHORED ── an update on top ──▶ PROVED
        ▲ └──── snapshot by the socket ──────────────────────────────▶ │
        └──────────────── a gap, a lost socket ────────────────────────┘

A snapshot by REST has no more levels than were requested, and those below it are sent only when they change. So a book
also ends when too little of the snapshot is left at the top. The same holds where an exchange sends tens of thousands
of levels and a rule keeps the best of them (``Rule.depth``). The exchanges' rules do not cover ids that start again
from below, as after a restart of the exchange: all that follows is old by its ids, and the book ends too.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from math import inf
from typing import Final, Generic

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.sequences import Levels, Rule, U, Verdict

MAX_BUFFERED: Final = 2_000
"""Updates kept while a snapshot is requested: at ten a second, three minutes."""
PATIENCE: Final = 300
"""Updates after which a snapshot that is missing, or that none of them follows, is requested again: 30 s at 10/s."""
APART: Final[Microseconds] = 1_000_000
"""Times of two updates that differ by less prove no order: several servers of an exchange may stamp the same update."""
LEVELS_NEEDED: Final = 50
"""Levels that must be left of a snapshot: as many as are published. Of a shorter snapshot a quarter."""

NOTHING_MISSED: Final = frozenset({Verdict.APPLY, Verdict.IGNORE, Verdict.BUFFER})
"""Every other verdict ends the proof of a book."""


class _Edge(Struct, frozen=True):
    """The worst prices of a snapshot, and how many levels must be left at these prices or better."""

    bid: float
    ask: float
    bids: int
    asks: int


_NO_EDGE: Final = _Edge(0.0, inf, 0, 0)


def _edge(bids: Levels, asks: Levels, limit: int) -> _Edge:
    """A side with fewer levels than were requested is whole."""

    def needed(levels: Levels) -> int:
        return min(LEVELS_NEEDED, limit // 4) if 0 < limit <= len(levels) else 0

    bid = min((float(level[0]) for level in bids), default=0.0)
    ask = max((float(level[0]) for level in asks), default=inf)
    return _Edge(bid, ask, needed(bids), needed(asks))


class Phase(Enum):
    UNPROVED = auto()
    ANCHORED = auto()
    PROVED = auto()


class Keeper(Generic[U]):
    """``last`` is the number of the book, -1 before the first snapshot.

    ``withdrawn``: that the book is wrong was published, or it was lost with its socket, and it is not proved again yet.
    """

    __slots__ = ("_buffer", "_edge", "_passed_over", "_rule", "_time", "_waited", "book", "last", "phase", "withdrawn")

    def __init__(self, rule: Rule[U]) -> None:
        self.book = OrderBook()
        self.last = -1
        self.phase = Phase.UNPROVED
        self.withdrawn = False
        self._rule = rule
        self._buffer: deque[U] = deque(maxlen=MAX_BUFFERED)
        self._passed_over = 0
        self._waited = self._not_waited()
        self._time: Microseconds = 0
        self._edge = _NO_EDGE

    def withdraw(self) -> None:
        """Nothing of the book is proved any more, and the buffered updates may have a hole."""
        self.withdrawn |= self.phase is Phase.PROVED
        self.phase, self._waited = Phase.UNPROVED, self._not_waited()
        self._buffer.clear()

    def _not_waited(self) -> int:
        """A snapshot by REST is requested with the first update; one by the socket arrives without a request."""
        return 0 if self._rule.unanchored is Verdict.BUFFER else 1

    # ── without a snapshot ───────────────────────────────────────────────────────────────────────────────────────

    def wait(self, update: U) -> bool:
        """Keep an update until there is a snapshot; whether one must be requested now."""
        if self._rule.unanchored is Verdict.BUFFER:
            self._buffer.append(update)
        self._waited = self._waited % PATIENCE + 1
        return self._waited == 1

    def miss(self, update: U) -> None:
        """End the proof of the book at an update that does not follow: a gap is published, a snapshot requested."""
        self.withdraw()
        self.withdrawn, self._waited = True, 0
        self.wait(update)

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────

    def anchor(self, bids: Levels, asks: Levels, last: int, limit: int) -> list[U] | None:
        """Take a snapshot by REST, for which ``limit`` levels were requested (0: not known).

        Returns the buffered updates, to be taken next; None where another snapshot is needed.
        """
        if self._buffer and self._rule.precedes(last, self._buffer[0]):
            return None
        self.book.replace(bids, asks)
        self.last, self.phase, self._passed_over = last, Phase.ANCHORED, 0
        self._edge = _edge(bids, asks, limit)
        waiting = list(self._buffer)
        self._buffer.clear()
        return waiting

    def replace(self, whole: U) -> Verdict:
        """Take a snapshot by the socket, which proves the book without an update on top."""
        if self._rule.is_overtaken(self.last, whole.last):
            return Verdict.IGNORE
        self.last, self._time, self._passed_over = whole.last, whole.time, 0
        self.book.replace(whole.bids, whole.asks)
        self._edge = _NO_EDGE
        self._shorten(self._rule.depth)
        if not whole.bids and not whole.asks:
            return Verdict.EMPTY
        if self.book.crossed:
            return Verdict.CROSSED
        if not self._rule.proves(self.book, whole):
            return Verdict.MISMATCH
        self.phase = Phase.PROVED
        return Verdict.APPLY

    # ── updates ──────────────────────────────────────────────────────────────────────────────────────────────────

    def take(self, update: U) -> Verdict:
        """Apply an update where it follows; after a verdict that is not in ``NOTHING_MISSED`` the book is wrong."""
        phase, rule = self.phase, self._rule
        if phase is Phase.PROVED:
            verdict = rule.later(self.last, update)
        elif phase is Phase.ANCHORED:
            verdict = rule.first(self.last, update)
        else:
            return rule.unanchored
        if verdict is not Verdict.APPLY:
            return Verdict.RESTARTED if verdict is Verdict.IGNORE and self._has_restarted(update) else verdict
        return self._apply(update)

    def _apply(self, update: U) -> Verdict:
        book, edge = self.book, self._edge
        book.apply(update.bids, update.asks)
        self._shorten(2 * self._rule.depth)
        if book.crossed:
            return Verdict.CROSSED
        if not book.holds(edge.bids, edge.bid, edge.asks, edge.ask):
            return Verdict.EXHAUSTED
        if not self._rule.proves(book, update):
            return Verdict.MISMATCH
        self.last, self.phase = update.last, Phase.PROVED
        self._time, self._passed_over = update.time, 0
        return Verdict.APPLY

    def _shorten(self, most: int) -> None:
        """Where a side has more than ``most`` levels, drop those behind the best ``depth``.

        Below the worst that was kept the side has holes from then on, so that it counts as the edge of a snapshot.
        """
        depth, edge = self._rule.depth, self._edge
        if not depth or max(lengths := self.book.lengths) <= most:
            return
        self.book.truncate(depth)
        bid, ask = self.book.worst
        if lengths[0] > depth:
            edge = replace(edge, bid=max(edge.bid, bid), bids=min(LEVELS_NEEDED, depth // 4))
        if lengths[1] > depth:
            edge = replace(edge, ask=min(edge.ask, ask), asks=min(LEVELS_NEEDED, depth // 4))
        self._edge = edge

    def _has_restarted(self, update: U) -> bool:
        """Whether the ids of an update that looks old start again: it is later than the book, or many looked old."""
        self._passed_over += 1
        is_later = self.phase is Phase.PROVED and update.time > self._time + APART
        return is_later or self._passed_over > PATIENCE
