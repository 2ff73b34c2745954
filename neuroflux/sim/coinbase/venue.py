"""Coinbase Advanced Trade in the simulator: its products, fees, balances and faults.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/products/list-products
"""

from __future__ import annotations

from decimal import Decimal

from neuroflux.sim.core.coins import Listing, starting_price
from neuroflux.sim.core.venue import Venue

COINBASE = "coinbase"
_MAJORS = ("BTC", "ETH", "SOL")
_FEES = Decimal("0.012"), Decimal("0.006")
"""Taker and maker of the lowest tier, "Intro 1"."""
_STABLE_FEES = Decimal("0.00001"), Decimal(0)
_STEPS = {
    "BTC": ("0.01", "0.00000001"),
    "ETH": ("0.01", "0.00000001"),
    "SOL": ("0.01", "0.00000001"),
    "XRP": ("0.0001", "0.000001"),
    "DOGE": ("0.00001", "0.1"),
    "ADA": ("0.0001", "0.00000001"),
    "AVAX": ("0.01", "0.00000001"),
    "LINK": ("0.001", "0.01"),
    "BNB": ("0.01", "0.00001"),
    "LTC": ("0.01", "0.00000001"),
    "BCH": ("0.01", "0.00000001"),
    "DOT": ("0.001", "0.00000001"),
    "UNI": ("0.001", "0.000001"),
    "AAVE": ("0.01", "0.001"),
    "NEAR": ("0.001", "0.001"),
    "APT": ("0.001", "0.01"),
    "ARB": ("0.0001", "0.01"),
    "OP": ("0.001", "0.01"),
    "SUI": ("0.0001", "0.1"),
    "ATOM": ("0.001", "0.01"),
    "FIL": ("0.001", "0.001"),
    "PEPE": ("0.00000001", "1"),
    "HYPE": ("0.001", "0.001"),
}
"""``price_increment`` and ``base_increment``, by base."""
_STABLE = {
    ("USDT", "USD"): ("0.00001", "0.01"),
    ("USDT", "USDC"): ("0.0001", "0.01"),
    ("USDT", "EUR"): ("0.0001", "0.01"),
    ("USDC", "EUR"): ("0.001", "0.01"),
}


def _listing(base: str, quote: str, steps: tuple[str, str], fees: tuple[Decimal, Decimal] = _FEES) -> Listing:
    taker, maker = fees
    return Listing(
        exchange=COINBASE,
        symbol=f"{base}-{quote}",
        kind="spot",
        base=base,
        base_asset=base,
        quote=quote,
        tick=Decimal(steps[0]),
        lot=Decimal(steps[1]),
        start=starting_price(base, quote),
        taker_fee=taker,
        maker_fee=maker,
        min_notional=Decimal(1),
    )


ALIASES = {f"{base}-USDC": f"{base}-USD" for base in _STEPS}
"""Products that share the book of another: only the money that moves is USDC."""
_ORDER_NAME = "{0:08x}-cb5e-4000-8000-{1:012x}"


def order_name(number: int) -> str:
    """An order's number as the exchange writes it, like a UUID."""
    return _ORDER_NAME.format(number % 2**32, number)


def order_number(name: object) -> int | None:
    """The inverse; None for what is no order's name."""
    try:
        number = int(str(name)[-12:], 16)
    except ValueError:
        return None
    return number if order_name(number) == name else None


VENUE = Venue(
    id=COINBASE,
    path="/coinbase",
    listings=(
        *(_listing(base, "USD", steps) for base, steps in _STEPS.items()),
        *(_listing(base, quote, _STEPS[base]) for base in _MAJORS for quote in ("EUR", "USDT")),
        *(_listing(*names, steps, _STABLE_FEES) for names, steps in _STABLE.items()),
    ),
    price_lag=0.25,
    spot_balances={
        "USD": Decimal(7_000),
        "USDC": Decimal(4_000),
        "USDT": Decimal(2_500),
        "EUR": Decimal(2_000),
        "BTC": Decimal("0.07"),
        "ETH": Decimal("0.8"),
        "SOL": Decimal(15),
    },
    quote="USD",
    fees_in_quote=True,
    most_lots=10**13,
    order_name=order_name,
    faults={"account_mode": ("view_only",), "withdrawals": ()},
)
