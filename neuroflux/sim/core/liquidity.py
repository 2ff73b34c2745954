"""The liquidity beside the users' orders: what a world requires of it, and the one that is derived from a seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import tanh
from random import Random
from typing import Protocol

from neuroflux.sim.core.coins import PRICES, Listing
from neuroflux.sim.core.maker import Maker
from neuroflux.sim.core.matching import Book, Match
from neuroflux.sim.core.orders import Order
from neuroflux.sim.core.prices import Prices
from neuroflux.sim.core.ticker import Tape
from neuroflux.sim.core.venue import Venue

SHY_STEPS = 30
"""Steps for which a market maker does not quote after a partial fill that a fault caused."""

_MAJOR_EVERY = 2
_MINOR_EVERY = 10


class Liquidity(Protocol):
    """Fills the books of a world with all orders that are not a user's, and gives the prices of the world.

    ``listings`` is what is traded, by exchange. Prices are in the quote asset, of one unit of the listing.
    """

    listings: Mapping[str, Sequence[Listing]]

    def open(self, listing: Listing, book: Book, now: int) -> Tape:
        """Fill a book, once, at the start; returns its ticker of that time. ``now`` in µs."""

    def step(self, now: int) -> Iterator[tuple[Listing, list[Match]]]:
        """Move on by a tenth of a second; yields each book that it changed, with the trades of that change."""

    def withdraw(self, order: Order) -> None:
        """Leave this partly filled order in the book: a fault requested it."""

    def pause(self, listing: Listing, *, is_paused: bool) -> None:
        """Stop changing a book, or resume."""

    def mark(self, listing: Listing) -> float:
        """The price that positions are valued at; 0 where none is known."""

    def index(self, listing: Listing) -> float:
        """The price that funding is computed from; 0 where none is known."""

    def funding(self, listing: Listing) -> float:
        """The share that longs pay shorts for eight hours."""


class SeededLiquidity:
    """Market makers around prices of a random walk; the same for the same seed. Implements ``Liquidity``."""

    def __init__(self, venues: Mapping[str, Venue], seed: int) -> None:
        self.listings: Mapping[str, Sequence[Listing]] = {venue.id: venue.listings for venue in venues.values()}
        self.prices = Prices(venues.values(), seed)
        self._seed = seed
        self._random = Random(f"house {seed}")
        self._makers: dict[str, dict[str, Maker]] = {exchange_id: {} for exchange_id in venues}
        self._shy: dict[tuple[str, str], int] = {}
        self._paused: set[tuple[str, str]] = set()
        self._mood = {base: self._random.gauss(0.6e-4, 0.8e-4) for base in PRICES}

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
        """The price of one unit on this instrument's exchange, in the quote asset."""
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
        """The market maker stops quoting for a while, and removes its orders that cross this one."""
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
