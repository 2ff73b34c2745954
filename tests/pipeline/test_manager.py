"""The façade on the running pipeline: its answers agree with exchanges, topics and tables."""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from statistics import median

import pytest

from neuroflux.domain import CommandKind, Failover, OrderCommand, OrderState, Side
from neuroflux.errors import UsageError
from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.kafka.commands import new_order_id, now
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.manager.async_manager import AsyncExchangeManager
from neuroflux.records.topics import ALL, FAILOVER
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon
from neuroflux.stack.home import log_path
from neuroflux.stack.supervise.service import State
from tests.pipeline.conftest import Pipeline, wait_for

pytestmark = pytest.mark.stack

KEYS = {"api_key": "KEY-OF-THE-EXAMPLE", "secret_key": "SECRET-OF-THE-EXAMPLE"}
EVERY: dict[str, dict[str, str]] = {"hyperliquid": dict(KEYS), "binance": dict(KEYS)}
LIMITS = {"leverage": 10.0, "max_leverage": 20.0, "weight_per_minute": 900.0}
IDS = ["hyperliquid", "binance", "binanceusdm"]


@pytest.fixture(scope="module")
def manager(pipeline: Pipeline) -> Iterator[ExchangeManager]:
    with ExchangeManager(pipeline.settings) as opened:
        assert opened.initialize_exchanges(EVERY)["status"] == "full_success"
        yield opened


def test_keys_of_the_examples_use_the_demo_accounts(manager: ExchangeManager) -> None:
    answer = manager.initialize_exchanges(EVERY)
    assert (answer["initialized_exchanges"], answer["failed_exchanges"]) == (IDS, [])
    assert (answer["status"], answer["active_connections"]) == ("full_success", 3)
    for health in answer["connection_health"].values():
        assert (health["simulated"], health["keys"], health["reason"]) == (True, "demo", "")


def test_a_missing_subaccount_is_a_failed_exchange(pipeline: Pipeline) -> None:
    with ExchangeManager(pipeline.settings) as manager:
        answer = manager.initialize_exchanges({"binance": {"testnet": True}, "hyperliquid": {"subaccount": "desk"}})
        assert (answer["status"], answer["failed_exchanges"]) == ("partial_success", ["hyperliquid"])
        assert "'desk'" in answer["connection_health"]["hyperliquid"]["reason"]
        assert "hyperliquid" not in manager.get_unified_balance()["exchange_breakdown"]
        assert "hyperliquid" in manager.monitor_exchange_health()["exchange_status"]
        again = manager.initialize_exchanges({"hyperliquid": {}})
        assert again["status"] == "full_success"
        accounts = manager.get_unified_balance()["exchange_breakdown"]
        assert set(accounts) == {"binance", "hyperliquid"}
        assert set(accounts["binance"]["parts"]) == {"binance", "binanceusdm"}


def stored(pipeline: Pipeline) -> dict[str, float]:
    """The balances in ClickHouse, by asset."""
    totals: dict[str, float] = {}
    for exchange, asset, total in pipeline.query(
        "SELECT exchange, asset, argMax(total, _offset) FROM balances GROUP BY exchange, asset"
    ):
        assert exchange in IDS
        totals[asset] = totals.get(asset, 0.0) + float(total)
    return totals


def test_the_unified_balance_is_what_the_exchanges_hold(manager: ExchangeManager, pipeline: Pipeline) -> None:
    """Very recent trades of other tests may be in one source and not yet in the other."""

    def is_stored() -> bool:
        totals = {asset: one["total"] for asset, one in manager.get_unified_balance()["asset_breakdown"].items()}
        return bool(totals == pytest.approx(stored(pipeline), rel=1e-6))

    wait_for(is_stored)
    answer = manager.get_unified_balance()
    assert {one["status"] for one in answer["sync_status"].values()} <= {"synced", "differs"}
    assert answer["unpriced"] == []
    top = sum(answer["exchange_breakdown"][name]["total_usd"] for name in answer["exchange_breakdown"])
    assert answer["total_balance_usd"] == pytest.approx(top)


def test_market_data_is_the_newest_of_the_topic(manager: ExchangeManager) -> None:
    answer = wait_for(lambda: (found := manager.get_market_data_aggregated("BTC/USD"))["status"] == "live" and found)
    assert answer
    assert answer["price_range"]["min"] <= answer["aggregated_price"] <= answer["price_range"]["max"]
    assert 0 < answer["liquidity_score"] < 1
    assert set(answer["exchange_data"]) == set(IDS)
    assert all(age < 5 for age in answer["data_freshness"].values())
    assert {one["topic"] for one in answer["causes"]} <= {"market.quotes", "market.trades"}


def test_opportunities_are_open(manager: ExchangeManager) -> None:
    found = wait_for(manager.scan_arbitrage_opportunities)
    assert all(one["expected_profit"] >= 0.5 for one in found)


