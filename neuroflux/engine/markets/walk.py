"""The cost of a quantity when one side of a book is taken level by level."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from neuroflux.domain import Level


class Walk(Struct, frozen=True, gc=False):
    """``quantity`` is what the levels held, at most the requested quantity; both prices are 0 if it is 0."""

    quantity: float
    average_price: float
    worst_price: float


def walk(levels: Sequence[Level[float]], quantity: float) -> Walk:
    """Take ``quantity`` from ``levels``, best first."""
    taken = cost = worst = 0.0
    for level in levels:
        if taken >= quantity:
            break
        part = min(level.quantity, quantity - taken)
        taken += part
        cost += part * level.price
        worst = level.price
    return Walk(taken, cost / taken if taken else 0.0, worst)


def value(levels: Sequence[Level[float]]) -> float:
    """The total value of all levels, in the quote."""
    return sum(level.price * level.quantity for level in levels)
