"""Orders of Bybit: what the answer proves, how each cause is refused, how orders end, and how they are found."""

from __future__ import annotations

from decimal import Decimal as D
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.bybit.wire import refusal
from neuroflux.sim.core.orders import Ask, Reason
from neuroflux.sim.server import Served
from tests.neuroflux.sim.bybit.client import got, placed, posted, public, rows
from tests.neuroflux.sim.client import fault
from tests.neuroflux.sim.client import refusal as refused_fault

LINEAR = {"category": "linear", "qty": "0.01"}


def _price(served: Served, share: str, symbol: str = "BTCUSDT") -> str:
    exchange = served.simulation.exchange("bybit")
    return f"{round(exchange.top(symbol)[0] * D(share) / 10) * 10:.1f}"


async def _one(session: aiohttp.ClientSession, served: Served, answer: Any, category: str = "spot") -> Any:
    """The order that an answer names, as a query has it."""
    query = f"category={category}&orderId={answer['result']['orderId']}"
    (row,) = await rows(session, served, "order/realtime", query)
    return row


@pytest.mark.parametrize("reason", list(Reason))
def test_every_reason_has_a_code(reason: Reason) -> None:
    assert all(refusal(reason, category).code for category in ("spot", "linear"))


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"symbol": "NOPEUSDT"}, 170121),
        ({"side": "buy"}, 170117),
        ({"orderType": "Stop"}, 170116),
        ({"orderType": "Limit", "price": "60000", "timeInForce": "DAY"}, 170115),
        ({"qty": ""}, 170105),
        ({"qty": 0.001}, 10001),
        ({"qty": "1e-3"}, 10001),
        ({"qty": "0.0000001"}, 170137),
        ({"qty": "0"}, 170136),
        ({"qty": "0.00001"}, 170140),
        ({"orderType": "Limit"}, 170105),
        ({"orderType": "Limit", "price": "1.01"}, None),
        ({"orderType": "Limit", "price": "{0.99}5"}, 170134),
        ({"orderType": "Limit", "price": "{1.1}"}, 170193),
        ({"side": "Sell", "orderType": "Limit", "price": "{0.9}"}, 170194),
        ({"qty": "3"}, 170131),
        ({"orderLinkId": "a" * 37}, 10001),
        ({"orderLinkId": "a.b"}, 10001),
        ({"category": "option"}, 10001),
        ({"category": None}, 10001),
        ({"marketUnit": "coins"}, 10001),
        ({"symbol": {"a": 1}}, 10001),
    ],
)
async def test_refusals_on_spot(served: Served, more: dict[str, Any], code: int | None) -> None:
    price = str(more.get("price", ""))
    if price.startswith("{"):
        share, _, rest = price[1:].partition("}")
        more = {**more, "price": _price(served, share) + rest}
    async with aiohttp.ClientSession(served.url) as session:
        answer = await placed(session, served, **more)
    assert (answer["retCode"] if code is not None else 170140) == (code or 170140)
    assert "orderId" not in answer["result"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"symbol": "NOPEUSDT"}, 10001),
        ({"qty": "0.0001"}, 10001),
        ({"orderType": "Limit", "price": "{1.1}"}, 110003),
        ({"orderType": "Limit", "price": "{0.99}5"}, 10001),
        ({"symbol": "DOGEUSDT", "qty": "1"}, 110094),
        ({"qty": "50"}, 110007),
        ({"side": "Sell", "reduceOnly": True}, 110017),
        ({"positionIdx": 1}, 10001),
    ],
)
async def test_refusals_of_perpetuals(served: Served, more: dict[str, Any], code: int) -> None:
    price = str(more.get("price", ""))
    if price.startswith("{"):
        share, _, rest = price[1:].partition("}")
        more = {**more, "price": _price(served, share, "linear:BTCUSDT") + rest}
    async with aiohttp.ClientSession(served.url) as session:
        assert (await placed(session, served, **{**LINEAR, **more}))["retCode"] == code


