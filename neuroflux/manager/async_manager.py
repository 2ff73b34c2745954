"""The façade for those who live in asyncio: the API reference's functions, as coroutines."""

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
    """One place to see, route and follow orders on every exchange that the running pipeline knows.

    An async context manager: entering it finds the stack by the settings, or starts the local one where none answers on
    this machine, which it stops again when it is left. Raises Unreachable where the stack does not answer, StackError
    where it can't be started, and UsageError, with the argument's name, for wrong use; what goes wrong on an exchange
    is an answer with its status and reason.
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
        """Leave the pipeline; again does nothing."""
        self._connection = self._queries = None
        await self._open.aclose()

    @property
    def queries(self) -> MemoryQueries:
        """The methods that answer from memory, without awaiting; raises UsageError outside of the context."""
        if self._queries is None:
            raise UsageError(NOT_OPEN)
        return self._queries

    @property
    def connection(self) -> Connection:
        """What all methods work on; raises UsageError outside of the context."""
        if self._connection is None:
            raise UsageError(NOT_OPEN)
        return self._connection

    async def initialize_exchanges(self, exchange_configs: Mapping[str, Mapping[str, object]]) -> InitializationAnswer:
        """Make sure that exchanges can be used; again adds and updates. See manager/initialise.py.

        Keys of a configuration: ``api_key``, ``secret_key``, ``passphrase``, ``testnet``, ``max_leverage``,
        ``default_leverage`` (both at least 1), ``rate_limits`` (``weight_per_minute``, ``requests_per_minute``,
        ``requests_per_second``), ``subaccount``. Takes ``EXCHANGE_TIMEOUTS['initialize']`` seconds at most.
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
        """What is held on all connected exchanges, in USD. See manager/balances.py."""
        return self.queries.get_unified_balance(asset_filter)

    async def monitor_exchange_health(self) -> HealthAnswer:
        """How every exchange is, and what to do about it. See manager/health.py."""
        return self.queries.monitor_exchange_health()

    async def get_market_data_aggregated(
        self, symbol: str, exchanges: Collection[str] | None = None
    ) -> MarketDataAnswer:
        """A market's price over the exchanges that agree. Raises UnknownSymbol. See manager/market_data.py."""
        return self.queries.get_market_data_aggregated(symbol, exchanges)

    async def route_order(
        self, order_request: Mapping[str, Any], routing_strategy: str = DEFAULT_ROUTING_STRATEGY
    ) -> RouteOrderAnswer:
        """Send an order where the strategy says, and answer when its state is known. See manager/orders.py.

        ``quantity`` is in units of the market's base, ``price`` per unit of it: in USD for a market, in its quote for a
        symbol. Quantities and prices of the answer are per unit of the base too.
        """
        return await orders.route(self.connection, order_request, routing_strategy)

    async def execute_cross_exchange_arbitrage(self, opportunity: Mapping[str, Any]) -> ArbitrageAnswer:
        """Take one of ``scan_arbitrage_opportunities``; both legs are one command. See manager/arbitrage.py.

        Money is in USD; what stays open is counted with what closing it will cost.
        """
        return await arbitrage.execute(self.connection, opportunity)

    async def rebalance_portfolio(
        self, target_allocation: Mapping[str, float], max_slippage: float = 0.01, *, dry_run: bool = False
    ) -> RebalanceAnswer:
        """Trade until each asset has its share; with ``dry_run`` only say how. See manager/rebalance.py."""
        queries = self.queries
        answer = await rebalance.rebalance(
            self.connection, queries.ready, target_allocation, max_slippage, dry_run=dry_run
        )
        if not dry_run:
            queries.drift.set_target(target_allocation)
        return answer

    async def scan_arbitrage_opportunities(self) -> list[Opportunity]:
        """The signals that are open and that the accounts can take, best first. See manager/opportunities.py."""
        return self.queries.scan_arbitrage_opportunities()

    async def setup_exchange_failover(self, primary_exchange: str, backup_exchanges: Sequence[str]) -> FailoverAnswer:
        """Say where orders for an exchange go while it can't take them. See manager/failover.py."""
        return await failover.set_up_failover(self.connection, primary_exchange, backup_exchanges, str(uuid7()))

    async def optimize_execution_parameters(
        self, symbol: str, order_size: float, urgency: str = "normal"
    ) -> OptimizationAnswer:
        """How to trade a size in units of the base, negative to sell; a size above one order's limit is split.

        ``urgency`` is ``low``, ``normal``, ``high`` or ``critical``.
        """
        from neuroflux.manager import optimise

        return await optimise.optimise_execution(self.connection, symbol, order_size, urgency)

    async def track_portfolio_performance(self, benchmark_symbols: Sequence[str] | None = None) -> PerformanceAnswer:
        """Returns, risk and attribution of what was held on the connected exchanges, against benchmarks."""
        from neuroflux.manager import performance

        return await performance.track_performance(self.connection, self.queries.ready, benchmark_symbols)
