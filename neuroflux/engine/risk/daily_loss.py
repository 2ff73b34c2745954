"""What our fills of this day have come to, marked to the market of this moment. A day begins at midnight UTC.

The day is the log's, by our clock: exchanges' clocks do not agree. A fill moves cash, and a quantity of an asset, which
is the same on every spot market; a perpetual is one of its exchange alone. What an asset is its instrument says, not
its symbol: a wrapped coin (UBTC) trades under the coin's symbol, and a contract of 1,000 has a symbol of its own.

As far as that quantity makes smaller what was held at midnight, and no fill made up for it elsewhere, it is worth what
it was when the day first saw it, and what its price does after the sale is nobody's profit; all else is worth what the
market pays now. Where an instrument, a price or a rate that is needed is not known, nothing is: a limit must not take
that for no loss.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Final

from neuroflux.domain import Fill, Instrument, InstrumentKind, Microseconds, Side

DAY: Microseconds = 86_400_000_000
DAYS: Final = 2
ZERO, ONE = Decimal(0), Decimal(1)
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
Find = Callable[[str, str], Instrument | None]
"""An instrument by exchange and symbol; None while nobody has listed it."""


def midnight(now: Microseconds) -> Microseconds:
    """When the day of this moment began."""
    return now - now % DAY


def _not_known(exchange: str, symbol: str) -> Decimal | None:
    return None


class _Traded:
    """The fills of one instrument on one day, summed up: in wire units, in its quote, and fees by asset."""

    def __init__(self, fill: Fill) -> None:
        self.first_price = float(fill.price)
        self.moved = self.cash = ZERO
        self.fees: dict[str, Decimal] = defaultdict(Decimal)
        self.most_fees: dict[str, Decimal] = defaultdict(Decimal)

    def take(self, fill: Fill) -> None:
        sign = 1 if fill.side is Side.BUY else -1
        self.moved += sign * fill.quantity
        self.cash -= sign * fill.quantity * fill.price
        if fill.fee:
            self.fees[fill.fee_asset] += fill.fee
            self.most_fees[fill.fee_asset] += fill.quantity * fill.price * MOST_FEE


class _Way:
    """What can stand in for each other: an asset on all its spot markets, or one perpetual."""

    def __init__(self, traded: Mapping[Instrument, _Traded]) -> None:
        self._traded = traded
        one = next(iter(traded))
        self.unit = one.multiplier
        self.perpetual = one if one.kind is InstrumentKind.PERPETUAL else None
        self.moved = sum((each.moved for each in traded.values()), ZERO)
        self._base_fees = sum((each.fees.get(one.base, ZERO) for each in traded.values()), ZERO)

    def old(self, held: Holding) -> Decimal:
        """The part of what the fills moved that made smaller what was held at midnight, with its sign."""
        if self.perpetual is None:
            return min(self.moved, ZERO)  # what is sold on a spot market was held
        now = held(self.perpetual.exchange, self.perpetual.symbol)
        before = now - self.moved if now is not None else ZERO
        if before * self.moved >= 0:
            return ZERO
        return max(self.moved, -before) if self.moved < 0 else min(self.moved, -before)

    def usd(self, old: Decimal, rate: Rate, mid: Mid) -> float | None:
        """What the fills moved, less fees that were paid in it; ``old`` is worth the price that the day first saw."""
        first, traded = next(iter(self._traded.items()))
        before = _worth(old, rate(first.quote), traded.first_price) if old else 0.0
        marked = self.moved - old - self._base_fees
        now = self._marked(marked, rate, mid) if marked else 0.0
        return None if before is None or now is None else before + now

    def _marked(self, quantity: Decimal, rate: Rate, mid: Mid) -> float | None:
        """USD at the first of the instruments that is known."""
        for one in self._traded:
            price, usd = mid(one.exchange, one.symbol), rate(one.quote)
            if price is not None and usd is not None:
                return float(quantity) * price * usd
        return None


class _Day:
    """The fills of one day. Which of them are of one asset is asked when they are added up: by then it is known."""

    def __init__(self) -> None:
        self._traded: dict[Name, _Traded] = {}

    def take(self, fill: Fill) -> None:
        name = fill.exchange, fill.symbol
        if name not in self._traded:
            self._traded[name] = _Traded(fill)
        self._traded[name].take(fill)

    def usd(self, rate: Rate, mid: Mid, held: Holding, find: Find) -> float | None:
        traded: dict[Instrument, _Traded] = {}
        for name, one in self._traded.items():
            if (instrument := find(*name)) is None:
                return None
            traded[instrument] = one
        cash = [_cash(instrument, one, rate) for instrument, one in traded.items()]
        parts = [*cash, *_inventories(traded, rate, mid, held)]
        return None if None in parts else sum(filter(None, parts)) - _other_fees(traded, rate)


def _cash(instrument: Instrument, one: _Traded, rate: Rate) -> float | None:
    return _worth(one.cash - one.fees.get(instrument.quote, ZERO), rate(instrument.quote))


def _inventories(traded: Mapping[Instrument, _Traded], rate: Rate, mid: Mid, held: Holding) -> Iterator[float | None]:
    """USD of each way, by base: a sale of what was held is none as far as it was bought again in another way."""
    for base in dict.fromkeys(one.base for one in traded):
        ways = _ways({one: each for one, each in traded.items() if one.base == base})
        old = [way.old(held) for way in ways]
        left = _not_made_up(ways, old) if len(ways) > 1 and any(old) else ONE
        for way, gone in zip(ways, old, strict=True):
            yield way.usd(gone * left, rate, mid)


def _ways(traded: Mapping[Instrument, _Traded]) -> list[_Way]:
    spot = {one: each for one, each in traded.items() if one.kind is InstrumentKind.SPOT}
    perpetuals = [_Way({one: each}) for one, each in traded.items() if one.kind is InstrumentKind.PERPETUAL]
    return [*([_Way(spot)] if spot else []), *perpetuals]


def _not_made_up(ways: Sequence[_Way], old: Sequence[Decimal]) -> Decimal:
    """The share of ``old``, what was held and is no more, that was not bought again in another way."""
    gone = sum((one * way.unit for way, one in zip(ways, old, strict=True)), ZERO)
    new = sum(((way.moved - one) * way.unit for way, one in zip(ways, old, strict=True)), ZERO)
    return max(ZERO, 1 - abs(new / gone)) if gone * new < 0 else ONE


def _other_fees(traded: Mapping[Instrument, _Traded], rate: Rate) -> float:
    """USD of fees in an asset that is neither bought nor sold; without its rate, the most they can have been."""
    total = 0.0
    for instrument, one in traded.items():
        for asset in one.fees.keys() - {instrument.quote, instrument.base}:
            known = rate(asset)
            most = float(one.most_fees[asset]) * (rate(instrument.quote) or 0.0)
            total += float(one.fees[asset]) * known if known is not None else most
    return total


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

    def usd(self, rate: Rate, mid: Mid, now: Microseconds, find: Find, held: Holding = _not_known) -> float | None:
        """Profit of the day that ``now`` is in, below 0 for a loss; None where it can't be known."""
        day = self._days.get(midnight(now))
        return day.usd(rate, mid, held, find) if day is not None else 0.0


def _worth(amount: Decimal, rate: float | None, each: float = 1.0) -> float | None:
    """USD; nothing is worth nothing whatever its rate is."""
    if not amount or not each:
        return 0.0
    return None if rate is None else float(amount) * each * rate
