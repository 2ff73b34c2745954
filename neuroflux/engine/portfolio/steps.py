"""The steps of a rebalance: each moves value from where there is too much to where it lacks.

A step is a sale, a purchase, or a swap: a sale and a purchase that its proceeds pay for, on the same account or, where
none of these is left, with the stablecoins of another. So none costs money without getting nearer to the goal. Steps
rank by the orders that they open, then whether they leave nothing of their drift, then by whether they keep the
stablecoins that the target names, then by cost. All amounts of a step are cut to the instruments' steps as it is made,
so no purchase counts on more than its sale brings.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import OrderType, Side
from neuroflux.domain.symbols import USD_CLASS
from neuroflux.engine.markets.rounding import round_quantity
from neuroflux.engine.portfolio.holdings import CASH, Goal, Left, drifts
from neuroflux.engine.portfolio.ways import ZERO, Key, Way

Quantities = dict[Key, Decimal]
Rank = tuple[bool, int, bool, Decimal, bool, Decimal, tuple[Key, ...]]


class Preference(Struct, frozen=True):
    """What one try prefers."""

    exchange: str = ""
    swaps_first: bool = False


class Step(Struct, frozen=True):
    """``quantities`` are the new totals of the ways that it uses."""

    rank: Rank
    quantities: Quantities


class _Scene(Struct, frozen=True):
    """What steps are made from."""

    goal: Goal
    quantities: Quantities
    left: Left
    preference: Preference

    def taken(self, way: Way) -> Decimal:
        return self.quantities.get(way.key, ZERO)

    def purse(self, way: Way) -> Decimal:
        """What the way can still spend: of the base for a sale, of the quote for a purchase."""
        return max(self.left.purses.get(way.held if way.side is Side.SELL else way.money, ZERO), ZERO)


def trading(
    goal: Goal, ways: Mapping[Key, Way], quantities: Quantities, left: Left, preference: Preference
) -> Iterator[Step]:
    """Steps between assets, and between assets and stablecoins."""
    scene = _Scene(goal, quantities, left, preference)
    drift, cash = drifts(left.values, goal), left.cash - goal.cash
    usable = [way for way in ways.values() if not way.converts and way.asset not in goal.frozen]
    sales = [way for way in usable if way.side is Side.SELL and drift.get(way.asset, ZERO) > goal.dust]
    buys = [way for way in usable if way.side is Side.BUY and drift.get(way.asset, ZERO) < -goal.dust]
    for sale in sales:
        if -cash > goal.dust:
            yield from _sale(scene, sale, min(drift[sale.asset], -cash))
        for buy in buys:
            if buy.money == sale.money:
                yield from _swap(scene, sale, drift[sale.asset], buy, -drift[buy.asset])
    if cash > goal.dust:
        for buy in buys:
            yield from _purchase(scene, buy, -drift[buy.asset], cash)


def bridging(
    goal: Goal, ways: Mapping[Key, Way], quantities: Quantities, left: Left, preference: Preference
) -> Iterator[Step]:
    """Swaps over two accounts: one sells what there is too much of, the other spends as much of what it has.

    The stablecoins together stay what they are, though neither a sale nor a purchase alone gets nearer to the goal.
    """
    scene, drift = _Scene(goal, quantities, left, preference), drifts(left.values, goal)
    usable = [way for way in ways.values() if not way.converts and way.asset not in goal.frozen]
    for sale in (way for way in usable if way.side is Side.SELL and drift.get(way.asset, ZERO) > goal.dust):
        for buy in (way for way in usable if way.side is Side.BUY and drift.get(way.asset, ZERO) < -goal.dust):
            if buy.money != sale.money:
                yield from _bridge(scene, sale, drift[sale.asset], buy, -drift[buy.asset])


def converting(
    goal: Goal, ways: Mapping[Key, Way], quantities: Quantities, left: Left, preference: Preference
) -> Iterator[Step]:
    """Steps from stablecoins of which there is too much to those that the target names."""
    scene, drift = _Scene(goal, quantities, left, preference), coin_drifts(left, goal)
    for way in ways.values():
        base, quote = drift.get(way.asset, ZERO), drift.get(way.instrument.quote, ZERO)
        if way.converts and way.side is Side.SELL and min(base, -quote) > goal.dust:
            yield from _sale(scene, way, min(base, -quote))
        if way.converts and way.side is Side.BUY and min(-base, quote) > goal.dust:
            yield from _purchase(scene, way, -base, quote)


def coin_drifts(left: Left, goal: Goal) -> dict[str, Decimal]:
    """What each stablecoin is worth beyond its goal. What the target wants as plain USD is taken from any excess."""
    names = {*goal.coins, *left.values} & USD_CLASS - {CASH}
    found = {name: left.values.get(name, ZERO) - goal.coins.get(name, ZERO) for name in sorted(names)}
    spare = goal.coins.get(CASH, ZERO)
    for name, value in found.items():
        kept = min(max(value, ZERO), spare)
        found[name], spare = value - kept, spare - kept
    return found


# ── the three kinds ──────────────────────────────────────────────────────────────────────────────────────────────


def _sale(scene: _Scene, way: Way, wanted: Decimal) -> Iterator[Step]:
    """Sell what is worth ``wanted`` USD, as far as it is there."""
    taken = scene.taken(way)
    total = _fit(way, taken + min(wanted / way.price, way.depth - taken, scene.purse(way)))
    gone = (total - taken) * way.price
    if gone > scene.goal.dust:
        got = (way.flow(total) - way.flow(taken)) * way.rate
        strays = bool(scene.goal.coins) and way.instrument.quote not in scene.goal.coins
        yield _step(scene, {way.key: total}, (wanted, gone, gone - got), [way], strays)


def _purchase(scene: _Scene, way: Way, wanted: Decimal, budget: Decimal) -> Iterator[Step]:
    """Buy what is worth ``wanted`` USD for at most ``budget``, as far as it and the money are there."""
    taken = scene.taken(way)
    held, spent = way.hold(taken), way.flow(taken)
    most = min(way.holding(held + scene.purse(way)), way.flowing(spent + budget / way.rate))
    total = _fit(way, min(taken + wanted / way.price, most))
    came = (total - taken) * way.price
    if came > scene.goal.dust:
        paid = (way.flow(total) - spent) * way.rate
        strays = way.instrument.quote in scene.goal.coins
        yield _step(scene, {way.key: total}, (min(wanted, budget), max(came, paid), paid - came), [way], strays)


def _swap(scene: _Scene, sale: Way, surplus: Decimal, buy: Way, shortage: Decimal) -> Iterator[Step]:
    """Sell at one instrument and spend the proceeds at another of the same account and quote."""
    sold, bought = scene.taken(sale), scene.taken(buy)
    most = sold + min(surplus / sale.price, sale.depth - sold, scene.purse(sale))
    needed = buy.flow(min(bought + shortage / buy.price, _bought_with(scene, sale, most, buy))) - buy.flow(bought)
    total = _fit(sale, min(most, sale.flowing(sale.flow(sold) + needed) if needed > 0 else sold))
    gone = (total - sold) * sale.price
    whole = _fit(buy, min(bought + shortage / buy.price, _bought_with(scene, sale, total, buy)))
    came = (whole - bought) * buy.price
    if min(gone, came) > scene.goal.dust:
        figures = (min(surplus, shortage), gone, gone - came)
        yield _step(scene, {sale.key: total, buy.key: whole}, figures, [sale, buy], False)


def _bridge(scene: _Scene, sale: Way, surplus: Decimal, buy: Way, shortage: Decimal) -> Iterator[Step]:
    """Sell at one account, and spend at another no more than that brings."""
    sold, bought = scene.taken(sale), scene.taken(buy)
    most = _fit(sale, sold + min(surplus / sale.price, sale.depth - sold, scene.purse(sale)))
    budget = (sale.flow(most) - sale.flow(sold)) * sale.rate
    held, spent = buy.hold(bought), buy.flow(bought)
    reach = min(buy.holding(held + scene.purse(buy)), buy.flowing(spent + budget / buy.rate))
    whole = _fit(buy, min(bought + shortage / buy.price, reach))
    needed = (buy.flow(whole) - spent) * buy.rate / sale.rate
    total = _fit(sale, min(most, sale.flowing(sale.flow(sold) + needed))) if needed > 0 else sold
    gone, came = (total - sold) * sale.price, (whole - bought) * buy.price
    if min(gone, came) > scene.goal.dust:
        figures = (min(surplus, shortage), gone, gone - came)
        yield _step(scene, {sale.key: total, buy.key: whole}, figures, [sale, buy], False)


def _bought_with(scene: _Scene, sale: Way, total: Decimal, buy: Way) -> Decimal:
    """How much can have been bought in all when so much is sold in all."""
    proceeds = sale.flow(total) - sale.flow(scene.taken(sale))
    bought = scene.taken(buy)
    covered = buy.holding(buy.hold(bought) + scene.purse(buy) + proceeds)
    return min(covered, buy.flowing(buy.flow(bought) + proceeds))


def _fit(way: Way, quantity: Decimal) -> Decimal:
    return round_quantity(way.instrument, quantity, OrderType.LIMIT)


def _step(
    scene: _Scene,
    quantities: Quantities,
    figures: tuple[Decimal, Decimal, Decimal],
    ways: list[Way],
    strays: bool,
) -> Step:
    """``figures`` are USD: what was to be moved, what is moved, what that costs."""
    wanted, moved, cost = figures
    grain = sum((way.instrument.quantity_step * way.price for way in ways), scene.goal.dust)
    rank = (
        scene.preference.swaps_first and len(ways) == 1,
        sum(key not in scene.quantities for key in quantities),
        bool(scene.preference.exchange) and scene.preference.exchange != ways[0].instrument.exchange,
        (wanted - moved) / wanted if wanted - moved > grain else ZERO,
        strays,
        cost / moved,
        tuple(quantities),
    )
    return Step(rank, quantities)
