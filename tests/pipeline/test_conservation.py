"""Nothing is made and nothing is lost: whatever is traded, figures are what the exchanges say, and fills add up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from random import Random

import pytest

from neuroflux.exchanges.exchange_manager import ExchangeManager
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.timeout(240)]

STEPS = 30
FAULTS = ("partial_fill", "reject", "duplicate", "disconnect")
Held = dict[tuple[str, str], float]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    """One of this module's own: what is traded here spends money that others need."""
    yield from run_pipeline(tmp_path_factory.mktemp("own"), make_settings)


def said(pipeline: Pipeline) -> Held:
    """The exchanges' own totals: wallets, without the unrealised profit of positions."""
    return {
        (account["exchange"], asset): float(total)
        for account in pipeline.sim("/sim/accounts")
        for asset, total in account["balances"].items()
    }


def told(manager: ExchangeManager) -> Held:
    """What the façade tells of the same; Hyperliquid's figure has the unrealised profit in it."""
    found: Held = {}
    whole = manager.get_unified_balance()["exchange_breakdown"]
    parts = {name: part for one in whole.values() for name, part in one["parts"].items()}
    for name, one in (whole | parts).items():
        for asset, balance in one["assets"].items():
            inside = one["unrealised_pnl_usd"] if (name, asset) == ("hyperliquid", "USDC") else 0.0
            found[name, asset] = balance["total"] - inside
    return found


def trade(manager: ExchangeManager, pipeline: Pipeline, random: Random) -> None:
    """One random thing: an order, a pair, a rebalance by a little; often with a fault of some exchange before."""
    if random.random() < 0.4:
        fault = {"exchange": random.choice(("binance", "binanceusdm", "hyperliquid")), "fault": random.choice(FAULTS)}
        pipeline.sim("/sim/faults", fault | {"count": 1})
    kind = random.random()
    if kind < 0.2 and (found := manager.scan_arbitrage_opportunities()):
        manager.execute_cross_exchange_arbitrage(found[0])
    elif kind < 0.3:
        assets = manager.get_unified_balance()["asset_breakdown"]
        total = sum(one["value_usd"] for one in assets.values())
        target = {asset: one["value_usd"] / total for asset, one in assets.items()}
        target["ETH"], target["USDC"] = target["ETH"] + 0.002, target["USDC"] - 0.002
        manager.rebalance_portfolio(target, 0.01)
    else:
        market, quantity = random.choice((("BTC/USD", 0.002), ("ETH/USD", 0.03), ("SOL/USDC:USDC", 1.0)))
        side, strategy = random.choice(("buy", "sell")), random.choice(("optimal", "balanced"))
        manager.route_order({"symbol": market, "side": side, "quantity": quantity}, strategy)


def test_balances_and_fills_add_up_after_anything(pipeline: Pipeline) -> None:
    random = Random(20261124)
    with ExchangeManager(pipeline.settings) as manager:
        before, since = said(pipeline), len(pipeline.sim("/sim/orders"))
        started = pipeline.query("SELECT toString(now64(6, 'UTC'))")[0][0]
        for _ in range(STEPS):
            trade(manager, pipeline, random)
        pipeline.clear_faults()
        wait_for(lambda: all(one["state"] not in ("new", "partially_filled") for one in orders(pipeline, since)), 60)
        wait_for(lambda: closest(manager, pipeline) == {}, 90)
        wait_for(lambda: counted(pipeline, started) == filled(pipeline, since), 60)
        change = flows(pipeline, started)
        after = said(pipeline)
    for (exchange, asset), amount in after.items():
        if exchange == "binance":
            moved = amount - before.get((exchange, asset), 0.0)
            assert moved == pytest.approx(change[exchange, asset], abs=1e-6), asset


def orders(pipeline: Pipeline, since: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = pipeline.sim("/sim/orders")
    return found[since:]


def closest(manager: ExchangeManager, pipeline: Pipeline) -> dict[tuple[str, str], tuple[float, float]]:
    """Where the façade and the exchanges differ: ours, theirs."""
    ours, theirs = told(manager), said(pipeline)
    names = {name for name, amount in (ours | theirs).items() if amount}
    return {
        name: (ours.get(name, 0.0), theirs.get(name, 0.0))
        for name in names
        if abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) > 1e-4 * max(1.0, abs(theirs.get(name, 0.0)) / 1e4)
    }


def filled(pipeline: Pipeline, since: int) -> dict[str, float]:
    """What the exchanges filled, by exchange: the truth."""
    sums: dict[str, float] = defaultdict(float)
    for one in orders(pipeline, since):
        sums[one["exchange"]] += float(one["filled_quantity"])
    return {name: round(amount, 6) for name, amount in sums.items() if amount}


def counted(pipeline: Pipeline, started: str) -> dict[str, float]:
    """What ClickHouse has of it, by exchange: nothing twice, nothing missing."""
    rows = pipeline.query(
        f"SELECT exchange, sum(quantity) FROM fills FINAL WHERE event_time >= '{started}' GROUP BY exchange"
    )
    return {name: round(float(amount), 6) for name, amount in rows}


def flows(pipeline: Pipeline, started: str) -> Held:
    """What the fills moved, by exchange and asset: the base, the quote and the fees."""
    moved: Held = defaultdict(float)
    rows = pipeline.query(
        f"""SELECT exchange, symbol, side, price, quantity, fee, fee_asset FROM fills FINAL
        WHERE event_time >= '{started}'"""
    )
    for exchange, symbol, side, price, quantity, fee, fee_asset in rows:
        base, _, quote = symbol.partition("/")
        sign = 1 if side == "buy" else -1
        moved[exchange, base] += sign * float(quantity)
        moved[exchange, quote] -= sign * float(quantity) * float(price)
        moved[exchange, fee_asset] -= float(fee)
    return moved
