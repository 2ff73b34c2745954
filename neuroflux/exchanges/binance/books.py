"""The books of one Binance feed: diffs and snapshots in; changes, gaps and wishes for snapshots out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import quote

from msgspec import Struct

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.binance.book_rules import BookKeeper, Rule, Verdict
from neuroflux.exchanges.binance.messages import Changes, DepthSnapshot, DepthUpdate, finite, microseconds
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Request

LIMIT = 1000
"""Levels a side that are asked for: five times as many would cost spot five times the weight."""


class Labels(dict[str, tuple[str, str]]):
    """Symbol and market by the exchange's name; a name that no list of instruments has stands for both."""

    def __missing__(self, name: str) -> tuple[str, str]:
        return name, name


class SnapshotPath(Struct, frozen=True):
    """Where a snapshot is had, and what it weighs with ``LIMIT`` levels."""

    path: str
    weight: int


class Books:
    """Holds a keeper for each symbol that had a diff or a snapshot."""

    def __init__(self, exchange: str, rule: Rule, snapshots: SnapshotPath, labels: Labels) -> None:
        self._exchange, self._rule = exchange, rule
        self._snapshots, self._labels = snapshots, labels
        self._keepers: dict[str, BookKeeper] = {}

    @property
    def waiting(self) -> Sequence[str]:
        """The exchange's names of the books that want a snapshot."""
        return [name for name, keeper in self._keepers.items() if keeper.unproved]

    def withdraw(self, names: Collection[str]) -> None:
        for name in self._keepers.keys() & names:
            self._keepers[name].withdraw()

    def update(self, wire: DepthUpdate, received: Microseconds) -> Sequence[FeedEvent]:
        """Take one diff."""
        if not _finite(wire.b, wire.a):
            return (Undecodable(f"depthUpdate of {wire.s}: a level that is none"),)
        keeper = self._keeper(wire.s)
        if keeper.unproved:
            wanted = keeper.buffer(wire)
            return (self._wish(wire.s),) if wanted else (Ignored("depthUpdate before the snapshot"),)
        return self._take(keeper, wire, received)

    def snapshot(self, name: str, snapshot: DepthSnapshot, limit: int, received: Microseconds) -> Sequence[FeedEvent]:
        """Take a snapshot, and what was buffered on top of it; ``limit`` levels were asked for (0: not known)."""
        if not _finite(snapshot.bids, snapshot.asks):
            return (Undecodable(f"depth of {name}: a level that is none"),)
        keeper = self._keeper(name)
        if keeper.proved:
            return (Ignored("a snapshot nobody needs"),)
        waiting = keeper.anchor(snapshot, limit)
        if waiting is None:
            return (self._wish(name),)
        return self._catch_up(keeper, waiting, received) or (Ignored("depth"),)

    def _catch_up(self, keeper: BookKeeper, waiting: list[DepthUpdate], received: Microseconds) -> Sequence[FeedEvent]:
        """After a gap in what was buffered, the rest of it waits for the next snapshot."""
        events: list[FeedEvent] = []
        for wire in waiting:
            if keeper.unproved:
                keeper.buffer(wire)
            else:
                events.extend(map(_frozen, self._take(keeper, wire, received)))
        return [event for event in events if not isinstance(event, Ignored)]

    def _take(self, keeper: BookKeeper, wire: DepthUpdate, received: Microseconds) -> Sequence[FeedEvent]:
        again = not keeper.proved and keeper.proved_before
        expected = keeper.last + 1
        verdict = keeper.take(wire)
        if verdict is Verdict.OLD:
            return (Ignored("depthUpdate that the book has"),)
        if verdict is not Verdict.NEXT:
            return self._gap(keeper, wire, expected, verdict)
        symbol, market = self._labels[wire.s]
        time = microseconds(wire.E)
        changed = BookChanged(self._exchange, symbol, market, keeper.book, wire.u, time, received)
        return (self._status(StatusKind.RESYNCED, wire, 0, "proved again"), changed) if again else (changed,)

    def _gap(self, keeper: BookKeeper, wire: DepthUpdate, expected: int, verdict: Verdict) -> Sequence[FeedEvent]:
        keeper.withdraw()
        keeper.buffer(wire)
        why = f"{verdict.value}: expected {expected}, got {wire.U} to {wire.u}"
        after = f" after {wire.pu}" if wire.pu >= 0 else ""
        return (self._status(StatusKind.GAP, wire, expected, why + after), self._wish(wire.s))

    def _status(self, kind: StatusKind, wire: DepthUpdate, value: float, detail: str) -> ExchangeStatus:
        symbol = self._labels[wire.s][0]
        time = microseconds(wire.E)
        return ExchangeStatus(self._exchange, "depth", kind, float(value), f"{symbol}: {detail}", time, symbol)

    def _keeper(self, name: str) -> BookKeeper:
        keeper = self._keepers.get(name)
        if keeper is None:
            keeper = self._keepers[name] = BookKeeper(self._rule)
        return keeper

    def _wish(self, name: str) -> SnapshotNeeded:
        path = f"{self._snapshots.path}?symbol={quote(name)}&limit={LIMIT}"
        request = Request("GET", path, weight=self._snapshots.weight, tag="depth")
        return SnapshotNeeded(self._labels[name][0], request)


def _finite(bids: Changes, asks: Changes) -> bool:
    numerals = [numeral for level in (*bids, *asks) for numeral in level]
    return not numerals or finite(*numerals)


def _frozen(event: FeedEvent) -> FeedEvent:
    """Several changes of one book in one answer: each must show the book as it was after it."""
    if not isinstance(event, BookChanged):
        return event
    copy = event.book.copy()
    return BookChanged(
        event.exchange, event.symbol, event.market, copy, event.sequence, event.event_time, event.received_time
    )
