"""The streams of one exchange: which sockets follow them, and when they send which frames."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
from msgspec import Struct

from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Side
from neuroflux.sim.core.world import Change


class Unsent(Struct):
    """The levels that changed since a stream's last frame, and the numbers of their first and last update."""

    previous: int
    first: int = 0
    last: int = 0
    levels: dict[tuple[Side, int], None] = msgspec.field(default_factory=dict)


class Channel(Struct, frozen=True):
    """What the streams of one kind send. A writer returns the text of a frame, "" for none; it has those that it needs.

    ``first``: to a new follower. ``trades``: the trades of a change. ``top``: the best prices of a symbol, when they
    moved. ``levels``: the levels that changed. ``timed``: the state at this time, changed or not.
    """

    first: Callable[[str], str] | None = None
    trades: Callable[[Change, int], Iterable[str]] | None = None
    top: Callable[[str, int], str] | None = None
    levels: Callable[[str, Unsent, int], str] | None = None
    timed: Callable[[str, int], str] | None = None
    is_depth: bool = False
    is_private: bool = False


class Stream(Struct, eq=False):
    """A stream that is followed. ``key`` is a symbol, an account, or "" for every symbol.

    ``every`` is the least time between two frames, in µs; 0 for as soon as something changed.
    """

    name: str
    key: str
    channel: Channel
    every: int
    unsent: Unsent
    sent: int = 0
    followers: dict[Connection, None] = msgspec.field(default_factory=dict)


class Hub:
    """Sends the frames of every stream that has followers. Times are in µs, the exchange's."""

    def __init__(self, exchange: SimExchange) -> None:
        self._exchange = exchange
        self._streams: dict[str, Stream] = {}
        self._by_key: dict[str, dict[str, Stream]] = {}
        self._tops: dict[tuple[str, str], tuple[tuple[int, int] | None, ...]] = {}

    # --- followers

    def follow(self, connection: Connection, name: str, key: str, channel: Channel, every: int = 0) -> None:
        """Subscribe a socket, and send it the stream's first frame."""
        connection.streams[name] = None
        stream = self._streams.get(name) or self._open(name, key, channel, every)
        stream.followers[connection] = None
        if channel.first:
            connection.send(connection.wrap(name, channel.first(key)), stream=name)

    def _open(self, name: str, key: str, channel: Channel, every: int) -> Stream:
        book = self._exchange.books.get(key)
        stream = Stream(name, key, channel, every, Unsent(book.sequence if book is not None else 0))
        self._streams[name] = self._by_key.setdefault(key, {})[name] = stream
        return stream

    def followers(self, name: str) -> int:
        """How many sockets follow a stream."""
        return len(self._streams[name].followers) if name in self._streams else 0

    def unfollow(self, connection: Connection, name: str) -> None:
        connection.streams.pop(name, None)
        stream = self._streams.get(name)
        if stream is not None and connection in stream.followers:
            del stream.followers[connection]
            if not stream.followers:
                del self._streams[name]
                del self._by_key[stream.key][name]

    def leave(self, connection: Connection) -> None:
        """End every subscription of a socket."""
        for name in list(connection.streams):
            self.unfollow(connection, name)

    # --- frames

    def send(self, name: str, write: Callable[[], str]) -> None:
        """Send a frame of a stream; it is written only where the stream is followed."""
        stream = self._streams.get(name)
        if stream is not None:
            _send(stream, write())

    def hasten(self, name: str) -> None:
        """Let a stream's next timed frame be due now."""
        if name in self._streams:
            self._streams[name].sent = 0

    def publish(self, changes: Sequence[Change], now: int) -> None:
        """Send what these changes and the time make due."""
        for change in changes:
            for key in (change.listing.symbol, ""):
                for stream in list(self._by_key.get(key, {}).values()):
                    self._on_change(stream, change, now)
        for stream in list(self._streams.values()):
            if stream.every and now - stream.sent >= stream.every:
                self._on_time(stream, now)

    def _on_change(self, stream: Stream, change: Change, now: int) -> None:
        channel, symbol = stream.channel, change.listing.symbol
        if channel.trades and change.matches:
            for text in channel.trades(change, now):
                _send(stream, text)
        if channel.top and self._top_moved(stream, change):
            _send(stream, channel.top(symbol, now))
        if channel.levels and change.levels:
            stream.unsent.levels |= dict.fromkeys(change.levels)
            stream.unsent.first = stream.unsent.first or change.first
            if not stream.every:
                self._send_levels(stream, channel.levels, now)

    def _top_moved(self, stream: Stream, change: Change) -> bool:
        place, book = (stream.name, change.listing.symbol), change.book
        top = tuple(half.levels(1)[0] if len(half) else None for half in (book.bids, book.asks))
        moved = self._tops.get(place) != top
        self._tops[place] = top
        return moved

    def _on_time(self, stream: Stream, now: int) -> None:
        channel = stream.channel
        if channel.timed:
            stream.sent = now
            _send(stream, channel.timed(stream.key, now))
        elif channel.levels and stream.unsent.levels:
            self._send_levels(stream, channel.levels, now)

    def _send_levels(self, stream: Stream, write: Callable[[str, Unsent, int], str], now: int) -> None:
        unsent = stream.unsent
        unsent.last = self._exchange.books[stream.key].sequence
        stream.sent, stream.unsent = now, Unsent(unsent.last)
        _send(stream, write(stream.key, unsent, now))


def _send(stream: Stream, text: str) -> None:
    channel = stream.channel
    for connection in list(stream.followers) if text else ():
        frame = connection.wrap(stream.name, text)
        connection.send(frame, stream=stream.name, is_depth=channel.is_depth, is_private=channel.is_private)
