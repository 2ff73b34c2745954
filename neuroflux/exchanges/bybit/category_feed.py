"""The public feed of one category: its topics, its sockets, and what their frames become.

Sources: https://bybit-exchange.github.io/docs/v5/ws/connect and the pages below v5/websocket/public. A subscription is
refused as a whole where one of its topics is wrong, so each instrument has its own.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Instrument, Microseconds, StatusKind, StreamKind, Trade
from neuroflux.domain import Side as Direction
from neuroflux.exchanges.bybit.funding import Tickers
from neuroflux.exchanges.bybit.names import ID, LINEAR, category_of, name_of, wire_name
from neuroflux.exchanges.bybit.public_messages import BookFrame, Head, TapeTrade, TickerFrame, TradesFrame
from neuroflux.exchanges.bybit.tops import Tops
from neuroflux.exchanges.kit.books import Books, Labels
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.feed import KindAt, PublicFeed, chunks
from neuroflux.exchanges.kit.numerals import positive
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.requests import Answer, Subscription
from neuroflux.exchanges.kit.sequences import BookUpdate, Consecutive

PATH: Final = "/v5/public/"
"""Before the category."""
DEPTH: Final = 50
"""Levels of a side; a frame each 20 ms at most."""
TOPICS_PER_SOCKET: Final = 200
"""Far fewer than the 21,000 letters of topics that a connection may have."""
HEARTBEAT: Final = b'{"op":"ping"}'
HEARTBEAT_SECONDS: Final = 20.0
SIDES: Final = {"Buy": Direction.BUY, "Sell": Direction.SELL}

_START: Final = b'{"topic":"'
_ANSWERS: Final = (b'{"success":', b'{"op":"pong"')
_HEAD: Final = Decoder(Head)
_TOPICS: Final = {
    "orderbook.1": StreamKind.QUOTE,
    "publicTrade": StreamKind.TRADE,
    f"orderbook.{DEPTH}": StreamKind.BOOK,
    "tickers": StreamKind.FUNDING,
}
_AGAIN: Final = f"orderbook.{DEPTH}"
_TOP: Final = "orderbook.1."
_IS_NUMBERED: Final = re.compile(r"orderbook\.[1-9][0-9]{0,3}\.").match


class _Window(Consecutive[BookUpdate]):
    """A book's topic is a window: after each update it is cut to its depth, which its name has."""

    def proves(self, book: OrderBook, update: BookUpdate) -> bool:
        book.truncate(int(update.name.split(".")[1]))
        return True


class _Labels(Labels):
    """By the exchange's name of an instrument of a category, or by a topic of it."""

    def __init__(self, category: str) -> None:
        super().__init__()
        self._category = category

    def __missing__(self, name: str) -> tuple[str, str]:
        wire = name.rpartition(".")[2]
        unlisted = name_of(self._category, wire)
        return self.get(wire, (unlisted, unlisted))


def operation(op: str, *topics: str) -> bytes:
    return msgspec.json.encode({"op": op, "args": topics})


def socket(path: str, frames: Sequence[bytes], quiet_seconds: float, answers: tuple[bytes, ...] = ()) -> Subscription:
    return Subscription(path, tuple(frames), HEARTBEAT, HEARTBEAT_SECONDS, quiet_seconds, answers=answers, name=path)


class CategoryFeed(PublicFeed):
    """Books are named by their topics, since each depth has numbers of its own."""

    def __init__(self, category: str, instruments: Iterable[Instrument]) -> None:
        self._category = category
        super().__init__(ID, (), KindAt(_START, _START, b"."))
        self.labels = _Labels(self._category)
        self.books = Books(ID, "orderbook", _Window(), self.labels)
        self._tops, self._tickers = Tops(self.labels), Tickers(self.labels)
        self.routes = {
            b"orderbook": (Decoder(BookFrame).decode, self._book),
            b"publicTrade": (Decoder(TradesFrame).decode, self._trades),
            b"tickers": (Decoder(TickerFrame).decode, self._tickers.take),
        }
        self.learn(list(instruments))

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Only those of this category."""
        own = [one for one in instruments if category_of(one) == self._category]
        self.instruments |= {one.symbol: one for one in own}
        self.labels.update((wire_name(one), (one.symbol, one.market)) for one in own)

    # ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        listed = self.listed(symbols)
        return [self._socket(together) for together in chunks(listed, len(_TOPICS), TOPICS_PER_SOCKET)]

    def _socket(self, listed: Sequence[Instrument]) -> Subscription:
        frames = [operation("subscribe", *(f"{topic}.{wire_name(one)}" for topic in self._topics())) for one in listed]
        made = socket(f"{PATH}{self._category}", frames, 30.0, _ANSWERS)
        again = {one.symbol: _again(f"{_AGAIN}.{wire_name(one)}") for one in listed}
        brings = tuple((_TOPICS[topic], one.symbol) for one in listed for topic in self._topics())
        return msgspec.structs.replace(made, is_steady=True, streams=brings, resubscribes=again)

    def _topics(self) -> Collection[str]:
        return [topic for topic in _TOPICS if topic != "tickers" or self._category == LINEAR]

    def disconnected(self, subscription: Subscription) -> None:
        names = {wire_name(self.instruments[one]) for _, one in subscription.streams if one in self.instruments}
        self.books.withdraw({f"{_AGAIN}.{name}" for name in names})
        self._tops.forget(names)
        self._tickers.forget(names)

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        """Also a frame whose keys are in another order than the exchange writes them."""
        head = _HEAD.decode(raw)
        if head.topic or head.success is not False:
            return self.routed(head.topic.partition(".")[0] or head.op, raw, received)
        text = head.ret_msg or "refused without a reason"
        if "already subscribed" in text:
            return (Ignored(text[:80]),)
        return (ExchangeStatus(ID, "subscriptions", StatusKind.MALFORMED, 0.0, text[:500], received),)

    def unreadable(self, raw: bytes, error: Exception, received: Microseconds) -> Sequence[FeedEvent]:
        """A book of retail price improvement has other levels; it is not used."""
        if raw.startswith(_START + b"orderbook.rpi."):
            return (Ignored("orderbook.rpi"),)
        return super().unreadable(raw, error, received)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return (Ignored("no public data is requested over REST"),)

    def _book(self, frame: BookFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """``type`` decides: a snapshot replaces the book at any time, also where its ``u`` begins again with 1."""
        topic, data = frame.topic, frame.data
        if topic.startswith(_TOP):
            return self._tops.take(frame, received)
        if not _IS_NUMBERED(topic):
            return (Ignored("another order book"),)
        update = BookUpdate(topic, data.b, data.a, data.u, 1000 * (frame.cts or frame.ts))
        books = self.books
        return books.replaced(update, received) if frame.type == "snapshot" else books.update(update, received)

    def _trades(self, frame: TradesFrame, received: Microseconds) -> Sequence[FeedEvent]:
        return [self._trade(one, received) for one in frame.data if not one.BT] or (Ignored("no trade of the book"),)

    def _trade(self, wire: TapeTrade, received: Microseconds) -> FeedEvent:
        """Raises ValueError for an amount of nothing."""
        if not positive(wire.p, wire.v):
            raise ValueError(f"a trade of {wire.s[:80]} has no price and size")
        symbol, market = self.labels[wire.s]
        return Trade(ID, symbol, market, wire.i, SIDES[wire.S], wire.p, wire.v, wire.T * 1000, received)


def _again(topic: str) -> tuple[bytes, bytes]:
    return operation("unsubscribe", topic), operation("subscribe", topic)
