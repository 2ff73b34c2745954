"""Binance's rarer answers: refusals by rule, limits, and what only some clients request."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import urlencode

import aiohttp
import pytest

from neuroflux.sim.binance.wire import ApiError, Limits
from neuroflux.sim.server import Served

SPOT, USDM = "/binance/api/v3", "/binance/fapi/v1"
LIMIT = {"side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}


class Api:
    """Signs requests as the demo account."""

    def __init__(self, served: Served, session: aiohttp.ClientSession) -> None:
        account = served.simulation.dialects["binance"].account()
        self.key, self.secret, self.session, self.served = account.key, account.secret, session, served
        self.headers: dict[str, str] = {}

    def signature(self, text: str) -> str:
        return hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()

    async def call(self, method: str, path: str, **params: object) -> Any:
        """The answer's JSON; of an error its code."""
        query = urlencode({"timestamp": int(time.time() * 1000), **params})
        url = f"{path}?{query}&signature={self.signature(query)}"
        async with self.session.request(method, url, headers={"X-MBX-APIKEY": self.key}) as answer:
            self.headers = dict(answer.headers)
            body = await answer.json()
            return body if answer.status == 200 else body["code"]

    async def ask(self, socket: aiohttp.ClientWebSocketResponse, method: str, **params: object) -> Any:
        """One request of the WebSocket API, signed."""
        given = {"apiKey": self.key, "timestamp": int(time.time() * 1000), **params}
        text = "&".join(f"{name}={given[name]}" for name in sorted(given))
        await socket.send_json({"id": 1, "method": method, "params": {**given, "signature": self.signature(text)}})
        while True:
            reply = await socket.receive_json(timeout=5)
            if reply.get("id") == 1:
                return reply

    async def fault(self, name: str, exchange: str = "binance", **more: object) -> None:
        async with self.session.post("/sim/faults", json={"exchange": exchange, "fault": name, **more}) as answer:
            assert answer.status == 200


@pytest.fixture
async def api(served: Served) -> AsyncIterator[Api]:
    async with aiohttp.ClientSession(served.url) as session:
        yield Api(served, session)


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"symbol": "NOPE"}, -1121),
        ({"side": "HOLD"}, -1117),
        ({"type": "STOP_LOSS"}, -1116),
        ({"timeInForce": "GTX"}, -1115),
        ({"price": "50000.001"}, -1013),
        ({"price": "1"}, -1013),
        ({"quantity": "0.000011"}, -1013),
        ({"quantity": "0.000000001"}, -1111),
        ({"quantity": "1.000000000"}, -1111),
        ({"quantity": "1e3"}, -1100),
        ({"quantity": ""}, -1102),
        ({"quantity": "0.00002"}, -1013),
        ({"quantity": "5"}, -2010),
        ({"newClientOrderId": "so so"}, -1100),
        ({"newClientOrderId": "x" * 37}, -1100),
        ({"type": "LIMIT_MAKER", "price": "90000"}, -2010),
        ({"recvWindow": "70000"}, -1131),
        ({"timestamp": 1}, -1021),
        ({"timestamp": int(time.time() * 1000) + 600_000}, -1021),
    ],
)
async def test_spot_refuses_by_its_rules(api: Api, terms: dict[str, object], code: int) -> None:
    order = {"symbol": "BTCUSDT", **LIMIT, "quantity": "0.001", "price": "50000", **terms}
    assert await api.call("POST", f"{SPOT}/order", **order) == code
    assert api.served.simulation.world.truth == []


@pytest.mark.parametrize(
    ("terms", "code"),
    [
        ({"price": "60000.01"}, -4014),
        ({"price": "90000"}, -4016),
        ({"side": "SELL", "price": "20000"}, -4024),
        ({"quantity": "0.0001"}, -1111),
        ({"quantity": "1.0000"}, -1111),
        ({"quantity": "0"}, -4003),
        ({"quantity": "0.001", "price": "49000"}, -4164),
        ({"quantity": "900"}, -2019),
        ({"positionSide": "LONG"}, -4061),
        ({"type": "STOP_MARKET"}, -4120),
        ({"timeInForce": "GTX", "price": "66000"}, -5022),
        ({"timeInForce": "FOK", "quantity": "0.01"}, -5021),
        ({"side": "SELL", "type": "MARKET", "reduceOnly": "true"}, -2022),
    ],
)
async def test_usdm_refuses_by_its_rules(api: Api, terms: dict[str, object], code: int) -> None:
    order = {"symbol": "BTCUSDT", **LIMIT, "quantity": "0.002", "price": "60000", **terms}
    assert await api.call("POST", f"{USDM}/order", **order) == code
    assert api.served.simulation.world.truth == []


