"""Equity of an account over time, its profit, and the attribution of that profit.

Equity is the wallets' value plus the unrealised profit of positions. Between two minutes it changes by the price effect
on what was held, ``q₀ · (p₁ - p₀)`` plus the change of unrealised profit, and by all other changes of the wallet,
``(q₁ - q₀) · p₁``. The latter includes the value of purchases, which is not a gain: the payment and the fee of a trade
are charged to the traded asset (``Transfer``), so that ``bought · p₁ - paid - fee`` remains. The parts add up exactly
to the change. Profit, fees and funding of perpetuals belong to the asset that they settle in.

The equity of an exchange that is seen for the first time is a flow, not profit, as are deposits and withdrawals (see
flows.py). Returns are time-weighted: each excludes the flow of its minute (GIPS 2020, 2.A.29).
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
    """The holding of an asset on an exchange in a minute, and its positions' unrealised profit, in units of the asset.

    ``price`` is in USD per unit, and None if unknown.
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
    """A deposit into an account, in units of the asset; negative: a withdrawal.

    ``time`` is the minute, or the exchange's own time if the exchange reported the flow.
    """

    time: Microseconds
    exchange: str
    asset: str
    quantity: float


class Transfer(Struct, frozen=True):
    """A change of the holding of ``asset`` by a trade or its fee, charged to the traded asset ``to``."""

    time: Microseconds
    exchange: str
    asset: str
    to: str
    quantity: float


class Snapshot(Struct, frozen=True):
    """All holdings at one time, at the prices of that time, with the flows and transfers since the previous snapshot.
    Quantities and unrealised profits are in units of the asset.
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
        """The value in USD, with unrealised profit."""
        return (self.quantities[name] + self.unrealised.get(name, 0.0)) * self.prices[name[1]]


class Share(Struct, frozen=True):
    """The USD profit of one asset on one exchange: from its price, and from trading it."""

    exchange: str
    asset: str
    price_effect: float
    trading_effect: float

    @property
    def total(self) -> float:
        return self.price_effect + self.trading_effect


def unpriced(holdings: Iterable[Holding]) -> tuple[str, ...]:
    """Assets that never had a price: they count as worthless, so what was paid for them counts as a loss."""
    priced: dict[str, bool] = {}
    for one in holdings:
        if one.quantity or one.unrealised:
            priced[one.asset] = priced.get(one.asset, False) or one.price is not None
    return tuple(sorted(asset for asset, known in priced.items() if not known))


def outdated(holdings: Iterable[Holding]) -> tuple[str, ...]:
    """Held assets that had a price, but none in their newest minute: they are valued at the last one."""
    newest: dict[str, Holding] = {}
    priced: set[str] = set()
    for one in holdings:
        if one.price is not None:
            priced.add(one.asset)
        if one.asset not in newest or (one.time, bool(one.quantity)) >= (newest[one.asset].time, True):
            newest[one.asset] = one
    return tuple(sorted(name for name in priced if newest[name].price is None and newest[name].quantity))


class _State:
    """The state at a minute: the newest holdings and prices, and the flows and transfers since the last snapshot."""

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
        """None while a held asset has no price. Flows before the first snapshot are in none."""
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
    """One snapshot per minute, oldest first, beginning with the first in which everything held has a price.

    A holding without a report in a minute is unchanged; without a new price the last one is used.
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
    """The USD inflow: the equity of new exchanges, and deposits less withdrawals on the others."""
    known = {exchange for exchange, _ in before.quantities}
    new = sum(after.worth_of(name) for name in after.quantities if name[0] not in known)
    return new + sum(_flowed(after, name) * after.prices[name[1]] for name in after.quantities if name[0] in known)


def _flowed(snapshot: Snapshot, name: Name) -> float:
    return snapshot.flows.get(name, 0.0)


def returns(snapshots: Sequence[Snapshot]) -> list[float]:
    """The time-weighted return of each step, as a fraction; 0 if the equity before it was below a cent."""
    return [
        (after.worth - flow(before, after)) / before.worth - 1 if before.worth > CENT else 0.0
        for before, after in itertools.pairwise(snapshots)
    ]


def profit(snapshots: Sequence[Snapshot]) -> float:
    """The USD profit over all steps, without flows."""
    steps = itertools.pairwise(snapshots)
    return sum(after.worth - before.worth - flow(before, after) for before, after in steps)


def attribution(snapshots: Sequence[Snapshot]) -> list[Share]:
    """The profit by exchange and asset; the shares add up to it."""
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
    """USD: the effect of prices on holdings and open positions, and the wallet's other changes without flows."""
    held, price = before.quantities.get(name, 0.0), after.prices[name[1]]
    risen = price - before.prices.get(name[1], price)
    had = before.unrealised.get(name, 0.0)
    by_price = (held + had) * risen + (after.unrealised.get(name, 0.0) - had) * price
    return by_price, (after.quantities[name] - held - _flowed(after, name)) * price
