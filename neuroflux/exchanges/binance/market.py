"""Binance's public feed, spot and USDⓈ-M: quotes, trades, funding and books."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import quote, unquote

from msgspec import UNSET, Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    ExchangeStatus,
    Funding,
    Instrument,
    Microseconds,
    Quote,
    Side,
    StatusKind,
    StreamKind,
    Trade,
)
from neuroflux.exchanges.binance.funding import Intervals
from neuroflux.exchanges.binance.messages import (
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    Enveloped,
    Head,
    MarkPriceUpdate,
    Tape,
    microseconds,
)
from neuroflux.exchanges.binance.pages import asked_for, query_of
from neuroflux.exchanges.kit.books import Books
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.feed import KindAt, PublicFeed, chunks
from neuroflux.exchanges.kit.numerals import is_two_sided, plain
from neuroflux.exchanges.kit.requests import Answer, Request, Subscription
from neuroflux.exchanges.kit.sequences import Rule
from neuroflux.exchanges.kit.shapes import Shapes, kind_of

STREAMS_A_SOCKET: Final = 200
"""Of 1024 that are allowed: a lost socket then costs few books."""
LIMIT: Final = 1000
"""Levels a side of a requested snapshot: five times as many would cost spot five times the weight."""

_KINDS: Final = {
    "bookTicker": StreamKind.QUOTE,
    "trade": StreamKind.TRADE,
    "depth@100ms": StreamKind.BOOK,
    "markPrice@1s": StreamKind.FUNDING,
}
_HEAD: Final = Decoder(Head)
_BOOK_TICKER: Final = Decoder(BookTicker)
_TAPE: Final = Decoder(Tape)
_DEPTH: Final = Decoder(DepthUpdate)
_MARK_PRICE: Final = Decoder(MarkPriceUpdate)
_SNAPSHOT: Final = Decoder(DepthSnapshot)
_LIST: Final = Decoder(list[Raw])

_NO_BOOK: Final = re.compile(r"@(?:depth(?:5|10|20)(?:@|$)|rpiDepth)")
"""Streams of ``depthUpdate`` that change no book of ours: tops of a few levels, and books with retail orders (RPI),
which no order by API can meet."""


_ANSWERS: Final = Shapes(
    objects=(("lastUpdateId bids asks", "depth"),), rows=(("fundingIntervalHours", "fundingInfo"),)
)


class Paths(Struct, frozen=True):
    """Where an exchange serves what: streams by the path of their socket, snapshots with the weight of ``LIMIT``
    levels, and funding intervals, if any.
    """

    streams: tuple[tuple[str, tuple[str, ...]], ...]
    snapshots: str
    snapshot_weight: int
    intervals: str = ""


class BinanceMarketFeed(PublicFeed):
    """Public data of the given instruments."""

    def __init__(self, exchange: str, rule: Rule[DepthUpdate], paths: Paths, instruments: Iterable[Instrument]) -> None:
        super().__init__(exchange, instruments, KindAt(b'{"stream":"', b"@"))
        self._paths = paths
        self.books = Books(exchange, "depth", rule, self.labels, self._snapshot_request)
        self._intervals = Intervals()
        self._empty: set[str] = set()
        self.routes = {
            b"bookTicker": (Decoder(Enveloped[BookTicker]).decode, self._quote),
            b"trade": (Decoder(Enveloped[Tape]).decode, self._trade),
            b"depth@100ms": (Decoder(Enveloped[DepthUpdate]).decode, self._depth),
        }

    # ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        listed = self.listed(symbols)
        return [one for path, kinds in self._paths.streams for one in self._sockets(path, kinds, listed)]

    def _sockets(self, path: str, kinds: tuple[str, ...], listed: Sequence[Instrument]) -> Iterator[Subscription]:
        """A symbol's streams share a socket."""
        for these in chunks(listed, len(kinds), STREAMS_A_SOCKET):
            streams = "/".join(f"{quote(one.name.lower())}@{kind}" for one in these for kind in kinds)
            brings = tuple((_KINDS[kind], one.symbol) for one in these for kind in kinds)
            yield Subscription(f"{path}?streams={streams}", is_steady=True, streams=brings)

    def books_of(self, subscription: Subscription) -> Collection[str]:
        streams = unquote(subscription.path.partition("?streams=")[2]).split("/")
        return {stream.partition("@")[0].upper() for stream in streams if "@depth" in stream}

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        """Kinds that are rare, or that a recording kept without their stream, are found by their head."""
        if raw.lstrip()[:1] == b"[":
            return self._each(_LIST.decode(raw), received, channel)
        head = _HEAD.decode(raw)
        if head.data is UNSET:
            return self._message(raw, head, channel, received)
        if bytes(head.data).startswith(b"["):
            return self._each(_LIST.decode(head.data), received, head.stream)
        return self._message(head.data, _HEAD.decode(head.data), head.stream, received)

    def _each(self, messages: list[Raw], received: Microseconds, stream: str) -> Sequence[FeedEvent]:
        """A stream of all symbols brings lists, of which ``!markPrice@arr`` is of use."""
        heads = [(one, _HEAD.decode(one)) for one in messages if bytes(one).startswith(b"{")]
        useful = [event for one, head in heads if head.e for event in self._message(one, head, stream, received)]
        return [event for event in useful if not isinstance(event, Ignored)] or (Ignored(stream or "list"),)

    def _message(self, raw: bytes | Raw, head: Head, stream: str, received: Microseconds) -> Sequence[FeedEvent]:
        match head.e:
            case "bookTicker":
                return self._quote(Enveloped(_BOOK_TICKER.decode(raw)), received)
            case "trade":
                return self._trade(Enveloped(_TAPE.decode(raw)), received)
            case "depthUpdate":
                if _NO_BOOK.search(stream):
                    return (Ignored("partial depth"),)
                return self.books.update(_DEPTH.decode(raw), received)
            case "markPriceUpdate":
                return self._funding(_MARK_PRICE.decode(raw))
            case "serverShutdown":
                return (closing(self.exchange, "market", received),)
            case "":
                if head.u is not UNSET and head.B is not UNSET:
                    return self._quote(Enveloped(_BOOK_TICKER.decode(raw)), received)
                if head.error is not UNSET:
                    return (self._refused(bytes(head.error), received),)
                if head.code is not UNSET and head.msg is not UNSET:
                    return (self._refused(bytes(raw), received),)
        return (Ignored(head.e or stream or _kind(head)),)

    def _refused(self, error: bytes, received: Microseconds) -> FeedEvent:
        """A subscription on this socket was refused: a status, for people and for the health."""
        why = error.decode(errors="replace")[:500]
        return ExchangeStatus(self.exchange, "error", StatusKind.MALFORMED, 0.0, why, received)

    def _quote(self, frame: Enveloped[BookTicker], received: Microseconds) -> Sequence[FeedEvent]:
        wire = frame.data
        symbol, market = self.labels[wire.s]
        if is_two_sided(f"{wire.b},{wire.B},{wire.a},{wire.A}") is None:
            return (self._no_quote(wire, symbol, received),)
        time = microseconds(wire.T) if wire.T else received
        quote = Quote(self.exchange, symbol, market, wire.b, wire.B, wire.a, wire.A, wire.u, time, received)
        if self._empty and wire.s in self._empty:
            return (self._two_sided(wire.s, symbol, received), quote)
        return (quote,)

    def _no_quote(self, wire: BookTicker, symbol: str, received: Microseconds) -> FeedEvent:
        """One side is no quote; reported once, until there are two again."""
        if not plain(wire.b, wire.B, wire.a, wire.A):
            return Undecodable(f"bookTicker of {wire.s}: a number that is none")
        why = f"{symbol}: a side is empty: bid {wire.b} x {wire.B}, ask {wire.a} x {wire.A}"[:200]
        if wire.s in self._empty:
            return Ignored(why)
        self._empty.add(wire.s)
        return ExchangeStatus(self.exchange, "quotes", StatusKind.EXCLUDED, 0.0, why, received, symbol)

    def _two_sided(self, name: str, symbol: str, received: Microseconds) -> FeedEvent:
        self._empty.discard(name)
        why = f"{symbol}: both sides again"
        return ExchangeStatus(self.exchange, "quotes", StatusKind.INCLUDED, 0.0, why, received, symbol)

    def _trade(self, frame: Enveloped[Tape], received: Microseconds) -> Sequence[FeedEvent]:
        """Only MARKET trades belong to the tape; insurance fund and liquidation entries do not."""
        wire = frame.data
        if not plain(wire.p, wire.q):
            return (Undecodable(f"trade of {wire.s}: a number that is none"),)
        if wire.X != "MARKET" or float(wire.p) == 0:
            return (Ignored(f"trade {wire.X}"),)
        symbol, market = self.labels[wire.s]
        side = Side.SELL if wire.m else Side.BUY
        time = microseconds(wire.T)
        return (Trade(self.exchange, symbol, market, str(wire.t), side, wire.p, wire.q, time, received),)

    def _depth(self, frame: Enveloped[DepthUpdate], received: Microseconds) -> Sequence[FeedEvent]:
        return self.books.update(frame.data, received)

    # ── funding ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _funding(self, wire: MarkPriceUpdate) -> Sequence[FeedEvent]:
        """A rate is per the interval that is known when it is reported; see ``Intervals``."""
        if not wire.r or not wire.T:
            return (Ignored("mark price without funding: a dated future, or a symbol in settlement"),)
        if not plain(wire.p, wire.i, wire.r.removeprefix("-")):
            return (Undecodable(f"markPriceUpdate of {wire.s}: a number that is none"),)
        symbol, market = self.labels[wire.s]
        following, time = microseconds(wire.T), microseconds(wire.E)
        is_wanted = bool(self._paths.intervals) and self._intervals.observed(wire.s, time, following)
        hours = self._intervals.hours(wire.s)
        funding = Funding(self.exchange, symbol, market, wire.r, hours, wire.p, wire.i, following, time)
        if not is_wanted:
            return (funding,)
        return (funding, SnapshotNeeded("", Request("GET", self._paths.intervals, tag="fundingInfo")))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        """A snapshot or the funding intervals, by the path; where there is none, by the keys."""
        kind = asked_for(answer) or kind_of(answer.body, _ANSWERS)
        if kind == "depth":
            return self._snapshot(answer, received)
        if kind == "fundingInfo":
            faults = self._intervals.answered(answer.body).statuses(self.exchange, kind, received)
            return faults or (Ignored("fundingInfo"),)
        return (Ignored(answer.request.path.partition("?")[0] or kind or "answer"),)

    def subject(self, answer: Answer) -> str:
        return asked_for(answer) or "answer"

    def _snapshot_request(self, name: str) -> Request:
        path = f"{self._paths.snapshots}?symbol={quote(name)}&limit={LIMIT}"
        return Request("GET", path, weight=self._paths.snapshot_weight, tag="depth")

    def _snapshot(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        snapshot, asked = _SNAPSHOT.decode(answer.body), query_of(answer)
        limit = asked.get("limit", "0")
        name = asked.get("symbol", "").upper() or self._meant(answer.request.tag)
        if not name:
            return (Ignored("depth of an unknown symbol"),)
        levels = int(limit) if limit.isdecimal() and len(limit) < 6 else 0
        return self.books.anchored(name, snapshot.bids, snapshot.asks, snapshot.lastUpdateId, levels, received)

    def _meant(self, channel: str) -> str:
        """Whose snapshot it is where no path names it: the channel's, or that of the only book that waits for one."""
        waiting, name = self.books.waiting, channel.partition("@")[0].upper()
        if name in waiting:
            return name
        return waiting[0] if len(waiting) == 1 else ""


def closing(exchange: str, channel: str, received: Microseconds) -> ExchangeStatus:
    """The notice of a shutdown: this connection is closed soon, and a new one must be opened at once."""
    detail = "serverShutdown: the exchange is about to close this connection"
    return ExchangeStatus(exchange, channel, StatusKind.DISCONNECTED, 0.0, detail, received)


def _kind(head: Head) -> str:
    if head.lastUpdateId is not UNSET:
        return "partial depth"
    if head.id is not UNSET or head.result is not UNSET:
        return "reply"
    return "message"