async def test_a_client_id_is_unique_among_open_orders(api: Api) -> None:
    order = {"symbol": "BTCUSDT", **LIMIT, "quantity": "0.002", "price": "60000", "newClientOrderId": "same"}
    assert (await api.call("POST", f"{SPOT}/order", **order))["status"] == "NEW"
    assert await api.call("POST", f"{SPOT}/order", **order) == -2010
    assert (await api.call("POST", f"{USDM}/order", **order))["status"] == "NEW"
    assert await api.call("POST", f"{USDM}/order", **order) == -4116
    cancelled = await api.call("DELETE", f"{SPOT}/openOrders", symbol="BTCUSDT")
    assert [(each["origClientOrderId"], each["status"]) for each in cancelled] == [("same", "CANCELED")]
    assert (await api.call("DELETE", f"{USDM}/allOpenOrders", symbol="BTCUSDT"))["code"] == 200
    assert {order.state for order in api.served.simulation.world.truth} == {"canceled"}


async def test_limits_are_reported(api: Api) -> None:
    await api.call("POST", f"{SPOT}/order", symbol="BTCUSDT", side="BUY", type="MARKET", quoteOrderQty="100")
    assert (api.headers["X-MBX-ORDER-COUNT-10S"], api.headers["X-MBX-ORDER-COUNT-1D"]) == ("1", "1")
    used = int(api.headers["X-MBX-USED-WEIGHT-1M"])
    counts = await api.call("GET", f"{SPOT}/rateLimit/order")
    assert [each["count"] for each in counts] == [1, 1]
    assert int(api.headers["X-MBX-USED-WEIGHT-1M"]) == used + 40


def test_a_client_that_ignores_the_limit_is_banned() -> None:
    limits, codes = Limits(100, 10), []
    for _ in range(130):
        try:
            limits.spend(1, 60_000_000)
        except Exception as error:  # noqa: BLE001 - its status is what is tested
            codes.append(getattr(error, "status", 0))
    assert codes == [429] * 20 + [418] * 10
    limits.spend(1, 60_000_000 + 121_000_000)


@pytest.mark.parametrize(("exchange", "retry_after"), [("binance", 121), ("binanceusdm", 0)])
def test_only_spot_reports_in_a_header_how_long_a_ban_lasts(exchange: str, retry_after: int) -> None:
    limits = Limits(0, 10, exchange)
    for _ in range(20):
        with pytest.raises(ApiError):
            limits.spend(1, 60_000_000)
    with pytest.raises(ApiError, match="banned until 180000") as banned:
        limits.spend(1, 60_000_000)
    assert (banned.value.status, banned.value.retry_after) == (418, retry_after)


@pytest.mark.parametrize(("exchange", "retry_after"), [("binance", 8), ("binanceusdm", 0)])
def test_only_spot_reports_in_a_header_when_orders_are_accepted_again(exchange: str, retry_after: int) -> None:
    limits = Limits(100, 1, exchange)
    limits.count_order(60_000_000)
    with pytest.raises(ApiError, match="1 orders per 10 SECOND") as refused:
        limits.count_order(62_500_000)
    assert (refused.value.status, refused.value.code, refused.value.retry_after) == (429, -1015, retry_after)


