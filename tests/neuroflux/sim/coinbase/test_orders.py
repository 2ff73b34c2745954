"""Orders, refusals, lists and balances as Coinbase answers them."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from neuroflux.sim.coinbase.refusals import reason_of
from neuroflux.sim.core.orders import Ask, Reason, Rejected
from neuroflux.sim.server import Served
from tests.neuroflux.sim.client import fault
from tests.neuroflux.sim.coinbase.client import API, answer, ask, limit, order, token

D = Decimal
HOLDS = {"limit_limit_gtc": limit("0.001", "50000")}


async def placed(session: aiohttp.ClientSession, client_order_id: str, **more: Any) -> str:
    """The exchange's id of an order that was accepted."""
    body = await ask(session, "POST", "orders", order(client_order_id, **more))
    assert body["success"] is True
    return str(body["success_response"]["order_id"])


async def query(session: aiohttp.ClientSession, order_id: str) -> Any:
    return (await ask(session, "GET", f"orders/historical/{order_id}"))["order"]


async def test_a_repeated_client_order_id_answers_with_the_first_order(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        first = await placed(session, "mine", **HOLDS)
        other: dict[str, Any] = {"side": "SELL", "product_id": "ETH-USD", "market_market_ioc": {"base_size": "0.1"}}
        again = await ask(session, "POST", "orders", order("mine", **other))
        assert (again["success"], again["success_response"]["order_id"]) == (True, first)
        assert (again["success_response"]["side"], again["success_response"]["product_id"]) == ("BUY", "BTC-USD")
        await ask(session, "POST", "orders/batch_cancel", {"order_ids": [first]})
        assert await placed(session, "mine", **HOLDS) == first
        assert len((await ask(session, "GET", "orders/historical/batch"))["orders"]) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (order("x", limit_limit_gtc=limit("0.001", "50000.001")), "PREVIEW_INVALID_PRICE_PRECISION"),
        (order("x", limit_limit_gtc=limit("0.000000015", "50000")), "PREVIEW_INVALID_SIZE_PRECISION"),
        (order("x", limit_limit_gtc=limit("0.000000001", "50000")), "PREVIEW_INVALID_BASE_SIZE_TOO_SMALL"),
        (order("x", limit_limit_gtc=limit("100001", "50000")), "PREVIEW_INVALID_BASE_SIZE_TOO_LARGE"),
        (order("x", limit_limit_gtc=limit("0.00001", "50000")), "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
        (order("x", market_market_ioc={"quote_size": "0.99"}), "PREVIEW_INVALID_QUOTE_SIZE_TOO_SMALL"),
        (order("x", market_market_ioc={"quote_size": "10.001"}), "PREVIEW_INVALID_QUOTE_SIZE_PRECISION"),
        (order("x", market_market_ioc={}), "PREVIEW_INVALID_ORDER_CONFIG"),
        (order("x", "SELL", market_market_ioc={"quote_size": "10"}), "PREVIEW_INVALID_ORDER_CONFIG"),
        (order("x", limit_limit_gtc=limit("0.2", "50000")), "PREVIEW_INSUFFICIENT_FUND"),
        (order("x", "SELL", limit_limit_gtc=limit("0.2", "90000")), "PREVIEW_INSUFFICIENT_FUND"),
        (order("x", limit_limit_gtc=limit("0.001", "90000", post_only=True)), "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"),
        (order("x", limit_limit_gtc=limit("0.001", "-5")), "PREVIEW_INVALID_LIMIT_PRICE"),
        (
            order("x", limit_limit_gtd={**limit("0.001", "50000"), "end_time": "2020-01-01T00:00:00Z"}),
            "PREVIEW_INVALID_END_TIME",
        ),
    ],
)
async def test_why_an_order_is_refused(served: Served, body: Any, reason: str) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        status, refused = await answer(session, "POST", "orders", body)
        assert (status, refused["success"]) == (200, False)
        assert refused["error_response"]["preview_failure_reason"] == reason
        assert refused["order_configuration"] == body["order_configuration"]
        assert not served.simulation.exchange("coinbase").orders
        preview = await ask(session, "POST", "orders/preview", {**body, "client_order_id": ""})
        assert "errs" in preview


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"client_order_id": ""},
        order("", **HOLDS),
        order("x", "HOLD", **HOLDS),
        order("x", product_id="NOPE-USD", **HOLDS),
        order("x"),
        order("x", nope={}),
        order("x", limit_limit_gtc=[]),
        order("x", limit_limit_gtc={}),
        order("x", limit_limit_gtc={"base_size": "0.1"}),
        order("x", limit_limit_gtc={"base_size": 0.1, "limit_price": "1"}),
        order("x", limit_limit_gtc=limit("1e", "1")),
        order("x", limit_limit_gtc=limit("NaN", "1")),
        order("x", limit_limit_gtc=limit("1e999999999", "1")),
        order("x", limit_limit_gtc=limit("1" * 16, "1")),
        order("x", limit_limit_gtc=limit("1e3", "1")),
        order("x", limit_limit_gtd=limit("0.001", "50000")),
        order("x", limit_limit_gtd={**limit("0.001", "50000"), "end_time": "never"}),
        order("x", limit_limit_gtc=limit("1", "1"), sor_limit_ioc=limit("1", "1")),
    ],
)
async def test_what_is_malformed_is_refused(served: Served, body: Any) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        status, refused = await answer(session, "POST", "orders", body)
        assert (status, refused["error"]) == (400, "INVALID_ARGUMENT")
        for path in ("orders/edit", "orders/batch_cancel", "orders/preview", "orders/edit_preview"):
            status, _ = await answer(session, "POST", path, body)
            assert status < 500


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("orders/historical/batch", {"limit": "x"}),
        ("orders/historical/batch", {"cursor": "x"}),
        ("orders/historical/batch", {"start_date": "x"}),
        ("orders/historical/batch", {"order_status": ["OPEN", "FILLED"]}),
        ("orders/historical/fills", {"start_sequence_timestamp": "x"}),
        ("accounts", {"limit": "-1"}),
        ("accounts", {"cursor": "x"}),
        ("product_book", {}),
        ("product_book", {"product_id": "NOPE-USD"}),
        ("best_bid_ask", {"product_ids": "NOPE-USD"}),
        ("products/BTC-USD/candles", {}),
    ],
)
async def test_a_question_that_is_malformed_is_refused(served: Served, path: str, query: Any) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        status, refused = await answer(session, "GET", path, **query)
        assert (status, refused["error"]) == (400, "INVALID_ARGUMENT")


