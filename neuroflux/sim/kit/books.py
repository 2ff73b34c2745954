"""The books of one exchange as text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Side
from neuroflux.sim.kit.numbers import Numbers

Levels = list[tuple[str, str]]
"""Price and quantity, best first."""


class BookTexts:
    """Writes levels with the numbers that ``numbers_of`` gives for an instrument, also for one that is listed later."""

    def __init__(self, exchange: SimExchange, numbers_of: Callable[[Listing], Numbers]) -> None:
        self.numbers = {symbol: numbers_of(listing) for symbol, listing in exchange.listings.items()}
        self.books = exchange.books
        exchange.on_list.append(lambda listing: self.numbers.update({listing.symbol: numbers_of(listing)}))

    def levels(self, symbol: str, depth: int) -> tuple[Levels, Levels]:
        """Bids and asks."""
        book, numbers = self.books[symbol], self.numbers[symbol]
        return numbers.levels(book.bids.levels(depth)), numbers.levels(book.asks.levels(depth))

    def changed(self, symbol: str, places: Iterable[tuple[Side, int]]) -> tuple[Levels, Levels]:
        """The bids and asks at these places as they are now; 0 where nothing is left."""
        book, numbers = self.books[symbol], self.numbers[symbol]
        levels: dict[Side, list[tuple[int, int]]] = {"buy": [], "sell": []}
        for side, price in places:
            levels[side].append((price, book.half(side).totals.get(price, 0)))
        return numbers.levels(levels["buy"]), numbers.levels(levels["sell"])

    def top(self, symbol: str) -> tuple[str, str, str, str]:
        """Bid price, bid quantity, ask price, ask quantity; zeros where a half is empty."""
        numbers = self.numbers[symbol]
        bids, asks = self.levels(symbol, 1)
        nothing = (numbers.price(0), numbers.quantity(0))
        return (*(bids[0] if bids else nothing), *(asks[0] if asks else nothing))
