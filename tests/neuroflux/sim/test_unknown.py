"""Unknown values, malformed rows, an account's own fees, and frames that arrive before or after the answer."""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.core.fees import Fees
from neuroflux.sim.core.malformed_rows import spoiled
from neuroflux.sim.core.orders import Ask
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import SPOT, USDM, fault, following, info, listen_key, refusal, signed

D = Decimal
BUY = "symbol=SOLUSDT&side=BUY&type=MARKET&quantity=1&newOrderRespType=RESULT"


@pytest.mark.parametrize(("exchange", "path"), [("binance", SPOT + "v3/order"), ("binanceusdm", USDM + "v1/order")])
async def test_an_order_has_an_unknown_status(served: Served, exchange: str, path: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        placed = await signed(session, served, "POST", path, BUY)
        query = f"symbol=SOLUSDT&orderId={placed['orderId']}"
        await fault(session, "unknown_status", exchange, count=1, symbol="BTCUSDT")
        assert (await signed(session, served, "GET", path, query))["status"] == "FILLED"
        await fault(session, "unknown_status", exchange, count=1, value="ODD")
        assert (await signed(session, served, "GET", path, query))["status"] == "ODD"
        assert (await signed(session, served, "GET", path, query))["status"] == "FILLED"
        await fault(session, "unknown_code", exchange, count=1)
        assert (await signed(session, served, "POST", path, BUY))["code"] in (-2999, -4999)
        assert "orderId" in await signed(session, served, "POST", path, BUY)


async def test_an_order_of_hyperliquid_has_an_unknown_status(served: Served) -> None:
    exchange, user = served.simulation.exchange("hyperliquid"), served.simulation.dialects["hyperliquid"].account()
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect("/hyperliquid/ws") as socket:
        subscription = {"type": "orderUpdates", "user": user.address}
        await socket.send_json({"method": "subscribe", "subscription": subscription})
        await following(socket, lambda frame: frame["channel"] == "subscriptionResponse")
        await fault(session, "unknown_status", "hyperliquid", count=2, value="internalCancel")
        order = exchange.place(Ask("SOL", "buy", D(1), D(140)), served.simulation.now("hyperliquid"))
        update = await following(socket, lambda frame: frame["channel"] == "orderUpdates")
        assert update["data"][0]["status"] == "internalCancel"
        asked = [await info(session, "orderStatus", user=user.address, oid=order.order_id) for _ in range(2)]
        assert [each["order"]["status"] for each in asked] == ["internalCancel", "open"]


async def test_an_unknown_contract_type(served: Served) -> None:
    async def types() -> dict[str, str]:
        async with session.get("/binance/fapi/v1/exchangeInfo") as answer:
            return {row["symbol"]: row["contractType"] for row in json.loads(await answer.text())["symbols"]}

    async with aiohttp.ClientSession(served.url) as session:
        before = await types()
        assert before.pop("BTCSTUSDT") == ""  # one that is being settled has no type any more
        assert set(before.values()) == {"PERPETUAL"}
        await fault(session, "unknown_contract_type", "binanceusdm", symbol="SOLUSDT")
        assert (await types())["SOLUSDT"] == "TRADIFI_PERPETUAL"
        await session.delete("/sim/faults")
        await fault(session, "unknown_contract_type", "binanceusdm", value="ODD")
        assert (await types())["TRXUSDT"] == "ODD"
        assert "fault of binanceusdm" in await refusal(session, "unknown_contract_type")


async def test_one_row_is_malformed(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "malformed_row", "binanceusdm", count=1, symbol="SOLUSDT", value="exchangeInfo")
        async with session.get("/binance/fapi/v1/time") as answer:
            assert json.loads(await answer.text())["serverTime"] > 0
        rows = []
        for _ in range(2):
            async with session.get("/binance/fapi/v1/exchangeInfo") as answer:
                rows.append({row["symbol"]: row for row in json.loads(await answer.text())["symbols"]})
        assert (rows[0]["SOLUSDT"]["baseAsset"], rows[0]["SOLUSDT"]["filters"]) == (None, None)
        assert rows[0]["BTCUSDT"] == rows[1]["BTCUSDT"]
        assert rows[1]["SOLUSDT"]["baseAsset"] == "SOL"
        await fault(session, "malformed_row", count=1, value="account", symbol="BTC")
        account = await signed(session, served, "GET", SPOT + "v3/account", "omitZeroBalances=true")
        assert [row["asset"] for row in account["balances"] if row["free"] is None] == ["BTC"]
        await fault(session, "malformed_row", "hyperliquid", count=1, symbol="SOL")
        assert {one["name"]: one["szDecimals"] for one in (await info(session, "meta"))["universe"]}["SOL"] is None


def test_an_answer_without_such_a_row_is_unchanged(served: Served) -> None:
    faults = served.simulation.faults
    faults.add(b'{"exchange":"binance","fault":"malformed_row","symbol":"NOPE"}')
    body = {"symbols": [{"symbol": "BTCUSDT", "status": "TRADING"}]}
    assert spoiled(body, faults, "binance", "exchangeInfo") is body
    assert faults.is_active("binance", "malformed_row")


def test_a_row_may_be_in_a_list_of_a_row(served: Served) -> None:
    faults = served.simulation.faults
    faults.add(b'{"exchange":"binance","fault":"malformed_row","symbol":"ETH"}')
    coins = [{"coin": "BTC", "free": "1"}, {"coin": "ETH", "free": "2"}]
    body = spoiled({"list": [{"total": "9", "coin": coins}]}, faults, "binance", "wallet")
    assert body == {"list": [{"total": "9", "coin": [coins[0], {"coin": "ETH", "free": None}]}]}


@pytest.mark.parametrize(
    ("result", "wanted", "spoilt"),
    [
        ({"A1": {"vol": "1"}, "B2": {"vol": "2", "wsname": "B/C"}}, "", {"A1": {"vol": None}}),
        ({"A1": {"vol": "1"}, "B2": {"vol": "2", "wsname": "B/C"}}, "B/C", {"B2": {"vol": None, "wsname": "B/C"}}),
        ({"open": {"O1": {"vol": "1"}}}, "O1", {"open": {"O1": {"vol": None}}}),
        ({"open": {}}, "", {}),
        ({"descr": {"order": "buy"}, "txid": ["O1"]}, "", {}),
    ],
)
def test_a_row_may_be_known_by_its_place_in_a_map(served: Served, result: Any, wanted: str, spoilt: Any) -> None:
    faults = served.simulation.faults
    fault = {"exchange": "binance", "fault": "malformed_row", "symbol": wanted}
    faults.add(json.dumps(fault).encode())
    body = spoiled({"error": [], "result": result}, faults, "binance", "OpenOrders")
    assert body == {"error": [], "result": result | spoilt}
    assert faults.is_active("binance", "malformed_row") is (spoilt == {})


async def _fees(session: aiohttp.ClientSession, served: Served, path: str) -> tuple[Decimal, str]:
    order = await signed(session, served, "POST", path + "order", BUY)
    name = "myTrades" if "/api/" in path else "userTrades"
    trades = await signed(session, served, "GET", path + name, f"symbol=SOLUSDT&orderId={order['orderId']}")
    return sum((D(each["commission"]) for each in trades), D(0)), trades[-1]["commissionAsset"]


@pytest.mark.parametrize(
    ("exchange", "path", "share"), [("binance", SPOT + "v3/", "0.75"), ("binanceusdm", USDM + "v1/", "0.9")]
)
async def test_fees_in_bnb(served: Served, exchange: str, path: str, share: str) -> None:
    sim = served.simulation.exchange(exchange)
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "fees", exchange, taker="0.001", asset="BNB")
        assert (await _fees(session, served, path))[1] in ("SOL", "USDT")  # there is no BNB yet
        await fault(session, "transfer", exchange, asset="BNB", amount="1")
        fee, asset = await _fees(session, served, path)
        left = sim.spot.of("BNB").free if exchange == "binance" else sim.perpetual.wallet["BNB"]
        assert (asset, left) == ("BNB", 1 - fee)
        assert fee * sim.top("BNBUSDT")[0] == pytest.approx(
            sim.top("SOLUSDT")[0] * D("0.001") * D(share), rel=D("0.01")
        )
        name = "account/commission" if exchange == "binance" else "commissionRate"
        rates = await signed(session, served, "GET", path + name, "symbol=SOLUSDT")
        assert D(rates.get("takerCommissionRate") or rates["standardCommission"]["taker"]) == D("0.001")
        if exchange == "binance":
            assert rates["discount"]["enabledForAccount"] is True
        assert "BNB alone" in await refusal(session, "fees", exchange, asset="SOL")
        assert "at most" in await refusal(session, "fees", exchange, maker="2")


