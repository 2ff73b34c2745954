"""One exchange's public data, from what came to the records of the topics: reads no clock and opens no socket.

The same calls give the same records, in the same order. So what came can be kept (producers/recording.py) and run
through again (producers/replay.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from neuroflux.domain import ExchangeStatus, Funding, Instrument, Microseconds, Numeral, Quote, StatusKind, Trade
from neuroflux.exchanges.base_exchange import (
    Answer,
    BookChanged,
    Exchange,
    FeedEvent,
    MarketFeed,
    SnapshotNeeded,
    Subscription,
    Undecodable,
)
from neuroflux.sink import Sink
from neuroflux.topics import BOOKS, FUNDING, INSTRUMENTS, MARKET_DEAD_LETTERS, QUOTES, STATUS, TRADES
from producers.pictures import Pictures
from producers.vitals import Seldom

Want = Callable[[SnapshotNeeded], None]
"""Is told to fetch a snapshot, whose answer goes to ``Normaliser.answer``."""


class Normaliser:
    """Holds the books of one exchange. A socket is known by its place among ``subscriptions``."""

    def __init__(self, exchange: Exchange, sink: Sink, want: Want) -> None:
        self._exchange, self._sink, self._want = exchange, sink, want
        self._subscriptions: Sequence[Subscription] = ()
        self._channels: list[str] = []
        self._pictures: list[Pictures] = []
        self._pictures_of: dict[str, Pictures] = {}
        self._seldom = Seldom()
        self._feed: MarketFeed

    # ── what came ────────────────────────────────────────────────────────────────────────────────────────────────

    def instruments(self, answers: Sequence[Answer], now: Microseconds) -> Sequence[Instrument]:
        """Take the lists of instruments, and publish what they say. Nothing else may come before."""
        instruments = self._exchange.instruments(answers)
        for instrument in instruments:
            self._sink.publish(INSTRUMENTS, instrument)
        self._feed = self._exchange.market_feed(instruments)
        return instruments

    def follow(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Subscription]:
        """The sockets that bring these symbols."""
        self._subscriptions = self._feed.subscriptions(symbols)
        self._channels = [one.path.partition("?")[0] for one in self._subscriptions]
        self._pictures = [Pictures() for _ in self._subscriptions]
        return self._subscriptions

    def frame(self, socket: int, raw: bytes, received: Microseconds) -> None:
        pictures = self._pictures[socket]
        pictures.alive(received)
        self._take(self._feed.frame(raw, received), pictures, raw, self._channels[socket], received)

    def answer(self, symbol: str, answer: Answer, received: Microseconds) -> None:
        """Take the snapshot of a book that was wanted."""
        self._take(self._feed.answer(answer, received), self._pictures_of[symbol], answer.body, "snapshot", received)

    def socket(self, socket: int, kind: StatusKind, value: float, detail: str, now: Microseconds) -> None:
        """Take what happened to a socket; the books of a lost one are withdrawn."""
        if kind is StatusKind.DISCONNECTED:
            self._feed.disconnected(self._subscriptions[socket])
            self._pictures[socket].withdraw_all()
        self._say(self._channels[socket], kind, value, detail, now)

    def passed(self, now: Microseconds) -> None:
        """Take that time has passed: publish the pictures that are due."""
        for pictures in self._pictures:
            for picture in pictures.due(now):
                if picture.bids and picture.asks:
                    self._sink.publish(BOOKS, picture)

    # ── what it says ─────────────────────────────────────────────────────────────────────────────────────────────

    def _take(
        self, events: Iterable[FeedEvent], pictures: Pictures, raw: bytes, channel: str, now: Microseconds
    ) -> None:
        publish = self._sink.publish
        for event in events:
            match event:
                case Quote():
                    self._quote(event)
                case BookChanged():
                    pictures.changed(event)
                case Trade():
                    publish(TRADES, event)
                case Funding():
                    publish(FUNDING, event)
                case SnapshotNeeded():
                    pictures.withdraw(event.symbol)
                    self._pictures_of[event.symbol] = pictures
                    self._want(event)
                case ExchangeStatus():
                    if event.kind is StatusKind.GAP:
                        pictures.withdraw(event.symbol)
                    publish(STATUS, event)
                case Undecodable():
                    self._dead_letter(raw, event.reason, channel, now)

    def _quote(self, quote: Quote[Numeral]) -> None:
        """A crossed or empty top is no quote."""
        if 0 < float(quote.bid_price) < float(quote.ask_price) and float(quote.bid_size) and float(quote.ask_size):
            self._sink.publish(QUOTES, quote)
            return
        if self._seldom.now(quote.symbol, quote.received_time):
            why = f"{quote.symbol}: bid {quote.bid_price} x {quote.bid_size}, ask {quote.ask_price} x {quote.ask_size}"
            when = quote.received_time
            status = ExchangeStatus(quote.exchange, "quotes", StatusKind.EXCLUDED, 0.0, why, when, quote.symbol)
            self._sink.publish(STATUS, status)

    def _dead_letter(self, raw: bytes, reason: str, channel: str, now: Microseconds) -> None:
        told = {"reason": reason, "exchange": self._exchange.ID, "channel": channel}
        headers = [(name, text.encode()) for name, text in told.items()]
        self._sink.publish_raw(MARKET_DEAD_LETTERS, None, raw, headers)
        if self._seldom.now("malformed", now):
            self._say(channel, StatusKind.MALFORMED, 0.0, reason, now)

    def _say(self, channel: str, kind: StatusKind, value: float, detail: str, now: Microseconds) -> None:
        self._sink.publish(STATUS, ExchangeStatus(self._exchange.ID, channel, kind, value, detail, now))
