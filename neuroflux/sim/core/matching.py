"""Price-time priority: one instrument's resting orders, and their matches with incoming orders.

Prices are whole ticks, quantities whole lots. An order without an owner is the market maker's or a random taker's; no
events are published for those.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from itertools import count
from typing import Literal

from msgspec import Struct

Side = Literal["buy", "sell"]
TimeInForce = Literal["GTC", "IOC", "FOK", "POST"]


class Resting(Struct):
    """A quantity that waits at a price. ``owner`` is the id of a user's order, 0 for the liquidity's."""

    owner: int
    left: int


class Match(Struct, frozen=True):
    """Two orders met: ``side`` is the aggressor's, ``maker`` and ``taker`` are owners, ``left`` is what the maker has
    still resting."""

    trade_id: int
    side: Side
    price: int
    quantity: int
    maker: int
    taker: int


class Sequence:
    """Numbers of book updates; some exchanges number each book by itself, others all of them together."""

    def __init__(self, start: int) -> None:
        self._numbers = count(start + 1)
        self.last = start

    def advance(self) -> int:
        self.last = next(self._numbers)
        return self.last


class Half:
    """The buyers or the sellers of one book."""

    def __init__(self, side: Side) -> None:
        self.side = side
        self._sign = -1 if side == "buy" else 1
        self._keys: list[int] = []  # the price times the sign, ascending: the best first
        self._queues: dict[int, deque[Resting]] = {}
        self.totals: dict[int, int] = {}

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def best(self) -> int | None:
        return self._sign * self._keys[0] if self._keys else None

    @property
    def worst(self) -> int | None:
        return self._sign * self._keys[-1] if self._keys else None

    def prices(self, depth: int) -> list[int]:
        return [self._sign * key for key in self._keys[:depth]]

    def levels(self, depth: int) -> list[tuple[int, int]]:
        """The best ``depth`` levels as (price, quantity)."""
        return [(price, self.totals[price]) for price in self.prices(depth)]

    def orders_at(self, price: int) -> int:
        return len(self._queues.get(price, ()))

    def queue(self, price: int) -> deque[Resting]:
        return self._queues[price]

    def reaches(self, price: int, limit: int) -> bool:
        """Whether an order of the other side with this limit may trade at ``price``."""
        return self._sign * price <= self._sign * limit

    def add(self, price: int, resting: Resting) -> None:
        if price not in self._queues:
            insort(self._keys, self._sign * price)
            self._queues[price] = deque()
            self.totals[price] = 0
        self._queues[price].append(resting)
        self.totals[price] += resting.left

    def take(self, price: int, quantity: int) -> None:
        """Lower the level's total; remove the level when nothing is left."""
        self.totals[price] -= quantity
        if not self.totals[price]:
            del self.totals[price]
            del self._queues[price]
            del self._keys[bisect_left(self._keys, self._sign * price)]


class Book:
    """One instrument's two halves. ``changed`` holds the levels changed since it was last emptied by a publisher."""

    def __init__(self, updates: Sequence, first_trade: int = 0) -> None:
        self.bids = Half("buy")
        self.asks = Half("sell")
        self.updates = updates
        self.sequence = updates.advance()
        self.last_trade = first_trade
        self.changed: dict[tuple[Side, int], None] = {}
        self.first_change = 0
        self._stamp = 0
        self.matches: list[Match] = []

    def half(self, side: Side) -> Half:
        return self.bids if side == "buy" else self.asks

    def other(self, side: Side) -> Half:
        return self.asks if side == "buy" else self.bids

    def _touch(self, side: Side, price: int) -> None:
        self.sequence = self.updates.advance()
        if not self.changed:
            self.first_change, self._stamp = self._stamp or self.sequence, 0
        self.changed[side, price] = None

    def stamp(self) -> int:
        """Number the present state for a snapshot, so that the next update begins no later than this number.

        Only for books that share their sequence with others: in those a number without a change is no gap.
        """
        self.sequence = self.updates.advance()
        self._stamp = self._stamp or self.sequence
        return self.sequence

    def available(self, side: Side, limit: int | None) -> int:
        """The lots that an aggressor of this side could have at once."""
        other = self.other(side)
        return sum(
            quantity for price, quantity in other.levels(len(other)) if limit is None or other.reaches(price, limit)
        )

    def crosses(self, side: Side, limit: int) -> bool:
        best = self.other(side).best
        return best is not None and self.other(side).reaches(best, limit)

    def take(self, side: Side, quantity: int, limit: int | None, taker: int) -> list[Match]:
        """Trade up to ``quantity`` against the other half, best price and longest wait first."""
        other = self.other(side)
        matches: list[Match] = []
        while quantity:
            price = other.best
            if price is None or (limit is not None and not other.reaches(price, limit)):
                break
            done = list(self._take_level(other, side, price, quantity, taker))
            matches += done
            quantity -= sum(match.quantity for match in done)
        self.matches += matches
        return matches

    def _take_level(self, other: Half, side: Side, price: int, quantity: int, taker: int) -> Iterator[Match]:
        queue = other.queue(price)
        while quantity and queue:
            resting = queue[0]
            traded = min(quantity, resting.left)
            resting.left -= traded
            quantity -= traded
            if not resting.left:
                queue.popleft()
            other.take(price, traded)
            self._touch(other.side, price)
            self.last_trade += 1
            yield Match(self.last_trade, side, price, traded, resting.owner, taker)

    def rest(self, side: Side, price: int, quantity: int, owner: int) -> None:
        """Add a quantity behind what already waits at this price."""
        self.half(side).add(price, Resting(owner, quantity))
        self._touch(side, price)

    def withdraw(self, side: Side, price: int, owner: int) -> int:
        """Remove a user's order; returns the lots that it still had."""
        half = self.half(side)
        for resting in half.queue(price):
            if resting.owner == owner:
                half.queue(price).remove(resting)
                half.take(price, resting.left)
                self._touch(side, price)
                return resting.left
        raise KeyError(owner)

    def set_liquidity(self, side: Side, price: int, quantity: int) -> None:
        """Make the market maker's quantity at this price ``quantity``.

        What it adds waits behind the users' orders; what it removes is its newest.
        """
        half = self.half(side)
        waiting = half.queue(price) if price in half.totals else ()
        have = sum(resting.left for resting in waiting if not resting.owner)
        if quantity > have:
            self._add_liquidity(half, price, quantity - have)
        elif quantity < have:
            self._remove_liquidity(half, price, have - quantity)

    def _add_liquidity(self, half: Half, price: int, quantity: int) -> None:
        if price in half.totals and not half.queue(price)[-1].owner:
            half.queue(price)[-1].left += quantity
            half.totals[price] += quantity
        else:
            half.add(price, Resting(0, quantity))
        self._touch(half.side, price)

    def _remove_liquidity(self, half: Half, price: int, quantity: int) -> None:
        queue = half.queue(price)
        kept: deque[Resting] = deque()
        remaining = quantity
        while remaining:
            resting = queue.pop()
            if not resting.owner:
                less = min(remaining, resting.left)
                resting.left -= less
                remaining -= less
            if resting.left:
                kept.appendleft(resting)
        queue.extend(kept)
        half.take(price, quantity)
        self._touch(half.side, price)
