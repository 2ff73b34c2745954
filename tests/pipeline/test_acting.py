"""Orders, pairs, rebalances and failovers of the façade on the running pipeline, checked against the exchanges."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from neuroflux.domain import ControlCommand, ControlKind
from neuroflux.engine.risk.command_bounds import LIMITS
from neuroflux.errors import UnknownSymbol, UsageError
from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.exchanges.hyperliquid.exchange import Hyperliquid
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.manager.answers import RouteOrderAnswer
from neuroflux.records.topics import CONTROL
from neuroflux.runtime.settings import Settings
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

ORDER = {"symbol": "BTC/USD", "side": "buy", "quantity": 0.002, "type": "market"}


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    """A separate pipeline for this module: its trades spend money that other tests need."""
    yield from run_pipeline(tmp_path_factory.mktemp("own"), make_settings)


@pytest.fixture(scope="module")
def manager(pipeline: Pipeline) -> Iterator[ExchangeManager]:
    with ExchangeManager(pipeline.settings) as opened:
        assert opened.initialize_exchanges({"hyperliquid": {}, "binance": {}})["status"] == "full_success"
        yield opened


def accepted(pipeline: Pipeline, since: int) -> list[dict[str, Any]]:
    """The orders that the exchanges accepted, after the first ``since``."""
    orders: list[dict[str, Any]] = pipeline.sim("/sim/orders")
    return orders[since:]


def held(manager: ExchangeManager, asset: str) -> float:
    """The amount of this asset, as the exchanges report it."""
    return manager.get_unified_balance([asset])["asset_breakdown"].get(asset, {"total": 0.0})["total"]


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("strategy", ["optimal", "fastest", "cheapest", "balanced"])
def test_an_order_is_sent_where_the_strategy_decides(
    manager: ExchangeManager, pipeline: Pipeline, strategy: str
) -> None:
    before = len(accepted(pipeline, 0))
    answer = manager.route_order(ORDER, strategy)
    assert answer["status"] == "routed"
    assert answer["routing_reason"].startswith(strategy)
    assert answer["filled_quantity"] == pytest.approx(0.002)
    assert set(answer["estimated_costs"]) == {"fee", "spread", "slippage", "conversion", "total"}
    assert answer["execution_time"] > 0
    (order,) = accepted(pipeline, before)
    assert (order["exchange"], order["state"]) == (answer["exchange"], "filled")
    decided = wait_for(
        lambda: pipeline.query(f"SELECT strategy FROM order_decisions WHERE order_id = '{answer['order_id']}'")
    )
    assert decided == [[strategy]]


def test_a_redundant_order_is_split_and_never_multiplied(manager: ExchangeManager, pipeline: Pipeline) -> None:
    before = len(accepted(pipeline, 0))
    answer = manager.route_order({"symbol": "BTC/USDC:USDC", "side": "buy", "quantity": 0.004}, "redundant")
    assert answer["status"] == "routed"
    assert {one["exchange"] for one in answer["chosen"]} == {"binanceusdm", "hyperliquid"}
    wait_for(lambda: all(one["state"] == "filled" for one in accepted(pipeline, before)))
    assert sum(float(one["quantity"]) for one in accepted(pipeline, before)) == pytest.approx(0.004)
    manager.route_order({"symbol": "BTC/USDC:USDC", "side": "sell", "quantity": 0.004}, "redundant")


@pytest.mark.parametrize("ms", [-6_000, 6_000])
def test_an_order_is_filled_once_if_the_exchange_s_clock_is_skewed(
    manager: ExchangeManager, pipeline: Pipeline, ms: int
) -> None:
    """The exchange refuses a request that seems too early or too late; the clock is measured again, and the order sent.

    The order is immediate-or-cancel, and the market may have moved away meanwhile: then another one is sent.
    """

    def taken() -> bool:
        before = len(accepted(pipeline, 0))
        pipeline.sim("/sim/faults", {"exchange": "binance", "fault": "skew", "ms": ms, "seconds": 60})
        try:
            answer = manager.route_order(ORDER | {"symbol": "BTC/USDC", "exchange": "binance"})
        finally:
            pipeline.clear_faults()
        (sent,) = accepted(pipeline, before)
        assert answer["status"] == ("routed" if float(sent["filled_quantity"]) else "failed"), answer
        assert answer["filled_quantity"] == pytest.approx(float(sent["filled_quantity"]))
        return bool(sent["state"] == "filled")

    wait_for(taken, 60)
    skews = f"""SELECT max(abs(value)) FROM exchange_status
    WHERE exchange = 'binance' AND kind = 'skew' AND value * {ms} > 0"""
    wait_for(lambda: float(pipeline.query(skews)[0][0]) > 5_000)


def test_a_candidate_that_breaks_a_requirement_is_excluded(manager: ExchangeManager) -> None:
    answer = manager.route_order(ORDER | {"requirements": {"max_fee": 0.00001}})
    assert answer["status"] == "failed"
    assert "binance BTC/USDC: fee" in answer["routing_reason"]
    assert answer["exchange"] == ""


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"quantity": 0}, "quantity"),
        ({"quantity": "much"}, "quantity"),
        ({"side": "hold"}, "side"),
        ({"type": "stop"}, "type"),
        ({"type": "limit"}, "price"),
        ({"requirements": {"max_pain": 1}}, "max_pain"),
        ({"leverage": 3}, "leverage"),
    ],
)
def test_wrong_use_names_the_argument(manager: ExchangeManager, change: dict[str, Any], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        manager.route_order(ORDER | change)


def test_an_unknown_symbol_or_strategy_is_an_error(manager: ExchangeManager) -> None:
    with pytest.raises(UnknownSymbol, match="NOPE/USD"):
        manager.route_order(ORDER | {"symbol": "NOPE/USD"})
    with pytest.raises(UsageError, match="routing_strategy"):
        manager.route_order(ORDER, "luckiest")


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def executed(manager: ExchangeManager, seconds: float = 120) -> dict[str, Any]:
    """Execute the first opportunity that is still open; those that have closed meanwhile are refused."""
    until, seen = time.monotonic() + seconds, set[str]()
    while time.monotonic() < until:
        fresh = [one for one in manager.scan_arbitrage_opportunities() if one["signal_id"] not in seen]
        for one in fresh[:1]:
            seen.add(one["signal_id"])
            answer = manager.execute_cross_exchange_arbitrage(one)
            if answer["status"] == "executed":
                return dict(answer)
            assert answer["execution_details"]["reason"], answer
        time.sleep(0.05)
    raise AssertionError(f"none of {len(seen)} opportunities could be had")


def test_a_pair_ends_hedged_and_its_profit_is_that_of_its_fills(manager: ExchangeManager, pipeline: Pipeline) -> None:
    answer = executed(manager)
    legs = answer["execution_details"]["legs"]
    assert {leg["side"] for leg in legs} == {"buy", "sell"}
    assert answer["risk_assessment"]["open_quantity"] == 0
    assert answer["risk_assessment"]["naked_ms"] < 5_000
    brought = sum((1 if leg["side"] == "sell" else -1) * leg["quantity"] * leg["average_price"] for leg in legs)
    assert answer["exit_cost"] >= 0
    assert answer["profit_realized"] == pytest.approx(answer["entry_edge"] - answer["exit_cost"])
    rough = answer["entry_edge"] + answer["fees_paid"]
    notional = sum(leg["quantity"] * leg["average_price"] for leg in legs)
    assert rough == pytest.approx(brought, abs=0.002 * notional)  # the stablecoins' own rates
    trades = sum(len(leg["trades"]) for leg in legs)
    found = wait_for(
        lambda: (
            (rows := pipeline.query(f"SELECT count() FROM fills WHERE order_id = '{answer['arbitrage_id']}'"))
            == [[str(trades)]]
            and rows
        )
    )
    assert found


def test_an_expired_or_unprofitable_opportunity_is_refused_without_an_order(
    manager: ExchangeManager, pipeline: Pipeline
) -> None:
    before = len(accepted(pipeline, 0))
    made_up = {
        "symbol": "BTC/USD",
        "buy_exchange": "hyperliquid",
        "buy_symbol": "BTC/USDC:USDC",
        "sell_exchange": "binance",
        "sell_symbol": "BTC/USDC",
        "quantity": 0.01,
        "expires_at": "2026-01-01T00:00:00Z",
    }
    late = manager.execute_cross_exchange_arbitrage(made_up)
    assert (late["status"], late["profit_realized"], late["fees_paid"]) == ("failed", 0.0, 0.0)
    assert late["execution_details"]["reason"].startswith("expired")
    worthless = made_up | {"buy_exchange": "binance", "buy_symbol": "BTC/USDT", "expires_at": ""}
    worthless |= {"sell_exchange": "binance", "sell_symbol": "BTC/USDC"}
    assert manager.execute_cross_exchange_arbitrage(worthless)["execution_details"]["reason"].startswith("profit")
    assert accepted(pipeline, before) == []
    with pytest.raises(UsageError, match="sell_symbol"):
        manager.execute_cross_exchange_arbitrage({key: made_up[key] for key in made_up if key != "sell_symbol"})


def test_a_rejected_leg_leaves_nothing_unhedged(manager: ExchangeManager, pipeline: Pipeline) -> None:
    """The exchange refuses the next order, which is one of a pair's legs: the other is hedged."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        found = manager.scan_arbitrage_opportunities()
        if not found:
            time.sleep(0.05)
            continue
        pipeline.sim("/sim/faults", {"exchange": found[0]["sell_exchange"], "fault": "reject", "count": 1})
        answer = manager.execute_cross_exchange_arbitrage(found[0])
        pipeline.clear_faults()
        if answer["execution_details"]["legs"]:
            assert answer["risk_assessment"]["open_quantity"] == 0, answer
            assert answer["risk_assessment"]["naked_ms"] > 0
            assert answer["risk_assessment"]["naked_usd_max"] > 0
            return
    raise AssertionError("no opportunity could be had")


