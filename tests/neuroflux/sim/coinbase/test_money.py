"""Whatever is traded on whichever product: balances are the start, the fills and their fees, and locks end."""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from random import Random

import pytest

from neuroflux.sim.coinbase.dialect import Coinbase
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Side, TimeInForce
from neuroflux.sim.core.orders import Ask, Order, Rejected
from neuroflux.sim.server import simulation_of

D = Decimal
NOW = 1_700_000_000_000_000
PRODUCTS = {"BTC-USD": "0.002", "BTC-USDC": "0.002", "ETH-USDC": "0.05", "SOL-EUR": "1", "USDT-USDC": "50"}


def act(exchange: SimExchange, random: Random) -> None:
    """Place, amend or cancel something; refusals change nothing."""
    symbol = random.choice(list(PRODUCTS))
    side: Side = random.choice(("buy", "sell"))
    listing, (bid, ask) = exchange.listings[symbol], exchange.top(symbol)
    offset = D(str(random.choice((-0.01, -0.0002, 0.0002, 0.01))))
    price = round((bid if side == "buy" else ask) * (1 + offset) / listing.tick) * listing.tick
    tif: TimeInForce = random.choice(("GTC", "GTC", "POST", "IOC", "FOK"))
    held = random.choice([*exchange.open_orders.values()]) if exchange.open_orders else None
    try:
        match random.randrange(5):
            case 0 if held:
                exchange.cancel(held, NOW)
            case 1 if held:
                exchange.amend(held, held.quantity * 2, held.ask.price or price, NOW)
            case 2:
                exchange.place(Ask(symbol, "buy", value=D(40)), NOW)
            case 3:
                exchange.place(Ask(symbol, side, D(PRODUCTS[symbol])), NOW)
            case _:
                exchange.place(Ask(symbol, side, D(PRODUCTS[symbol]), price, tif), NOW)
    except Rejected:
        pass


def moved(exchange: SimExchange) -> dict[str, Decimal]:
    """What the fills changed, by asset."""
    change: dict[str, Decimal] = defaultdict(Decimal)
    for fill in exchange.fills():
        sign = 1 if fill.side == "buy" else -1
        change[fill.listing.base_asset] += sign * fill.quantity
        change[fill.listing.quote] -= sign * fill.price * fill.quantity
        change[fill.fee_asset] -= fill.fee
    return change


def locked(orders: list[Order]) -> dict[str, Decimal]:
    """What open orders lock, by asset: a buy its value and fee."""
    held: dict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        asset = order.listing.quote if order.ask.side == "buy" else order.listing.base_asset
        held[asset] += order.locks(order.left)
    return held


@pytest.mark.parametrize("seed", range(5))
def test_money_is_conserved(seed: int) -> None:
    simulation, random = simulation_of(seed, dialects=(Coinbase,)), Random(seed)
    exchange = simulation.exchange("coinbase")
    start = {asset: balance.total for asset, balance in exchange.spot.balances.items()}
    for _ in range(120):
        act(exchange, random)
        simulation.world.step(NOW)
        held, change = locked(list(exchange.open_orders.values())), moved(exchange)
        for asset, balance in exchange.spot.balances.items():
            assert balance.locked == held[asset], asset
            assert balance.total == start.get(asset, D(0)) + change[asset], asset
    assert {fill.is_maker for fill in exchange.fills()} == {True, False}
    assert {"BTC-USDC", "ETH-USDC"} <= {fill.listing.symbol for fill in exchange.fills()}
    assert all(fill.fee_asset == fill.listing.quote for fill in exchange.fills())
    for order in list(exchange.open_orders.values()):
        exchange.cancel(order, NOW)
    assert all(balance.locked == 0 for balance in exchange.spot.balances.values())
    assert all(balance.free >= 0 for balance in exchange.spot.balances.values())
