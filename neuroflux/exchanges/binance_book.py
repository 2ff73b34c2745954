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
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from typing import Final, Protocol

from neuroflux.book import OrderBook
from neuroflux.exchanges.binance_messages import DepthSnapshot, DepthUpdate

MAX_BUFFERED: Final = 2_000
"""Events kept while a snapshot is under way: at ten a second, three minutes."""


class Verdict(Enum):
    OLD = auto()
    NEXT = auto()
    GAP = auto()


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
        return Verdict.NEXT if snapshot in range(event.U - 1, event.u) else Verdict.GAP

    def later(self, last: int, event: DepthUpdate) -> Verdict:
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
        if event.u <= last and event.pu != last:
            return Verdict.OLD
        return Verdict.NEXT if event.pu == last else Verdict.GAP


class Phase(Enum):
    UNPROVED = auto()  # buffering; a snapshot is wanted
    ANCHORED = auto()  # a snapshot is there, and no event on top of it yet
    PROVED = auto()


class BookKeeper:
    """One symbol's book, and whether it may be shown."""

    def __init__(self, rule: Rule) -> None:
        self.book = OrderBook()
        self.last = -1
        self.asked = False
        self.proved_before = False
        self._rule = rule
        self._phase = Phase.UNPROVED
        self._buffer: deque[DepthUpdate] = deque(maxlen=MAX_BUFFERED)

    @property
    def proved(self) -> bool:
        return self._phase is Phase.PROVED

    @property
    def unproved(self) -> bool:
        return self._phase is Phase.UNPROVED

    def withdraw(self) -> None:
        """Nothing of the book is proved any more; what was buffered may have a hole."""
        self.proved_before |= self.proved
        self._phase, self.asked = Phase.UNPROVED, False
        self._buffer.clear()

    def buffer(self, event: DepthUpdate) -> None:
        self._buffer.append(event)

    def anchor(self, snapshot: DepthSnapshot) -> list[DepthUpdate] | None:
        """Take the snapshot; what was buffered is to be taken next. None where another snapshot is needed."""
        if self._buffer and self._rule.refetch(snapshot.lastUpdateId, self._buffer[0]):
            return None
        self.book.replace(snapshot.bids, snapshot.asks)
        self.last, self._phase = snapshot.lastUpdateId, Phase.ANCHORED
        waiting = list(self._buffer)
        self._buffer.clear()
        return waiting

    def take(self, event: DepthUpdate) -> Verdict:
        """Put one event on top, where it belongs there."""
        judge = self._rule.later if self.proved else self._rule.first
        verdict = judge(self.last, event)
        if verdict is Verdict.NEXT:
            self.book.apply(event.b, event.a)
            if self.book.crossed:
                return Verdict.GAP
            self.last, self._phase = event.u, Phase.PROVED
        return verdict
