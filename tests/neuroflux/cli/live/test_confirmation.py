"""Confirmation of live trading: the summary, the check of key rights, and the answer."""

from __future__ import annotations

import asyncio
import os
import pty
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from coincurve import PrivateKey

from neuroflux.cli.live.accounts import LiveAccount, live_accounts
from neuroflux.cli.live.confirmation import check_withdrawals, confirm
from neuroflux.cli.live.summary import rows
from neuroflux.errors import Refused
from neuroflux.exchanges.catalogue import EXCHANGE_IDS
from neuroflux.exchanges.kit.requests import KeyRights
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.sim.hyperliquid.signing import address_of
from neuroflux.sim.server import Served, serve
from neuroflux.stack.demo_keys import accounts as demo_accounts
from neuroflux.stack.demo_keys import key_variables
from neuroflux.stack.environment import simulated_addresses
from tests.ports import free_port

OWN = "5c" * 32
ROOT = Path(__file__).parents[4]
PROGRAM = (sys.executable, "-m", "neuroflux")


@pytest.fixture
async def exchanges(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Served]:
    """A simulator at the addresses of the real exchanges, and the keys of its accounts."""
    monkeypatch.chdir(tmp_path)
    async with serve(0, seed=1) as served:
        keys = key_variables(await asyncio.to_thread(demo_accounts, served.url))
        for name, value in (simulated_addresses(served.url) | keys).items():
            monkeypatch.setenv(name, value)
        yield served


async def rights() -> dict[str, KeyRights | None]:
    return {one.exchange: one.rights for one in await live_accounts(load_settings())}


async def set_fault(served: Served, name: str, exchange: str = "binance") -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.post("/sim/faults", json={"exchange": exchange, "fault": name}) as answer:
            assert answer.status == 200


async def test_a_key_with_trading_rights_only_is_accepted(exchanges: Served) -> None:
    found = await live_accounts(load_settings())
    rights = {one.exchange: one.rights and one.rights.withdraws for one in found}
    assert rights == dict.fromkeys(EXCHANGE_IDS, False)
    check_withdrawals(found)
    confirm(load_settings(), found, yes=True, allow_withdrawals=False)


async def test_a_key_with_withdrawal_rights_is_refused_unless_allowed(
    exchanges: Served, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rights of a USDⓈ-M key are queried at the spot address."""
    await set_fault(exchanges, "withdrawals")
    found = await live_accounts(load_settings())
    with pytest.raises(Refused, match=r'binance: clear "Enable Withdrawals".*; binanceusdm: .*--allow-withdrawals'):
        confirm(load_settings(), found, yes=True, allow_withdrawals=False)
    confirm(load_settings(), found, yes=True, allow_withdrawals=True)
    assert "ALLOWED: clear" in capsys.readouterr().err


async def test_hyperliquids_account_key_may_withdraw_and_an_agent_key_may_not(
    exchanges: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = address_of(PrivateKey(bytes.fromhex(OWN)).public_key)
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_API_KEY", own.upper().replace("0X", "0x"))
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_SECRET_KEY", OWN)
    with pytest.raises(Refused, match=r"hyperliquid: it is the account's own key: make an API wallet"):
        check_withdrawals(await live_accounts(load_settings()))
    monkeypatch.setenv("NEUROFLUX_HYPERLIQUID_SECRET_KEY", "6d" * 32)
    agent = (await rights())["hyperliquid"]
    assert agent is not None
    assert (agent.withdraws, "signed by the agent 0x" in agent.detail) == (False, True)


@pytest.mark.parametrize(
    ("variable", "value", "detail"),
    [
        ("NEUROFLUX_BINANCE_REST_URL", "http://127.0.0.1:1", "could not be checked: http://127.0.0.1:1: Client"),
        ("NEUROFLUX_BINANCE_SECRET_KEY", "wrong", "could not be checked: /sapi/v1/account/apiRestrictions: HTTP 400"),
        ("NEUROFLUX_BINANCE_TESTNET", "1", "testnets do not say"),
    ],
)
async def test_an_unchecked_key_is_reported_as_such(
    exchanges: Served, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, detail: str
) -> None:
    monkeypatch.setenv(variable, value)
    found = (await rights())["binance"]
    assert found is not None
    assert (found.withdraws, detail in found.detail) == (None, True), found


async def test_a_malformed_answer_is_no_permission(exchanges: Served) -> None:
    await set_fault(exchanges, "http_5xx")
    found = (await rights())["binance"]
    assert found is not None
    assert found.withdraws is None


def account(testnet: bool = False, withdraws: bool | None = False, keys: str = "key abcd…wxyz") -> LiveAccount:
    addresses = ("https://rest", "wss://prices", "wss://account")
    rights = KeyRights(withdraws, "why") if keys else None
    return LiveAccount("binance", keys, testnet, True, addresses, rights)


def test_mode_account_addresses_and_limits_are_shown() -> None:
    shown = rows([account()], Settings().order_limits(live=True))
    assert shown[:5] == [
        ("binance", "mode", "REAL EXCHANGE"),
        ("", "account", "key abcd…wxyz"),
        ("", "withdrawals", "not allowed: why"),
        ("", "REST", "https://rest"),
        ("", "WebSocket", "wss://prices (prices), wss://account (account)"),
    ]
    limits = {what: value for _, what, value in shown[5:]}
    assert limits["an order"].startswith("100.00 USD at most")
    assert limits["a day's loss"].startswith("1,000.00 USD")
    assert ("", "account", "no keys are set: prices only") in rows(
        [account(keys="")], Settings().order_limits(live=True)
    )
    assert rows([account(testnet=True)], Settings().order_limits(live=True))[0][2] == "testnet"


def test_withdrawal_rights_are_accepted_on_a_testnet() -> None:
    check_withdrawals([account(testnet=True, withdraws=True)])
    with pytest.raises(Refused):
        check_withdrawals([account(withdraws=True)])


async def typed(text: str, home: Path, **more: str) -> tuple[int, str]:
    """Run ``up --live --trade`` on a terminal with this input: the exit code and the output."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "NEUROFLUX_HOME": str(home), "PYTHONPATH": str(ROOT), **more}
    running = await asyncio.create_subprocess_exec(
        *PROGRAM, "up", "--live", "--trade", stdin=theirs, stderr=asyncio.subprocess.PIPE, env=environment
    )
    os.close(theirs)
    os.write(ours, text.encode())
    _, output = await running.communicate()
    os.close(ours)
    assert running.returncode is not None
    return running.returncode, output.decode()


async def test_no_as_an_answer_starts_nothing(exchanges: Served, tmp_path: Path) -> None:
    code, output = await typed("no\n", tmp_path / "home")
    assert (code, (tmp_path / "home").exists()) == (1, False)
    for shown in ("REAL EXCHANGE", exchanges.url, "100.00 USD", "not allowed", "nothing was started"):
        assert shown in output
    assert os.environ["NEUROFLUX_BINANCE_SECRET_KEY"] not in output
    assert os.environ["NEUROFLUX_BINANCE_API_KEY"] not in output


async def test_yes_as_an_answer_continues(exchanges: Served, tmp_path: Path) -> None:
    """The start continues up to the first port that is taken."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        code, output = await typed("yes\n", tmp_path / "home", NEUROFLUX_KAFKA=f"127.0.0.1:{taken.getsockname()[1]}")
    assert (code, "is taken; set NEUROFLUX_KAFKA" in output) == (1, True), output
