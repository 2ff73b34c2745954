"""The façade for asyncio: the functions of the API reference, as coroutines."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any

from uuid_utils import uuid7

from neuroflux.engine.portfolio.performance import PerformanceAnswer
from neuroflux.errors import UsageError
from neuroflux.exchanges.config import DEFAULT_ROUTING_STRATEGY
from neuroflux.manager import arbitrage, failover, initialise, orders, rebalance
from neuroflux.manager.answers import (
    ArbitrageAnswer,
    BalanceAnswer,
    FailoverAnswer,
    HealthAnswer,
    InitializationAnswer,
    MarketDataAnswer,
    Opportunity,
    OptimizationAnswer,
    RebalanceAnswer,
    RouteOrderAnswer,
)
from neuroflux.manager.configs import read_configs
from neuroflux.manager.connection import Connection
from neuroflux.manager.from_memory import MemoryQueries
from neuroflux.manager.own_stack import find_or_start
from neuroflux.runtime.settings import Settings, load_settings

NOT_OPEN = "the manager is not open: use it in `async with`"


class AsyncExchangeManager:
    """``ExchangeManager`` for asyncio: the same methods, as coroutines.

    An async context manager: entering it connects to the stack of the settings, or starts the local stack if none
    answers on this machine; leaving it disconnects and stops a stack that was started here. Raises Unreachable if the
    stack does not answer, StackError if it can't start, and UsageError for invalid arguments; a failure at an exchange
    is not raised but returned, with its status and reason.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or load_settings()
        self._open = AsyncExitStack()
        self._connection: Connection | None = None
        self._queries: MemoryQueries | None = None
        self._initialising = asyncio.Lock()

    async def __aenter__(self) -> AsyncExchangeManager:
        async with AsyncExitStack() as opening:
            own = await asyncio.to_thread(find_or_start, self._settings)
            if own is not None:
                opening.push_async_callback(asyncio.to_thread, own.stop)
            self._connection = await opening.enter_async_context(Connection(self._settings))
            self._queries = MemoryQueries(self._connection)
            opening.push_async_callback(self._queries.drift.close)
            self._open = opening.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Disconnect, and stop the stack if this manager started it; does nothing the second time.

        See ExchangeManager.close.

        Args:
            None.
        Returns:
            None. Every other method raises UsageError afterwards.
        Raises:
            StackError: the stack that this manager started does not stop.
        Example:
            await manager.close()
        """
        self._connection = self._queries = None
        await self._open.aclose()

    @property
    def queries(self) -> MemoryQueries:
        """The methods that only read memory, without awaiting; raises UsageError outside of the context."""
        if self._queries is None:
            raise UsageError(NOT_OPEN)
        return self._queries

    @property
    def connection(self) -> Connection:
        """The connection that all methods use; raises UsageError outside of the context."""
        if self._connection is None:
            raise UsageError(NOT_OPEN)
        return self._connection

    async def initialize_exchanges(self, exchange_configs: Mapping[str, Mapping[str, object]]) -> InitializationAnswer:
        """Make exchanges ready for use. See ExchangeManager.initialize_exchanges.

        Args:
            exchange_configs: a dict per exchange, with optional ``api_key``, ``secret_key``, ``passphrase``,
                ``subaccount``, ``testnet``, ``default_leverage``, ``max_leverage`` and ``rate_limits``.
        Returns:
            ``initialized_exchanges``, ``failed_exchanges``, ``status``, ``active_connections``, ``connection_health``.
        Raises:
            UsageError: an unknown exchange or key, or an invalid value.
            Unreachable: the connection to the pipeline was lost.
        Example:
            answer = await manager.initialize_exchanges({"binance": {"testnet": True}})
        """
        connection, requested = self.connection, read_configs(exchange_configs)
        async with self._initialising:
            simulated = await asyncio.to_thread(initialise.find_simulated, self._settings)
            answer = await initialise.initialise(connection, simulated, requested)
            ready = answer["initialized_exchanges"]
            self.queries.configured = self.queries.configured | {
                one.exchange: one.exchange in ready for one in requested
            }
        return answer

    async def get_unified_balance(self, asset_filter: Collection[str] | None = None) -> BalanceAnswer:
        """Return the balances and positions of all connected exchanges in USD. See ExchangeManager.get_unified_balance.

        Args:
            asset_filter: the assets to include; None: all.
        Returns:
            ``total_balance_usd``, ``asset_breakdown``, ``exchange_breakdown``, ``available_balance``,
            ``locked_balance``, ``last_updated``, ``sync_status``, ``unpriced``, ``unrealised_pnl_usd``.
        Raises:
            UsageError: ``asset_filter`` is not a list of texts, or the manager is not open.
            Unreachable: the connection to the pipeline was lost.
        Example:
            balance = await manager.get_unified_balance(["BTC"])
        """
        return self.queries.get_unified_balance(asset_filter)

    async def monitor_exchange_health(self) -> HealthAnswer:
        """Return the health of every exchange, and recommended actions. See ExchangeManager.monitor_exchange_health.

        Args:
            None.
        Returns:
            ``overall_health``, ``exchange_status``, ``connectivity_metrics``, ``api_rate_limits``,
            ``recommended_actions``, ``last_checked``.
        Raises:
            UsageError: the manager is not open.
            Unreachable: the connection to the pipeline was lost.
        Example:
            health = await manager.monitor_exchange_health()
        """
        return self.queries.monitor_exchange_health()

    async def get_market_data_aggregated(
        self, symbol: str, exchanges: Collection[str] | None = None
    ) -> MarketDataAnswer:
        """Return the price of a market over all exchanges. See ExchangeManager.get_market_data_aggregated.

        Args:
            symbol: a market (``BTC/USD``) or one instrument's symbol (``BTC/USDT``).
            exchanges: exchange ids to include; None: all.
        Returns:
            ``symbol``, ``aggregated_price``, ``price_range``, ``total_volume``, ``liquidity_score``, ``exchange_data``,
            ``timestamp``, ``data_freshness``, ``status``, ``window_seconds``, ``excluded``, ``causes``.
        Raises:
            UnknownSymbol: no instrument list contains ``symbol`` on these exchanges.
            UsageError: an unknown exchange, or the manager is not open.
            Unreachable: the connection to the pipeline was lost.
        Example:
            data = await manager.get_market_data_aggregated("BTC/USD")
        """
        return self.queries.get_market_data_aggregated(symbol, exchanges)

    async def route_order(
        self, order_request: Mapping[str, Any], routing_strategy: str = DEFAULT_ROUTING_STRATEGY
    ) -> RouteOrderAnswer:
        """Send an order to the exchange that the strategy selects. See ExchangeManager.route_order.

        Args:
            order_request: a dict of ``symbol``, ``side``, ``quantity`` (units of the base), and optional ``type``,
                ``price``, ``time_in_force``, ``exchange``, ``requirements``, ``order_id``.
            routing_strategy: ``optimal``, ``fastest``, ``cheapest``, ``balanced`` or ``redundant``.
        Returns:
            ``order_id``, ``exchange``, ``status``, ``routing_reason``, ``estimated_costs`` (USD), ``execution_time``
            (seconds), ``backup_exchanges``, ``chosen``, ``state``, ``filled_quantity`` (units of the base),
            ``average_price``, ``average_price_currency``.
        Raises:
            UnknownSymbol: no instrument list contains ``symbol``.
            UsageError: an unknown key or an invalid value.
            Unreachable: Kafka did not store the order in time; it may still execute.
        Example:
            result = await manager.route_order({"symbol": "BTC/USD", "side": "buy", "quantity": 0.1})
        """
        return await orders.route(self.connection, order_request, routing_strategy)

    async def execute_cross_exchange_arbitrage(self, opportunity: Mapping[str, Any]) -> ArbitrageAnswer:
        """Trade both legs of an opportunity. See ExchangeManager.execute_cross_exchange_arbitrage.

        Args:
            opportunity: an item of ``scan_arbitrage_opportunities()``.
        Returns:
            ``arbitrage_id``, ``status``, ``profit_realized`` (USD), ``execution_details``, ``fees_paid`` (USD),
            ``execution_time`` (seconds), ``risk_assessment``, ``entry_edge`` (USD), ``exit_cost`` (USD).
        Raises:
            UsageError: a key is missing or invalid.
            Unreachable: Kafka did not store the command in time; it may still execute.
        Example:
            opportunities = await manager.scan_arbitrage_opportunities()
            result = await manager.execute_cross_exchange_arbitrage(opportunities[0])
        """
        return await arbitrage.execute(self.connection, opportunity)

    async def rebalance_portfolio(
        self, target_allocation: Mapping[str, float], max_slippage: float = 0.01, *, dry_run: bool = False
    ) -> RebalanceAnswer:
        """Trade until each asset has its share of the portfolio. See ExchangeManager.rebalance_portfolio.

        Args:
            target_allocation: fractions by asset, with a sum of 1.
            max_slippage: the largest slippage of a trade, a fraction.
            dry_run: True returns the plan without trading.
        Returns:
            ``rebalance_id``, ``status``, ``orders_executed``, ``final_allocation`` (fractions), ``total_cost`` (USD),
            ``execution_time`` (seconds), ``slippage_analysis``, ``plan``, ``reason``.
        Raises:
            UsageError: an invalid share, sum or slippage.
            Unreachable: Kafka did not store the command in time; it may still execute.
        Example:
            result = await manager.rebalance_portfolio({"BTC": 0.4, "USDC": 0.6}, dry_run=True)
        """
        queries = self.queries
        answer = await rebalance.rebalance(
            self.connection, queries.ready, target_allocation, max_slippage, dry_run=dry_run
        )
        if not dry_run:
            queries.drift.set_target(target_allocation)
        return answer

    async def scan_arbitrage_opportunities(self) -> list[Opportunity]:
        """Return the open arbitrage signals that the accounts can fund.

        See ExchangeManager.scan_arbitrage_opportunities.

        Args:
            None.
        Returns:
            A list of dicts: ``symbol``, ``expected_profit`` (USD), ``signal_id``, ``market``, ``kind``,
            ``buy_exchange``, ``buy_symbol``, ``buy_price``, ``sell_exchange``, ``sell_symbol``, ``sell_price``,
            ``quantity``, ``gross_profit``, ``fees``, ``conversion_cost``, ``created_at``, ``expires_at``, ``causes``,
            ``fundable_quantity``, ``market_profit``, ``entry_edge``, ``exit_cost``.
        Raises:
            UsageError: the manager is not open.
            Unreachable: the connection to the pipeline was lost.
        Example:
            opportunities = await manager.scan_arbitrage_opportunities()
        """
        return self.queries.scan_arbitrage_opportunities()

    async def setup_exchange_failover(self, primary_exchange: str, backup_exchanges: Sequence[str]) -> FailoverAnswer:
        """Set the backups of an exchange and test them. See ExchangeManager.setup_exchange_failover.

        Args:
            primary_exchange: an exchange id.
            backup_exchanges: at least one exchange id, in order of priority.
        Returns:
            ``failover_config_id``, ``primary_exchange``, ``backup_exchanges``, ``failover_conditions``,
            ``test_status``, ``activation_status``, ``backup_tests``.
        Raises:
            UsageError: an unknown exchange, no backup, or the primary among its backups.
            Unreachable: the connection to the pipeline was lost.
        Example:
            failover = await manager.setup_exchange_failover("hyperliquid", ["binance"])
        """
        return await failover.set_up_failover(self.connection, primary_exchange, backup_exchanges, str(uuid7()))

    async def optimize_execution_parameters(
        self, symbol: str, order_size: float, urgency: str = "normal"
    ) -> OptimizationAnswer:
        """Recommend exchange, splitting and timing of an order. See ExchangeManager.optimize_execution_parameters.

        Args:
            symbol: a market (``BTC/USD``) or one instrument's symbol (``BTC/USDT``).
            order_size: units of the base; below 0 to sell.
            urgency: ``low``, ``normal``, ``high`` or ``critical``.
        Returns:
            ``recommended_exchange``, ``order_splitting``, ``timing_strategy``, ``expected_slippage`` (percent),
            ``expected_cost`` (USD), ``confidence_score`` (0 to 1), ``slices``, ``reasons``.
        Raises:
            UnknownSymbol: no instrument list contains ``symbol``.
            UsageError: ``order_size`` is 0 or not a number, or ``urgency`` is unknown.
            Unreachable, Refused: ClickHouse does not answer, or refuses the query.
        Example:
            advice = await manager.optimize_execution_parameters("BTC/USD", 2.5, urgency="low")
        """
        from neuroflux.manager import optimise

        return await optimise.optimise_execution(self.connection, symbol, order_size, urgency)

    async def track_portfolio_performance(self, benchmark_symbols: Sequence[str] | None = None) -> PerformanceAnswer:
        """Return profit, risk and attribution of the holdings. See ExchangeManager.track_portfolio_performance.

        Args:
            benchmark_symbols: markets, symbols or assets to compare with; None: none.
        Returns:
            ``performance_metrics``, ``benchmark_comparison``, ``risk_metrics``, ``attribution_analysis``,
            ``period_returns``, ``volatility_analysis``, ``history``, ``notes``, ``unpriced``.
        Raises:
            UnknownSymbol: no instrument list contains a benchmark.
            UsageError: ``benchmark_symbols`` is a text and not a list.
            Unreachable, Refused: ClickHouse does not answer, or refuses the query.
        Example:
            performance = await manager.track_portfolio_performance(["BTC"])
        """
        from neuroflux.manager import performance

        return await performance.track_performance(self.connection, self.queries.ready, benchmark_symbols)
