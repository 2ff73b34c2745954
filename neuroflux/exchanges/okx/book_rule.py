"""The rule of OKX's channel ``books``, with its snapshots by either way, and the checksum that it once had.

Source: https://www.okx.com/docs-v5/en/#order-book-trading-market-data-ws-order-book-channel

1. a message with ``action`` snapshot replaces the book, and so does an answer of ``/market/books``, which is requested
   where no snapshot arrives, or after a gap
2. an update applies where its prevSeqId is the book's seqId: an empty one with equal ids proves a quiet book, and one
   with a lower seqId begins the numbers again, after maintenance
3. on top of an answer, updates up to its seqId are in it, and the first after it has prevSeqId <= its seqId < seqId
4. any other update means that something was missed
5. ``checksum`` is 0 since 2026-06; another one must be that of the best 25 levels. Messages from before 2023 have
   checksums and no numbers
"""

from __future__ import annotations

from decimal import Decimal
from itertools import chain, zip_longest
from zlib import crc32

from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.exchanges.kit.numerals import wire_number
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.sequences import Chained, Levels, Verdict
from neuroflux.exchanges.okx.numbers import ONE

_LEVELS = 25
NO_NUMBER = -1


class BookUpdate(Struct, frozen=True):
    """An update or a whole book, with quantities in coins; ``contract`` is the quantity of one contract."""

    name: str
    bids: Levels
    asks: Levels
    last: int
    previous: int
    time: Microseconds
    checksum: int
    contract: Decimal

    @property
    def first(self) -> int:
        return self.last


class OkxBook(Chained[BookUpdate]):
    """See the module."""

    unanchored = Verdict.BUFFER  # step 1: snapshots may come by REST

    def precedes(self, snapshot: int, oldest: BookUpdate) -> bool:
        return snapshot < min(oldest.previous, oldest.last)  # step 2: the numbers may begin again with it

    def first(self, snapshot: int, update: BookUpdate) -> Verdict:
        if update.previous != snapshot and update.last <= snapshot:  # step 3
            return Verdict.IGNORE
        return Verdict.APPLY if update.previous <= snapshot else Verdict.GAP

    def proves(self, book: OrderBook, update: BookUpdate) -> bool:
        if update.checksum:  # step 5
            return checksum(book, update.contract) == update.checksum
        return update.last != NO_NUMBER


def checksum(book: OrderBook, contract: Decimal) -> int:
    """CRC32, signed, of the best levels of both sides in turns, as the exchange wrote them."""

    def written(price: str, quantity: str) -> str:
        size = quantity if contract == ONE else wire_number(Decimal(quantity) / contract)
        return f"{price}:{size}"

    sides = ([written(one.price, one.quantity) for one in side] for side in (book.bids(_LEVELS), book.asks(_LEVELS)))
    levels = chain.from_iterable(zip_longest(*sides))
    value = crc32(":".join(one for one in levels if one is not None).encode())
    return value - (value >> 31 << 32)
