import asyncio
import json
import subprocess
import sys

import pytest
from aiohttp import web

from neuroflux.errors import Unreachable
from neuroflux.stack.demo_keys import accounts, key_variables

ACCOUNTS = [
    {"exchange": "binance", "key": "k1", "secret": "s1", "address": "", "balances": {}},
    {"exchange": "binance", "key": "second", "secret": "second", "address": "", "balances": {}},
    {"exchange": "hyperliquid", "key": "agent", "secret": "0xsecret", "address": "0xaccount", "balances": {}},
]


def test_the_first_account_and_hyperliquids_address() -> None:
    assert key_variables(ACCOUNTS) == {
        "NEUROFLUX_BINANCE_API_KEY": "k1",
        "NEUROFLUX_BINANCE_SECRET_KEY": "s1",
        "NEUROFLUX_HYPERLIQUID_API_KEY": "0xaccount",
        "NEUROFLUX_HYPERLIQUID_SECRET_KEY": "0xsecret",
    }


def test_a_key_may_have_a_passphrase() -> None:
    account = {"exchange": "other", "key": "k", "secret": "s", "address": "", "balances": {}, "passphrase": "p"}
    assert key_variables([account])["NEUROFLUX_OTHER_PASSPHRASE"] == "p"


def test_no_simulator(unused_tcp_port: int) -> None:
    with pytest.raises(Unreachable, match="no accounts from"):
        accounts(f"http://127.0.0.1:{unused_tcp_port}")


async def test_a_command_is_given_the_keys_it_lacks() -> None:
    async def give(request: web.Request) -> web.Response:
        return web.json_response(ACCOUNTS)

    app = web.Application()
    app.router.add_get("/sim/accounts", give)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sim = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        keys = await run_with_keys(sim)
    finally:
        await runner.cleanup()
    assert keys == ["given", None, "0xaccount"], "kept; of an exchange that is not here; fetched"


async def run_with_keys(sim: str) -> list[str | None]:
    environment = {
        "NEUROFLUX_SIM": sim,
        "NEUROFLUX_BINANCE_REST_URL": f"{sim}/binance",
        "NEUROFLUX_BINANCE_API_KEY": "given",
        "NEUROFLUX_BINANCEUSDM_REST_URL": "https://elsewhere",
        "NEUROFLUX_HYPERLIQUID_REST_URL": f"{sim}/hyperliquid",
    }
    names = ["NEUROFLUX_BINANCE_API_KEY", "NEUROFLUX_BINANCEUSDM_API_KEY", "NEUROFLUX_HYPERLIQUID_API_KEY"]
    show = f"import json, os; print(json.dumps([os.environ.get(name) for name in {names}]))"
    command = [sys.executable, "-m", "neuroflux.stack.demo_keys", sys.executable, "-c", show]
    done = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, check=True)
    keys: list[str | None] = json.loads(done.stdout)
    return keys