def test_every_reason_has_a_refusal() -> None:
    causes = [reason_of(Rejected(reason)) for reason in Reason]
    assert all(cause.error != "UNKNOWN_FAILURE_REASON" or "UNKNOWN" not in cause.preview for cause in causes)


async def test_other_configurations_are_not_supported(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        for kind in ("market_market_fok", "stop_limit_stop_limit_gtc"):
            body: Any = {**order("x"), "order_configuration": {kind: {}}}
            refused = await ask(session, "POST", "orders", body)
            assert refused["error_response"]["error"] == "UNSUPPORTED_ORDER_CONFIGURATION"


async def test_the_money_of_an_alias_is_that_of_its_id(served: Served) -> None:
    sim = served.simulation.exchange("coinbase")
    start = {asset: balance.total for asset, balance in sim.spot.balances.items()}
    async with aiohttp.ClientSession(served.url) as session:
        bought = await placed(session, "a", product_id="BTC-USDC", market_market_ioc={"base_size": "0.01"})
        found = await query(session, bought)
        assert (found["product_id"], found["filled_size"], found["status"]) == ("BTC-USDC", "0.01", "FILLED")
        assert start["USDC"] - sim.spot.of("USDC").total == D(found["total_value_after_fees"])
        assert sim.spot.of("USD").total == start["USD"]
        assert D(found["total_fees"]) == pytest.approx(D(found["filled_value"]) * D("0.012"), abs=D("1e-8"))
        resting = await placed(session, "b", product_id="BTC-USDC", **HOLDS)
        book = await ask(session, "GET", "product_book", product_id="BTC-USD")
        assert {"price": "50000.00", "size": "0.00100000"} in book["pricebook"]["bids"]
        assert (await query(session, resting))["outstanding_hold_amount"] == "50.6"
        await fault(session, "partial_fill", "coinbase", count=1)
        high = {"limit_limit_gtc": limit("0.01", str(sim.top("BTC-USD")[1]))}
        partial = await query(session, await placed(session, "c", product_id="BTC-USDC", **high))
        assert (partial["status"], partial["filled_size"]) == ("OPEN", "0.005")
        await fault(session, "halt", "coinbase", symbol="BTC-USD")
        refused = await ask(session, "POST", "orders", order("d", product_id="BTC-USDC", **HOLDS))
        assert refused["error_response"]["preview_failure_reason"] == "PREVIEW_TRADING_DISABLED"
        assert (await ask(session, "GET", "products/BTC-USDC"))["trading_disabled"] is True


async def test_a_buy_by_value_includes_its_fee(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        bought = await placed(session, "a", market_market_ioc={"quote_size": "500"})
        found = await query(session, bought)
        assert (found["size_in_quote"], found["size_inclusive_of_fees"]) == (True, True)
        assert D(found["total_value_after_fees"]) == pytest.approx(D(500), abs=D("0.01"))
        assert D(found["total_value_after_fees"]) <= 500
        fills = (await ask(session, "GET", "orders/historical/fills", order_ids=bought))["fills"]
        assert sum(D(one["size"]) for one in fills) == D(found["filled_value"])
        assert {one["size_in_quote"] for one in fills} == {True}


async def test_an_order_ends_at_its_time(served: Served) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=0.6)).isoformat()
    async with aiohttp.ClientSession(served.url) as session:
        ends = await placed(session, "a", limit_limit_gtd={**limit("0.001", "50000"), "end_time": soon})
        assert (await query(session, ends))["time_in_force"] == "GOOD_UNTIL_DATE_TIME"
        await asyncio.sleep(1)
        assert (await query(session, ends))["status"] == "EXPIRED"
        for status, number in (("EXPIRED", 1), ("CANCELLED", 0), ("OPEN", 0)):
            listed = await ask(session, "GET", "orders/historical/batch", order_status=status)
            assert len(listed["orders"]) == number


