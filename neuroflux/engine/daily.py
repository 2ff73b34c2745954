"""What our fills of this day have come to, marked to the market of this moment. A day begins at midnight UTC.

The day is the log's, by our clock: exchanges' clocks do not agree. A fill moves cash, and a quantity of an asset, which
is the same on every spot market; a perpetual is one of its exchange alone. As far as that quantity makes smaller what
was held at midnight, and no fill made up for it elsewhere, it is worth what it was when the day first saw it, and what
its price does after the sale is nobody's profit; all else is worth what the market pays now. Where a price or a rate
that is needed is not known, nothing is: a limit must not take that for no loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Final

from neuroflux.domain import Fill, Microseconds, Side

DAY: Microseconds = 86_400_000_000
DAYS: Final = 2
ZERO, ONE = Decimal(0), Decimal(1)
SPOT: Final = ""
"""In place of an exchange: an asset on all spot markets, where it is one and the same."""
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
Unit = Callable[[str, str], int]
"""Units of the base in one of the wire's, by exchange and symbol."""


def midnight(now: Microseconds) -> Microseconds:
    """When the day of this moment began."""
    return now - now % DAY


def _not_known(exchange: str, symbol: str) -> Decimal | None:
    return None


def _one(exchange: str, symbol: str) -> int:
    return 1


class _Day:
    """The fills of one day, summed up by what was traded: ``way`` is a perpetual, or an asset on all spot markets."""

    def __init__(self) -> None:
        self._ways: dict[str, dict[Name, None]] = defaultdict(dict)
        self._quotes: dict[Name, dict[Name, str]] = defaultdict(dict)
        self._moved: dict[Name, Decimal] = defaultdict(Decimal)
        self._first: dict[Name, tuple[float, str]] = {}
        self._cash: dict[str, Decimal] = defaultdict(Decimal)
        self._base_fees: dict[Name, Decimal] = defaultdict(Decimal)
        self._fees: dict[str, Decimal] = defaultdict(Decimal)
        self._most_fees: dict[tuple[str, str], Decimal] = defaultdict(Decimal)

    def take(self, fill: Fill) -> None:
        name, base, quote = (fill.exchange, fill.symbol), _base(fill.symbol), _quote(fill.symbol)
        way, sign = name if _is_perpetual(name) else (SPOT, base), 1 if fill.side is Side.BUY else -1
        self._ways[base][way], self._quotes[way][name] = None, quote
        self._moved[way] += sign * fill.quantity
        self._first.setdefault(way, (float(fill.price), quote))
        self._cash[quote] -= sign * fill.quantity * fill.price
        self._take_fee(fill, way)

    def _take_fee(self, fill: Fill, way: Name) -> None:
        if fill.fee_asset == _quote(fill.symbol):
            self._cash[fill.fee_asset] -= fill.fee
        elif fill.fee_asset == _base(fill.symbol):
            self._base_fees[way] += fill.fee
        elif fill.fee:
            self._fees[fill.fee_asset] += fill.fee
            self._most_fees[fill.fee_asset, _quote(fill.symbol)] += fill.quantity * fill.price * MOST_FEE

    def usd(self, rate: Rate, mid: Mid, held: Holding, unit: Unit) -> float | None:
        parts = [_worth(amount, rate(asset)) for asset, amount in self._cash.items()]
        for ways in self._ways.values():
            old = {way: _of_before(way, self._moved[way], held) for way in ways}
            left = self._not_made_up(old, unit) if len(ways) > 1 and any(old.values()) else ONE
            parts += [self._inventory(way, old[way] * left, rate, mid) for way in ways]
        parts.append(-self._fees_usd(rate))
        return None if None in parts else sum(filter(None, parts))

    def _not_made_up(self, old: Mapping[Name, Decimal], unit: Unit) -> Decimal:
        """The share of ``old``, what was held and is no more, that was not bought again in another way."""
        units = {way: unit(*way) if _is_perpetual(way) else 1 for way in old}
        gone = sum((old[way] * units[way] for way in old), ZERO)
        new = sum(((self._moved[way] - old[way]) * units[way] for way in old), ZERO)
        return max(ZERO, 1 - abs(new / gone)) if gone * new < 0 else ONE

    def _inventory(self, way: Name, old: Decimal, rate: Rate, mid: Mid) -> float | None:
        """USD for what the fills moved of it, less fees that were paid in it."""
        marked, (first, quote) = self._moved[way] - old - self._base_fees[way], self._first[way]
        before = _worth(old, rate(quote), first) if old else 0.0
        now = self._marked(marked, way, rate, mid) if marked else 0.0
        return None if before is None or now is None else before + now

    def _marked(self, quantity: Decimal, way: Name, rate: Rate, mid: Mid) -> float | None:
        """USD at the first of the way's instruments that is known."""
        for name, quote in self._quotes[way].items():
            price, usd = mid(*name), rate(quote)
            if price is not None and usd is not None:
                return float(quantity) * price * usd
        return None

    def _fees_usd(self, rate: Rate) -> float:
        """Fees in an asset that is neither bought nor sold; without its rate, the most they can have been."""
        known = sum(float(fee) * (rate(asset) or 0.0) for asset, fee in self._fees.items())
        most = (
            float(amount) * (rate(quote) or 0.0)
            for (asset, quote), amount in self._most_fees.items()
            if rate(asset) is None
        )
        return known + sum(most)


class DailyProfit:
    """A fold over ``orders.fills``. Two days are kept: around midnight not all that is read is of one."""

    def __init__(self) -> None:
        self._days: dict[Microseconds, _Day] = {}

    def take(self, fill: Fill, written: Microseconds) -> None:
        """Count a fill for the day in which it was ``written`` to the log."""
        day = midnight(written)
        if day not in self._days:
            newest = sorted([*self._days, day])[-DAYS:]
            self._days = {one: self._days.get(one) or _Day() for one in newest}
        if day in self._days:
            self._days[day].take(fill)

    def usd(
        self, rate: Rate, mid: Mid, now: Microseconds, held: Holding = _not_known, unit: Unit = _one
    ) -> float | None:
        """Profit of the day that ``now`` is in, below 0 for a loss; None where it can't be known."""
        day = self._days.get(midnight(now))
        return day.usd(rate, mid, held, unit) if day is not None else 0.0


def _of_before(name: Name, moved: Decimal, held: Holding) -> Decimal:
    """The part of what the fills moved that made smaller what was held at midnight, with its sign."""
    if not _is_perpetual(name):
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


def _is_perpetual(name: Name) -> bool:
    return ":" in name[1]


def _base(symbol: str) -> str:
    return symbol.partition("/")[0]


def _quote(symbol: str) -> str:
    return symbol.partition("/")[2].partition(":")[0]
