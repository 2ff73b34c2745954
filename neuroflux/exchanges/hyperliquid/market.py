"""Hyperliquid's public feed: quotes, trades, whole books and hourly funding, all over one kind of socket.

There are no sequence numbers: ``time``, the block's in ms, stands for one. It never runs back, so what is older than
the last is not used; a missing message can't be seen, and need not be, since every ``l2Book`` is a whole book.
Since 2026-07 it comes every 5 s, with ``fast`` every 0.5 s and with 5 levels a side. A ``bbo`` in between names the top
as it is now: a book that has not been published for ``REPUBLISH_MS`` is published again as of that time, without what
the ``bbo`` contradicts. It is confirmed so for ``BOOK_LIFE_MS`` at most: where ``l2Book`` itself has stopped, it must
become stale.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, takewhile
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder
from msgspec.structs import replace

from neuroflux.domain import (
    ExchangeStatus,
    Funding,
    Instrument,
    InstrumentKind,
    Microseconds,
    Numeral,
    Quote,
    StatusKind,
    StreamKind,
    Trade,
)
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.hyperliquid.messages import (
    SIDES,
    UNREADABLE,
    ActiveAssetCtx,
    ActiveAssetCtxFrame,
    Bbo,
    BboFrame,
    ErrorFrame,
    L2Book,
    L2BookFrame,
    MarketFrame,
    TapeTrade,
    TradesFrame,
    WireLevel,
    channels_of,
    finite_positive,
    kind_of,
    rows_of,
)
from neuroflux.exchanges.hyperliquid.socket import (
    ID,
    MARKET_SUBSCRIPTIONS,
    error_event,
    market_socket,
    not_a_frame,
    subscribe_frame,
)
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.requests import Answer, Subscription

TRADES_REMEMBERED: Final = 512
"""For each coin; about 30 are replayed on every subscribe."""

REPUBLISH_MS: Final = 1_000
BOOK_LIFE_MS: Final = 10_000
"""Two intervals of the slow ``l2Book``."""
LATEST_MS: Final = 60_000
"""No frame comes this late: one frame dated far ahead must not make all that follow look overtaken."""

_KINDS: Final = {
    "bbo": StreamKind.QUOTE,
    "trades": StreamKind.TRADE,
    "l2Book": StreamKind.BOOK,
    "activeAssetCtx": StreamKind.FUNDING,
}
_FIRST: Final = frozenset({StreamKind.QUOTE, StreamKind.BOOK})
"""What an instrument can't be traded without."""

_HOUR: Final = 3_600_000_000
_FRAMES: Final[Decoder[MarketFrame]] = Decoder(MarketFrame)
_CHANNELS: Final = channels_of(MarketFrame)
_L2BOOK: Final = Decoder(L2Book)
_TRADES: Final = Decoder(list[TapeTrade])
_TRADE: Final = Decoder(TapeTrade)


class _TradeRows(Struct, frozen=True, tag_field="channel", tag="trades"):
    """A frame of trades, row by row."""

    data: list[Raw]


_TRADE_ROWS: Final = Decoder(_TradeRows)


_DEPTH: Final = 20
"""Most levels of a side."""

_Brings = Mapping[bytes, tuple[StreamKind, str]]
"""By a subscribe frame, what it brings: a kind and a symbol."""


class _Seen:
    """The last keys of one coin's tape."""

    __slots__ = ("_keys", "_order")

    def __init__(self) -> None:
        self._keys: set[tuple[int, int]] = set()
        self._order: deque[tuple[int, int]] = deque()

    def add(self, key: tuple[int, int]) -> bool:
        """Remember the key; False where it was known."""
        if key in self._keys:
            return False
        self._keys.add(key)
        self._order.append(key)
        if len(self._order) > TRADES_REMEMBERED:
            self._keys.discard(self._order.popleft())
        return True


class _Book:
    """One coin's book; ``withdrawn`` while nothing of it is proved.

    ``time`` is the block (ms) that it is of, ``published`` the one that it was last published as of.
    """

    __slots__ = ("book", "published", "time", "withdrawn")

    def __init__(self) -> None:
        self.book = OrderBook()
        self.time = self.published = -1
        self.withdrawn = False

    def confirmed(self, bid: WireLevel, ask: WireLevel) -> None:
        """Make these the top: what is better was taken, and what is not named is as it was."""
        bids = takewhile(lambda level: float(level.price) > float(bid.px), self.book.bids(_DEPTH))
        asks = takewhile(lambda level: float(level.price) < float(ask.px), self.book.asks(_DEPTH))
        self.book.apply(
            [*((level.price, "0") for level in bids), (bid.px, bid.sz)],
            [*((level.price, "0") for level in asks), (ask.px, ask.sz)],
        )


