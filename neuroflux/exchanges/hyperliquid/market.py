"""Hyperliquid's public feed: quotes, trades, whole books and hourly funding, all over one kind of socket.

There are no sequence numbers: ``time``, the block's in ms, is the number. It never decreases, so what is older than
the last is not used; a missing message is invisible, and harmless, since every ``l2Book`` is a whole book.
Since 2026-07 it is sent every 5 s, with ``fast`` every 0.5 s and with 5 levels a side. A ``bbo`` in between names the
current top: a book that was not published for ``REPUBLISH_MS`` is published again as of that time, without what the
``bbo`` contradicts. It is confirmed so for ``BOOK_LIFE_MS`` at most: where ``l2Book`` itself has stopped, it must
become stale.
"""

from __future__ import annotations

from collections import defaultdict, deque
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
from neuroflux.exchanges.hyperliquid.messages import (
    SIDES,
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
    kind_of,
    rows_of,
)
from neuroflux.exchanges.hyperliquid.socket import (
    ID,
    KIND_AT,
    MARKET_SUBSCRIPTIONS,
    error_event,
    market_socket,
    not_a_frame,
    subscribe_frame,
)
from neuroflux.exchanges.kit.books import Books
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.feed import PublicFeed
from neuroflux.exchanges.kit.numerals import is_two_sided, positive
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.requests import Answer, Subscription
from neuroflux.exchanges.kit.sequences import BookUpdate, Whole
from neuroflux.exchanges.kit.shapes import UNREADABLE

TRADES_REMEMBERED: Final = 512
"""For each coin; about 30 are replayed on every subscribe."""

REPUBLISH_MS: Final = 1_000
BOOK_LIFE_MS: Final = 10_000
"""Two intervals of the slow ``l2Book``."""
_KINDS: Final = {
    "bbo": StreamKind.QUOTE,
    "trades": StreamKind.TRADE,
    "l2Book": StreamKind.BOOK,
    "activeAssetCtx": StreamKind.FUNDING,
}
_FIRST: Final = frozenset({StreamKind.QUOTE, StreamKind.BOOK})
"""What an instrument can't be traded without."""

_RULE: Final = Whole[BookUpdate]()
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


