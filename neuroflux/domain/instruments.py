"""What is traded: one instrument of one exchange, with the rules that its orders must obey."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct


class InstrumentKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"


class Instrument(Struct, frozen=True, kw_only=True):
    """One instrument of one exchange, with the rules that its orders must obey.

    ``name`` is the exchange's own name (``BTCUSDT``, ``@107``), ``symbol`` ccxt's (``BTC/USDT``, ``BTC/USDT:USDT``),
    and ``market`` groups comparable instruments (``BTC/USD``). ``settle`` is the asset that a perpetual settles in; it
    is empty for spot.

    Prices and quantities of records are per unit of the *exchange's* instrument, called wire units. One wire unit is
    ``multiplier`` units of the market's base (1000 for ``kPEPE``). ``contract_size`` is the quantity of one contract
    where the exchange counts orders in contracts (OKX: 0.01 BTC): its adapter converts, so that every quantity here and
    in records is in coins. It is 1 where quantities are in coins.

    Steps and bounds of quantities are in wire units, ``min_notional`` is in the quote asset; 0 means that the rule does
    not apply. Prices must be multiples of ``tick_size``; where ``price_significant_figures`` is not 0 (Hyperliquid: 5),
    they are limited by that and by ``price_decimals`` too. Fees are fractions of the notional; a negative one is a
    rebate. ``asset_id`` is the exchange's number of the instrument, or -1. ``active`` is False while the exchange has
    halted it. ``closing_only``: it will be settled within a day, so positions may only be reduced.

    ``Instrument(exchange="binance", symbol="BTC/USDT", market="BTC/USD", name="BTCUSDT", base="BTC", quote="USDT",
    kind=InstrumentKind.SPOT, tick_size=Decimal("0.01"), taker_fee=Decimal("0.001"))``
    """

    exchange: str
    symbol: str
    market: str
    name: str
    base: str
    quote: str
    kind: InstrumentKind
    settle: str = ""
    tick_size: Decimal = Decimal(0)
    quantity_step: Decimal = Decimal(0)
    market_quantity_step: Decimal = Decimal(0)
    min_quantity: Decimal = Decimal(0)
    max_quantity: Decimal = Decimal(0)
    min_notional: Decimal = Decimal(0)
    price_significant_figures: int = 0
    price_decimals: int = 0
    multiplier: int = 1
    taker_fee: Decimal = Decimal(0)
    maker_fee: Decimal = Decimal(0)
    asset_id: int = -1
    active: bool = True
    closing_only: bool = False
    contract_size: Decimal = Decimal(1)
