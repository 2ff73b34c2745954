"""What an account was worth over time, its profit, and where that came from.

Between two minutes the worth of everything changes by what prices did to what was held, ``q₀ · (p₁ - p₀)``, and by what
was traded, ``(q₁ - q₀) · p₁``: the two add up to the change exactly. An exchange that is seen for the first time brings
its worth in; that is a flow and no profit, and so are deposits and withdrawals (see flows.py). Returns are
time-weighted: each is free of the flow of its minute (GIPS 2020, 2.A.29).
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from neuroflux.domain import Microseconds

Name = tuple[str, str]
"""Exchange and asset."""
CENT = 0.01


class Holding(Struct, frozen=True):
    """What an exchange held of an asset in a minute; ``price`` in USD a unit, None where nobody knew it."""

    time: Microseconds
    exchange: str
    asset: str
    quantity: float
    price: float | None
    told: Microseconds = 0
    """When the exchange told this, within the minute."""


class Flow(Struct, frozen=True):
    """What came into an account in a minute from outside, in units of the asset; negative: what left it."""

    time: Microseconds
    exchange: str
    asset: str
    quantity: float


class Picture(Struct, frozen=True):
    """Everything held at one time, at the prices of that time, and what flowed in since the one before."""

    time: Microseconds
    quantities: Mapping[Name, float]
    prices: Mapping[str, float]
    flows: Mapping[Name, float] = {}

    @property
    def worth(self) -> float:
        return sum(quantity * self.prices[asset] for (_, asset), quantity in self.quantities.items())


class Share(Struct, frozen=True):
    """USD that one asset on one exchange has gained: by its price, and by being traded."""

    exchange: str
    asset: str
    price_effect: float
    trading_effect: float

    @property
    def total(self) -> float:
        return self.price_effect + self.trading_effect


def unpriced(holdings: Iterable[Holding]) -> tuple[str, ...]:
    """Assets for which there never was a price: they are in no figure."""
    priced: dict[str, bool] = {}
    for one in holdings:
        if one.quantity:
            priced[one.asset] = priced.get(one.asset, False) or one.price is not None
    return tuple(sorted(asset for asset, known in priced.items() if not known))


def history(holdings: Sequence[Holding], flows: Iterable[Flow] = ()) -> list[Picture]:
    """One picture a minute, oldest first, from the first on in which everything held has a price.

    What is not told of in a minute is as it was; without a new price the last one holds.
    """
    without = set(unpriced(holdings))
    quantities: dict[Name, float] = {}
    prices: dict[str, float] = {}
    flowed = _by_minute(flows)
    since: dict[Name, float] = defaultdict(float)
    pictures: list[Picture] = []
    for time, rows in _by_time(holdings):
        for one in rows:
            if one.asset not in without:
                quantities[(one.exchange, one.asset)] = one.quantity
                if one.price is not None:
                    prices[one.asset] = one.price
        for name, quantity in flowed.get(time, ()):
            since[name] += quantity
        held = {name: quantity for name, quantity in quantities.items() if quantity or name[1] in prices}
        if held and all(asset in prices for _, asset in held):
            pictures.append(Picture(time, held, dict(prices), dict(since) if pictures else {}))
            since.clear()
    return pictures


def _by_minute(flows: Iterable[Flow]) -> dict[Microseconds, list[tuple[Name, float]]]:
    of: dict[Microseconds, list[tuple[Name, float]]] = defaultdict(list)
    for one in flows:
        of[one.time].append(((one.exchange, one.asset), one.quantity))
    return of


def _by_time(holdings: Sequence[Holding]) -> list[tuple[Microseconds, list[Holding]]]:
    rows: dict[Microseconds, list[Holding]] = defaultdict(list)
    for one in holdings:
        rows[one.time].append(one)
    return sorted(rows.items())


def flow(before: Picture, after: Picture) -> float:
    """USD that came in: with exchanges that were not there before, and by deposits less withdrawals on the others."""
    known = {exchange for exchange, _ in before.quantities}
    new = sum(q * after.prices[name[1]] for name, q in after.quantities.items() if name[0] not in known)
    return new + sum(_flowed(after, name) * after.prices[name[1]] for name in after.quantities if name[0] in known)


def _flowed(picture: Picture, name: Name) -> float:
    return picture.flows.get(name, 0.0)


def returns(pictures: Sequence[Picture]) -> list[float]:
    """The time-weighted return of each step, as a fraction; 0 where less than a cent was there to gain from."""
    return [
        (after.worth - flow(before, after)) / before.worth - 1 if before.worth > CENT else 0.0
        for before, after in itertools.pairwise(pictures)
    ]


def profit(pictures: Sequence[Picture]) -> float:
    """USD gained over all steps, without flows."""
    steps = itertools.pairwise(pictures)
    return sum(after.worth - before.worth - flow(before, after) for before, after in steps)


def attribution(pictures: Sequence[Picture]) -> list[Share]:
    """The profit by exchange and asset; the shares sum to it."""
    effects: dict[Name, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for before, after in itertools.pairwise(pictures):
        known = {exchange for exchange, _ in before.quantities}
        for name, quantity in after.quantities.items():
            if name[0] in known:
                held, price = before.quantities.get(name, 0.0), after.prices[name[1]]
                effects[name][0] += held * (price - before.prices.get(name[1], price))
                effects[name][1] += (quantity - held - _flowed(after, name)) * price
    return [Share(*name, *both) for name, both in sorted(effects.items())]
