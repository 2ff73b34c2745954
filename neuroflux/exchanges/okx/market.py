"""OKX's public feed: quotes, trades, books, and the funding of perpetuals.

Sizes of perpetuals are in contracts, and are converted. Source: https://www.okx.com/docs-v5/en/ ("WS / Order book
channel", "Trades channel", "Funding rate channel", "Mark price channel", "Index tickers channel").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from functools import partial
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.json import Decoder

from neuroflux.domain import Instrument, Microseconds, Quote, Side, StreamKind, Trade
from neuroflux.exchanges.kit.books import Books
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.feed import KindAt, PublicFeed, chunks
from neuroflux.exchanges.kit.numerals import Long, is_two_sided, positive
from neuroflux.exchanges.kit.requests import Answer, Request, Subscription
from neuroflux.exchanges.kit.shapes import Shapes, kind_of
from neuroflux.exchanges.okx import socket
from neuroflux.exchanges.okx.book_rule import NO_NUMBER, BookUpdate, OkxBook
from neuroflux.exchanges.okx.funding import Fundings
from neuroflux.exchanges.okx.messages import HEAD, Frame, each
from neuroflux.exchanges.okx.numbers import ONE, size_in_coins, time_of
from neuroflux.exchanges.okx.pages import query_of
from neuroflux.exchanges.okx.rest import API, ID, data_of

INSTRUMENTS_A_SOCKET: Final = 30
"""As many books as the exchange advises to have on a connection."""
DEPTH: Final = 400
BOOKS: Final = f"{API}/market/books"
QUIET_SECONDS: Final = 75.0
"""A book that does not change is proved again after 60 s."""

_KINDS: Final = {"bbo-tbt": StreamKind.QUOTE, "trades": StreamKind.TRADE, "books": StreamKind.BOOK}
_START: Final = b'{"arg":{"channel":"'
_ANSWERS: Final = Shapes(objects=(), rows=(("asks bids ts", "books"),))

Level = Annotated[list[str], Meta(min_length=2)]


class _Book(Struct, frozen=True):
    asks: list[Level]
    bids: list[Level]
    ts: str
    seqId: Long = NO_NUMBER
    prevSeqId: Long = NO_NUMBER
    checksum: int = 0


class _Trade(Struct, frozen=True):
    instId: str
    tradeId: str
    px: str
    sz: str
    side: Side
    ts: str


_SNAPSHOTS: Final = Decoder(list[_Book])


class OkxMarketFeed(PublicFeed):
    """Public data of the given instruments."""

    def __init__(self, instruments: Iterable[Instrument]) -> None:
        self._contracts: dict[str, Decimal] = {}
        super().__init__(ID, instruments, KindAt(_START, _START))
        self.books = Books(ID, "books", OkxBook(), self.labels, _snapshot_request)
        self._funding = Fundings(self.labels)
        self.routes = {
            b"bbo-tbt": (Decoder(Frame[_Book]).decode, partial(each, self._quote)),
            b"books": (Decoder(Frame[_Book]).decode, partial(each, self._book)),
            b"trades": (Decoder(Frame[_Trade]).decode, partial(each, self._trade)),
            **self._funding.routes,
        }

    def learn(self, instruments: Sequence[Instrument]) -> None:
        super().learn(instruments)
        self._contracts |= {one.name: one.contract_size for one in instruments}

    # ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        return [_socket(these) for these in chunks(self.listed(symbols), 1, INSTRUMENTS_A_SOCKET)]

    # ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────

    def on_frame(self, raw: bytes, received: Microseconds, channel: str) -> Sequence[FeedEvent]:
        noticed = socket.notice(raw, "market", received)
        return noticed or self.routed(HEAD.decode(raw).arg.channel, raw, received)

    def _quote(self, frame: Frame[_Book], wire: _Book, received: Microseconds) -> Sequence[FeedEvent]:
        if not (wire.bids and wire.asks):
            return (Ignored("a side is empty"),)
        name = frame.arg.instId
        (bid, bid_size, *_), (ask, ask_size, *_) = wire.bids[0], wire.asks[0]
        if is_two_sided(f"{bid},{bid_size},{ask},{ask_size}") is None:
            raise ValueError(f"bbo-tbt of {name}: a number that is none")
        contract = self._contracts.get(name, ONE)
        if contract != ONE:
            bid_size, ask_size = size_in_coins(bid_size, contract), size_in_coins(ask_size, contract)
        symbol, market = self.labels[name]
        time = time_of(wire.ts)
        return (Quote(ID, symbol, market, bid, bid_size, ask, ask_size, wire.seqId, time, received),)

    def _trade(self, frame: Frame[_Trade], wire: _Trade, received: Microseconds) -> Sequence[FeedEvent]:
        if not positive(wire.px, wire.sz):
            raise ValueError(f"trade of {wire.instId}: a number that is none")
        contract = self._contracts.get(wire.instId, ONE)
        size = wire.sz if contract == ONE else size_in_coins(wire.sz, contract)
        symbol, market = self.labels[wire.instId]
        return (Trade(ID, symbol, market, wire.tradeId, wire.side, wire.px, size, time_of(wire.ts), received),)

    def _book(self, frame: Frame[_Book], wire: _Book, received: Microseconds) -> Sequence[FeedEvent]:
        if frame.action == "snapshot":
            return self.books.replaced(self._update(frame.arg.instId, wire), received)
        if frame.action == "update":
            if wire.seqId < wire.prevSeqId and self.books.proved(frame.arg.instId) is None:
                self.books.withdraw((frame.arg.instId,))  # no answer from now on has the numbers of what waits
            return self.books.update(self._update(frame.arg.instId, wire), received)
        return (Ignored("a book without an action"),)

    def _update(self, name: str, wire: _Book) -> BookUpdate:
        """In coins."""
        contract = self._contracts.get(name, ONE)
        bids, asks = (_in_coins(side, contract) for side in (wire.bids, wire.asks))
        numbers = wire.seqId, wire.prevSeqId, time_of(wire.ts), wire.checksum
        return BookUpdate(name, bids, asks, *numbers, contract)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────

    def on_answer(self, answer: Answer, received: Microseconds) -> Sequence[FeedEvent]:
        data, path = data_of(answer.body), answer.request.path.partition("?")[0]
        if path != BOOKS and kind_of(bytes(data), _ANSWERS) != "books":
            return (Ignored(path or "answer"),)
        name = query_of(answer).get("instId", "") or next(iter(self.books.waiting), "")
        taken = (self._snapshot(name, wire, received) for wire in _SNAPSHOTS.decode(data)[:1])
        return next(taken, (Ignored("no book"),))

    def _snapshot(self, name: str, wire: _Book, received: Microseconds) -> Sequence[FeedEvent]:
        """The book is a window of as many levels on the socket too, so that it is not used up as prices move."""
        if not name or wire.seqId == NO_NUMBER:
            return (Ignored("a book without a name or a number"),)
        whole = self._update(name, wire)
        return self.books.anchored(name, whole.bids, whole.asks, whole.last, 0, received)

    def subject(self, answer: Answer) -> str:
        return answer.request.path.partition("?")[0]


def _in_coins(side: list[Level], contract: Decimal) -> Sequence[Sequence[str]]:
    """Raises ValueError."""
    if contract == ONE:
        return side
    return [(price, size_in_coins(size, contract)) for price, size, *_ in side]


def _snapshot_request(name: str) -> Request:
    return Request("GET", f"{BOOKS}?instId={name}&sz={DEPTH}", tag="books", bucket="books")


def _socket(listed: Sequence[Instrument]) -> Subscription:
    args = [arg for one in listed for arg in _args(one)]
    brings = [(kind, one.symbol) for one in listed for kind in _KINDS.values()]
    brings += [(StreamKind.FUNDING, one.symbol) for one in listed if one.settle]
    return socket.subscription(
        "public", (socket.operation("subscribe", *args),), QUIET_SECONDS, is_steady=True, streams=tuple(brings)
    )


def _args(one: Instrument) -> Iterator[dict[str, str]]:
    for channel in _KINDS:
        yield {"channel": channel, "instId": one.name}
    if one.settle:
        for channel in ("funding-rate", "mark-price"):
            yield {"channel": channel, "instId": one.name}
        yield {"channel": "index-tickers", "instId": one.name.removesuffix("-SWAP")}
