"""Answers have the reference's keys and types with exchanges in every state, also if no service responds."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from neuroflux.domain import HealthStatus, OrderCommand
from neuroflux.errors import UnknownSymbol
from neuroflux.kafka.publisher import Publisher
from neuroflux.manager import initialise
from neuroflux.manager.async_manager import AsyncExchangeManager
from neuroflux.manager.connection import Connection
from neuroflux.manager.from_memory import MemoryQueries
from neuroflux.manager.initialise import Simulated
from neuroflux.manager.opportunities import opportunities
from neuroflux.manager.view import View
from neuroflux.records import topics
from neuroflux.records.places import Place
from neuroflux.runtime.settings import Settings
from tests.neuroflux.manager.reports import NOW, SECOND, health, healthy_view, publish, signal
from tests.neuroflux.manager.test_reference import FUNCTION, REFERENCE, RETURNS

TYPES: Mapping[str, tuple[type, ...]] = {
    "str": (str,),
    "list": (list,),
    "dict": (dict,),
    "int": (int,),
    "float": (float,),
}
STATES = ("well", "offline", "stale", "none")
SIMULATED = Simulated(dict.fromkeys(("binance", "binanceusdm", "hyperliquid"), frozenset({""})))
CONFIGS: dict[str, dict[str, object]] = {"hyperliquid": {}, "binance": {"testnet": True}}
Ask = Callable[[AsyncExchangeManager], Awaitable[Any]]


def printed() -> dict[str, dict[str, str]]:
    """By function: the type of each key of its answer."""
    if not REFERENCE.exists():
        pytest.skip("the API reference is not beside the project")
    found = {}
    for name, _, text in FUNCTION.findall(REFERENCE.read_text()):
        (body,) = RETURNS.findall(text)
        found[name] = dict(re.findall(r"^    '(\w+)':\s+(\w+)", body, re.M))
    return found


class SilentPublisher(Publisher):
    """Stores what is published; no service reads it."""

    def __init__(self) -> None:
        self.written: list[Any] = []

    async def write(self, topic: topics.Topic, record: Any, *, partition: int | None = None) -> Place:
        self.written.append(record)
        return Place(0, len(self.written))


class OfflineConnection(Connection):
    """A connection with a given view, which waits for nothing."""

    def __init__(self, settings: Settings, view: View, now: int) -> None:
        super().__init__(settings, lambda: now)
        self.view, self.publisher = view, SilentPublisher()

    async def until(self, predicate: Callable[[], Any], timeout: float) -> Any:
        return predicate()

    async def command(self, command: OrderCommand) -> Place:
        return await self.publisher.write(topics.COMMANDS, command)

    async def query(self, sql: str) -> Sequence[Any]:
        return ()


def view_in(state: str) -> tuple[View, int]:
    """The view of the exchanges in a state, and the current time."""
    if state == "none":
        return View(), NOW
    view = healthy_view()
    if state == "offline":
        publish(view, topics.HEALTH, health("hyperliquid", HealthStatus.OFFLINE, reason="rest"))
    return view, NOW + (600 * SECOND if state == "stale" else 0)


@pytest.fixture(params=STATES)
def state(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def manager(state: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> AsyncExchangeManager:
    monkeypatch.setattr(initialise, "find_simulated", lambda settings: SIMULATED)
    settings = Settings(home=tmp_path)
    opened = AsyncExchangeManager(settings)
    opened._connection = OfflineConnection(settings, *view_in(state))
    opened._queries = MemoryQueries(opened._connection)
    return opened


CALLS: dict[str, Ask] = {
    "initialize_exchanges": lambda m: m.initialize_exchanges(CONFIGS),
    "route_order": lambda m: m.route_order({"symbol": "BTC/USD", "side": "buy", "quantity": 0.1, "type": "market"}),
    "get_unified_balance": lambda m: m.get_unified_balance(),
    "execute_cross_exchange_arbitrage": lambda m: m.execute_cross_exchange_arbitrage(opportunity()),
    "monitor_exchange_health": lambda m: m.monitor_exchange_health(),
    "rebalance_portfolio": lambda m: m.rebalance_portfolio({"BTC": 0.5, "USDC": 0.5}),
    "get_market_data_aggregated": lambda m: m.get_market_data_aggregated("BTC/USD"),
    "setup_exchange_failover": lambda m: m.setup_exchange_failover("hyperliquid", ["binance"]),
    "optimize_execution_parameters": lambda m: m.optimize_execution_parameters("BTC/USD", 0.5),
    "track_portfolio_performance": lambda m: m.track_portfolio_performance(),
}
UNKNOWN = frozenset({"route_order", "get_market_data_aggregated", "optimize_execution_parameters"})
"""Without any exchange no instrument is listed, so these raise UnknownSymbol."""


def opportunity() -> dict[str, Any]:
    """The opportunity of a signal, with healthy exchanges."""
    view = healthy_view()
    publish(view, topics.SIGNALS, signal(sell_symbol="BTC/USDC:USDC"))
    (found,) = opportunities(view, NOW)
    return dict(found)


@pytest.mark.parametrize("name", CALLS)
async def test_an_answer_has_the_keys_and_types(name: str, manager: AsyncExchangeManager, state: str) -> None:
    expected = printed()[name]
    if state == "none" and name in UNKNOWN:
        with pytest.raises(UnknownSymbol, match="BTC/USD"):
            await CALLS[name](manager)
        return
    answer = await CALLS[name](manager)
    for key, kind in expected.items():
        assert isinstance(answer[key], TYPES[kind]), (key, answer[key])
        assert not isinstance(answer[key], bool)


async def test_unavailable_exchanges_are_reported_as_such(manager: AsyncExchangeManager, state: str) -> None:
    reports = await manager.initialize_exchanges(CONFIGS)
    failed = {"well": [], "offline": ["hyperliquid"]}.get(state, ["hyperliquid", "binance", "binanceusdm"])
    assert reports["failed_exchanges"] == failed
    assert all(bool(one["reason"]) == (name in failed) for name, one in reports["connection_health"].items())
    health_now = await manager.monitor_exchange_health()
    assert health_now["overall_health"] == {"well": "healthy", "offline": "degraded"}.get(state, "critical")
    balance = await manager.get_unified_balance()
    assert isinstance(balance["total_balance_usd"], float)
    assert set(balance["exchange_breakdown"]) <= {"binance", "hyperliquid", "binanceusdm"} - set(failed)
    failover = await manager.setup_exchange_failover("hyperliquid", ["binance"])
    assert failover["activation_status"] == "inactive", "the signed call has no answer"
    assert failover["test_status"] == ("untested" if state == "none" else "failed")