async def test_an_id_is_never_free_again(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert (await placed(session, served, orderLinkId="once"))["retCode"] == 0
        assert (await placed(session, served, orderLinkId="once"))["retCode"] == 170141
        assert (await placed(session, served, **LINEAR, orderLinkId="once"))["retCode"] == 110072
        await fault(session, "reject", "bybit")
        assert (await placed(session, served, orderLinkId="dead"))["retCode"] == 0
        assert (await placed(session, served, orderLinkId="dead"))["retCode"] == 170141


@pytest.mark.parametrize("category", ["spot", "linear"])
async def test_an_accepted_order_may_still_be_rejected(served: Served, category: str) -> None:
    symbol = "BTCUSDT" if category == "spot" else "linear:BTCUSDT"
    crossing = {"orderType": "Limit", "timeInForce": "PostOnly", "price": _price(served, "1.01", symbol)}
    async with aiohttp.ClientSession(served.url) as session:
        answer = await placed(session, served, category=category, **crossing, orderLinkId="post")
        row = await _one(session, served, answer, category)
        assert (row["orderStatus"], row["rejectReason"]) == ("Cancelled", "EC_PostOnlyWillTakeLiquidity")
        assert (row["cumExecQty"], row["leavesQty"], row["avgPrice"]) in (("0.000000", "0", ""), ("0.000", "0", ""))
        await fault(session, "reject", "bybit")
        answer = await placed(session, served, category=category, orderLinkId="no")
        assert (answer["retCode"], answer["result"]["orderLinkId"]) == (0, "no")
        (row,) = await rows(session, served, "order/history", f"category={category}&orderLinkId=no")
        assert (row["orderStatus"], row["rejectReason"]) == ("Rejected", "EC_Others")
    assert not served.simulation.world.truth


async def test_how_orders_end(served: Served) -> None:
    low = {"orderType": "Limit", "price": _price(served, "0.97")}
    async with aiohttp.ClientSession(served.url) as session:
        for tif, reason in (("IOC", "EC_NoImmediateQtyToFill"), ("FOK", "EC_CancelForNoFullFill")):
            row = await _one(session, served, await placed(session, served, **low, timeInForce=tif))
            assert (row["orderStatus"], row["rejectReason"], row["timeInForce"]) == ("Cancelled", reason, tif)
        await fault(session, "partial_fill", "bybit", count=2)
        row = await _one(session, served, await placed(session, served))
        assert (row["orderStatus"], row["cumExecQty"]) == ("PartiallyFilledCanceled", "0.000500")
        row = await _one(session, served, await placed(session, served, **LINEAR), "linear")
        assert (row["orderStatus"], row["cumExecQty"]) == ("Cancelled", "0.005")
        rests = await placed(session, served, **low)
        assert (await _one(session, served, rests))["orderStatus"] == "New"
        names = {"category": "spot", "symbol": "BTCUSDT", "orderId": rests["result"]["orderId"]}
        assert (await posted(session, served, "order/cancel", **names, orderLinkId="other"))["retCode"] == 0
        row = await _one(session, served, rests)
        assert (row["orderStatus"], row["cancelType"]) == ("Cancelled", "CancelByUser")
        assert (await posted(session, served, "order/cancel", **names))["retCode"] == 170213
        linear = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "none"}
        assert (await posted(session, served, "order/cancel", **linear))["retCode"] == 110001
        assert (await posted(session, served, "order/cancel", category="spot", symbol="BTCUSDT"))["retCode"] == 10001


