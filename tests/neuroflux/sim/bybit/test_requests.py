"""Signatures, limits and faults of Bybit's requests."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from decimal import Decimal as D
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.bybit.credentials import DEFAULT_WINDOW, Call, Limits, Signer
from neuroflux.sim.bybit.wire import ApiError
from neuroflux.sim.server import Served
from tests.neuroflux.sim.bybit.client import PATH, got, headers, placed, posted, public, rows, sign
from tests.neuroflux.sim.client import fault, refusal
from tests.neuroflux.sim.core.test_exchange import NOW

MS = NOW // 1000
BODY = (
    '{"category":"linear","symbol":"BTCUSDT","side":"Buy","orderType":"Limit","qty":"0.001","price":"50000",'
    '"timeInForce":"GTC","orderLinkId":"nf-1a2b"}'
)


def test_the_signatures_of_the_manual() -> None:
    """The worked examples of the facts."""
    signer = Signer(1)
    signer.secret = "YYYYYYYYYYYYYYYYYYYY"
    start = "1795867200123XXXXXXXXXX5000"
    assert signer.sign(start + "category=linear&orderLinkId=nf-1a2b").startswith("f596cbd56e0e558d")
    assert signer.sign(start + BODY).startswith("7d3bec0fbcdd0c90")
    assert signer.sign("GET/realtime1795867210123").startswith("8d1d4361603403a4")


def _call(signer: Signer, at: int, window: str = "", **wrong: str) -> Call:
    text = f"{at}{signer.key}{window}a=1"
    given = {"key": signer.key, "timestamp": str(at), "window": window, "signature": signer.sign(text), **wrong}
    return Call({}, "a=1", **given)


@pytest.mark.parametrize(
    ("call", "code"),
    [
        ({"at": MS}, 0),
        ({"at": MS - DEFAULT_WINDOW}, 0),
        ({"at": MS - DEFAULT_WINDOW - 1}, 10002),
        ({"at": MS - DEFAULT_WINDOW - 1, "window": "9000"}, 0),
        ({"at": MS + 999}, 0),
        ({"at": MS + 1000}, 10002),
        ({"at": MS, "window": "x"}, 10002),
        ({"at": MS, "key": "other"}, 10003),
        ({"at": MS, "key": ""}, 10001),
        ({"at": MS, "signature": ""}, 10001),
        ({"at": MS, "signature": "0" * 64}, 10004),
        ({"at": MS, "window": "5000", "timestamp": str(MS + 1)}, 10004),
    ],
)
def test_every_part_of_a_signature(call: dict[str, Any], code: int) -> None:
    signer = Signer(1)
    try:
        signer.check(_call(signer, **call), NOW)
        refused = 0
    except ApiError as error:
        refused = error.code
    assert refused == code


async def test_the_query_and_the_body_are_signed_as_they_were_sent(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        async with session.get(f"{PATH}account/info?a=1", headers=headers(served, "a=2")) as answer:
            assert (answer.status, json.loads(await answer.text())["retCode"]) == (200, 10004)
        async with session.post(f"{PATH}order/create", data="{}", headers=headers(served, "{ }")) as answer:
            assert json.loads(await answer.text())["retCode"] == 10004
        for body in ("", "[]", "{", "1"):
            async with session.post(f"{PATH}order/create", data=body, headers=headers(served, body)) as answer:
                assert json.loads(await answer.text())["retCode"] == 10001
        async with session.get(f"{PATH}account/info") as answer:
            assert "openapi sign params error!" in await answer.text()


ODD: list[Any] = [
    None,
    "",
    "x",
    "²",
    "9" * 5000,
    -1,
    1.5,
    10**30,
    True,
    [],
    {},
    ["a"],
    {"a": 1},
    "NaN",
    "\ud800",
    "a b",
]
NAMES = ("category", "symbol", "side", "orderType", "qty", "price", "orderId", "orderLinkId", "limit", "cursor", "mode")
MORE = ("settleCoin", "coin", "amount", "transferId", "buyLeverage", "startTime", "endTime", "interval", "accountType")
GOOD = {
    "category": "linear",
    "symbol": "BTCUSDT",
    "side": "Buy",
    "orderType": "Limit",
    "qty": "1",
    "settleCoin": "USDT",
}


async def test_no_parameter_is_an_error_of_the_server(served: Served) -> None:
    """Each parameter of every endpoint, with odd values one by one, and left out."""
    app = served.simulation.dialects["bybit"]
    functions = [(one.method, one.function) for one in (*app._open(), *app._signed())]  # type: ignore[attr-defined]
    now, asked = served.simulation.now("bybit"), 0
    for method, function in functions:
        for name in (*NAMES, *MORE):
            for value in ODD:
                params = {**GOOD, name: value if method == "POST" else str(value)}
                with suppress(ApiError):
                    function(Call(params), now)
                asked += 1
    assert asked > 8000


@pytest.mark.parametrize("path", ["public/spot", "public/linear", "private", "trade"])
async def test_no_frame_is_an_error_of_the_server(served: Served, path: str) -> None:
    account, at = served.simulation.dialects["bybit"].account(), int(time.time() * 1000) + 60_000
    ops: list[Any] = ["subscribe", "unsubscribe", "auth", "order.create", "order.cancel", "ping", None, ["a"], {}]
    args: list[Any] = [
        None,
        [],
        [None],
        [[]],
        [{}],
        [{"category": "a b"}],
        ["orderbook.50.BTCUSDT", 1],
        "x",
        [1, "²", "é"],
    ]
    async with aiohttp.ClientSession(served.url) as session, session.ws_connect(f"{PATH}{path}") as socket:
        login = {"op": "auth", "args": [account.key, at, sign(served, f"GET/realtime{at}")]}
        await socket.send_json(login)
        for op in ops:
            for number, one in enumerate(args):
                header = {"X-BAPI-TIMESTAMP": int(time.time() * 1000)} if number % 2 else number
                await socket.send_json({"op": op, "args": one, "reqId": f"{op}{number}", "header": header})
        await socket.send_json({"op": "ping", "req_id": "last"})
        pongs = 0
        while pongs < len(args) + 1:
            frame = json.loads((await socket.receive(5)).data)
            pongs += "pong" in (frame.get("op"), frame.get("ret_msg"))


def test_limits_are_by_endpoint_and_second() -> None:
    limits = Limits()
    for _ in range(20):
        limits.count("order/create", "spot", NOW)
    assert limits.headers("order/create", NOW)["X-Bapi-Limit-Status"] == "0"
    with pytest.raises(ApiError) as refused:
        limits.count("order/create", "spot", NOW + 999_999)
    assert refused.value.code == 10006
    assert refused.value.headers["X-Bapi-Limit-Reset-Timestamp"] == str(MS + 1000)
    limits.count("order/create", "linear", NOW)
    assert limits.headers("order/create", NOW)["X-Bapi-Limit"] == "10"
    limits.count("order/create", "spot", NOW + 1_000_000)
    assert limits.headers("order/create", NOW + 1_000_000)["X-Bapi-Limit-Status"] == "19"


def test_an_address_is_banned_for_ten_minutes() -> None:
    limits = Limits()
    for _ in range(600):
        limits.count_address(NOW)
    for after in (4_999_999, 5_000_001, 604_000_000):
        with pytest.raises(ApiError) as refused:
            limits.count_address(NOW + after)
        assert refused.value.status == 403
    limits.count_address(NOW + 605_000_000)
    for _ in range(500):
        limits.count_connection(NOW)
    with pytest.raises(ApiError):
        limits.count_connection(NOW + 1)


async def test_answers_tell_the_limit(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        query, seen = "category=spot&symbol=BTCUSDT", list[tuple[str, str]]()
        for _ in range(6):
            async with session.get(f"{PATH}account/fee-rate?{query}", headers=headers(served, query)) as answer:
                left = answer.headers["X-Bapi-Limit-Status"]
                seen.append((left, str(json.loads(await answer.text())["retCode"])))
        assert seen == [("4", "0"), ("3", "0"), ("2", "0"), ("1", "0"), ("0", "0"), ("0", "10006")]
        body = '{"category":"linear"}'
        async with session.post(f"{PATH}order/create", data=body, headers=headers(served, body)) as answer:
            assert (answer.headers["X-Bapi-Limit"], answer.headers["X-Bapi-Limit-Status"]) == ("10", "9")
        async with session.get(f"{PATH}market/time") as answer:
            assert "X-Bapi-Limit" not in answer.headers


async def test_faults_of_requests(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "http_429", "bybit", retry_after=3)
        async with session.get(f"{PATH}market/time") as answer:
            body = json.loads(await answer.text())
            assert (answer.status, body["retCode"], answer.headers["X-Bapi-Limit-Status"]) == (200, 10006, "0")
            wait = int(answer.headers["X-Bapi-Limit-Reset-Timestamp"]) - body["time"]
            assert 2900 <= wait <= 3100
        await fault(session, "http_418", "bybit")
        async with session.get(f"{PATH}market/time") as answer:
            assert (answer.status, await answer.text()) == (403, "access too frequent")
        await fault(session, "http_5xx", "bybit")
        async with session.get(f"{PATH}market/time") as answer:
            assert (answer.status, (await answer.text())[:6]) == (503, "<html>")
        await fault(session, "skew", "bybit", ms=10_000)
        assert (await got(session, served, "account/info"))["retCode"] == 10002
        await session.delete("/sim/faults")
        await fault(session, "unknown_code", "bybit", count=2)
        codes = [(await placed(session, served, category=one, qty="0.01"))["retCode"] for one in ("spot", "linear")]
        assert codes == [170999, 110999]
        number = (await placed(session, served))["result"]["orderId"]
        await fault(session, "unknown_status", "bybit", count=1)
        found = [(await rows(session, served, "order/realtime", f"category=spot&orderId={number}"))[0] for _ in "12"]
        assert [row["orderStatus"] for row in found] == ["PendingReview", "Filled"]


async def test_malformed_rows(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "malformed_row", "bybit", value="instruments-info", symbol="ETHUSDT")
        assert (await public(session, "market/time"))["retCode"] == 0
        listed = (await public(session, "market/instruments-info?category=linear"))["result"]["list"]
        assert [row["symbol"] for row in listed if row["lotSizeFilter"] is None] == ["ETHUSDT"]
        await fault(session, "malformed_row", "bybit", value="wallet-balance", symbol="BTC")
        (wallet,) = await rows(session, served, "account/wallet-balance", "accountType=UNIFIED")
        assert [row["coin"] for row in wallet["coin"] if row["walletBalance"] is None] == ["BTC"]


async def test_an_order_stands_whose_answer_is_lost(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "accept_then_timeout", "bybit")
        price = f"{served.simulation.exchange('bybit').top('BTCUSDT')[0] * D('1.02') // 1:.1f}"
        crossing = {"orderType": "Limit", "timeInForce": "PostOnly", "price": price}
        assert (await placed(session, served, **crossing))["retCode"] == 0  # what does not stand is not lost
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await placed(session, served, orderLinkId="lost")
        (row,) = await rows(session, served, "order/realtime", "category=spot&orderLinkId=lost")
        assert row["orderStatus"] == "Filled"
        await session.delete("/sim/faults")


async def _wallet(session: aiohttp.ClientSession, served: Served) -> dict[str, D]:
    (wallet,) = await rows(session, served, "account/wallet-balance", "accountType=UNIFIED")
    return {row["coin"]: D(row["walletBalance"]) for row in wallet["coin"]}


async def test_the_log_explains_every_balance(served: Served) -> None:
    exchange = served.simulation.exchange("bybit")
    async with aiohttp.ClientSession(served.url) as session:
        before = await _wallet(session, served)
        await placed(session, served)
        await placed(session, served, side="Sell", qty="0.002")
        for side in ("Buy", "Sell"):
            await placed(session, served, category="linear", side=side, qty="0.01")
        await placed(session, served, category="linear", qty="0.01")
        exchange.fund("linear:BTCUSDT", D("0.0001"), served.simulation.now("bybit"))
        await fault(session, "transfer", "bybit", asset="USDC", amount="250")
        await fault(session, "transfer", "bybit", asset="SOL", amount="-2")
        moved = {"coin": "USDT", "amount": "20", "fromAccountType": "FUND", "toAccountType": "UNIFIED"}
        answer = await posted(session, served, "asset/transfer/inter-transfer", transferId="one", **moved)
        assert answer["result"] == {"transferId": "one", "status": "SUCCESS"}
        codes = []
        for number, amount in (("one", "20"), ("two", "481"), ("three", "x")):
            body = {**moved, "transferId": number, "amount": amount}
            codes.append((await posted(session, served, "asset/transfer/inter-transfer", **body))["retCode"])
        assert codes == [131214, 131212, 10001]
        after, log = await _wallet(session, served), list[Any]()
        query = "accountType=UNIFIED&limit=5"
        while (page := (await got(session, served, "account/transaction-log", query))["result"])["list"]:
            log += page["list"]
            query = f"accountType=UNIFIED&limit=5&cursor={page['nextPageCursor']}"
        for coin, wallet in after.items():
            here: list[dict[str, str]] = [row for row in log if row["currency"] == coin]
            changes = [D(row["change"]) for row in here]
            assert before.get(coin, D(0)) + sum(changes) == pytest.approx(wallet, abs=D("1e-7"))
            assert not here or D(here[0]["cashBalance"]) == pytest.approx(wallet, abs=D("1e-7"))
        assert {row["type"] for row in log} == {"TRADE", "SETTLEMENT", "TRANSFER_IN", "TRANSFER_OUT"}
        assert [
            row["coin"] for row in (await got(session, served, "asset/deposit/query-record"))["result"]["rows"]
        ] == ["USDC"]
        assert [
            row["coin"] for row in (await got(session, served, "asset/withdraw/query-record"))["result"]["rows"]
        ] == ["SOL"]
        query = "transferId=one"
        (row,) = await rows(session, served, "asset/transfer/query-inter-transfer-list", query)
        assert row["status"] == "SUCCESS"


@pytest.mark.parametrize(("name", "kind"), [("liquidate", "BustTrade"), ("adl", "AdlTrade")])
async def test_the_exchange_closes_a_position(served: Served, name: str, kind: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert "no position" in await refusal(session, name, "bybit", symbol="linear:BTCUSDT")
        await placed(session, served, category="linear", qty="0.01", orderLinkId="mine")
        await fault(session, name, "bybit", symbol="linear:BTCUSDT")
        newest = (await rows(session, served, "execution/list", "category=linear"))[0]
        assert (newest["execType"], newest["orderLinkId"], newest["side"]) == (kind, "", "Sell")
        assert await rows(session, served, "position/list", "category=linear&settleCoin=USDT") == []


async def test_a_zero_balance_is_left_out(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert (await placed(session, served, symbol="SOLUSDT", side="Sell", qty="15"))["retCode"] == 0
        assert "SOL" not in await _wallet(session, served)
        query = "accountType=UNIFIED&coin=SOL"
        assert (await rows(session, served, "account/wallet-balance", query))[0]["coin"][0]["walletBalance"] == "0"
        assert (await got(session, served, "account/wallet-balance", "accountType=SPOT"))["retCode"] == 10001
