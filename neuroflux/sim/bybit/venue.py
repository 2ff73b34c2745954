"""Bybit in the simulator: its instruments, fees, balances, funding and faults."""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import THOUSANDS, Kind, Listing, starting_price
from neuroflux.sim.core.venue import Venue

BYBIT = "bybit"
LINEAR = "linear:"
"""Before the name of a perpetual inside the simulator: the exchange gives it the name of the spot pair."""

_FEES = {
    "spot": (Decimal("0.001"), Decimal("0.001")),
    "perpetual": (Decimal("0.00055"), Decimal("0.0002")),
}
"""Taker and maker of the lowest tier, by kind."""
_STEPS = {
    "BTC": ("0.1", "0.000001", "0.1", "0.001"),
    "ETH": ("0.01", "0.00001", "0.01", "0.01"),
    "SOL": ("0.01", "0.001", "0.01", "0.1"),
    "XRP": ("0.0001", "0.01", "0.0001", "0.1"),
    "DOGE": ("0.00001", "0.1", "0.00001", "1"),
    "ADA": ("0.0001", "0.01", "0.0001", "1"),
    "AVAX": ("0.01", "0.001", "0.001", "0.1"),
    "LINK": ("0.001", "0.001", "0.001", "0.1"),
    "BNB": ("0.1", "0.0001", "0.1", "0.01"),
    "LTC": ("0.01", "0.00001", "0.01", "0.1"),
    "BCH": ("0.1", "0.0001", "0.1", "0.01"),
    "DOT": ("0.001", "0.001", "0.001", "0.1"),
    "UNI": ("0.001", "0.001", "0.001", "0.1"),
    "AAVE": ("0.01", "0.001", "0.01", "0.01"),
    "NEAR": ("0.001", "0.01", "0.001", "0.1"),
    "APT": ("0.001", "0.01", "0.001", "0.01"),
    "ARB": ("0.0001", "0.01", "0.0001", "0.1"),
    "OP": ("0.0001", "0.01", "0.0001", "0.1"),
    "SUI": ("0.0001", "0.01", "0.0001", "10"),
    "TRX": ("0.00001", "0.1", "0.00001", "1"),
    "ATOM": ("0.001", "0.001", "0.001", "0.1"),
    "FIL": ("0.001", "0.01", "0.001", "0.1"),
    "PEPE": ("0.0000000001", "1", "0.0000001", "100"),
    "HYPE": ("0.001", "0.01", "0.001", "0.01"),
}
"""Tick and lot on spot, tick and lot of the perpetual, by base."""
_CASH_STEPS = ("0.0001", "0.01")
_MORE_QUOTES = {"BTC": ("USDC", "EUR"), "ETH": ("USDC", "EUR"), "SOL": ("USDC", "EUR"), "XRP": ("USDC", "EUR")}
_CASH = (("USDC", "USDT"), ("USDT", "EUR"), ("USDC", "EUR"))
_FOUR_HOURS = ("APT", "ARB", "HYPE")
_LEVERAGE = {"BTC": 100, "ETH": 100, "SOL": 100}


def name_of(listing: Listing) -> str:
    """The exchange's own name of an instrument."""
    return listing.symbol.removeprefix(LINEAR)


def category_of(listing: Listing) -> str:
    return "spot" if listing.kind == "spot" else "linear"


def _listing(kind: Kind, base: str, quote: str, tick: str, lot: str) -> Listing:
    multiplier = 1000 if kind == "perpetual" and base in THOUSANDS else 1
    asset = base if multiplier == 1 else f"{multiplier}{base}"
    return Listing(
        exchange=BYBIT,
        symbol=asset + quote if kind == "spot" else f"{LINEAR}{asset}{quote}",
        kind=kind,
        base=base,
        base_asset=asset,
        quote=quote,
        tick=Decimal(tick),
        lot=Decimal(lot),
        start=starting_price(base, quote) * multiplier,
        taker_fee=_FEES[kind][0],
        maker_fee=_FEES[kind][1],
        min_notional=Decimal(5),
        multiplier=multiplier,
        max_leverage=1 if kind == "spot" else _LEVERAGE.get(base, 50),
    )


VENUE = Venue(
    id=BYBIT,
    path="/bybit",
    listings=(
        *(
            _listing("spot", base, quote, *steps[:2])
            for base, steps in _STEPS.items()
            for quote in ("USDT", *_MORE_QUOTES.get(base, ()))
        ),
        *(_listing("spot", base, quote, *_CASH_STEPS) for base, quote in _CASH),
        *(_listing("perpetual", base, "USDT", *steps[2:]) for base, steps in _STEPS.items()),
    ),
    price_lag=0.3,
    spot_balances={
        "USDT": Decimal(12_000),
        "USDC": Decimal(3_000),
        "EUR": Decimal(1_000),
        "BTC": Decimal("0.06"),
        "ETH": Decimal("0.7"),
        "SOL": Decimal(15),
    },
    shares_wallet=True,
    rebates_in_paid=True,
    funding_hours=8,
    changed_funding_hours={f"{LINEAR}{base}USDT": 4 for base in _FOUR_HOURS},
    books_share_numbers=True,
    faults={
        "account_mode": ("classic", "isolated", "portfolio"),
        "hedge_mode": ("true", "false"),
        "order_unknown": (),
        "withdrawals": (),
        "liquidate": (),
        "adl": (),
        "tick_size": (),
        "funding_interval": (),
    },
)
