"""One account for everything: what spot has backs perpetuals; and a post-only order that is accepted and cancelled."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from neuroflux.sim.catalogue import VENUES
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import Ask, Reason, Rejected
from neuroflux.sim.core.world import World
from tests.neuroflux.sim.core.test_exchange import NOW, Script

D = Decimal
_SPOT, _PERPETUAL = (
    next(one for one in VENUES[venue].listings if one.symbol == "SOLUSDT") for venue in ("binance", "binanceusdm")
)
_UNIFIED = replace(
    VENUES["binance"],
    listings=(_SPOT, replace(_PERPETUAL, exchange="binance", symbol="SOLSWAP")),
    spot_balances={"USDT": D(1000)},
    funding_hours=8,
    is_unified=True,
    keeps_post_only=True,
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


def test_a_post_only_order_that_would_match_is_accepted_and_expires(exchange: SimExchange) -> None:
    ask = exchange.top("SOLUSDT")[1]
    order = exchange.place(Ask("SOLUSDT", "buy", D(1), ask, "POST"), NOW)
    assert order.state == "expired"
    assert (order.filled, exchange.spot.of("USDT").locked) == (D(0), D(0))
