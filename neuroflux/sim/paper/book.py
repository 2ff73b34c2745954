"""One book of a paper exchange: the levels of the live exchange, and the orders of the paper account."""

from __future__ import annotations

from neuroflux.domain import BookSnapshot, Level, Microseconds
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Book, Match, Side

LIFE: Microseconds = 10_000_000
"""A snapshot is repeated every second while its book is valid: one this old is of a book that was withdrawn."""

_SIDES: tuple[Side, Side] = ("buy", "sell")
_Levels = dict[int, int]


class PaperBook:
    """Keeps the live levels of one book equal to the newest snapshot.

    A level of the snapshot that crosses a resting paper order trades with it first. What a paper order took is restored
    by the next snapshot, since the live exchange never saw it. A paper order that rests at a price of the snapshot is
    filled only when the other side reaches that price: the length of the queue before it is unknown.
    """

    def __init__(self, listing: Listing, book: Book) -> None:
        self.listing = listing
        self.book = book
        self.mid = 0.0
        """Of the newest snapshot, in the quote asset; 0 before the first."""
        self._received: Microseconds = 0

    def show(self, snapshot: BookSnapshot[float], now: Microseconds) -> list[Match]:
        """Show a snapshot; returns its trades with paper orders. An old or crossed one changes nothing."""
        bids, asks = self._levels(snapshot.bids), self._levels(snapshot.asks)
        if now - snapshot.received_time > LIFE or not bids or not asks or max(bids) >= min(asks):
            return []
        self._received = min(snapshot.received_time, now)
        self.mid = (snapshot.bids[0].price + snapshot.asks[0].price) / 2
        before = len(self.book.matches)
        for side, levels in zip(_SIDES, (bids, asks), strict=True):
            self._leave(side, levels)  # on both sides first, so that the live levels never trade with each other
        for side, levels in zip(_SIDES, (bids, asks), strict=True):
            for price, lots in levels.items():
                self._stand(side, price, lots)
        return self.book.matches[before:]

    def expire(self, now: Microseconds) -> None:
        """Empty the book when its snapshot is too old: no order may be filled at old prices."""
        if self._received and now - self._received > LIFE:
            self._received = 0
            for side in _SIDES:
                self._leave(side, {})

    def _levels(self, levels: tuple[Level[float], ...]) -> _Levels:
        """Whole ticks to whole lots, best first; what is less than a lot can't be traded."""
        tick, lot = float(self.listing.tick), float(self.listing.lot)
        found: _Levels = {}
        for level in levels:
            price, lots = round(level.price / tick), round(level.quantity / lot)
            if price > 0 and lots > 0:
                found[price] = lots
        return found

    def _leave(self, side: Side, levels: _Levels) -> None:
        half = self.book.half(side)
        for price in half.prices(len(half)):
            if price not in levels:
                self.book.set_liquidity(side, price, 0)

    def _stand(self, side: Side, price: int, lots: int) -> None:
        if self.book.crosses(side, price):
            lots -= sum(match.quantity for match in self.book.take(side, lots, price, 0))
        self.book.set_liquidity(side, price, lots)
