"""What is held, what it is worth, and what trades would leave of it. Money is USD unless it is said to be a quote's."""

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
"""The stablecoins together; as a target it is any of them."""


class Portfolio(Struct, frozen=True):
    """``free`` is by exchange and asset; ``values`` and ``total`` are all that is priced, locked or not."""

    free: dict[Purse, Decimal]
    values: dict[str, Decimal]
    total: Decimal


class Goal(Struct, frozen=True):
    """What each asset shall be worth; ``coins`` are the stablecoins that the target names, ``cash`` all of them.

    ``frozen`` are the assets whose drift is too small to trade, ``dust`` what counts as too small.
    """

    assets: dict[str, Decimal]
    coins: dict[str, Decimal]
    cash: Decimal
    frozen: frozenset[str]
    dust: Decimal


class Left(Struct, frozen=True):
    """After trades: what each account still has to spend, what each asset is worth, and the stablecoins together.

    A purse is what is free, less what orders hold at their worst price, with what sales bring (on average).
    """

    purses: dict[Purse, Decimal]
    values: dict[str, Decimal]
    cash: Decimal

    @property
    def total(self) -> Decimal:
        return sum(self.values.values(), ZERO)


def priced(prices: Mapping[str, float], prospects: Iterable[Prospect]) -> dict[str, Decimal]:
    """USD per unit; the anchor is 1 and other quotes are at their live rate where no price is told."""
    found = {one.instrument.quote: one.rate.mid for one in prospects if one.rate is not None} | {ANCHOR: 1.0}
    told = {asset: price for asset, price in prices.items() if 0 < price < float("inf")}
    return {asset: Decimal(str(price)) for asset, price in (found | told).items()}


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
    """What each asset other than a stablecoin is worth beyond its goal; below 0 where it is short."""
    names = sorted({*values, *goal.assets} - USD_CLASS)
    return {asset: values.get(asset, ZERO) - goal.assets.get(asset, ZERO) for asset in names}


def cash_of(values: Mapping[str, Decimal]) -> Decimal:
    return sum((value for asset, value in values.items() if asset in USD_CLASS), ZERO)


def after(portfolio: Portfolio, ways: Mapping[Key, Way], quantities: Mapping[Key, Decimal]) -> Left:
    """What such trades leave if they fill as the books promise."""
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
