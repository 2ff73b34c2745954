"""Kraken's public feed: the best prices, trades and books of WebSocket v2.

A book has no numbers: each frame carries the checksum of the book that it makes, and its time counts as its number.
After a frame that makes another book its subscription is ended and begun again, which brings a snapshot. Source:
https://docs.kraken.com/api/docs/websocket-v2/book and https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from decimal import Decimal
from typing import Final
from zlib import crc32

import msgspec
from msgspec.json import Decoder

from neuroflux.domain import (
    ExchangeStatus,
    Instrument,
    Level,
    Microseconds,
    Numeral,
    Quote,
    StatusKind,
    StreamKind,
    Trade,
)
from neuroflux.exchanges.kit.books import Books
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.feed import KindAt, PublicFeed, chunks
from neuroflux.exchanges.kit.numerals import plain, positive
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.requests import Answer, Subscription
from neuroflux.exchanges.kit.sequences import BookUpdate, Checksummed
from neuroflux.exchanges.kraken.messages import (
    ID,
    BookFrame,
    Head,
    QuoteFrame,
    TradeFrame,
    WireBook,
    WireLevel,
    WireQuote,
    WireTrade,
    microseconds,
    side_of,
    text_of,
)
from neuroflux.exchanges.kraken.old_socket import OldFrames

PATH: Final = "/v2"
PAIRS: Final = 50
"""Pairs of one socket."""
DEPTH: Final = 100
"""Levels of a side that are subscribed to: 10, 25, 100, 500 or 1000."""
CHECKED: Final = 10
"""Levels of a side that the checksum is made of, at any depth."""
QUIET_SECONDS: Final = 15.0
"""A heartbeat comes each second in which nothing else does."""

Take = Callable[[BookUpdate, Microseconds], Sequence[FeedEvent]]

_START: Final = b'{"channel":"'
_HEAD: Final = Decoder(Head)
_KINDS: Final = (StreamKind.QUOTE, StreamKind.TRADE, StreamKind.BOOK)


def message(method: str, channel: str, **params: object) -> bytes:
    return msgspec.json.encode({"method": method, "params": {"channel": channel, **params}})


class KrakenMarketFeed(PublicFeed):
    """A frame has the symbol itself, so that books and labels are kept by it."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        super().__init__(ID, instruments, KindAt(_START, _START))
        self.books = Books(ID, "book", Checksummed(self._checksum, DEPTH), self.labels)
        self.routes = {
            b"ticker": (Decoder(QuoteFrame, float_hook=str).decode, self._quotes),
            b"trade": (Decoder(TradeFrame, float_hook=str).decode, self._trades),
            b"book": (Decoder(BookFrame, float_hook=str).decode, self._books),
        }
        self._old = OldFrames(self.labels, self._checksum)

    def learn(self, instruments: Sequence[Instrument]) -> None:
        self.instruments |= {one.symbol: one for one in instruments}
        self.labels.update((one.symbol, (one.symbol, one.market)) for one in instruments)

    def books_of(self, subscription: Subscription) -> Collection[str]:
        return {symbol for kind, symbol in subscription.streams if kind is StreamKind.BOOK}

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        return [_subscription([one.symbol for one in listed]) for listed in chunks(self.listed(symbols), 1, PAIRS)]

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        if raw.startswith(b"["):
            return self._old.events(raw, received)
        head = _HEAD.decode(raw)
        if head.channel.encode() in self.routes:
            return self.routed(head.channel, raw, received)
        if head.refusal:
            return (ExchangeStatus(ID, "market", StatusKind.UNKNOWN, 0.0, head.refusal, received),)
        return (Ignored(head.channel or head.method or "message"),)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return (Ignored("no snapshot is requested over REST"),)

    def _quotes(self, frame: QuoteFrame, received: Microseconds) -> Sequence[FeedEvent]:
        return [self._quote(one, received) for one in frame.data] or [Ignored("ticker")]

    def _quote(self, wire: WireQuote, received: Microseconds) -> FeedEvent:
        best = [text_of(0 if one is None else one) for one in (wire.bid, wire.bid_qty, wire.ask, wire.ask_qty)]
        if not positive(*best):
            return _one_sided(wire, best)
        symbol, market = self.labels[wire.symbol]
        time = microseconds(wire.timestamp) if wire.timestamp else received
        return Quote(ID, symbol, market, best[0], best[1], best[2], best[3], time, time, received)

    def _trades(self, frame: TradeFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """A snapshot has trades of before, and none is asked for."""
        if frame.type == "snapshot":
            return (Ignored("trades of before"),)
        return [self._trade(one, received) for one in frame.data] or [Ignored("trade")]

    def _trade(self, wire: WireTrade, received: Microseconds) -> Trade[str]:
        price, size = text_of(wire.price), text_of(wire.qty)
        if not positive(price, size):
            raise ValueError(f"a trade of {wire.symbol[:80]} has no amount")
        symbol, market = self.labels[wire.symbol]
        time = microseconds(wire.timestamp)
        return Trade(ID, symbol, market, str(wire.trade_id), side_of(wire.side), price, size, time, received)

    # ── books ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _books(self, frame: BookFrame, received: Microseconds) -> Sequence[FeedEvent]:
        take = self.books.replaced if frame.type == "snapshot" else self.books.update
        events = [event for one in frame.data for event in self._book(one, take, received)]
        return events or [Ignored("book")]

    def _book(self, wire: WireBook, take: Take, received: Microseconds) -> Sequence[FeedEvent]:
        time = microseconds(wire.timestamp) if wire.timestamp else received
        update = BookUpdate(wire.symbol, _levels(wire.bids), _levels(wire.asks), time, time, checksum=wire.checksum)
        return take(update, received)

    def _checksum(self, book: OrderBook, symbol: str) -> int:
        """Of a pair that is not listed, the digits are taken as they were sent."""
        listed = self.instruments.get(symbol)
        places = (decimals(listed.tick_size), decimals(listed.quantity_step)) if listed is not None else (0, 0)
        return checksum(book, *places)


def _subscription(symbols: Sequence[str]) -> Subscription:
    book = {"depth": DEPTH, "snapshot": True}
    frames = (
        message("subscribe", "ticker", symbol=symbols, event_trigger="bbo", snapshot=True),
        message("subscribe", "trade", symbol=symbols, snapshot=False),
        message("subscribe", "book", symbol=symbols, **book),
    )
    again = {
        one: (
            message("unsubscribe", "book", symbol=[one], depth=DEPTH),
            message("subscribe", "book", symbol=[one], **book),
        )
        for one in symbols
    }
    brings = tuple((kind, one) for one in symbols for kind in _KINDS)
    return Subscription(PATH, frames, quiet_seconds=QUIET_SECONDS, streams=brings, resubscribes=again)


def _one_sided(wire: WireQuote, best: Sequence[str]) -> FeedEvent:
    if not plain(*best):
        return Undecodable(f"ticker of {wire.symbol[:80]}: {', '.join(best)[:200]} are no prices and sizes")
    return Ignored("a quote of one side")


def _levels(levels: Sequence[WireLevel]) -> list[tuple[str, str]]:
    return [(text_of(one.price), text_of(one.qty)) for one in levels]


# ── the checksum ─────────────────────────────────────────────────────────────────────────────────────────────────


def checksum(book: OrderBook, price_places: int, size_places: int) -> int:
    """CRC32 of the best asks, then the best bids: price and size with all their decimals, without points and leading
    zeros."""
    levels = (*book.asks(CHECKED), *book.bids(CHECKED))
    return crc32("".join(_digits(one, price_places, size_places) for one in levels).encode())


def _digits(level: Level[Numeral], price_places: int, size_places: int) -> str:
    return _padded(level.price, price_places) + _padded(level.quantity, size_places)


def _padded(number: Numeral, places: int) -> str:
    """A frame may leave out the last zeros of a number, and the point with them."""
    whole, _, fraction = number.partition(".")
    return (whole + fraction.ljust(places, "0")).lstrip("0")


def decimals(step: Decimal) -> int:
    """
    >>> decimals(Decimal("0.10")), decimals(Decimal("1E+2"))
    (1, 0)
    """
    exponent = step.normalize().as_tuple().exponent
    return max(-exponent, 0) if isinstance(exponent, int) else 0
