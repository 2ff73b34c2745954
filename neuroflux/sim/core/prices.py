"""What coins are worth, by seed and step: one latent price per base, and each exchange's delayed and biased price.

Prices are in USDC. The other assets that prices are quoted in, USDT, USD and EUR, have a latent price of their own.

A step is a tenth of a second. The latent price is a random walk with jumps. Each exchange follows it with its own lag
and basis. At times one exchange differs by more than two taker fees for a moment, so that a true arbitrage opens.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import exp, log
from random import Random

from msgspec import Struct

from neuroflux.sim.core.coins import CASH, PRICES, Kind
from neuroflux.sim.core.venue import Venue

STEP = 0.1
"""Seconds."""

_WANDER = {"BTC": 0.6e-4, "ETH": 0.8e-4, "SOL": 1.1e-4, "USDC": 0.05e-4, "USD": 0.02e-4, "EUR": 0.1e-4}
"""Standard deviation of the logarithm after one second; other bases: 1.2e-4."""
_STEADY = ("USDC", *CASH)
"""Bases that neither jump nor differ between exchanges."""
_JUMPS_A_SECOND = 1 / 60
_JUMP = 12e-4
_RETURN = 2e-5
"""The share of the distance to its start by which a price returns each second, so that a long run stays near it."""

_BASIS = 1.2e-4
_USDC_IN_USDT = 4e-4
"""Logarithm: USDC is worth a little more than USDT."""

_DISLOCATION_EVERY = 3.5
"""Seconds from the end of one to the start of the next, on average."""
_DISLOCATION_OFTEN = ("BTC", "ETH", "SOL")
_DISLOCATION_MOST = 0.0045
"""As a share of the price. A market order that met one of more than 0.5 % would expire, one in a thousand of all."""

Place = tuple[str, Kind, str]
"""An exchange, spot or perpetual, and a base: everything there has the same price."""


class Dislocation(Struct, frozen=True):
    """The price of one exchange differs by ``share`` of the price, until step ``until`` (exclusive)."""

    place: Place
    share: float
    until: int


class View(Struct):
    """The price of a base on one exchange: the logarithm that it has followed the latent price to, and its basis."""

    seen: float
    basis: float
    target: float
    lag: float


class Prices:
    """All prices of one simulation. Deterministic by the seed and the number of steps."""

    def __init__(self, venues: Iterable[Venue], seed: int) -> None:
        self._random = Random(f"prices {seed}")
        self.step_number = 0
        self._cash_random = Random(f"cash {seed}")
        self.latent = {base: log(price) for base, price in (PRICES | CASH).items()}
        self._anchor = dict(self.latent)
        self._price_tether()
        self.views: dict[Place, View] = {}
        for venue in venues:
            for listing in venue.listings:
                place = (venue.id, listing.kind, listing.base)
                if place not in self.views:
                    basis = self._random.gauss(0, _BASIS) if listing.base not in _STEADY else 0.0
                    self.views[place] = View(self.latent[listing.base], basis, basis, venue.price_lag)
        self.dislocation: Dislocation | None = None
        self._next = self._pause()
        often = [
            place
            for place in self.views
            if place[2] in _DISLOCATION_OFTEN
            for _ in range(3 if place[1] == "perpetual" else 1)
        ]
        shared = [place for place in self.views if sum(other[2] == place[2] for other in self.views) > 1]
        ever = [place for place in shared if place[2] not in _STEADY]
        self._often, self._ever = often or ever, ever or often  # an exchange alone shares no base with another

    def _pause(self) -> int:
        return self.step_number + max(10, int(self._random.expovariate(1 / _DISLOCATION_EVERY) / STEP))

    def step(self) -> None:
        """Move all prices on by a tenth of a second."""
        self.step_number += 1
        for base in PRICES:
            self._wander(base, self._random)
        for cash in ("USD", "EUR"):
            self._wander(cash, self._cash_random)
        self._price_tether()
        for place, view in self.views.items():
            self._follow(place, view)
        self._dislocate()

    def _price_tether(self) -> None:
        self.latent["USDT"] = -(self.latent["USDC"] + _USDC_IN_USDT)

    def _wander(self, base: str, random: Random) -> None:
        price = self.latent[base]
        price += random.gauss(0, _WANDER.get(base, 1.2e-4) * STEP**0.5)
        price += (self._anchor[base] - price) * _RETURN * STEP
        if base not in _STEADY and random.random() < _JUMPS_A_SECOND * STEP:
            price += random.choice((-1, 1)) * _JUMP * random.uniform(0.3, 1)
        self.latent[base] = price

    def _follow(self, place: Place, view: View) -> None:
        view.seen += (self.latent[place[2]] - view.seen) * (1 - exp(-STEP / view.lag))
        view.basis += (view.target - view.basis) * 0.01
        if place[2] not in _STEADY and self._random.random() < 0.002:
            view.target = self._random.gauss(0, _BASIS)

    def _dislocate(self) -> None:
        now = self.dislocation
        if now is not None:
            if self.step_number >= now.until:
                self.dislocation, self._next = None, self._pause()
        elif self._ever and self.step_number >= self._next:
            random = self._random
            place = random.choice(self._often if random.random() < 0.85 else self._ever)
            both_fees = 0.0025 if place[1] == "perpetual" else 0.0035
            share = random.choice((-1, 1)) * random.uniform(both_fees, _DISLOCATION_MOST)
            self.dislocation = Dislocation(place, share, self.step_number + random.randint(6, 30))

    @property
    def tether(self) -> float:
        """A USDT in USDC."""
        return exp(self.latent["USDT"])

    def price(self, place: Place, quote: str) -> float:
        """The price of one coin on the exchange, in the quote asset."""
        view = self.views[place]
        value = view.seen + view.basis
        if self.dislocation is not None and self.dislocation.place == place:
            value += self.dislocation.share
        if place[2] == "USDC":  # its latent price is in USDT
            value += _USDC_IN_USDT + self.latent["USDT"]
        return exp(value) / self._in_usdc(quote)

    def _in_usdc(self, quote: str) -> float:
        return exp(self.latent[quote]) if quote in CASH else 1.0

    def index(self, base: str, quote: str) -> float:
        """The price that funding and margin are computed from, which no single exchange can move."""
        return exp(self.latent[base]) / self._in_usdc(quote)
