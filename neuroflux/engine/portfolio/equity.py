"""What an account was worth over time, its profit, and where that came from.

Worth is what the wallets hold and the unrealised profit of positions, on every exchange alike. Between two minutes it
changes by what prices did to what was held, ``q₀ · (p₁ - p₀)`` and the change of the unrealised profit, and by
everything else that the wallet changed by, ``(q₁ - q₀) · p₁``. That is what an asset was bought for and not yet what it
gained: what a trade paid and its fee are charged to the asset that was traded (``Transfer``), so what remains is
``bought · p₁ - paid - fee``. All of it adds up to the change exactly. Profit, fees and funding of perpetuals stay with
the asset that they settle in.

An exchange that is seen for the first time brings its worth in; that is a flow and no profit, and so are deposits and
withdrawals (see flows.py). Returns are time-weighted: each is free of the flow of its minute (GIPS 2020, 2.A.29).
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
    """What an exchange held of an asset in a minute, and its positions' unrealised profit, in units of the asset.

    ``price`` is USD a unit, None where nobody knew it.
    """

    time: Microseconds
    exchange: str
    asset: str
    quantity: float
    price: float | None
    reported: Microseconds = 0
    """When the exchange last reported the quantity."""
    unrealised: float = 0.0


class Flow(Struct, frozen=True):
    """What came into an account from outside, in units of the asset; negative: what left it.

    ``time`` is the minute; of what an exchange names it is the exchange's.
    """

    time: Microseconds
    exchange: str
    asset: str
    quantity: float


class Transfer(Struct, frozen=True):
    """What a trade, or its fee, changed the holding of ``asset`` by, on account of the asset ``to`` that was traded."""

    time: Microseconds
    exchange: str
    asset: str
    to: str
    quantity: float


class Snapshot(Struct, frozen=True):
    """Everything held at one time, at the prices of that time, and what flowed in and was transferred since the one
    before. Quantities and unrealised profits are units of the asset.
    """

    time: Microseconds
    quantities: Mapping[Name, float]
    prices: Mapping[str, float]
    flows: Mapping[Name, float] = {}
    unrealised: Mapping[Name, float] = {}
    transfers: Mapping[tuple[Name, str], float] = {}

    @property
    def worth(self) -> float:
        return sum(self.worth_of(name) for name in self.quantities)

    def worth_of(self, name: Name) -> float:
        """USD, with unrealised profit."""
        return (self.quantities[name] + self.unrealised.get(name, 0.0)) * self.prices[name[1]]


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
    """Assets that never had a price: they are worth nothing here, so what was paid for them counts as lost."""
    priced: dict[str, bool] = {}
    for one in holdings:
        if one.quantity or one.unrealised:
            priced[one.asset] = priced.get(one.asset, False) or one.price is not None
    return tuple(sorted(asset for asset, known in priced.items() if not known))


def outdated(holdings: Iterable[Holding]) -> tuple[str, ...]:
    """Assets that are held and had a price, but none in their newest minute: the last one still values them."""
    newest: dict[str, Holding] = {}
    priced: set[str] = set()
    for one in holdings:
        if one.price is not None:
            priced.add(one.asset)
        if one.asset not in newest or (one.time, bool(one.quantity)) >= (newest[one.asset].time, True):
            newest[one.asset] = one
    return tuple(sorted(name for name in priced if newest[name].price is None and newest[name].quantity))


class _State:
    """What is known at a minute: the last of everything, and what moved since the last picture."""

    def __init__(self) -> None:
        self.held: dict[Name, float] = {}
        self.unrealised: dict[Name, float] = {}
        self.prices: dict[str, float] = {}
        self.flows: dict[Name, float] = defaultdict(float)
        self.transfers: dict[tuple[Name, str], float] = defaultdict(float)

    def take(self, one: Holding) -> None:
        name = (one.exchange, one.asset)
        self.held[name], self.unrealised[name] = one.quantity, one.unrealised
        if one.price is not None:
            self.prices[one.asset] = one.price

    def moved(self, one: Flow | Transfer) -> None:
        name = (one.exchange, one.asset)
        if isinstance(one, Flow):
            self.flows[name] += one.quantity
        else:
            self.transfers[(name, one.to)] += one.quantity

    def snapshot(self, time: Microseconds, *, first: bool) -> Snapshot | None:
        """None while something that is held has no price; what led to the first picture is in none."""
        held = {name: some for name, some in self.held.items() if some or self.unrealised[name] or self._priced(name)}
        if not held or not all(map(self._priced, held)):
            return None
        moved = ({}, {}) if first else (dict(self.flows), dict(self.transfers))
        self.flows.clear()
        self.transfers.clear()
        return Snapshot(time, held, dict(self.prices), moved[0], dict(self.unrealised), moved[1])

    def _priced(self, name: Name) -> bool:
        return name[1] in self.prices


def history(
    holdings: Sequence[Holding], flows: Iterable[Flow] = (), transfers: Iterable[Transfer] = ()
) -> list[Snapshot]:
    """One picture a minute, oldest first, from the first on in which everything held has a price.

    What is not told of in a minute is as it was; without a new price the last one holds.
    """
    without, state, moved = set(unpriced(holdings)), _State(), _by_minute([*flows, *transfers])
    snapshots: list[Snapshot] = []
    for time, rows in _by_time(holdings):
        for row in rows:
            if row.asset not in without:
                state.take(row)
        for one in moved.get(time, ()):
            state.moved(one)
        if snapshot := state.snapshot(time, first=not snapshots):
            snapshots.append(snapshot)
    return snapshots


def _by_minute(moved: Iterable[Flow | Transfer]) -> dict[Microseconds, list[Flow | Transfer]]:
    of: dict[Microseconds, list[Flow | Transfer]] = defaultdict(list)
    for one in moved:
        of[one.time].append(one)
    return of


def _by_time(holdings: Sequence[Holding]) -> list[tuple[Microseconds, list[Holding]]]:
    rows: dict[Microseconds, list[Holding]] = defaultdict(list)
    for one in holdings:
        rows[one.time].append(one)
    return sorted(rows.items())


def flow(before: Snapshot, after: Snapshot) -> float:
    """USD that came in: with exchanges that were not there before, and by deposits less withdrawals on the others."""
    known = {exchange for exchange, _ in before.quantities}
    new = sum(after.worth_of(name) for name in after.quantities if name[0] not in known)
    return new + sum(_flowed(after, name) * after.prices[name[1]] for name in after.quantities if name[0] in known)


def _flowed(snapshot: Snapshot, name: Name) -> float:
    return snapshot.flows.get(name, 0.0)


def returns(snapshots: Sequence[Snapshot]) -> list[float]:
    """The time-weighted return of each step, as a fraction; 0 where less than a cent was there to gain from."""
    return [
        (after.worth - flow(before, after)) / before.worth - 1 if before.worth > CENT else 0.0
        for before, after in itertools.pairwise(snapshots)
    ]


def profit(snapshots: Sequence[Snapshot]) -> float:
    """USD gained over all steps, without flows."""
    steps = itertools.pairwise(snapshots)
    return sum(after.worth - before.worth - flow(before, after) for before, after in steps)


def attribution(snapshots: Sequence[Snapshot]) -> list[Share]:
    """The profit by exchange and asset; the shares sum to it."""
    effects: dict[Name, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for before, after in itertools.pairwise(snapshots):
        known = {exchange for exchange, _ in before.quantities}
        names = {name for name in after.quantities if name[0] in known}
        for name in names:
            by_price, rest = _effects(before, after, name)
            effects[name][0] += by_price
            effects[name][1] += rest
        for (name, to), quantity in after.transfers.items():
            if name in names:
                charged = quantity * after.prices[name[1]]
                effects[name][1] -= charged
                effects[(name[0], to)][1] += charged
    return [Share(*name, *both) for name, both in sorted(effects.items())]


def _effects(before: Snapshot, after: Snapshot, name: Name) -> tuple[float, float]:
    """USD: what prices made of what was held and of open positions, and what the wallet changed by without flows."""
    held, price = before.quantities.get(name, 0.0), after.prices[name[1]]
    risen = price - before.prices.get(name[1], price)
    had = before.unrealised.get(name, 0.0)
    by_price = (held + had) * risen + (after.unrealised.get(name, 0.0) - had) * price
    return by_price, (after.quantities[name] - held - _flowed(after, name)) * price
