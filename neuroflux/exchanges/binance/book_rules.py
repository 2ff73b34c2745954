"""When a Binance book is right: the exchange's numbered steps, for spot and for USDⓈ-M.

Spot, "How to manage a local order book correctly":
    1. open the stream and buffer; note U of the first event
    2. get a snapshot with lastUpdateId L
    3. if L < U of the first event, get another
    4. drop events with u <= L
    5. the first kept event must have U <= L + 1 <= u
    6. from then on an event with u < the book's id is old; one with U > id + 1 means that something was missed

USDⓈ-M, "How to manage a local order book correctly":
    4. drop events with u < L
    5. the first kept event must have U <= L and u >= L; or its pu is L: the event before ended exactly at the snapshot
    6. from then on pu must be the u of the event before (U is not: ids are of the whole matching engine)

A snapshot has no more levels than were asked for, and those below it are told only when they change. So a book also
ends once too little of the snapshot is left at the top. Nor do the steps know of ids that start again from below, as
after the exchange's engine was: all that follows is then old by its ids, and the book ends too.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from math import inf
from typing import Final, Protocol

from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.exchanges.binance.messages import Changes, DepthSnapshot, DepthUpdate, microseconds
from neuroflux.exchanges.kit.order_book import OrderBook

MAX_BUFFERED: Final = 2_000
"""Events kept while a snapshot is under way: at ten a second, three minutes."""
PATIENCE: Final = 300
"""Events after which a snapshot that has not come, or that none of them follows, is asked for again: half a minute."""
APART: Final[Microseconds] = 1_000_000
"""By less than this the times of two events tell nothing: servers of the exchange may stamp the same one."""
LEVELS_NEEDED: Final = 50
"""As many as are shown; of a shorter snapshot a quarter."""


class Verdict(Enum):
    OLD = "old"
    NEXT = "next"
    GAP = "something was missed"
    RESTARTED = "ids are lower than before"
    CROSSED = "the best bid is not below the best ask"
    EXHAUSTED = "too little of the snapshot is left"


class Rule(Protocol):
    """What an exchange's steps say of one event."""

    def refetch(self, snapshot: int, first: DepthUpdate) -> bool:
        """Step 3: whether the snapshot is older than what was buffered."""
        ...

    def first(self, snapshot: int, event: DepthUpdate) -> Verdict:
        """Steps 4 and 5: the first event on top of a snapshot."""
        ...

    def later(self, last: int, event: DepthUpdate) -> Verdict:
        """Step 6: an event on top of the event before."""
        ...


class SpotRule:
    def refetch(self, snapshot: int, first: DepthUpdate) -> bool:
        return snapshot < first.U

    def first(self, snapshot: int, event: DepthUpdate) -> Verdict:
        if event.u <= snapshot:
            return Verdict.OLD
        return Verdict.NEXT if event.U <= snapshot + 1 <= event.u else Verdict.GAP

    def later(self, last: int, event: DepthUpdate) -> Verdict:
        """The last event a second time has u = id, and nothing new in it."""
        if event.u <= last:
            return Verdict.OLD
        return Verdict.NEXT if last + 1 >= event.U else Verdict.GAP


class FuturesRule:
    def refetch(self, snapshot: int, first: DepthUpdate) -> bool:
        return snapshot < first.U and first.pu != snapshot

    def first(self, snapshot: int, event: DepthUpdate) -> Verdict:
        if event.u < snapshot:
            return Verdict.OLD
        return Verdict.NEXT if event.U <= snapshot <= event.u or event.pu == snapshot else Verdict.GAP

    def later(self, last: int, event: DepthUpdate) -> Verdict:
        """An event that ends at or before the book's id is a repetition, not a gap; see ``BookKeeper``."""
        if event.pu == last:
            return Verdict.NEXT
        return Verdict.OLD if event.u <= last else Verdict.GAP


class _Edge(Struct, frozen=True):
    """The worst prices that a snapshot told of, and how many levels up to there must be left."""

    bid: float
    ask: float
    bids: int
    asks: int


def _edge(snapshot: DepthSnapshot, limit: int) -> _Edge:
    """A side with fewer levels than were asked for is whole."""

    def needed(levels: Changes) -> int:
        return min(LEVELS_NEEDED, limit // 4) if 0 < limit <= len(levels) else 0

    bid = min((float(price) for price, _ in snapshot.bids), default=0.0)
    ask = max((float(price) for price, _ in snapshot.asks), default=inf)
    return _Edge(bid, ask, needed(snapshot.bids), needed(snapshot.asks))


class Phase(Enum):
    UNPROVED = auto()  # buffering; a snapshot is wanted
    ANCHORED = auto()  # a snapshot is there, and no event on top of it yet
    PROVED = auto()


class BookKeeper:
    """One symbol's book, and whether it may be shown."""

    def __init__(self, rule: Rule) -> None:
        self.book = OrderBook()
        self.last = -1
        self.proved_before = False
        self._rule = rule
        self._phase = Phase.UNPROVED
        self._buffer: deque[DepthUpdate] = deque(maxlen=MAX_BUFFERED)
        self._waited = self._passed_over = 0
        self._time: Microseconds = 0
        self._edge = _Edge(0.0, inf, 0, 0)

    @property
    def proved(self) -> bool:
        return self._phase is Phase.PROVED

    @property
    def unproved(self) -> bool:
        return self._phase is Phase.UNPROVED

    def withdraw(self) -> None:
        """Nothing of the book is proved any more; what was buffered may have a hole."""
        self.proved_before |= self.proved
        self._phase, self._waited = Phase.UNPROVED, 0
        self._buffer.clear()

    def buffer(self, event: DepthUpdate) -> bool:
        """Step 1. Whether to ask for a snapshot: with the first event, and again where none comes for long."""
        self._buffer.append(event)
        self._waited = self._waited % PATIENCE + 1
        return self._waited == 1

    def anchor(self, snapshot: DepthSnapshot, limit: int) -> list[DepthUpdate] | None:
        """Take the snapshot, for which ``limit`` levels were asked (0: not known).

        What was buffered is to be taken next. None where another snapshot is needed.
        """
        if self._buffer and self._rule.refetch(snapshot.lastUpdateId, self._buffer[0]):
            return None
        self.book.replace(snapshot.bids, snapshot.asks)
        self.last, self._phase, self._passed_over = snapshot.lastUpdateId, Phase.ANCHORED, 0
        self._edge = _edge(snapshot, limit)
        waiting = list(self._buffer)
        self._buffer.clear()
        return waiting

    def take(self, event: DepthUpdate) -> Verdict:
        """Put one event on top, where it belongs there; after any verdict but OLD and NEXT the book is not proved."""
        judge = self._rule.later if self.proved else self._rule.first
        verdict = judge(self.last, event)
        if verdict is Verdict.OLD:
            return Verdict.RESTARTED if self._has_restarted(event) else verdict
        if verdict is not Verdict.NEXT:
            return verdict
        self.book.apply(event.b, event.a)
        if self.book.crossed:
            return Verdict.CROSSED
        edge = self._edge
        if not self.book.holds(edge.bids, edge.bid, edge.asks, edge.ask):
            return Verdict.EXHAUSTED
        self.last, self._phase = event.u, Phase.PROVED
        self._time, self._passed_over = microseconds(event.E), 0
        return verdict

    def _has_restarted(self, event: DepthUpdate) -> bool:
        """Whether the ids of an event that is old by them begin anew: it is newer than the book, or many are old."""
        self._passed_over += 1
        is_newer = self.proved and microseconds(event.E) > self._time + APART
        return is_newer or self._passed_over > PATIENCE
