"""Every fault has its documented effect, for the requested time or count."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import time
from typing import Any

import aiohttp
import pytest

from neuroflux.errors import PortTaken, UsageError
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.server import Served, serve


class Api:
    """Sends requests to Binance spot as the demo account."""

    def __init__(self, session: aiohttp.ClientSession, served: Served) -> None:
        account = served.simulation.dialects["binance"].account()
        self._session, self._key, self._secret = session, account.key, account.secret

    async def call(self, method: str, path: str, query: str = "", timeout: float = 10) -> tuple[int, Any]:
        query += f"&timestamp={int(time.time() * 1000)}"
        signature = hmac.new(self._secret.encode(), query.encode(), hashlib.sha256).hexdigest()
        async with self._session.request(
            method,
            f"/binance/api/v3/{path}?{query}&signature={signature}",
            headers={"X-MBX-APIKEY": self._key},
            timeout=aiohttp.ClientTimeout(timeout),
        ) as answer:
            return answer.status, json.loads(await answer.text())

    async def buy(self, timeout: float = 10) -> tuple[int, Any]:
        query = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=0.001&newClientOrderId=mine"
        return await self.call("POST", "order", query, timeout)


async def _fault(session: aiohttp.ClientSession, name: str, exchange: str = "binance", **more: Any) -> None:
    async with session.post("/sim/faults", json={"exchange": exchange, "fault": name, **more}) as answer:
        assert answer.status == 200


async def _status(session: aiohttp.ClientSession) -> int:
    async with session.get("/binance/api/v3/time") as answer:
        return answer.status


@pytest.mark.parametrize(("name", "status"), [("http_429", 429), ("http_418", 418), ("http_5xx", 503)])
async def test_http_faults_strike_as_many_requests_as_their_count(served: Served, name: str, status: int) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await _fault(session, name, count=2)
        assert [await _status(session) for _ in range(3)] == [status, status, 200]


@pytest.mark.parametrize(
    ("path", "exchange"),
    [
        ("/binance/api/v3/time", "binance"),
        ("/binance/fapi/v1/time", "binanceusdm"),
        ("/hyperliquid/info", "hyperliquid"),
        ("/coinbase/api/v3/brokerage/time", "coinbase"),
    ],
)
async def test_the_wait_can_be_set(served: Served, path: str, exchange: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await _fault(session, "http_418", exchange, count=1, retry_after=3)
        async with session.request("POST" if "info" in path else "GET", path) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (418, "3")


@pytest.mark.parametrize(
    ("path", "exchange", "retry_after"),
    [("/binance/api/v3/time", "binance", "120"), ("/binance/fapi/v1/time", "binanceusdm", None)],
)
async def test_the_end_of_a_ban_is_in_its_text(
    served: Served, path: str, exchange: str, retry_after: str | None
) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await _fault(session, "http_418", exchange, count=1)
        async with session.get(path) as answer:
            ends = re.search(r"banned until (\d{13})\. ", (await answer.json())["msg"])
            assert answer.headers.get("Retry-After") == retry_after
    assert ends is not None
    assert int(ends[1]) / 1e3 - time.time() == pytest.approx(120, abs=5)


async def test_an_order_can_be_accepted_without_an_answer(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        api = Api(session, served)
        await _fault(session, "accept_then_timeout", count=1)
        with pytest.raises(TimeoutError):
            await api.buy(timeout=0.5)
        status, order = await api.call("GET", "order", "symbol=BTCUSDT&origClientOrderId=mine")
        assert (status, order["status"]) == (200, "FILLED")
        async with session.get("/sim/orders") as answer:
            truth = json.loads(await answer.text())
        assert [(row["client_order_id"], row["state"], row["exchange"]) for row in truth] == [
            ("mine", "filled", "binance")
        ]


async def test_orders_are_refused_and_cut_short(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        api = Api(session, served)
        await _fault(session, "reject", count=1)
        assert (await api.buy())[0] == 400
        await _fault(session, "partial_fill", count=1)
        assert (await api.buy())[1]["executedQty"] == "0.00050000"
        assert (await api.buy())[1]["executedQty"] == "0.00100000"


async def test_a_skewed_clock_refuses_the_right_time(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        api = Api(session, served)
        await _fault(session, "skew", ms=-5000)
        assert (await api.call("GET", "account"))[1]["code"] == -1021
        await session.delete("/sim/faults")
        assert (await api.call("GET", "account"))[0] == 200


async def test_latency_delays(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await _fault(session, "latency", ms=300, seconds=5)
        start = time.monotonic()
        await _status(session)
        assert time.monotonic() - start >= 0.3


async def _frames(socket: aiohttp.ClientWebSocketResponse, seconds: float) -> list[str]:
    """What is received within ``seconds``."""
    frames: list[str] = []

    async def collect() -> None:
        while True:
            frames.append(await socket.receive_str())

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(collect(), seconds)
    return frames


async def test_frames_are_stopped_duplicated_dropped_and_malformed(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/binance/ws/btcusdt@depth@100ms") as socket:
            await _fault(session, "duplicate", count=1)
            first = await socket.receive_str()
            assert await socket.receive_str() == first
            await _fault(session, "gap", count=1)
            event = json.loads(await socket.receive_str())
            assert event["U"] > json.loads(first)["u"] + 1
            await _fault(session, "malformed", count=1)
            with pytest.raises(json.JSONDecodeError):
                json.loads(await socket.receive_str())
            await _fault(session, "mute", seconds=0.8)
            assert len(await _frames(socket, 0.7)) <= 1
            assert json.loads(await socket.receive_str())["s"] == "BTCUSDT"


async def test_disconnect_closes_every_socket(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/binance/ws/btcusdt@trade") as socket:
        await _fault(session, "disconnect")
        while (message := await asyncio.wait_for(socket.receive(), 5)).type is aiohttp.WSMsgType.TEXT:
            pass
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


async def test_a_listen_key_expires(served: Served) -> None:
    headers = {"X-MBX-APIKEY": served.simulation.dialects["binanceusdm"].account().key}
    async with aiohttp.ClientSession(served.url, headers=headers) as session:
        async with session.post("/binance/fapi/v1/listenKey") as answer:
            key = json.loads(await answer.text())["listenKey"]
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await _fault(session, "listen_key_expired", "binanceusdm")
            assert json.loads(await asyncio.wait_for(socket.receive_str(), 5))["e"] == "listenKeyExpired"
        async with session.put("/binance/fapi/v1/listenKey") as answer:
            assert json.loads(await answer.text())["code"] == -1125


async def test_the_list_of_faults(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await _fault(session, "mute", seconds=60)
        async with session.get("/sim/faults") as answer:
            assert [row["fault"] for row in json.loads(await answer.text())] == ["mute"]
        await session.delete("/sim/faults")
        async with session.get("/sim/faults") as answer:
            assert json.loads(await answer.text()) == []
        async with session.post("/sim/faults", json={"exchange": "binance", "fault": "fire"}) as answer:
            assert answer.status == 400


def test_faults_end_by_time_and_by_count() -> None:
    now = [0.0]
    faults = Faults(lambda: now[0], venues())
    faults.add(b'{"exchange":"binance","fault":"mute","seconds":2}')
    faults.add(b'{"exchange":"binance","fault":"reject"}')
    assert faults.take("binance", "reject")
    assert not faults.take("binance", "reject")
    assert faults.is_active("binance", "mute")
    now[0] = 2.0
    assert not faults.is_active("binance", "mute")
    with pytest.raises(UsageError, match="exchange"):
        faults.add(b'{"exchange":"kucoin","fault":"mute"}')


async def test_a_taken_port_is_named(served: Served) -> None:
    port = int(served.url.rsplit(":", 1)[1])
    with pytest.raises(PortTaken, match="NEUROFLUX_SIM"):
        async with serve(port, seed=1):
            pass
