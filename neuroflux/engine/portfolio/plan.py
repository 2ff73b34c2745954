"""The words of a rebalance: what is to be traded, what is proposed, what is left and why."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import Side


class RebalanceTrade(Struct, frozen=True):
    """One immediate-or-cancel limit order; ``quantity`` is the wire's and fits the instrument's rules.

    ``price`` is the average that the book promises and ``bound_price`` the worst that is allowed, both in the quote.
    ``value_usd`` is the quantity at the portfolio's price. Costs are USD: ``slippage_usd`` is against the book's mid.
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
    """What someone may move by hand, so that the next plan gets further; nothing moves it by itself."""

    asset: str
    source: str
    destination: str
    quantity: Decimal
    why: str


class Locked(Struct, frozen=True):
    """What counts to the portfolio and can't be sold: collateral of positions, and what open orders hold."""

    exchange: str
    asset: str
    in_positions: Decimal
    in_orders: Decimal
    value_usd: float


class Skipped(Struct, frozen=True):
    """What is not done: ``value_usd`` is the drift that is left, above 0 where there is too much; 0 where unpriced.

    ``reason`` names its rule first: ``dust``, ``minimum``, ``price``, ``symbol``, ``locked``, ``slippage``, ``funds``,
    ``conversion``, or one of engine/routing/candidates.py (``stale``, ``health`` ...).
    """

    asset: str
    value_usd: float
    reason: str


class RebalancePlan(Struct, frozen=True):
    """Trades in the order in which they are to be made: sales, purchases, conversions between stablecoins.

    Allocations are fractions of the priced portfolio by asset; money is USD. ``partial``: more is left than dust.
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
