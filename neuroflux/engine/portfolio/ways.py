"""The ways to trade in a rebalance: one side of one spot instrument, its levels within the bounds, and their cost.

Money of a way is in its quote. All amounts are ``Decimal``, so that spent and available amounts compare exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import (
    BookSnapshot,
    Candidate,
    CommandKind,
    Instrument,
    InstrumentKind,
    Level,
    Microseconds,
    OrderCommand,
    Side,
)
from neuroflux.domain.symbols import USD_CLASS
from neuroflux.engine.markets.rounding import round_price
from neuroflux.engine.risk.limits import Limits
from neuroflux.engine.routing.candidates import Prospect, side_of, weigh
from neuroflux.engine.routing.strategies import MARKET_COLLAR

ZERO: Final = Decimal(0)
Key = tuple[str, str, Side]
Purse = tuple[str, str]
"""An account's asset: exchange and asset."""


class Way(Struct, frozen=True):
    """One side of one instrument. ``levels`` are (price, quantity), best first; ``limit`` is the worst allowed price.

    ``price`` is USD per unit of the base and ``rate`` USD per unit of the quote, as used to value the portfolio.
    """

    instrument: Instrument
    side: Side
    levels: tuple[tuple[Decimal, Decimal], ...]
    mid: Decimal
    limit: Decimal
    price: Decimal
    rate: Decimal

    @property
    def key(self) -> Key:
        return self.instrument.exchange, self.instrument.symbol, self.side

    @property
    def asset(self) -> str:
        return self.instrument.base

    @property
    def held(self) -> Purse:
        return self.instrument.exchange, self.instrument.base

    @property
    def money(self) -> Purse:
        return self.instrument.exchange, self.instrument.quote

    @property
    def converts(self) -> bool:
        """Whether it exchanges one stablecoin for another."""
        return self.instrument.base in USD_CLASS

    @property
    def depth(self) -> Decimal:
        """The most that one order can trade within the bounds."""
        there = sum((quantity for _, quantity in self.levels), ZERO)
        return min(there, self.instrument.max_quantity or there)

    @property
    def least_usd(self) -> Decimal:
        """The value of the smallest order that the exchange accepts, in USD."""
        one = self.instrument
        return max(one.min_notional * self.rate, max(one.min_quantity, one.quantity_step) * self.price)

    def paid(self, quantity: Decimal) -> Decimal:
        """The value of a quantity by the levels, without the fee."""
        total = ZERO
        for price, there in self.levels:
            part = min(there, quantity)
            total, quantity = total + part * price, quantity - part
            if not quantity:
                break
        return total

    def flow(self, quantity: Decimal) -> Decimal:
        """The proceeds of a sale or the cost of a purchase, with the fee."""
        return self.paid(quantity) * self._with_fee

    def worst(self, quantity: Decimal) -> Decimal:
        """The price of the last level that a quantity reaches."""
        for price, there in self.levels:
            quantity -= there
            if quantity <= 0:
                return price
        return self.levels[-1][0]

    def hold(self, quantity: Decimal) -> Decimal:
        """The funds that a purchase reserves: the whole quantity at its worst price, with the fee."""
        return quantity * self.worst(quantity) * self._with_fee if quantity else ZERO

    def holding(self, money: Decimal) -> Decimal:
        """The largest purchase for which ``money`` can be reserved."""
        most = reached = ZERO
        for price, there in self.levels:
            reached += there
            most = max(most, min(reached, money / (price * self._with_fee)))
        return min(most, self.depth)

    def flowing(self, money: Decimal) -> Decimal:
        """The quantity whose ``flow`` is ``money``; at most the depth."""
        quantity = ZERO
        for price, there in self.levels:
            part = min(there, money / (price * self._with_fee))
            quantity, money = quantity + part, money - part * price * self._with_fee
            if part < there:
                break
        return min(quantity, self.depth)

    @property
    def _with_fee(self) -> Decimal:
        return 1 + self.instrument.taker_fee if self.side is Side.BUY else 1 - self.instrument.taker_fee


def ways_of(
    prospects: Iterable[Prospect],
    prices: Mapping[str, Decimal],
    max_slippage: float,
    limits: Limits,
    now: Microseconds,
) -> tuple[list[Way], dict[str, list[str]]]:
    """All ways, and by base why an instrument gives none. Only spot against a USD quote is used."""
    ways: list[Way] = []
    faults: dict[str, list[str]] = {}
    for one in prospects:
        instrument = one.instrument
        if instrument.kind is not InstrumentKind.SPOT or instrument.quote not in USD_CLASS:
            continue
        fault = _fault(one, prices, limits, now)
        if fault:
            faults.setdefault(instrument.base, []).append(f"{instrument.exchange} {instrument.symbol}: {fault}")
        elif one.book is not None:
            bound = Decimal(str(max_slippage))
            ways += [_way(instrument, one.book, side, prices, bound) for side in (Side.SELL, Side.BUY)]
    return ways, faults


def _fault(prospect: Prospect, prices: Mapping[str, Decimal], limits: Limits, now: Microseconds) -> str:
    """Why an instrument can't be used at all; free funds are those of the balances, not of the prospect."""
    probe = OrderCommand(order_id="", kind=CommandKind.PLACE, quantity=Decimal(1))
    unbound = replace(limits, max_notional_usd=float("inf"), price_collar=1.0)
    weighed = weigh(probe, replace(prospect, free=Decimal(1)), 0.0, unbound, now)
    if isinstance(weighed, Candidate):
        return weighed.reason
    unpriced = [one for one in (prospect.instrument.base, prospect.instrument.quote) if one not in prices]
    return f"price: no price of {unpriced[0]} is known" if unpriced else ""


def _way(
    instrument: Instrument, book: BookSnapshot[float], side: Side, prices: Mapping[str, Decimal], bound: Decimal
) -> Way:
    """The levels no worse than ``bound`` against the book's mid, and against the portfolio's price."""
    sign = 1 if side is Side.BUY else -1
    price, rate = prices[instrument.base], prices[instrument.quote]
    mid = (_exact(book.bids[:1])[0][0] + _exact(book.asks[:1])[0][0]) / 2
    limit = sign * min(sign * mid, sign * price / rate) * (1 + sign * bound)
    levels = tuple(one for one in _exact(side_of(book, side)) if sign * one[0] <= sign * limit)
    return Way(instrument, side, levels, mid, limit, price, rate)


def bound_price(way: Way, quantity: Decimal, cushion: Decimal = MARKET_COLLAR) -> Decimal:
    """The order's limit price: slightly beyond the worst level that it is meant to take, never beyond the bounds."""
    sign = 1 if way.side is Side.BUY else -1
    price = sign * min(sign * way.worst(quantity) * (1 + sign * cushion), sign * way.limit)
    return round_price(way.instrument, price, way.side, aggressive=False)


def _exact(levels: Sequence[Level[float]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(str(one.price)), Decimal(str(one.quantity))) for one in levels]
