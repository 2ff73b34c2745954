"""What our fills of this day have come to, marked to the market of this moment. A day begins at midnight UTC."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from decimal import Decimal

from neuroflux.domain import Fill, Microseconds, Side

DAY: Microseconds = 86_400_000_000
ZERO = Decimal(0)

Rate = Callable[[str], float | None]
"""USD for one unit of an asset; None where nobody knows."""
Mid = Callable[[str, str], float | None]
"""The middle of an instrument's book, in its quote, by exchange and symbol; None where there is none."""


def midnight(now: Microseconds) -> Microseconds:
    """When the day of this moment began."""
    return now - now % DAY


class DailyProfit:
    """A fold over ``orders.fills``; the first fill of a new day begins anew."""

    def __init__(self) -> None:
        self._begin(0)

    def _begin(self, day: Microseconds) -> None:
        self._day = day
        self._held: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
        self._last: dict[tuple[str, str], float] = {}
        self._cash: dict[str, Decimal] = defaultdict(Decimal)

    def take(self, fill: Fill) -> None:
        """Count a fill; one of an earlier day counts no more."""
        day = midnight(fill.event_time)
        if day > self._day:
            self._begin(day)
        if day < self._day:
            return
        name, sign = (fill.exchange, fill.symbol), 1 if fill.side is Side.BUY else -1
        self._held[name] += sign * fill.quantity
        self._last[name] = float(fill.price)
        self._cash[_quote(fill.symbol)] -= sign * fill.quantity * fill.price
        self._cash[fill.fee_asset] -= fill.fee

    def usd(self, rate: Rate, mid: Mid, now: Microseconds) -> float:
        """Profit of the day that ``now`` is in, below 0 for a loss; what has no mid is worth its last fill's price."""
        if midnight(now) != self._day:
            return 0.0
        paid = sum(float(amount) * (rate(asset) or 0.0) for asset, amount in self._cash.items())
        worth = (
            float(amount) * (mid(*name) or self._last[name]) * (rate(_quote(name[1])) or 0.0)
            for name, amount in self._held.items()
        )
        return paid + sum(worth)


def _quote(symbol: str) -> str:
    return symbol.partition("/")[2].partition(":")[0]
