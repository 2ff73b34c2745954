"""OKX in the simulator: spot, swaps in USDT, fees, the unified account, funding and faults.

Source: https://www.okx.com/docs-v5/en/#public-data-rest-api-get-instruments and https://www.okx.com/fees
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import Listing, starting_price
from neuroflux.sim.core.venue import Venue

OKX = "okx"
SWAP = "-SWAP"
FOUR_HOURS = ("APT-USDT-SWAP", "SUI-USDT-SWAP", "TRX-USDT-SWAP")
"""Swaps whose funding interval is not the usual one."""
_SPOT_FEES = (Decimal("0.001"), Decimal("0.0008"))
_SWAP_FEES = (Decimal("0.0005"), Decimal("0.0002"))
"""Taker and maker of the lowest tier."""
_FIRST_SWAP_CODE = 100_001

_SPOT = {
    "BTC": ("0.1", "0.00000001", "0.00001"),
    "ETH": ("0.01", "0.000001", "0.001"),
    "SOL": ("0.01", "0.000001", "0.01"),
    "XRP": ("0.0001", "0.0001", "1"),
    "DOGE": ("0.00001", "0.001", "10"),
    "ADA": ("0.0001", "0.001", "1"),
    "AVAX": ("0.001", "0.0001", "0.1"),
    "LINK": ("0.001", "0.0001", "0.1"),
    "BNB": ("0.1", "0.00001", "0.001"),
    "LTC": ("0.01", "0.0001", "0.01"),
    "BCH": ("0.1", "0.00001", "0.001"),
    "DOT": ("0.001", "0.001", "0.1"),
    "UNI": ("0.001", "0.001", "0.1"),
    "AAVE": ("0.01", "0.0001", "0.01"),
    "NEAR": ("0.001", "0.001", "0.1"),
    "APT": ("0.001", "0.001", "0.1"),
    "ARB": ("0.0001", "0.001", "1"),
    "OP": ("0.0001", "0.001", "1"),
    "SUI": ("0.0001", "0.001", "1"),
    "TRX": ("0.00001", "0.001", "10"),
    "ATOM": ("0.001", "0.001", "0.1"),
    "FIL": ("0.001", "0.001", "0.1"),
    "PEPE": ("0.000000001", "1", "100000"),
    "HYPE": ("0.001", "0.001", "0.1"),
    "USDC": ("0.0001", "0.001", "1"),
    "USDT": ("0.0001", "0.001", "1"),
}
"""Tick, lot and smallest size, by base."""
_QUOTES: dict[str, tuple[str, ...]] = dict.fromkeys(("BTC", "ETH", "SOL"), ("USDT", "USDC", "EUR"))
_QUOTES |= dict.fromkeys(("XRP", "DOGE"), ("USDT", "USDC"))
_QUOTES |= {"USDC": ("USDT", "EUR"), "USDT": ("EUR",)}
"""Other bases are quoted in USDT alone."""
_SWAPS = {
    "BTC": ("0.1", "0.01", "0.01", 100),
    "ETH": ("0.01", "0.1", "0.01", 100),
    "SOL": ("0.01", "1", "0.01", 100),
    "XRP": ("0.0001", "100", "0.01", 75),
    "DOGE": ("0.00001", "1000", "0.01", 75),
    "ADA": ("0.0001", "100", "0.1", 75),
    "AVAX": ("0.001", "1", "1", 50),
    "LINK": ("0.001", "1", "0.1", 50),
    "BNB": ("0.1", "0.01", "1", 50),
    "LTC": ("0.01", "1", "0.1", 50),
    "BCH": ("0.1", "0.1", "0.1", 50),
    "DOT": ("0.001", "1", "1", 50),
    "UNI": ("0.001", "1", "1", 50),
    "AAVE": ("0.01", "0.1", "1", 50),
    "NEAR": ("0.001", "10", "0.1", 50),
    "APT": ("0.001", "1", "1", 50),
    "ARB": ("0.0001", "10", "0.1", 50),
    "OP": ("0.0001", "1", "1", 50),
    "SUI": ("0.0001", "1", "1", 50),
    "TRX": ("0.00001", "1000", "0.01", 50),
    "ATOM": ("0.001", "1", "1", 50),
    "FIL": ("0.001", "0.1", "1", 50),
    "PEPE": ("0.000000001", "10000000", "0.1", 50),
    "HYPE": ("0.001", "0.1", "1", 50),
}
"""Tick, coins of one contract, step of contracts and greatest leverage, by base."""


def contract_size(listing: Listing) -> Decimal:
    """The coins of one contract; sizes of spot are in coins."""
    return Decimal(_SWAPS[listing.base][1]) if listing.kind == "perpetual" else Decimal(1)


def smallest_size(listing: Listing) -> Decimal:
    """The smallest size of an order, in coins or contracts."""
    return Decimal(_SWAPS[listing.base][2] if listing.kind == "perpetual" else _SPOT[listing.base][2])


def kind_of(listing: Listing) -> str:
    """OKX's ``instType``."""
    return "SWAP" if listing.kind == "perpetual" else "SPOT"


def _spot(code: int, base: str, quote: str) -> Listing:
    tick, lot, _ = _SPOT[base]
    steps, price = (Decimal(tick), Decimal(lot)), starting_price(base, quote)
    names = (OKX, f"{base}-{quote}", "spot", base, base, quote)
    return Listing(*names, *steps, price, *_SPOT_FEES, Decimal(0), number=code)  # type: ignore[arg-type]


def _swap(code: int, base: str) -> Listing:
    tick, coins, step, leverage = _SWAPS[base]
    steps, price = (Decimal(tick), Decimal(coins) * Decimal(step)), starting_price(base, "USDT")
    names = (OKX, f"{base}-USDT{SWAP}", "perpetual", base, base, "USDT")
    more = {"max_leverage": leverage, "number": code}
    return Listing(*names, *steps, price, *_SWAP_FEES, Decimal(0), **more)  # type: ignore[arg-type]


_PAIRS = [(base, quote) for base in _SPOT for quote in _QUOTES.get(base, ("USDT",))]
VENUE = Venue(
    id=OKX,
    path="/okx",
    listings=(
        *(_spot(code, base, quote) for code, (base, quote) in enumerate(_PAIRS, start=1)),
        *(_swap(code, base) for code, base in enumerate(_SWAPS, start=_FIRST_SWAP_CODE)),
    ),
    price_lag=0.25,
    spot_balances={
        "USDT": Decimal(9_000),
        "USDC": Decimal(3_000),
        "EUR": Decimal(1_500),
        "BTC": Decimal("0.08"),
        "ETH": Decimal(1),
        "SOL": Decimal(15),
    },
    funding_hours=8,
    changed_funding_hours=dict.fromkeys(FOUR_HOURS, 4),
    shares_wallet=True,
    keeps_post_only=True,
    prevents_self_trades=True,
    numbers_instruments=True,
    symbol_end=f"-{{quote}}{SWAP}",
    faults={
        "account_mode": ("1", "2", "3", "4"),
        "hedge_mode": ("true", "false"),
        "sequence_reset": (),
        "withdrawals": (),
        "liquidate": (),
        "adl": (),
        "tick_size": (),
        "funding_interval": (),
    },
)
