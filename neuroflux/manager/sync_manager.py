"""The façade over all exchanges, as the API reference has it: ``from neuroflux import ExchangeManager``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import TracebackType
from typing import Any

from neuroflux.engine.portfolio.performance import PerformanceAnswer
from neuroflux.exchanges.config import DEFAULT_ROUTING_STRATEGY
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
from neuroflux.manager.session import Session
from neuroflux.runtime.settings import Settings


class ExchangeManager:
    """One place to see, route and follow orders on every exchange that the running pipeline knows.

    Making one finds the stack by the settings, or starts the local one where none answers on this machine. It may be
    used from several threads, and as a context manager; ``close``, or the end of the program, leaves the stack, and
    stops it if it was started here. Raises what ``AsyncExchangeManager`` raises, with the same methods.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._session = Session(settings)

    def __enter__(self) -> ExchangeManager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Leave the pipeline, and stop the stack where it was started here; again does nothing."""
        self._session.close()

    def initialize_exchanges(self, exchange_configs: Mapping[str, Mapping[str, object]]) -> InitializationAnswer:
        """Make sure that exchanges can be used; again adds and updates. See ``AsyncExchangeManager``."""
        return self._session.run(lambda manager: manager.initialize_exchanges(exchange_configs))

    def get_unified_balance(self, asset_filter: Collection[str] | None = None) -> BalanceAnswer:
        """What is held on all connected exchanges, in USD. See manager/balances.py."""
        return self._session.queries.get_unified_balance(asset_filter)

    def monitor_exchange_health(self) -> HealthAnswer:
        """How every exchange is, and what to do about it. See manager/health.py."""
        return self._session.queries.monitor_exchange_health()

    def get_market_data_aggregated(self, symbol: str, exchanges: Collection[str] | None = None) -> MarketDataAnswer:
        """A market's price over the exchanges that agree. Raises UnknownSymbol. See manager/market_data.py."""
        return self._session.queries.get_market_data_aggregated(symbol, exchanges)

    def route_order(
        self, order_request: Mapping[str, Any], routing_strategy: str = DEFAULT_ROUTING_STRATEGY
    ) -> RouteOrderAnswer:
        """Send an order where the strategy says, and answer when its state is known. See manager/orders.py.

        ``quantity`` is in units of the market's base, ``price`` per unit of it: in USD for a market, in its quote for a
        symbol. Quantities and prices of the answer are per unit of the base too.
        """
        return self._session.run(lambda manager: manager.route_order(order_request, routing_strategy))

    def execute_cross_exchange_arbitrage(self, opportunity: Mapping[str, Any]) -> ArbitrageAnswer:
        """Take one of ``scan_arbitrage_opportunities``; both legs are one command. See manager/arbitrage.py.

        Money is in USD; what stays open is counted with what closing it will cost.
        """
        return self._session.run(lambda manager: manager.execute_cross_exchange_arbitrage(opportunity))

    def rebalance_portfolio(
        self, target_allocation: Mapping[str, float], max_slippage: float = 0.01, *, dry_run: bool = False
    ) -> RebalanceAnswer:
        """Trade until each asset has its share; with ``dry_run`` only say how. See manager/rebalance.py."""
        return self._session.run(
            lambda manager: manager.rebalance_portfolio(target_allocation, max_slippage, dry_run=dry_run)
        )

    def scan_arbitrage_opportunities(self) -> list[Opportunity]:
        """The signals that are open and that the accounts can take, best first. See manager/opportunities.py."""
        return self._session.queries.scan_arbitrage_opportunities()

    def setup_exchange_failover(self, primary_exchange: str, backup_exchanges: Sequence[str]) -> FailoverAnswer:
        """Say where orders for an exchange go while it can't take them. See manager/failover.py."""
        return self._session.run(lambda manager: manager.setup_exchange_failover(primary_exchange, backup_exchanges))

    def optimize_execution_parameters(
        self, symbol: str, order_size: float, urgency: str = "normal"
    ) -> OptimizationAnswer:
        """How to trade a size in units of the base, negative to sell; a size above one order's limit is split.

        ``urgency`` is ``low``, ``normal``, ``high`` or ``critical``.
        """
        return self._session.run(lambda manager: manager.optimize_execution_parameters(symbol, order_size, urgency))

    def track_portfolio_performance(self, benchmark_symbols: Sequence[str] | None = None) -> PerformanceAnswer:
        """Returns, risk and attribution of what was held on the connected exchanges, against benchmarks."""
        return self._session.run(lambda manager: manager.track_portfolio_performance(benchmark_symbols))
