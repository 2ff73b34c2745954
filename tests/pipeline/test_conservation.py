"""Conservation: after any trading, figures equal those of the exchanges, and fills add up.

``python -m tests.conservation`` checks the adapters for the same laws over many seeds, without Kafka.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Iterator
from random import Random

import pytest

from neuroflux.exchanges.exchange_manager import ExchangeManager
from tests.pipeline.conftest import MakeSettings, Pipeline, run_pipeline, wait_for

pytestmark = [pytest.mark.stack, pytest.mark.long, pytest.mark.timeout(400)]

STEPS = 30
MINUTES = 2
"""The number of minutes at whose end the account is sampled."""
FAULTS = ("partial_fill", "reject", "duplicate", "disconnect")
BOUGHT = {"symbol": "BTC/USDC", "side": "buy", "quantity": 0.1, "exchange": "binance"}
"""Some 6,500 USD: large enough to be visible as a profit."""
Held = dict[tuple[str, str], float]
Minute = str


@pytest.fixture
def pipeline(tmp_path_factory: pytest.TempPathFactory, make_settings: MakeSettings) -> Iterator[Pipeline]:
    """A separate pipeline for each test: its trades spend money that other tests need."""
    yield from run_pipeline(tmp_path_factory.mktemp("own"), make_settings)


def of_exchanges(pipeline: Pipeline) -> Held:
    """The exchanges' own totals: wallets, without the unrealised profit of positions."""
    return {
        (account["exchange"], asset): float(total)
        for account in pipeline.sim("/sim/accounts")
        for asset, total in account["balances"].items()
    }


def of_facade(manager: ExchangeManager) -> Held:
    """The same from the façade; Hyperliquid's figure includes the unrealised profit."""
    found: Held = {}
    whole = manager.get_unified_balance()["exchange_breakdown"]
    parts = {name: part for one in whole.values() for name, part in one["parts"].items()}
    for name, one in (whole | parts).items():
        for asset, balance in one["assets"].items():
            found[name, asset] = balance["total"] - balance["unrealised_pnl"]
    return found


def trade(manager: ExchangeManager, pipeline: Pipeline, random: Random) -> None:
    """A random action: an order, a pair or a small rebalance; often after a fault of an exchange."""
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


def test_balances_and_fills_add_up_after_random_trading(pipeline: Pipeline) -> None:
    random = Random(20261124)
    with ExchangeManager(pipeline.settings) as manager:
        before, since = of_exchanges(pipeline), len(pipeline.sim("/sim/orders"))
        started = pipeline.query("SELECT toString(now64(6, 'UTC'))")[0][0]
        for _ in range(STEPS):
            trade(manager, pipeline, random)
        pipeline.clear_faults()
        wait_for(lambda: all(one["state"] not in ("new", "partially_filled") for one in orders(pipeline, since)), 60)
        wait_for(lambda: closest(manager, pipeline) == {}, 90)
        wait_for(lambda: counted(pipeline, started) == filled(pipeline, since), 60)
        change = flows(pipeline, started)
        after = of_exchanges(pipeline)
    for (exchange, asset), amount in after.items():
        if exchange == "binance":
            moved = amount - before.get((exchange, asset), 0.0)
            assert moved == pytest.approx(change[exchange, asset], abs=1e-6), asset


# ── equity, minute by minute ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(
    os.environ.get("NEUROFLUX_AUDIT") not in ("faults", "long"), reason="minutes of the clock: NEUROFLUX_AUDIT=faults"
)
def test_equity_follows_the_account_and_a_purchase_is_no_profit(pipeline: Pipeline) -> None:
    random = Random(20261128)
    with ExchangeManager(pipeline.settings) as manager:
        at_end_of(minute_of(time.time()))
        bought = manager.route_order(BOUGHT)
        assert bought["filled_quantity"] == pytest.approx(0.1), bought
        sampled: dict[Minute, Held] = {}
        for _ in range(MINUTES):
            for _ in range(3):
                trade(manager, pipeline, random)
            pipeline.clear_faults()
            wait_for(lambda: closest(manager, pipeline) == {}, 90)
            minute = minute_of(time.time())
            at_end_of(minute)
            sampled[name_of(minute)] = of_exchanges(pipeline)
        wait_for(lambda: set(sampled) <= {row[0] for row in pipeline.query("SELECT toString(minute) FROM equity")})
        performance = manager.track_portfolio_performance()
        priced = {asset: one["value_usd"] for asset, one in manager.get_unified_balance()["asset_breakdown"].items()}
    for name, wallets in sampled.items():
        assert viewed(pipeline, name) == pytest.approx(wallets, rel=1e-9, abs=1e-4), name
    attribution = performance["attribution_analysis"]
    assert sum(attribution["by_asset"].values()) == pytest.approx(attribution["total"], abs=1e-6)
    assert sum(attribution["by_exchange"].values()) == pytest.approx(attribution["total"], abs=1e-6)
    for asset, gained in attribution["by_asset"].items():
        assert abs(gained) <= largest_gain(pipeline, asset, priced.get(asset, 0.0)), asset


