"""The cost of an order against the mid price of the book that it trades in, at the moment of the decision. Pure.

Decisions, reasons, estimates and advice all use this definition. The part that trades at once pays the taker fee, half
the spread, and slippage beyond the best price; the part that rests pays the maker fee only. An order is paid from the
account's own balance of the quote, so nothing is converted, and ``conversion`` is 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import fsum, nan

from msgspec import Struct

from neuroflux.domain import BookSnapshot, Candidate, Instrument, Level, Side
from neuroflux.engine.markets.conversion import Rate
from neuroflux.engine.markets.walk import walk


class Costs(Struct, frozen=True):
    """Costs of a trade: ``quantity`` in units of the base, ``price`` and ``mid`` in USD per unit, the rest in USD."""

    quantity: float
    price: float
    mid: float
    fee: float
    spread: float
    slippage: float
    conversion: float = 0.0

    @property
    def total(self) -> float:
        return self.fee + self.spread + self.slippage + self.conversion


UNKNOWN = Costs(0.0, nan, nan, nan, nan, nan, nan)


def mid_of(book: BookSnapshot[float]) -> float:
    """The mid price, in the quote per wire unit; the book must have both sides."""
    return (book.bids[0].price + book.asks[0].price) / 2


def costs(
    instrument: Instrument,
    mid: float,
    rate: Rate,
    levels: Sequence[Level[float]],
    quantity: float,
    rests_at: float | None = None,
) -> Costs:
    """The costs of ``quantity`` wire units, taken from ``levels``, one side of the book whose mid price is ``mid``.

    The quantity beyond the levels rests at ``rests_at`` (in the quote), or is not traded if that is None.
    """
    walked, usd, base = walk(levels, quantity), rate.mid, float(instrument.multiplier)
    rest = max(quantity - walked.quantity, 0.0) if rests_at is not None else 0.0
    taken, waiting = walked.quantity * walked.average_price, rest * (rests_at or 0.0)
    if walked.quantity + rest <= 0:
        return UNKNOWN
    best = levels[0].price if levels else mid
    return Costs(
        (walked.quantity + rest) * base,
        (taken + waiting) / (walked.quantity + rest) * usd / base,
        mid * usd / base,
        (taken * float(instrument.taker_fee) + waiting * float(instrument.maker_fee)) * usd,
        abs(best - mid) * walked.quantity * usd,
        abs(walked.average_price - best) * walked.quantity * usd,
    )


def closing_cost(
    instrument: Instrument, mid: float, rate: Rate, levels: Sequence[Level[float]], quantity: float
) -> float:
    """The USD cost, against the mid and with the fee, of trading ``quantity`` units of the base through ``levels``.

    The quantity beyond the levels counts at the average cost of the rest; ``nan`` if the levels are empty.
    """
    found = costs(instrument, mid, rate, levels, quantity / instrument.multiplier)
    return found.total * quantity / found.quantity if found.quantity else nan


def unit_price(one: Costs | Candidate, side: Side) -> float:
    """USD per unit of the base, with the fee; negative for the proceeds of a sale. Lower is better."""
    return (one.price if side is Side.BUY else -one.price) + one.fee / one.quantity if one.quantity else nan


def all_in(parts: Iterable[Costs | Candidate]) -> float:
    """The total cost of all parts against the mid prices, in USD."""
    return fsum(one.total for one in parts)