async def test_a_maker_gets_a_rebate(served: Served) -> None:
    exchange, user = served.simulation.exchange("hyperliquid"), served.simulation.dialects["hyperliquid"].account()
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "fees", "hyperliquid", maker="-0.00002", taker="0.0003")
        rates = await info(session, "userFees", user=user.address)
        assert (rates["userAddRate"], rates["userCrossRate"]) == ("-0.00002", "0.0003")
        now = served.simulation.now("hyperliquid")
        book, bid = exchange.books["SOL"], exchange.top("SOL")[0]
        exchange.place(Ask("SOL", "buy", D(1), bid), now)
        ticks = exchange.listings["SOL"].ticks(bid)
        exchange.settle(
            book.take("sell", book.available("sell", ticks), ticks, 0), now
        )  # a stranger's, whatever the seed
        fills = await info(session, "userFills", user=user.address)
        assert D(fills[0]["fee"]) < 0
        assert exchange.perpetual.wallet["USDC"] > 45000


def test_a_fee_is_paid_in_the_usual_asset_where_bnb_has_no_price(served: Served) -> None:
    listing = served.simulation.exchange("binance").listings["SOLUSDT"]
    served.simulation.faults.add(b'{"exchange":"binance","fault":"fees","asset":"BNB"}')
    setting = served.simulation.faults.setting("binance", "fees")
    fees = Fees(lambda: setting, lambda asset, quote: D(0), D(0))
    assert fees.fee(listing, D(1), "SOL", D(150), D(9), is_maker=False) == (D("0.001"), "SOL")


