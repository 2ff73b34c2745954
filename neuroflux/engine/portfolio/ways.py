"""What can be traded in a rebalance: one side of one spot instrument, its levels within the bounds, and what they cost.

Money of a way is in its quote. All is ``Decimal``, so that what is spent and what is there compare exactly.
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
    """``levels`` are (price, quantity), best first; ``limit`` is the price that no order may pass.

    ``price`` is USD for a unit of the base and ``rate`` USD for one of the quote, both as the portfolio counts them.
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
        """Whether it turns one stablecoin into another."""
        return self.instrument.base in USD_CLASS

    @property
    def depth(self) -> Decimal:
        """The most that one order can trade within the bounds."""
        there = sum((quantity for _, quantity in self.levels), ZERO)
        return min(there, self.instrument.max_quantity or there)

    @property
    def least_usd(self) -> Decimal:
        """The value of the smallest order that the exchange takes."""
        one = self.instrument
        return max(one.min_notional * self.rate, max(one.min_quantity, one.quantity_step) * self.price)

    def paid(self, quantity: Decimal) -> Decimal:
        """What the levels give or cost for a quantity, without the fee."""
        total = ZERO
        for price, there in self.levels:
            part = min(there, quantity)
            total, quantity = total + part * price, quantity - part
            if not quantity:
                break
        return total

    def flow(self, quantity: Decimal) -> Decimal:
        """What a sale brings or a purchase costs, with the fee."""
        return self.paid(quantity) * self._with_fee

    def worst(self, quantity: Decimal) -> Decimal:
        """The price of the last level that is touched."""
        for price, there in self.levels:
            quantity -= there
            if quantity <= 0:
                return price
        return self.levels[-1][0]

    def hold(self, quantity: Decimal) -> Decimal:
        """What a purchase needs in the account: all of it at its worst price, with the fee."""
        return quantity * self.worst(quantity) * self._with_fee if quantity else ZERO

    def holding(self, money: Decimal) -> Decimal:
        """The greatest purchase that ``money`` can hold."""
        most = reached = ZERO
        for price, there in self.levels:
            reached += there
            most = max(most, min(reached, money / (price * self._with_fee)))
        return min(most, self.depth)

    def flowing(self, money: Decimal) -> Decimal:
        """The quantity whose ``flow`` is ``money``; all that is there where that is less."""
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
    """All ways, and by base why an instrument gives none. Only spot against the USD class counts."""
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
    """Why an instrument can't be used at all; what it has free is told by the balances, not by the prospect."""
    asked = OrderCommand(order_id="", kind=CommandKind.PLACE, quantity=Decimal(1))
    unbound = replace(limits, max_notional_usd=float("inf"), price_collar=1.0)
    weighed = weigh(asked, replace(prospect, free=Decimal(1)), 0.0, unbound, now)
    if isinstance(weighed, Candidate):
        return weighed.reason
    unpriced = [one for one in (prospect.instrument.base, prospect.instrument.quote) if one not in prices]
    return f"price: nobody tells what {unpriced[0]} is worth" if unpriced else ""


def _way(
    instrument: Instrument, book: BookSnapshot[float], side: Side, prices: Mapping[str, Decimal], bound: Decimal
) -> Way:
    """The levels no worse than ``bound`` against the book's mid, and against what the portfolio counts."""
    sign = 1 if side is Side.BUY else -1
    price, rate = prices[instrument.base], prices[instrument.quote]
    mid = (_exact(book.bids[:1])[0][0] + _exact(book.asks[:1])[0][0]) / 2
    limit = sign * min(sign * mid, sign * price / rate) * (1 + sign * bound)
    levels = tuple(one for one in _exact(side_of(book, side)) if sign * one[0] <= sign * limit)
    return Way(instrument, side, levels, mid, limit, price, rate)


def bound_price(way: Way, quantity: Decimal, cushion: Decimal = MARKET_COLLAR) -> Decimal:
    """The order's limit price: a little beyond the worst level that it means to take, never beyond the bounds."""
    sign = 1 if way.side is Side.BUY else -1
    price = sign * min(sign * way.worst(quantity) * (1 + sign * cushion), sign * way.limit)
    return round_price(way.instrument, price, way.side, aggressive=False)


def _exact(levels: Sequence[Level[float]]) -> list[tuple[Decimal, Decimal]]:
    return [(Decimal(str(one.price)), Decimal(str(one.quantity))) for one in levels]
