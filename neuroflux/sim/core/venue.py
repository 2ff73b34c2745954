"""What the core of the simulator must know of an exchange. Each dialect defines its own; catalogue.py lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal

from msgspec import Struct

from neuroflux.sim.core.coins import Kind, Listing

MAX_LOTS = 9_000_000_000
"""Of an order, where the venue names no limit of its own."""


class Venue(Struct, frozen=True, kw_only=True):
    """One simulated exchange, without its dialect. Where a field is left out, the exchange has no such thing.

    ``id`` is ccxt's; ``path`` is where the exchange is served, below the simulator's address. ``price_lag``: seconds
    within which its prices move two thirds of the way to the latent price. ``spot_balances`` and ``collateral`` are
    what the demo account has at the start, by asset. Where it ``shares_wallet``, there is one wallet for both, and what
    is free on spot is the collateral. An exchange that ``keeps_post_only`` accepts a post-only order that would match,
    and cancels it then. ``funding_hours`` is the usual interval, ``changed_funding_hours`` that of the symbols whose
    interval was changed before the simulation began. ``quote`` is the quote of new instruments, whose symbols may leave
    it out; where there is none, they end with ``symbol_end``. Fees may be paid in ``fee_asset``, for ``fee_discount``
    less. ``faults`` are those that not every exchange has, with the values that each takes (any where none is listed).
    With ``fees_in_quote`` every fee is paid in the quote, and a buy holds it beside its value. An order has at most
    ``most_lots``. ``rebates_in_paid``: a maker's rebate is paid in what the fill paid with, and not in what it
    received. ``order_name`` writes the number of an order as the exchange's answers do. Where it
    ``prevents_self_trades``, resting orders that another one of the account would meet are cancelled first.
    """

    id: str
    path: str
    listings: tuple[Listing, ...]
    price_lag: float
    spot_balances: Mapping[str, Decimal] = {}
    collateral: Mapping[str, Decimal] = {}
    shares_wallet: bool = False
    rebates_in_paid: bool = False
    funding_hours: int = 0
    changed_funding_hours: Mapping[str, int] = {}
    books_share_numbers: bool = False
    keeps_post_only: bool = False
    prevents_self_trades: bool = False
    numbers_instruments: bool = False
    quote: str = ""
    symbol_end: str = "{quote}"
    fee_asset: str = ""
    fee_discount: Decimal = Decimal(0)
    fees_in_quote: bool = False
    most_lots: int = MAX_LOTS
    faults: Mapping[str, tuple[str, ...]] = {}
    order_name: Callable[[int], str] = str

    @property
    def new_kind(self) -> Kind:
        """The kind of the instruments that are listed while the simulation runs."""
        return "perpetual" if self.funding_hours else "spot"

    def credits_spot(self, asset: str) -> bool:
        """Whether a deposit of this asset is added to the spot wallet, and not to the collateral of perpetuals."""
        has_spot = any(listing.kind == "spot" for listing in self.listings)
        return has_spot and asset not in self.collateral