def minute_of(seconds: float) -> int:
    return int(seconds // 60) * 60


def name_of(minute: int) -> Minute:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(minute))


def at_end_of(minute: int) -> None:
    """Wait for the end of the minute; nothing is traded meanwhile, so the account does not change."""
    wait_for(lambda: time.time() >= minute + 60, 65)


def viewed(pipeline: Pipeline, minute: Minute) -> Held:
    """The wallets in the view for a minute; an empty wallet may be missing."""
    rows = pipeline.query(f"SELECT exchange, asset, total FROM equity WHERE toString(minute) = '{minute}'")
    held = {(exchange, asset): float(total) for exchange, asset, total in rows}
    return {name: held.get(name, 0.0) for name in of_exchanges(pipeline)}


def largest_gain(pipeline: Pipeline, asset: str, worth: float) -> float:
    """The largest gain in USD: the price move of the holding, plus 1 % of the traded value for costs."""
    (moved,) = pipeline.query(
        f"SELECT max(high) / min(low) - 1 FROM aggregated_prices WHERE market = '{asset}/USD' AND low > 0"
    )
    (rate,) = pipeline.query(f"SELECT max(ask_price) / min(bid_price) - 1 FROM quotes WHERE symbol = 'USDC/{asset}'")
    (traded,) = pipeline.query(
        f"SELECT sum(toFloat64(price) * toFloat64(quantity)) FROM fills FINAL WHERE splitByChar('/', symbol)[1] = "
        f"'{asset}' OR splitByChar('/', splitByChar(':', symbol)[1])[2] = '{asset}'"
    )
    risen = max(float(one[0]) if one[0] not in ("nan", "inf") else 0.0 for one in (moved, rate))
    return (worth + float(traded[0])) * risen + 0.01 * float(traded[0]) + 1.0


def orders(pipeline: Pipeline, since: int) -> list[dict[str, str]]:
    found: list[dict[str, str]] = pipeline.sim("/sim/orders")
    return found[since:]


def closest(manager: ExchangeManager, pipeline: Pipeline) -> dict[tuple[str, str], tuple[float, float]]:
    """The differences between the façade and the exchanges: ours, theirs."""
    ours, theirs = of_facade(manager), of_exchanges(pipeline)
    names = {name for name, amount in (ours | theirs).items() if amount}
    return {
        name: (ours.get(name, 0.0), theirs.get(name, 0.0))
        for name in names
        if abs(ours.get(name, 0.0) - theirs.get(name, 0.0)) > 1e-4 * max(1.0, abs(theirs.get(name, 0.0)) / 1e4)
    }


def filled(pipeline: Pipeline, since: int) -> dict[str, float]:
    """The fills of the exchanges, by exchange: the reference."""
    sums: dict[str, float] = defaultdict(float)
    for one in orders(pipeline, since):
        sums[one["exchange"]] += float(one["filled_quantity"])
    return {name: round(amount, 6) for name, amount in sums.items() if amount}


def counted(pipeline: Pipeline, started: str) -> dict[str, float]:
    """The same in ClickHouse, by exchange: no duplicates, none missing."""
    rows = pipeline.query(
        f"SELECT exchange, sum(quantity) FROM fills FINAL WHERE event_time >= '{started}' GROUP BY exchange"
    )
    return {name: round(float(amount), 6) for name, amount in rows}


def flows(pipeline: Pipeline, started: str) -> Held:
    """The changes by the fills, by exchange and asset: base, quote and fees."""
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
