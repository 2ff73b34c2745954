"""Hyperliquid's public feed: quotes, trades, whole books and hourly funding, all over one kind of socket.

There are no sequence numbers: ``time``, the block's in ms, stands for one. It never runs back, so what is older than
the last is not used; a missing message can't be seen, and need not be, since every ``l2Book`` is a whole book.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Final

from msgspec.json import Decoder

from neuroflux.book import OrderBook
from neuroflux.domain import (
    ExchangeStatus,
    Funding,
    Instrument,
    InstrumentKind,
    Microseconds,
    Numeral,
    Quote,
    StatusKind,
    Trade,
)
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.base_exchange import Answer, BookChanged, FeedEvent, Ignored, Subscription, Undecodable
from neuroflux.exchanges.hyperliquid_messages import (
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
    channels_of,
    finite_positive,
    kind_of,
)
from neuroflux.exchanges.hyperliquid_socket import ID, error_event, market_sockets, not_a_frame, subscribe_frame

TRADES_REMEMBERED: Final = 512
"""For each coin; about 30 are replayed on every subscribe."""

_HOUR: Final = 3_600_000_000
_FRAMES: Final[Decoder[MarketFrame]] = Decoder(MarketFrame)
_CHANNELS: Final = channels_of(MarketFrame)
_L2BOOK: Final = Decoder(L2Book)
_TRADES: Final = Decoder(list[TapeTrade])


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
    """One coin's book; ``withdrawn`` while nothing of it is proved."""

    __slots__ = ("book", "time", "withdrawn")

    def __init__(self) -> None:
        self.book = OrderBook()
        self.time = -1
        self.withdrawn = False


class HyperliquidMarketFeed:
    """Public data of the given instruments; a coin that none of them names keeps the exchange's name."""

    exchange = ID

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._instruments = {instrument.symbol: instrument for instrument in instruments}
        self._labels = {one.name: (one.symbol, one.market) for one in self._instruments.values()}
        self._quote_times: dict[str, int] = {}
        self._seen: dict[str, _Seen] = {}
        self._books: dict[str, _Book] = {}

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        frames = [frame for symbol in symbols for frame in self._subscribe(symbol)]
        return market_sockets(frames)

    def _subscribe(self, symbol: str) -> list[bytes]:
        """``l2Book`` without ``fast``: 20 levels are worth more to a walk than 5 sooner, and quotes come by ``bbo``."""
        if symbol not in self._instruments:
            raise UnknownSymbol(f"{ID} lists no {symbol}")
        instrument = self._instruments[symbol]
        kinds = ["bbo", "trades", "l2Book"]
        if instrument.kind is InstrumentKind.PERPETUAL:
            kinds.append("activeAssetCtx")
        return [subscribe_frame(kind, coin=instrument.name) for kind in kinds]

    def disconnected(self, subscription: Subscription) -> None:
        wanted = set(subscription.frames)
        for coin, book in self._books.items():
            if subscribe_frame("l2Book", coin=coin) in wanted:
                book.withdrawn = True

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        try:
            frame = _FRAMES.decode(raw)
        except UNREADABLE as error:
            known = not_a_frame(raw, error, _CHANNELS)
            return (known,) if known else self._payload(raw, received_time, Undecodable(str(error)))
        match frame:
            case BboFrame():
                return (self._quote(frame.data, received_time),)
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

    def _quote(self, wire: Bbo, received_time: Microseconds) -> FeedEvent:
        if len(wire.bbo) != 2 or (bid := wire.bbo[0]) is None or (ask := wire.bbo[1]) is None:
            return Ignored("bbo with one side")
        if not finite_positive(bid.px, bid.sz, ask.px, ask.sz) or float(bid.px) >= float(ask.px):
            return Undecodable(f"bbo of {wire.coin}: no prices and sizes of an open market")
        if wire.time < self._quote_times.get(wire.coin, 0):
            return Ignored("older bbo")
        self._quote_times[wire.coin] = wire.time
        symbol, market = self._labels.get(wire.coin) or (wire.coin, wire.coin)
        return Quote(ID, symbol, market, bid.px, bid.sz, ask.px, ask.sz, wire.time, wire.time * 1000, received_time)

    def _trades(self, wire: Sequence[TapeTrade], received_time: Microseconds) -> Sequence[FeedEvent]:
        for one in wire:
            if not finite_positive(one.px, one.sz):
                return (Undecodable(f"trade of {one.coin}: no price and size"),)
        events = [self._trade(one, received_time) for one in wire if self._is_new(one)]
        return events or (Ignored("trades without a new one"),)

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
        if wire.time < state.time:
            return (Ignored("older l2Book"),)
        state.time = wire.time
        state.book.replace(bids, asks)
        if not bids and not asks:
            return (self._withdraw(state, wire, "both sides are empty"),)
        if state.book.crossed:
            return (self._withdraw(state, wire, "the book is crossed"),)
        return self._proved(state, wire, received_time)

    def _withdraw(self, state: _Book, wire: L2Book, why: str) -> FeedEvent:
        if state.withdrawn:
            return Ignored(f"l2Book: {why}")
        state.withdrawn = True
        return self._status(StatusKind.GAP, wire, why)

    def _proved(self, state: _Book, wire: L2Book, received_time: Microseconds) -> Sequence[FeedEvent]:
        symbol, market = self._labels.get(wire.coin) or (wire.coin, wire.coin)
        changed = BookChanged(ID, symbol, market, state.book, wire.time, wire.time * 1000, received_time)
        if not state.withdrawn:
            return (changed,)
        state.withdrawn = False
        return (self._status(StatusKind.RESYNCED, wire, "a whole book came"), changed)

    def _status(self, kind: StatusKind, wire: L2Book, detail: str) -> ExchangeStatus:
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
