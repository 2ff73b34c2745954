"""Binance USDⓈ-M in the simulator: its instruments, fees, collateral, funding and faults."""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import MAJORS, PRICES, THOUSANDS, Listing
from neuroflux.sim.core.venue import Venue

BINANCE_USDM = "binanceusdm"
FOUR_HOURS = ("APTUSDT", "ARBUSDT", "OPUSDT", "SUIUSDT")
"""Symbols whose funding interval was changed before the simulation began: ``fundingInfo`` lists only such."""

_TAKER_FEE, _MAKER_FEE = Decimal("0.0005"), Decimal("0.0002")
_IN_USDC = ("BTC", "ETH", "SOL")
_MIN_NOTIONAL = {"BTC": Decimal(50), "ETH": Decimal(20)}
_STEPS = {
    "BTC": ("0.1", "0.001"),
    "ETH": ("0.01", "0.001"),
    "SOL": ("0.01", "0.01"),
    "XRP": ("0.0001", "0.1"),
    "DOGE": ("0.00001", "1"),
    "ADA": ("0.0001", "1"),
    "AVAX": ("0.001", "1"),
    "LINK": ("0.001", "0.01"),
    "BNB": ("0.01", "0.01"),
    "LTC": ("0.01", "0.001"),
    "BCH": ("0.01", "0.001"),
    "DOT": ("0.001", "0.1"),
    "UNI": ("0.001", "1"),
    "AAVE": ("0.01", "0.1"),
    "NEAR": ("0.001", "1"),
    "APT": ("0.001", "0.1"),
    "ARB": ("0.0001", "0.1"),
    "OP": ("0.0001", "0.1"),
    "SUI": ("0.0001", "0.1"),
    "TRX": ("0.00001", "1"),
    "ATOM": ("0.001", "0.01"),
    "FIL": ("0.001", "0.1"),
    "PEPE": ("0.0000001", "1"),
    "HYPE": ("0.001", "0.01"),
}
"""Tick and lot, by base."""


def _listing(base: str, quote: str, tick: str, lot: str) -> Listing:
    multiplier = 1000 if base in THOUSANDS else 1
    name = base if multiplier == 1 else f"{multiplier}{base}"
    return Listing(
        exchange=BINANCE_USDM,
        symbol=name + quote,
        kind="perpetual",
        base=base,
        base_asset=name,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        start=PRICES[base] * multiplier,
        taker_fee=_TAKER_FEE,
        maker_fee=_MAKER_FEE,
        min_notional=_MIN_NOTIONAL.get(base, Decimal(5)),
        multiplier=multiplier,
        max_leverage=125 if base in MAJORS else 75,
    )


VENUE = Venue(
    id=BINANCE_USDM,
    path="/binance",
    listings=tuple(
        _listing(base, quote, *steps)
        for base, steps in _STEPS.items()
        for quote in (("USDT", "USDC") if base in _IN_USDC else ("USDT",))
    ),
    price_lag=0.1,
    collateral={"USDT": Decimal(45_000), "USDC": Decimal(10_000)},
    funding_hours=8,
    changed_funding_hours=dict.fromkeys(FOUR_HOURS, 4),
    books_share_numbers=True,
    fee_asset="BNB",
    fee_discount=Decimal("0.1"),
    faults={
        "listen_key_expired": (),
        "listen_key_gone": (),
        "listen_key_refused": (),
        "overload": (),
        "unknown_contract_type": (),
        "hedge_mode": ("true", "false"),
        "multi_assets": ("true", "false"),
        "liquidate": (),
        "adl": (),
        "tick_size": (),
        "funding_interval": (),
    },
)
