"""Small markets, and the cost of any split of an order over them: a routed split is compared with all splits."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from neuroflux.domain import Side

Levels = Sequence[tuple[float, float]]
Offer = tuple[Levels, str, float]
"""An exchange: the levels that the order takes, in tenths of a unit, its fee, and the USD rate of its quote."""


def books(draw: st.DrawFn, side: Side) -> Levels:
    prices = draw(st.lists(st.integers(9_900, 10_100), min_size=1, max_size=4, unique=True))
    quantities = draw(st.lists(st.integers(1, 4), min_size=len(prices), max_size=len(prices)))
    ordered = sorted(prices, reverse=side is Side.SELL)
    return [(price / 100, quantity / 10) for price, quantity in zip(ordered, quantities, strict=True)]


@st.composite
def markets(draw: st.DrawFn) -> tuple[Side, list[Offer], int]:
    side = draw(st.sampled_from(Side))
    number = draw(st.integers(1, 3))
    fees = st.sampled_from(["0", "0.0005", "0.002"])
    rates = st.sampled_from([0.999, 1.0, 1.001])
    return side, [(books(draw, side), draw(fees), draw(rates)) for _ in range(number)], draw(st.integers(1, 12))


def cost_of(side: Side, exchanges: list[Offer], tenths: Sequence[int]) -> float:
    """USD paid (negative: received) for so many tenths on each exchange; infinite beyond its book."""
    total = 0.0
    for (levels, fee, rate), requested in zip(exchanges, tenths, strict=True):
        left = requested
        for price, quantity in levels:
            part = min(left, round(quantity * 10))
            left -= part
            sign = 1 if side is Side.BUY else -1
            total += sign * part / 10 * price * rate * (1 + sign * float(fee))
        if left:
            return float("inf")
    return total
