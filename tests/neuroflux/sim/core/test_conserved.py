"""With any fee asset and any legs: balances are the start, profits, flows and fees."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random

import pytest

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.accounts import ZERO, Leg
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.liquidation import close_positions
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.orders import Ask, Rejected
from neuroflux.sim.core.world import World
from tests.neuroflux.sim.core.test_exchange import NOW

SYMBOL = "SOLUSDT"


class Paying:
    """No fault but the fees: a rebate for makers, and what takers pay in BNB."""

    def take(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        return None

    def setting(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        if fault != "fees":
            return None
        return Fault(exchange, "fees", maker=Decimal("-0.0001"), taker=Decimal("0.0004"), asset="BNB")


def _trade(world: World, exchange: SimExchange, random: Random) -> None:
    """One random order, and some steps after it."""
    side: Side = random.choice(("buy", "sell"))
    leg: Leg = random.choice(("LONG", "SHORT")) if exchange.perpetual.is_hedged else ""
    bid = exchange.top(SYMBOL)[0]
    price = random.choice((None, bid * Decimal(str(random.choice((0.999, 1, 1.001)))) // Decimal("0.01") / 100))
    tif: TimeInForce = random.choice(("GTC", "IOC", "FOK", "POST")) if price is not None else "IOC"
    ask = Ask(SYMBOL, side, Decimal(random.randint(1, 3000)) / 100, price, tif, leg=leg)
    is_reducing = not leg and exchange.exchange_id == "binanceusdm" and random.random() < 0.4
    try:
        exchange.place(Ask(SYMBOL, side, ask.quantity, price, tif, reduce_only=is_reducing, leg=leg), NOW)
    except Rejected:
        return
    for _ in range(random.randint(0, 20)):
        world.step(NOW)


@pytest.mark.parametrize("seed", range(12))
def test_perpetuals(seed: int) -> None:
    random = Random(seed)
    world = World(venues(), seed, Paying(), NOW)
    exchange = world.exchanges["binanceusdm"]
    exchange.perpetual.is_hedged = seed % 2 == 1
    exchange.transfer("BNB", Decimal("0.02"), NOW, is_spot=False)
    meant = defaultdict(Decimal, exchange.perpetual.wallet)
    for _ in range(25):
        _trade(world, exchange, random)
    close_positions(exchange, SYMBOL, "adl" if seed % 3 else "liquidation", NOW)
    for order in list(exchange.open_orders.values()):
        exchange.cancel(order, NOW)
    for fill in exchange.fills():
        meant["USDT"] += fill.profit
        meant[fill.fee_asset] -= fill.fee
    assert len(exchange.fills()) > 5
    assert "BNB" in {fill.fee_asset for fill in exchange.fills()}
    assert exchange.perpetual.wallet == dict(meant)
    assert not exchange.perpetual.held()
    assert exchange.perpetual.margin_of_orders("USDT") == ZERO


@pytest.mark.parametrize("seed", range(6))
def test_spot(seed: int) -> None:
    random = Random(seed)
    world = World(venues(), seed, Paying(), NOW)
    exchange = world.exchanges["binance"]
    exchange.transfer("BNB", Decimal("0.05"), NOW, is_spot=True)
    meant = defaultdict(Decimal, {asset: each.total for asset, each in exchange.spot.balances.items()})
    for _ in range(25):
        _trade(world, exchange, random)
    for order in list(exchange.open_orders.values()):
        exchange.cancel(order, NOW)
    for fill in exchange.fills():
        sign = 1 if fill.side == "buy" else -1
        meant["SOL"] += sign * fill.quantity
        meant["USDT"] -= sign * fill.quantity * fill.price
        meant[fill.fee_asset] -= fill.fee
    assert {asset: each.total for asset, each in exchange.spot.balances.items()} == dict(meant)
    assert all(each.locked == 0 for each in exchange.spot.balances.values())
