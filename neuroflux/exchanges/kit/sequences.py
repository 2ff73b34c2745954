"""Sequence rules: what the numbers of an update say about its place in the sequence of one book.

A rule is a pure value without state. It compares an update with the number of the snapshot below it, or of the update
before it, and returns a verdict. ``keeper`` applies the verdict, ``books`` turns it into events.

ranged           an update covers the ids ``first`` to ``last`` without a hole                   Binance spot
ranged, chained  the same, but ids are shared by all symbols; ``previous`` names the one before  Binance USDⓈ-M
chained          ``previous`` is the ``last`` of the update before                               OKX
consecutive      each ``last`` is one more than the one before                                   Bybit
counted          numbers are of the connection, not of the book                                  Coinbase
checksummed      no numbers: an update carries the checksum of the book that it makes            Kraken
whole            no updates: every message is a whole book, numbered by its time                 Hyperliquid
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import ClassVar, Final, Generic, Protocol, TypeVar

from msgspec import Struct

from neuroflux.domain import Microseconds, Numeral
from neuroflux.exchanges.kit.numerals import Long
from neuroflux.exchanges.kit.order_book import OrderBook

Levels = Sequence[Sequence[Numeral]]
"""Rows of price and absolute quantity; a quantity of 0 removes the level. Further elements must be numbers too."""


class Verdict(Enum):
    """What to do with an update. Every member after ``GAP`` is a gap too, found in the book instead of the numbers."""

    APPLY = "the next one"
    IGNORE = "the book has it"
    BUFFER = "waits for the snapshot"
    GAP = "something was missed"
    RESTARTED = "ids are lower than before"
    CROSSED = "the best bid is not below the best ask"
    EMPTY = "both sides are empty"
    EXHAUSTED = "too little of the snapshot is left"
    MISMATCH = "the book has another checksum than the update"


class Update(Protocol):
    """Changed levels of one book. ``name`` is the exchange's name of the instrument.

    An exchange's message may implement it by field names (``rename``), so that nothing is copied.
    """

    @property
    def name(self) -> str: ...
    @property
    def bids(self) -> Levels: ...
    @property
    def asks(self) -> Levels: ...
    @property
    def first(self) -> int: ...
    @property
    def last(self) -> int: ...
    @property
    def previous(self) -> int:
        """The ``last`` of the update before; -1 where the exchange does not send it."""
        ...

    @property
    def time(self) -> Microseconds: ...


class CheckedUpdate(Update, Protocol):
    """An update with the checksum of the book that it makes."""

    @property
    def checksum(self) -> int: ...


class BookUpdate(Struct, frozen=True):
    """An update, or a whole book, of an exchange whose own message has another shape."""

    name: str
    bids: Levels
    asks: Levels
    last: Long
    time: Long
    first: Long = -1
    previous: Long = -1
    checksum: int = -1


U = TypeVar("U", bound=Update)
C = TypeVar("C", bound=CheckedUpdate)


class Rule(Generic[U]):
    """The defaults fit an exchange that sends its snapshots by the socket, before any update."""

    unanchored: ClassVar[Verdict] = Verdict.IGNORE
    """The verdict on an update before the snapshot: BUFFER where the snapshot is fetched by REST meanwhile."""
    repairs_itself: ClassVar[bool] = False
    """Whether the next message is a whole book, so that a gap needs no request."""

    depth: ClassVar[int] = 0
    """How many levels of a side are kept of a book that the exchange sends to its last level; 0: all."""

    def precedes(self, snapshot: int, oldest: U) -> bool:
        """Whether a snapshot is too old for the oldest update that was buffered: another one is needed."""
        return False

    def is_overtaken(self, last: int, snapshot: int) -> bool:
        """Whether a snapshot that the socket sent is older than the book."""
        return False

    def first(self, snapshot: int, update: U) -> Verdict:
        """Judge the first update on top of a snapshot."""
        return self.later(snapshot, update)

    def later(self, last: int, update: U) -> Verdict:
        """Judge an update on top of another one."""
        raise NotImplementedError

    def proves(self, book: OrderBook, update: U) -> bool:
        """Whether the book that the update made is the exchange's."""
        return True


class Ranged(Rule[U]):
    """Binance spot. Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams, "How to
    manage a local order book correctly":

    1. open the stream and buffer; note U of the first event
    2. get a snapshot with lastUpdateId L
    3. if L < U of the first event, get another
    4. drop events with u <= L
    5. the first kept event must have U <= L + 1 <= u
    6. from then on an event with u < the book's id is old; one with U > id + 1 means that something was missed
    """

    unanchored = Verdict.BUFFER  # step 1

    def precedes(self, snapshot: int, oldest: U) -> bool:
        return snapshot < oldest.first  # step 3

    def first(self, snapshot: int, update: U) -> Verdict:
        if update.last <= snapshot:  # step 4
            return Verdict.IGNORE
        return Verdict.APPLY if update.first <= snapshot + 1 <= update.last else Verdict.GAP  # step 5

    def later(self, last: int, update: U) -> Verdict:
        if update.last <= last:  # step 6; equal: the same event a second time
            return Verdict.IGNORE
        return Verdict.APPLY if last + 1 >= update.first else Verdict.GAP


