"""The last pushed positions of USDⓈ-M, which an answer with an older time does not override.

A row of an answer has the time of the position's last change (``updateTime``), a push that of the change that it
reports (``T``). Both are the matching engine's; ``E``, the time of the push itself, is later: the row of the same
change would be older than it.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from neuroflux.domain import Microseconds

LAGS_AT_MOST: Final[Microseconds] = 30_000_000
"""How long an answer may lag; one that is requested later counts with any time, since times are not guaranteed."""


class PushedPosition(Struct, frozen=True):
    quantity: Decimal
    entry: Decimal
    profit: Decimal
    changed: Microseconds


class PushedPositions:
    """The last of each, by the exchange's name of the instrument."""

    def __init__(self) -> None:
        self._last: dict[str, PushedPosition] = {}

    def take(self, name: str, position: PushedPosition) -> None:
        """``changed`` is 0 where the push does not contain it."""
        self._last[name] = position

    def newer(self, name: str, quantity: Decimal, updated: Microseconds, asked: Microseconds) -> PushedPosition | None:
        """What holds instead of an answered quantity; times are the exchange's, 0 where they are not known."""
        last = self._last.get(name)
        if last is None or last.quantity == quantity:
            return None
        return last if is_overtaken(updated, asked, last.changed) else None

    def overtakes(self, answered: Mapping[str, tuple[Decimal, Microseconds]], asked: Microseconds) -> bool:
        """Whether an answer of all positions, by name quantity and ``updated``, lacks one that was pushed."""
        if any(self.newer(name, *row, asked) for name, row in answered.items()):
            return True
        left_out = (last for name, last in self._last.items() if last.quantity and name not in answered)
        return any(0 < asked < last.changed for last in left_out)


def is_overtaken(updated: Microseconds, asked: Microseconds, changed: Microseconds) -> bool:
    """Whether a row of this ``updateTime`` is older than a push, by times of the exchange; False where one is 0."""
    return 0 < updated < changed and 0 < asked < changed + LAGS_AT_MOST
