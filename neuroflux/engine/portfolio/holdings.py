"""What is held, its value, and what is left after trades. Money is in USD unless stated to be in a quote."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, TypeVar

from msgspec import Struct

from neuroflux.domain import Balance, Side
from neuroflux.domain.symbols import USD_CLASS
from neuroflux.engine.markets.conversion import ANCHOR
from neuroflux.engine.portfolio.ways import ZERO, Key, Purse, Way
from neuroflux.engine.routing.candidates import Prospect

CASH: Final = "USD"
"""All stablecoins together; as a target it is any of them."""


class Portfolio(Struct, frozen=True):
    """``free`` is by exchange and asset; ``values`` and ``total`` include everything priced, locked or not."""

    free: dict[Purse, Decimal]
    values: dict[str, Decimal]
    total: Decimal


class Goal(Struct, frozen=True):
    """The target value of each asset; ``coins`` are those of the stablecoins in the target, ``cash`` is their sum.

    ``frozen`` are the assets whose drift is too small to trade, ``dust`` is the value below which that is so.
    """

    assets: dict[str, Decimal]
    coins: dict[str, Decimal]
    cash: Decimal
    frozen: frozenset[str]
    dust: Decimal


class Left(Struct, frozen=True):
    """The state after trades: what each account can still spend, the value of each asset, and of all stablecoins.

    A purse is the free amount, less what orders reserve at their worst price, plus the average proceeds of sales.
    """

    purses: dict[Purse, Decimal]
    values: dict[str, Decimal]
    cash: Decimal

    @property
    def total(self) -> Decimal:
        return sum(self.values.values(), ZERO)


def priced(prices: Mapping[str, float], prospects: Iterable[Prospect]) -> dict[str, Decimal]:
    """USD per unit; without a price, quotes have their live rate, and the anchor is 1."""
    found = {one.instrument.quote: one.rate.mid for one in prospects if one.rate is not None} | {ANCHOR: 1.0}
    valid = {asset: price for asset, price in prices.items() if 0 < price < float("inf")}
    return {asset: Decimal(str(price)) for asset, price in (found | valid).items()}


def portfolio_of(held: Sequence[Balance], prices: Mapping[str, Decimal]) -> Portfolio:
    free: dict[Purse, Decimal] = {}
    values: dict[str, Decimal] = {}
    for one in held:
        purse = (one.exchange, one.asset)
        free[purse] = free.get(purse, ZERO) + max(one.free, ZERO)
        if one.asset in prices and one.total:
            values[one.asset] = values.get(one.asset, ZERO) + one.total * prices[one.asset]
    return Portfolio(free, values, sum(values.values(), ZERO))


def drifts(values: Mapping[str, Decimal], goal: Goal) -> dict[str, Decimal]:
    """The excess value of each asset other than a stablecoin over its goal; below 0 if it is short."""
    names = sorted({*values, *goal.assets} - USD_CLASS)
    return {asset: values.get(asset, ZERO) - goal.assets.get(asset, ZERO) for asset in names}


def cash_of(values: Mapping[str, Decimal]) -> Decimal:
    return sum((value for asset, value in values.items() if asset in USD_CLASS), ZERO)


def after(portfolio: Portfolio, ways: Mapping[Key, Way], quantities: Mapping[Key, Decimal]) -> Left:
    """The state after these trades, if they fill by the books."""
    purses, values = dict(portfolio.free), dict(portfolio.values)
    for key, quantity in quantities.items():
        way = ways[key]
        sign = 1 if way.side is Side.BUY else -1
        flow = way.flow(quantity)
        _add(values, way.asset, sign * quantity * way.price)
        _add(values, way.instrument.quote, -sign * flow * way.rate)
        if way.side is Side.SELL:
            _add(purses, way.held, -quantity)
        _add(purses, way.money, flow if way.side is Side.SELL else -way.hold(quantity))
    return Left(purses, values, cash_of(values))


K = TypeVar("K", str, Purse)


def _add(amounts: dict[K, Decimal], name: K, amount: Decimal) -> None:
    amounts[name] = amounts.get(name, ZERO) + amount
