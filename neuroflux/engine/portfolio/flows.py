"""Deposits and withdrawals: those that the exchange reported, and those deduced from changes of balances.

A reported ("named") flow is exact; it belongs to the change between the two balances around its time. An unreported
one, for example while nothing ran, is deduced: fills, fees and named flows explain a part of a change, and the rest is
a flow. A balance that lags behind a fill leaves a rest that the next balance reverses: such a pair is not a flow. The
margin asset's wallet also changes by the realised profit of a traded position, and by funding, which is paid at full
hours: while a position is open, a rest around such a time can't be distinguished from these, and counts as profit. At
any other time the wallet, which excludes unrealised profit, changes by flows only. A balance that is newer than the
stored fills (``settled``) is not used yet.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from math import inf
from typing import Final, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import Instrument, InstrumentKind, Microseconds, Side
from neuroflux.engine.portfolio.equity import CENT, Flow, Holding, Name, Transfer

M = TypeVar("M", "Movement", Flow)

MINUTE: Final[Microseconds] = 60_000_000
"""An ``Exposure`` ends with the minute in which its position was closed."""
HOUR: Final[Microseconds] = 3_600_000_000
"""Funding is paid at full hours: every hour (Hyperliquid), or every fourth or eighth (Binance)."""
PAID_WITHIN: Final[Microseconds] = 120_000_000
"""How long after the hour the wallet may show it: Binance settles within the first minute."""
LAG: Final[Microseconds] = 10_000_000
"""How far a wallet's time may be from the time of a fill or transfer that it includes: two clocks, and late answers."""


class Movement(Struct, frozen=True):
    """The change of an asset by a fill or its fee, in units of it; ``on_margin``: through a position.

    ``to`` is the traded asset, which is charged with it; empty if unknown.
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
    """The movements of one fill (its time, price and quantity), without its fee."""
    time, price, quantity = filled
    exchange, sign = instrument.exchange, 1 if side is Side.BUY else -1
    if instrument.kind is InstrumentKind.PERPETUAL:
        return [Movement(time, exchange, instrument.settle, 0.0, on_margin=True)]
    return [
        Movement(time, exchange, instrument.base, sign * quantity, to=instrument.base),
        Movement(time, exchange, instrument.quote, -sign * quantity * price, to=instrument.base),
    ]


def fee(instrument: Instrument | None, time: Microseconds, exchange: str, paid: tuple[float, str]) -> Movement:
    """The movement of one fill's fee (amount and asset). That of a perpetual is charged to its settlement asset."""
    traded = "" if instrument is None else instrument.settle or instrument.base
    return Movement(time, exchange, paid[1], -paid[0], to=traded)


def settled(holdings: Sequence[Holding], until: Mapping[str, Microseconds]) -> list[Holding]:
    """The holdings as of a time by exchange: one that was reported later has its earlier quantity, at the new price.

    An exchange without a report before its time is unchanged: it has no earlier state.
    """
    begun = {one.exchange for one in holdings if one.reported <= until.get(one.exchange, one.reported)}
    last: dict[Name, Holding] = {}
    kept: list[Holding] = []
    for one in sorted(holdings, key=lambda held: held.time):
        name = (one.exchange, one.asset)
        if one.exchange not in begun or one.reported <= until.get(one.exchange, one.reported):
            last[name] = one
        elif name not in last:
            continue
        kept.append(replace(one, quantity=last[name].quantity, reported=last[name].reported))
    return kept


def transfers(holdings: Sequence[Holding], moved: Iterable[Movement]) -> list[Transfer]:
    """The movements that are charged to another asset, each in the first minute whose balance includes it."""
    reported, found = _by_name(holdings), list[Transfer]()
    for one in moved:
        samples = reported.get((one.exchange, one.asset), ())
        at = bisect_left(samples, one.time, key=_reported)
        if one.to not in ("", one.asset) and 0 < at < len(samples):
            found.append(Transfer(samples[at].time, one.exchange, one.asset, one.to, one.quantity))
    return found


def _reported(holding: Holding) -> Microseconds:
    return holding.reported


def flows(
    holdings: Sequence[Holding],
    moved: Iterable[Movement],
    exposures: Collection[Exposure],
    named: Collection[Flow] = (),
) -> tuple[list[Flow], list[Name]]:
    """The flows by minute (negative: out), and the assets whose flows could not be determined all of the time.

    ``named`` are the flows that exchanges reported, each once, with its own time. From its first one on, an exchange is
    assumed to report all.
    """
    reported, explained, given = _by_name(holdings), _grouped(moved), _grouped(named)
    since = {exchange: min(one.time for one in named if one.exchange == exchange) for exchange, _ in given}
    found: list[Flow] = []
    uncertain: list[Name] = []
    for name, samples in reported.items():
        open_then = [one for one in exposures if (one.exchange, one.asset) == name]
        changes = [_change(*pair, explained[name]) for pair in pairwise(samples)]
        hidden = [_is_hidden(*pair, explained[name], open_then) for pair in pairwise(samples)]
        shown = _shown(samples, changes, given[name])
        rests = [0.0 if hides else change - one for change, one, hides in zip(changes, shown, hidden, strict=True)]
        prices = [inf if one.price is None else one.price for one in samples[1:]]
        kept = zip(samples[1:], shown, _without_lags(rests, prices), strict=True)
        found += [Flow(one.time, *name, flowed) for one, known, rest in kept if (flowed := known + rest)]
        if any(
            hides and before.reported < since.get(name[0], inf) for before, hides in zip(samples, hidden, strict=False)
        ):
            uncertain.append(name)
    return sorted(found, key=lambda one: one.time), uncertain


