"""What is traded: one instrument of one exchange, with the rules that an order must obey."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from msgspec import Struct


class InstrumentKind(StrEnum):
    SPOT = "spot"
    PERPETUAL = "perpetual"


class Instrument(Struct, frozen=True, kw_only=True):
    """One thing that can be traded on one exchange, with the rules an order must keep.

    ``name`` is the exchange's own (``BTCUSDT``, ``@107``), ``symbol`` ccxt's (``BTC/USDT``, ``BTC/USDT:USDT``),
    ``market`` what is comparable (``BTC/USD``). One contract or coin of the wire is ``multiplier`` units of the base
    of the market (1000 for ``kPEPE``): prices and quantities of records are per unit of the *wire's* instrument, and
    ``multiplier`` says how to compare them. A step of 0 means the rule does not apply. Prices are bound by
    ``tick_size``; where ``price_significant_figures`` is not 0 (Hyperliquid: 5) by that and ``price_decimals`` too.
    Fees are fractions of the notional. ``closing_only``: it is settled within a day, so positions may only be reduced.
    ``contract_size`` is the quantity of one contract where the exchange counts orders in contracts (OKX: 0.01 BTC): its
    adapter converts, so that every quantity here and in records is in coins. It is 1 where quantities are in coins.
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
