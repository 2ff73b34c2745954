"""``neuroflux up --live --trade``: a simulator replaces the real exchanges, and keys are passed to the running stack.

The keys are passed only through ``initialize_exchanges``, and are searched for everywhere at the end.
"""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from neuroflux.domain import Balance
from neuroflux.exchanges.exchange_manager import ExchangeManager
from neuroflux.kafka.commands import now
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import BALANCES, COMMANDS
from neuroflux.runtime.settings import Settings, port_of
from neuroflux.stack.environment import simulated_addresses
from tests.pipeline.canary import places
from tests.pipeline.conftest import PROGRAM, ROOT, Pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

WRONG = {"api_key": "WRONG-KEY-1f0c", "secret_key": "WRONG-SECRET-77aa"}
LIMITS = {"NEUROFLUX_MAX_NOTIONAL_USD": "30000", "NEUROFLUX_MAX_DAILY_LOSS_USD": "50000"}
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("binance", {"fault": "accept_then_timeout", "count": 1}),
    ("binanceusdm", {"fault": "http_5xx", "seconds": 3}),
    ("hyperliquid", {"fault": "reject", "count": 2}),
    ("binance", {"fault": "malformed", "count": 20}),
    ("binanceusdm", {"fault": "listen_key_expired"}),
    ("hyperliquid", {"fault": "disconnect"}),
    ("binance", {"fault": "skew", "ms": 20_000, "seconds": 5}),
)
Config = dict[str, dict[str, Any]]


class Trading(Struct, frozen=True):
    """The running program, the simulator in place of the real exchanges, and the keys of its accounts."""

    program: Pipeline
    exchanges: Pipeline
    keys: Config


@pytest.fixture(scope="module")
def exchanges(
    tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[[Path], Settings]
) -> Iterator[Pipeline]:
    settings = make_settings(tmp_path_factory.mktemp("exchanges"))
    chosen = {**os.environ, "NEUROFLUX_EXCHANGES": ",".join(settings.exchanges)}
    command = [str(PROGRAM), "sim", "--port", str(port_of(settings.sim)), "--seed", "9"]
    with subprocess.Popen(command, cwd=ROOT, env=chosen) as sim:
        try:
            yield Pipeline(settings, {})
        finally:
            sim.terminate()


@pytest.fixture(scope="module")
def trading(
    exchanges: Pipeline, tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[[Path], Settings]
) -> Iterator[Trading]:
    settings = make_settings(tmp_path_factory.mktemp("trading"))
    chosen = {
        f"NEUROFLUX_{name.upper()}": value
        for name, value in settings.model_dump(mode="json", exclude_none=True).items()
    }
    text = {name: ",".join(value) if isinstance(value, list) else str(value) for name, value in chosen.items()}
    away = simulated_addresses(exchanges.settings.sim)
    chosen = {"NEUROFLUX_MARKETS": "BTC/USD,USDC/USD", **LIMITS}
    running = Pipeline(settings, {**os.environ, **text, **away, **chosen})
    started = running.program("up", "--live", "--trade", "--yes", timeout=120)
    try:
        assert started.returncode == 0, started.stderr
        yield Trading(running, exchanges, keys_of(exchanges))
    finally:
        stopped = running.program("down", timeout=60)
        assert stopped.returncode == 0, stopped.stderr


def keys_of(exchanges: Pipeline) -> Config:
    accounts = wait_for(lambda: exchanges.sim("/sim/accounts"))
    return {
        one["exchange"]: {
            "api_key": one["address"] if one["exchange"] == "hyperliquid" else one["key"],
            "secret_key": one["secret"],
        }
        for one in accounts
    }


@pytest.fixture(scope="module")
def manager(trading: Trading) -> Iterator[ExchangeManager]:
    with ExchangeManager(trading.program.settings) as opened:
        yield opened


def reasons(answer: Any) -> dict[str, str]:
    return {name: one["reason"] for name, one in answer["connection_health"].items()}


