"""The market maker and the random takers of one book: keep a ladder around a price, refill it, and trade a little."""

from __future__ import annotations

from math import exp, floor
from random import Random

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Book, Side

RUNGS = 64
"""Levels a side that are kept; up to half as many more may stay."""

_GAP = 0.45e-4
"""Between two rungs, as a share of the price."""
_TOP_USD = {"BTC": 9_000, "ETH": 8_000, "SOL": 5_000} | dict.fromkeys(("USDC", "USDT", "EUR"), 60_000)
"""What a rung near the touch holds, in USD; other bases: 2,000. The deep ones hold eight times as much."""
_SIDES: tuple[Side, Side] = ("buy", "sell")
_RIPPLES = 2


class Maker:
    """Maintains one book. Changes only the rungs that the price uncovered, and a few more at each step."""

    def __init__(self, listing: Listing, book: Book, seed: int) -> None:
        self.listing = listing
        self.book = book
        self._random = Random(f"{seed} {listing.exchange} {listing.symbol}")
        self._tick = float(listing.tick)
        self._lot = float(listing.lot)
        self._gap = max(1, round(listing.start * _GAP / self._tick / listing.stride)) * listing.stride
        self._lean = self._random.uniform(0.4, 0.6)
        top = _TOP_USD.get(listing.base, 2_000)
        self._top = max(1.0, top * self._random.uniform(0.8, 1.2) / (listing.start * self._lot))
        self._last_touch = 0
        self._trade_chance = 0.25 if listing.is_major else 0.3

    def _price(self, rung: int) -> int:
        """The rung's price in ticks: the same rung always has the same one, and no two are evenly spaced."""
        strides = self._gap // self.listing.stride
        jitter = (rung * 2_654_435_761 >> 7) % strides if strides > 1 else 0
        return rung * self._gap + jitter * self.listing.stride

    def _quantity(self, depth: int) -> int:
        size = self._top * (1 + 7 * min(depth, RUNGS) / RUNGS) * exp(self._random.gauss(0, 0.35))
        return max(1, round(size))

    def open(self, price: float) -> None:
        """Place the whole ladder, at the start."""
        touch = self._last_touch = self._touch(price)
        for side in _SIDES:
            for depth in range(RUNGS):
                self.book.set_liquidity(side, self._price(self._rung(side, touch, depth)), self._quantity(depth))

    def _touch(self, price: float) -> int:
        """The rung of the best bid; the best ask is the one above."""
        return floor(price / self._tick / self._gap - self._lean)

    @staticmethod
    def _rung(side: Side, touch: int, depth: int) -> int:
        return touch - depth if side == "buy" else touch + 1 + depth

    def step(self, price: float) -> None:
        """Follow the price (in quote units), refill, and sometimes make a random trade."""
        touch = self._touch(price)
        for side in _SIDES:
            self._retreat(side, self._price(self._rung(side, touch, 0)))
        for side in _SIDES:
            self._advance(side, touch)
            self._ripple(side, touch)
            self._trim(side)
        self._last_touch = touch
        if self._random.random() < self._trade_chance:
            self._pass_by()

    def _retreat(self, side: Side, best: int) -> None:
        """Remove what is better than the new best, from the best on."""
        half = self.book.half(side)
        for price in half.prices(len(half)):
            if price == best or half.reaches(best, price):
                break
            self.book.set_liquidity(side, price, 0)

    def _advance(self, side: Side, touch: int) -> None:
        """Quote at once on the rungs that the price uncovered, and at the far end; where they meet users' orders, trade
        with them first. Rungs that others took are refilled one a step, the deepest first."""
        half = self.book.half(side)
        uncovered = (touch - self._last_touch) * (1 if side == "buy" else -1)
        worst = half.worst
        bitten = -1
        for depth in range(RUNGS):
            price = self._price(self._rung(side, touch, depth))
            if price in half.totals:
                continue
            if depth < uncovered or worst is None or half.reaches(worst, price):
                self._stand(side, price, depth)
            else:
                bitten = depth
        if bitten >= 0:
            self._stand(side, self._price(self._rung(side, touch, bitten)), bitten)

    def _stand(self, side: Side, price: int, depth: int) -> None:
        quantity = self._quantity(depth)
        if self.book.crosses(side, price):
            quantity -= sum(match.quantity for match in self.book.take(side, quantity, price, 0))
        if quantity:
            self.book.set_liquidity(side, price, quantity)

    def _ripple(self, side: Side, touch: int) -> None:
        """Change a few quantities near the touch, towards what they should be: also how a taken rung is refilled."""
        half = self.book.half(side)
        for _ in range(_RIPPLES):
            depth = min(int(self._random.expovariate(0.25)), RUNGS - 1)
            price = self._price(self._rung(side, touch, depth))
            if price in half.totals:
                self.book.set_liquidity(side, price, self._quantity(depth))

    def _trim(self, side: Side) -> None:
        half = self.book.half(side)
        while len(half) > RUNGS + RUNGS // 2:
            worst = half.worst
            if worst is None or any(resting.owner for resting in half.queue(worst)):
                break
            self.book.set_liquidity(side, worst, 0)

    def _pass_by(self) -> None:
        side = _SIDES[self._random.random() < 0.5]
        quantity = max(1, round(self._top * 0.3 * exp(self._random.gauss(0, 0.8))))
        self.book.take(side, quantity, None, 0)

    def withdraw(self, side: Side, limit: int) -> None:
        """Remove every rung that an order of this side and limit would meet."""
        other = self.book.other(side)
        for price in other.prices(len(other)):
            if not other.reaches(price, limit):
                break
            self.book.set_liquidity(other.side, price, 0)
