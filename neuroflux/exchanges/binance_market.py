"""Binance's public feed, spot and USDⓈ-M: quotes, the tape, books kept by the exchange's steps, and funding."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import parse_qs, urlsplit

from msgspec import UNSET, Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    ExchangeStatus,
    Funding,
    Instrument,
    Microseconds,
    Quote,
    Side,
    StatusKind,
    Trade,
)
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.base_exchange import (
    Answer,
    BookChanged,
    FeedEvent,
    Ignored,
    Request,
    SnapshotNeeded,
    Subscription,
    Undecodable,
)
from neuroflux.exchanges.binance_book import BookKeeper, Rule, Verdict
from neuroflux.exchanges.binance_messages import (
    UNREADABLE,
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    Head,
    MarkPriceUpdate,
    Tape,
    finite,
    microseconds,
)

STREAMS_A_SOCKET: Final = 200
"""Of 1024 that are allowed: a lost socket then costs few books."""
FUNDING_HOURS: Final = 8

_HEAD: Final = Decoder(Head)
_BOOK_TICKER: Final = Decoder(BookTicker)
_TAPE: Final = Decoder(Tape)
_DEPTH: Final = Decoder(DepthUpdate)
_SNAPSHOT: Final = Decoder(DepthSnapshot)
_MARK_PRICE: Final = Decoder(MarkPriceUpdate)
_PARTIAL: Final = re.compile(r"@(?:depth|rpiDepth)(?:5|10|20)(?:@|$)")


class Paths(Struct, frozen=True):
    """Where an exchange serves what: streams by the path of their socket, and the snapshot with its weight."""

    streams: tuple[tuple[str, tuple[str, ...]], ...]
    depth: str
    depth_weight: int


class BinanceMarketFeed:
    """Public data of the given instruments; a symbol that none of them names keeps the exchange's name."""

    def __init__(self, exchange: str, rule: Rule, paths: Paths, instruments: Iterable[Instrument]) -> None:
        self.exchange = exchange
        self._rule, self._paths = rule, paths
        self._names = {one.symbol: one.name for one in instruments}
        self._labels = {one.name: (one.symbol, one.market) for one in instruments}
        self._books: dict[str, BookKeeper] = {}

    # ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        unknown = [symbol for symbol in symbols if symbol not in self._names]
        if unknown:
            raise UnknownSymbol(f"{self.exchange} lists no {unknown[0]}")
        return [one for path, kinds in self._paths.streams for one in self._sockets(path, kinds, symbols)]

    def _sockets(self, path: str, kinds: tuple[str, ...], symbols: Sequence[str]) -> Iterator[Subscription]:
        """A symbol's streams share a socket."""
        together = STREAMS_A_SOCKET // len(kinds)
        for start in range(0, len(symbols), together):
            chosen = symbols[start : start + together]
            streams = [f"{self._names[symbol].lower()}@{kind}" for symbol in chosen for kind in kinds]
            yield Subscription(f"{path}?streams={'/'.join(streams)}")

    def disconnected(self, subscription: Subscription) -> None:
        for name, keeper in self._books.items():
            if f"{name.lower()}@depth" in subscription.path:
                keeper.withdraw()

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        try:
            head = _HEAD.decode(raw)
            if head.data is not UNSET:
                if bytes(head.data).startswith(b"["):
                    return (Ignored(head.stream or "list"),)
                return self._message(head.data, _HEAD.decode(head.data), head.stream, received_time)
            return self._message(raw, head, channel, received_time)
        except UNREADABLE as error:
            return (_unreadable(raw, error),)

    def _message(self, raw: bytes | str, head: Head, stream: str, received: Microseconds) -> Sequence[FeedEvent]:
        match head.e:
            case "bookTicker":
                return self._quote(_BOOK_TICKER.decode(raw), received)
            case "trade":
                return self._trade(_TAPE.decode(raw), received)
            case "depthUpdate":
                if _PARTIAL.search(stream):
                    return (Ignored("partial depth"),)  # a whole top, not a change: never applied
                return self._depth(_DEPTH.decode(raw), received)
            case "markPriceUpdate":
                return self._funding(_MARK_PRICE.decode(raw))
            case "":
                if head.u is not UNSET and head.B is not UNSET:
                    return self._quote(_BOOK_TICKER.decode(raw), received)
        return (Ignored(head.e or stream or _kind(head)),)

    def _quote(self, wire: BookTicker, received: Microseconds) -> Sequence[FeedEvent]:
        if not finite(wire.b, wire.B, wire.a, wire.A):
            return (Undecodable(f"bookTicker of {wire.s}: a number that is none"),)
        symbol, market = self._labels.get(wire.s) or (wire.s, wire.s)
        time = microseconds(wire.T) if wire.T else received
        return (Quote(self.exchange, symbol, market, wire.b, wire.B, wire.a, wire.A, wire.u, time, received),)

    def _trade(self, wire: Tape, received: Microseconds) -> Sequence[FeedEvent]:
        """Only MARKET trades belong to the tape; insurance fund and liquidation entries do not."""
        if not finite(wire.p, wire.q):
            return (Undecodable(f"trade of {wire.s}: a number that is none"),)
        if wire.X != "MARKET" or float(wire.p) == 0:
            return (Ignored(f"trade {wire.X}"),)
        symbol, market = self._labels.get(wire.s) or (wire.s, wire.s)
        side = Side.SELL if wire.m else Side.BUY
        time = microseconds(wire.T)
        return (Trade(self.exchange, symbol, market, str(wire.t), side, wire.p, wire.q, time, received),)

    def _funding(self, wire: MarkPriceUpdate) -> Sequence[FeedEvent]:
        if not wire.r:
            return (Ignored("mark price of a dated future"),)
        if not finite(wire.p, wire.i, wire.r.lstrip("-")):
            return (Undecodable(f"markPriceUpdate of {wire.s}: a number that is none"),)
        symbol, market = self._labels.get(wire.s) or (wire.s, wire.s)
        times = microseconds(wire.T), microseconds(wire.E)
        return (Funding(self.exchange, symbol, market, wire.r, FUNDING_HOURS, wire.p, wire.i, *times),)

    # ── books ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _depth(self, wire: DepthUpdate, received: Microseconds) -> Sequence[FeedEvent]:
        if not all(finite(*change) for side in (wire.b, wire.a) for change in side):
            return (Undecodable(f"depthUpdate of {wire.s}: a level that is none"),)
        keeper = self._keeper(wire.s)
        if keeper.unproved:
            keeper.buffer(wire)
            return (Ignored("depthUpdate before the snapshot"),) if keeper.asked else (self._ask(wire.s, keeper),)
        return self._take(keeper, wire, received)

    def _take(self, keeper: BookKeeper, wire: DepthUpdate, received: Microseconds) -> Sequence[FeedEvent]:
        again = not keeper.proved and keeper.proved_before
        expected = keeper.last + 1
        match keeper.take(wire):
            case Verdict.OLD:
                return (Ignored("depthUpdate that the snapshot has"),)
            case Verdict.GAP:
                return self._gap(keeper, wire, expected)
        changed = self._changed(keeper, wire, received)
        return (self._status(StatusKind.RESYNCED, wire, 0, "proved again"), changed) if again else (changed,)

    def _gap(self, keeper: BookKeeper, wire: DepthUpdate, expected: int) -> Sequence[FeedEvent]:
        keeper.withdraw()
        keeper.buffer(wire)
        why = f"expected {expected}, got {wire.U} to {wire.u}" + (f" after {wire.pu}" if wire.pu >= 0 else "")
        return (self._status(StatusKind.GAP, wire, expected, why), self._ask(wire.s, keeper))

    def _changed(self, keeper: BookKeeper, wire: DepthUpdate, received: Microseconds) -> BookChanged:
        symbol, market = self._labels.get(wire.s) or (wire.s, wire.s)
        return BookChanged(self.exchange, symbol, market, keeper.book, wire.u, microseconds(wire.E), received)

    def _status(self, kind: StatusKind, wire: DepthUpdate, value: float, detail: str) -> ExchangeStatus:
        symbol = (self._labels.get(wire.s) or (wire.s, ""))[0]
        time = microseconds(wire.E)
        return ExchangeStatus(self.exchange, "depth", kind, float(value), f"{symbol}: {detail}", time, symbol)

    def _keeper(self, name: str) -> BookKeeper:
        keeper = self._books.get(name)
        if keeper is None:
            keeper = self._books[name] = BookKeeper(self._rule)
        return keeper

    def _ask(self, name: str, keeper: BookKeeper) -> SnapshotNeeded:
        keeper.asked = True
        path = f"{self._paths.depth}?symbol={name}&limit=1000"
        symbol = (self._labels.get(name) or (name, ""))[0]
        return SnapshotNeeded(symbol, Request("GET", path, weight=self._paths.depth_weight, tag="depth"))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        if answer.status != 200:
            return (Undecodable(f"HTTP {answer.status}: {answer.body[:200]!r}"),)
        url = urlsplit(answer.request.path)
        name = parse_qs(url.query).get("symbol", [""])[0].upper()
        if not url.path.endswith("/depth") or not name:
            return (Ignored(url.path or "answer"),)
        try:
            return self._snapshot(name, _SNAPSHOT.decode(answer.body), received_time)
        except UNREADABLE as error:
            return (_unreadable(answer.body, error),)

    def _snapshot(self, name: str, snapshot: DepthSnapshot, received: Microseconds) -> Sequence[FeedEvent]:
        keeper = self._keeper(name)
        if not keeper.unproved:
            return (Ignored("a snapshot nobody needs"),)
        if not all(finite(*level) for side in (snapshot.bids, snapshot.asks) for level in side):
            return (Undecodable(f"depth of {name}: a level that is none"), self._ask(name, keeper))
        waiting = keeper.anchor(snapshot)
        if waiting is None:
            return (self._ask(name, keeper),)
        return self._catch_up(keeper, waiting, received) or (Ignored("depth"),)

    def _catch_up(self, keeper: BookKeeper, waiting: list[DepthUpdate], received: Microseconds) -> Sequence[FeedEvent]:
        """Put what was buffered on top of the snapshot; a gap in it ends the attempt."""
        events: list[FeedEvent] = []
        for wire in waiting:
            events.extend(map(_frozen, self._take(keeper, wire, received)))
            if keeper.unproved:
                break
        return [event for event in events if not isinstance(event, Ignored)]


def _frozen(event: FeedEvent) -> FeedEvent:
    """Several changes of one book in one answer: each must show the book as it was after it."""
    if not isinstance(event, BookChanged):
        return event
    copy = event.book.copy()
    return BookChanged(
        event.exchange, event.symbol, event.market, copy, event.sequence, event.event_time, event.received_time
    )


def _kind(head: Head) -> str:
    if head.lastUpdateId is not UNSET:
        return "partial depth"
    if head.id is not UNSET or head.result is not UNSET or head.error is not UNSET:
        return "reply"
    return "message"


_ANY: Final = Decoder()


def _unreadable(raw: bytes | str, error: Exception) -> FeedEvent:
    """A list is a message of a kind that is not used (all tickers); what is no JSON, or lacks a field, is none."""
    text = raw[:1] if isinstance(raw, str) else raw[:1].decode(errors="replace")
    if text == "[":
        try:
            _ANY.decode(raw)
        except UNREADABLE:
            return Undecodable(str(error))
        return Ignored("list")
    return Undecodable(str(error))
