"""Whether each subscribed stream still sends data, even while other streams of its socket do.

A market may be quiet: silence alone is no fault. It is one if something else shows that there should have been data:

quote     a trade of the symbol, which changes the best bid or ask
book      a quote or a trade of the symbol
funding   anything of the symbol, or the funding of another one on the same socket: it is sent regularly
trade     quotes of a socket's symbols, while it sends no trade of any of them: those of one symbol may be rare

And only if the other lasted longer than the usual silence of the stream itself. Reads no clock.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from msgspec import Struct

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind, StreamKind

EVERY: Microseconds = 1_000_000
LEAST: Microseconds = 30_000_000
FACTOR = 5
"""Times the longest silence that ended by itself: how long a stream may be silent while others are not."""
GRACE: Microseconds = 5_000_000
"""How long a stream may lag behind the evidence that it should have sent data."""
REPEATED: Microseconds = 5_000_000
"""How often a stale stream is reported again, for stages that start later."""
REOPENED: Microseconds = 30_000_000
"""How long after it became stale its socket is reopened; while that does not help, after twice the wait each time."""
REOPENED_AT_MOST: Microseconds = 3_600_000_000
NAMED = 5
"""The most symbols that a status names."""

Times = dict[str, Microseconds]


class _Stream(Struct):
    """Of one symbol; of all of a socket's if ``kind`` is TRADE. ``since`` is when it was subscribed to."""

    kind: StreamKind
    socket: int
    symbols: tuple[str, ...]
    since: Microseconds
    last: Microseconds = 0
    longest: Microseconds = 0
    suspected: Microseconds = 0
    stale: Microseconds = 0
    reopen: Microseconds = 0
    wait: Microseconds = REOPENED


Key = tuple[StreamKind, int, tuple[str, ...]]


