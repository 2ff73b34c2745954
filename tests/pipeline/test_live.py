"""``neuroflux run --live``: one simulator replaces the real exchanges, a second one fills orders on paper."""

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from neuroflux.runtime.settings import Settings, port_of
from neuroflux.stack.environment import simulated_addresses
from tests.pipeline.conftest import PROGRAM, ROOT, Pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]

ADDRESSES = ("home", "kafka", "registry", "clickhouse", "clickhouse_http", "sim")
DEPTHS = ("/binance/api/v3/depth?symbol=BTCUSDT", "/binance/fapi/v1/depth?symbol=BTCUSDT")
"""The REST paths of the paper exchanges' books."""
START_SECONDS = 120
STOP_SECONDS = 60
DEPTH = 2
"""The level at which orders rest: close enough to be reached soon, but not filled at once."""


class Live(Struct, frozen=True):
    """The paper pipeline, and the simulator that serves its live prices."""

    paper: Pipeline
    exchanges: Pipeline


@pytest.fixture(scope="module")
def exchanges(
    tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[[Path], Settings]
) -> Iterator[Pipeline]:
    """The simulator in place of the live exchanges."""
    settings = make_settings(tmp_path_factory.mktemp("exchanges"))
    chosen = {**os.environ, "NEUROFLUX_EXCHANGES": ",".join(settings.exchanges)}
    command = [str(PROGRAM), "sim", "--port", str(port_of(settings.sim)), "--seed", "7"]
    with subprocess.Popen(command, cwd=ROOT, env=chosen) as sim:
        try:
            yield Pipeline(settings, {})
        finally:
            sim.terminate()


@pytest.fixture(scope="module")
def live(
    exchanges: Pipeline, tmp_path_factory: pytest.TempPathFactory, make_settings: Callable[[Path], Settings]
) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("live")
    settings = make_settings(home)
    chosen = {f"NEUROFLUX_{name.upper()}": str(getattr(settings, name)) for name in ADDRESSES}
    away = simulated_addresses(exchanges.settings.sim)
    # keys that the paper exchanges would refuse: no service may get them
    secrets = {"NEUROFLUX_BINANCE_API_KEY": "real", "NEUROFLUX_BINANCE_SECRET_KEY": "real"}
    environment = {**os.environ, **chosen, **away, **secrets, "NEUROFLUX_MARKETS": "BTC/USD,USDC/USD"}
    output = home / "output"
    with output.open("w") as stderr:
        running = subprocess.Popen(
            [str(PROGRAM), "run", "--live", "--json"], cwd=ROOT, env=environment, stdout=stderr, stderr=stderr
        )
    try:
        wait_for(lambda: running.poll() is not None or "everything answers" in output.read_text(), START_SECONDS)
        assert running.poll() is None, output.read_text()
        yield Live(Pipeline(settings, environment), exchanges)
    finally:
        running.send_signal(signal.SIGINT)
        assert running.wait(STOP_SECONDS) == 0, output.read_text()


def _ordered(live: Live, *arguments: str) -> list[dict[str, Any]]:
    done = live.paper.program("order", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def _shown(live: Live, exchange: str, symbol: str, price: str) -> bool:
    """Whether a snapshot had this price."""
    sql = (
        f"SELECT count() FROM books WHERE exchange = '{exchange}' AND symbol = '{symbol}' "
        f"AND arrayExists(level -> abs(level.price - {price}) < 1e-9, arrayConcat(bids, asks))"
    )
    return live.paper.query(sql)[0] != ["0"]


def _fills(live: Live, order_id: str) -> list[list[str]]:
    sql = f"SELECT exchange, symbol, price, liquidity FROM fills WHERE order_id = '{order_id}'"
    return live.paper.query(sql)


def _accepted(live: Live) -> dict[str, dict[str, Any]]:
    return {order["client_order_id"]: order for order in live.paper.sim("/sim/orders")}


def test_a_market_order_is_filled_on_paper_at_live_prices(live: Live) -> None:
    for path in DEPTHS:
        assert wait_for(lambda: live.paper.sim(path)["bids"]), path  # noqa: B023
    events = _ordered(live, "buy", "BTC/USD", "0.05", "--wait")
    assert events[-1]["state"] == "filled"
    accepted = _accepted(live)
    legs = {event["client_order_id"] for event in events if event["client_order_id"]}
    assert legs
    assert legs <= accepted.keys()
    fills = wait_for(lambda: _fills(live, events[-1]["order_id"]))
    for exchange, symbol, price, _ in fills:
        assert wait_for(lambda: _shown(live, exchange, symbol, price)), (exchange, symbol, price)  # noqa: B023
    assert live.exchanges.sim("/sim/orders") == []


def _rest(live: Live, side: str) -> str:
    """Place a limit order behind the best price of the paper book; returns its id."""
    price, _ = live.paper.sim(DEPTHS[0])["bids" if side == "buy" else "asks"][DEPTH]
    return str(_ordered(live, side, "BTC/USDT", "0.001", "--type", "limit", "--price", price)[-1]["order_id"])


def test_a_resting_order_is_filled_when_the_live_price_reaches_it(live: Live) -> None:
    """On both sides; repeated while the price moves away, or reaches an order before it rests."""
    placed: list[str] = []

    def filled_as_maker() -> list[list[str]]:
        placed.extend(_rest(live, side) for side in ("buy", "sell"))
        return [fill for order_id in placed for fill in _fills(live, order_id) if fill[-1] == "maker"]

    exchange, symbol, price, _ = wait_for(filled_as_maker, 120)[0]
    assert (exchange, symbol) == ("binance", "BTC/USDT")
    assert wait_for(lambda: _shown(live, exchange, symbol, price))
    limits = [one for one in live.paper.sim("/sim/orders") if one["symbol"] == "BTCUSDT" and one["state"] == "filled"]
    assert float(price) in {float(one["price"]) for one in limits}
    assert live.exchanges.sim("/sim/orders") == []
