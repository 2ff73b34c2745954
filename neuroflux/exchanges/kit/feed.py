"""What every feed does alike: bytes become events, or one ``Undecodable``, and never an exception.

An adapter's feed derives from ``PublicFeed`` or ``PrivateFeed`` and fills in the hooks, which may raise ``UNREADABLE``:

``routes``           what decodes the frequent kinds of frame, and what makes events of them
``on_frame``         any other frame
``on_answer``        an answer with status 200
``unreadable``       what a frame is that could not be read, if not ``Undecodable``
``refused``          what an answer with another status is, if not ``Undecodable``
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from neuroflux.domain import Instrument, Microseconds, StreamKind
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.kit.books import Books, Labels
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Subscription
from neuroflux.exchanges.kit.shapes import UNREADABLE

OK: Final = 200

Route = tuple[Callable[[bytes], Any], Callable[[Any, Microseconds], Sequence[FeedEvent]]]
"""The decoder of one kind of frame, and what makes events of the decoded frame."""


class KindAt(Struct, frozen=True):
    """Where a frame names its kind: in one that starts with ``start``, between ``before`` and ``until``.

    ``until`` is looked for after ``start``: ``{"stream":"btcusdt@trade"`` has its kind between ``@`` and ``"``.
    """

    start: bytes
    before: bytes
    until: bytes = b'"'


class _Feed:
    """The guards that both feeds share."""

    def __init__(self, exchange: str) -> None:
        self.exchange = exchange

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        if answer.status != OK:
            return self.refused(answer, received_time)
        try:
            return self.on_answer(answer, received_time)
        except UNREADABLE as error:
            subject = self.subject(answer)
            return (Undecodable(f"{subject}: {error}" if subject else str(error)),)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        raise NotImplementedError

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        raise NotImplementedError

    def refused(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return (Undecodable(f"HTTP {answer.status}: {answer.body[:200]!r}"),)

    def unreadable(self, raw: bytes, error: Exception, received: Microseconds) -> Sequence[FeedEvent]:
        return (Undecodable(str(error)),)

    def subject(self, answer: Answer) -> str:
        """What an answer that can't be read was about."""
        return ""


class PublicFeed(_Feed):
    """Public data of the given instruments; one that is not listed keeps the exchange's name as symbol and market.

    A subclass sets ``books``, and may set ``routes`` by the kind that ``kind_at`` finds.
    """

    books: Books[Any]

    def __init__(self, exchange: str, instruments: Iterable[Instrument], kind_at: KindAt) -> None:
        super().__init__(exchange)
        self.instruments: dict[str, Instrument] = {}
        self.labels = Labels()
        self.routes: Mapping[bytes, Route] = {}
        self._start, self._before, self._until = kind_at.start, kind_at.before, kind_at.until
        self._starts_at, self._skipped = len(kind_at.start), len(kind_at.before)
        self.learn(list(instruments))

    def learn(self, instruments: Sequence[Instrument]) -> None:
        self.instruments |= {one.symbol: one for one in instruments}
        self.labels.update((one.name, (one.symbol, one.market)) for one in instruments)

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        """The frequent kinds are found by their name in the raw bytes, and decoded once."""
        try:
            frame = raw if isinstance(raw, bytes) else raw.encode()
        except UnicodeEncodeError as error:
            return (Undecodable(str(error)),)
        try:
            if frame.startswith(self._start):
                at = frame.find(self._before) + self._skipped
                route = self.routes.get(frame[at : frame.find(self._until, self._starts_at)])
                if route is not None:
                    decode, on = route
                    return on(decode(frame), received_time)
            return self.on_frame(frame, received_time, channel)
        except UNREADABLE as error:
            return self.unreadable(frame, error, received_time)

    def routed(self, kind: str, raw: bytes, received: Microseconds) -> Sequence[FeedEvent]:
        """A frame of this kind on its route, wherever the frame names it; Ignored where there is no route."""
        route = self.routes.get(kind.encode())
        if route is None:
            return (Ignored(kind or "message"),)
        decode, on = route
        return on(decode(raw), received)

    def listed(self, symbols: Iterable[str]) -> Sequence[Instrument]:
        """The instruments of these symbols; raises UnknownSymbol."""
        unknown = [symbol for symbol in symbols if symbol not in self.instruments]
        if unknown:
            raise UnknownSymbol(f"{self.exchange} lists no {unknown[0]}")
        return [self.instruments[symbol] for symbol in symbols]

    def disconnected(self, subscription: Subscription) -> None:
        self.books.withdraw(self.books_of(subscription))

    def books_of(self, subscription: Subscription) -> Collection[str]:
        """The exchange's names of the instruments whose books this socket brings."""
        symbols = (symbol for kind, symbol in subscription.streams if kind is StreamKind.BOOK)
        return {self.instruments[symbol].name for symbol in symbols}


class PrivateFeed(_Feed):
    """Private data of one account; an instrument that is not listed keeps the exchange's name as symbol."""

    pushes_figures = True

    def __init__(self, exchange: str, keys: Keys, instruments: Iterable[Instrument]) -> None:
        super().__init__(exchange)
        self.keys = keys
        self.instruments: dict[str, Instrument] = {}
        self.symbols: dict[str, str] = {}
        self.learn(list(instruments))

    def learn(self, instruments: Sequence[Instrument]) -> None:
        self.instruments |= {one.name: one for one in instruments}
        self.symbols |= {one.name: one.symbol for one in instruments}

    def opening(self, now: Microseconds) -> Sequence[Request]:
        return ()

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        return ()

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        return ()

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        try:
            frame = raw if isinstance(raw, bytes) else raw.encode()
        except UnicodeEncodeError as error:
            return (Undecodable(str(error)),)
        try:
            return self.on_frame(frame, received_time, channel)
        except UNREADABLE as error:
            return self.unreadable(frame, error, received_time)


def chunks(listed: Sequence[Instrument], streams: int, most: int) -> Iterator[Sequence[Instrument]]:
    """The instruments of each socket, where an instrument has so many ``streams`` and a socket brings ``most``."""
    together = most // streams
    return (listed[start : start + together] for start in range(0, len(listed), together))
