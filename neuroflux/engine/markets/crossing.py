"""The profit of buying from one book and selling into another, net of fees and of converting between their quotes.

Both books are walked together, level by level, while the next unit still pays: its bid price, less the taker fee and at
the rate for selling the quote, must exceed its ask price, with the taker fee and at the rate for buying the quote.
``net = gross - fees - conversion``, where gross and fees are at the mid rates, and conversion is the cost of the rates'
own spread. Equal quotes need no conversion.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from neuroflux.domain import Level
from neuroflux.engine.markets.conversion import Rate


class Leg(Struct, frozen=True):
    """One side of a book, with what makes it comparable: ``fee`` is a fraction, ``rate`` is the USD rate of ``quote``.

    Prices and quantities of the levels are per wire unit, which is ``multiplier`` units of the base.
    """

    levels: Sequence[Level[float]]
    quote: str
    rate: Rate
    fee: float
    multiplier: float


class Taken(Struct, frozen=True):
    """What was taken: quantity in units of the base, average prices per wire unit in each quote, money in USD."""

    quantity: float
    buy_price: float
    sell_price: float
    notional: float
    gross: float
    fees: float
    conversion: float

    @property
    def net(self) -> float:
        return self.gross - self.fees - self.conversion


def unit_cost(buy: Leg, sell: Leg) -> float:
    """The USD cost per unit of the base of a price of 1 at ``buy``, with fee and conversion."""
    rate = buy.rate.mid if buy.quote == sell.quote else buy.rate.ask
    return rate * (1 + buy.fee) / buy.multiplier


def unit_gain(buy: Leg, sell: Leg) -> float:
    """The USD proceeds per unit of the base of a price of 1 at ``sell``, with fee and conversion."""
    rate = sell.rate.mid if buy.quote == sell.quote else sell.rate.bid
    return rate * (1 - sell.fee) / sell.multiplier


def cross(buy: Leg, sell: Leg, max_notional: float, exit_unit: float = 0.0) -> Taken | None:
    """Buy at the asks of ``buy`` and sell at the bids of ``sell``, as far as each unit pays.

    ``exit_unit`` is the USD cost of closing a unit of the base later, which each unit must earn too. At most
    ``max_notional`` USD are bought. None if not even the first unit pays.
    """
    cost, gain = unit_cost(buy, sell), unit_gain(buy, sell)
    asks, bids = iter(buy.levels), iter(sell.levels)
    ask, bid = next(asks, None), next(bids, None)
    ask_left, bid_left = _in_base(ask, buy), _in_base(bid, sell)
    budget = max_notional / buy.rate.mid * buy.multiplier
    quantity = paid = brought = 0.0
    while ask is not None and bid is not None and bid.price * gain > ask.price * cost + exit_unit:
        there = min(ask_left, bid_left)
        affordable = max(0.0, (budget - paid) / ask.price)
        part = min(there, affordable)
        quantity, paid, brought = quantity + part, paid + part * ask.price, brought + part * bid.price
        if affordable <= there:
            break
        ask_left, bid_left = ask_left - part, bid_left - part
        if ask_left <= 0:
            ask = next(asks, None)
            ask_left = _in_base(ask, buy)
        if bid_left <= 0:
            bid = next(bids, None)
            bid_left = _in_base(bid, sell)
    return _taken(buy, sell, quantity, paid / quantity, brought / quantity) if quantity > 0 else None


def _in_base(level: Level[float] | None, leg: Leg) -> float:
    return level.quantity * leg.multiplier if level is not None else 0.0


def _taken(buy: Leg, sell: Leg, quantity: float, buy_price: float, sell_price: float) -> Taken:
    paid = quantity * buy_price / buy.multiplier
    brought = quantity * sell_price / sell.multiplier
    notional, proceeds = paid * buy.rate.mid, brought * sell.rate.mid
    conversion = 0.0
    if buy.quote != sell.quote:
        conversion = paid * (1 + buy.fee) * (buy.rate.ask - buy.rate.mid)
        conversion += brought * (1 - sell.fee) * (sell.rate.mid - sell.rate.bid)
    fees = notional * buy.fee + proceeds * sell.fee
    return Taken(quantity, buy_price, sell_price, notional, proceeds - notional, fees, conversion)
