"""The books of one feed: updates and snapshots in; changes, gaps and requests for snapshots out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain
from typing import Generic

from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, Resubscribe, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.keeper import NOTHING_MISSED, Keeper, Phase
from neuroflux.exchanges.kit.numerals import plain
from neuroflux.exchanges.kit.requests import Request
from neuroflux.exchanges.kit.sequences import Levels, Rule, U, Verdict


class Labels(dict[str, tuple[str, str]]):
    """Symbol and market by the exchange's name; a name that no list of instruments has is used for both."""

    def __missing__(self, name: str) -> tuple[str, str]:
        return name, name


class _Keepers(dict[str, Keeper[U]]):
    """By the exchange's name; made with the first message."""

    def __init__(self, rule: Rule[U]) -> None:
        super().__init__()
        self._rule = rule

    def __missing__(self, name: str) -> Keeper[U]:
        self[name] = Keeper(self._rule)
        return self[name]


class Books(Generic[U]):
    """``channel`` is the exchange's word for what brings books, named in statuses.

    ``snapshot_request`` builds the request of a snapshot by REST, from the exchange's name of an instrument. Without
    one, snapshots arrive by the socket, and after a gap the book is subscribed to again. ``check`` returns whether all
    numbers of a message are good.
    """

    def __init__(
        self,
        exchange: str,
        channel: str,
        rule: Rule[U],
        labels: Labels,
        snapshot_request: Callable[[str], Request] | None = None,
        check: Callable[..., bool] = plain,
    ) -> None:
        self._exchange, self._channel, self._rule = exchange, channel, rule
        self._labels, self._snapshot_request = labels, snapshot_request
        self._check = check
        self._keepers = _Keepers(rule)

    @property
    def names(self) -> Collection[str]:
        """The exchange's names of all books."""
        return self._keepers.keys()

    @property
    def waiting(self) -> Sequence[str]:
        """The exchange's names of the books that need a snapshot."""
        return [name for name, keeper in self._keepers.items() if keeper.phase is Phase.UNPROVED]

    def proved(self, name: str) -> Keeper[U] | None:
        """The keeper of a book that is proved."""
        keeper = self._keepers.get(name)
        return keeper if keeper is not None and keeper.phase is Phase.PROVED else None

    def withdraw(self, names: Collection[str]) -> None:
        """Their socket is lost."""
        for name in self._keepers.keys() & names:
            self._keepers[name].withdraw()

    def missed(self, names: Collection[str], why: str, expected: int, time: Microseconds) -> Sequence[FeedEvent]:
        """Something was lost that may concern each of these: withdraw those that are proved."""
        events = list[FeedEvent]()
        for name in [one for one in names if self.proved(one) is not None]:
            self._keepers[name].withdraw()
            events += (self._gap(name, why, expected, time), *self._repair(name, Verdict.GAP))
        return events

    # ── updates ──────────────────────────────────────────────────────────────────────────────────────────────────

    def update(self, update: U, received: Microseconds) -> Sequence[FeedEvent]:
        """Take an update."""
        numerals = [*chain.from_iterable(update.bids), *chain.from_iterable(update.asks)]
        if numerals and not self._check(*numerals):
            return (Undecodable(f"{self._channel} of {update.name}: a level without price and quantity"),)
        return self._taken(self._keepers[update.name], update, received)

    def _taken(self, keeper: Keeper[U], update: U, received: Microseconds) -> Sequence[FeedEvent]:
        expected = keeper.last + 1
        verdict = keeper.take(update)
        if verdict is not Verdict.APPLY:
            return self._not_applied(keeper, update, expected, verdict)
        symbol, market = self._labels[update.name]
        time = update.time
        changed = BookChanged(self._exchange, symbol, market, keeper.book, update.last, time, received)
        return (self._resynced(keeper, symbol, time), changed) if keeper.withdrawn else (changed,)

    def _not_applied(self, keeper: Keeper[U], update: U, expected: int, verdict: Verdict) -> Sequence[FeedEvent]:
        if keeper.phase is Phase.UNPROVED:
            is_due = keeper.wait(update)
            return self._repair(update.name, verdict) if is_due else (self._ignored(Verdict.BUFFER),)
        if verdict in NOTHING_MISSED:
            return (self._ignored(verdict),)
        keeper.miss(update)
        after = f" after {update.previous}" if update.previous >= 0 else ""
        why = f"{verdict.value}: expected {expected}, got {update.first} to {update.last}{after}"
        return (self._gap(update.name, why, expected, update.time), *self._repair(update.name, verdict))

    # ── snapshots ────────────────────────────────────────────────────────────────────────────────────────────────

    def anchored(
        self, name: str, bids: Levels, asks: Levels, last: int, limit: int, received: Microseconds
    ) -> Sequence[FeedEvent]:
        """Take a snapshot by REST, then the updates buffered on top; ``limit`` levels were requested (0: not known)."""
        numerals = [*chain.from_iterable(bids), *chain.from_iterable(asks)]
        if numerals and not self._check(*numerals):
            return (Undecodable(f"{self._channel} of {name}: a level without price and quantity"),)
        keeper = self._keepers[name]
        if keeper.phase is Phase.PROVED:
            return (Ignored(f"{self._channel}: a snapshot of a book that is proved"),)
        waiting = keeper.anchor(bids, asks, last, limit)
        if waiting is None:
            return self._repair(name, Verdict.GAP)
        return self._catch_up(keeper, waiting, received) or (Ignored(self._channel),)

    def _catch_up(self, keeper: Keeper[U], waiting: Iterable[U], received: Microseconds) -> Sequence[FeedEvent]:
        """After a gap in what was buffered, the rest of it waits for the next snapshot."""
        events = (_frozen(one) for update in waiting for one in self._taken(keeper, update, received))
        return [one for one in events if not isinstance(one, Ignored)]

    def replaced(self, whole: U, received: Microseconds) -> Sequence[FeedEvent]:
        """Take a whole book from the socket."""
        numerals = [*chain.from_iterable(whole.bids), *chain.from_iterable(whole.asks)]
        if numerals and not self._check(*numerals):
            return (Undecodable(f"{self._channel} of {whole.name}: a level without price and quantity"),)
        keeper = self._keepers[whole.name]
        verdict = keeper.replace(whole)
        if verdict is Verdict.IGNORE:
            return (Ignored(f"older {self._channel}"),)
        if verdict is not Verdict.APPLY:
            return self._wrong(keeper, whole, verdict, received)
        changed = self.changed(keeper, whole.name, whole.last, whole.time, received)
        return (self._resynced(keeper, changed.symbol, whole.time), changed) if keeper.withdrawn else (changed,)

    def _wrong(self, keeper: Keeper[U], whole: U, verdict: Verdict, received: Microseconds) -> Sequence[FeedEvent]:
        """A book that was withdrawn already is withdrawn without another status."""
        if verdict is Verdict.EMPTY:
            return self.emptied(whole.name, verdict.value, whole.last, whole.time, received)
        was_withdrawn = keeper.withdrawn
        keeper.miss(whole)
        if was_withdrawn:
            return (Ignored(f"{self._channel}: {verdict.value}"),)
        return (self._gap(whole.name, verdict.value, whole.last, whole.time), *self._repair(whole.name, verdict))

    def emptied(
        self, name: str, why: str, last: int, time: Microseconds, received: Microseconds
    ) -> Sequence[FeedEvent]:
        """Withdraw a book and publish it without levels, so that no one trades on its last state."""
        keeper = self._keepers[name]
        if keeper.withdrawn:
            return (Ignored(f"{self._channel}: {why}"),)
        keeper.withdraw()
        keeper.withdrawn = True
        keeper.book.replace((), ())
        return (self._gap(name, why, last, time), self.changed(keeper, name, last, time, received))

    # ── events ───────────────────────────────────────────────────────────────────────────────────────────────────

    def changed(
        self, keeper: Keeper[U], name: str, last: int, time: Microseconds, received: Microseconds
    ) -> BookChanged:
        symbol, market = self._labels[name]
        return BookChanged(self._exchange, symbol, market, keeper.book, last, time, received)

    def _repair(self, name: str, verdict: Verdict) -> Sequence[FeedEvent]:
        """The request for a snapshot; none where the next message is a whole book anyway."""
        symbol = self._labels[name][0]
        if self._snapshot_request is not None:
            return (SnapshotNeeded(symbol, self._snapshot_request(name)),)
        return () if self._rule.repairs_itself else (Resubscribe(symbol, f"{self._channel}: {verdict.value}"),)

    def _ignored(self, verdict: Verdict) -> Ignored:
        return Ignored(f"{self._channel} update: {verdict.value}")

    def _resynced(self, keeper: Keeper[U], symbol: str, time: Microseconds) -> ExchangeStatus:
        keeper.withdrawn = False
        detail = f"{symbol}: proved again"
        return ExchangeStatus(self._exchange, self._channel, StatusKind.RESYNCED, 0.0, detail, time, symbol)

    def _gap(self, name: str, why: str, value: int, time: Microseconds) -> ExchangeStatus:
        symbol = self._labels[name][0]
        detail = f"{symbol}: {why}"
        return ExchangeStatus(self._exchange, self._channel, StatusKind.GAP, float(value), detail, time, symbol)


def _frozen(event: FeedEvent) -> FeedEvent:
    """Several changes of one book in one answer: each must show the book as it was after it."""
    return replace(event, book=event.book.copy()) if isinstance(event, BookChanged) else event
