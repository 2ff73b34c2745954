"""Orders, refusals, lists and money as Kraken answers them over REST."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.core.orders import Ask, Reason, Rejected
from neuroflux.sim.kraken.names import order_name, order_number
from neuroflux.sim.kraken.refusals import REASONS, error_text
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault
from tests.neuroflux.sim.kraken.client import answer, answer_json, ask, error, limit

D = Decimal
MARKET = {"pair": "XBTUSD", "type": "buy", "ordertype": "market", "volume": "0.001"}


def moment(**offset: float) -> str:
    return (datetime.now(UTC) + timedelta(**offset)).isoformat()


async def placed(session: aiohttp.ClientSession, **fields: Any) -> str:
    """Kraken's id of an order that was accepted."""
    return str((await ask(session, "AddOrder", **fields))["txid"][0])


async def query(session: aiohttp.ClientSession, name: str) -> Any:
    return (await ask(session, "QueryOrders", txid=name, trades="true"))[name]


async def ends(session: aiohttp.ClientSession, name: str, status: str) -> None:
    """Wait until an order has this status."""
    async with asyncio.timeout(5):
        while True:
            if (await query(session, name))["status"] == status:
                return
            await asyncio.sleep(0.3)


def test_an_id_is_the_orders_number_in_other_words() -> None:
    for number in (0, 1, 123_456_789, 36**16 - 1):
        assert order_number(order_name(number)) == number
        assert len(order_name(number)) == len("OABCDE-FGHIJ-KLMNOP")
    assert [order_number(one) for one in ("", "42", "TABCDE-FGHIJ-KLMNOP", "O-------", None)] == [None] * 5