class HyperliquidMarketFeed(PublicFeed):
    """Public data of the given instruments."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        super().__init__(ID, instruments, KIND_AT)
        self.books = Books(ID, "l2Book", _RULE, self.labels, check=positive)
        self.routes = {
            b"bbo": (Decoder(BboFrame).decode, self._top),
            b"trades": (Decoder(TradesFrame).decode, self._trades),
            b"l2Book": (Decoder(L2BookFrame).decode, self._replaced),
            b"activeAssetCtx": (Decoder(ActiveAssetCtxFrame).decode, self._funding),
        }
        self._quote_times: dict[str, int] = {}
        self._one_sided: set[str] = set()
        self._seen = defaultdict[str, _Seen](_Seen)
        self._published: dict[str, int] = {}
        """The block (ms) that each book was last published as of."""
        self._followed: set[bytes] = set()
        self._left: dict[StreamKind, list[str]] = {}
        """What is not followed and not reported yet."""

    # ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        """Where not all may be followed, perpetuals are first, and quotes and books before trades and funding.

        What is not followed is reported with the next frame.
        """
        asked = chain.from_iterable(self._subscribe(one) for one in self.listed(symbols))
        brings = dict(sorted(asked, key=lambda one: self._rank(*one[1])))
        frames = self._admitted(brings)
        return [replace(market_socket(frames), streams=tuple(brings[frame] for frame in frames))] if frames else []

    def _rank(self, kind: StreamKind, symbol: str) -> tuple[bool, bool]:
        return self.instruments[symbol].kind is not InstrumentKind.PERPETUAL, kind not in _FIRST

    def _admitted(self, brings: _Brings) -> list[bytes]:
        """As many as there is room for; what is followed already, and now on another socket, keeps its room."""
        room = MARKET_SUBSCRIPTIONS - len(self._followed)
        new = [frame for frame in brings if frame not in self._followed]
        self._followed.update(new[:room])
        for kind, symbol in (brings[frame] for frame in new[room:]):
            self._left.setdefault(kind, []).append(symbol)
        return [frame for frame in brings if frame in self._followed]

    def _left_out(self, received_time: Microseconds) -> list[ExchangeStatus]:
        """What is not followed, once."""
        left, self._left = self._left, {}
        why = f"is not followed, an address may have {MARKET_SUBSCRIPTIONS} subscriptions to public data"
        details = (f"{kind} {why}: {', '.join(symbols)}" for kind, symbols in left.items())
        return [ExchangeStatus(ID, "subscriptions", StatusKind.EXCLUDED, 0.0, one, received_time) for one in details]

    def _subscribe(self, instrument: Instrument) -> list[tuple[bytes, tuple[StreamKind, str]]]:
        """``l2Book`` with ``fast``: 5 levels every 0.5 s are worth more than 20 levels every 5 s."""
        kinds = ["bbo", "trades", "l2Book"]
        if instrument.kind is InstrumentKind.PERPETUAL:
            kinds.append("activeAssetCtx")
        return [(_subscribing(kind, instrument.name), (_KINDS[kind], instrument.symbol)) for kind in kinds]

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        events = super().frame(raw, received_time, channel)
        return [*self._left_out(received_time), *events] if self._left else events

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        """Also a frame whose keys are in another order than the exchange writes them."""
        match frame := _FRAMES.decode(raw):
            case BboFrame():
                return self._top(frame, received)
            case TradesFrame():
                return self._trades(frame, received)
            case L2BookFrame():
                return self._replaced(frame, received)
            case ActiveAssetCtxFrame():
                return self._funding(frame, received)
            case ErrorFrame():
                return (error_event(frame.data, received),)

    def unreadable(self, raw: bytes, error: Exception, received: Microseconds) -> Sequence[FeedEvent]:
        known = not_a_frame(raw, error, _CHANNELS)
        if known is not None:
            return self._readable_trades(raw, received) or (known,)
        try:
            return self._payload(raw, received, Undecodable(str(error)))
        except UNREADABLE as fault:
            return (Undecodable(str(fault)),)

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        return self._payload(answer.body, received, Ignored("answer"))

    def _payload(self, body: bytes, received: Microseconds, otherwise: FeedEvent) -> Sequence[FeedEvent]:
        """Read what arrived without a channel: an answer, or a frame of which only the payload was recorded."""
        kind = kind_of(body)
        if kind == "l2Book":
            return self._replaced(L2BookFrame(_L2BOOK.decode(body)), received)
        if kind == "recentTrades":
            rows = sorted(_TRADES.decode(body), key=lambda trade: trade.time)
            return self._trades(TradesFrame(rows), received)
        return (Ignored(kind),) if kind else (otherwise,)

    # ── quotes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _top(self, frame: BboFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """The quote, and the book once more where it was last published too long ago."""
        wire = frame.data
        if _RULE.is_overtaken(self._quote_times.get(wire.coin, 0), wire.time):
            return (Ignored("older bbo"),)
        bid, ask = wire.bbo if len(wire.bbo) == 2 else (None, None)
        if bid is None or ask is None:
            return self._without_a_side(wire, received)
        is_good = is_two_sided(f"{bid.px},{bid.sz},{ask.px},{ask.sz}") and float(bid.px) < float(ask.px)
        if not is_good:
            return (Undecodable(f"bbo of {wire.coin}: no prices and sizes of an open market"),)
        self._quote_times[wire.coin] = wire.time
        symbol, market = self.labels[wire.coin]
        quote = Quote(ID, symbol, market, bid.px, bid.sz, ask.px, ask.sz, wire.time, wire.time * 1000, received)
        again = self._two_sided(wire, received) if wire.coin in self._one_sided else ()
        if wire.time - self._published.get(wire.coin, wire.time) < REPUBLISH_MS:
            return (*again, quote) if again else (quote,)
        return (*again, quote, *self._confirmed(wire, bid, ask, received))

    def _confirmed(self, wire: Bbo, bid: WireLevel, ask: WireLevel, received: Microseconds) -> Sequence[FeedEvent]:
        """The book with this top; nothing where there is none, or where its own stream has stopped."""
        keeper = self.books.proved(wire.coin)
        if keeper is None or wire.time - keeper.last > BOOK_LIFE_MS:
            return ()
        _confirm(keeper.book, bid, ask)
        self._published[wire.coin] = wire.time
        return (self.books.changed(keeper, wire.coin, wire.time, wire.time * 1000, received),)

    def _without_a_side(self, wire: Bbo, received: Microseconds) -> Sequence[FeedEvent]:
        """One side is no quote: the last one is withdrawn, and so is a book that is older, which is emptied."""
        self._quote_times[wire.coin] = wire.time
        keeper, why = self.books.proved(wire.coin), "a side is empty"
        is_older = keeper is not None and keeper.last < wire.time
        gone = self.books.emptied(wire.coin, why, wire.time, wire.time * 1000, received) if is_older else ()
        if wire.coin in self._one_sided:
            return gone or (Ignored("bbo with one side"),)
        self._one_sided.add(wire.coin)
        return (*gone, self._quotes(StatusKind.EXCLUDED, wire, why, received))

    def _two_sided(self, wire: Bbo, received_time: Microseconds) -> Sequence[FeedEvent]:
        self._one_sided.discard(wire.coin)
        return (self._quotes(StatusKind.INCLUDED, wire, "both sides again", received_time),)

    def _quotes(self, kind: StatusKind, wire: Bbo, detail: str, time: Microseconds) -> ExchangeStatus:
        symbol = self.labels[wire.coin][0]
        return ExchangeStatus(ID, "quotes", kind, 0.0, f"{symbol}: {detail}", time, symbol)

    # ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _trades(self, frame: TradesFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """``tid`` alone is not unique; (time, coin, tid) is."""
        wire, seen = frame.data, self._seen
        faults = [f"trade of {one.coin}: no price and size" for one in wire if not positive(one.px, one.sz)]
        good = [one for one in wire if positive(one.px, one.sz)] if faults else wire
        events = [self._trade(one, received) for one in good if seen[one.coin].add((one.time, one.tid))]
        return _beside(events, faults, received) if faults else events or (Ignored("trades without a new one"),)

    def _readable_trades(self, raw: bytes | str, received_time: Microseconds) -> Sequence[FeedEvent]:
        """The trades of a frame in which some can't be read; nothing where this is no such frame."""
        try:
            rows, faults = rows_of(_TRADE_ROWS.decode(raw).data, _TRADE, "trade")
        except UNREADABLE:
            return ()
        if not rows:
            return ()
        return _beside([*self._trades(TradesFrame(rows), received_time)], faults, received_time)

    def _trade(self, wire: TapeTrade, received_time: Microseconds) -> Trade[Numeral]:
        symbol, market = self.labels[wire.coin]
        return Trade(
            ID, symbol, market, str(wire.tid), SIDES[wire.side], wire.px, wire.sz, wire.time * 1000, received_time
        )

    # ── books and funding ────────────────────────────────────────────────────────────────────────────────────────

    def _replaced(self, frame: L2BookFrame, received: Microseconds) -> Sequence[FeedEvent]:
        wire = frame.data
        bids, asks = ([(level.px, level.sz) for level in side] for side in wire.levels)
        events = self.books.replaced(BookUpdate(wire.coin, bids, asks, wire.time, wire.time * 1000), received)
        if isinstance(events[-1], BookChanged):
            self._published[wire.coin] = wire.time
        return events

    def _funding(self, frame: ActiveAssetCtxFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """Paid on the full hour. The frame has no time of its own, so it is as old as its arrival."""
        symbol, market = self.labels[frame.data.coin]
        context, next_hour = frame.data.ctx, (received // _HOUR + 1) * _HOUR
        rates = context.funding, 1, context.markPx, context.oraclePx
        return (Funding(ID, symbol, market, *rates, next_hour, received),)


def _beside(events: Sequence[FeedEvent], faults: Sequence[str], received: Microseconds) -> Sequence[FeedEvent]:
    """What could be read, and a status for each row that could not; where nothing could, that alone."""
    if faults and not events:
        return (Undecodable("; ".join(faults)[:500]),)
    return [*events, *(ExchangeStatus(ID, "trades", StatusKind.MALFORMED, 0.0, one, received) for one in faults)]


def _confirm(book: OrderBook, bid: WireLevel, ask: WireLevel) -> None:
    """Make these the top: what is better was taken, and what is not named is as it was."""
    bids = takewhile(lambda level: float(level.price) > float(bid.px), book.bids(_DEPTH))
    asks = takewhile(lambda level: float(level.price) < float(ask.px), book.asks(_DEPTH))
    book.apply(
        [*((level.price, "0") for level in bids), (bid.px, bid.sz)],
        [*((level.price, "0") for level in asks), (ask.px, ask.sz)],
    )


def _subscribing(kind: str, coin: str) -> bytes:
    return subscribe_frame(kind, coin=coin, fast=True) if kind == "l2Book" else subscribe_frame(kind, coin=coin)
