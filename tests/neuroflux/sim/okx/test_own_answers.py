"""The second reader of OKX's answers, against the simulator's ledger: it knows nothing of the adapter."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal

import aiohttp
import pytest
from msgspec.structs import replace

from neuroflux.errors import MalformedFrame, Refused
from neuroflux.exchanges.kit.own_answers import OwnAccount
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.okx.own_answers import OWN
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served

D = Decimal
NAMES = ("BTC-USDT", "ETH-USDT-SWAP", "SOL-USDC")


class Reader:
    def __init__(self, served: Served, http: aiohttp.ClientSession) -> None:
        account = served.simulation.dialects["okx"].account()
        self.keys, self._http = Keys(account.key, account.secret, passphrase=account.passphrase), http

    async def answers(self, requests: Sequence[Request]) -> list[Answer]:
        answers = []
        for one in requests:
            async with self._http.request(one.method, f"/okx{one.path}", headers=dict(one.headers)) as response:
                answers.append(Answer(one, response.status, await response.read()))
        return answers

    async def account(self) -> OwnAccount:
        now = time.time_ns() // 1000
        history = OWN.history_requests(self.keys, NAMES, now - 60_000_000, now)
        return OWN.account(await self.answers([*OWN.account_requests(self.keys, now), *history]))


@pytest.fixture
async def reader(served: Served) -> AsyncIterator[Reader]:
    async with aiohttp.ClientSession(served.url) as http:
        yield Reader(served, http)


def _trade(served: Served) -> None:
    sim, now = served.simulation.exchange("okx"), served.simulation.now("okx")
    bid, ask = sim.top("BTC-USDT")
    sim.place(Ask("BTC-USDT", "buy", D("0.01"), None, "IOC", "one"), now)
    sim.place(Ask("BTC-USDT", "buy", D("0.01"), round(bid * D("0.98"), 1), "GTC", "two"), now)
    sim.place(Ask("BTC-USDT", "buy", D("0.01"), round(ask * D("1.01"), 1), "POST", "three"), now)
    sim.place(Ask("ETH-USDT-SWAP", "sell", D("0.5"), None, "IOC", "four"), now)
    gone = sim.place(Ask("SOL-USDC", "sell", D(1), D(400), "GTC", "five"), now)
    sim.cancel(gone, now)
    served.simulation.flush("okx")


async def test_the_account_is_the_exchanges(served: Served, reader: Reader) -> None:
    _trade(served)
    sim, own = served.simulation.exchange("okx"), await reader.account()
    for asset, balance in own.balances.items():
        assert balance.wallet == pytest.approx(sim.spot.of(asset).total, abs=D("1e-9"))
        assert balance.free == pytest.approx(sim.available(asset, is_spot=True), rel=D("0.01"))
    assert own.positions["ETH-USDT-SWAP"].quantity == D("-0.5")
    assert own.positions["ETH-USDT-SWAP"].entry_price == sim.perpetual.positions["ETH-USDT-SWAP"].entry_price
    states = {name: (one.state, one.quantity) for name, one in own.orders.items()}
    small, half = D("0.01"), D("0.5")
    assert states == {
        "one": ("filled", small),
        "two": ("open", small),
        "three": ("rejected", small),
        "four": ("filled", half),
        "five": ("ended", D(1)),
    }
    meant = {(one.listing.symbol, str(one.trade_id), str(one.side)): one for one in sim.fills()}
    assert own.fills.keys() == meant.keys()
    for place, one in own.fills.items():
        theirs = meant[place]
        assert (one.price, one.quantity, one.fee) == (theirs.price, theirs.quantity, theirs.fee)
        assert (one.fee_asset, one.order, one.time // 1000) == (
            theirs.fee_asset,
            str(theirs.order_id),
            theirs.time // 1000,
        )


async def test_tops_are_those_of_the_books(served: Served, reader: Reader) -> None:
    tops = OWN.tops(await reader.answers(OWN.top_requests(NAMES)))
    for name in NAMES:
        assert (tops[name].bid, tops[name].ask) == pytest.approx(
            served.simulation.exchange("okx").top(name), rel=D("0.01")
        )


async def test_an_error_is_refused_and_what_is_no_answer_is_malformed(served: Served, reader: Reader) -> None:
    reader.keys = replace(reader.keys, passphrase="wrong")
    with pytest.raises(Refused, match="50105"):
        await reader.account()
    request = OWN.top_requests(["BTC-USDT"])[0]
    with pytest.raises(MalformedFrame):
        OWN.tops([Answer(request, 200, b'{"code":"0","data":[{}]}')])
    with pytest.raises(Refused, match="50011"):
        OWN.tops([Answer(request, 200, b'{"code":"50011","msg":"Too Many Requests","data":[]}')])
