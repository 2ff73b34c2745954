"""The ticker of a symbol: a summary of its trades so far."""

from __future__ import annotations

from msgspec import Struct

from neuroflux.sim.core.matching import Match


class Tape(Struct):
    """Prices in ticks, volumes in lots, ``value`` in ticks × lots; ``started`` in µs."""

    open: int
    high: int
    low: int
    last: int
    last_quantity: int
    volume: int
    value: int
    count: int
    started: int
    last_trade: int

    def add(self, match: Match) -> None:
        if not self.count:
            self.open = self.high = self.low = match.price
        self.last, self.last_quantity = match.price, match.quantity
        self.high, self.low = max(self.high, match.price), min(self.low, match.price)
        self.volume += match.quantity
        self.value += match.price * match.quantity
        self.count += 1
        self.last_trade = match.trade_id


def blank(now: int, last_trade: int) -> Tape:
    """Of a book in which nothing was traded yet."""
    return Tape(1, 1, 1, 1, 0, 0, 0, 0, now, last_trade)
