"""One account for everything: what spot has backs perpetuals; and a post-only order that is accepted and cancelled."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import Ask, Reason, Rejected
from neuroflux.sim.core.world import World
from tests.neuroflux.sim.core.test_exchange import NOW, Script

D = Decimal
_SPOT, _PERPETUAL = (
    next(one for one in venues()[venue].listings if one.symbol == "SOLUSDT") for venue in ("binance", "binanceusdm")
)
_UNIFIED = replace(
    venues()["binance"],
    listings=(_SPOT, replace(_PERPETUAL, exchange="binance", symbol="SOLSWAP")),
    spot_balances={"USDT": D(1000)},
    funding_hours=8,
    shares_wallet=True,
    keeps_post_only=True,
    prevents_self_trades=True,
)


@pytest.fixture
def exchange() -> SimExchange:
    return World({"binance": _UNIFIED}, 1, Script(), NOW).exchanges["binance"]


def test_spot_and_perpetuals_share_what_is_free(exchange: SimExchange) -> None:
    exchange.place(Ask("SOLSWAP", "buy", D(100)), NOW)  # a margin of some 750 USDT
    left = exchange.available("USDT", is_spot=True)
    assert left == exchange.available("USDT", is_spot=False) < 260
    with pytest.raises(Rejected) as refused:
        exchange.place(Ask("SOLUSDT", "buy", D(2)), NOW)
    assert refused.value.reason is Reason.BALANCE
    exchange.place(Ask("SOLUSDT", "buy", D(1)), NOW)
    with pytest.raises(Rejected) as refused:
        exchange.place(Ask("SOLSWAP", "buy", D(20)), NOW)
    assert refused.value.reason is Reason.MARGIN


@pytest.mark.parametrize("symbol", ["SOLUSDT", "SOLSWAP"])
def test_an_amended_order_holds_what_it_asks(exchange: SimExchange, symbol: str) -> None:
    order = exchange.place(Ask(symbol, "buy", D(1), D(140)), NOW)
    exchange.amend(order, D(3), D(141), NOW)
    assert (order.quantity, order.ask.price, order.reserved) == (
        D(3),
        D(141),
        D(423) / (20 if symbol == "SOLSWAP" else 1),
    )
    with pytest.raises(Rejected):
        exchange.amend(order, D(3000), D(141), NOW)
    assert order.quantity == 3
    exchange.cancel(order, NOW)
    assert exchange.available("USDT", is_spot=True) == 1000
    with pytest.raises(Rejected):
        exchange.amend(order, D(1), D(141), NOW)


def test_orders_of_the_account_do_not_meet(exchange: SimExchange) -> None:
    bid = exchange.top("SOLUSDT")[0]
    exchange.books["SOLUSDT"].set_liquidity("buy", exchange.listings["SOLUSDT"].ticks(bid), 0)
    near = exchange.place(Ask("SOLUSDT", "buy", D(1), bid), NOW)
    far = exchange.place(Ask("SOLUSDT", "buy", D(1), bid - 1), NOW)
    sold = exchange.place(Ask("SOLSWAP", "sell", D(1)), NOW)
    assert (near.state, sold.state) == ("new", "filled")
    exchange.transfer("SOL", D(5), NOW, is_spot=True)
    exchange.place(Ask("SOLUSDT", "sell", D(1)), NOW)
    assert (near.state, near.filled, far.state) == ("expired", D(0), "new")
    assert exchange.spot.of("USDT").locked == bid - 1


def test_a_post_only_order_that_would_match_is_accepted_and_expires(exchange: SimExchange) -> None:
    ask = exchange.top("SOLUSDT")[1]
    order = exchange.place(Ask("SOLUSDT", "buy", D(1), ask, "POST"), NOW)
    assert order.state == "expired"
    assert (order.filled, exchange.spot.of("USDT").locked) == (D(0), D(0))
