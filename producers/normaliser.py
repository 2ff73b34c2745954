"""One exchange's public data, from frames and answers to the records of the topics: reads no clock, opens no socket.

The same calls give the same records, in the same order. So the calls can be recorded (producers/recording_file.py) and
replayed (producers/replay.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from neuroflux.domain import ExchangeStatus, Funding, Instrument, Microseconds, Numeral, Quote, StatusKind, Trade
from neuroflux.engine.health.state import MARKET
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, PageNeeded, Resubscribe, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.interface import Exchange, MarketFeed
from neuroflux.exchanges.kit.requests import Answer, Subscription
from neuroflux.records.dead_letters import frame_dead_letter
from neuroflux.records.sink import Sink
from neuroflux.records.topics import BOOKS, FUNDING, INSTRUMENTS, QUOTES, STATUS, TRADES
from producers.book_schedule import BookSchedule
from producers.listings import Listings
from producers.liveness import Liveness
from producers.notices import Notices, OncePerSecond

Fetch = Callable[[SnapshotNeeded | PageNeeded], None]
"""Called to have a snapshot or a page fetched, whose answer is passed to ``Normaliser.answer``."""


class Normaliser:
    """Holds the books of one exchange. A socket is identified by its number in the order in which they were followed.

    ``on_reopen`` is called with a socket that is to be opened again, and why; ``on_resubscribe`` with a socket, the
    symbol whose book is to be subscribed to again on it, and why.
    """

    def __init__(self, exchange: Exchange, sink: Sink, fetch: Fetch) -> None:
        self._exchange, self._sink, self._fetch = exchange, sink, fetch
        self.on_reopen: Callable[[int, str], None] = lambda socket, why: None
        self.on_resubscribe: Callable[[int, str, str], None] = lambda socket, symbol, why: None
        self._listings, self._notices, self._liveness = Listings(), Notices(), Liveness(exchange.ID)
        self._subscriptions: list[Subscription] = []
        self._channels: list[str] = []
        self._book_schedule: list[BookSchedule] = []
        self._books_of: dict[str, BookSchedule] = {}
        self._once_per_second = OncePerSecond()
        self._has_feed = False
        self._feed: MarketFeed

    def logged(self, instruments: Iterable[Instrument]) -> None:
        """Take the instruments in the log, before the first list: those that the list omits are no longer listed."""
        self._listings = Listings(instruments)

    @property
    def listed(self) -> Sequence[Instrument]:
        """The instruments of the exchange's last list."""
        return self._listings.listed

    def is_changed(self, instrument: Instrument) -> bool:
        """Whether another stage read an instrument that differs from ours; fees that differ are taken over."""
        return self._listings.update(instrument)

    # ── input ────────────────────────────────────────────────────────────────────────────────────────────────────

    def instruments(self, answers: Sequence[Answer], now: Microseconds) -> Sequence[Instrument]:
        """Take the lists of instruments, and publish what is new in them. The first call must be this one.

        Raises what ``Exchange.listing`` raises.
        """
        listing = self._exchange.listing(answers)
        changed = self._listings.read(listing)
        for instrument in changed:
            self._sink.publish(INSTRUMENTS, instrument)
            self._halt_or_resume(instrument)
        for text in self._notices.faults(listing.faults):
            self._report(MARKET, StatusKind.UNKNOWN, 0.0, f"the list of instruments: {text}", now)
        if self._has_feed:
            self._feed.learn(changed)
        else:
            self._feed, self._has_feed = self._exchange.market_feed(listing.instruments), True
        return changed

    def _halt_or_resume(self, instrument: Instrument) -> None:
        """The book of a halted instrument is withdrawn; its socket stays open until trading resumes."""
        if instrument.active:
            self._liveness.resume(instrument.symbol)
            return
        self._liveness.pause(instrument.symbol)
        for snapshots in self._book_schedule:
            snapshots.withdraw(instrument.symbol)

    def follow(self, symbols: Sequence[str], now: Microseconds) -> Sequence[tuple[int, Subscription]]:
        """The sockets of these symbols, with their numbers; in addition to the existing ones."""
        first, new = len(self._subscriptions), self._feed.subscriptions(symbols)
        self._subscriptions += new
        self._channels += [one.path.partition("?")[0] for one in new]
        self._book_schedule += [BookSchedule() for _ in new]
        return list(enumerate(new, first))

    def frame(self, socket: int, raw: bytes, received: Microseconds) -> None:
        snapshots = self._book_schedule[socket]
        snapshots.alive(received)
        events = self._feed.frame(raw, received, self._subscriptions[socket].name)
        self._take(events, snapshots, raw, self._channels[socket], received, socket)

    def answer(self, symbol: str, answer: Answer, received: Microseconds) -> None:
        """Take a fetched snapshot or page."""
        self._liveness.waiting.discard(symbol)
        self._take(self._feed.answer(answer, received), self._books_of[symbol], answer.body, "snapshot", received)

    def socket(self, socket: int, kind: StatusKind, value: float, detail: str, now: Microseconds) -> None:
        """Take an event of a socket; the books of a disconnected one are withdrawn."""
        if kind is StatusKind.DISCONNECTED:
            self._feed.disconnected(self._subscriptions[socket])
            self._book_schedule[socket].withdraw_all()
            self._liveness.closed(socket)
        elif kind is StatusKind.CONNECTED:
            self._liveness.opened(socket, self._subscriptions[socket].streams, now)
        self._report(self._channels[socket], kind, value, detail, now)

    def passed(self, now: Microseconds) -> None:
        """Take the time: publish the snapshots that are due, and check the streams."""
        for snapshots in self._book_schedule:
            for snapshot in snapshots.due(now):
                self._sink.publish(BOOKS, snapshot)
        statuses, silent = self._liveness.check(now)
        for status in statuses:
            self._sink.publish(STATUS, status)
        for socket in silent:
            self.on_reopen(socket, "a stream of it is silent")

    # ── output ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _take(
        self,
        events: Iterable[FeedEvent],
        snapshots: BookSchedule,
        raw: bytes,
        channel: str,
        now: Microseconds,
        socket: int | None = None,
    ) -> None:
        publish, seen = self._sink.publish, self._liveness
        for event in events:
            match event:
                case Quote():
                    seen.quotes[event.symbol] = now
                    self._quote(event)
                case BookChanged():
                    seen.books[event.symbol] = now
                    snapshots.changed(event)
                case Trade():
                    seen.trades[event.symbol] = now
                    publish(TRADES, event)
                case Funding():
                    seen.funding[event.symbol] = now
                    publish(FUNDING, event)
                case SnapshotNeeded():
                    snapshots.withdraw(event.symbol)
                    seen.waiting.add(event.symbol)
                    self._books_of[event.symbol] = snapshots
                    self._fetch(event)
                case Resubscribe() if socket is not None:
                    snapshots.withdraw(event.symbol)
                    self.on_resubscribe(socket, event.symbol, event.reason)
                case PageNeeded():
                    self._books_of.setdefault("", snapshots)
                    self._fetch(event)
                case ExchangeStatus():
                    self._take_status(event, snapshots, socket, now)
                case Undecodable():
                    self._dead_letter(raw, event.reason, channel, now)

    def _take_status(
        self, status: ExchangeStatus, snapshots: BookSchedule, socket: int | None, now: Microseconds
    ) -> None:
        """A socket that the exchange is about to close is reopened, and reports DISCONNECTED itself."""
        if status.kind is StatusKind.DISCONNECTED and socket is not None:
            self.on_reopen(socket, status.detail)
            return
        if status.kind is StatusKind.GAP:
            snapshots.withdraw(status.symbol)
        if self._notices.passes(status, now):
            self._sink.publish(STATUS, status)

    def _quote(self, quote: Quote[Numeral]) -> None:
        """A crossed or empty top of a book is not published."""
        if 0 < float(quote.bid_price) < float(quote.ask_price) and float(quote.bid_size) and float(quote.ask_size):
            self._sink.publish(QUOTES, quote)
            return
        if self._once_per_second.passes(quote.symbol, quote.received_time):
            why = f"{quote.symbol}: bid {quote.bid_price} x {quote.bid_size}, ask {quote.ask_price} x {quote.ask_size}"
            when = quote.received_time
            status = ExchangeStatus(quote.exchange, "quotes", StatusKind.EXCLUDED, 0.0, why, when, quote.symbol)
            self._sink.publish(STATUS, status)

    def _dead_letter(self, raw: bytes, reason: str, channel: str, now: Microseconds) -> None:
        frame_dead_letter(self._sink, raw, reason, self._exchange.ID, channel)
        if self._once_per_second.passes("malformed", now):
            self._report(channel, StatusKind.MALFORMED, 0.0, reason, now)

    def _report(self, channel: str, kind: StatusKind, value: float, detail: str, now: Microseconds) -> None:
        self._sink.publish(STATUS, ExchangeStatus(self._exchange.ID, channel, kind, value, detail, now))
