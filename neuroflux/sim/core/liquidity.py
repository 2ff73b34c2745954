"""Who stands in the books beside the users: what a world asks of it, and the one that makes its prices of a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import tanh
from random import Random
from typing import Protocol

from neuroflux.sim.core.coins import EXCHANGES, LISTINGS, Listing
from neuroflux.sim.core.maker import Maker
from neuroflux.sim.core.matching import Book, Match
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.prices import Prices
from neuroflux.sim.core.ticker import Tape

SHY_STEPS = 30
"""How long a market maker keeps away after a partial fill that was asked for."""

_MAJOR_EVERY = 2
_MINOR_EVERY = 10


class Liquidity(Protocol):
    """Fills the books of a world with everything that is no user's, and says what things are worth in it.

    ``listings`` is what is traded, by exchange. Prices are in the quote asset, of one unit of the listing.
    """

    listings: Mapping[str, Sequence[Listing]]

    def open(self, listing: Listing, book: Book, now: int) -> Tape:
        """Take charge of a book, once, at the start; returns what its ticker says by then. ``now`` in µs."""

    def step(self, now: int) -> Iterator[tuple[Listing, list[Match]]]:
        """Let a tenth of a second pass; yields each book that it moved, with what was traded in it by that."""

    def withdraw(self, order: Order) -> None:
        """Let this partly filled order stand: a fault asked for it."""

    def pause(self, listing: Listing, *, is_paused: bool) -> None:
        """Leave a book as it is, or go on with it."""

    def mark(self, listing: Listing) -> float:
        """What positions are valued at; 0 where nothing is known."""

    def index(self, listing: Listing) -> float:
        """What funding goes by; 0 where nothing is known."""

    def funding(self, listing: Listing) -> float:
        """The share that longs pay shorts for eight hours."""


class SeededLiquidity:
    """Market makers around prices that wander; the same for the same seed. Implements ``Liquidity``."""

    def __init__(self, seed: int) -> None:
        self.listings: Mapping[str, Sequence[Listing]] = LISTINGS
        self.prices = Prices(seed)
        self._seed = seed
        self._random = Random(f"house {seed}")
        self._makers: dict[str, dict[str, Maker]] = {exchange_id: {} for exchange_id in EXCHANGES}
        self._shy: dict[tuple[str, str], int] = {}
        self._paused: set[tuple[str, str]] = set()
        self._mood = {base: self._random.gauss(0.6e-4, 0.8e-4) for base in self.prices.latent}

    def open(self, listing: Listing, book: Book, now: int) -> Tape:
        maker = Maker(listing, book, self._seed)
        maker.open(self._price(listing))
        self._makers[listing.exchange][listing.symbol] = maker
        return self._yesterday(listing, book, now)

    def _yesterday(self, listing: Listing, book: Book, now: int) -> Tape:
        """A plausible day before the start."""
        last = book.bids.best or 1
        opened = max(1, round(last * (1 + self._random.gauss(0, 0.01))))
        high, low = round(max(last, opened) * 1.005), max(1, round(min(last, opened) * 0.995))
        day_usd = (4e8 if listing.is_major else 3e7) * self._random.uniform(0.5, 1.5)
        volume = max(1, round(day_usd / listing.start / float(listing.lot)))
        return Tape(opened, high, low, last, 1, volume, volume * last, volume // 50 + 1, now, book.last_trade)

    def _price(self, listing: Listing) -> float:
        """What this instrument's exchange holds a unit of it to be worth, in the quote asset."""
        return self.prices.price((listing.exchange, listing.kind, listing.base), listing.quote) * listing.multiplier

    def step(self, now: int) -> Iterator[tuple[Listing, list[Match]]]:
        self.prices.step()
        number = self.prices.step_number
        for makers in self._makers.values():
            for place, maker in enumerate(makers.values()):
                every = _MAJOR_EVERY if maker.listing.is_major else _MINOR_EVERY
                if (number + place) % every == 0 and not self._is_shy(maker.listing):
                    before = len(maker.book.matches)
                    maker.step(self._price(maker.listing))
                    yield maker.listing, maker.book.matches[before:]

    def _is_shy(self, listing: Listing) -> bool:
        place = (listing.exchange, listing.symbol)
        return place in self._paused or self._shy.get(place, 0) > self.prices.step_number

    def pause(self, listing: Listing, *, is_paused: bool) -> None:
        place = (listing.exchange, listing.symbol)
        if is_paused:
            self._paused.add(place)
        else:
            self._paused.discard(place)

    def withdraw(self, order: Order) -> None:
        """The market maker keeps away for a while, and takes away what crosses the order."""
        listing, price = order.listing, order.ask.price
        if price is not None:
            self._makers[listing.exchange][listing.symbol].withdraw(order.ask.side, listing.ticks(price))
        self._shy[listing.exchange, listing.symbol] = self.prices.step_number + SHY_STEPS

    def _basis(self, listing: Listing) -> float:
        return self.prices.views[listing.exchange, listing.kind, listing.base].basis

    def mark(self, listing: Listing) -> float:
        return self.index(listing) * (1 + self._basis(listing))

    def index(self, listing: Listing) -> float:
        return self.prices.index(listing.base, listing.quote) * listing.multiplier

    def funding(self, listing: Listing) -> float:
        return tanh(self._mood[listing.base] + self._basis(listing) / 2)