def test_every_reason_has_a_text() -> None:
    assert REASONS.keys() == set(Reason)
    assert {error_text(Rejected(reason)).partition(":")[0] for reason in Reason} == {
        *("EOrder", "EGeneral", "EService", "ERule")
    }


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (limit("1"), "EOrder:Insufficient funds"),
        (limit("1", "90000", "sell"), "EOrder:Insufficient funds"),
        (limit("0.00004"), "EOrder:Order minimum not met"),
        (limit("0"), "EOrder:Order minimum not met"),
        (limit("0.0001", "1"), "EOrder:Cost minimum not met"),
        (limit(price="50000.01"), "EOrder:Tick size check failed"),
        (limit(price="0"), "EOrder:Invalid price"),
        (limit("0.001000001"), "EGeneral:Invalid arguments:volume"),
        (limit(price="90000", oflags="post"), "EOrder:Post only order"),
        (limit(pair="NOPE"), "EQuery:Unknown asset pair"),
        (limit(side="hold"), "EGeneral:Invalid arguments:type"),
        (limit(ordertype="nope"), "EGeneral:Invalid arguments:ordertype"),
        (limit(ordertype="stop-loss"), "EGeneral:Invalid arguments:ordertype is not simulated"),
        (limit(oflags="post,nope"), "EGeneral:Invalid arguments:oflags"),
        (limit(oflags="fcib,fciq"), "EGeneral:Invalid arguments:oflags"),
        (limit(oflags="viqc"), "EGeneral:Invalid arguments:viqc"),
        (limit(timeinforce="nope"), "EGeneral:Invalid arguments:timeinforce"),
        (limit(timeinforce="IOC", oflags="post"), "EGeneral:Invalid arguments:timeinforce"),
        (limit(timeinforce="GTD"), "EGeneral:Invalid arguments:expiretm"),
        (limit(timeinforce="GTD", expiretm="1"), "EGeneral:Invalid arguments:expiretm"),
        (limit(cl_ord_id="x" * 19), "EGeneral:Invalid arguments:cl_ord_id"),
        (limit(cl_ord_id="x y"), "EGeneral:Invalid arguments:cl_ord_id"),
        (limit(cl_ord_id="x", userref="1"), "EGeneral:Invalid arguments:userref"),
        (limit(userref="2147483648"), "EGeneral:Invalid arguments:userref"),
        (limit(stptype="nope"), "EGeneral:Invalid arguments:stptype"),
        (limit(leverage="2"), "EOrder:Insufficient margin"),
        (limit(reduce_only="true"), "EOrder:Reduce only:No position exists"),
        (limit(starttm="+5"), "EGeneral:Invalid arguments:starttm is not simulated"),
        (limit(deadline=moment(seconds=-1)), "EService:Deadline elapsed"),
        (limit(deadline=moment(hours=2)), "EGeneral:Invalid arguments:deadline"),
        (limit(deadline="soon"), "EGeneral:Invalid arguments:deadline"),
        *((limit(number), "EGeneral:Invalid arguments:volume") for number in ("NaN", "1e3", "-1", "1e999999999", "٣")),
        ({}, "EGeneral:Invalid arguments:pair"),
    ],
)
async def test_why_an_order_is_refused(served: Served, fields: Any, text: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        assert await error(session, "AddOrder", **fields) == text
        assert await error(session, "AddOrder", **fields, validate="True") == text
        assert not served.simulation.exchange("kraken").orders


async def test_an_order_that_is_only_checked_is_not_placed(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        checked = await ask(session, "AddOrder", **limit(), validate="True")
        assert checked == {"descr": {"order": "buy 0.00100000 XBTUSD @ limit 50000.0"}}
        assert not served.simulation.exchange("kraken").orders
        await placed(session, **limit(), validate="False")
        assert len((await ask(session, "OpenOrders"))["open"]) == 1


async def test_a_client_id_is_unique_among_open_orders_alone(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        first = await placed(session, **limit(cl_ord_id="mine"))
        assert await error(session, "AddOrder", **limit(cl_ord_id="mine")) == "EOrder:Duplicate order"
        assert list((await ask(session, "OpenOrders", cl_ord_id="mine"))["open"]) == [first]
        assert await ask(session, "CancelOrder", cl_ord_id="mine") == {"count": 1}
        assert await error(session, "CancelOrder", cl_ord_id="mine") == "EOrder:Unknown order"
        second = await placed(session, **limit(cl_ord_id="mine"))
        assert second != first
        assert (await ask(session, "OpenOrders", cl_ord_id="other"))["open"] == {}
        closed = await ask(session, "ClosedOrders", cl_ord_id="mine")
        assert (list(closed["closed"]), closed["count"]) == ([first], 1)
        assert "count" not in await ask(session, "ClosedOrders", cl_ord_id="mine", without_count="true")


async def test_an_order_is_written_as_the_exchange_does(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        name = await placed(session, **limit(userref="7", oflags="post"))
        row = await query(session, name)
        assert row["descr"] == {
            "pair": "XBTUSD",
            "type": "buy",
            "ordertype": "limit",
            "price": "50000.0",
            "price2": "0",
            "leverage": "none",
            "order": "buy 0.00100000 XBTUSD @ limit 50000.0",
            "close": "",
        }
        assert (row["status"], row["vol"], row["vol_exec"], row["oflags"], row["userref"]) == (
            *("open", "0.00100000", "0.00000000", "fciq,post", 7),
        )
        assert "closetm" not in row
        bought = await query(session, await placed(session, **MARKET))
        assert (bought["status"], bought["descr"]["order"], bought["reason"]) == (
            *("closed", "buy 0.00100000 XBTUSD @ market", None),
        )
        assert D(bought["price"]) == pytest.approx(D(bought["cost"]) / D("0.001"), rel=D("1e-6"))
        assert len(bought["trades"]) >= 1
        ended = await query(session, await placed(session, **limit(timeinforce="IOC")))
        assert (ended["status"], ended["vol_exec"], ended["reason"]) == (
            *("canceled", "0.00000000", "Immediate or cancel"),
        )
        assert await error(session, "QueryOrders", txid="OAAAAA-BBBBB-CCCCCC") == "EOrder:Invalid order"
        assert await error(session, "QueryOrders") == "EGeneral:Invalid arguments:txid"


async def test_a_userref_may_mean_several_orders(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        for _ in range(2):
            await placed(session, **limit("0.0001", userref="7"))
        other = await placed(session, **limit("0.0001"))
        assert len((await ask(session, "OpenOrders", userref="7"))["open"]) == 2
        assert await ask(session, "CancelOrder", txid="7") == {"count": 2}
        assert list((await ask(session, "OpenOrders"))["open"]) == [other]
        wrongs: tuple[dict[str, Any], ...] = ({}, {"txid": other, "cl_ord_id": "x"})
        for wrong in wrongs:
            assert await error(session, "CancelOrder", **wrong) == "EGeneral:Invalid arguments:txid"


async def test_the_quote_pays_the_fee_unless_the_order_prefers_the_base(served: Served) -> None:
    sim = served.simulation.exchange("kraken")
    async with aiohttp.ClientSession(served.url) as session:
        await placed(session, **limit())
        assert (await ask(session, "BalanceEx"))["ZUSD"] == {"balance": "7000.0000", "hold_trade": "50.2000"}
        await ask(session, "CancelAll")
        await placed(session, **MARKET)
        await placed(session, **{**MARKET, "oflags": "fcib"})
        await placed(session, **{**MARKET, "type": "sell", "oflags": "fcib"})
        fills = sim.fills()
        assert {one.fee_asset for one in fills} == {"USD", "BTC"}
        in_base = await ask(session, "TradesHistory")
        assert len(in_base["trades"]) == 3
        assert (await ask(session, "Balance"))["ZUSD"] == f"{sim.spot.of('USD').total.normalize():f}"
        coins = D("0.07") + D("0.001") - sum((one.fee for one in fills if one.fee_asset == "BTC"), D(0))
        assert sim.spot.of("BTC").total == coins


async def test_a_market_order_may_be_sized_in_the_quote(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        row = await query(session, await placed(session, **{**MARKET, "volume": "50", "oflags": "viqc"}))
        assert (row["vol"], row["status"]) == ("50.00000000", "closed")
        assert D(row["cost"]) == pytest.approx(D(50), abs=D("0.01"))
        assert D(row["vol_exec"]) < D("0.01")


@pytest.mark.parametrize(
    ("which", "states"),
    [(None, ("open", "canceled")), ("cancel-oldest", ("canceled", "closed")), ("cancel-both", None)],
)
async def test_an_account_does_not_trade_with_itself(served: Served, which: str | None, states: Any) -> None:
    sim = served.simulation.exchange("kraken")
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "transfer", "kraken", asset="USD", amount="1000000")
        ask_price = sim.top("XXBTZUSD")[1] - D("0.1")
        resting = await placed(session, **limit("0.01", f"{ask_price:f}", "sell", oflags="post"))
        stop = {} if which is None else {"stptype": which}
        taking = await placed(session, **limit("0.01", f"{ask_price * D('1.01'):.1f}", **stop))
        rows = [(await query(session, name))["status"] for name in (resting, taking)]
        assert tuple(rows) == (states or ("canceled", "canceled"))


# --- changing and ending


async def test_an_order_is_amended_and_keeps_its_ids(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        name = await placed(session, **limit(cl_ord_id="mine"))
        changed = await ask(session, "AmendOrder", cl_ord_id="mine", order_qty="0.002", limit_price="50001.0")
        assert changed["amend_id"].startswith("T")
        row = await query(session, name)
        assert (row["vol"], row["descr"]["price"], row["cl_ord_id"]) == ("0.00200000", "50001.0", "mine")
        crossing: dict[str, Any] = {"txid": name, "limit_price": "90000", "post_only": "true"}
        assert await error(session, "AmendOrder", **crossing) == "EOrder:Post only order"
        assert await error(session, "AmendOrder", txid=name, order_qty="0.2") == "EOrder:Insufficient funds"
        assert await error(session, "AmendOrder", txid=name, order_qty="0.00001") == "EOrder:Order minimum not met"
        assert (await query(session, name))["descr"]["price"] == "50001.0"
        assert (await query(session, name))["status"] == "open"
        assert await error(session, "AmendOrder", txid="OAAAAA-BBBBB-CCCCCC") == "EOrder:Unknown order"


async def test_an_order_that_is_edited_is_another_one(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        name = await placed(session, **limit())
        edited = await ask(session, "EditOrder", txid=name, pair="XBTUSD", price="50001.0")
        assert edited["originaltxid"] == name
        assert (await query(session, name))["status"] == "canceled"
        assert (await query(session, edited["txid"]))["descr"]["price"] == "50001.0"
        assert await error(session, "EditOrder", txid=name, pair="XBTUSD") == "EOrder:Unknown order"


async def test_batches(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        rows = [
            {"ordertype": "limit", "type": "buy", "volume": volume, "price": "50000.0"} for volume in ("0.001", "0.5")
        ]
        answered = (await answer_json(session, "AddOrderBatch", pair="XBTUSD", orders=rows))["result"]["orders"]
        assert answered[0]["descr"] == {"order": "buy 0.00100000 XBTUSD @ limit 50000.0"}
        assert answered[1] == {"error": "EOrder:Insufficient funds"}
        bad = [rows[0], {**rows[0], "type": "nope"}]
        refused = await answer_json(session, "AddOrderBatch", pair="XBTUSD", orders=bad)
        assert refused["error"] == ["EGeneral:Invalid arguments:type"]
        assert len((await ask(session, "OpenOrders"))["open"]) == 1
        names = [answered[0]["txid"], "OAAAAA-BBBBB-CCCCCC"]
        assert (await answer_json(session, "CancelOrderBatch", orders=names))["result"] == {"count": 1}


async def test_orders_end_at_their_time(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        name = await placed(session, **limit(timeinforce="GTD", expiretm="+1"))
        kept = await placed(session, **limit("0.0001"))
        await ends(session, name, "expired")
        await ask(session, "CancelAllOrdersAfter", timeout="60")
        off = await ask(session, "CancelAllOrdersAfter", timeout="0")
        assert off["triggerTime"] == "0"
        await ask(session, "CancelAllOrdersAfter", timeout="1")
        await ends(session, kept, "canceled")


async def test_faults_of_orders(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "reject", "kraken", count=1)
        assert await error(session, "AddOrder", **limit()) == "EOrder:Trading agreement required"
        await fault(session, "unknown_code", "kraken", count=1)
        assert await error(session, "AddOrder", **limit()) == "ERule:Came into force today"
        await fault(session, "halt", "kraken", symbol="XXBTZUSD")
        assert await error(session, "AddOrder", **limit()) == "EService:Market in cancel_only mode"
        await fault(session, "resume", "kraken", symbol="XXBTZUSD")
        await fault(session, "accept_then_timeout", "kraken", count=1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(answer(session, "AddOrder", **limit(cl_ord_id="lost")), 1)
        assert len((await ask(session, "OpenOrders", cl_ord_id="lost"))["open"]) == 1
        await fault(session, "unknown_status", "kraken", count=1)
        (row,) = (await ask(session, "OpenOrders"))["open"].values()
        assert row["status"] == "reviewed"
        await fault(session, "malformed_row", "kraken", count=1)
        (row,) = (await ask(session, "OpenOrders"))["open"].values()
        assert row["status"] is None
    for name, status in (("http_429", 429), ("http_5xx", 503)):
        async with aiohttp.ClientSession(served.url) as session:
            await fault(session, name, "kraken", count=1)
            async with session.get("/0/public/Time") as page:
                assert (page.status, page.content_type) == (status, "text/html")


# --- lists


async def test_lists_have_pages_of_fifty(served: Served) -> None:
    sim = served.simulation.exchange("kraken")
    now = served.simulation.now("kraken")
    for number in range(60):
        sim.place(Ask("XXBTZUSD", "buy" if number % 2 else "sell", D("0.0001")), now + number)
    async with aiohttp.ClientSession(served.url) as session:
        first = await ask(session, "ClosedOrders")
        second = await ask(session, "ClosedOrders", ofs="50")
        assert (len(first["closed"]), len(second["closed"]), first["count"]) == (50, 10, 60)
        assert first["closed"].keys().isdisjoint(second["closed"])
        times = [row["closetm"] for row in first["closed"].values()]
        assert times == sorted(times, reverse=True)
        trades = await ask(session, "TradesHistory", consolidate_taker="false")
        assert (len(trades["trades"]), trades["count"]) == (50, 60)
        await fault(session, "page_size", "kraken", value="3")
        assert len((await ask(session, "Ledgers"))["ledger"]) == 3


async def test_a_time_bounds_a_list(served: Served) -> None:
    sim, start = served.simulation.exchange("kraken"), int(time.time()) * 1_000_000
    for second in (1, 2, 3):
        sim.place(Ask("XXBTZUSD", "buy", D("0.0001")), start + second * 1_000_000)
    first = start // 1_000_000 + 1
    async with aiohttp.ClientSession(served.url) as session:
        names = list((await ask(session, "TradesHistory"))["trades"])
        after = await ask(session, "TradesHistory", start=first)
        assert list(after["trades"]) == names[:2], "the start is not among them"
        assert list((await ask(session, "TradesHistory", start=names[1]))["trades"]) == names[:1]
        assert list((await ask(session, "TradesHistory", end=first))["trades"]) == names[2:]
        assert (await ask(session, "QueryTrades", txid=names[0])).keys() == {names[0]}
        assert await error(session, "QueryTrades", txid="TAAAAA-BBBBB-CCCCCC") == "EOrder:Invalid order"
        assert await error(session, "ClosedOrders", start="x") == "EGeneral:Invalid arguments:start"


async def test_fills_of_a_taker_are_one_unless_asked_otherwise(served: Served) -> None:
    sim = served.simulation.exchange("kraken")
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "transfer", "kraken", asset="USD", amount="1000000")
        name = await placed(session, **{**MARKET, "volume": "1"})
        fills = sim.fills()
        assert len(fills) > 1
        (whole,) = (await ask(session, "TradesHistory"))["trades"].values()
        parts = (await ask(session, "TradesHistory", consolidate_taker="False"))["trades"]
        assert len(parts) == len(fills)
        for field in ("vol", "cost", "fee"):
            assert D(whole[field]) == sum((D(row[field]) for row in parts.values()), D(0))
        assert {row["ordertxid"] for row in parts.values()} == {name}
        assert {row["pair"] for row in parts.values()} == {"XXBTZUSD"}


async def test_the_ledger_explains_every_balance(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await placed(session, **MARKET)
        await placed(session, **{**MARKET, "type": "sell", "oflags": "fcib"})
        await fault(session, "transfer", "kraken", asset="USDC", amount="25")
        ledger = await ask(session, "Ledgers")
        assert ledger["count"] == len(ledger["ledger"])
        held = dict.fromkeys(("XXBT", "ZUSD", "USDC"), D(0)) | {"XXBT": D("0.07"), "ZUSD": D(7000), "USDC": D(2500)}
        for row in reversed(ledger["ledger"].values()):
            held[row["asset"]] += D(row["amount"]) - D(row["fee"])
            assert held[row["asset"]] == D(row["balance"])
        balances = await ask(session, "Balance")
        assert {asset: D(balances[asset]) for asset in held} == held
        (deposit,) = (await ask(session, "Ledgers", asset="USDC", type="deposit"))["ledger"].values()
        assert deposit["amount"] == "25.00000000"
        names = list(ledger["ledger"])[:2]
        assert (await ask(session, "QueryLedgers", id=",".join(names))).keys() == set(names)
        assert await error(session, "QueryLedgers", id="x") == "EGeneral:Invalid arguments:id"


async def test_the_account_says_what_it_pays(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        fees = await ask(session, "TradeVolume", pair="XBTUSD,USDTUSD")
        assert {key: row["fee"] for key, row in fees["fees"].items()} == {"XXBTZUSD": "0.4000", "USDTZUSD": "0.2000"}
        assert {key: row["fee"] for key, row in fees["fees_maker"].items()} == {"XXBTZUSD": "0.2500"}
        await fault(session, "fees", "kraken", maker="-0.0001", taker="0.0007")
        fees = await ask(session, "TradeVolume", pair="BTC/USD")
        assert (fees["fees"]["BTC/USD"]["fee"], fees["fees_maker"]["BTC/USD"]["fee"]) == ("0.0700", "-0.0100")
        assert (await ask(session, "TradeBalance", asset="ZEUR"))["eb"] != "0.0000"
