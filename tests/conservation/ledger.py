"""The expected effect of fills, funding and flows on an account: pure, exact, without code of the adapters.

A perpetual's profit is realised against the average entry price, and rounded to 8 places, as on exchanges.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from neuroflux.domain import Fill, Instrument, InstrumentKind, Liquidity, Side

ZERO: Final = Decimal(0)
PLACES: Final = 8
Name = tuple[str, str]
"""Exchange and asset."""


class Held:
    """A position, from its fills in order."""

    def __init__(self) -> None:
        self.quantity, self.entry = ZERO, ZERO

    def trade(self, signed: Decimal, price: Decimal) -> Decimal:
        """Add a fill; returns the profit that it realises."""
        before, self.quantity = self.quantity, self.quantity + signed
        if before * signed >= 0:
            self.entry = (self.entry * before + price * signed) / self.quantity if self.quantity else ZERO
            return ZERO
        closed = min(abs(signed), abs(before)).copy_sign(before)
        profit = round(closed * (price - self.entry), PLACES)
        if self.quantity * before <= 0:
            self.entry = price if self.quantity else ZERO
        return profit


def _settled(fill: Fill) -> tuple[str, int, int, bool]:
    """The order in which the simulator settles: in a self trade the taker first. The realised profit depends on it."""
    return fill.exchange, fill.event_time, int(fill.trade_id.rpartition("-")[2], 36), fill.liquidity is Liquidity.MAKER


def expected(
    fills: Iterable[Fill], instruments: Mapping[tuple[str, str], Instrument]
) -> tuple[dict[Name, Decimal], dict[tuple[str, str], Held]]:
    """The change of each wallet, and the positions by exchange and symbol."""
    moved: dict[Name, Decimal] = defaultdict(Decimal)
    held: dict[tuple[str, str], Held] = defaultdict(Held)
    for one in sorted(fills, key=_settled):
        instrument = instruments[one.exchange, one.symbol]
        signed = one.quantity if one.side is Side.BUY else -one.quantity
        if instrument.kind is InstrumentKind.PERPETUAL:
            moved[one.exchange, instrument.settle] += held[one.exchange, one.symbol].trade(signed, one.price)
        else:
            moved[one.exchange, instrument.base] += signed
            moved[one.exchange, instrument.quote] -= signed * one.price
        moved[one.exchange, one.fee_asset] -= one.fee
    return moved, held
