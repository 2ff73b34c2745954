"""An order book kept from absolute updates: two sorted sides, every number as the exchange wrote it.

Prices are sorted as floats with ``bisect``: measured the fastest of what keeps the top cheap to read, at 20 and at
5,000 levels (docs/performance.md). Bids are kept by price and asks by negated price, so that the best is the last of
both: changes are near the top, and what is behind an insertion is all that a list has to move.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from math import inf

from neuroflux.domain import Level, Numeral

Change = Sequence[Numeral]
"""``(price, quantity)``; a quantity of 0 removes the level. Further elements are not read."""


class BookSide:
    """One side. ``sign`` is +1 for bids and -1 for asks."""

    __slots__ = ("_keys", "_levels", "_sign")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[float] = []
        self._levels: list[Level[Numeral]] = []

    def replace(self, levels: Iterable[Change]) -> None:
        """Forget everything and take these levels, in any order."""
        kept = {self._sign * float(level[0]): level for level in levels if float(level[1]) != 0.0}
        self._keys = sorted(kept)
        self._levels = [Level(kept[key][0], kept[key][1]) for key in self._keys]

    def apply(self, changes: Iterable[Change]) -> None:
        """Set or remove levels. Removing an unknown level is normal (Binance: 156 of 211 were)."""
        keys, levels, sign = self._keys, self._levels, self._sign
        for change in changes:
            price, quantity = change[0], change[1]
            key = sign * float(price)
            at = bisect_left(keys, key)
            known = at < len(keys) and keys[at] == key
            if float(quantity) == 0.0:
                if known:
                    del keys[at], levels[at]
            elif known:
                levels[at] = Level(price, quantity)
            else:
                keys.insert(at, key)
                levels.insert(at, Level(price, quantity))

    def top(self, depth: int) -> tuple[Level[Numeral], ...]:
        """Best first."""
        return tuple(self._levels[: -depth - 1 : -1])

    def holds(self, count: int, price: float) -> bool:
        """Whether so many levels are at this price or better; looks at one of them."""
        keys = self._keys
        return count == 0 or (count <= len(keys) and keys[-count] >= self._sign * price)

    def truncate(self, depth: int) -> None:
        """Drop what is behind the best ``depth`` levels."""
        del self._keys[:-depth], self._levels[:-depth]

    def copy(self) -> BookSide:
        copied = BookSide(self._sign)
        copied._keys, copied._levels = self._keys.copy(), self._levels.copy()
        return copied


class OrderBook:
    """Both sides of one instrument."""

    __slots__ = ("_asks", "_bids")

    def __init__(self) -> None:
        self._bids = BookSide(+1)
        self._asks = BookSide(-1)

    def replace(self, bids: Iterable[Change], asks: Iterable[Change]) -> None:
        self._bids.replace(bids)
        self._asks.replace(asks)

    def apply(self, bids: Iterable[Change], asks: Iterable[Change]) -> None:
        self._bids.apply(bids)
        self._asks.apply(asks)

    @property
    def lengths(self) -> tuple[int, int]:
        """The number of bids, and of asks."""
        return len(self._bids._keys), len(self._asks._keys)

    @property
    def worst(self) -> tuple[float, float]:
        """The lowest bid and the highest ask, 0 and infinity where there is none."""
        bids, asks = self._bids._keys, self._asks._keys
        return bids[0] if bids else 0.0, -asks[0] if asks else inf

    def truncate(self, depth: int) -> None:
        self._bids.truncate(depth)
        self._asks.truncate(depth)

    def copy(self) -> OrderBook:
        copied = OrderBook()
        copied._bids, copied._asks = self._bids.copy(), self._asks.copy()
        return copied

    def bids(self, depth: int) -> tuple[Level[Numeral], ...]:
        return self._bids.top(depth)

    def asks(self, depth: int) -> tuple[Level[Numeral], ...]:
        return self._asks.top(depth)

    def holds(self, bids: int, bid: float, asks: int, ask: float) -> bool:
        """Whether so many bids are at ``bid`` or above, and so many asks at ``ask`` or below."""
        return self._bids.holds(bids, bid) and self._asks.holds(asks, ask)

    @property
    def crossed(self) -> bool:
        """Whether the best bid is at or above the best ask: such a book is wrong."""
        bids, asks = self._bids._keys, self._asks._keys
        return bool(bids and asks) and bids[-1] >= -asks[-1]