def test_health_is_reported_for_every_exchange(manager: ExchangeManager) -> None:
    answer = manager.monitor_exchange_health()
    assert set(answer["exchange_status"]) == set(IDS)
    assert answer["overall_health"] in ("healthy", "degraded")


def test_a_silent_exchange_is_reported_and_the_others_work(manager: ExchangeManager, pipeline: Pipeline) -> None:
    pipeline.sim("/sim/faults", {"exchange": "hyperliquid", "fault": "http_5xx", "seconds": 60})
    try:
        health = wait_for(
            lambda: (
                (one := manager.monitor_exchange_health())["exchange_status"]["hyperliquid"]["status"] == "offline"
                and one
            )
        )
        assert health
        assert health["overall_health"] == "degraded"
        conditions = {(one["exchange"], one["condition"]) for one in health["recommended_actions"]}
        assert ("hyperliquid", "offline") in conditions
        started = time.monotonic()
        answer = manager.initialize_exchanges(EVERY)
        assert time.monotonic() - started < 20
        assert (answer["status"], answer["failed_exchanges"]) == ("partial_success", ["hyperliquid"])
        assert answer["connection_health"]["hyperliquid"]["reason"].startswith("offline")
        assert manager.get_unified_balance()["total_balance_usd"] > 0
    finally:
        pipeline.clear_faults()
    wait_for(lambda: manager.initialize_exchanges(EVERY)["status"] == "full_success")


def test_limits_are_on_the_control_topic(pipeline: Pipeline) -> None:
    with ExchangeManager(pipeline.settings) as manager:
        config = {
            "binance": {"max_leverage": 20.0, "default_leverage": 10.0, "rate_limits": {"weight_per_minute": 900}}
        }
        health = manager.initialize_exchanges(config)["connection_health"]
        assert health["binanceusdm"]["limits"] == LIMITS
    with ExchangeManager(pipeline.settings) as another:
        known = another.initialize_exchanges({"binanceusdm": {}})["connection_health"]["binanceusdm"]["limits"]
        assert known == LIMITS, "they outlive who set them"


async def test_a_failover_is_tested_and_outlives_its_manager(pipeline: Pipeline) -> None:
    async with AsyncExchangeManager(pipeline.settings) as manager:
        answer = await manager.setup_exchange_failover("hyperliquid", ["binance"])
        assert (answer["test_status"], answer["activation_status"]) == ("tested", "active")
        assert set(answer["backup_tests"]) == {"binance", "binanceusdm"}
    async with AsyncExchangeManager(pipeline.settings) as another:
        known = another.connection.view.failovers["hyperliquid"]
        assert known.config_id == answer["failover_config_id"]
        assert known.conditions == answer["failover_conditions"]
        for name, arguments in {
            "primary_exchange": ("nosuch", ["binance"]),
            "backup_exchanges": ("binance", []),
        }.items():
            with pytest.raises(UsageError, match=name):
                await another.setup_exchange_failover(*arguments)
        with pytest.raises(UsageError, match="own backup"):
            await another.setup_exchange_failover("binance", ["binanceusdm"])
        off = Failover(primary="hyperliquid", backups=("binance",), config_id="off", active=False, issued_at=now())
        await another.connection.publisher.write(FAILOVER, off)


async def test_an_order_is_tracked_to_its_last_fill(pipeline: Pipeline) -> None:
    async with AsyncExchangeManager(pipeline.settings) as manager, asyncio.timeout(20):
        command = OrderCommand(
            order_id=new_order_id(),
            kind=CommandKind.PLACE,
            market="ETH/USD",
            side=Side.BUY,
            quantity=Decimal("0.05"),
            issued_by="test",
            issued_at=now(),
        )
        with manager.connection.track(command.order_id) as tracked:
            await manager.connection.command(command)
            records = [record async for record in tracked]
        assert tracked.decision in records
        assert tracked.last is not None
        assert tracked.last.state is OrderState.FILLED
        assert sum(fill.quantity for fill in tracked.fills) == Decimal("0.05")


async def test_waiting_ends_at_the_timeout(pipeline: Pipeline) -> None:
    async with AsyncExchangeManager(pipeline.settings) as manager:
        started = time.monotonic()
        assert not await manager.connection.until(lambda: False, 0.3)
        assert 0.3 <= time.monotonic() - started < 3


def test_a_query_takes_less_than_a_millisecond(manager: ExchangeManager) -> None:
    """The median CPU time of this thread, so that other load on the machine does not count.

    A scan checks the books and funds of each profitable signal: at most 0.2 ms for each.
    """

    def cost(call: Callable[[], object]) -> float:
        started = time.thread_time()
        call()
        return (time.thread_time() - started) * 1e3

    for call in (
        manager.get_unified_balance,
        manager.monitor_exchange_health,
        lambda: manager.get_market_data_aggregated("BTC/USD"),
    ):
        assert median(cost(call) for _ in range(500)) < 1.0
    scan = manager.scan_arbitrage_opportunities
    assert median(cost(scan) / (5 + len(scan())) for _ in range(500)) < 0.2