class RangedChained(Rule[U]):
    """Binance USDⓈ-M. Source: https://developers.binance.com/docs/derivatives/usds-margined-futures, "How to manage a
    local order book correctly": steps 1 to 3 as above, then

    4. drop events with u < L
    5. the first kept event must have U <= L and u >= L; or its pu is L: the event before ended exactly at the snapshot
    6. from then on pu must be the u of the event before (U is not: ids are of the whole matching engine)
    """

    unanchored = Verdict.BUFFER

    def precedes(self, snapshot: int, oldest: U) -> bool:
        return snapshot < oldest.first and oldest.previous != snapshot

    def first(self, snapshot: int, update: U) -> Verdict:
        if update.last < snapshot:  # step 4
            return Verdict.IGNORE
        follows = update.first <= snapshot <= update.last or update.previous == snapshot  # step 5
        return Verdict.APPLY if follows else Verdict.GAP

    def later(self, last: int, update: U) -> Verdict:
        if update.previous == last:  # step 6
            return Verdict.APPLY
        return Verdict.IGNORE if update.last <= last else Verdict.GAP  # it ends before the book does: a repetition


class Chained(Rule[U]):
    """OKX's channel ``books`` (``previous`` is prevSeqId, ``last`` is seqId). Source:
    https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel

    1. the snapshot has prevSeqId -1 and replaces the book
    2. an update applies if its prevSeqId is the book's seqId; after maintenance its own seqId may be lower
    3. any other update means that something was missed

    A repetition is a gap too: once ids may fall, a low id does not prove that an update is old.
    """

    def later(self, last: int, update: U) -> Verdict:
        return Verdict.APPLY if update.previous == last else Verdict.GAP


class Consecutive(Rule[U]):
    """Bybit's ``u``. Source: https://bybit-exchange.github.io/docs/v5/websocket/public/orderbook

    1. a snapshot replaces the book at any time
    2. an update with u <= the book's is old; with u = the book's + 1 it applies; any other means a gap
    """

    def later(self, last: int, update: U) -> Verdict:
        if update.last <= last:
            return Verdict.IGNORE
        return Verdict.APPLY if update.last == last + 1 else Verdict.GAP


class Counted(Rule[U]):
    """Coinbase's ``sequence_num`` counts every frame of a connection, whatever it is about. Source:
    https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket/websocket-overview, "Sequence numbers"

    1. a frame that is not the next one means that something was lost, of an unknown book: every book of the
       connection is to be given up (``Connections``, ``Books.missed``)
    2. a snapshot replaces the book at any time
    3. so any update on top of a snapshot applies
    """

    depth = 1_000

    def later(self, last: int, update: U) -> Verdict:
        return Verdict.APPLY  # step 3


class Connections:
    """The number of the last frame, by connection."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def expected(self, connection: str, number: int) -> int | None:
        """Take a frame; returns the number that should have come instead of this one, None where it is the next."""
        last = self._last.get(connection)
        self._last[connection] = number
        return None if last is None or number == last + 1 else last + 1

    def closed(self, connection: str) -> None:
        self._last.pop(connection, None)


class Checksummed(Rule[C]):
    """Kraken's channel ``book``. Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v2

    1. a snapshot replaces the book
    2. every update applies; then each side is cut to the subscribed ``depth``
    3. ``checksum`` of the book must be the update's; otherwise something was missed

    The function gets the exchange's name of the instrument too: it may count decimals.
    """

    def __init__(self, checksum: Callable[[OrderBook, str], int], depth: int) -> None:
        self._checksum, self._depth = checksum, depth

    def later(self, last: int, update: C) -> Verdict:
        return Verdict.APPLY

    def proves(self, book: OrderBook, update: C) -> bool:
        book.truncate(self._depth)
        return self._checksum(book, update.name) == update.checksum


LATEST_MS: Final = 60_000
"""No message arrives this late: one that is dated far ahead must not make all that follow look overtaken."""


class Whole(Rule[U]):
    """Hyperliquid's ``l2Book``: a missing message is invisible, and harmless, since the next one is a whole book.

    Numbers are times in ms. An older book is not used; where it is older by more than ``LATEST_MS``, the last one was
    misdated.
    """

    repairs_itself = True

    def is_overtaken(self, last: int, snapshot: int) -> bool:
        return last - LATEST_MS <= snapshot < last
