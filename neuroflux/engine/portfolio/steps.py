"""The steps of a rebalance: each moves value from an asset with an excess to one with a shortage.

A step is a sale, a purchase, or a swap: a sale and a purchase that its proceeds pay for, on the same account or, if no
such step is left, with the stablecoins of another account. So every step reduces the drift. Steps are ranked by the
number of orders that they add, then by whether they remove their drift completely, then by whether they keep the
stablecoins of the target, then by cost. All amounts of a step are rounded to the instruments' steps at once, so no
purchase relies on more than its sale yields.
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
    """The preference of one try: an exchange, and whether swaps come first."""

    exchange: str = ""
    swaps_first: bool = False


class Step(Struct, frozen=True):
    """A candidate step; ``quantities`` are the new totals of the ways that it uses."""

    rank: Rank
    quantities: Quantities


class _Scene(Struct, frozen=True):
    """The state that steps are made from."""

    goal: Goal
    quantities: Quantities
    left: Left
    preference: Preference

    def taken(self, way: Way) -> Decimal:
        return self.quantities.get(way.key, ZERO)

    def purse(self, way: Way) -> Decimal:
        """The amount that the way can still spend: of the base for a sale, of the quote for a purchase."""
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
    """Swaps over two accounts: one sells an excess, the other spends as much of its own stablecoins.

    The total of stablecoins stays the same; neither the sale nor the purchase alone would reduce the drift.
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
    """Steps from stablecoins with an excess to those of the target."""
    scene, drift = _Scene(goal, quantities, left, preference), coin_drifts(left, goal)
    for way in ways.values():
        base, quote = drift.get(way.asset, ZERO), drift.get(way.instrument.quote, ZERO)
        if way.converts and way.side is Side.SELL and min(base, -quote) > goal.dust:
            yield from _sale(scene, way, min(base, -quote))
        if way.converts and way.side is Side.BUY and min(-base, quote) > goal.dust:
            yield from _purchase(scene, way, -base, quote)


def coin_drifts(left: Left, goal: Goal) -> dict[str, Decimal]:
    """The excess of each stablecoin over its goal. The target's share of plain USD is taken from any excess."""
    names = {*goal.coins, *left.values} & USD_CLASS - {CASH}
    found = {name: left.values.get(name, ZERO) - goal.coins.get(name, ZERO) for name in sorted(names)}
    spare = goal.coins.get(CASH, ZERO)
    for name, value in found.items():
        kept = min(max(value, ZERO), spare)
        found[name], spare = value - kept, spare - kept
    return found


# ── the three kinds ──────────────────────────────────────────────────────────────────────────────────────────────


def _sale(scene: _Scene, way: Way, target: Decimal) -> Iterator[Step]:
    """Sell up to ``target`` USD, as far as account and book allow."""
    taken = scene.taken(way)
    total = _fit(way, taken + min(target / way.price, way.depth - taken, scene.purse(way)))
    sold_value = (total - taken) * way.price
    if sold_value > scene.goal.dust:
        proceeds = (way.flow(total) - way.flow(taken)) * way.rate
        off_target = bool(scene.goal.coins) and way.instrument.quote not in scene.goal.coins
        yield _step(scene, {way.key: total}, (target, sold_value, sold_value - proceeds), [way], off_target)


def _purchase(scene: _Scene, way: Way, target: Decimal, budget: Decimal) -> Iterator[Step]:
    """Buy up to ``target`` USD for at most ``budget``, as far as account and book allow."""
    taken = scene.taken(way)
    held, spent = way.hold(taken), way.flow(taken)
    most = min(way.holding(held + scene.purse(way)), way.flowing(spent + budget / way.rate))
    total = _fit(way, min(taken + target / way.price, most))
    bought_value = (total - taken) * way.price
    if bought_value > scene.goal.dust:
        paid = (way.flow(total) - spent) * way.rate
        off_target = way.instrument.quote in scene.goal.coins
        yield _step(
            scene,
            {way.key: total},
            (min(target, budget), max(bought_value, paid), paid - bought_value),
            [way],
            off_target,
        )


def _swap(scene: _Scene, sale: Way, surplus: Decimal, buy: Way, shortage: Decimal) -> Iterator[Step]:
    """Sell at one instrument and spend the proceeds at another of the same account and quote."""
    sold, bought = scene.taken(sale), scene.taken(buy)
    most = sold + min(surplus / sale.price, sale.depth - sold, scene.purse(sale))
    needed = buy.flow(min(bought + shortage / buy.price, _bought_with(scene, sale, most, buy))) - buy.flow(bought)
    total = _fit(sale, min(most, sale.flowing(sale.flow(sold) + needed) if needed > 0 else sold))
    sold_value = (total - sold) * sale.price
    whole = _fit(buy, min(bought + shortage / buy.price, _bought_with(scene, sale, total, buy)))
    bought_value = (whole - bought) * buy.price
    if min(sold_value, bought_value) > scene.goal.dust:
        figures = (min(surplus, shortage), sold_value, sold_value - bought_value)
        yield _step(scene, {sale.key: total, buy.key: whole}, figures, [sale, buy], False)


def _bridge(scene: _Scene, sale: Way, surplus: Decimal, buy: Way, shortage: Decimal) -> Iterator[Step]:
    """Sell on one account, and spend no more than the proceeds on another."""
    sold, bought = scene.taken(sale), scene.taken(buy)
    most = _fit(sale, sold + min(surplus / sale.price, sale.depth - sold, scene.purse(sale)))
    budget = (sale.flow(most) - sale.flow(sold)) * sale.rate
    held, spent = buy.hold(bought), buy.flow(bought)
    reach = min(buy.holding(held + scene.purse(buy)), buy.flowing(spent + budget / buy.rate))
    whole = _fit(buy, min(bought + shortage / buy.price, reach))
    needed = (buy.flow(whole) - spent) * buy.rate / sale.rate
    total = _fit(sale, min(most, sale.flowing(sale.flow(sold) + needed))) if needed > 0 else sold
    sold_value, bought_value = (total - sold) * sale.price, (whole - bought) * buy.price
    if min(sold_value, bought_value) > scene.goal.dust:
        figures = (min(surplus, shortage), sold_value, sold_value - bought_value)
        yield _step(scene, {sale.key: total, buy.key: whole}, figures, [sale, buy], False)


def _bought_with(scene: _Scene, sale: Way, total: Decimal, buy: Way) -> Decimal:
    """The total quantity that can be bought when ``total`` is sold."""
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
    off_target: bool,
) -> Step:
    """``figures`` are in USD: the value to move, the value moved, and its cost."""
    target, moved, cost = figures
    grain = sum((way.instrument.quantity_step * way.price for way in ways), scene.goal.dust)
    rank = (
        scene.preference.swaps_first and len(ways) == 1,
        sum(key not in scene.quantities for key in quantities),
        bool(scene.preference.exchange) and scene.preference.exchange != ways[0].instrument.exchange,
        (target - moved) / target if target - moved > grain else ZERO,
        off_target,
        cost / moved,
        tuple(quantities),
    )
    return Step(rank, quantities)