def test_the_manager_works_from_several_threads(manager: ExchangeManager) -> None:
    def read(number: int) -> float:
        return manager.get_unified_balance()["total_balance_usd"] + len(manager.scan_arbitrage_opportunities())

    with ThreadPoolExecutor(8) as threads:
        assert all(value > 0 for value in threads.map(read, range(200)))


def test_a_closed_manager_raises_and_leaves_no_thread(pipeline: Pipeline) -> None:
    before = {one.name for one in threading.enumerate()}
    manager = ExchangeManager(pipeline.settings)
    manager.close()
    manager.close()
    with pytest.raises(UsageError, match="closed"):
        manager.get_unified_balance()
    assert {one.name for one in threading.enumerate()} <= before


def test_a_program_without_close_ends_cleanly(pipeline: Pipeline) -> None:
    program = "import neuroflux; print(neuroflux.ExchangeManager().monitor_exchange_health()['overall_health'])"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=pipeline.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() in ("healthy", "degraded")


async def test_no_secret_is_in_any_topic_or_log(manager: ExchangeManager, pipeline: Pipeline) -> None:
    """The keys that were passed, and those of the demo accounts."""
    demo = [one[name] for one in pipeline.sim("/sim/accounts") for name in ("key", "secret") if one[name]]
    own = [one["secret"] for one in pipeline.sim("/sim/accounts")]
    secrets = [*KEYS.values(), *own] + [one for one in demo if not one.startswith("0x")]
    for raw in await everything(pipeline.settings):
        assert not any(secret.encode() in raw for secret in secrets)
    for log in log_path(pipeline.settings, "x").parent.iterdir():
        assert not any(secret.encode() in log.read_bytes() for secret in secrets), log.name


async def everything(settings: Settings) -> list[bytes]:
    """Every record of every topic except the market topics, as received."""
    topics = [one for one in ALL if not one.name.startswith(("market.", "prices."))]
    found: list[bytes] = []
    async with Reader(settings, await load_codec(settings), topics, start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                found += [entry.raw + entry.key.encode() for entry in batch]
                if await reader.caught_up():
                    break
    return found


BESIDE = {"binanceusdm": ("SOL/USDT:USDT", "USDT"), "hyperliquid": ("SOL/USDC:USDC", "USDC")}
"""A perpetual, and its settlement asset."""


@pytest.mark.long
@pytest.mark.timeout(300)
def test_a_deposit_during_a_perpetual_trade_is_no_profit(manager: ExchangeManager, pipeline: Pipeline) -> None:
    """Both in a later minute than the account's first, whose value is the start of the history."""
    wait_for(lambda: int(pipeline.query("SELECT count(DISTINCT minute) FROM equity")[0][0]) > 2, 150)
    wait_for(lambda: time.time() % 60 < 40, 25)
    before = manager.track_portfolio_performance()["performance_metrics"]
    for name, (symbol, asset) in BESIDE.items():
        traded = manager.route_order({"symbol": symbol, "side": "buy", "quantity": 1.0, "exchange": name})
        assert traded["filled_quantity"] == 1.0, traded
        pipeline.sim("/sim/faults", {"exchange": name, "fault": "transfer", "asset": asset, "amount": "5000"})
        manager.route_order({"symbol": symbol, "side": "sell", "quantity": 1.0, "exchange": name})
    after = wait_for(
        lambda: (
            (one := manager.track_portfolio_performance()["performance_metrics"])["equity_usd"]
            > before["equity_usd"] + 9_000
            and one
        ),
        60,
    )
    assert after["flows_usd"] - before["flows_usd"] == pytest.approx(10_000, rel=0.01)
    assert abs(after["profit_usd"] - before["profit_usd"]) < 1_000
    rows = pipeline.query("SELECT DISTINCT exchange, asset, toFloat64(quantity), kind FROM transfers")
    assert {tuple(row) for row in rows} >= {(name, asset, "5000", "transfer") for name, (_, asset) in BESIDE.items()}


@pytest.mark.timeout(300)
def test_without_a_stack_the_manager_starts_and_stops_one(
    tmp_path: Path, make_settings: Callable[[Path], Settings]
) -> None:
    settings = make_settings(tmp_path / "own")
    with ExchangeManager(settings) as manager:
        assert manager.initialize_exchanges({"binance": {"testnet": True}})["status"] == "full_success"
        assert {one.state for one in daemon.status(settings)} <= {State.READY, State.FINISHED}
    assert {one.state for one in daemon.status(settings)} <= {State.STOPPED, State.FINISHED}
