"""The coins that every simulated exchange trades, what they cost at the start, and what an instrument is."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

Kind = Literal["spot", "perpetual"]

MAJORS = ("BTC", "ETH", "SOL", "USDC")
"""The bases whose books move five times a second; the others move once."""

THOUSANDS = ("PEPE",)
"""The bases of which one unit of a perpetual is a thousand coins."""

PRICES = {
    "BTC": 65000.0,
    "ETH": 3400.0,
    "SOL": 150.0,
    "XRP": 2.2,
    "DOGE": 0.16,
    "ADA": 0.55,
    "AVAX": 28.0,
    "LINK": 15.0,
    "BNB": 600.0,
    "LTC": 85.0,
    "BCH": 400.0,
    "DOT": 5.2,
    "UNI": 8.5,
    "AAVE": 180.0,
    "NEAR": 4.1,
    "APT": 7.3,
    "ARB": 0.75,
    "OP": 1.6,
    "SUI": 2.4,
    "TRX": 0.28,
    "ATOM": 6.5,
    "FIL": 4.4,
    "PEPE": 0.0000095,
    "HYPE": 35.0,
    "PURR": 0.2,
    "USDC": 1.0,
}
"""The start of every simulation, in USDC. The order is part of what a seed means."""

CASH = {"USD": 1.0001, "USDT": 0.9996, "EUR": 1.09}
"""What prices are quoted in beside USDC, in USDC, at the start; exchanges list USDC, USDT and EUR as bases too."""


def starting_price(base: str, quote: str) -> float:
    """What one coin or unit of cash costs at the start, in the quote asset: ``starting_price("BTC", "EUR")``."""
    return (CASH.get(base) or PRICES[base]) / CASH.get(quote, 1.0)


class Listing(Struct, frozen=True):
    """One instrument of one exchange.

    ``symbol`` is the exchange's own name of it, ``base`` the coin whose price it follows, ``base_asset`` the exchange's
    name of one unit, which is ``multiplier`` coins. Prices move in steps of ``tick``, quantities in steps of ``lot``;
    books count both as integers. ``stride`` is the number of ticks between prices that a market maker uses.
    ``number`` is the asset id, where the exchange numbers its instruments. Fees are shares of the notional.
    """

    exchange: str
    symbol: str
    kind: Kind
    base: str
    base_asset: str
    quote: str
    tick: Decimal
    lot: Decimal
    start: float
    taker_fee: Decimal
    maker_fee: Decimal
    min_notional: Decimal
    multiplier: int = 1
    max_leverage: int = 1
    stride: int = 1
    number: int = 0

    @property
    def unit(self) -> Decimal:
        """What one tick times one lot is worth, in the quote asset."""
        return self.tick * self.lot

    @property
    def is_major(self) -> bool:
        return self.base in MAJORS

    def ticks(self, price: Decimal) -> int:
        """The price as a whole number of ticks; raises ValueError where it is not one."""
        return _whole(price / self.tick)

    def lots(self, quantity: Decimal) -> int:
        """The quantity as a whole number of lots; raises ValueError where it is not one."""
        return _whole(quantity / self.lot)


def _whole(value: Decimal) -> int:
    if value != value.to_integral_value():
        raise ValueError(f"{value} is no whole number of steps")
    return int(value)
