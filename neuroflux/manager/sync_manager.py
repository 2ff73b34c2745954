"""The façade over all exchanges, with the functions of the API reference."""

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
    """Unified access to every exchange of the running pipeline: market data, balances, orders and their results.

    Creating one connects to the stack of the settings, or starts the local stack if none answers on this machine. It
    may be used from several threads, and as a context manager. ``close``, or the end of the program, disconnects and
    stops a stack that was started here. Raises Unreachable if the stack does not answer, StackError if it can't start,
    and UsageError for invalid arguments; a failure at an exchange is not raised but returned, with status and reason.
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
        """Disconnect from the pipeline, and stop the stack if this manager started it; does nothing the second time.

        Args:
            None.
        Returns:
            None. Every other method raises UsageError afterwards.
        Raises:
            StackError: the stack that this manager started does not stop.
        Example:
            manager.close()
        """
        self._session.close()

    def initialize_exchanges(self, exchange_configs: Mapping[str, Mapping[str, object]]) -> InitializationAnswer:
        """Make exchanges ready for use; another call adds exchanges and updates their configuration.

        An exchange that is not ready within ``EXCHANGE_TIMEOUTS["initialize"]`` seconds (15) is returned as failed,
        with the reason. If keys change, a local stack first restarts its services, which may take 60 s more. Keys of a
        real exchange that may withdraw are refused, where the exchange reports it: trading needs no such right.

        Args:
            exchange_configs: a dict per exchange: ``binance`` (spot and USDⓈ-M), ``binanceusdm`` or ``hyperliquid``.
                All keys are optional: ``api_key``, ``secret_key`` (Hyperliquid: account address, the agent's private
                key), ``passphrase``, ``subaccount``; ``testnet`` (bool); ``default_leverage``, ``max_leverage`` (at
                least 1); ``rate_limits``, a dict of ``weight_per_minute``, ``requests_per_minute`` or
                ``requests_per_second``.
                Simulated exchanges accept any keys.
        Returns:
            ``initialized_exchanges``, ``failed_exchanges``: exchange ids.
            ``status``: ``full_success``, ``partial_success`` or ``failed``.
            ``active_connections``: the number of initialized exchanges.
            ``connection_health``, by id: ``status`` (``online``, ``degraded``, ``offline``, ``unknown``), ``simulated``
                (bool), ``reason`` (why it failed, else ""), ``keys`` (``demo``, ``own``, ``none``), ``latency_ms``,
                ``balances_age_seconds``, ``last_successful_request`` (ISO 8601, UTC) and ``limits`` (those in force, by
                name).
        Raises:
            UsageError: an unknown exchange or key, or an invalid value; the text names it.
            Unreachable: the connection to the pipeline was lost.
        Example:
            answer = manager.initialize_exchanges({"binance": {"testnet": True}, "hyperliquid": {"testnet": True}})
            print(answer["failed_exchanges"])
        """
        return self._session.run(lambda manager: manager.initialize_exchanges(exchange_configs))

    def get_unified_balance(self, asset_filter: Collection[str] | None = None) -> BalanceAnswer:
        """Return the balances and positions of all connected exchanges, valued in USD; answered from memory.

        Args:
            asset_filter: the assets to include, such as ``["BTC", "USDC"]``; None: all.
        Returns:
            ``total_balance_usd``: equity, with unrealised profit.
            ``asset_breakdown``, by asset: ``total``, ``available``, ``in_positions``, ``in_orders``, ``unrealised_pnl``
                (units of the asset) and ``value_usd`` (of ``total - unrealised_pnl``).
            ``exchange_breakdown``, by exchange: ``total_usd``, ``unrealised_pnl_usd``, ``assets`` (as
                ``asset_breakdown``) and ``parts`` (the accounts behind the name, if several).
            ``available_balance``, ``locked_balance``: units by asset.
            ``last_updated``: ISO 8601, UTC.
            ``sync_status``, by exchange id: ``status`` (``synced``, ``differs``, ``stale``, ``missing``),
                ``age_seconds``, ``agrees`` (stream and REST; None: not known) and ``detail``.
            ``unpriced``: assets, and positions as ``exchange:symbol``, without a price: their value is ``nan`` and no
                sum includes it.
            ``unrealised_pnl_usd``: of all positions.
        Raises:
            UsageError: ``asset_filter`` is not a list of texts, or the manager is closed.
            Unreachable: the connection to the pipeline was lost.
        Example:
            balance = manager.get_unified_balance(["BTC"])
            print(balance["asset_breakdown"]["BTC"]["available"])
        """
        return self._session.queries.get_unified_balance(asset_filter)

    def monitor_exchange_health(self) -> HealthAnswer:
        """Return the health of every configured exchange, and recommended actions; answered from memory.

        Args:
            None.
        Returns:
            ``overall_health``: ``healthy``, ``degraded`` (an exchange is not online) or ``critical`` (none is up, or
                more are down than up).
            ``exchange_status``, by exchange id: ``status`` (``online``, ``degraded``, ``offline``), ``latency_ms``,
                ``uptime_percent`` (24 hours), ``rate_limit_usage`` (percent), ``last_successful_request`` (ISO 8601,
                UTC), ``reason`` and ``age_seconds``.
            ``connectivity_metrics``: ``average_latency_ms``, ``worst_latency_ms``, ``average_uptime_percent``,
                ``online`` and ``total`` (exchanges with a health report).
            ``api_rate_limits``, by id: ``usage_percent``, ``usable_percent``, ``left_percent``, ``near_limit`` (bool).
            ``recommended_actions``: dicts of ``exchange``, ``condition`` (such as ``offline`` or ``slow``), ``action``
                and ``reason``.
            ``last_checked``: ISO 8601, UTC. Figures that are not known are ``nan``.
        Raises:
            UsageError: the manager is closed.
            Unreachable: the connection to the pipeline was lost.
        Example:
            health = manager.monitor_exchange_health()
            print(health["overall_health"], [action["action"] for action in health["recommended_actions"]])
        """
        return self._session.queries.monitor_exchange_health()

    def get_market_data_aggregated(self, symbol: str, exchanges: Collection[str] | None = None) -> MarketDataAnswer:
        """Return the price of a market over the exchanges that are fresh and agree; answered from memory.

        Args:
            symbol: a market (``BTC/USD``: all instruments) or one instrument's symbol (``BTC/USDT``,
                ``BTC/USDT:USDT``).
            exchanges: exchange ids to include, such as ``["binance"]``; None: all.
        Returns:
            ``symbol``: as passed.
            ``aggregated_price``: volume-weighted, USD per unit of the base.
            ``price_range``: ``min`` and ``max``, the same unit.
            ``total_volume``: units of the base in the window.
            ``liquidity_score``: 0 to 1.
            ``exchange_data``, by exchange: ``bid``, ``ask``, ``price`` (USD), ``volume`` and ``instruments``, by
                symbol, in the instrument's own quote: ``bid``, ``ask``, ``bid_size``, ``ask_size``, ``bids``, ``asks``
                (pairs of price and quantity), ``book_time``; and ``price_usd``, ``volume``, ``included`` (bool).
            ``timestamp``: ISO 8601, UTC.
            ``data_freshness``: age of the newest book in seconds, by exchange.
            ``status``: ``live`` or ``no_data`` (the price is then ``nan``).
            ``window_seconds``: the window of price and volume.
            ``excluded``: the reason by ``exchange:symbol``.
            ``causes``: the records behind the price (``topic``, ``partition``, ``offset``).
        Raises:
            UnknownSymbol: no instrument list contains ``symbol`` on these exchanges.
            UsageError: an unknown exchange, or the manager is closed.
            Unreachable: the connection to the pipeline was lost.
        Example:
            data = manager.get_market_data_aggregated("BTC/USD")
            print(data["aggregated_price"], data["price_range"]["min"])
        """
        return self._session.queries.get_market_data_aggregated(symbol, exchanges)

    def route_order(
        self, order_request: Mapping[str, Any], routing_strategy: str = DEFAULT_ROUTING_STRATEGY
    ) -> RouteOrderAnswer:
        """Send an order to the exchange that the strategy selects, and return once its state is known.

        After ``EXCHANGE_TIMEOUTS["order"]`` seconds (5) without a known state the order is returned as ``pending``; it
        remains in progress.

        Args:
            order_request: a dict of ``symbol`` (a market such as ``BTC/USD``, or one instrument's symbol such as
                ``BTC/USDT``), ``side`` (``buy``, ``sell``) and ``quantity`` (above 0, units of the base). Optional:
                ``type`` (``market``, ``limit``); ``price`` (limit orders only; per unit of the base, in USD for a
                market, in the quote for a symbol); ``time_in_force`` (``gtc``, ``ioc``, ``fok``, ``post_only``);
                ``exchange`` (an id: only there); ``requirements`` (``max_slippage`` and ``max_fee`` as fractions,
                ``min_liquidity`` in USD; 0: no bound); ``order_id`` (1 to 100 letters, digits or any of ``_.:-``; a
                repeated id does not create a second order).
            routing_strategy: ``optimal`` (price and liquidity), ``fastest``, ``cheapest`` (fees), ``balanced`` (cost
                and speed) or ``redundant`` (split over several exchanges).
        Returns:
            ``order_id``: the id of the order.
            ``exchange``: the first chosen exchange, "" if none.
            ``status``: ``routed`` (filled, in part or whole, or resting at its exchange), ``pending`` (state not known
                yet) or ``failed`` (ended without a fill).
            ``routing_reason``: the reason of the choice or of the failure.
            ``estimated_costs``, USD: ``fee``, ``spread``, ``slippage``, ``conversion``, ``total``.
            ``execution_time``: expected latency in seconds.
            ``backup_exchanges``: the others that could take the whole order, cheapest first.
            ``chosen``: dicts of ``exchange``, ``symbol``, ``quantity``.
            ``state``: the newest order state, such as ``filled``.
            ``filled_quantity``: units of the base.
            ``average_price``: per unit of the base, in ``average_price_currency`` (the quote, or USD for several
                quotes). Figures that are not known are ``nan``.
        Raises:
            UnknownSymbol: no instrument list contains ``symbol``.
            UsageError: an unknown key or an invalid value; the text names it.
            Unreachable: Kafka did not store the order in time; the text has its ``order_id``, under which it may still
                execute.
        Example:
            result = manager.route_order({"symbol": "BTC/USD", "side": "buy", "quantity": 0.1}, "cheapest")
            print(result["status"], result["exchange"], result["average_price"])
        """
        return self._session.run(lambda manager: manager.route_order(order_request, routing_strategy))

    def execute_cross_exchange_arbitrage(self, opportunity: Mapping[str, Any]) -> ArbitrageAnswer:
        """Trade both legs of an opportunity as one command, and return when they have ended, after 60 s at most.

        Args:
            opportunity: an item of ``scan_arbitrage_opportunities()``. The smaller of its ``quantity`` and
                ``fundable_quantity`` is traded. An expired opportunity, or one that no longer pays ``exit_cost``, fails
                without an order.
        Returns:
            ``arbitrage_id``: the order id.
            ``status``: ``executed``, ``partial`` or ``failed`` (no fill).
            ``profit_realized``: ``entry_edge - exit_cost``, USD.
            ``execution_details``: ``legs`` (dicts of ``exchange``, ``symbol``, ``side``, ``quantity``,
                ``average_price``, ``currency``, ``fees``, ``trades``), ``reason``, ``decision``, ``state``,
                ``complete`` (bool) and ``unpriced``.
            ``fees_paid``: USD.
            ``execution_time``: seconds.
            ``risk_assessment``: ``naked_usd_max`` and ``naked_ms`` (largest unhedged value, and how long),
                ``open_quantity`` (units of the base, below 0: short) and ``open_usd``, what is still unhedged.
            ``entry_edge``: USD received, less USD paid and fees.
            ``exit_cost``: USD to close the perpetual positions that stay open; 0 for spot. Figures without a rate or
                book are ``nan``.
        Raises:
            UsageError: a key is missing or invalid; the text names it.
            Unreachable: Kafka did not store the command in time; it may still execute.
        Example:
            for opportunity in manager.scan_arbitrage_opportunities()[:1]:
                print(manager.execute_cross_exchange_arbitrage(opportunity)["profit_realized"])
        """
        return self._session.run(lambda manager: manager.execute_cross_exchange_arbitrage(opportunity))

    def rebalance_portfolio(
        self, target_allocation: Mapping[str, float], max_slippage: float = 0.01, *, dry_run: bool = False
    ) -> RebalanceAnswer:
        """Trade spot instruments until each asset has its share of the portfolio; waits up to 60 s for the trades.

        Transfers between exchanges are proposed in ``plan``, not made. Each call that trades sets the target that
        ``monitor_exchange_health`` checks for drift.

        Args:
            target_allocation: fractions by asset, at least 0, with a sum of 1, such as ``{"BTC": 0.4, "USDC": 0.6}``.
            max_slippage: the largest slippage of a trade from the mid price, a fraction from 0 to below 1.
            dry_run: True returns the plan without trading.
        Returns:
            ``rebalance_id``: the order id.
            ``status``: ``completed``, ``partial``, ``failed`` (nothing could be traded) or ``planned`` (dry run).
            ``orders_executed``: dicts of ``exchange``, ``symbol``, ``side``, ``quantity`` (units of the base),
                ``average_price`` (in ``currency``), ``fees`` (by asset) and ``trades`` (ids).
            ``final_allocation``: fractions by asset.
            ``total_cost``: fees and slippage, USD.
            ``execution_time``: seconds.
            ``slippage_analysis``: ``max_allowed``, ``total_usd`` and ``trades`` (expected and actual price and slippage
                of each).
            ``plan``: ``total_usd``, ``current_allocation``, ``expected_allocation``, ``total_cost``, ``trades``,
                ``transfers``, ``locked``, ``skipped`` (each with a reason) and ``partial``.
            ``reason``: why something was not traded, else "".
        Raises:
            UsageError: an invalid share, sum or slippage; the text names the argument.
            Unreachable: Kafka did not store the command in time; it may still execute.
        Example:
            plan = manager.rebalance_portfolio({"BTC": 0.4, "USDC": 0.6}, max_slippage=0.005, dry_run=True)["plan"]
            print(plan["trades"], plan["skipped"])
        """
        return self._session.run(
            lambda manager: manager.rebalance_portfolio(target_allocation, max_slippage, dry_run=dry_run)
        )

    def scan_arbitrage_opportunities(self) -> list[Opportunity]:
        """Return the open arbitrage signals that the accounts can fund, the highest profit first; answered from memory.

        Args:
            None.
        Returns:
            A list of dicts.
            ``symbol``, ``market``: the market.
            ``expected_profit``: net USD for ``fundable_quantity``.
            ``signal_id``: unique per signal.
            ``kind``: ``spot``, ``perpetual`` or ``basis``.
            ``buy_exchange``, ``buy_symbol``, ``buy_price``, ``sell_exchange``, ``sell_symbol``, ``sell_price``: the
                legs; prices per unit of the base, in each instrument's quote.
            ``quantity``, ``fundable_quantity``: what the books hold and what the accounts can fund (``nan``: not
                known), units of the base. For ``quantity``, in USD: ``gross_profit``, ``fees``, ``conversion_cost``,
                ``entry_edge`` (``gross_profit - fees - conversion_cost``), ``exit_cost`` (of closing perpetual
                positions) and ``market_profit`` (``entry_edge - exit_cost``).
            ``created_at``, ``expires_at``: ISO 8601, UTC.
            ``causes``: the records behind the signal (``topic``, ``partition``, ``offset``).
        Raises:
            UsageError: the manager is closed.
            Unreachable: the connection to the pipeline was lost.
        Example:
            for opportunity in manager.scan_arbitrage_opportunities():
                print(opportunity["symbol"], opportunity["expected_profit"])
        """
        return self._session.queries.scan_arbitrage_opportunities()

    def setup_exchange_failover(self, primary_exchange: str, backup_exchanges: Sequence[str]) -> FailoverAnswer:
        """Set the backups of an exchange and test them; orders for the exchange move to a backup while it is unable.

        The failover is stored in Kafka and remains in force after ``close``; another call replaces it. The test takes
        ``EXCHANGE_TIMEOUTS["read"]`` seconds (10) at most.

        Args:
            primary_exchange: an exchange id, such as ``hyperliquid``.
            backup_exchanges: at least one exchange id, in order of priority.
        Returns:
            ``failover_config_id``: the id of this failover.
            ``primary_exchange``, ``backup_exchanges``: as passed.
            ``failover_conditions``: ``offline`` (1: on), ``stale_seconds``, ``error_rate`` (fraction of requests),
                ``latency_ms``: the limits beyond which the primary is unable.
            ``test_status``: ``tested`` (all passed), ``failed`` or ``untested`` (nothing is known of a backup).
            ``activation_status``: ``active`` if a backup passed, else ``inactive``.
            ``backup_tests``, by id: ``passed`` (bool), ``health``, ``signed_read_ms``, ``book_age_seconds``,
                ``funds_usd`` and ``reason`` (of a failure, else "").
        Raises:
            UsageError: an unknown exchange, no backup, or the primary among its backups.
            Unreachable: the connection to the pipeline was lost.
        Example:
            failover = manager.setup_exchange_failover("hyperliquid", ["binance"])
            print(failover["activation_status"], failover["backup_tests"]["binance"]["reason"])
        """
        return self._session.run(lambda manager: manager.setup_exchange_failover(primary_exchange, backup_exchanges))

    def optimize_execution_parameters(
        self, symbol: str, order_size: float, urgency: str = "normal"
    ) -> OptimizationAnswer:
        """Recommend exchange, splitting and timing of an order, from the current books and past orders; sends nothing.

        Args:
            symbol: a market (``BTC/USD``) or one instrument's symbol (``BTC/USDT``).
            order_size: units of the base; below 0 to sell.
            urgency: ``low``, ``normal``, ``high`` or ``critical``: slices of 5, 10 or 20 % of the traded volume, or at
                once.
        Returns:
            ``recommended_exchange``: the one with the largest share, "" if none.
            ``order_splitting``, by ``exchange/symbol``: ``exchange``, ``symbol``, ``quantity``, ``share`` (0 to 1),
                ``slice_quantity``, ``slices``.
            ``timing_strategy``: text.
            ``expected_slippage``: percent of the mid price.
            ``expected_cost``: all costs, USD.
            ``confidence_score``: 0 to 1.
            ``slices``: ``count``, ``quantity``, ``last_quantity``, ``interval_seconds``, ``participation`` (fraction of
                the volume).
            ``reasons``: of the choice, or why nothing is recommended; slippage and cost are then ``nan``. Quantities
                are in units of the base.
        Raises:
            UnknownSymbol: no instrument list contains ``symbol``.
            UsageError: ``order_size`` is 0 or not a number, or ``urgency`` is unknown.
            Unreachable, Refused: ClickHouse does not answer, or refuses the query.
        Example:
            advice = manager.optimize_execution_parameters("BTC/USD", 2.5, urgency="low")
            print(advice["timing_strategy"], advice["expected_cost"])
        """
        return self._session.run(lambda manager: manager.optimize_execution_parameters(symbol, order_size, urgency))

    def track_portfolio_performance(self, benchmark_symbols: Sequence[str] | None = None) -> PerformanceAnswer:
        """Return profit, risk and attribution of the connected exchanges' holdings, from the stored minutes.

        Args:
            benchmark_symbols: markets (``BTC/USD``), symbols or assets (``BTC``) to compare with; None: none.
        Returns:
            Returns and drawdowns are fractions, times ISO 8601 in UTC; None: the history is too short.
            ``performance_metrics``: ``equity_usd``, ``start_equity_usd``, ``profit_usd``, ``flows_usd``,
                ``total_return``, ``annual_return``.
            ``benchmark_comparison``, by symbol: ``samples``, ``return``, ``active_return``, ``beta``, ``alpha``,
                ``correlation``, ``tracking_error``; or ``samples`` and ``note``.
            ``risk_metrics``: ``sharpe_ratio``, ``sortino_ratio``, ``calmar_ratio``, ``max_drawdown``,
                ``value_at_risk_95``, ``expected_shortfall_95`` (of one minute).
            ``attribution_analysis``, USD: ``total``, ``by_exchange``, ``by_asset``, ``by_exchange_and_asset``.
            ``period_returns``: ``1h``, ``24h``, ``7d``, ``30d``, ``all``.
            ``volatility_analysis``: ``annual_volatility``, ``last_hour_volatility``, ``max_drawdown``,
                ``drawdown_start``, ``drawdown_trough``, ``drawdown_recovered``, ``current_drawdown``.
            ``history``: ``from``, ``to``, ``samples``, ``interval_seconds``, ``missing_minutes``.
            ``notes``: what limits the figures.
            ``unpriced``: assets without any price, which count as 0.
        Raises:
            UnknownSymbol: no instrument list contains a benchmark.
            UsageError: ``benchmark_symbols`` is a text and not a list.
            Unreachable, Refused: ClickHouse does not answer, or refuses the query.
        Example:
            performance = manager.track_portfolio_performance(["BTC"])
            print(performance["performance_metrics"]["profit_usd"], performance["risk_metrics"]["max_drawdown"])
        """
        return self._session.run(lambda manager: manager.track_portfolio_performance(benchmark_symbols))
