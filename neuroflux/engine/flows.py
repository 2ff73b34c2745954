"""Deposits and withdrawals: what a balance changed by beyond the fills and fees of that time.

Between two balances of an asset, each with the time it was told, fills and fees explain a part of the change; the rest
came from outside, or went there. A balance that lags behind a fill leaves a rest that the next one takes back: such two
are none. What margin is kept in also moves with what a position realises when it is traded, and with its funding, which
is paid at full hours: while a position is open, the rest around such a time can't be distinguished from those, and
counts as profit. At any other time a wallet, which is without unrealised profit, moves by what comes and goes alone. A
balance that is newer than the fills that led to it (``settled``) is not asked at all yet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import Instrument, InstrumentKind, Microseconds, Side
from neuroflux.engine.equity import CENT, Flow, Holding, Name, Transfer

MINUTE: Final[Microseconds] = 60_000_000
"""An ``Exposure`` ends with the minute in which its position was closed."""
HOUR: Final[Microseconds] = 3_600_000_000
"""Funding is paid at full hours: of every one (Hyperliquid), or of each fourth or eighth (Binance)."""
PAID_WITHIN: Final[Microseconds] = 120_000_000
"""How long after the hour a wallet may show it: Binance settles within the first minute."""
LAG: Final[Microseconds] = 10_000_000
"""How far a wallet's time may be from that of a fill which it shows: two clocks, and answers that come late."""


class Movement(Struct, frozen=True):
    """What a fill or its fee changed an asset by, in units of it; ``on_margin``: by way of a position.

    ``to`` is the asset that was traded, which is charged with it; empty where it is not known.
    """

    time: Microseconds
    exchange: str
    asset: str
    quantity: float
    on_margin: bool = False
    to: str = ""


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
        Movement(time, exchange, instrument.base, sign * quantity, to=instrument.base),
        Movement(time, exchange, instrument.quote, -sign * quantity * price, to=instrument.base),
    ]


def fee(instrument: Instrument | None, time: Microseconds, exchange: str, paid: tuple[float, str]) -> Movement:
    """Of one fill: its fee and the asset it was paid in. Of a perpetual it is charged to what that settles in."""
    traded = "" if instrument is None else instrument.settle or instrument.base
    return Movement(time, exchange, paid[1], -paid[0], to=traded)


def settled(holdings: Sequence[Holding], until: Mapping[str, Microseconds]) -> list[Holding]:
    """The same as of a time by exchange: a quantity that was reported later is as it was before, at the new price.

    An exchange of which nothing is as old as that stays as it is: it has no earlier state.
    """
    begun = {one.exchange for one in holdings if one.told <= until.get(one.exchange, one.told)}
    last: dict[Name, Holding] = {}
    kept: list[Holding] = []
    for one in sorted(holdings, key=lambda held: held.time):
        name = (one.exchange, one.asset)
        if one.exchange not in begun or one.told <= until.get(one.exchange, one.told):
            last[name] = one
        elif name not in last:
            continue
        kept.append(replace(one, quantity=last[name].quantity, told=last[name].told))
    return kept


def transfers(holdings: Sequence[Holding], moved: Iterable[Movement]) -> list[Transfer]:
    """What movements are charged to another asset, each in the first minute whose balance has seen it."""
    told, found = _by_name(holdings), list[Transfer]()
    for one in moved:
        samples = told.get((one.exchange, one.asset), ())
        at = bisect_left(samples, one.time, key=_told)
        if one.to not in ("", one.asset) and 0 < at < len(samples):
            found.append(Transfer(samples[at].time, one.exchange, one.asset, one.to, one.quantity))
    return found


def _told(holding: Holding) -> Microseconds:
    return holding.told


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
    """In order of time, each report once. An asset that an exchange did not have at first began with nothing."""
    began: dict[str, Holding] = {}
    for one in holdings:
        began[one.exchange] = min(one, began.get(one.exchange, one), key=lambda held: held.time)
    told = defaultdict[Name, list[Holding]](list)
    for one in sorted(holdings, key=lambda held: held.time):
        first, samples = began[one.exchange], told[(one.exchange, one.asset)]
        if not samples and one.time > first.time:
            samples.append(Holding(first.time, one.exchange, one.asset, 0.0, one.price, first.told))
        if not samples or (one.told, one.quantity) != (samples[-1].told, samples[-1].quantity):
            samples.append(one)
    return told


def _rest(before: Holding, after: Holding, moved: Sequence[Movement], exposures: Iterable[Exposure]) -> float | None:
    """What nothing explains; None where a position may."""
    first, end = (bisect_right(moved, one.told, key=_time) for one in (before, after))
    between = moved[first:end]
    exposed = [one for one in exposures if one.begin <= after.told and one.end > before.told]
    if any(one.on_margin for one in between) or (exposed and _may_realise(before.told, after.told, moved, exposed)):
        return None
    return after.quantity - before.quantity - sum(one.quantity for one in between)


def _may_realise(
    begin: Microseconds, end: Microseconds, moved: Sequence[Movement], exposed: Iterable[Exposure]
) -> bool:
    """Whether a wallet may show funding, or what a position was traded for, at the one time and not at the other.

    A position that began or ended about then was traded, whether or not its fill is known.
    """
    if (end + LAG) // HOUR * HOUR >= begin - PAID_WITHIN:
        return True
    first, last = (bisect_right(moved, time, key=_time) for time in (begin - LAG, end + LAG))
    stands = all(one.begin <= begin - LAG and one.end >= end + LAG + MINUTE for one in exposed)
    return not stands or any(one.on_margin for one in moved[first:last])


def _without_lags(rests: Sequence[float], prices: Sequence[float]) -> list[float]:
    """Less than a cent is rounding; and two in a row that take each other back are one balance that came late."""
    kept = [0.0 if _is_trifle(rest, price) else rest for rest, price in zip(rests, prices, strict=True)]
    for at in range(len(kept) - 1):
        if kept[at] and _is_trifle(kept[at] + kept[at + 1], prices[at + 1]):
            kept[at] = kept[at + 1] = 0.0
    return kept


def _is_trifle(amount: float, price: float) -> bool:
    return not amount or abs(amount) * price <= CENT