def test_without_keys_no_exchange_is_ready_and_the_reason_is_reported(manager: ExchangeManager) -> None:
    answer = manager.initialize_exchanges({"binance": {}, "hyperliquid": {}})
    assert (answer["status"], answer["active_connections"]) == ("failed", 0)
    assert all("no keys" in reason for reason in reasons(answer).values()), answer
    assert not any(one["simulated"] for one in answer["connection_health"].values())


def test_a_wrong_key_fails_alone(manager: ExchangeManager, trading: Trading) -> None:
    agent = {"api_key": trading.keys["hyperliquid"]["api_key"], "secret_key": "0x" + "5c" * 32}
    answer = manager.initialize_exchanges(
        {"binanceusdm": trading.keys["binanceusdm"], "binance": WRONG, "hyperliquid": agent}
    )
    assert answer["status"] == "partial_success", reasons(answer)
    assert answer["initialized_exchanges"] == ["binanceusdm"]
    reported = reasons(answer)
    assert "-2014" in reported["binance"] or "-2015" in reported["binance"]
    assert "does not exist" in reported["hyperliquid"]
    unable = manager.initialize_exchanges({"hyperliquid": {**agent, "secret_key": "no private key"}})
    assert "no keys for it that can sign" in reasons(unable)["hyperliquid"]
    assert manager.initialize_exchanges({"binanceusdm": {}})["status"] == "full_success", "the others go on"


def test_valid_keys_start_trading(manager: ExchangeManager, trading: Trading) -> None:
    answer = manager.initialize_exchanges(trading.keys)
    assert answer["status"] == "full_success", reasons(answer)
    assert {one["keys"] for one in answer["connection_health"].values()} == {"own"}
    pids = execution(trading)
    assert manager.initialize_exchanges(trading.keys)["status"] == "full_success"
    assert execution(trading) == pids, "nothing changed, so nothing was restarted"
    order = {"symbol": "BTC/USD", "side": "buy", "quantity": 0.01}
    routed = wait_for(lambda: (reported := manager.route_order(order))["status"] == "routed" and reported, 60)
    assert routed
    assert [one["state"] for one in trading.exchanges.sim("/sim/orders")] == ["filled"]
    backup = manager.setup_exchange_failover("hyperliquid", ["binance"])
    assert backup["test_status"] == "tested", backup["backup_tests"]
    assert all(0 < one["signed_read_ms"] < 10_000 for one in backup["backup_tests"].values())


def test_the_account_s_leverage_is_bounded_and_set_on_the_exchange(manager: ExchangeManager, trading: Trading) -> None:
    """The equity is some 53,000 USDC; the exchange itself would allow a leverage of 20."""
    price = manager.get_market_data_aggregated("BTC/USD")["aggregated_price"]

    def ordered(side: str, worth: float) -> Any:
        quantity = round(worth / price, 4)
        return manager.route_order(
            {"symbol": "BTC/USDC:USDC", "side": side, "quantity": quantity, "exchange": "hyperliquid"}
        )

    for _ in range(2):  # its fast books have only five levels
        assert (first := ordered("buy", 27_500))["status"] == "routed", first
    assert wait_for(lambda: held(trading), 30)["leverage"]["value"] == 20
    manager.initialize_exchanges({"hyperliquid": {"max_leverage": 1.1}})
    opened = "SELECT count() FROM positions WHERE exchange = 'hyperliquid' AND quantity > 0"
    wait_for(lambda: trading.program.query(opened) != [["0"]])
    refused = ordered("buy", 20_000)
    assert refused["status"] == "failed"
    assert "funds" in refused["routing_reason"]
    assert held(trading)["leverage"]["value"] == 20, "nothing left, so nothing was set"
    assert (closing := ordered("sell", 20_000))["status"] == "routed", closing
    assert held(trading)["leverage"]["value"] == 20, "what makes a position smaller waits for no leverage"
    wait_for(lambda: float(held(trading)["szi"]) < 45_000 / price)
    wait_for(lambda: (again := ordered("buy", 5_000))["status"] == "routed" and again, 30)
    assert held(trading)["leverage"]["value"] == 1


def held(trading: Trading) -> Any:
    """The position on Hyperliquid, as reported by the exchange."""
    asked = {"type": "clearinghouseState", "user": trading.keys["hyperliquid"]["api_key"]}
    found = trading.exchanges.sim("/hyperliquid/info", asked)["assetPositions"]
    return found[0]["position"] if found else None


