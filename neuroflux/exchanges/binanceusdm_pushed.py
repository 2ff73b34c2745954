"""Positions of USDⓈ-M as they were pushed last: they hold against an answer that by its own word is older.

A row of an answer has the time of the position's last change (``updateTime``), a push that of the change it tells
(``T``). Both are the matching engine's; ``E``, the time of the push itself, is later, so that the row of the very same
change would be older than it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from neuroflux.domain import Microseconds

LAGS_AT_MOST: Final[Microseconds] = 30_000_000
"""For so long an answer may lag; what is asked for later counts whatever its time says, which nobody guarantees."""


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
        """``changed`` is 0 where the push does not say it."""
        self._last[name] = position

    def newer(self, name: str, quantity: Decimal, updated: Microseconds, asked: Microseconds) -> PushedPosition | None:
        """What holds instead of an answered quantity; times are the exchange's, 0 where they are not known."""
        last = self._last.get(name)
        if last is None or last.quantity == quantity or not 0 < updated < last.changed:
            return None
        return last if 0 < asked < last.changed + LAGS_AT_MOST else None
