"""The second reader of Bybit's account against the simulator's own ledger."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal as D

import aiohttp
import msgspec
import pytest
from yarl import URL

from neuroflux.errors import MalformedFrame, Refused
from neuroflux.exchanges.bybit.own_answers import LINEAR, OWN, WEEK
from neuroflux.exchanges.kit.own_answers import OwnAccount
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.sim.bybit.names import id_text
from neuroflux.sim.core.orders import Ask, Fill
from neuroflux.sim.server import Served, serve
from tests.neuroflux.sim.bybit.client import placed

NAMES = ("BTCUSDT", f"{LINEAR}BTCUSDT", f"{LINEAR}1000PEPEUSDT")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serve(0, seed=1) as server:
        yield server


def now() -> int:
    return time.time_ns() // 1000


async def _asked(served: Served, requests: Sequence[Request]) -> list[Answer]:
    answers = []
    async with aiohttp.ClientSession() as session:
        for one in requests:
            url = URL(f"{served.url}/bybit{one.path}", encoded=True)
            async with session.request(one.method, url, headers=dict(one.headers)) as answer:
                answers.append(Answer(one, answer.status, await answer.read()))
    return answers


async def _account(served: Served, since: int) -> OwnAccount:
    account = served.simulation.dialects["bybit"].account()
    keys = Keys(account.key, account.secret)
    requests = [*OWN.account_requests(keys, now()), *OWN.history_requests(keys, NAMES, since, now())]
    return OWN.account(await _asked(served, requests))


@pytest.mark.parametrize("since", [60_000_000, 3 * WEEK])
async def test_an_account_equals_the_ledger(served: Served, since: int) -> None:
    sim, at = served.simulation.exchange("bybit"), now()
    low = sim.top("BTCUSDT")[0] - 1000
    made = [
        sim.place(Ask("BTCUSDT", "buy", D("0.001"), client_order_id="spot"), at),
        sim.place(Ask("BTCUSDT", "buy", D("0.001"), low, client_order_id="rests"), at),
        sim.place(Ask(f"{LINEAR}BTCUSDT", "sell", D("0.01"), client_order_id="short"), at),
        sim.place(Ask(f"{LINEAR}BTCUSDT", "buy", D("0.002"), low, client_order_id="opens"), at),
        sim.place(Ask(f"{LINEAR}1000PEPEUSDT", "buy", D(3000), client_order_id="coins"), at),
    ]
    sim.fund(f"{LINEAR}BTCUSDT", D("0.0001"), at)
    own = await _account(served, at - since)
    for asset, balance in sim.spot.balances.items():
        assert own.balances[asset].wallet == pytest.approx(balance.total, abs=D("1e-7"))
        margin = sim.perpetual.margin_of_orders(asset) + sim.perpetual.used(asset)
        assert own.balances[asset].free == pytest.approx(balance.free - margin, rel=D("1e-4"))
        waits = balance.locked + sim.perpetual.margin_of_orders(asset)
        assert own.balances[asset].in_orders == pytest.approx(waits, abs=D("1e-7"))
    held = {listing.symbol: one for listing, one in sim.perpetual.held()}
    assert {name: one.quantity for name, one in own.positions.items()} == {
        name: one.quantity for name, one in held.items()
    }
    for name, position in held.items():
        assert own.positions[name].entry_price == pytest.approx(position.entry_price, rel=D("1e-9"))
    meant: dict[tuple[str, str, str], Fill] = {
        (one.listing.symbol, id_text(one.listing, one.trade_id, "trade"), one.side): one for one in sim.fills()
    }
    assert own.fills.keys() == meant.keys()
    for place, fill in own.fills.items():
        theirs = meant[place]
        assert (fill.price, fill.quantity, fill.fee) == (theirs.price, theirs.quantity, theirs.fee)
        assert (fill.fee_asset, fill.order) == (theirs.fee_asset, id_text(theirs.listing, theirs.order_id))
        assert abs(fill.time - theirs.time) < 1000
    states = {"new": "open", "filled": "filled"}
    for order in made:
        found = own.orders[order.client_order_id]
        assert (found.name, found.quantity, found.filled) == (order.listing.symbol, order.quantity, order.filled)
        assert (found.state, found.side) == (states[order.state], order.ask.side)


async def test_an_order_that_never_stood_is_rejected(served: Served) -> None:
    price = f"{served.simulation.exchange('bybit').top('BTCUSDT')[0] + 1000:.1f}"
    async with aiohttp.ClientSession(served.url) as session:
        more = {"orderType": "Limit", "timeInForce": "PostOnly", "price": price, "orderLinkId": "post"}
        assert (await placed(session, served, **more))["retCode"] == 0
        served.simulation.faults.add(b'{"exchange":"bybit","fault":"reject"}')
        assert (await placed(session, served, orderLinkId="no"))["retCode"] == 0
        await placed(session, served, orderLinkId="quoted", qty="65", marketUnit="quoteCoin")
    own = await _account(served, now() - WEEK)
    assert {name: own.orders[name].state for name in ("post", "no", "quoted")} == {
        "post": "rejected",
        "no": "rejected",
        "quoted": "filled",
    }
    assert own.orders["quoted"].quantity == own.orders["quoted"].filled < 1


async def test_tops_are_those_of_the_books(served: Served) -> None:
    sim = served.simulation.exchange("bybit")
    served.simulation.faults.add(b'{"exchange":"bybit","fault":"empty_side","symbol":"LTCUSDT","value":"buy"}')
    served.simulation.step()
    tops = OWN.tops(await _asked(served, OWN.top_requests([])))
    assert set(tops) == set(sim.listings) - {"LTCUSDT"}
    assert all(0 < one.bid < one.ask for one in tops.values())


def _answer(tag: str, body: object, status: int = 200) -> Answer:
    return Answer(Request("GET", "/", tag=tag), status, msgspec.json.encode(body))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (_answer("wallet", {"retCode": 10003, "result": {}}), Refused),
        (_answer("wallet", [], 200), Refused),
        (_answer("wallet", {"retCode": 0, "result": {"list": [{"coin": [{"coin": "BTC"}]}]}}), MalformedFrame),
        (_answer("wallet", {"retCode": 0, "result": {}}), MalformedFrame),
        (_answer("orders", {"retCode": 0, "result": {"list": [{}]}}), MalformedFrame),
        (_answer("wallet", {}, 403), Refused),
    ],
)
def test_what_is_no_answer(answer: Answer, error: type[Exception]) -> None:
    with pytest.raises(error):
        OWN.account([answer])
    with pytest.raises((MalformedFrame, Refused)):
        OWN.tops([_answer("tops", {"retCode": 0, "result": {"list": [{}]}})])
