"""Deposits and withdrawals: what a balance changed by beyond the fills and fees of that time.

Between two balances of an asset, each with the time it was told, fills and fees explain a part of the change; the rest
came from outside, or went there. A balance that lags behind a fill leaves a rest that the next one takes back: such two
are none. What margin is kept in also moves with the profit and the funding of positions, so while one is open its rest
can't be told from those, and counts as profit.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from math import inf

from msgspec import Struct

from neuroflux.domain import Instrument, InstrumentKind, Microseconds, Side
from neuroflux.engine.equity import CENT, Flow, Holding, Name


class Movement(Struct, frozen=True):
    """What a fill or its fee changed an asset by, in units of it; ``on_margin``: by way of a position."""

    time: Microseconds
    exchange: str
    asset: str
    quantity: float
    on_margin: bool = False


class Exposure(Struct, frozen=True):
    """A position that was open at some time between two times, on margin in ``asset``."""

    exchange: str
    asset: str
    begin: Microseconds
    end: Microseconds


def movements(instrument: Instrument, side: Side, filled: tuple[Microseconds, float, float]) -> list[Movement]:
    """Of one fill: its time, price and quantity; without its fee."""
    time, price, quantity = filled
    exchange, sign = instrument.exchange, 1 if side is Side.BUY else -1
    if instrument.kind is InstrumentKind.PERPETUAL:
        return [Movement(time, exchange, instrument.settle, 0.0, on_margin=True)]
    return [
        Movement(time, exchange, instrument.base, sign * quantity),
        Movement(time, exchange, instrument.quote, -sign * quantity * price),
    ]


def flows(
    holdings: Sequence[Holding], moved: Iterable[Movement], exposures: Collection[Exposure]
) -> tuple[list[Flow], list[Name]]:
    """What flowed in (negative: out), and the assets of which that could not be told all of the time."""
    told, explained = _by_name(holdings), defaultdict[Name, list[Movement]](list)
    for one in sorted(moved, key=_time):
        explained[(one.exchange, one.asset)].append(one)
    found: list[Flow] = []
    untold: list[Name] = []
    for name, samples in told.items():
        open_then = [one for one in exposures if (one.exchange, one.asset) == name]
        rests = [_rest(before, after, explained[name], open_then) for before, after in pairwise(samples)]
        known = [0.0 if rest is None else rest for rest in rests]
        prices = [inf if one.price is None else one.price for one in samples[1:]]
        kept = zip(samples[1:], _without_lags(known, prices), strict=True)
        found += [Flow(one.time, *name, rest) for one, rest in kept if rest]
        if None in rests:
            untold.append(name)
    return sorted(found, key=lambda one: one.time), untold


def _time(movement: Movement) -> Microseconds:
    return movement.time


def _by_name(holdings: Sequence[Holding]) -> dict[Name, list[Holding]]:
    """In order of time. An asset that an exchange did not have from the first on began there with nothing."""
    began: dict[str, Holding] = {}
    for one in holdings:
        began[one.exchange] = min(one, began.get(one.exchange, one), key=lambda held: held.time)
    told = defaultdict[Name, list[Holding]](list)
    for one in sorted(holdings, key=lambda held: held.time):
        first, samples = began[one.exchange], told[(one.exchange, one.asset)]
        if not samples and one.time > first.time:
            samples.append(Holding(first.time, one.exchange, one.asset, 0.0, one.price, first.told))
        samples.append(one)
    return told


def _rest(before: Holding, after: Holding, moved: Sequence[Movement], exposures: Iterable[Exposure]) -> float | None:
    """What nothing explains; None where a position may."""
    first, end = (bisect_right(moved, one.told, key=_time) for one in (before, after))
    between = moved[first:end]
    exposed = any(one.begin <= after.told and one.end > before.told for one in exposures)
    if exposed or any(one.on_margin for one in between):
        return None
    return after.quantity - before.quantity - sum(one.quantity for one in between)


def _without_lags(rests: Sequence[float], prices: Sequence[float]) -> list[float]:
    """Less than a cent is rounding; and two in a row that take each other back are one balance that came late."""
    kept = [0.0 if _is_trifle(rest, price) else rest for rest, price in zip(rests, prices, strict=True)]
    for at in range(len(kept) - 1):
        if kept[at] and _is_trifle(kept[at] + kept[at + 1], prices[at + 1]):
            kept[at] = kept[at + 1] = 0.0
    return kept


def _is_trifle(amount: float, price: float) -> bool:
    return not amount or abs(amount) * price <= CENT
