"""The channel ``book``: no numbers, but the checksum of the ten best levels; truncated to the depth without removals.

Source: https://docs.kraken.com/api/docs/guides/spot-ws-book-v2
"""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.books import BookTexts, Levels
from neuroflux.sim.kit.streams import Channel, Unsent
from neuroflux.sim.kraken.names import symbol_of
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import timestamp

DEPTHS = (10, 25, 100, 500, 1000)
_CHECKED = 10
Sides = tuple[Levels, Levels]
"""Bids and asks."""


def checksum(bids: Levels, asks: Levels) -> int:
    """Of the best levels' numbers as they are written, without their points and leading zeros: asks, then bids."""
    numbers = (number for side in (asks, bids) for level in side[:_CHECKED] for number in level)
    return crc32("".join(number.replace(".", "").lstrip("0") for number in numbers).encode())


class Books:
    """Writes the frames of one depth. Followers of a symbol have all the same levels."""

    def __init__(self, simulation: Simulation, texts: BookTexts, depth: int) -> None:
        self._simulation, self._texts, self._depth = simulation, texts, depth
        self._shown: dict[str, Sides] = {}
        self.channel = Channel(first=self._snapshot, levels=self._update, is_depth=True)

    def _snapshot(self, symbol: str) -> str:
        self._shown[symbol] = sides = self._texts.levels(symbol, self._depth)
        return self._frame("snapshot", symbol, sides, sides, self._simulation.now(KRAKEN))

    def _update(self, symbol: str, _: Unsent, now: int) -> str:
        """The levels that differ; "" where none of those that are shown does."""
        before, after = self._shown[symbol], self._texts.levels(symbol, self._depth)
        self._shown[symbol] = after
        whole = self._texts.levels(symbol, len(self._texts.books[symbol].bids) + len(self._texts.books[symbol].asks))
        nothing = self._texts.numbers[symbol].quantity(0)
        bids, asks = (_difference(*one, nothing) for one in zip(before, after, whole, strict=True))
        return self._frame("update", symbol, (bids, asks), after, now) if bids or asks else ""

    def _frame(self, kind: str, symbol: str, sides: Sides, whole: Sides, now: int) -> str:
        bids, asks = (_rows(side) for side in sides)
        name = symbol_of(self._texts.numbers[symbol].listing)
        row = f'"symbol":"{name}","bids":[{bids}],"asks":[{asks}],"checksum":{checksum(*whole)}'
        return f'{{"channel":"book","type":"{kind}","data":[{{{row},"timestamp":"{timestamp(now)}"}}]}}'


def _difference(before: Levels, after: Levels, whole: Levels, nothing: str) -> Levels:
    """Removals first: a client that cuts off what exceeds the depth after each level would lose another one else.

    A level that is merely too deep now, and still in the ``whole`` half, is not removed.
    """
    left, shown = {price for price, _ in whole}, set(before)
    removed = [(price, nothing) for price, _ in before if price not in left]
    return removed + [level for level in after if level not in shown]


def _rows(levels: Sequence[tuple[str, str]]) -> str:
    return ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in levels)