async def test_lists_have_pages_newest_first(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        ids = [await placed(session, f"{number}", **HOLDS) for number in range(5)]
        await ask(session, "POST", "orders/batch_cancel", {"order_ids": [ids[2], "nope"]})
        await fault(session, "page_size", "coinbase", value="2")
        found: list[str] = []
        page: Any = {"cursor": "", "has_next": True}
        while page["has_next"]:
            page = await ask(session, "GET", "orders/historical/batch", cursor=page["cursor"], product_ids="BTC-USD")
            found += [row["order_id"] for row in page["orders"]]
        assert found == ids[::-1]
        await session.delete("/sim/faults")
        listed = await ask(session, "GET", "orders/historical/batch", order_status="OPEN", product_id="BTC-USD")
        assert [row["order_id"] for row in listed["orders"]] == [ids[4], ids[3], ids[1], ids[0]]
        assert (await ask(session, "GET", "orders/historical/batch", order_ids=[ids[1]]))["orders"][0][
            "client_order_id"
        ] == "1"
        assert (await ask(session, "GET", "orders/historical/batch", product_ids="ETH-USD"))["orders"] == []
        since = {"start_date": "2100-01-01T00:00:00.123456789Z"}
        assert (await ask(session, "GET", "orders/historical/batch", **since))["orders"] == []


async def test_a_cancellation_is_answered_by_order(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        rests = await placed(session, "a", **HOLDS)
        body = {"order_ids": [rests, rests, "a", 7]}
        rows = (await ask(session, "POST", "orders/batch_cancel", body))["results"]
        assert [row["success"] for row in rows] == [True, False, False, False]
        assert [row["failure_reason"] for row in rows][:2] == ["UNKNOWN_CANCEL_FAILURE_REASON", "UNKNOWN_CANCEL_ORDER"]
        status, _ = await answer(session, "POST", "orders/batch_cancel", {"order_ids": []})
        assert status == 400


async def test_an_edit_is_refused(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        rests = await placed(session, "a", **HOLDS)
        for size, price, reason in (
            ("0.001", "50000.001", "PREVIEW_INVALID_PRICE_PRECISION"),
            ("9", "50000", "PREVIEW_INSUFFICIENT_FUND"),
        ):
            body = {"order_id": rests, "size": size, "price": price}
            refused = await ask(session, "POST", "orders/edit", body)
            assert refused["errors"][0]["preview_failure_reason"] == reason
        gone = await ask(session, "POST", "orders/edit", {"order_id": "nope", "size": "1", "price": "1"})
        assert gone["errors"][0]["edit_failure_reason"] == "ORDER_NOT_FOUND"
        assert (await query(session, rests))["status"] == "OPEN"


async def test_an_unknown_status_and_an_unknown_code(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        rests = await placed(session, "a", **HOLDS)
        await fault(session, "unknown_status", "coinbase", count=1, value="ODD")
        assert [(await query(session, rests))["status"] for _ in range(2)] == ["ODD", "OPEN"]
        await fault(session, "unknown_code", "coinbase", count=1)
        refused = await ask(session, "POST", "orders", order("b", **HOLDS))
        assert refused["error_response"]["error"] == "RULE_OF_TODAY_VIOLATED"
        await fault(session, "reject", "coinbase", count=1)
        refused = await ask(session, "POST", "orders", order("b", **HOLDS))
        assert refused["error_response"]["new_order_failure_reason"] == "ORDER_ENTRY_DISABLED"
        await placed(session, "b", **HOLDS)


async def test_an_order_is_accepted_without_an_answer(served: Served) -> None:
    async with aiohttp.ClientSession(served.url, timeout=aiohttp.ClientTimeout(0.5)) as session:
        await fault(session, "accept_then_timeout", "coinbase", count=1)
        refused = await ask(session, "POST", "orders", order("b", limit_limit_gtc=limit("9", "50000")))
        assert refused["success"] is False
        with pytest.raises(TimeoutError):
            await placed(session, "lost", **HOLDS)
        (found,) = (await ask(session, "GET", "orders/historical/batch"))["orders"]
        assert found["client_order_id"] == "lost"
        async with session.get("/sim/orders") as truth:
            assert json.loads(await truth.text())[0]["exchange_order_id"] == found["order_id"]


async def test_the_limits_of_requests(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        seen = []
        for _ in range(11):
            async with session.get(f"/coinbase{API}/market/products/BTC-USD") as response:
                seen.append((response.status, response.headers.get("x-ratelimit-remaining")))
        assert seen == [*((200, str(left)) for left in reversed(range(10))), (429, None)]
        statuses = [(await answer(session, "GET", "key_permissions"))[0] for _ in range(40)]
        assert statuses[:25] == [200] * 25
        await asyncio.sleep(1)
        status, body = await answer(session, "GET", "key_permissions")
        assert (status, body["can_trade"], body["can_transfer"]) == (200, True, False)


async def test_what_a_key_may_do(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "withdrawals", "coinbase")
        await fault(session, "account_mode", "coinbase", value="view_only")
        rights = await ask(session, "GET", "key_permissions")
        assert (rights["can_view"], rights["can_trade"], rights["can_transfer"]) == (True, False, True)
        status, body = await answer(session, "POST", "orders", order("a", **HOLDS))
        assert (status, body["error"], body["error_details"]) == (403, "PERMISSION_DENIED", "Missing required scopes")
        await fault(session, "fees", "coinbase", maker="0.001", taker="0.002")
        tier = (await ask(session, "GET", "transaction_summary"))["fee_tier"]
        assert (tier["maker_fee_rate"], tier["taker_fee_rate"]) == ("0.001", "0.002")


async def test_accounts_have_pages_and_unknown_coins(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "unknown_asset", "coinbase", asset="ODD", amount="3")
        first = await ask(session, "GET", "accounts", limit="5")
        second = await ask(session, "GET", "accounts", limit="5", cursor=first["cursor"])
        names = [row["currency"] for page in (first, second) for row in page["accounts"]]
        assert names == ["BTC", "ETH", "EUR", "ODD", "SOL", "USD", "USDC", "USDT"]
        assert (first["has_next"], second["has_next"], second["cursor"]) == (True, False, "")
        await fault(session, "malformed_row", "coinbase", count=1, value="accounts", symbol="BTC")
        rows = (await ask(session, "GET", "accounts"))["accounts"]
        assert [row["currency"] for row in rows if row["available_balance"] is None] == ["BTC"]


async def test_the_transactions_of_a_currency_are_its_balance(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "transfer", "coinbase", asset="USD", amount="250")
        await fault(session, "transfer", "coinbase", asset="BTC", amount="-0.01")
        sim = served.simulation.exchange("coinbase")
        sim.place(Ask("BTC-USD", "buy", D("0.02")), served.simulation.now("coinbase"))
        sim.place(Ask("BTC-USD", "sell", D("0.01")), served.simulation.now("coinbase"))
        for name, start in (("USD", 7000), ("BTC", D("0.07"))):
            path = f"/v2/accounts/{name}/transactions"
            headers = {"Authorization": f"Bearer {token(f'GET api.coinbase.com{path}')}"}
            async with session.get(f"/coinbase{path}?limit=100", headers=headers) as response:
                rows = json.loads(await response.text())["data"]
            moved = sum(D(row["amount"]["amount"]) for row in rows)
            assert start + moved == sim.spot.of(name).total
            assert {row["type"] for row in rows} > {"advanced_trade_fill"}


async def test_a_new_product_is_listed(served: Served) -> None:
    async with aiohttp.ClientSession(served.url) as session:
        await fault(session, "list", "coinbase", symbol="NEW-USD")
        row = await ask(session, "GET", "products/NEW-USD")
        assert (row["base_currency_id"], row["quote_currency_id"], row["alias_to"]) == ("NEW", "USD", [])
        bought = await placed(session, "a", product_id="NEW-USD", market_market_ioc={"base_size": "1"})
        assert (await query(session, bought))["status"] == "FILLED"
        await fault(session, "empty_side", "coinbase", symbol="NEW-USD", value="sell")
        await asyncio.sleep(0.3)
        refused = await ask(
            session, "POST", "orders", order("b", product_id="NEW-USD", market_market_ioc={"base_size": "1"})
        )
        assert refused["error_response"]["preview_failure_reason"] == "PREVIEW_INVALID_NO_LIQUIDITY"
        assert (await ask(session, "GET", "product_book", product_id="NEW-USD"))["pricebook"]["asks"] == []


async def test_candles(served: Served) -> None:
    query = {"start": "0", "end": "9999999999", "granularity": "ONE_MINUTE"}
    async with aiohttp.ClientSession(served.url) as session:
        served.simulation.exchange("coinbase").place(Ask("BTC-USD", "buy", D("0.01")), 0)
        await asyncio.sleep(0.2)
        rows = (await ask(session, "GET", "products/BTC-USDC/candles", **query))["candles"]
        assert float(rows[0]["low"]) <= float(rows[0]["close"]) <= float(rows[0]["high"])