class HyperliquidMarketFeed:
    """Public data of the given instruments; a coin that none of them names keeps the exchange's name."""

    exchange = ID

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._labels = {one.name: (one.symbol, one.market) for one in self._instruments.values()}
        self._quote_times: dict[str, int] = {}
        self._one_sided: set[str] = set()
        self._seen: dict[str, _Seen] = {}
        self._books: dict[str, _Book] = {}
        self._followed: set[bytes] = set()
        self._untold: dict[StreamKind, list[str]] = {}

    def learn(self, instruments: Sequence[Instrument]) -> None:
        self._instruments |= {one.symbol: one for one in instruments}
        self._labels |= {one.name: (one.symbol, one.market) for one in instruments}

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        """Where not all may be followed, perpetuals come first, and quotes and books before trades and funding.

        What is not followed is told with the next frame.
        """
        asked = chain.from_iterable(self._subscribe(symbol) for symbol in symbols)
        brings = dict(sorted(asked, key=lambda one: self._rank(*one[1])))
        frames = self._admitted(brings)
        return [replace(market_socket(frames), streams=tuple(brings[frame] for frame in frames))] if frames else []

    def _rank(self, kind: StreamKind, symbol: str) -> tuple[bool, bool]:
        return self._instruments[symbol].kind is not InstrumentKind.PERPETUAL, kind not in _FIRST

    def _admitted(self, brings: _Brings) -> list[bytes]:
        """As many as there is room for; what is followed already, and now on another socket, keeps its room."""
        room = MARKET_SUBSCRIPTIONS - len(self._followed)
        new = [frame for frame in brings if frame not in self._followed]
        self._followed.update(new[:room])
        for kind, symbol in (brings[frame] for frame in new[room:]):
            self._untold.setdefault(kind, []).append(symbol)
        return [frame for frame in brings if frame in self._followed]

    def _left_out(self, received_time: Microseconds) -> list[ExchangeStatus]:
        """What is not followed, once."""
        untold, self._untold = self._untold, {}
        why = f"is not followed, an address may have {MARKET_SUBSCRIPTIONS} subscriptions to public data"
        details = (f"{kind} {why}: {', '.join(symbols)}" for kind, symbols in untold.items())
        return [ExchangeStatus(ID, "subscriptions", StatusKind.EXCLUDED, 0.0, one, received_time) for one in details]

    def _subscribe(self, symbol: str) -> list[tuple[bytes, tuple[StreamKind, str]]]:
        """``l2Book`` with ``fast``: 20 levels of which nobody knows for 5 s are worth less than 5 of now."""
        if symbol not in self._instruments:
            raise UnknownSymbol(f"{ID} lists no {symbol}")
        instrument = self._instruments[symbol]
        kinds = ["bbo", "trades", "l2Book"]
        if instrument.kind is InstrumentKind.PERPETUAL:
            kinds.append("activeAssetCtx")
        return [(_subscribing(kind, instrument.name), (_KINDS[kind], symbol)) for kind in kinds]

    def disconnected(self, subscription: Subscription) -> None:
        wanted = set(subscription.frames)
        for coin, book in self._books.items():
            if _subscribing("l2Book", coin) in wanted:
                book.withdrawn = True

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        events = self._framed(raw, received_time)
        return [*self._left_out(received_time), *events] if self._untold else events

    def _framed(self, raw: bytes | str, received_time: Microseconds) -> Sequence[FeedEvent]:
        try:
            frame = _FRAMES.decode(raw)
        except UNREADABLE as error:
            known = not_a_frame(raw, error, _CHANNELS)
            if known is None:
                return self._payload(raw, received_time, Undecodable(str(error)))
            return self._readable_trades(raw, received_time) or (known,)
        match frame:
            case BboFrame():
                return self._top(frame.data, received_time)
            case TradesFrame():
                return self._trades(frame.data, received_time)
            case L2BookFrame():
                return self._book_replaced(frame.data, received_time)
            case ActiveAssetCtxFrame():
                return (self._funding(frame.data, received_time),)
            case ErrorFrame():
                return (error_event(frame.data, received_time),)

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        if answer.status != 200:
            return (Undecodable(f"HTTP {answer.status}: {answer.body[:200]!r}"),)
        return self._payload(answer.body, received_time, Ignored("answer"))

    def _payload(self, body: bytes | str, received_time: Microseconds, otherwise: FeedEvent) -> Sequence[FeedEvent]:
        """Read what came without a channel: an answer, or a frame of which only the payload was recorded."""
        try:
            kind = kind_of(body)
            if kind == "l2Book":
                return self._book_replaced(_L2BOOK.decode(body), received_time)
            if kind == "recentTrades":
                return self._trades(sorted(_TRADES.decode(body), key=lambda trade: trade.time), received_time)
        except UNREADABLE as error:
            return (Undecodable(str(error)),)
        return (Ignored(kind),) if kind else (otherwise,)

    def _top(self, wire: Bbo, received_time: Microseconds) -> Sequence[FeedEvent]:
        """The quote, and the book once more where it was last published too long ago."""
        if _is_older(wire.time, self._quote_times.get(wire.coin, 0)):
            return (Ignored("older bbo"),)
        bid, ask = wire.bbo if len(wire.bbo) == 2 else (None, None)
        if bid is None or ask is None:
            return self._without_a_side(wire, received_time)
        quote = self._quote(wire, bid, ask, received_time)
        if isinstance(quote, Undecodable):
            return (quote,)
        again = self._two_sided(wire, received_time) if wire.coin in self._one_sided else ()
        state = self._books.get(wire.coin)
        if state is None or state.withdrawn or wire.time - state.published < REPUBLISH_MS:
            return (*again, quote)
        if wire.time - state.time > BOOK_LIFE_MS:
            return (*again, quote)
        state.confirmed(bid, ask)
        return (*again, quote, self._changed(state, wire, received_time))

    def _without_a_side(self, wire: Bbo, received_time: Microseconds) -> Sequence[FeedEvent]:
        """One side is no quote: the last one counts no more, nor does a book that is older, which is emptied."""
        self._quote_times[wire.coin] = wire.time
        state, why = self._books.get(wire.coin), "a side is empty"
        is_known = state is not None and not state.withdrawn and state.time < wire.time
        gone = self._emptied(state, wire, why, received_time) if state is not None and is_known else ()
        if wire.coin in self._one_sided:
            return gone or (Ignored("bbo with one side"),)
        self._one_sided.add(wire.coin)
        return (*gone, self._quotes(StatusKind.EXCLUDED, wire, why, received_time))

    def _two_sided(self, wire: Bbo, received_time: Microseconds) -> Sequence[FeedEvent]:
        self._one_sided.discard(wire.coin)
        return (self._quotes(StatusKind.INCLUDED, wire, "both sides again", received_time),)

    def _quotes(self, kind: StatusKind, wire: Bbo, detail: str, time: Microseconds) -> ExchangeStatus:
        symbol = (self._labels.get(wire.coin) or (wire.coin, ""))[0]
        return ExchangeStatus(ID, "quotes", kind, 0.0, f"{symbol}: {detail}", time, symbol)

    def _quote(
        self, wire: Bbo, bid: WireLevel, ask: WireLevel, received_time: Microseconds
    ) -> Quote[Numeral] | Undecodable:
        if not finite_positive(bid.px, bid.sz, ask.px, ask.sz) or float(bid.px) >= float(ask.px):
            return Undecodable(f"bbo of {wire.coin}: no prices and sizes of an open market")
        self._quote_times[wire.coin] = wire.time
        symbol, market = self._labels.get(wire.coin) or (wire.coin, wire.coin)
        return Quote(ID, symbol, market, bid.px, bid.sz, ask.px, ask.sz, wire.time, wire.time * 1000, received_time)

    def _trades(self, wire: Sequence[TapeTrade], received_time: Microseconds) -> Sequence[FeedEvent]:
        faults = [f"trade of {one.coin}: no price and size" for one in wire if not finite_positive(one.px, one.sz)]
        good = [one for one in wire if finite_positive(one.px, one.sz)] if faults else wire
        events = [self._trade(one, received_time) for one in good if self._is_new(one)]
        return self._beside(events, faults, received_time) or (Ignored("trades without a new one"),)

    def _readable_trades(self, raw: bytes | str, received_time: Microseconds) -> Sequence[FeedEvent]:
        """The trades of a frame in which some can't be read; nothing where this is no such frame."""
        try:
            rows, faults = rows_of(_TRADE_ROWS.decode(raw).data, _TRADE, "trade")
        except UNREADABLE:
            return ()
        if not rows:
            return ()
        return self._beside([*self._trades(rows, received_time)], faults, received_time)

    def _beside(
        self, events: Sequence[FeedEvent], faults: Sequence[str], received_time: Microseconds
    ) -> Sequence[FeedEvent]:
        """What could be read, and a status for each row that could not; where nothing could, that alone."""
        if faults and not events:
            return (Undecodable("; ".join(faults)[:500]),)
        return [
            *events,
            *(ExchangeStatus(ID, "trades", StatusKind.MALFORMED, 0.0, one, received_time) for one in faults),
        ]

    def _is_new(self, trade: TapeTrade) -> bool:
        """``tid`` alone is not unique; (time, coin, tid) is."""
        seen = self._seen.get(trade.coin)
        if seen is None:
            seen = self._seen[trade.coin] = _Seen()
        return seen.add((trade.time, trade.tid))

    def _trade(self, wire: TapeTrade, received_time: Microseconds) -> Trade[Numeral]:
        symbol, market = self._labels.get(wire.coin) or (wire.coin, wire.coin)
        return Trade(
            ID, symbol, market, str(wire.tid), SIDES[wire.side], wire.px, wire.sz, wire.time * 1000, received_time
        )

    def _book_replaced(self, wire: L2Book, received_time: Microseconds) -> Sequence[FeedEvent]:
        bids, asks = ([(level.px, level.sz) for level in side] for side in wire.levels)
        if (bids or asks) and not finite_positive(*chain.from_iterable(bids + asks)):
            return (Undecodable(f"l2Book of {wire.coin}: a level without price and size"),)
        state = self._books.setdefault(wire.coin, _Book())
        if _is_older(wire.time, state.time):
            return (Ignored("older l2Book"),)
        state.time = wire.time
        state.book.replace(bids, asks)
        if not bids and not asks:
            return self._emptied(state, wire, "both sides are empty", received_time)
        if state.book.crossed:
            return (self._withdraw(state, wire, "the book is crossed"),)
        return self._proved(state, wire, received_time)

    def _emptied(self, state: _Book, wire: L2Book | Bbo, why: str, received_time: Microseconds) -> Sequence[FeedEvent]:
        """Withdraw the book, and publish it without levels, so that nobody trades on what it was."""
        if state.withdrawn:
            return (Ignored(f"l2Book: {why}"),)
        state.book.replace([], [])
        return (self._withdraw(state, wire, why), self._changed(state, wire, received_time))

    def _withdraw(self, state: _Book, wire: L2Book | Bbo, why: str) -> FeedEvent:
        if state.withdrawn:
            return Ignored(f"l2Book: {why}")
        state.withdrawn = True
        return self._status(StatusKind.GAP, wire, why)

    def _proved(self, state: _Book, wire: L2Book, received_time: Microseconds) -> Sequence[FeedEvent]:
        changed = self._changed(state, wire, received_time)
        if not state.withdrawn:
            return (changed,)
        state.withdrawn = False
        return (self._status(StatusKind.RESYNCED, wire, "a whole book came"), changed)

    def _changed(self, state: _Book, wire: L2Book | Bbo, received_time: Microseconds) -> BookChanged:
        state.published = wire.time
        symbol, market = self._labels.get(wire.coin) or (wire.coin, wire.coin)
        return BookChanged(ID, symbol, market, state.book, wire.time, wire.time * 1000, received_time)

    def _status(self, kind: StatusKind, wire: L2Book | Bbo, detail: str) -> ExchangeStatus:
        symbol = (self._labels.get(wire.coin) or (wire.coin, ""))[0]
        value = float(wire.time) if kind is StatusKind.GAP else 0.0
        return ExchangeStatus(ID, "l2Book", kind, value, f"{symbol}: {detail}", wire.time * 1000, symbol)

    def _funding(self, wire: ActiveAssetCtx, received_time: Microseconds) -> Funding[Numeral]:
        """Paid on the full hour. The frame has no time of its own, so it is as old as its arrival."""
        symbol, market = self._labels.get(wire.coin) or (wire.coin, wire.coin)
        context = wire.ctx
        next_hour = (received_time // _HOUR + 1) * _HOUR
        return Funding(
            ID, symbol, market, context.funding, 1, context.markPx, context.oraclePx, next_hour, received_time
        )


def _is_older(time: int, last: int) -> bool:
    """Whether a frame was overtaken; where it is older by more than ``LATEST_MS``, the last one was misdated."""
    return last - LATEST_MS <= time < last


def _subscribing(kind: str, coin: str) -> bytes:
    return subscribe_frame(kind, coin=coin, fast=True) if kind == "l2Book" else subscribe_frame(kind, coin=coin)