async def _order_of_arrival(session: aiohttp.ClientSession, served: Served, socket: Any) -> str:
    """Whether the answer or the frame of an order arrived first."""

    async def answered() -> float:
        await signed(session, served, "POST", USDM + "v1/order", BUY)
        return time.monotonic()

    async def pushed() -> float:
        await following(socket, lambda frame: frame.get("o", {}).get("X") == "FILLED")
        return time.monotonic()

    at = await asyncio.gather(answered(), pushed())
    return "answer" if at[0] < at[1] else "frame"


async def test_an_answer_arrives_before_or_after_the_frame(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            seen = {await _order_of_arrival(session, served, socket) for _ in range(25)}
            assert seen == {"answer", "frame"}
            await fault(session, "stream_delay", "binanceusdm", ms=400)
            start = time.monotonic()
            assert await _order_of_arrival(session, served, socket) == "answer"
            assert time.monotonic() - start >= 0.4


async def test_one_stream_is_silent_and_its_socket_stays_open(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.ws_connect("/binance/stream?streams=btcusdt@trade/btcusdt@bookTicker") as socket:
            await following(socket, lambda frame: frame["stream"] == "btcusdt@trade", 20)
            await fault(session, "mute", seconds=60, value="@trade")
            with pytest.raises(TimeoutError):
                await following(socket, lambda frame: frame["stream"] == "btcusdt@trade", 3)
            assert await following(socket, lambda frame: frame["stream"] == "btcusdt@bookTicker")
            await session.delete("/sim/faults")
            await following(socket, lambda frame: frame["stream"] == "btcusdt@trade", 20)
        user = served.simulation.dialects["hyperliquid"].account().address
        async with session.ws_connect("/hyperliquid/ws") as socket:
            await fault(session, "mute", "hyperliquid", value="orderUpdates")
            for kind in ("orderUpdates", "userFills"):
                await socket.send_json({"method": "subscribe", "subscription": {"type": kind, "user": user}})
            await following(socket, lambda frame: frame["channel"] == "userFills")
            exchange = served.simulation.exchange("hyperliquid")
            exchange.place(Ask("SOL", "buy", D(1)), served.simulation.now("hyperliquid"))
            frame = await following(socket, lambda frame: True)
            assert (frame["channel"], frame["data"]["fills"][0]["sz"]) == ("userFills", "1.0")


async def test_an_order_reports_why_it_expired(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        key = await listen_key(session, served)
        async with session.ws_connect(f"/binance/private/ws?listenKey={key}") as socket:
            missing = "symbol=SOLUSDT&side=BUY&type=LIMIT&timeInForce=IOC&quantity=1&price=145"
            await signed(session, served, "POST", USDM + "v1/order", missing)
            frame = await following(socket, lambda frame: frame.get("o", {}).get("x") == "EXPIRED")
            assert frame["o"]["er"] == "2"


async def test_a_refused_fault_names_its_error(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert "unknown field" in await refusal(session, "mute", colour="red")
        assert "does not take symbol" in await refusal(session, "latency", symbol="BTCUSDT")
        assert "takes neither seconds nor count" in await refusal(session, "transfer", asset="BTC", amount="1", count=2)
        assert "takes no count" in await refusal(session, "fees", count=2)
        assert "must be one of" in await refusal(session, "empty_side", symbol="BTCUSDT", value="left")
        assert "finite" in await refusal(session, "transfer", asset="BTC", amount="NaN")