async def bound(settings: Settings, exchange: str, weight: float, probes: int = 0) -> None:
    """Set the exchange's rate limit, and use a part of it with probes."""
    limits = ControlCommand(kind=ControlKind.LIMITS, account=exchange, limits={"weight_per_minute": weight})
    probe = ControlCommand(kind=ControlKind.PROBE, account=exchange, issued_at=time.time_ns() // 1_000)
    async with Publisher(settings, await load_codec(settings)) as publisher:
        await publisher.write(CONTROL, limits)
        for _ in range(probes):
            publisher.publish(CONTROL, probe)
        await publisher.flush()


def test_both_legs_of_a_pair_are_sent_or_none(manager: ExchangeManager, pipeline: Pipeline) -> None:
    """One of the two exchanges has no rate limit left for an order: the other leg is not sent either."""
    pair = {"symbol": "BTC/USD", "buy_exchange": "binance", "buy_symbol": "BTC/USDC", "quantity": 0.01}
    pair |= {"sell_exchange": "hyperliquid", "sell_symbol": "BTC/USDC:USDC", "expires_at": ""}

    def refused() -> str:
        details = manager.execute_cross_exchange_arbitrage(pair)["execution_details"]
        return str(details["reason"]) if "rate: hyperliquid has no room" in details["reason"] else ""

    asyncio.run(bound(pipeline.settings, "hyperliquid", LIMITS["weight_per_minute"], probes=150))
    try:
        wait_for(refused, 20)
        before = len(accepted(pipeline, 0))
        assert refused()
        assert accepted(pipeline, before) == []
    finally:
        asyncio.run(bound(pipeline.settings, "hyperliquid", Hyperliquid.WEIGHT_PER_MINUTE))
    wait_for(lambda: manager.route_order(ORDER | {"exchange": "hyperliquid"})["state"] == "filled", 60)


# ── rebalances ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rebalance_is_planned_traded_and_read_back(manager: ExchangeManager, pipeline: Pipeline) -> None:
    breakdown = manager.get_unified_balance()["asset_breakdown"]
    worth = {asset: one["value_usd"] for asset, one in breakdown.items()}
    total = sum(worth.values())
    target = {asset: value / total for asset, value in worth.items()}
    moved = 2_000 / total
    target["ETH"], target["USDC"] = target["ETH"] + moved, target["USDC"] - moved
    before = len(accepted(pipeline, 0))
    planned = manager.rebalance_portfolio(target, 0.005, dry_run=True)
    assert planned["status"] == "planned"
    assert planned["plan"]["trades"]
    assert accepted(pipeline, before) == []
    done = manager.rebalance_portfolio(target, max_slippage=0.005)
    assert done["status"] == "completed", done
    assert sum(done["final_allocation"].values()) == pytest.approx(1)
    assert done["final_allocation"]["ETH"] == pytest.approx(target["ETH"], abs=0.002)
    assert 0 < done["total_cost"] < 20
    assert held(manager, "ETH") > breakdown["ETH"]["total"]


@pytest.mark.parametrize("target", [{"BTC": 0.5}, {"BTC": 1.5, "ETH": -0.5}, {}])
def test_an_invalid_target_is_an_error(manager: ExchangeManager, target: dict[str, float]) -> None:
    with pytest.raises(UsageError, match="target_allocation"):
        manager.rebalance_portfolio(target)


# ── advice and history ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_recommendation_can_be_followed(manager: ExchangeManager) -> None:
    answer = manager.optimize_execution_parameters("BTC/USD", 0.05, "high")
    assert answer["recommended_exchange"] == "binance"
    assert sum(part["share"] for part in answer["order_splitting"].values()) == pytest.approx(1)
    assert 0 < answer["confidence_score"] < 1
    for urgency, symbol in (("frantic", "BTC/USD"), ("low", "NOPE")):
        with pytest.raises(UsageError, match=r"urgency|symbol"):
            manager.optimize_execution_parameters(symbol, 1.0, urgency)


def test_performance_is_computed_from_clickhouse(manager: ExchangeManager, pipeline: Pipeline) -> None:
    wait_for(lambda: float(pipeline.query("SELECT count() FROM equity WHERE price IS NOT NULL")[0][0]) > 0, 90)
    wait_for(lambda: manager.track_portfolio_performance()["performance_metrics"]["equity_usd"] > 100_000, 90)
    answer = manager.track_portfolio_performance(["BTC"])
    parts = answer["attribution_analysis"]
    assert sum(parts["by_exchange"].values()) == pytest.approx(parts["total"], abs=1e-6)
    assert sum(parts["by_asset"].values()) == pytest.approx(parts["total"], abs=1e-6)
    assert answer["period_returns"]["30d"] is None
    assert answer["benchmark_comparison"]["BTC"]["samples"] >= 0
    with pytest.raises(UnknownSymbol, match="benchmark_symbols"):
        manager.track_portfolio_performance(["NOPE"])


FAILOVER_SECONDS = 2.0

# ── failover ─────────────────────────────────────────────────────────────────────────────────────────────────────


def state_of(manager: ExchangeManager, exchange: str) -> tuple[str, str]:
    answer = manager.monitor_exchange_health()["exchange_status"][exchange]
    return answer["status"], answer["reason"]


def test_a_resting_order_moves_to_the_backup_once_it_is_known_to_be_cancelled(
    manager: ExchangeManager, pipeline: Pipeline
) -> None:
    manager.setup_exchange_failover("hyperliquid", ["binanceusdm"])
    price = 0.9 * manager.get_market_data_aggregated("ETH/USD")["aggregated_price"]
    order = {"symbol": "ETH/USD", "side": "buy", "quantity": 0.02, "exchange": "hyperliquid", "type": "limit"}
    placed = manager.route_order(order | {"price": round(price)})
    assert placed["exchange"] == "hyperliquid"
    pipeline.sim("/sim/faults", {"exchange": "hyperliquid", "fault": "http_5xx", "seconds": 4})
    market = {"symbol": "ETH/USD", "side": "buy", "quantity": 0.02, "exchange": "hyperliquid"}
    began = time.monotonic()
    with ThreadPoolExecutor(20) as threads:
        sent: list[Future[RouteOrderAnswer]] = []

        def is_on_backup() -> bool:
            sent.append(threads.submit(manager.route_order, market))
            return any(one.done() and one.result()["exchange"] == "binanceusdm" for one in sent)

        wait_for(is_on_backup, FAILOVER_SECONDS)
        print(f"the first order was on the backup {time.monotonic() - began:.2f} s after the primary failed")

    def legs() -> dict[str, str]:
        rows = pipeline.query(
            f"""SELECT exchange, argMax(state, event_time) FROM order_events
            WHERE order_id = '{placed["order_id"]}' AND client_order_id != '' GROUP BY exchange"""
        )
        return dict(rows)

    moved = {"hyperliquid": "cancelled", "binanceusdm": "acknowledged"}
    try:
        wait_for(lambda: legs() == moved, 30)
    finally:
        pipeline.program("cancel", placed["order_id"])
    wait_for(lambda: legs()["binanceusdm"] == "cancelled", 20)


def test_an_order_for_an_exchange_that_is_down_uses_its_backup(manager: ExchangeManager, pipeline: Pipeline) -> None:
    order = {"symbol": "ETH/USD", "side": "buy", "quantity": 0.02, "exchange": "hyperliquid"}
    assert manager.setup_exchange_failover("hyperliquid", ["binanceusdm"])["activation_status"] == "active"
    pipeline.sim("/sim/faults", {"exchange": "hyperliquid", "fault": "http_5xx", "seconds": 120})
    try:
        answer = wait_for(lambda: (one := manager.route_order(order))["exchange"] == "binanceusdm" and one, 20)
        assert answer
        assert answer["routing_reason"].startswith("failover: hyperliquid is unable (")
    finally:
        pipeline.clear_faults()
    back = wait_for(lambda: (one := manager.route_order(order))["exchange"] == "hyperliquid" and one, 60)
    assert back, state_of(manager, "hyperliquid")
