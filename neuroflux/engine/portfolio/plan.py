"""The plan of a rebalance: the trades, the proposed transfers, and what is left and why."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import Side


class RebalanceTrade(Struct, frozen=True):
    """One immediate-or-cancel limit order; ``quantity`` is the wire's and fits the instrument's rules.

    ``price`` is the average price by the book and ``bound_price`` the worst allowed price, both in the quote.
    ``value_usd`` is the quantity at the portfolio's price. Costs are in USD, ``slippage_usd`` against the book's mid.
    """

    exchange: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    bound_price: Decimal
    value_usd: float
    fee_usd: float
    slippage_usd: float

    @property
    def cost_usd(self) -> float:
        return self.fee_usd + self.slippage_usd


class Transfer(Struct, frozen=True):
    """A transfer that a person may make so that the next plan can trade more; it is never made automatically."""

    asset: str
    source: str
    destination: str
    quantity: Decimal
    why: str


class Locked(Struct, frozen=True):
    """What counts in the portfolio but can't be sold: collateral of positions, and funds reserved by open orders."""

    exchange: str
    asset: str
    in_positions: Decimal
    in_orders: Decimal
    value_usd: float


class Skipped(Struct, frozen=True):
    """A drift that is not traded: ``value_usd`` is above 0 for an excess, below 0 for a shortage, 0 if unpriced.

    ``reason`` begins with its rule: ``dust``, ``minimum``, ``price``, ``symbol``, ``locked``, ``slippage``, ``funds``,
    ``conversion``, or one of engine/routing/candidates.py (``stale``, ``health`` ...).
    """

    asset: str
    value_usd: float
    reason: str


class RebalancePlan(Struct, frozen=True):
    """The trades in their order of execution: sales, purchases, conversions between stablecoins.

    Allocations are fractions of the priced portfolio by asset; money is in USD. ``partial``: more than dust is left.
    """

    total_usd: float
    current_allocation: dict[str, float]
    expected_allocation: dict[str, float]
    total_cost: float
    trades: tuple[RebalanceTrade, ...]
    transfers: tuple[Transfer, ...]
    locked: tuple[Locked, ...]
    skipped: tuple[Skipped, ...]
    partial: bool
