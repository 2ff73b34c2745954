"""The trades of a rebalance: greedy steps, in several tries of which the best is used.

``best`` tries each exchange as the preferred one, with and without swaps first, and keeps the try with the least
remaining drift, then the fewest orders, then the least cost. Each step reduces the drift by at least the dust, so every
try ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import OrderType
from neuroflux.engine.markets.rounding import violation
from neuroflux.engine.portfolio.holdings import Goal, Left, Portfolio, after, drifts
from neuroflux.engine.portfolio.steps import Preference, Quantities, bridging, converting, trading
from neuroflux.engine.portfolio.ways import ZERO, Key, Way, bound_price


class Draft(Struct, frozen=True):
    """The quantity of each way; ``faults`` are the minimums that excluded ways, by base."""

    quantities: Quantities
    left: Left
    faults: dict[str, list[str]]


class Market(Struct, frozen=True):
    """The input of a try."""

    portfolio: Portfolio
    goal: Goal
    ways: dict[Key, Way]


def best(market: Market) -> Draft:
    """The best of the tries; the first is enough if no plan can have fewer orders."""
    first = _settle(market, Preference())
    if _score(market, first)[:2] <= (0, _fewest(market)):
        return first
    exchanges = sorted({way.instrument.exchange for way in market.ways.values()})
    preferences = [Preference(exchange, swaps) for exchange in ("", *exchanges) for swaps in (False, True)]
    tries = [first, *(_settle(market, preference) for preference in preferences[1:])]
    return min(tries, key=lambda draft: _score(market, draft))


def cost(market: Market) -> Decimal:
    """The approximate cost of reaching the goal, by the first try."""
    return market.portfolio.total - _settle(market, Preference()).left.total


def _fewest(market: Market) -> int:
    """The least number of orders: at least one for each asset with a drift."""
    off = drifts(market.portfolio.values, market.goal)
    return sum(abs(one) > market.goal.dust for asset, one in off.items() if asset not in market.goal.frozen)


def _score(market: Market, draft: Draft) -> tuple[int, int, Decimal]:
    """Lower is better: remaining drift (in units of dust), number of orders, cost."""
    off = sum((abs(one) for one in drifts(draft.left.values, market.goal).values()), ZERO)
    off += abs(draft.left.cash - market.goal.cash)
    return int(off / market.goal.dust), len(draft.quantities), market.portfolio.total - draft.left.total


def _settle(market: Market, preference: Preference) -> Draft:
    """Repeat until all orders obey the rules: the smallest that violates one is excluded, and the rest tried again."""
    ways, faults = dict(market.ways), dict[str, list[str]]()
    while True:
        quantities, left = _walk(market, ways, preference)
        broken = min(
            ((quantities[key] * ways[key].price, key, rule) for key, rule in _broken(ways, quantities)), default=None
        )
        if broken is None:
            return Draft(quantities, left, faults)
        way = ways.pop(broken[1])
        fault = f"minimum: {way.instrument.exchange} {way.instrument.symbol}: {broken[2]}"
        faults.setdefault(way.asset, []).append(fault)


def _broken(ways: Mapping[Key, Way], quantities: Quantities) -> Iterator[tuple[Key, str]]:
    for key, quantity in quantities.items():
        rule = violation(ways[key].instrument, quantity, bound_price(ways[key], quantity), OrderType.LIMIT)
        if rule:
            yield key, rule


# ── one try ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _walk(market: Market, ways: Mapping[Key, Way], preference: Preference) -> tuple[Quantities, Left]:
    """Take the best step until none is left: between assets, over two accounts, then between stablecoins."""
    quantities: Quantities = {}
    for steps in (trading, bridging, converting):
        while True:
            left = after(market.portfolio, ways, quantities)
            found = min(steps(market.goal, ways, quantities, left, preference), key=lambda one: one.rank, default=None)
            if found is None:
                break
            quantities = quantities | found.quantities
    return quantities, left
