"""The façade's methods that only read memory: none of them waits, so all may be called from any thread."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from neuroflux.exchanges.config import REBALANCE_FREQUENCY
from neuroflux.manager import balances, health, market_data, opportunities
from neuroflux.manager.answers import BalanceAnswer, HealthAnswer, MarketDataAnswer, Opportunity
from neuroflux.manager.connection import Connection
from neuroflux.manager.drift import DriftWatch


class MemoryQueries:
    """The queries, each answered from one snapshot. Raises Unreachable if the connection was lost.

    ``configured`` holds the exchange ids of ``initialize_exchanges``; while it is empty, every exchange of the settings
    is used.
    """

    def __init__(self, connection: Connection, frequency: timedelta | None = REBALANCE_FREQUENCY) -> None:
        self._connection = connection
        self.drift = DriftWatch(connection, lambda: self.ready, frequency)
        self.configured: dict[str, bool] = {}
        """By exchange id: whether it was ready when it was configured."""

    @property
    def _all(self) -> tuple[str, ...]:
        return tuple(self.configured) or self._connection.settings.exchanges

    @property
    def ready(self) -> tuple[str, ...]:
        """The connected exchanges: those that failed are left out."""
        return tuple(name for name in self._all if self.configured.get(name, True))

    def get_unified_balance(self, asset_filter: Collection[str] | None = None) -> BalanceAnswer:
        self._connection.check()
        with self._connection.view.lock:
            return balances.unified_balance(self._connection.view, self.ready, asset_filter, self._connection.now())

    def monitor_exchange_health(self) -> HealthAnswer:
        self._connection.check()
        with self._connection.view.lock:
            answer = health.exchange_health(self._connection.view, self._all, self._connection.now())
        if self.drift.action is not None:
            answer["recommended_actions"].append(self.drift.action)
        return answer

    def get_market_data_aggregated(self, symbol: str, exchanges: Collection[str] | None = None) -> MarketDataAnswer:
        self._connection.check()
        with self._connection.view.lock:
            return market_data.market_data(self._connection.view, symbol, exchanges, self._connection.now())

    def scan_arbitrage_opportunities(self) -> list[Opportunity]:
        self._connection.check()
        with self._connection.view.lock:
            return opportunities.opportunities(self._connection.view, self._connection.now())
