"""What our fills of this day have come to, marked to the market of this moment. A day begins at midnight UTC.

A fill moves cash, and a quantity of what is traded. As far as that quantity makes smaller what was held at midnight, it
is worth what it was when the day first saw it, and what its price does after the sale is nobody's profit; all else is
worth what the market pays now. Where a price or a rate that is needed is not known, nothing is: a limit must not take
that for no loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal
from typing import Final

from neuroflux.domain import Fill, Microseconds, Side

DAY: Microseconds = 86_400_000_000
ZERO = Decimal(0)
MOST_FEE: Final = Decimal("0.01")
"""Of a fill's value: what its fee counts for where nobody knows the rate of the asset that it was paid in."""

Name = tuple[str, str]
"""An exchange and a symbol."""
Rate = Callable[[str], float | None]
"""USD for one unit of an asset; None where nobody knows."""
Mid = Callable[[str, str], float | None]
"""The middle of an instrument's book, in its quote, by exchange and symbol; None where there is none."""
Holding = Callable[[str, str], Decimal | None]
"""What is held now of a perpetual, signed, in wire units, by exchange and symbol; None where nobody knows."""


def midnight(now: Microseconds) -> Microseconds:
    """When the day of this moment began."""
    return now - now % DAY


def _not_known(exchange: str, symbol: str) -> Decimal | None:
    return None


class DailyProfit:
    """A fold over ``orders.fills``; the first fill of a new day begins anew."""

    def __init__(self) -> None:
        self._begin(0)

    def _begin(self, day: Microseconds) -> None:
        self._day = day
        self._moved: dict[Name, Decimal] = defaultdict(Decimal)
        self._first: dict[Name, Decimal] = {}
        self._cash: dict[str, Decimal] = defaultdict(Decimal)
        self._base_fees: dict[Name, Decimal] = defaultdict(Decimal)
        self._fees: dict[str, Decimal] = defaultdict(Decimal)
        self._most_fees: dict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def take(self, fill: Fill) -> None:
        """Count a fill; one of an earlier day counts no more."""
        day = midnight(fill.event_time)
        if day > self._day:
            self._begin(day)
        if day < self._day:
            return
        name, sign = (fill.exchange, fill.symbol), 1 if fill.side is Side.BUY else -1
        self._moved[name] += sign * fill.quantity
        self._first.setdefault(name, fill.price)
        self._cash[_quote(fill.symbol)] -= sign * fill.quantity * fill.price
        self._take_fee(fill, name)

    def _take_fee(self, fill: Fill, name: Name) -> None:
        if fill.fee_asset == _quote(fill.symbol):
            self._cash[fill.fee_asset] -= fill.fee
        elif fill.fee_asset == _base(fill.symbol):
            self._base_fees[name] += fill.fee
        elif fill.fee:
            self._fees[fill.fee_asset] += fill.fee
            self._most_fees[fill.fee_asset, _quote(fill.symbol)] += fill.quantity * fill.price * MOST_FEE

    def usd(self, rate: Rate, mid: Mid, now: Microseconds, held: Holding = _not_known) -> float | None:
        """Profit of the day that ``now`` is in, below 0 for a loss; None where it can't be known."""
        if midnight(now) != self._day:
            return 0.0
        cash = [_worth(amount, rate(asset)) for asset, amount in self._cash.items()]
        parts = [*cash, *(self._inventory(name, rate, mid, held) for name in self._moved), -self._fees_usd(rate)]
        return None if None in parts else sum(filter(None, parts))

    def _inventory(self, name: Name, rate: Rate, mid: Mid, held: Holding) -> float | None:
        """USD for what the fills moved of an instrument, less fees that were paid in it."""
        moved, fees = self._moved[name], self._base_fees[name]
        old = _of_before(name, moved, held)
        marked = moved - old - fees
        price = mid(*name) if marked else 0.0
        if price is None:
            return None
        return _worth(Decimal(1), rate(_quote(name[1])), float(marked) * price + float(old * self._first[name]))

    def _fees_usd(self, rate: Rate) -> float:
        """Fees in an asset that is neither bought nor sold; without its rate, the most they can have been."""
        known = sum(float(fee) * (rate(asset) or 0.0) for asset, fee in self._fees.items())
        most = (
            float(amount) * (rate(quote) or 0.0)
            for (asset, quote), amount in self._most_fees.items()
            if rate(asset) is None
        )
        return known + sum(most)


def _of_before(name: Name, moved: Decimal, held: Holding) -> Decimal:
    """The part of what the fills moved that made smaller what was held at midnight, with its sign."""
    if ":" not in name[1]:
        return min(moved, ZERO)  # what is sold on a spot market was held
    now = held(*name)
    before = now - moved if now is not None else ZERO
    if before * moved >= 0:
        return ZERO
    return max(moved, -before) if moved < 0 else min(moved, -before)


def _worth(amount: Decimal, rate: float | None, each: float = 1.0) -> float | None:
    """USD; nothing is worth nothing whatever its rate is."""
    if not amount or not each:
        return 0.0
    return None if rate is None else float(amount) * each * rate


def _base(symbol: str) -> str:
    return symbol.partition("/")[0]


def _quote(symbol: str) -> str:
    return symbol.partition("/")[2].partition(":")[0]
