"""Hyperliquid in the simulator: its instruments, fees, balances, funding and faults."""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import PRICES, THOUSANDS, Kind, Listing
from neuroflux.sim.core.venue import Venue

HYPERLIQUID = "hyperliquid"
_FEES = {"perpetual": (Decimal("0.00045"), Decimal("0.00015")), "spot": (Decimal("0.0007"), Decimal("0.0004"))}
"""Taker and maker, by kind."""
_FIRST_SPOT_NUMBER = 10_000
_PERPETUALS = {
    "BTC": (5, 40),
    "ETH": (4, 25),
    "SOL": (2, 20),
    "XRP": (0, 20),
    "DOGE": (0, 10),
    "ADA": (0, 10),
    "AVAX": (2, 10),
    "LINK": (1, 10),
    "BNB": (3, 10),
    "LTC": (2, 10),
    "BCH": (3, 10),
    "DOT": (1, 10),
    "UNI": (1, 10),
    "AAVE": (2, 10),
    "NEAR": (1, 10),
    "APT": (2, 10),
    "ARB": (1, 10),
    "OP": (1, 10),
    "SUI": (1, 10),
    "TRX": (0, 10),
    "ATOM": (2, 5),
    "FIL": (1, 5),
    "PEPE": (0, 10),
    "HYPE": (2, 10),
}
"""Decimals of the size and the greatest leverage, by base; the place is the asset id."""


def _perpetual(number: int, base: str, size_decimals: int, leverage: int) -> Listing:
    multiplier, symbol = (1000, f"k{base}") if base in THOUSANDS else (1, base)
    return _listing("perpetual", number, base, symbol, symbol, size_decimals, multiplier, leverage)


def _spot(index: int, base: str, symbol: str, token: str, size_decimals: int) -> Listing:
    return _listing("spot", _FIRST_SPOT_NUMBER + index, base, symbol, token, size_decimals)


def _listing(
    kind: Kind,
    number: int,
    base: str,
    symbol: str,
    asset: str,
    size_decimals: int,
    multiplier: int = 1,
    leverage: int = 1,
) -> Listing:
    """Prices have at most 6 (spot 8) less the size's decimals, and at most five significant digits."""
    price = PRICES[base] * multiplier
    tick = Decimal(1).scaleb(size_decimals - (6 if kind == "perpetual" else 8))
    digits_before_the_point = Decimal(str(price)).adjusted() + 1
    five_digits = Decimal(1).scaleb(digits_before_the_point - 5)
    taker_fee, maker_fee = _FEES[kind]
    return Listing(
        exchange=HYPERLIQUID,
        symbol=symbol,
        kind=kind,
        base=base,
        base_asset=asset,
        quote="USDC",
        tick=tick,
        lot=Decimal(1).scaleb(-size_decimals),
        start=price,
        taker_fee=taker_fee,
        maker_fee=maker_fee,
        min_notional=Decimal(10),
        multiplier=multiplier,
        max_leverage=leverage,
        stride=max(1, int(five_digits / tick)),
        number=number,
    )


VENUE = Venue(
    id=HYPERLIQUID,
    path="/hyperliquid",
    listings=(
        *(_perpetual(number, base, *row) for number, (base, row) in enumerate(_PERPETUALS.items())),
        _spot(0, "PURR", "PURR/USDC", "PURR", 0),
        _spot(107, "HYPE", "@107", "HYPE", 2),
        _spot(142, "BTC", "@142", "UBTC", 5),
    ),
    price_lag=0.35,
    spot_balances={"USDC": Decimal(8_000), "HYPE": Decimal(100)},
    collateral={"USDC": Decimal(45_000)},
    funding_hours=1,
    numbers_instruments=True,
    quote="USDC",
    faults={
        "address_limit": (),
        "order_unknown": (),
        "unified_account": ("unifiedAccount", "portfolioMargin"),
        "liquidate": (),
        "adl": (),
    },
)
