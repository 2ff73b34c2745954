"""What only some venues do, such as writing the number of an order as text."""

from __future__ import annotations

import json
from decimal import Decimal

import aiohttp
import msgspec

from neuroflux.sim.binance.spot import BinanceSpot
from neuroflux.sim.binance.spot_venue import VENUE as BINANCE_VENUE
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import serve
from tests.neuroflux.sim.core.test_exchange import NOW

D = Decimal


def named(number: int) -> str:
    return f"order-{number}"


class Named(BinanceSpot):
    venue = msgspec.structs.replace(BINANCE_VENUE, order_name=named)


async def test_the_truth_names_orders_as_the_exchange_does() -> None:
    async with serve(0, seed=1, dialects=(Named,)) as served, aiohttp.ClientSession(served.url) as session:
        order = served.simulation.exchange("binance").place(Ask("BTCUSDT", "buy", D("0.01")), NOW)
        async with session.get("/sim/orders") as answer:
            assert json.loads(await answer.text())[0]["exchange_order_id"] == f"order-{order.order_id}"
