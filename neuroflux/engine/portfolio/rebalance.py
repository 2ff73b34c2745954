"""The plan of a rebalance: the fewest trades from the holdings to the target, at the least cost. Pure.

Everything held and priced counts in the portfolio, locked or not. Assets outside of the target are sold, except for
stablecoins: together they make up the share of the target's stablecoins, and are exchanged for these where an
instrument allows it. ``USD`` as a target is any stablecoin. Funds are not moved between exchanges: a purchase is paid
from its own account after its own sales; transfers that would help are proposed. The goal is a share of the value after
costs, so that costs do not look like a shortage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from math import fsum, isfinite

from neuroflux.domain import Balance, Microseconds, Side
from neuroflux.domain.symbols import USD_CLASS
from neuroflux.engine.portfolio.draft import Draft, Market, best, cost
from neuroflux.engine.portfolio.holdings import CASH, Goal, Portfolio, drifts, portfolio_of, priced
from neuroflux.engine.portfolio.plan import Locked, RebalancePlan, RebalanceTrade, Skipped, Transfer
from neuroflux.engine.portfolio.report import Outcome, locked_of, skipped_of
from neuroflux.engine.portfolio.transfers import transfers_of
from neuroflux.engine.portfolio.ways import ZERO, Key, Way, bound_price, ways_of
from neuroflux.engine.risk.limits import Limits
from neuroflux.engine.routing.candidates import Prospect
from neuroflux.engine.routing.strategies import MARKET_COLLAR
from neuroflux.errors import UsageError

__all__ = ["DUST", "Locked", "RebalancePlan", "RebalanceTrade", "Skipped", "Transfer", "as_one", "distance", "plan"]

DUST = Decimal("0.0005")
"""The part of the portfolio below which a drift is not traded."""
CENT = Decimal("0.01")
SUM_TOLERANCE = 0.0011
"""How far from 1 a target may sum by rounding: three thirds as 0.333 are 0.999."""
_HARMLESS = ("dust", "minimum")


def plan(
    target: Mapping[str, float],
    held: Sequence[Balance],
    prospects: Sequence[Prospect],
    prices: Mapping[str, float],
    max_slippage: float,
    limits: Limits,
    now: Microseconds,
) -> RebalancePlan:
    """The trades after which each asset has its share of the portfolio's value.

    ``held`` are the spot balances of all exchanges, ``prospects`` their spot instruments with books and rates,
    ``prices`` USD per unit. No order exceeds ``max_slippage`` (a fraction), against its book's mid and against
    ``prices``; of ``limits`` only the maximum age of a book is used. What can't be traded is listed with its reason;
    raises UsageError for an invalid target.
    """
    shares = _shares(target)
    _check_slippage(max_slippage)
    known = priced(prices, prospects)
    portfolio = portfolio_of(held, known)
    ways, faults = ways_of(prospects, known, max_slippage, limits, now)
    market = _market(shares, portfolio, {way.key: way for way in ways})
    draft = best(market)
    outcome = Outcome(market, draft, faults, market.goal.dust)
    unpriced = {one.asset for one in held if one.total and one.asset not in known}
    skipped = tuple(skipped_of(outcome, unpriced))
    trades = tuple(_trades(market.ways, draft))
    return RebalancePlan(
        float(portfolio.total),
        _allocation(portfolio.values),
        _allocation(draft.left.values),
        fsum(trade.cost_usd for trade in trades),
        trades,
        transfers_of(outcome),
        tuple(locked_of(held, known)),
        skipped,
        any(one.value_usd and not one.reason.startswith(_HARMLESS) for one in skipped),
    )


def distance(allocation: Mapping[str, float], target: Mapping[str, float]) -> float:
    """The sum of the differences of all shares, with the stablecoins as one: 0 if equal, 2 if nothing is in common."""
    here, there = as_one(allocation), as_one(target)
    return fsum(abs(here.get(name, 0.0) - there.get(name, 0.0)) for name in {*here, *there})


def as_one(shares: Mapping[str, float]) -> dict[str, float]:
    """The shares with the stablecoins as one."""
    cash = fsum(share for asset, share in shares.items() if asset in USD_CLASS)
    return {asset: share for asset, share in shares.items() if asset not in USD_CLASS} | {CASH: cash}


# ── the goal ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _shares(target: Mapping[str, float]) -> dict[str, Decimal]:
    for asset, share in target.items():
        if not isfinite(share) or share < 0:
            raise UsageError(f"target_allocation: {share} of {asset!r} is not a share")
    total = fsum(target.values())
    if abs(total - 1) > SUM_TOLERANCE:
        raise UsageError(f"target_allocation: the shares sum to {total:.6g}, not to 1")
    exact = {asset: Decimal(str(share)) for asset, share in target.items()}
    whole = sum(exact.values(), ZERO)
    return {asset: share / whole for asset, share in exact.items()}


def _check_slippage(max_slippage: float) -> None:
    if not 0 <= max_slippage < 1:
        raise UsageError(f"max_slippage: {max_slippage} is not a fraction between 0 and 1")


def _market(shares: Mapping[str, Decimal], portfolio: Portfolio, ways: dict[Key, Way]) -> Market:
    """The market with the goals as shares of the value after costs; assets with a tiny drift are frozen."""
    goal = _goal(shares, portfolio, portfolio.total, frozenset())
    small = frozenset(asset for asset, drift in drifts(portfolio.values, goal).items() if abs(drift) <= goal.dust)
    first = Market(portfolio, _goal(shares, portfolio, portfolio.total, small), ways)
    return Market(portfolio, _goal(shares, portfolio, portfolio.total - cost(first), small), ways)


def _goal(shares: Mapping[str, Decimal], portfolio: Portfolio, total: Decimal, frozen: frozenset[str]) -> Goal:
    coins = {asset: share * total for asset, share in shares.items() if asset in USD_CLASS and share}
    assets = {asset: share * total for asset, share in shares.items() if asset not in USD_CLASS}
    return Goal(assets, coins, sum(coins.values(), ZERO), frozen, max(portfolio.total * DUST, CENT))


# ── the trades ───────────────────────────────────────────────────────────────────────────────────────────────────


def _trades(ways: Mapping[Key, Way], draft: Draft) -> Iterator[RebalanceTrade]:
    """The trades in order: sales, purchases, conversions."""
    for key in sorted(draft.quantities, key=lambda key: (ways[key].converts, key[2] is Side.BUY, key)):
        way, quantity = ways[key], draft.quantities[key]
        paid = way.paid(quantity)
        sign = 1 if way.side is Side.BUY else -1
        yield RebalanceTrade(
            way.instrument.exchange,
            way.instrument.symbol,
            way.side,
            quantity,
            paid / quantity,
            bound_price(way, quantity, _cushion(ways, draft, way)),
            float(quantity * way.price),
            float(paid * way.instrument.taker_fee * way.rate),
            float(sign * (paid - quantity * way.mid) * way.rate),
        )


def _cushion(ways: Mapping[Key, Way], draft: Draft, way: Way) -> Decimal:
    """How far beyond the worst level an order's limit may be; for a purchase at most what its account can reserve."""
    if way.side is Side.SELL:
        return MARKET_COLLAR
    holds = [ways[key].hold(one) for key, one in draft.quantities.items() if key[2] is Side.BUY]
    owners = [ways[key].money for key in draft.quantities if key[2] is Side.BUY]
    held = sum((hold for hold, owner in zip(holds, owners, strict=True) if owner == way.money), ZERO)
    return min(MARKET_COLLAR, max(draft.left.purses.get(way.money, ZERO), ZERO) / held)


def _allocation(values: Mapping[str, Decimal]) -> dict[str, float]:
    total = sum(values.values(), ZERO)
    return {asset: float(value / total) for asset, value in sorted(values.items()) if value} if total > 0 else {}
