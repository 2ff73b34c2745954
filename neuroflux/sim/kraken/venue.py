"""Kraken spot in the simulator: its pairs, fees, balances and faults.

Source: https://docs.kraken.com/api-reference/market-data/get-tradable-asset-pairs and
https://www.kraken.com/features/fee-schedule. The steps and least sizes of pairs other than those of BTC and ETH are
from memory.
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import Listing, starting_price
from neuroflux.sim.core.venue import Venue
from neuroflux.sim.kraken.names import order_name, pair_key

KRAKEN = "kraken"
LOT_DECIMALS, COST_DECIMALS = 8, 5
_LOT = Decimal("0.00000001")
_FEES = Decimal("0.004"), Decimal("0.0025")
_STABLE_FEES = Decimal("0.002"), Decimal("0.002")
"""Taker and maker of the lowest tier; pairs of stable coins and currencies have one flat fee."""
_COINS = {
    "BTC": (1, "0.00005"),
    "ETH": (2, "0.002"),
    "SOL": (2, "0.02"),
    "XRP": (5, "2"),
    "DOGE": (7, "20"),
    "ADA": (6, "6"),
    "AVAX": (2, "0.15"),
    "LINK": (5, "0.2"),
    "BNB": (2, "0.008"),
    "LTC": (2, "0.05"),
    "BCH": (2, "0.01"),
    "DOT": (4, "0.9"),
    "UNI": (3, "0.5"),
    "AAVE": (2, "0.02"),
    "NEAR": (3, "1.2"),
    "APT": (4, "0.6"),
    "ARB": (4, "7"),
    "OP": (4, "3"),
    "SUI": (4, "1.5"),
    "TRX": (6, "20"),
    "ATOM": (4, "0.8"),
    "FIL": (3, "1"),
    "PEPE": (9, "500000"),
    "HYPE": (2, "0.15"),
}
"""``pair_decimals`` and ``ordermin``, by base."""
_STABLE = {
    ("USDT", "USD"): (5, "5"),
    ("USDC", "USD"): (4, "5"),
    ("EUR", "USD"): (5, "5"),
    ("USDT", "EUR"): (5, "5"),
    ("USDC", "EUR"): (4, "5"),
}
_LEAST = {base: Decimal(least) for base, (_, least) in _COINS.items()}


def ordermin(listing: Listing) -> Decimal:
    """The least size of an order, in the base."""
    return _LEAST.get(listing.base, Decimal(5))


def is_flat(listing: Listing) -> bool:
    """Whether makers and takers pay the same: such a pair has no ``fees_maker``."""
    return listing.maker_fee == listing.taker_fee


def _listing(base: str, quote: str, decimals: int, fees: tuple[Decimal, Decimal] = _FEES) -> Listing:
    taker, maker = fees
    return Listing(
        exchange=KRAKEN,
        symbol=pair_key(base, quote),
        kind="spot",
        base=base,
        base_asset=base,
        quote=quote,
        tick=Decimal(1).scaleb(-decimals),
        lot=_LOT,
        start=starting_price(base, quote),
        taker_fee=taker,
        maker_fee=maker,
        min_notional=Decimal("0.5"),
    )


VENUE = Venue(
    id=KRAKEN,
    path="/kraken",
    listings=(
        *(_listing(base, "USD", decimals) for base, (decimals, _) in _COINS.items()),
        *(_listing(base, "EUR", _COINS[base][0]) for base in ("BTC", "ETH", "SOL")),
        *(_listing(*names, decimals, _STABLE_FEES) for names, (decimals, _) in _STABLE.items()),
    ),
    price_lag=0.3,
    spot_balances={
        "USD": Decimal(7_000),
        "EUR": Decimal(3_000),
        "USDC": Decimal(2_500),
        "USDT": Decimal(2_000),
        "BTC": Decimal("0.07"),
        "ETH": Decimal("0.9"),
        "SOL": Decimal(14),
    },
    quote="USD",
    fees_in_quote=True,
    most_lots=10**20,
    order_name=order_name,
    faults={
        "account_mode": ("view_only",),
        "withdrawals": (),
        "tier": ("starter", "intermediate", "pro"),
    },
)
