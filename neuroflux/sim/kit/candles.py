"""Candles of the trades since the simulation began: one a minute is kept, longer ones are merged on demand."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable

from msgspec import Struct

from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.world import Change

MINUTE = 60_000
DAY = 1440
WEEK = 7 * DAY
_MONDAY = 4 * DAY * MINUTE
"""The epoch was a Thursday: weeks begin so much later."""
KEPT = 1500


class Candle(Struct):
    """``start`` in ms; prices in ticks, volumes in lots, values in ticks × lots; ``bought`` is the aggressors' part."""

    start: int
    open: int
    high: int
    low: int
    close: int
    first: int
    last: int
    volume: int = 0
    value: int = 0
    count: int = 0
    bought: int = 0
    bought_value: int = 0

    def add(self, match: Match) -> None:
        self.high, self.low, self.close = max(self.high, match.price), min(self.low, match.price), match.price
        self.last = match.trade_id
        self.volume += match.quantity
        self.value += match.price * match.quantity
        self.count += 1
        if match.side == "buy":
            self.bought += match.quantity
            self.bought_value += match.price * match.quantity

    def merge(self, part: Candle) -> None:
        self.high, self.low, self.close = max(self.high, part.high), min(self.low, part.low), part.close
        self.last = part.last
        self.volume += part.volume
        self.value += part.value
        self.count += part.count
        self.bought += part.bought
        self.bought_value += part.bought_value


def start_of(time: int, minutes: int) -> int:
    """The begin of the interval that contains this time; both in ms."""
    length = minutes * MINUTE
    shift = _MONDAY if minutes == WEEK else 0
    return (time - shift) // length * length + shift


class Minutes:
    """The candles of every symbol of one exchange."""

    def __init__(self) -> None:
        self._minutes: defaultdict[str, deque[Candle]] = defaultdict(lambda: deque(maxlen=KEPT))

    def remember(self, changes: Iterable[Change], now: int) -> None:
        """Add the trades of these changes; ``now`` in µs."""
        start = start_of(now // 1000, 1)
        for change in changes:
            minutes = self._minutes[change.listing.symbol]
            for match in change.matches:
                if not minutes or minutes[-1].start != start:
                    price, number = match.price, match.trade_id
                    minutes.append(Candle(start, price, price, price, price, number, number))
                minutes[-1].add(match)

    def candles(self, symbol: str, minutes: int) -> list[Candle]:
        """Of this length, oldest first; intervals without a trade have none."""
        merged: list[Candle] = []
        for minute in self._minutes[symbol]:
            start = start_of(minute.start, minutes)
            if merged and merged[-1].start == start:
                merged[-1].merge(minute)
            else:
                opened = (minute.open, minute.high, minute.low, minute.close, minute.first, minute.last)
                sums = (minute.volume, minute.value, minute.count, minute.bought, minute.bought_value)
                merged.append(Candle(start, *opened, *sums))
        return merged