async def test_a_purchase_at_the_market_is_sized_in_the_quote(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        answer = await placed(session, served, qty="65", marketUnit=None)
        row = await _one(session, served, answer)
        assert (row["qty"], row["marketUnit"], row["price"], row["orderStatus"]) == ("65", "quoteCoin", "0", "Filled")
        assert 64 < float(row["cumExecValue"]) <= 65
        assert list(row["cumFeeDetail"]) == ["BTC"] == [row["feeCurrency"]]
        assert {"tpslMode", "createType"} & row.keys() == set()
        sold = await _one(session, served, await placed(session, served, side="Sell", marketUnit=None))
        assert (sold["qty"], sold["feeCurrency"], sold["cumExecQty"]) == ("0.001000", "USDT", "0.001000")
        linear = await _one(session, served, await placed(session, served, **LINEAR), "linear")
        assert {"tpslMode", "createType"} <= linear.keys()
        assert float(linear["price"]) > float(linear["avgPrice"])
        assert (len(linear["orderId"]), linear["orderId"].count("-")) == (36, 4)


async def test_lists_of_orders(served: Served) -> None:
    low = {"orderType": "Limit", "price": _price(served, "0.97")}
    async with aiohttp.ClientSession(served.url) as session:
        made = [(await placed(session, served, **low))["result"]["orderId"] for _ in range(5)]
        query, found = "category=spot&limit=2", list[str]()
        while (page := (await got(session, served, "order/realtime", query))["result"])["list"]:
            assert "%" in page["nextPageCursor"]  # a page that is not empty has a cursor, also the last one
            found += [row["orderId"] for row in page["list"]]
            query = f"category=spot&limit=2&cursor={page['nextPageCursor']}"
        assert (found, page["nextPageCursor"]) == (made[::-1], "")
        await fault(session, "page_size", "bybit", value="1")
        assert len(await rows(session, served, "order/realtime", "category=spot")) == 1
        await session.delete("/sim/faults")
        assert (await got(session, served, "order/realtime", "category=linear"))["retCode"] == 10001
        assert await rows(session, served, "order/realtime", "category=linear&settleCoin=USDT") == []
        query = f"category=spot&orderId={made[0]}"
        await fault(session, "order_unknown", "bybit")
        assert await rows(session, served, "order/realtime", query) == []
        assert len(await rows(session, served, "order/realtime", query)) == 1
        assert await rows(session, served, "order/history", query) == []
        assert await rows(session, served, "order/realtime", "category=spot&orderLinkId=never") == []
        assert (await got(session, served, "order/realtime", "category=spot&limit=51"))["retCode"] == 10001
        gone = await posted(session, served, "order/cancel-all", category="spot", symbol="BTCUSDT")
        assert len(gone["result"]["list"]) == 5
        assert await rows(session, served, "order/realtime", "category=spot") == []
        assert len(await rows(session, served, "order/realtime", "category=spot&openOnly=1")) == 5
        query = "category=spot&startTime=1&endTime=1000000000"
        assert (await got(session, served, "order/history", query))["retCode"] == 10001


async def test_executions(served: Served) -> None:
    exchange = served.simulation.exchange("bybit")
    async with aiohttp.ClientSession(served.url) as session:
        await placed(session, served)
        await placed(session, served, **LINEAR)
        exchange.fund("linear:BTCUSDT", D("0.0001"), served.simulation.now("bybit"))
        spot = await rows(session, served, "execution/list", "category=spot")
        assert {(row["execType"], row["feeCurrency"], row["feeRate"]) for row in spot} == {("Trade", "BTC", "0.001")}
        assert all(row["execId"].isdigit() for row in spot)
        linear = await rows(session, served, "execution/list", "category=linear")
        assert linear[0]["execType"] == "Funding"
        assert linear[-1]["feeCurrency"] == ""
        assert len(linear[-1]["execId"]) == 36
        trades = await rows(session, served, "execution/list", "category=linear&execType=Trade&symbol=BTCUSDT")
        assert {row["execType"] for row in trades} == {"Trade"}
        assert trades[0]["leavesQty"] == "0.000"
        await fault(session, "fees", "bybit", maker="-0.0001")
        order = exchange.place(Ask("BTCUSDT", "sell", D("0.01"), exchange.top("BTCUSDT")[1]), 1)
        ticks = order.listing.ticks(order.ask.price or D(0))
        book = exchange.books["BTCUSDT"]
        exchange.settle(book.take("buy", book.available("buy", ticks), ticks, 0), served.simulation.now("bybit"))
        maker = (await rows(session, served, "execution/list", "category=spot"))[0]
        assert (maker["isMaker"], maker["feeCurrency"], float(maker["execFee"]) < 0) == (True, "BTC", True)


async def test_hedge_mode(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "hedge_mode", "bybit")
        assert (await placed(session, served, **LINEAR))["retMsg"] == "position idx not match position mode"
        for number, side in ((1, "Buy"), (2, "Sell")):
            assert (await placed(session, served, **LINEAR, side=side, positionIdx=number))["retCode"] == 0
        held = await rows(session, served, "position/list", "category=linear&settleCoin=USDT")
        assert [(row["positionIdx"], row["side"], row["size"]) for row in held] == [
            (1, "Buy", "0.010"),
            (2, "Sell", "0.010"),
        ]
        body = {"category": "linear", "coin": "USDT"}
        assert (await posted(session, served, "position/switch-mode", **body, mode=0))["retCode"] == 110024
        assert (await posted(session, served, "position/switch-mode", **body, mode=3))["retCode"] == 110025
        assert "existing position" in await refused_fault(session, "hedge_mode", "bybit", value="false")


async def test_leverage_and_positions(served: Served) -> None:
    body = {"category": "linear", "symbol": "BTCUSDT"}
    async with aiohttp.ClientSession(served.url) as session:

        async def set_to(buy: str, sell: str) -> int:
            answer = await posted(session, served, "position/set-leverage", **body, buyLeverage=buy, sellLeverage=sell)
            return int(answer["retCode"])

        codes = [await set_to(*pair) for pair in (("7", "7"), ("7", "7"), ("500", "500"), ("3", "4"), ("x", "x"))]
        assert codes == [0, 110043, 110013, 10001, 10001]
        (flat,) = await rows(session, served, "position/list", "category=linear&symbol=BTCUSDT")
        assert (flat["side"], flat["size"], flat["leverage"]) == ("", "0", "7")
        assert await rows(session, served, "position/list", "category=linear&settleCoin=USDT") == []
        assert (await got(session, served, "position/list", "category=linear"))["retCode"] == 10001
        await placed(session, served, **LINEAR, side="Sell")
        (held,) = await rows(session, served, "position/list", "category=linear&settleCoin=USDT")
        assert (held["side"], held["size"], float(held["avgPrice"]) > 0) == ("Sell", "0.010", True)
        coins = (await rows(session, served, "account/wallet-balance", "accountType=UNIFIED"))[0]["coin"]
        tether = next(row for row in coins if row["coin"] == "USDT")
        assert float(tether["totalPositionIM"]) == pytest.approx(0.01 * float(held["markPrice"]) / 7, rel=0.01)


async def test_account_modes(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        info = (await got(session, served, "account/info"))["result"]
        assert (info["unifiedMarginStatus"], info["marginMode"]) == (6, "REGULAR_MARGIN")
        await fault(session, "account_mode", "bybit", value="isolated")
        assert (await got(session, served, "account/info"))["result"]["marginMode"] == "ISOLATED_MARGIN"
        await fault(session, "account_mode", "bybit", value="classic")
        assert (await got(session, served, "account/info"))["result"]["unifiedMarginStatus"] == 1
        assert (await placed(session, served))["retCode"] == 10028
        assert (await got(session, served, "account/wallet-balance", "accountType=UNIFIED"))["retCode"] == 10028
        assert "must be one of" in await refused_fault(session, "account_mode", "bybit", value="odd")
        await session.delete("/sim/faults")
        await fault(session, "withdrawals", "bybit")
        key = (await got(session, served, "user/query-api"))["result"]
        assert ("Withdraw" in key["permissions"]["Wallet"], key["ips"]) == (True, ["192.0.2.1"])


async def test_instruments(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        spot = (await public(session, "market/instruments-info?category=spot"))["result"]
        assert ("nextPageCursor" in spot, {row["quoteCoin"] for row in spot["list"]}) == (True, {"USDT", "USDC", "EUR"})
        query, linear = "market/instruments-info?category=linear&limit=10", list[Any]()
        while True:
            page = (await public(session, query))["result"]
            linear += page["list"]
            if not page["nextPageCursor"]:
                break
            query = f"market/instruments-info?category=linear&limit=10&cursor={page['nextPageCursor']}"
        usual = [row for row in linear if (row["contractType"], row["settleCoin"]) == ("LinearPerpetual", "USDT")]
        assert (len(usual), len(linear)) == (24, 26)
        assert {row["fundingInterval"] for row in usual} == {480, 240}
        await fault(session, "tick_size", "bybit", symbol="BTCUSDT", value="0.5")
        row = (await public(session, "market/instruments-info?category=spot&symbol=BTCUSDT"))["result"]["list"][0]
        assert row["priceFilter"]["tickSize"] == "0.5"
        await fault(session, "halt", "bybit", symbol="BTCUSDT")
        assert (await public(session, "market/instruments-info?category=spot&symbol=BTCUSDT"))["result"]["list"] == []
        assert (await placed(session, served))["retCode"] == 170157
        await fault(session, "list", "bybit", symbol="NEWXUSDT")
        row = (await public(session, "market/instruments-info?category=linear&symbol=NEWXUSDT"))["result"]["list"][0]
        assert (row["baseCoin"], row["contractType"]) == ("NEWX", "LinearPerpetual")
        assert (await placed(session, served, **{**LINEAR, "qty": "1"}, symbol="NEWXUSDT"))["retCode"] == 0
        await fault(session, "funding_interval", "bybit", symbol="NEWXUSDT", value="1")
        row = (await public(session, "market/tickers?category=linear&symbol=NEWXUSDT"))["result"]["list"][0]
        assert row["fundingIntervalHour"] == "1"
        for path in ("orderbook", "tickers", "recent-trade", "kline", "funding/history"):
            assert (await public(session, f"market/{path}?category=linear&symbol=NOPE"))["retCode"] == 10001
            assert (await public(session, f"market/{path}"))["retCode"] == 10001
        assert (await public(session, "market/orderbook?category=spot&symbol=ETHUSDT&limit=9999"))["retCode"] == 10001
        history = await public(session, "market/funding/history?category=linear&symbol=BTCUSDT&limit=3")
        assert len(history["result"]["list"]) == 3
