"""A hundred orders a second to the simulated exchange: each waits for the rate limit, and none is refused for it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from consumers.execution.gateway import Account, Gateway
from neuroflux.domain import Ack, ExchangeStatus, OrderType, Outcome, Placement, Side, StatusKind, TimeInForce
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.kit.requests import Answer, Keys
from neuroflux.http.budget import Urgency
from neuroflux.sim.server import Served, serve

BURST = 110
"""More than the limit of ten seconds, without its buffer and with it."""


async def instruments(gateway: Gateway, binance: Binance) -> list[Answer]:
    return [await gateway.send("binance", request, 5.0) for request in binance.instruments_requests()]


def account(served: Served) -> Account:
    demo = served.simulation.dialects["binance"].account()
    binance = Binance()
    order_client = binance.order_client(Keys(demo.key, demo.secret), ())
    return Account(binance, lambda: order_client, f"{served.url}/binance")


@pytest.mark.timeout(60)
async def test_a_burst_of_orders_waits_instead_of_being_refused() -> None:
    statuses: list[ExchangeStatus] = []
    binance = Binance()
    async with serve(0, 1) as served, Gateway({"binance": account(served)}, statuses.append) as gateway:
        listed = binance.listing(await instruments(gateway, binance)).instruments
        instrument = next(one for one in listed if one.symbol == "BTC/USDT")

        async def order(number: int) -> Outcome:
            await gateway.order_turn(instrument, Urgency.ORDER)
            price = Decimal(30_000)
            placement = Placement(
                instrument, f"nf{number}", Side.BUY, OrderType.LIMIT, Decimal("0.001"), price, TimeInForce.GTC
            )
            client = gateway.order_client("binance")
            return client.outcome(await gateway.place("binance", client.place(placement, gateway.now("binance"))))

        outcomes = await asyncio.gather(*(order(number) for number in range(BURST)))
    assert [type(one) for one in outcomes] == [Ack] * BURST
    assert not [one for one in statuses if one.kind is StatusKind.LIMITED and one.value >= 1]
