"""The listed instruments by category and the exchange's own name, as the rows of an account name them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from neuroflux.domain import Instrument
from neuroflux.exchanges.bybit.instruments import SETTLE
from neuroflux.exchanges.bybit.names import CATEGORIES, LINEAR, category_of, name_of, wire_name

_IN_USDC: Final = "PERP"


class Symbols:
    def __init__(self) -> None:
        self._listed: dict[tuple[str, str], Instrument] = {}

    def learn(self, instruments: Iterable[Instrument]) -> None:
        self._listed |= {(category_of(one), wire_name(one)): one for one in instruments}

    def has(self, category: str, wire: str) -> bool:
        """Whether it is one of the products that are offered here, listed yet or not.

        Contracts with an end (``BTCUSDT-26DEC25``) and spreads (``SOLUSDT_SOL/USDT``) are not.
        """
        return category in CATEGORIES and wire.isalnum()

    def has_position(self, category: str, wire: str) -> bool:
        """The same for a position; those that settle in USDC are in no list that is requested."""
        return category == LINEAR and self.has(category, wire) and not wire.endswith(_IN_USDC)

    def of(self, category: str, wire: str) -> str:
        """The symbol; the exchange's name where it is not listed."""
        known = self._listed.get((category, wire))
        return known.symbol if known else wire

    def name(self, category: str, wire: str) -> str:
        return name_of(category, wire)

    def settle(self, category: str, wire: str) -> str:
        """What a perpetual settles in, "" for spot."""
        if category != LINEAR:
            return ""
        return "USDC" if wire.endswith(_IN_USDC) else SETTLE

    def any_perpetual(self) -> str:
        """The name of a listed perpetual, "" where none is."""
        names = [wire for category, wire in self._listed if category == LINEAR]
        return "BTCUSDT" if "BTCUSDT" in names else min(names, default="")
