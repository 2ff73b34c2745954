"""What an address pays on Hyperliquid: one pair of rates for all perpetuals, one for spot.

A referral's discount is not taken off: it ends with the volume that it was given for. Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api/info-endpoint#query-a-users-fees
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder
from msgspec.structs import astuple

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.exchanges.kit.events import FeeRates


class _UserFees(Struct, frozen=True):
    userCrossRate: Decimal
    userAddRate: Decimal
    userSpotCrossRate: Decimal
    userSpotAddRate: Decimal


_FEES: Final = Decoder(_UserFees)
OF_QUOTES: Final = Decimal("0.2")
"""Between two quote assets: "80% lower taker fees, maker rebates". Source:
https://hyperliquid.gitbook.io/hyperliquid-docs/trading/fees
"""


def rates_of(body: bytes, instruments: Iterable[Instrument]) -> Sequence[FeeRates]:
    """Of each of these instruments. Raises ``UNREADABLE``."""
    wire = _FEES.decode(body)
    if not all(rate.is_finite() and abs(rate) < 1 for rate in astuple(wire)):
        raise ValueError("a fee that is no fraction")
    listed = list(instruments)
    quotes = {one.quote for one in listed if one.kind is InstrumentKind.SPOT}
    return [_rates(wire, one, is_of_quotes=one.base in quotes) for one in listed]


def _rates(wire: _UserFees, one: Instrument, *, is_of_quotes: bool) -> FeeRates:
    """``is_of_quotes``: both assets of the pair are ones that others are quoted in."""
    if one.kind is not InstrumentKind.SPOT:
        return FeeRates(one.symbol, wire.userCrossRate, wire.userAddRate)
    taker, maker = wire.userSpotCrossRate, wire.userSpotAddRate
    if is_of_quotes:
        return FeeRates(one.symbol, taker * OF_QUOTES, maker * OF_QUOTES if maker < 0 else maker)
    return FeeRates(one.symbol, taker, maker)