def _grouped(moved: Iterable[M]) -> defaultdict[Name, list[M]]:
    """By asset, in order of time."""
    found = defaultdict[Name, list[M]](list)
    for one in sorted(moved, key=_time):
        found[(one.exchange, one.asset)].append(one)
    return found


def _time(moved: Movement | Flow) -> Microseconds:
    return moved.time


def _by_name(holdings: Sequence[Holding]) -> dict[Name, list[Holding]]:
    """Sorted by time, each report once. An asset that an exchange did not hold at first began with 0."""
    began: dict[str, Holding] = {}
    for one in holdings:
        began[one.exchange] = min(one, began.get(one.exchange, one), key=lambda held: held.time)
    reported = defaultdict[Name, list[Holding]](list)
    for one in sorted(holdings, key=lambda held: held.time):
        first, samples = began[one.exchange], reported[(one.exchange, one.asset)]
        if not samples and one.time > first.time:
            samples.append(Holding(first.time, one.exchange, one.asset, 0.0, one.price, first.reported))
        if not samples or (one.reported, one.quantity) != (samples[-1].reported, samples[-1].quantity):
            samples.append(one)
    return reported


def _between(before: Holding, after: Holding, moved: Sequence[Movement]) -> Sequence[Movement]:
    first, end = (bisect_right(moved, one.reported, key=_time) for one in (before, after))
    return moved[first:end]


def _change(before: Holding, after: Holding, moved: Sequence[Movement]) -> float:
    """The part of the change that fills and fees do not explain."""
    return after.quantity - before.quantity - sum(one.quantity for one in _between(before, after, moved))


def _is_hidden(before: Holding, after: Holding, moved: Sequence[Movement], exposures: Iterable[Exposure]) -> bool:
    """Whether a position may explain the rest of the change."""
    exposed = [one for one in exposures if one.begin <= after.reported and one.end > before.reported]
    traded = any(one.on_margin for one in _between(before, after, moved))
    return traded or (bool(exposed) and _may_realise(before.reported, after.reported, moved, exposed))


def _shown(samples: Sequence[Holding], changes: Sequence[float], named: Iterable[Flow]) -> list[float]:
    """The named flows of each change: those of its time, or up to ``LAG`` away if it matches them and theirs does not.

    A flow before the first balance or after the last is in no change.
    """
    shown = [0.0] * len(changes)
    for one in named:
        if not samples[0].reported < one.time <= samples[-1].reported:
            continue
        own = bisect_left(samples, one.time, key=_reported) - 1
        first, end = (bisect_left(samples, one.time + late, key=_reported) for late in (-LAG, LAG))
        near = {own, *range(max(first - 1, 0), min(end, len(changes)))}
        lacks = {at: abs(changes[at] - shown[at] - one.quantity) for at in near}
        best = min(lacks, key=lacks.__getitem__)
        shown[best if lacks[own] - lacks[best] > abs(one.quantity) / 2 else own] += one.quantity
    return shown


def _may_realise(
    begin: Microseconds, end: Microseconds, moved: Sequence[Movement], exposed: Iterable[Exposure]
) -> bool:
    """Whether the wallet may include funding, or the result of a position's trade, at one of the two times only.

    A position that began or ended around then was traded, even if its fill is unknown.
    """
    if (end + LAG) // HOUR * HOUR >= begin - PAID_WITHIN:
        return True
    first, last = (bisect_right(moved, time, key=_time) for time in (begin - LAG, end + LAG))
    stayed_open = all(one.begin <= begin - LAG and one.end >= end + LAG + MINUTE for one in exposed)
    return not stayed_open or any(one.on_margin for one in moved[first:last])


def _without_lags(rests: Sequence[float], prices: Sequence[float]) -> list[float]:
    """Less than a cent is rounding, and two consecutive rests that cancel out are one late balance."""
    kept = [0.0 if _is_trifle(rest, price) else rest for rest, price in zip(rests, prices, strict=True)]
    for at in range(len(kept) - 1):
        if kept[at] and _is_trifle(kept[at] + kept[at + 1], prices[at + 1]):
            kept[at] = kept[at + 1] = 0.0
    return kept


def _is_trifle(amount: float, price: float) -> bool:
    return not amount or abs(amount) * price <= CENT
