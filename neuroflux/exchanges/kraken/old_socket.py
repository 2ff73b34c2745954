"""Frames of Kraken's older socket, as recordings have them: books, quotes and trades as arrays of texts.

It is another protocol (``wss://ws.kraken.com``), to which nothing is subscribed here. Its frames are arrays: a number,
one or two parts, the channel with its depth, and the pair by the names of REST. A snapshot has no checksum. Source:
https://docs.kraken.com/api/docs/websocket-v1/book, /trade and /spread
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Annotated, Final

from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds, Quote, Side, Trade
from neuroflux.exchanges.kit.books import Books, Labels
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.numerals import plain, positive
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.sequences import BookUpdate, Checksummed
from neuroflux.exchanges.kraken.messages import ID
from neuroflux.exchanges.kraken.names import asset_of

Checksum = Callable[[OrderBook, str], int]
_Level = Annotated[list[str], Meta(min_length=3)]
_Trade = Annotated[list[str], Meta(min_length=4)]
_DEPTHS: Final = (10, 25, 100, 500, 1000)
_SHORTEST: Final = 4


class _Part(
    Struct, frozen=True, rename={"all_asks": "as", "all_bids": "bs", "asks": "a", "bids": "b", "checksum": "c"}
):
    """Whole sides of a book, or the levels of it that changed; a level is a price, a size, and a time."""

    all_asks: list[_Level] = []
    all_bids: list[_Level] = []
    asks: list[_Level] = []
    bids: list[_Level] = []
    checksum: str = ""


_FRAME: Final = Decoder(list[Raw])
_NAMES: Final = Decoder(tuple[str, str])
_PARTS: Final = Decoder(list[_Part | None])
_TRADES: Final = Decoder(list[_Trade])
_SPREAD: Final = Decoder(tuple[str, str, str, str, str])


class OldFrames:
    """``labels`` has symbol and market by symbol, ``checksum`` is that of the newer socket: the rule is the same."""

    def __init__(self, labels: Labels, checksum: Checksum) -> None:
        self._labels, self._checksum = labels, checksum
        self._books: dict[str, Books[BookUpdate]] = {
            f"book-{depth}": Books(ID, "book", Checksummed(checksum, depth), labels) for depth in _DEPTHS
        }

    def events(self, raw: bytes, received: Microseconds) -> Sequence[FeedEvent]:
        """Raises ``UNREADABLE``."""
        frame = _FRAME.decode(raw)
        if len(frame) < _SHORTEST or not bytes(frame[-1]).startswith(b'"'):
            return (Ignored("a frame of the older account"),)
        name, pair = _NAMES.decode(_joined(frame[-2:]))
        symbol, parts = "/".join(asset_of(one) for one in pair.split("/")), frame[1:-2]
        if name in self._books:
            found = [one for one in _PARTS.decode(_joined(parts)) if one is not None]
            return self._book(self._books[name], symbol, found, received)
        if name == "trade":
            return [self._trade(symbol, row, received) for one in parts for row in _TRADES.decode(one)]
        if name == "spread":
            return [self._quote(symbol, _SPREAD.decode(one), received) for one in parts]
        return (Ignored(name),)

    def _book(
        self, books: Books[BookUpdate], symbol: str, parts: Sequence[_Part], received: Microseconds
    ) -> Sequence[FeedEvent]:
        """Some years ago an update had no checksum: it proves nothing."""
        bids = [row for one in parts for row in (*one.all_bids, *one.bids)]
        asks = [row for one in parts for row in (*one.all_asks, *one.asks)]
        time = max((_micros(row[2]) for row in (*bids, *asks)), default=received)
        sides = [(row[0], row[1]) for row in bids], [(row[0], row[1]) for row in asks]
        if any(one.all_bids or one.all_asks for one in parts):
            book = OrderBook()
            book.replace(*sides)
            whole = BookUpdate(symbol, *sides, time, time, checksum=self._checksum(book, symbol))
            return books.replaced(whole, received)
        checksum = int("".join(one.checksum for one in parts) or -1)
        return books.update(BookUpdate(symbol, *sides, time, time, checksum=checksum), received)

    def _trade(self, symbol: str, row: Sequence[str], received: Microseconds) -> Trade[str]:
        """These trades have no ids; the time has microseconds."""
        price, size, time, letter, *_ = row
        if not positive(price, size) or letter not in ("b", "s"):
            raise ValueError(f"a trade of {symbol[:80]} has no amount or no side")
        listed, market = self._labels[symbol]
        side = Side.BUY if letter == "b" else Side.SELL
        return Trade(ID, listed, market, time, side, price, size, _micros(time), received)

    def _quote(self, symbol: str, row: Sequence[str], received: Microseconds) -> FeedEvent:
        bid, ask, seconds, bid_size, ask_size = row
        if not positive(bid, bid_size, ask, ask_size):
            return Ignored("a quote of one side")
        listed, market = self._labels[symbol]
        time = _micros(seconds)
        return Quote(ID, listed, market, bid, bid_size, ask, ask_size, time, time, received)


def _joined(parts: Sequence[Raw]) -> bytes:
    return b"[" + b",".join(map(bytes, parts)) + b"]"


def _micros(seconds: str) -> Microseconds:
    if not plain(seconds):
        raise ValueError(f"{seconds[:40]} is no time")
    return int(Decimal(seconds) * 1_000_000)
