"""The answers of the façade, as in the API reference; additional keys are at the end of each.

Money is in USD and times are ISO 8601 in UTC with a ``Z``, unless stated otherwise. A figure that is not known is
``nan``, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypedDict

from neuroflux.domain import Cause, Microseconds


def iso(time: Microseconds) -> str:
    """A time as written in answers; "" for 0, which means no time."""
    if not time:
        return ""
    return datetime.fromtimestamp(time / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def micros(text: str) -> Microseconds:
    """The time that ``iso`` wrote; raises ValueError for other text."""
    return round(datetime.fromisoformat(text).timestamp() * 1e6) if text else 0


class CauseAnswer(TypedDict):
    """A record that a figure was made from."""

    topic: str
    partition: int
    offset: int


def causes_answer(causes: Sequence[Cause]) -> list[CauseAnswer]:
    return [{"topic": one.topic, "partition": one.partition, "offset": one.offset} for one in causes]


class ExchangeConfig(TypedDict, total=False):
    """The configuration of one exchange for ``initialize_exchanges``, for type checkers; every key is optional."""

    api_key: str
    secret_key: str
    passphrase: str
    testnet: bool
    max_leverage: float
    default_leverage: float
    rate_limits: dict[str, float]
    subaccount: str


class ConnectionHealth(TypedDict):
    """``reason``: why it failed, else ""; ``keys``: ``demo`` (simulated), ``own`` (the caller's) or ``none``."""

    status: Literal["online", "degraded", "offline", "unknown"]
    simulated: bool
    reason: str
    keys: Literal["demo", "own", "none"]
    latency_ms: float
    balances_age_seconds: float
    last_successful_request: str
    limits: dict[str, float]


class InitializationAnswer(TypedDict):
    initialized_exchanges: list[str]
    failed_exchanges: list[str]
    status: Literal["full_success", "partial_success", "failed"]
    active_connections: int
    connection_health: dict[str, ConnectionHealth]


class AssetBalance(TypedDict):
    """Amounts in the asset. ``value_usd`` is that of ``total - unrealised_pnl``; ``nan`` if the asset has no price.

    ``unrealised_pnl`` is the part of ``total`` that was unrealised profit when the exchange reported it.
    """

    total: float
    available: float
    in_positions: float
    in_orders: float
    value_usd: float
    unrealised_pnl: float


class ExchangeBalance(TypedDict):
    """One account, or the sum of ``parts``. ``total_usd`` is its equity: the wallets and ``unrealised_pnl_usd``."""

    total_usd: float
    unrealised_pnl_usd: float
    assets: dict[str, AssetBalance]
    parts: dict[str, ExchangeBalance]


class SyncStatus(TypedDict):
    """``age_seconds`` is that of the oldest balance or position. ``agrees``: whether stream and REST agreed when last
    compared; None if not known."""

    status: Literal["synced", "differs", "stale", "missing"]
    age_seconds: float
    agrees: bool | None
    detail: str


class BalanceAnswer(TypedDict):
    total_balance_usd: float
    asset_breakdown: dict[str, AssetBalance]
    exchange_breakdown: dict[str, ExchangeBalance]
    available_balance: dict[str, float]
    locked_balance: dict[str, float]
    last_updated: str
    sync_status: dict[str, SyncStatus]
    unpriced: list[str]
    unrealised_pnl_usd: float


class ExchangeHealthAnswer(TypedDict):
    """``rate_limit_usage`` and ``uptime_percent`` are 0 to 100."""

    status: Literal["online", "degraded", "offline"]
    latency_ms: float
    uptime_percent: float
    rate_limit_usage: float
    last_successful_request: str
    reason: str
    age_seconds: float


class ConnectivityMetrics(TypedDict):
    average_latency_ms: float
    worst_latency_ms: float
    average_uptime_percent: float
    online: int
    total: int


class RateLimit(TypedDict):
    """Percent of the exchange's limit: used, usable (without the safety buffer), and left of the usable part."""

    usage_percent: float
    usable_percent: float
    left_percent: float
    near_limit: bool


class Action(TypedDict):
    """A recommended action. ``condition`` is one of the names in manager/health.py."""

    exchange: str
    condition: str
    action: str
    reason: str


class HealthAnswer(TypedDict):
    overall_health: Literal["healthy", "degraded", "critical"]
    exchange_status: dict[str, ExchangeHealthAnswer]
    connectivity_metrics: ConnectivityMetrics
    api_rate_limits: dict[str, RateLimit]
    recommended_actions: list[Action]
    last_checked: str


class PriceRange(TypedDict):
    min: float
    max: float


class InstrumentData(TypedDict):
    """Raw, in the instrument's quote and the wire's units. ``price_usd`` is per unit of the base and ``volume`` is
    in units of it; both are ``nan`` if the instrument is not included in the price."""

    bid: float
    ask: float
    bid_size: float
    ask_size: float
    bids: list[tuple[float, float]]
    asks: list[tuple[float, float]]
    book_time: str
    price_usd: float
    volume: float
    included: bool


class ExchangeData(TypedDict):
    """``bid`` and ``ask`` (USD per unit of the base) are of the included instrument that traded most; ``price`` and
    ``volume`` (units of the base) are of all included instruments."""

    bid: float
    ask: float
    price: float
    volume: float
    instruments: dict[str, InstrumentData]


class MarketDataAnswer(TypedDict):
    symbol: str
    aggregated_price: float
    price_range: PriceRange
    total_volume: float
    liquidity_score: float
    exchange_data: dict[str, ExchangeData]
    timestamp: str
    data_freshness: dict[str, float]
    status: Literal["live", "no_data"]
    window_seconds: float
    excluded: dict[str, str]
    causes: list[CauseAnswer]


class Opportunity(TypedDict):
    """A signal. Prices are averages over the book levels, in each instrument's own quote, per unit of the base.

    ``quantity`` is what the books hold and ``fundable_quantity`` what the accounts can fund (``nan`` if their funds are
    not known), both in units of the base. ``expected_profit`` is of ``fundable_quantity``; all other money is
    of ``quantity``: ``market_profit = entry_edge - exit_cost`` and ``entry_edge = gross_profit - fees -
    conversion_cost``. ``exit_cost`` is the cost of closing both positions if one is a perpetual.
    """

    symbol: str
    expected_profit: float
    signal_id: str
    market: str
    kind: str
    buy_exchange: str
    buy_symbol: str
    buy_price: float
    sell_exchange: str
    sell_symbol: str
    sell_price: float
    quantity: float
    gross_profit: float
    fees: float
    conversion_cost: float
    created_at: str
    expires_at: str
    causes: list[CauseAnswer]
    fundable_quantity: float
    market_profit: float
    entry_edge: float
    exit_cost: float


class BackupTest(TypedDict):
    """The test of one backup; ``reason`` is why it failed, else ""."""

    passed: bool
    health: str
    signed_read_ms: float
    book_age_seconds: float
    funds_usd: float
    reason: str


class FailoverAnswer(TypedDict):
    failover_config_id: str
    primary_exchange: str
    backup_exchanges: list[str]
    failover_conditions: dict[str, float]
    test_status: Literal["tested", "untested", "failed"]
    activation_status: Literal["active", "inactive"]
    backup_tests: dict[str, BackupTest]


class OptimizationAnswer(TypedDict):
    """``expected_slippage`` is in percent. ``reasons``: why nothing is recommended, if so."""

    recommended_exchange: str
    order_splitting: dict[str, Any]
    timing_strategy: str
    expected_slippage: float
    expected_cost: float
    confidence_score: float
    slices: dict[str, Any]
    reasons: list[str]


class RouteOrderAnswer(TypedDict):
    """``status``: ``failed``: ended without a fill; ``pending``: its state is not known yet; else ``routed``.

    ``execution_time`` is in seconds. ``chosen`` are exchange, symbol and quantity of each part. Quantities are in units
    of the market's base. ``average_price`` is per unit of the base in ``average_price_currency``: the quote of the
    instruments, or USD if their quotes differ; ``nan`` before the first fill and while it is not known.
    ``estimated_costs`` are in USD against the mid price of each book at the decision, ``nan`` for a refused order.
    """

    order_id: str
    exchange: str
    status: Literal["routed", "pending", "failed"]
    routing_reason: str
    estimated_costs: dict[str, float]
    execution_time: float
    backup_exchanges: list[str]
    chosen: list[dict[str, Any]]
    state: str
    filled_quantity: float
    average_price: float
    average_price_currency: str


class ArbitrageAnswer(TypedDict):
    """USD; ``execution_time`` is in seconds. ``profit_realized = entry_edge - exit_cost``.

    ``entry_edge`` is what the fills received, less what they paid and their fees; for two spot trades that is the whole
    profit. With a perpetual both positions stay open: ``exit_cost`` is the cost of closing them at the current books
    (taker fees, and the distance of each book from its mid price), so the profit is what remains once the two prices
    have converged; it is not realised yet. ``nan`` if a book is not known. What is not hedged is in
    ``risk_assessment``.
    """

    arbitrage_id: str
    status: Literal["executed", "partial", "failed"]
    profit_realized: float
    execution_details: dict[str, Any]
    fees_paid: float
    execution_time: float
    risk_assessment: dict[str, Any]
    entry_edge: float
    exit_cost: float


class RebalanceAnswer(TypedDict):
    """``execution_time`` is in seconds; ``planned`` is the status of a dry run; ``plan`` is the plan that was made."""

    rebalance_id: str
    status: Literal["completed", "partial", "failed", "planned"]
    orders_executed: list[dict[str, Any]]
    final_allocation: dict[str, float]
    total_cost: float
    execution_time: float
    slippage_analysis: dict[str, Any]
    plan: dict[str, Any]
    reason: str