async def test_an_unreachable_exchange_delays_no_other_and_a_removed_asset_is_0(
    manager: ExchangeManager, trading: Trading
) -> None:
    """The services restart for it; an asset of the previous account is not counted for the new one."""
    settings = trading.program.settings
    async with Publisher(settings, await load_codec(settings), client_id="test") as publisher:
        zero, five = Decimal(0), Decimal(5)
        await publisher.write(BALANCES, Balance("binance", "GONE", five, zero, zero, five, now()))
    trading.exchanges.sim("/sim/faults", {"exchange": "hyperliquid", "fault": "http_5xx", "seconds": 90})
    try:
        configs = {name: {**keys, "testnet": False} for name, keys in trading.keys.items()}
        answer = await asyncio.to_thread(manager.initialize_exchanges, configs)
        assert (answer["status"], answer["failed_exchanges"]) == ("partial_success", ["hyperliquid"]), reasons(answer)
        assert "503" in reasons(answer)["hyperliquid"] or "500" in reasons(answer)["hyperliquid"]
    finally:
        trading.exchanges.clear_faults()
    total = "SELECT argMax(total, _offset) FROM balances WHERE asset = 'GONE'"
    wait_for(lambda: trading.program.query(total) == [["0"]])
    assert "GONE" not in {
        name for name, one in manager.get_unified_balance()["asset_breakdown"].items() if one["total"]
    }
    wait_for(lambda: manager.initialize_exchanges(configs)["status"] == "full_success", 60)


def test_the_order_limit_of_the_settings_applies(manager: ExchangeManager) -> None:
    price = manager.get_market_data_aggregated("BTC/USD")["aggregated_price"]
    order = {"symbol": "BTC/USD", "side": "buy", "quantity": round(31_000 / price, 4)}
    refused = manager.route_order(order)
    assert refused["status"] == "failed"
    assert "is above the limit of 30,000.00 USD" in refused["routing_reason"]


def execution(trading: Trading) -> int:
    status = trading.program.program("status", "--json")
    (line,) = [one for one in status.stdout.splitlines() if '"execution"' in one]
    return hash(line)


def test_trading_goes_on_under_faults(trading: Trading) -> None:
    """Faults cause errors that are printed and logged; the next test searches them for secrets."""
    printed: list[str] = []
    for exchange, fault in FAULTS:
        trading.exchanges.sim("/sim/faults", {"exchange": exchange, **fault})
        side = ("buy", "sell")[len(printed) % 2]
        done = trading.program.program("order", side, "BTC/USD", "0.002", "--wait", timeout=90)
        printed.append(done.stdout + done.stderr)
        trading.exchanges.clear_faults()
    for command in ("audit", "health"):
        done = trading.program.program(command)
        printed.append(done.stdout + done.stderr)
    (trading.program.settings.home / "printed").write_text("\n".join(printed))
    assert any("filled" in text for text in printed)
    kinds = "SELECT DISTINCT kind FROM exchange_status"
    assert {"disconnected", "malformed"} <= {kind for (kind,) in trading.program.query(kinds)}


async def test_no_secret_is_anywhere(trading: Trading, capfd: pytest.CaptureFixture[str]) -> None:
    """Neither valid nor wrong keys: not in a topic, table, file, command line or printed text."""
    given = [WRONG, *(one for name, one in trading.keys.items() if name != "hyperliquid")]
    secrets = [value.encode() for one in given for value in one.values()]
    agent = trading.keys["hyperliquid"]["secret_key"].removeprefix("0x")
    secrets += [agent.encode(), bytes.fromhex(agent), b"5c" * 32, b"no private key"]
    looked = set()
    async for place, text in places(trading.program.settings):
        looked.add(place.rpartition("/")[2])
        assert not any(secret in text for secret in secrets), place
    assert {"supervisor.log", "execution.log", "stack.json", "printed", "cmdline", "balances", COMMANDS.name} <= looked
    printed = trading.program.program("status").stdout + "".join(capfd.readouterr())
    assert not any(secret.decode(errors="replace") in printed for secret in secrets)
