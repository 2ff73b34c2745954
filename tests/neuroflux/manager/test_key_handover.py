"""Keys that may withdraw are not passed to the stack; all others are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import pytest

from neuroflux.exchanges.kit.requests import Keys
from neuroflux.manager import key_handover
from neuroflux.manager.configs import RequestedConfig
from neuroflux.manager.connection import Connection
from neuroflux.manager.initialise import Simulated, config_fault
from neuroflux.manager.key_handover import hand_over_keys, withdrawal_faults
from neuroflux.runtime.settings import load_settings
from neuroflux.sim.server import serve
from neuroflux.stack.demo_keys import accounts as demo_accounts
from neuroflux.stack.environment import simulated_addresses

Demo = Mapping[str, Keys]


@pytest.fixture
async def demo(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Demo]:
    """The keys of a simulator at the addresses of the real exchanges, where Binance's key may withdraw."""
    monkeypatch.chdir(tmp_path)
    async with serve(0, seed=1) as served, aiohttp.ClientSession(served.url) as session:
        for name, value in simulated_addresses(served.url).items():
            monkeypatch.setenv(name, value)
        async with session.post("/sim/faults", json={"exchange": "binance", "fault": "withdrawals"}) as answer:
            assert answer.status == 200
        found = await asyncio.to_thread(demo_accounts, served.url)
        yield {one["exchange"]: Keys(one.get("key") or one["address"], one["secret"]) for one in found}


async def test_only_a_key_that_is_known_to_withdraw_real_money_is_refused(demo: Demo) -> None:
    def requested(exchange: str, **more: Any) -> RequestedConfig:
        return RequestedConfig(exchange, demo[exchange], **more)

    settings = load_settings()
    faults = await withdrawal_faults(settings, [requested("binance"), requested("hyperliquid")])
    assert list(faults) == ["binance"]
    assert 'clear "Enable Withdrawals"' in faults["binance"]
    assert demo["binance"].secret not in faults["binance"]
    assert await withdrawal_faults(settings, [requested("binance", testnet=True)]) == {}, "no money"
    assert await withdrawal_faults(settings, [RequestedConfig("binance")]) == {}, "no keys"
    unchecked = RequestedConfig("binance", Keys(demo["binance"].key, "wrong"))
    assert await withdrawal_faults(settings, [unchecked]) == {}, "as for neuroflux up --live --trade"


async def test_a_refused_key_is_not_passed_and_the_reason_is_reported(
    demo: Demo, monkeypatch: pytest.MonkeyPatch
) -> None:
    passed: dict[str, str] = {}

    async def hand_over(_: object, variables: Mapping[str, str], timeout: float) -> list[str]:
        passed.update(variables)
        return ["account", "execution"]

    monkeypatch.setattr(key_handover, "is_here", lambda settings: True)
    monkeypatch.setattr(key_handover, "hand_over", hand_over)
    settings = load_settings()
    connection = cast("Connection", SimpleNamespace(settings=settings, now=lambda: 1))
    requested = [RequestedConfig(name, demo[name]) for name in ("binance", "hyperliquid")]
    handover = await hand_over_keys(connection, requested)
    assert {name.split("_")[1] for name in passed} == {"HYPERLIQUID"}
    faults = [config_fault(one, Simulated(), settings, handover) for one in requested]
    assert (faults[0].startswith("keys with withdrawal rights are refused"), faults[1]) == (True, "")
