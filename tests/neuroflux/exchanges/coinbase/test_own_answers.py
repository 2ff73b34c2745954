"""The reader of Coinbase's own answers, against the simulator's ledger."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import aiohttp
import pytest
import yarl

from neuroflux.errors import MalformedFrame, Refused
from neuroflux.exchanges.coinbase.own_answers import OWN, TOPS
from neuroflux.exchanges.kit.own_answers import OwnAccount, following
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.sim.coinbase.keys import edwards_key, elliptic_key
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served, serve

D = Decimal
KEYS = [Keys(key.name, key.secret) for key in (elliptic_key(1), edwards_key(1))]
ESCAPED = Keys(KEYS[0].key, KEYS[0].secret.replace("\n", "\\n"))
NAMES = ("BTC-USD", "BTC-USDC", "ETH-EUR")


async def answers(served: Served, requests: Sequence[Request]) -> list[Answer]:
    found = []
    async with aiohttp.ClientSession() as session:
        for one in requests:
            url = yarl.URL(f"{served.url}/coinbase{one.path}", encoded=True)
            async with session.get(url, headers=dict(one.headers)) as answer:
                found.append(Answer(one, answer.status, await answer.read()))
    return found


async def reading(served: Served, keys: Keys, names: Sequence[str] = NAMES) -> OwnAccount:
    now = served.simulation.now("coinbase")
    requests = [*OWN.account_requests(keys, now), *OWN.history_requests(keys, names, now - 60_000_000, now)]
    found = last = await answers(served, requests)
    while pages := following(OWN, keys, last, now):
        last = await answers(served, pages)
        found = [*found, *last]
    return OWN.account(found)


def traded(served: Served) -> None:
    """Orders of every kind: by size and by value, in coins of an alias, filled, resting, cancelled."""
    sim, now = served.simulation.exchange("coinbase"), served.simulation.now("coinbase")
    sim.place(Ask("BTC-USD", "buy", value=D(500), client_order_id="value"), now)
    sim.place(Ask("BTC-USDC", "buy", D("0.01"), D(90_000), client_order_id="alias"), now)
    sim.place(Ask("ETH-EUR", "sell", D("0.5"), client_order_id="sale"), now)
    sim.place(Ask("BTC-USD", "buy", D("0.001"), D(50_000), client_order_id="rests"), now)
    gone = sim.place(Ask("BTC-USD", "buy", D("0.002"), D(50_000), client_order_id="gone"), now)
    sim.cancel(gone, now)


@pytest.mark.parametrize("keys", [*KEYS, ESCAPED], ids=["ES256", "EdDSA", "escaped"])
async def test_an_account_equals_the_exchange_s_ledger(keys: Keys) -> None:
    async with serve(0, seed=1) as served:
        traded(served)
        own, sim = await reading(served, keys), served.simulation.exchange("coinbase")
        for asset, balance in sim.spot.balances.items():
            found = own.balances[asset]
            assert (found.wallet, found.free, found.in_orders) == (balance.total, balance.free, balance.locked)
        name = sim.venue.order_name
        assert own.fills.keys() == {(one.listing.symbol, str(one.trade_id), one.side) for one in sim.fills()}
        for fill in sim.fills():
            got = own.fills[fill.listing.symbol, str(fill.trade_id), fill.side]
            assert (got.price, got.quantity, got.fee) == (fill.price, fill.quantity, fill.fee)
            assert (got.fee_asset, got.order, got.time) == (fill.fee_asset, name(fill.order_id), fill.time)
        states = {"value": "filled", "alias": "filled", "sale": "filled", "rests": "open", "gone": "ended"}
        assert {client_id: one.state for client_id, one in own.orders.items()} == states
        for client_id, one in own.orders.items():
            order = sim.find(None, client_id)
            assert (one.name, one.number, one.side) == (order.listing.symbol, name(order.order_id), order.ask.side)
            assert (one.filled, one.quantity) == (order.filled, order.quantity)


async def test_a_list_that_continues_is_read_to_its_end() -> None:
    async with serve(0, seed=1) as served:
        traded(served)
        whole = await reading(served, KEYS[0])
        served.simulation.faults.add(b'{"exchange":"coinbase","fault":"page_size","value":"2"}')
        assert await reading(served, KEYS[0]) == whole
        assert (await reading(served, KEYS[0], ())).orders.keys() == {"rests"}


async def test_tops_are_those_of_the_books() -> None:
    async with serve(0, seed=1) as served:
        sim = served.simulation.exchange("coinbase")
        names = list(sim.listings)
        tops = OWN.tops(await answers(served, OWN.top_requests(names)))
        assert list(tops) == names[:TOPS]
        for name, top in tops.items():
            assert (top.bid, top.ask) == sim.top(name)


def test_an_invalid_answer_raises_our_error() -> None:
    with pytest.raises(Refused, match="HTTP 401"):
        OWN.account([Answer(Request("GET", "/", tag="accounts"), 401, b"Unauthorized\n")])
    for body in (b"nonsense", b"[]", b"{}", b'{"accounts":[{}]}', b"null", b"7"):
        with pytest.raises(MalformedFrame):
            OWN.account([Answer(Request("GET", "/", tag="accounts"), 200, body)])
    for body in (b"[]", b"{}", b'{"pricebook":{}}', b"7", b'{"pricebook":{"bids":[{}],"asks":[{}]}}'):
        with pytest.raises(MalformedFrame):
            OWN.tops([Answer(Request("GET", "/", tag="tops"), 200, body)])
