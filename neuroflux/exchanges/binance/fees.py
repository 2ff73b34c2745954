"""What an account pays on Binance: spot's rates have parts, USDⓈ-M's are one number each.

BNB's discount is not taken off: it holds while there is enough BNB, and the documentation gives it as 0.75 in one
place and as 0.25 in another. Sources:
https://developers.binance.com/docs/binance-spot-api-docs/faqs/commission_faq
https://developers.binance.com/docs/derivatives/usds-margined-futures/account/rest-api/User-Commission-Rate
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds
from neuroflux.exchanges.binance.orders import ZERO, Symbols
from neuroflux.exchanges.binance.rest import signed
from neuroflux.exchanges.kit.events import FeeRates
from neuroflux.exchanges.kit.requests import Keys, Request
from neuroflux.exchanges.kit.rows import sane

SPOT_FEES: Final = "/api/v3/account/commission"
USDM_FEES: Final = "/fapi/v1/commissionRate"
FEES_WEIGHT: Final = 20


class _Part(Struct, frozen=True):
    maker: Decimal = ZERO
    taker: Decimal = ZERO
    buyer: Decimal = ZERO
    seller: Decimal = ZERO


class _Spot(Struct, frozen=True):
    symbol: str
    standardCommission: _Part
    taxCommission: _Part = _Part()
    specialCommission: _Part = _Part()


class _Usdm(Struct, frozen=True):
    symbol: str
    makerCommissionRate: Decimal
    takerCommissionRate: Decimal


_SPOT: Final = Decoder(_Spot)
_USDM: Final = Decoder(_Usdm)


def fees_requests(
    keys: Keys, path: str, symbols: Symbols, requested: Collection[str], now: Microseconds
) -> Sequence[Request]:
    """A request for each of these symbols that is listed."""
    names = [name for name, symbol in symbols.items() if symbol in requested]
    return [signed(keys, "GET", path, now, FEES_WEIGHT, "fees", symbol=name) for name in names]


def is_spot(keys: Collection[str]) -> bool:
    return "standardCommission" in keys and "symbol" in keys


def is_usdm(keys: Collection[str]) -> bool:
    return "takerCommissionRate" in keys


def spot_rates(body: bytes, symbols: Symbols) -> FeeRates:
    """The sum of all parts, with the dearer of the sides. Raises ``UNREADABLE``."""
    wire = sane(_SPOT.decode(body))
    parts = [sane(part) for part in (wire.standardCommission, wire.taxCommission, wire.specialCommission)]
    side = max(sum((part.buyer for part in parts), ZERO), sum((part.seller for part in parts), ZERO))
    taker, maker = sum((part.taker for part in parts), side), sum((part.maker for part in parts), side)
    return FeeRates(symbols.get(wire.symbol, wire.symbol), taker, maker)


def usdm_rates(body: bytes, symbols: Symbols) -> FeeRates:
    """Raises ``UNREADABLE``."""
    wire = sane(_USDM.decode(body))
    return FeeRates(symbols.get(wire.symbol, wire.symbol), wire.takerCommissionRate, wire.makerCommissionRate)
