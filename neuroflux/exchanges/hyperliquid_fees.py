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
from neuroflux.exchanges.base_exchange import FeeRates


class _UserFees(Struct, frozen=True):
    userCrossRate: Decimal
    userAddRate: Decimal
    userSpotCrossRate: Decimal
    userSpotAddRate: Decimal


_FEES: Final = Decoder(_UserFees)


def rates_of(body: bytes, instruments: Iterable[Instrument]) -> Sequence[FeeRates]:
    """Of each of these instruments. Raises ``UNREADABLE``."""
    wire = _FEES.decode(body)
    if not all(rate.is_finite() and abs(rate) < 1 for rate in astuple(wire)):
        raise ValueError("a fee that is no fraction")
    return [
        FeeRates(one.symbol, wire.userSpotCrossRate, wire.userSpotAddRate)
        if one.kind is InstrumentKind.SPOT
        else FeeRates(one.symbol, wire.userCrossRate, wire.userAddRate)
        for one in instruments
    ]
