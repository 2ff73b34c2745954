"""The profit of our fills of the current day, marked to market. A day begins at midnight UTC.

The day is that of the Kafka timestamp, by our clock, since exchanges' clocks do not agree. A fill moves cash, and a
quantity of an asset; an asset is the same on every spot market, a perpetual only on its own exchange. Assets are
identified by their instrument, not by the symbol: a wrapped coin (UBTC) trades under the coin's symbol, and a contract
of 1,000 coins has its own symbol.

As far as a fill reduces what was held at midnight, and no fill elsewhere compensates for it, the quantity is valued at
its first price of the day: later price changes of a sold holding are no profit. All else is valued at the current
market price. If a needed instrument, price or rate is unknown, the profit is unknown: a limit must not take that for no
loss.
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
"""The share of a fill's value that its fee counts for if the rate of the fee's asset is unknown."""

Name = tuple[str, str]
"""An exchange and a symbol."""
Rate = Callable[[str], float | None]
"""USD for one unit of an asset; None if unknown."""
Mid = Callable[[str, str], float | None]
"""The mid price of an instrument's book, in its quote, by exchange and symbol; None without a book."""
Holding = Callable[[str, str], Decimal | None]
"""The current position in a perpetual, signed, in wire units, by exchange and symbol; None if unknown."""
Find = Callable[[str, str], Instrument | None]
"""An instrument by exchange and symbol; None while it is not listed."""


def midnight(now: Microseconds) -> Microseconds:
    """The beginning of the day that contains ``now``."""
    return now - now % DAY


def _not_known(exchange: str, symbol: str) -> Decimal | None:
    return None


class _Traded:
    """The sums of one instrument's fills on one day: in wire units, in its quote, and fees by asset."""

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
    """Interchangeable instruments: an asset on all its spot markets, or one perpetual."""

    def __init__(self, traded: Mapping[Instrument, _Traded]) -> None:
        self._traded = traded
        one = next(iter(traded))
        self.unit = one.multiplier
        self.perpetual = one if one.kind is InstrumentKind.PERPETUAL else None
        self.moved = sum((each.moved for each in traded.values()), ZERO)
        self._base_fees = sum((each.fees.get(one.base, ZERO) for each in traded.values()), ZERO)

    def old(self, held: Holding) -> Decimal:
        """The part of the fills' quantity that reduced the holding at midnight, signed."""
        if self.perpetual is None:
            return min(self.moved, ZERO)  # an asset sold on a spot market was held before
        now = held(self.perpetual.exchange, self.perpetual.symbol)
        before = now - self.moved if now is not None else ZERO
        if before * self.moved >= 0:
            return ZERO
        return max(self.moved, -before) if self.moved < 0 else min(self.moved, -before)

    def usd(self, old: Decimal, rate: Rate, mid: Mid) -> float | None:
        """The value of the fills' quantity, less fees paid in it; ``old`` is valued at the first price of the day."""
        first, traded = next(iter(self._traded.items()))
        before = _worth(old, rate(first.quote), traded.first_price) if old else 0.0
        marked = self.moved - old - self._base_fees
        now = self._marked(marked, rate, mid) if marked else 0.0
        return None if before is None or now is None else before + now

    def _marked(self, quantity: Decimal, rate: Rate, mid: Mid) -> float | None:
        """The value in USD at the first instrument with a known price and rate."""
        for one in self._traded:
            price, usd = mid(one.exchange, one.symbol), rate(one.quote)
            if price is not None and usd is not None:
                return float(quantity) * price * usd
        return None


class _Day:
    """The fills of one day. They are grouped by asset only when they are summed up: by then instruments are listed."""

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
    """The USD value of each group, by base; a sold holding counts only as far as it was not bought back elsewhere."""
    for base in dict.fromkeys(one.base for one in traded):
        ways = _ways({one: each for one, each in traded.items() if one.base == base})
        old = [way.old(held) for way in ways]
        left = _not_made_up(ways, old) if len(ways) > 1 and any(old) else ONE
        for way, sold in zip(ways, old, strict=True):
            yield way.usd(sold * left, rate, mid)


def _ways(traded: Mapping[Instrument, _Traded]) -> list[_Way]:
    spot = {one: each for one, each in traded.items() if one.kind is InstrumentKind.SPOT}
    perpetuals = [_Way({one: each}) for one, each in traded.items() if one.kind is InstrumentKind.PERPETUAL]
    return [*([_Way(spot)] if spot else []), *perpetuals]


def _not_made_up(ways: Sequence[_Way], old: Sequence[Decimal]) -> Decimal:
    """The share of ``old``, the sold part of the holdings, that was not bought back in another group."""
    sold = sum((one * way.unit for way, one in zip(ways, old, strict=True)), ZERO)
    new = sum(((way.moved - one) * way.unit for way, one in zip(ways, old, strict=True)), ZERO)
    return max(ZERO, 1 - abs(new / sold)) if sold * new < 0 else ONE


def _other_fees(traded: Mapping[Instrument, _Traded], rate: Rate) -> float:
    """USD of fees in a third asset, neither bought nor sold; without its rate, their upper bound."""
    total = 0.0
    for instrument, one in traded.items():
        for asset in one.fees.keys() - {instrument.quote, instrument.base}:
            known = rate(asset)
            most = float(one.most_fees[asset]) * (rate(instrument.quote) or 0.0)
            total += float(one.fees[asset]) * known if known is not None else most
    return total


class DailyProfit:
    """A fold over ``orders.fills``. Two days are kept, since around midnight fills of both are read."""

    def __init__(self) -> None:
        self._days: dict[Microseconds, _Day] = {}

    def take(self, fill: Fill, written: Microseconds) -> None:
        """Count a fill for the day on which it was ``written`` to Kafka."""
        day = midnight(written)
        if day not in self._days:
            newest = sorted([*self._days, day])[-DAYS:]
            self._days = {one: self._days.get(one) or _Day() for one in newest}
        if day in self._days:
            self._days[day].take(fill)

    def usd(self, rate: Rate, mid: Mid, now: Microseconds, find: Find, held: Holding = _not_known) -> float | None:
        """The USD profit of the day that contains ``now``, below 0 for a loss; None if it can't be known."""
        day = self._days.get(midnight(now))
        return day.usd(rate, mid, held, find) if day is not None else 0.0


def _worth(amount: Decimal, rate: float | None, each: float = 1.0) -> float | None:
    """The value in USD; an amount of 0 is worth 0 even without a rate."""
    if not amount or not each:
        return 0.0
    return None if rate is None else float(amount) * each * rate