async def test_fees_and_funding(api: Api) -> None:
    spot = await api.call("GET", f"{SPOT}/account/commission", symbol="BTCUSDT")
    assert Decimal(spot["standardCommission"]["taker"]) == Decimal("0.001")
    usdm = await api.call("GET", f"{USDM}/commissionRate", symbol="BTCUSDT")
    assert (usdm["takerCommissionRate"], usdm["makerCommissionRate"]) == ("0.0005", "0.0002")
    rates = await api.call("GET", f"{USDM}/fundingRate", symbol="BTCUSDT", limit=3)
    times = [rate["fundingTime"] for rate in rates]
    assert [later - sooner for sooner, later in pairwise(times)] == [28_800_000] * 2
    assert await api.call("POST", f"{USDM}/marginType", symbol="BTCUSDT", marginType="CROSSED") == -4046
    assert Decimal((await api.call("GET", f"{SPOT}/avgPrice", symbol="BTCUSDT"))["price"]) > 0


async def test_orders_over_the_websocket_api(api: Api) -> None:
    async with api.session.ws_connect("/binance/ws-api/v3") as socket:
        await api.ask(socket, "userDataStream.subscribe.signature")
        order = {"symbol": "BTCUSDT", **LIMIT, "quantity": "0.001", "price": "60000", "newClientOrderId": "mine"}
        assert (await api.ask(socket, "order.place", **order))["result"]["status"] == "NEW"
        asked = {"symbol": "BTCUSDT", "origClientOrderId": "mine"}
        assert (await api.ask(socket, "order.status", **asked))["result"]["clientOrderId"] == "mine"
        assert (await api.ask(socket, "order.cancel", **asked))["result"]["status"] == "CANCELED"
        assert (await api.ask(socket, "order.cancel", **asked))["error"]["code"] == -2011
        assert (await api.ask(socket, "account.status"))["result"]["canTrade"] is True
        assert (await api.ask(socket, "order.dance"))["error"]["code"] < 0
        api.secret = "wrong"
        assert (await api.ask(socket, "account.status"))["error"]["code"] == -1022


async def test_faults_reach_the_websocket_api(api: Api) -> None:
    async with api.session.ws_connect("/binance/ws-api/v3") as socket:
        for name, status in (("http_429", 429), ("http_418", 418), ("http_5xx", 503)):
            await api.fault(name, count=1)
            reply = await api.ask(socket, "account.status")
            assert reply["status"] == status
            assert ("retryAfter" in reply["error"].get("data", {})) is (status != 503)
        await api.ask(socket, "userDataStream.subscribe.signature")
        await api.fault("listen_key_expired", count=1)
        assert (await socket.receive_json(timeout=5))["event"]["e"] == "eventStreamTerminated"


async def test_a_listen_key_fault_waits_for_a_key(api: Api) -> None:
    await api.fault("listen_key_expired", "binanceusdm", count=1)
    await asyncio.sleep(0.3)  # some steps of the market, in which nothing may use the fault up
    async with api.session.post(f"{USDM}/listenKey", headers={"X-MBX-APIKEY": api.key}) as answer:
        key = json.loads(await answer.text())["listenKey"]
    async with api.session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
        assert (await socket.receive_json(timeout=5))["e"] == "listenKeyExpired"


async def test_the_snapshot_is_within_the_next_update(api: Api) -> None:
    """The documented rule, U ≤ lastUpdateId ≤ u, holds for every USDⓈ-M snapshot."""
    async with api.session.ws_connect("/binance/public/ws/btcusdt@depth@100ms") as socket:
        await socket.receive_json(timeout=5)
        snapshot = await api.call("GET", f"{USDM}/depth", symbol="BTCUSDT", limit=5)
        while True:
            update = await socket.receive_json(timeout=5)
            if update["u"] >= snapshot["lastUpdateId"]:
                break
        assert update["U"] <= snapshot["lastUpdateId"] <= update["u"]


async def test_candles_grow_with_the_trades(api: Api) -> None:
    await api.call("POST", f"{SPOT}/order", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.001")
    rows = await api.call("GET", f"{SPOT}/klines", symbol="BTCUSDT", interval="1h")
    assert rows
    assert Decimal(rows[-1][5]) >= Decimal("0.001")
    async with api.session.ws_connect("/binance/ws/btcusdt@kline_1m") as socket:
        frame = await socket.receive_json(timeout=5)
    assert (frame["e"], frame["k"]["i"]) == ("kline", "1m")