class Liveness:
    """``quotes``, ``trades``, ``books`` and ``funding`` have the times of each symbol's last data, set by the caller.

    ``waiting`` are the symbols whose snapshot was requested: their books can't change before it arrives.
    """

    def __init__(self, exchange: str) -> None:
        self._exchange = exchange
        self.quotes, self.trades, self.books, self.funding = Times(), Times(), Times(), Times()
        self.waiting: set[str] = set()
        self._paused: set[str] = set()
        self._last_seen = {
            StreamKind.QUOTE: self.quotes,
            StreamKind.TRADE: self.trades,
            StreamKind.BOOK: self.books,
            StreamKind.FUNDING: self.funding,
        }
        self._streams: dict[Key, _Stream] = {}
        self._open: set[int] = set()
        self._checked: Microseconds = 0
        self._published: dict[StreamKind, Microseconds] = {}

    def opened(self, socket: int, streams: Iterable[tuple[StreamKind, str]], now: Microseconds) -> None:
        """These were subscribed to, perhaps again: their statistics are kept."""
        self._open.add(socket)
        of_kind = defaultdict[StreamKind, list[str]](list)
        for kind, symbol in streams:
            of_kind[kind].append(symbol)
        for kind, symbols in of_kind.items():
            for together in [tuple(symbols)] if kind is StreamKind.TRADE else [(one,) for one in symbols]:
                stream = self._streams.setdefault((kind, socket, together), _Stream(kind, socket, together, now))
                stream.since, stream.suspected = now, 0

    def closed(self, socket: int) -> None:
        """The socket is disconnected, and reports that itself."""
        self._open.discard(socket)

    def pause(self, symbol: str) -> None:
        """Trading is halted: no data is expected."""
        self._paused.add(symbol)

    def resume(self, symbol: str) -> None:
        self._paused.discard(symbol)

    def check(self, now: Microseconds) -> tuple[Sequence[ExchangeStatus], Sequence[int]]:
        """At most once an ``EVERY``: the statuses of the streams, and the sockets to reopen."""
        if now - self._checked < EVERY:
            return (), ()
        self._checked = now
        newest = self._newest_funding()
        statuses, reopen = list[ExchangeStatus](), set[int]()
        for stream in self._streams.values():
            if stream.socket in self._open:
                statuses += self._judge(stream, newest.get(stream.socket, 0), now)
                if stream.stale and now >= stream.reopen:
                    stream.wait = min(2 * stream.wait, REOPENED_AT_MOST)
                    stream.reopen = now + stream.wait
                    reopen.add(stream.socket)
        return [*statuses, *self._repeated(now)], sorted(reopen)

    def _judge(self, stream: _Stream, newest_funding: Microseconds, now: Microseconds) -> Sequence[ExchangeStatus]:
        seen = self._last_seen[stream.kind]
        if self._paused.issuperset(stream.symbols) or self._is_waiting(stream):
            stream.since, stream.suspected, stream.stale = now, 0, 0
            return ()
        last = max((seen.get(symbol, 0) for symbol in stream.symbols), default=0)
        if last > stream.last:
            return self._recovered(stream, last, now)
        last = max(last, stream.since)
        evidence = self._evidence(stream, newest_funding)
        if evidence - last < max(LEAST, FACTOR * stream.longest):
            stream.suspected = 0
        elif not stream.suspected:
            stream.suspected = now
        elif not stream.stale and now - stream.suspected >= GRACE:
            stream.stale, stream.wait = now, REOPENED
            stream.reopen = now + REOPENED
            return [self._stale(stream.kind, now)]
        return ()

    def _is_waiting(self, stream: _Stream) -> bool:
        return stream.kind is StreamKind.BOOK and stream.symbols[0] in self.waiting

    def _recovered(self, stream: _Stream, last: Microseconds, now: Microseconds) -> Sequence[ExchangeStatus]:
        """A silence that ended by itself counts as usual."""
        if stream.last and not stream.stale and last - max(stream.last, stream.since) > stream.longest:
            stream.longest = last - max(stream.last, stream.since)
        was_stale, stream.last, stream.suspected, stream.stale = stream.stale, last, 0, 0
        if not was_stale:
            return ()
        detail = f"{_named(stream.symbols)} after {(now - was_stale) / 1e6:.0f} s"
        return [ExchangeStatus(self._exchange, stream.kind, StatusKind.RESYNCED, 0.0, detail, now)]

    def _evidence(self, stream: _Stream, newest_funding: Microseconds) -> Microseconds:
        symbol = stream.symbols[0]
        match stream.kind:
            case StreamKind.QUOTE:
                return self.trades.get(symbol, 0)
            case StreamKind.BOOK:
                return max(self.quotes.get(symbol, 0), self.trades.get(symbol, 0))
            case StreamKind.FUNDING:
                return max(newest_funding, self.quotes.get(symbol, 0), self.trades.get(symbol, 0))
            case StreamKind.TRADE:
                return max((self.quotes.get(one, 0) for one in stream.symbols), default=0)

    def _newest_funding(self) -> dict[int, Microseconds]:
        """By socket."""
        newest = dict[int, Microseconds]()
        for kind, socket, symbols in self._streams:
            if kind is StreamKind.FUNDING:
                newest[socket] = max(newest.get(socket, 0), self.funding.get(symbols[0], 0))
        return newest

    def _repeated(self, now: Microseconds) -> Sequence[ExchangeStatus]:
        stale = {one.kind for one in self._streams.values() if one.stale and one.socket in self._open}
        return [self._stale(kind, now) for kind in sorted(stale) if now - self._published.get(kind, 0) >= REPEATED]

    def _stale(self, kind: StreamKind, now: Microseconds) -> ExchangeStatus:
        """One status for all stale streams of a kind; ``value`` is the longest silence in seconds."""
        self._published[kind] = now
        stale = [one for one in self._streams.values() if one.kind is kind and one.stale and one.socket in self._open]
        symbols = [symbol for one in stale for symbol in one.symbols]
        silent = (now - min(max(one.last, one.since) for one in stale)) / 1e6
        detail = f"subscribed and silent for {silent:.0f} s while others sent data: {_named(symbols)}"
        only = symbols[0] if len(symbols) == 1 else ""
        return ExchangeStatus(self._exchange, kind, StatusKind.STALE, silent, detail, now, only)


def _named(symbols: Sequence[str]) -> str:
    more = f" and {len(symbols) - NAMED} more" if len(symbols) > NAMED else ""
    return ", ".join(symbols[:NAMED]) + more
