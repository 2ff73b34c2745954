"""What a rebalance does not trade, and why: the remaining drift, the too small, the locked, and the unpriced."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import Balance, Side
from neuroflux.engine.portfolio.draft import Draft, Market
from neuroflux.engine.portfolio.holdings import drifts
from neuroflux.engine.portfolio.plan import Locked, Skipped
from neuroflux.engine.portfolio.steps import coin_drifts
from neuroflux.engine.portfolio.ways import ZERO, Way


class Outcome(Struct, frozen=True):
    """A draft with the faults of the unusable ways; a drift of up to ``tolerance`` USD needs no reason."""

    market: Market
    draft: Draft
    faults: Mapping[str, Sequence[str]]
    tolerance: Decimal

    def drifts(self) -> dict[str, Decimal]:
        """The remaining drift by asset, in USD; below 0 if the asset is to be bought."""
        left = drifts(self.draft.left.values, self.market.goal).items()
        return {asset: one for asset, one in left if abs(one) > self.tolerance and asset not in self.market.goal.frozen}

    def ways(self, asset: str, side: Side) -> list[Way]:
        """The usable ways, cheapest first, without those that a minimum excluded."""
        found = [one for one in self.market.ways.values() if one.asset == asset and one.side is side and one.levels]
        sign = 1 if side is Side.BUY else -1
        return sorted(found, key=lambda way: (sign * way.flow(min(way.depth, Decimal(1))) * way.rate, way.key))

    def room(self, way: Way) -> Decimal:
        """The value that the way can still trade within the bounds, in USD."""
        return (way.depth - self.draft.quantities.get(way.key, ZERO)) * way.price


# ── reasons ──────────────────────────────────────────────────────────────────────────────────────────────────────


def skipped_of(outcome: Outcome, unpriced: Iterable[str]) -> Iterator[Skipped]:
    """The remaining drift, and what was too small or unpriced."""
    goal = outcome.market.goal
    before = drifts(outcome.market.portfolio.values, goal)
    for asset in sorted(unpriced):
        yield Skipped(asset, 0.0, "price: no price is known; it is not counted")
    for asset in sorted(goal.frozen):
        if before.get(asset):
            yield Skipped(asset, float(before[asset]), f"dust: {abs(before[asset]):,.2f} USD is too little to trade")
    for asset, drift in outcome.drifts().items():
        yield Skipped(asset, float(drift), _why(outcome, asset, drift))
    yield from _coins(outcome)


def _coins(outcome: Outcome) -> Iterator[Skipped]:
    found = coin_drifts(outcome.draft.left, outcome.market.goal)
    excess = sum((value for value in found.values() if value > 0), ZERO)
    for coin in outcome.market.goal.coins:
        short = min(-found.get(coin, ZERO), excess)
        if short > outcome.tolerance:
            faults = [*outcome.draft.faults.get(coin, ()), *outcome.faults.get(coin, ())]
            why = "; ".join(faults) or "the other stablecoins can't be exchanged for it on their exchanges"
            yield Skipped(coin, -float(short), f"conversion: {why}")


def _why(outcome: Outcome, asset: str, drift: Decimal) -> str:
    side = Side.SELL if drift > 0 else Side.BUY
    ways = outcome.ways(asset, side)
    kept_out = outcome.draft.faults.get(asset, ())
    if kept_out:
        return "; ".join(kept_out)
    if not any(way.asset == asset for way in outcome.market.ways.values()):
        return "; ".join(outcome.faults.get(asset, ())) or f"symbol: nothing trades {asset} against USD"
    small = min((way.least_usd for way in ways), default=ZERO)
    if abs(drift) < small:
        return f"minimum: {abs(drift):,.2f} USD is below the smallest order of {small:,.2f} USD"
    if side is Side.SELL:
        return _unsold(outcome, asset, ways)
    if all(outcome.room(way) <= outcome.tolerance for way in ways):
        return "slippage: the books hold no more within the bounds"
    return f"funds: {_unpaid(outcome, ways)}"


def _unpaid(outcome: Outcome, ways: Sequence[Way]) -> str:
    """Why a purchase can't be paid where it is traded: there is no money, or the target keeps it."""
    left = outcome.draft.left.purses
    there = {
        way.money: left.get(way.money, ZERO) for way in ways if left.get(way.money, ZERO) * way.rate > outcome.tolerance
    }
    if not there:
        return "the assets to pay with are not on an exchange that trades it, or can't be sold there"
    held = ", ".join(f"{amount:,.2f} {asset} on {exchange}" for (exchange, asset), amount in sorted(there.items()))
    return f"the target keeps the stablecoins where it is traded ({held}), and the assets to pay with can't be sold"


def _unsold(outcome: Outcome, asset: str, ways: Sequence[Way]) -> str:
    left, price = outcome.draft.left.purses, _price(outcome, asset)
    free = {exchange: amount for (exchange, name), amount in left.items() if name == asset}
    if sum(free.values()) * price <= outcome.tolerance:
        return "locked: the rest is held by positions or open orders"
    here = [way for way in outcome.market.ways.values() if way.asset == asset and free.get(way.held[0])]
    if not here:
        return f"symbol: nothing trades {asset} on {', '.join(sorted(name for name, one in free.items() if one))}"
    if all(outcome.room(way) <= outcome.tolerance for way in ways if way in here):
        return "slippage: the books hold no more within the bounds"
    return "funds: nothing that is short can be bought with it there"


def _price(outcome: Outcome, asset: str) -> Decimal:
    return next(way.price for way in outcome.market.ways.values() if way.asset == asset)


def locked_of(held: Iterable[Balance], prices: Mapping[str, Decimal]) -> Iterator[Locked]:
    for one in held:
        amount = one.in_positions + one.in_orders
        if amount:
            value = float(amount * prices.get(one.asset, ZERO))
            yield Locked(one.exchange, one.asset, one.in_positions, one.in_orders, value)
