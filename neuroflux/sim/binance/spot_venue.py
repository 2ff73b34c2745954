"""Binance spot in the simulator: its instruments, fees, balances and faults."""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import PRICES, Listing
from neuroflux.sim.core.venue import Venue

BINANCE = "binance"
_FEE = Decimal("0.001")
_MIN_NOTIONAL = Decimal(5)
_STEPS = {
    "BTC": ("0.01", "0.00001"),
    "ETH": ("0.01", "0.0001"),
    "SOL": ("0.01", "0.001"),
    "XRP": ("0.0001", "0.1"),
    "DOGE": ("0.00001", "1"),
    "ADA": ("0.0001", "0.1"),
    "AVAX": ("0.01", "0.01"),
    "LINK": ("0.01", "0.01"),
    "BNB": ("0.01", "0.001"),
    "LTC": ("0.01", "0.001"),
    "BCH": ("0.1", "0.001"),
    "DOT": ("0.001", "0.01"),
    "UNI": ("0.001", "0.01"),
    "AAVE": ("0.01", "0.001"),
    "NEAR": ("0.001", "0.1"),
    "APT": ("0.001", "0.01"),
    "ARB": ("0.0001", "0.1"),
    "OP": ("0.001", "0.01"),
    "SUI": ("0.0001", "0.1"),
    "TRX": ("0.0001", "0.1"),
    "ATOM": ("0.001", "0.01"),
    "FIL": ("0.001", "0.01"),
    "PEPE": ("0.00000001", "1"),
}
"""Tick and lot, by base."""


def _listing(base: str, quote: str, tick: str, lot: str) -> Listing:
    return Listing(
        exchange=BINANCE,
        symbol=base + quote,
        kind="spot",
        base=base,
        base_asset=base,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        start=PRICES[base],
        taker_fee=_FEE,
        maker_fee=_FEE,
        min_notional=_MIN_NOTIONAL,
    )


_COINS = tuple(_listing(base, quote, *steps) for base, steps in _STEPS.items() for quote in ("USDT", "USDC"))

VENUE = Venue(
    id=BINANCE,
    path="/binance",
    listings=(*_COINS, _listing("USDC", "USDT", "0.0001", "1")),
    price_lag=0.15,
    spot_balances={
        "USDT": Decimal(25_000),
        "USDC": Decimal(15_000),
        "BTC": Decimal("0.4"),
        "ETH": Decimal(4),
        "SOL": Decimal(60),
    },
    fee_asset="BNB",
    fee_discount=Decimal("0.25"),
    faults=dict.fromkeys(("listen_key_expired", "overload", "tick_size", "server_shutdown", "withdrawals"), ()),
)
