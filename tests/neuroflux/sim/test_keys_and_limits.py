"""Listen keys that expire, servers that shut down, limits of an address, and lists in pages."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

import aiohttp
import pytest
from eth_account import Account
from hyperliquid.exchange import Exchange

from neuroflux.sim.binance.listen_keys import LISTEN_KEY_LIFE, ListenKeys
from neuroflux.sim.binance.pages import DAY_MS, Pages
from neuroflux.sim.binance.wire import ApiError
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.faults import Faults
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.hyperliquid.limits import BUFFER, AddressLimit
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import SPOT, USDM, fault, following, info, listen_key, refusal, signed
from tests.neuroflux.sim.core.test_exchange import NOW

BUY = "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=1"


async def _put(session: aiohttp.ClientSession, served: Served) -> Any:
    headers = {"X-MBX-APIKEY": served.simulation.dialects["binanceusdm"].account().key}
    async with session.put("/binance/fapi/v1/listenKey", headers=headers) as answer:
        return json.loads(await answer.text())


def test_a_listen_key_lives_for_an_hour() -> None:
    keys = ListenKeys(Simulation(venues(), 1))
    first = keys.create({}, NOW)
    assert keys.create({}, NOW + LISTEN_KEY_LIFE - 1) == first
    assert keys.keep({}, NOW + 2 * LISTEN_KEY_LIFE - 2) == first
    with pytest.raises(ApiError, match="does not exist"):
        keys.keep({}, NOW + 3 * LISTEN_KEY_LIFE)
    assert keys.create({}, NOW + 3 * LISTEN_KEY_LIFE) != first


async def test_a_lost_listen_key_stops_the_stream_without_an_event(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            await fault(session, "listen_key_gone", "binanceusdm")
            assert (await _put(session, served))["code"] == -1125
            await signed(session, served, "POST", USDM + "v1/order", BUY)
            with pytest.raises(TimeoutError):
                await following(socket, lambda frame: True, 1)
        renewed = await listen_key(session, served)
        assert renewed != key
        async with session.ws_connect(f"/binance/private/ws?listenKey={renewed}") as socket:
            await signed(session, served, "POST", USDM + "v1/order", BUY)
            assert await following(socket, lambda frame: frame["e"] == "ORDER_TRADE_UPDATE")


async def test_a_listen_key_is_refused(served: Served) -> None:
    headers = {"X-MBX-APIKEY": served.simulation.dialects["binanceusdm"].account().key}
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "listen_key_refused", "binanceusdm", count=1)
        async with session.post("/binance/fapi/v1/listenKey", headers=headers) as answer:
            assert (answer.status, json.loads(await answer.text())["code"]) == (503, -1001)
        assert await listen_key(session, served)


async def test_a_server_announces_its_shutdown(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        plain = await session.ws_connect("/binance/ws/btcusdt@bookTicker")
        combined = await session.ws_connect("/binance/stream?streams=btcusdt@bookTicker")
        api = await session.ws_connect("/binance/ws-api/v3")
        await fault(session, "server_shutdown", ms=700)
        notices = [
            await following(plain, lambda frame: frame.get("e") == "serverShutdown"),
            (await following(combined, lambda frame: frame["stream"] == "!serverShutdown"))["data"],
            (await following(api, lambda frame: "event" in frame))["event"],
        ]
        assert {frame["e"] for frame in notices} == {"serverShutdown"}
        later = await session.ws_connect("/binance/ws/btcusdt@bookTicker")
        for socket in (plain, combined, api):
            while (message := await socket.receive(5)).type is aiohttp.WSMsgType.TEXT:
                pass
            assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        assert await following(later, lambda frame: frame["s"] == "BTCUSDT")
        await later.close()


def _trade(exchange: Exchange, served: Served) -> tuple[Any, Any, Any]:
    """An order that rests, one that the address limit refuses, and the cancellation of the first."""
    bid = float(served.simulation.exchange("hyperliquid").top("SOL")[0])
    limit: Any = {"limit": {"tif": "Gtc"}}
    rests = exchange.order("SOL", True, 1, round(bid * 0.9), limit)["response"]["data"]["statuses"][0]
    served.simulation.faults.add(b'{"exchange":"hyperliquid","fault":"address_limit","seconds":60}')
    refused = exchange.order("SOL", True, 1, round(bid * 0.9), limit)["response"]["data"]["statuses"][0]
    cancelled = exchange.cancel("SOL", rests["resting"]["oid"])["response"]["data"]["statuses"][0]
    return rests, refused, cancelled


async def test_the_limit_of_an_address_does_not_apply_to_cancels(served: Served) -> None:
    account = served.simulation.dialects["hyperliquid"].account()
    url = f"{served.url}/hyperliquid"

    def session_of_the_sdk() -> tuple[Any, Any, Any]:
        return _trade(Exchange(Account.from_key(account.secret), url, account_address=account.address), served)

    _, refused, cancelled = await asyncio.to_thread(session_of_the_sdk)
    assert refused["error"].startswith("Too many cumulative requests sent (10101 > 10000)")
    assert cancelled == "success"
    async with aiohttp.ClientSession(served.url) as session:
        answer = await info(session, "userRateLimit", user=account.address)
    assert answer["nRequestsUsed"] > answer["nRequestsCap"]


def test_an_address_has_a_request_for_each_dollar_that_it_traded() -> None:
    simulation = Simulation(venues(), 1)
    limit = AddressLimit(simulation.exchange("hyperliquid"), simulation.faults)
    refusals = [limit.refusal(NOW) for _ in range(BUFFER + 2)]
    assert [bool(each) for each in refusals[-3:]] == [False, False, True]
    assert limit.cancel_refusal(NOW) == ""
    assert limit.refusal(NOW + 10_000_000) == ""
    assert [limit.cancel_refusal(NOW + 10_000_001) for _ in range(BUFFER)][-1] != ""


def _numbers(rows: Sequence[tuple[int, int]], exchange_id: str = "binance", size: int = 0, **params: Any) -> list[int]:
    faults = Faults(time.monotonic, venues())
    if size:
        body = {"exchange": exchange_id, "fault": "page_size", "value": str(size)}
        faults.add(json.dumps(body).encode())
    texts = {name: str(value) for name, value in params.items()}
    page = Pages(faults, exchange_id).page(rows, texts, lambda row: row[0], lambda row: row[1])
    return [number for number, _ in page]


ROWS = [(number, number * 1000) for number in range(1, 2001)]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, (1501, 2000)),
        ({"limit": 5000}, (1001, 2000)),
        ({"fromId": 7}, (7, 506)),
        ({"fromId": 1999}, (1999, 2000)),
        ({"startTime": 100_000, "limit": 10}, (100, 109)),
        ({"endTime": 100_000, "limit": 10}, (91, 100)),
        ({"startTime": 100_000, "endTime": 105_000}, (100, 105)),
        ({"size": 3}, (1998, 2000)),
        ({"size": 3, "fromId": 4}, (4, 6)),
    ],
)
def test_pages(params: dict[str, Any], expected: tuple[int, int]) -> None:
    page = _numbers(ROWS, **params)
    assert (page[0], page[-1], len(page)) == (*expected, expected[1] - expected[0] + 1)


def test_pages_of_usdm_reach_over_seven_days() -> None:
    rows = [(number, number * DAY_MS) for number in range(1, 21)]
    assert _numbers(rows, "binanceusdm", startTime=2 * DAY_MS) == [2, 3, 4, 5, 6, 7, 8, 9]
    assert _numbers(rows, "binance", startTime=2 * DAY_MS)[-1] == 20
    with pytest.raises(ApiError, match="interval"):
        _numbers(rows, "binance", startTime=DAY_MS, endTime=3 * DAY_MS)
    with pytest.raises(ApiError, match="Combination"):
        _numbers(rows, "binance", startTime=DAY_MS, fromId=3)


async def test_small_pages_are_served_by_every_exchange(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        for _ in range(4):
            await signed(session, served, "POST", SPOT + "v3/order", BUY)
            await signed(session, served, "POST", USDM + "v1/order", BUY)
        for path, exchange in ((SPOT + "v3/myTrades", "binance"), (USDM + "v1/userTrades", "binanceusdm")):
            every = await signed(session, served, "GET", path, "symbol=SOLUSDT")
            assert len(every) >= 4
            await fault(session, "page_size", exchange, value="2")
            assert await signed(session, served, "GET", path, "symbol=SOLUSDT") == every[-2:]
            first = await signed(session, served, "GET", path, "symbol=SOLUSDT&startTime=1")
            assert first == (every[:2] if exchange == "binance" else [])
            page = await signed(session, served, "GET", path, f"symbol=SOLUSDT&fromId={every[1]['id']}")
            assert page == every[1:3]
        assert "above 0" in await refusal(session, "page_size", value="0")
        assert "needs value" in await refusal(session, "page_size")


async def test_a_key_reports_its_permissions(served: Served) -> None:
    """Only one that is bound to IP addresses may be allowed to withdraw."""
    path = "/binance/sapi/v1/account/apiRestrictions"
    async with aiohttp.ClientSession(served.url) as session:
        first = await signed(session, served, "GET", path)
        assert (first["enableWithdrawals"], first["enableSpotAndMarginTrading"]) == (False, True)
        await fault(session, "withdrawals")
        answer = await signed(session, served, "GET", path)
        assert (answer["enableWithdrawals"], answer["ipRestrict"]) == (True, True)
        assert await refusal(session, "withdrawals", "hyperliquid") != ""
