"""Coinbase's public feed: books and their best levels, and trades.

Quotes are the best levels of the proved book: the channel ``ticker`` speaks with a trade only. Source:
https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-channels
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Instrument, Level, Microseconds, Quote, Side, StatusKind, StreamKind, Trade
from neuroflux.exchanges.coinbase.messages import (
    ID,
    BookEvent,
    BookFrame,
    Head,
    TradeFrame,
    WireTrade,
    microseconds,
)
from neuroflux.exchanges.coinbase.old_exchange import OLD_FRAMES
from neuroflux.exchanges.kit.books import Books
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.feed import KindAt, PublicFeed, chunks
from neuroflux.exchanges.kit.numerals import positive
from neuroflux.exchanges.kit.requests import Answer, Subscription
from neuroflux.exchanges.kit.sequences import BookUpdate, Connections, Counted

PATH: Final = "/"
PRODUCTS: Final = 50
"""Products of one socket. A hole in the numbers of a socket concerns all of its books; an address may open eight
sockets a second, and send eight messages a second."""
QUIET_SECONDS: Final = 15.0
"""``heartbeats`` come each second, so that the exchange does not close the socket of a market where nothing moves."""

_START: Final = b'{"channel":"'
_HEAD: Final = Decoder(Head)
_KINDS: Final = (StreamKind.QUOTE, StreamKind.TRADE, StreamKind.BOOK)


def subscribe(channel: str, **more: object) -> bytes:
    """A message names one channel."""
    return msgspec.json.encode({"type": "subscribe", "channel": channel, **more})


class CoinbaseMarketFeed(PublicFeed):
    """A socket is opened again after a hole in its numbers, which brings the snapshots of all its books.

    ``sequence_num`` counts every frame of a connection, acknowledgements and heartbeats too.
    """

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        super().__init__(ID, instruments, KindAt(_START, _START))
        self.books = Books(ID, "level2", Counted(), self.labels)
        self.routes = {
            b"l2_data": (Decoder(BookFrame).decode, self._books),
            b"market_trades": (Decoder(TradeFrame).decode, self._trades),
        }
        self._numbers, self._socket = Connections(), ""
        self._products: dict[str, Collection[str]] = {}
        self._tops: dict[str, tuple[Level[str], Level[str]]] = {}
        self._last_trades: dict[str, int] = {}

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        return [self._subscription(listed) for listed in chunks(self.listed(symbols), 1, PRODUCTS)]

    def _subscription(self, listed: Sequence[Instrument]) -> Subscription:
        names, name = [one.name for one in listed], str(len(self._products) + 1)
        self._products[name] = names
        frames = (
            subscribe("heartbeats"),
            subscribe("level2", product_ids=names),
            subscribe("market_trades", product_ids=names),
        )
        brings = tuple((kind, one.symbol) for one in listed for kind in _KINDS)
        return Subscription(PATH, frames, quiet_seconds=QUIET_SECONDS, streams=brings, name=name)

    def disconnected(self, subscription: Subscription) -> None:
        super().disconnected(subscription)
        self._numbers.closed(subscription.name)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        self._socket = channel
        return super().frame(raw, received_time, channel)

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        head = _HEAD.decode(raw)
        if head.channel.encode() in self.routes:
            return self.routed(head.channel, raw, received)
        if head.sequence_num is not None:
            missed = self._missed(head.sequence_num, microseconds(head.timestamp))
            return (*missed, Ignored(head.channel))
        if head.type == "error":
            text = f"{head.message} {head.reason}".strip()[:200]
            return (ExchangeStatus(ID, "market", StatusKind.UNKNOWN, 0.0, text, received),)
        if head.type in OLD_FRAMES:
            return OLD_FRAMES[head.type](self.books, raw, received)
        return (Ignored(head.channel or head.type or "message"),)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return (Ignored("no snapshot is requested over REST"),)

    def _missed(self, number: int, time: Microseconds) -> Sequence[FeedEvent]:
        expected = self._numbers.expected(self._socket, number)
        if expected is None:
            return ()
        concerned = self._products.get(self._socket, self.books.names)
        return self.books.missed(concerned, f"expected frame {expected}, got {number}", expected, time)

    # ── books and quotes ─────────────────────────────────────────────────────────────────────────────────────────

    def _books(self, frame: BookFrame, received: Microseconds) -> Sequence[FeedEvent]:
        time = microseconds(frame.timestamp)
        events = [*self._missed(frame.sequence_num, time)]
        changed = dict[str, BookChanged]()
        for event in frame.events:
            for made in self._book(event, frame.sequence_num, time, received):
                if isinstance(made, BookChanged):
                    changed[made.symbol] = made  # the book itself: the last change of a frame shows them all
                else:
                    events.append(made)
        for one in changed.values():
            events += (one, *self._quote(one))
        return events or (Ignored("l2_data"),)

    def _book(self, event: BookEvent, number: int, time: Microseconds, received: Microseconds) -> Sequence[FeedEvent]:
        bids = [(one.price_level, one.new_quantity) for one in event.updates if one.side == "bid"]
        asks = [(one.price_level, one.new_quantity) for one in event.updates if one.side == "offer"]
        name, take = event.product_id, self.books.replaced if event.type == "snapshot" else self.books.update
        events = take(BookUpdate(name, bids, asks, number, time), received)
        if isinstance(events[0], Undecodable):  # its number is used up: the next frame would seem to follow
            return (*events, *self.books.missed((name,), "a change that can't be read", number, time))
        return events

    def _quote(self, changed: BookChanged) -> Sequence[Quote[str]]:
        """The best levels, where they are others than before."""
        bids, asks = changed.book.bids(1), changed.book.asks(1)
        if not (bids and asks) or self._tops.get(changed.symbol) == (top := (bids[0], asks[0])):
            return ()
        self._tops[changed.symbol] = top
        best = bids[0].price, bids[0].quantity, asks[0].price, asks[0].quantity
        times = changed.sequence, changed.event_time, changed.received_time
        return (Quote(ID, changed.symbol, changed.market, *best, *times),)

    # ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _trades(self, frame: TradeFrame, received: Microseconds) -> Sequence[FeedEvent]:
        events = [*self._missed(frame.sequence_num, microseconds(frame.timestamp))]
        for event in frame.events:
            events += self._new(event.trades, received, is_snapshot=event.type == "snapshot")
        return events or (Ignored("market_trades"),)

    def _new(self, trades: Sequence[WireTrade], received: Microseconds, *, is_snapshot: bool) -> Sequence[FeedEvent]:
        """Oldest first, each once. The first snapshot is of before; a later one has those that a lost socket missed."""
        events, before = list[FeedEvent](), dict(self._last_trades)
        for one in reversed(trades):
            number, name = int(one.trade_id), one.product_id
            if number > before.get(name, -1):
                self._last_trades[name] = max(number, self._last_trades.get(name, -1))
                if name in before or not is_snapshot:
                    events.append(self._trade(one, received))
        return events

    def _trade(self, wire: WireTrade, received: Microseconds) -> Trade[str]:
        if not positive(wire.price, wire.size):
            raise ValueError(f"a trade of {wire.product_id[:80]} has no amount")
        symbol, market = self.labels[wire.product_id]
        taker = Side.SELL if wire.side == "BUY" else Side.BUY
        time = microseconds(wire.time)
        return Trade(ID, symbol, market, wire.trade_id, taker, wire.price, wire.size, time, received)
