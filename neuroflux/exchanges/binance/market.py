"""Binance's public feed, spot and USDⓈ-M: quotes, the tape, funding, and what belongs to a book."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, quote, unquote

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
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.binance.book_rules import Rule
from neuroflux.exchanges.binance.books import Books, Labels, SnapshotPath
from neuroflux.exchanges.binance.funding import Intervals
from neuroflux.exchanges.binance.messages import (
    UNREADABLE,
    BookTicker,
    DepthSnapshot,
    DepthUpdate,
    Enveloped,
    Head,
    MarkPriceUpdate,
    Tape,
    finite,
    is_two_sided,
    microseconds,
)
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Request, Subscription

STREAMS_A_SOCKET: Final = 200
"""Of 1024 that are allowed: a lost socket then costs few books."""

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
_ANYTHING: Final = Decoder()
_LIST: Final = Decoder(list[Raw])

_ENVELOPE: Final = b'{"stream":"'
_STREAM_AT: Final = len(_ENVELOPE)
_NO_BOOK: Final = re.compile(r"@(?:depth(?:5|10|20)(?:@|$)|rpiDepth)")
"""Streams of ``depthUpdate`` that change no book of ours: tops of a few levels, and books with retail orders (RPI),
which no order by API can meet."""


class Paths(Struct, frozen=True):
    """Where an exchange serves what: streams by the path of their socket, snapshots, and funding intervals, if any."""

    streams: tuple[tuple[str, tuple[str, ...]], ...]
    snapshots: SnapshotPath
    intervals: str = ""


class BinanceMarketFeed:
    """Public data of the given instruments; a symbol that none of them names keeps the exchange's name."""

    def __init__(self, exchange: str, rule: Rule, paths: Paths, instruments: Iterable[Instrument]) -> None:
        listed = list(instruments)
        self.exchange = exchange
        self._paths = paths
        self._names = {one.symbol: one.name for one in listed}
        self._labels = Labels((one.name, (one.symbol, one.market)) for one in listed)
        self._books = Books(exchange, rule, paths.snapshots, self._labels)
        self._intervals = Intervals()
        self._empty: set[str] = set()
        self._hot: dict[bytes, tuple[Callable[[bytes], Any], Callable[[Any, Microseconds], Sequence[FeedEvent]]]] = {
            b"bookTicker": (Decoder(Enveloped[BookTicker]).decode, self._quote),
            b"trade": (Decoder(Enveloped[Tape]).decode, self._trade),
            b"depth@100ms": (Decoder(Enveloped[DepthUpdate]).decode, self._books.update),
        }

    def learn(self, instruments: Sequence[Instrument]) -> None:
        self._names |= {one.symbol: one.name for one in instruments}
        self._labels.update((one.name, (one.symbol, one.market)) for one in instruments)

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
            these = symbols[start : start + together]
            names = [quote(self._names[symbol].lower()) for symbol in these]
            streams = "/".join(f"{name}@{kind}" for name in names for kind in kinds)
            brings = tuple((_KINDS[kind], symbol) for symbol in these for kind in kinds)
            yield Subscription(f"{path}?streams={streams}", is_steady=True, streams=brings)

    def disconnected(self, subscription: Subscription) -> None:
        streams = unquote(subscription.path.partition("?streams=")[2]).split("/")
        self._books.withdraw({stream.partition("@")[0].upper() for stream in streams if "@depth" in stream})

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        """The frequent kinds are told by the stream's name, and decoded once; the others by their head."""
        try:
            frame = raw.encode() if isinstance(raw, str) else raw
            if frame.startswith(_ENVELOPE):
                hot = self._hot.get(frame[frame.find(b"@") + 1 : frame.find(b'"', _STREAM_AT)])
                if hot is not None:
                    decode, take = hot
                    return take(decode(frame).data, received_time)
            return self._any(frame, received_time, channel)
        except UNREADABLE as error:
            return (Undecodable(str(error)),)

    def _any(self, frame: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        if frame.lstrip()[:1] == b"[":
            return self._each(_LIST.decode(frame), received, channel)
        head = _HEAD.decode(frame)
        if head.data is UNSET:
            return self._message(frame, head, channel, received)
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
                return self._quote(_BOOK_TICKER.decode(raw), received)
            case "trade":
                return self._trade(_TAPE.decode(raw), received)
            case "depthUpdate":
                if _NO_BOOK.search(stream):
                    return (Ignored("partial depth"),)
                return self._books.update(_DEPTH.decode(raw), received)
            case "markPriceUpdate":
                return self._funding(_MARK_PRICE.decode(raw))
            case "serverShutdown":
                return (closing(self.exchange, "market", received),)
            case "":
                if head.u is not UNSET and head.B is not UNSET:
                    return self._quote(_BOOK_TICKER.decode(raw), received)
                if head.error is not UNSET:
                    return (self._refused(bytes(head.error), received),)
                if head.code is not UNSET and head.msg is not UNSET:
                    return (self._refused(bytes(raw), received),)
        return (Ignored(head.e or stream or _kind(head)),)

    def _refused(self, error: bytes, received: Microseconds) -> FeedEvent:
        """What was asked for on this socket does not come: people and the health see it."""
        why = error.decode(errors="replace")[:500]
        return ExchangeStatus(self.exchange, "error", StatusKind.MALFORMED, 0.0, why, received)

    def _quote(self, wire: BookTicker, received: Microseconds) -> Sequence[FeedEvent]:
        symbol, market = self._labels[wire.s]
        if is_two_sided(f"{wire.b},{wire.B},{wire.a},{wire.A}") is None:
            return (self._no_quote(wire, symbol, received),)
        time = microseconds(wire.T) if wire.T else received
        quote = Quote(self.exchange, symbol, market, wire.b, wire.B, wire.a, wire.A, wire.u, time, received)
        if self._empty and wire.s in self._empty:
            return (self._two_sided(wire.s, symbol, received), quote)
        return (quote,)

    def _no_quote(self, wire: BookTicker, symbol: str, received: Microseconds) -> FeedEvent:
        """Of one side there is no quote; said once, until there are two again."""
        if not finite(wire.b, wire.B, wire.a, wire.A):
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

    def _trade(self, wire: Tape, received: Microseconds) -> Sequence[FeedEvent]:
        """Only MARKET trades belong to the tape; insurance fund and liquidation entries do not."""
        if not finite(wire.p, wire.q):
            return (Undecodable(f"trade of {wire.s}: a number that is none"),)
        if wire.X != "MARKET" or float(wire.p) == 0:
            return (Ignored(f"trade {wire.X}"),)
        symbol, market = self._labels[wire.s]
        side = Side.SELL if wire.m else Side.BUY
        time = microseconds(wire.T)
        return (Trade(self.exchange, symbol, market, str(wire.t), side, wire.p, wire.q, time, received),)

    # ── funding ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _funding(self, wire: MarkPriceUpdate) -> Sequence[FeedEvent]:
        """A rate is per the interval that is known when it is reported; see ``Intervals``."""
        if not wire.r or not wire.T:
            return (Ignored("mark price without funding: a dated future, or a symbol in settlement"),)
        if not finite(wire.p, wire.i, wire.r.removeprefix("-")):
            return (Undecodable(f"markPriceUpdate of {wire.s}: a number that is none"),)
        symbol, market = self._labels[wire.s]
        following, time = microseconds(wire.T), microseconds(wire.E)
        is_wanted = bool(self._paths.intervals) and self._intervals.observed(wire.s, time, following)
        hours = self._intervals.hours(wire.s)
        funding = Funding(self.exchange, symbol, market, wire.r, hours, wire.p, wire.i, following, time)
        if not is_wanted:
            return (funding,)
        return (funding, SnapshotNeeded("", Request("GET", self._paths.intervals, tag="fundingInfo")))

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        """A snapshot or the funding intervals, told by the path; where there is none, by what is in them."""
        if answer.status != 200:
            return (Undecodable(f"HTTP {answer.status}: {answer.body[:200]!r}"),)
        path = answer.request.path.partition("?")[0]
        kind = path.rpartition("/")[2]
        try:
            if not path:
                kind = _shape(_ANYTHING.decode(answer.body))
            if kind == "depth":
                return self._snapshot(answer, received_time)
            if kind == "fundingInfo":
                faults = self._intervals.answered(answer.body).statuses(self.exchange, kind, received_time)
                return faults or (Ignored("fundingInfo"),)
        except UNREADABLE as error:
            return (Undecodable(f"{kind or 'answer'}: {error}"),)
        return (Ignored(path or kind or "answer"),)

    def _snapshot(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        snapshot = _SNAPSHOT.decode(answer.body)
        asked = parse_qs(answer.request.path.partition("?")[2], max_num_fields=100)
        limit = asked.get("limit", ["0"])[0]
        name = asked.get("symbol", [""])[0].upper() or self._meant(answer.request.tag)
        if not name:
            return (Ignored("depth of nobody knows what"),)
        is_number = limit.isdecimal() and len(limit) < 6
        return self._books.snapshot(name, snapshot, int(limit) if is_number else 0, received)

    def _meant(self, channel: str) -> str:
        """Whose snapshot it is where no address tells: the channel's, or the only book's that wants one."""
        waiting, name = self._books.waiting, channel.partition("@")[0].upper()
        if name in waiting:
            return name
        return waiting[0] if len(waiting) == 1 else ""


def closing(exchange: str, channel: str, received: Microseconds) -> ExchangeStatus:
    """What a notice of shutdown means: this connection is cut soon, and a new one is to be opened at once."""
    detail = "serverShutdown: the exchange is about to close this connection"
    return ExchangeStatus(exchange, channel, StatusKind.DISCONNECTED, 0.0, detail, received)


def _shape(document: object) -> str:
    if isinstance(document, dict) and {"lastUpdateId", "bids", "asks"} <= document.keys():
        return "depth"
    first = document[0] if isinstance(document, list) and document else None
    return "fundingInfo" if isinstance(first, dict) and "fundingIntervalHours" in first else ""


def _kind(head: Head) -> str:
    if head.lastUpdateId is not UNSET:
        return "partial depth"
    if head.id is not UNSET or head.result is not UNSET:
        return "reply"
    return "message"
