"""Coinbase's orders: what is sent, how an order is found again, and what proves that it is not there."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest
from msgspec.structs import replace

from neuroflux.domain import (
    Ack,
    Fill,
    InDoubt,
    Instrument,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Outcome,
    Placement,
    Side,
    TimeInForce,
)
from neuroflux.errors import MalformedFrame, RateLimited, Refused, UsageError
from neuroflux.exchanges.coinbase.exchange import Coinbase
from neuroflux.exchanges.coinbase.order_client import ORDER_LIFE, REMEMBERED, CoinbaseOrderClient
from neuroflux.exchanges.coinbase.placing import listed_from
from neuroflux.exchanges.coinbase.rest import signed_at
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Answer, Keys, Request
from tests.neuroflux.exchanges.coinbase.test_signing import parts
from tests.neuroflux.exchanges.kit.examples.coinbase import (
    FILL,
    KEY,
    ORDER,
    PERMISSIONS,
    PLACED,
    PRODUCT,
    SEED,
)
from tests.neuroflux.exchanges.kit.examples.example import encoded

NOW = 1_760_000_000_000_000
MADE = NOW // 1000 - 5_000
ORDER_ID = f"{MADE:012x}"[:8] + "-" + f"{MADE:012x}"[8:] + "-7abc-8def-0123456789ab"
API = "/api/v3/brokerage"


def listed() -> Instrument:
    answer = Answer(Request("GET", "/x"), 200, json.dumps({"products": [PRODUCT]}).encode())
    (one,) = Coinbase().listing([answer]).instruments
    return one


SOL = listed()


def client_of() -> CoinbaseOrderClient:
    return Coinbase().order_client(Keys(KEY, SEED), [SOL])


CLIENT_ID = client_of().client_order_id(ORDER_ID, 1, 2)
LIMIT = Placement(SOL, CLIENT_ID, Side.BUY, OrderType.LIMIT, Decimal("4.00"), Decimal("150.50"), TimeInForce.GTC)


def answer(request: Request, body: Any, status: int = 200) -> Answer:
    return Answer(request, status, encoded(body))


def ours(**more: Any) -> Any:
    return ORDER | {"client_order_id": CLIENT_ID} | more


def placed(**more: Any) -> Any:
    return PLACED | {"success_response": PLACED["success_response"] | {"client_order_id": CLIENT_ID} | more}  # type: ignore[operator]


def query_of(request: Request) -> dict[str, str]:
    return dict(parse_qsl(request.path.partition("?")[2]))


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_is_signed_for_a_short_time() -> None:
    request = client_of().place(LIMIT, NOW)
    claims = parts(request.headers["Authorization"].removeprefix("Bearer "))[1]
    assert (request.method, request.path, request.bucket) == ("POST", f"{API}/orders", ORDER_BUCKET)
    assert claims["uri"] == "POST api.coinbase.com/api/v3/brokerage/orders"
    assert claims["exp"] - claims["nbf"] == ORDER_LIFE
    assert client_of().settled_after > ORDER_LIFE * 1_000_000
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "client_order_id": CLIENT_ID,
        "product_id": "SOL-USD",
        "side": "BUY",
        "order_configuration": {"limit_limit_gtc": {"base_size": "4", "limit_price": "150.5", "post_only": False}},
    }


TERMS = {"base_size": "4", "limit_price": "150.5"}


@pytest.mark.parametrize(
    ("more", "configuration"),
    [
        ({"time_in_force": TimeInForce.POST_ONLY}, {"limit_limit_gtc": TERMS | {"post_only": True}}),
        ({"time_in_force": TimeInForce.IOC}, {"sor_limit_ioc": TERMS}),
        ({"time_in_force": TimeInForce.FOK}, {"limit_limit_fok": TERMS}),
        ({"type": OrderType.MARKET}, {"sor_limit_ioc": TERMS}),
        (
            {"type": OrderType.MARKET, "price": Decimal(0), "side": Side.SELL},
            {"market_market_ioc": {"base_size": "4"}},
        ),
    ],
)
def test_each_kind_of_order(more: dict[str, Any], configuration: Any) -> None:
    request = client_of().place(replace(LIMIT, **more), NOW)
    assert json.loads(request.body)["order_configuration"] == configuration


def test_a_market_order_to_buy_needs_a_bound() -> None:
    with pytest.raises(Refused, match="price"):
        client_of().place(replace(LIMIT, type=OrderType.MARKET, price=Decimal(0)), NOW)


def test_there_is_no_leverage_and_no_order_without_a_key() -> None:
    with pytest.raises(Refused):
        client_of().leverage(SOL, 2, NOW)
    with pytest.raises(UsageError):
        Coinbase().order_client(Keys(KEY, "no key"), [SOL]).place(LIMIT, NOW)


# ── client ids ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_client_id_says_since_when_there_may_be_an_order() -> None:
    assert len(CLIENT_ID) == 36
    assert listed_from(CLIENT_ID, NOW) == MADE * 1000 - 600_000_000
    for other in ("an-order", "018f-test", "9b2d7e1c-5a3f-4c8e-9d6b-1f2e3a4b5c6d"):
        assert listed_from(client_of().client_order_id(other, 0, 0), NOW) == 0
    for foreign in ("", "x", "nf1", "ccxt-9b2d", CLIENT_ID + "0"):
        assert listed_from(foreign, NOW) == 0


def test_a_time_in_the_future_is_none() -> None:
    assert listed_from(CLIENT_ID, MADE * 1000 - 599_000_000) > 0
    assert listed_from(CLIENT_ID, MADE * 1000 - 601_000_000) == 0


# ── placing ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_that_was_taken_is_open_and_nothing_is_known_of_its_fills() -> None:
    client = client_of()
    request = client.place(LIMIT, NOW)
    assert client.outcome(answer(request, placed())) == Ack(
        OrderReport(
            exchange="coinbase",
            symbol="SOL/USD",
            client_order_id=CLIENT_ID,
            exchange_order_id="9c5b94b1",
            side=Side.BUY,
            type=OrderType.LIMIT,
            price=Decimal("150.5"),
            quantity=Decimal(4),
            filled_quantity=Decimal(0),
            average_price=Decimal(0),
            state=OrderState.ACKNOWLEDGED,
            reason="",
            event_time=NOW,
        )
    )


@pytest.mark.parametrize("other", [{"product_id": "BTC-USD"}, {"side": "SELL"}, {"client_order_id": "another"}])
def test_an_answer_about_another_order_is_no_acknowledgement(other: dict[str, str]) -> None:
    """A client id that was used before is answered with the first order, whatever was sent now."""
    client = client_of()
    outcome = client.outcome(answer(client.place(LIMIT, NOW), placed(**other)))
    assert isinstance(outcome, InDoubt)
    assert "another order" in outcome.reason


def test_the_terms_are_those_sent_where_the_answer_has_none() -> None:
    client = client_of()
    body = {key: value for key, value in placed(client_order_id="").items() if key != "order_configuration"}
    outcome = client.outcome(answer(client.place(LIMIT, NOW), body))
    assert isinstance(outcome, Ack)
    assert (outcome.report.quantity, outcome.report.client_order_id) == (Decimal(4), CLIENT_ID)


# ── finding ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_is_looked_for_in_the_orders_of_its_product_since_it_was_made() -> None:
    request = client_of().query(SOL, CLIENT_ID, NOW)
    assert request.path.startswith(f"{API}/orders/historical/batch?")
    assert query_of(request) == {"product_ids": "SOL-USD", "start_date": "2025-10-09T08:43:15.000000Z", "limit": "100"}
    assert "start_date" not in query_of(client_of().query(SOL, "another", NOW))


def test_an_order_that_was_signed_here_is_looked_for_since_then() -> None:
    client = client_of()
    client.place(LIMIT, NOW)
    assert query_of(client.query(SOL, CLIENT_ID, NOW + 1))["start_date"] == "2025-10-09T08:43:20.000000Z"
    assert client.finds_by_number


def found(body: Any, action: str = "query") -> Outcome:
    client = client_of()
    ask = client.query if action == "query" else client.cancel
    return client.outcome(answer(ask(SOL, CLIENT_ID, NOW), body))


def test_an_order_is_found_by_its_client_id() -> None:
    outcome = found({"orders": [ORDER, ours(status="FILLED", filled_size="4")], "has_next": True, "cursor": "1"})
    assert isinstance(outcome, Ack)
    assert (outcome.report.client_order_id, outcome.report.state) == (CLIENT_ID, OrderState.FILLED)
    assert outcome.report.filled_quantity == 4


@pytest.mark.parametrize("rows", [[], [ORDER]])
def test_an_order_is_absent_where_a_complete_list_leaves_it_out(rows: list[Any]) -> None:
    assert isinstance(found({"orders": rows, "has_next": False, "cursor": ""}), NotThere)
    assert isinstance(found({"orders": rows, "has_next": False, "cursor": ""}, "cancel"), NotThere)


@pytest.mark.parametrize(
    "body",
    [
        {"orders": [ORDER], "has_next": True, "cursor": "1"},
        {"orders": [ORDER, {"order_id": 7}], "has_next": False},
        {"orders": [ours(filled_size="nan")], "has_next": False},
        {"orders": "none"},
        {"order": None},
        {},
        [],
    ],
)
def test_any_other_list_proves_nothing(body: Any) -> None:
    assert isinstance(found(body), InDoubt)
    assert isinstance(found(body, "cancel"), InDoubt)


def test_the_exchanges_id_is_remembered_from_whatever_told_it() -> None:
    for body in (placed(), {"order": ours()}, {"orders": [ours()], "has_next": False}):
        client = client_of()
        tag = "place" if "success" in body else f"query {CLIENT_ID} SOL-USD"
        client.outcome(Answer(Request("GET", "/x", tag=tag), 200, encoded(body)))
        assert client.query(SOL, CLIENT_ID, NOW).path == f"{API}/orders/historical/9c5b94b1"
    client = client_of()
    client.reports(answer(client.open_orders(NOW), {"orders": [ours()], "has_next": False}))
    assert client.query(SOL, CLIENT_ID, NOW).path == f"{API}/orders/historical/9c5b94b1"
    assert client.query(SOL, "x", NOW, "a/b").path == f"{API}/orders/historical/a%2Fb"


def test_the_memory_is_bounded() -> None:
    client = client_of()
    for number in range(REMEMBERED + 2):
        rows = [ours(client_order_id=f"id{number}", order_id=f"o{number}")]
        client.reports(answer(client.open_orders(NOW) if not number else Request("GET", "/x"), {"orders": rows}))
    assert "batch" in client.query(SOL, "id1", NOW).path
    assert client.query(SOL, "id2", NOW).path.endswith("/o2")


# ── cancelling ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_cancel_names_the_exchanges_id() -> None:
    request = client_of().cancel(SOL, CLIENT_ID, NOW, "9c5b94b1")
    assert (request.method, request.path) == ("POST", f"{API}/orders/batch_cancel")
    assert json.loads(request.body) == {"order_ids": ["9c5b94b1"]}
    done = {"results": [{"success": True, "failure_reason": "UNKNOWN_CANCEL_FAILURE_REASON", "order_id": "9c5b94b1"}]}
    outcome = client_of().outcome(answer(request, done))
    assert isinstance(outcome, Ack)
    assert (outcome.report.symbol, outcome.report.client_order_id) == ("SOL/USD", CLIENT_ID)
    assert not outcome.report.state.final
    for results in ([], done["results"] * 2):
        assert isinstance(client_of().outcome(answer(request, {"results": results})), InDoubt)


def test_a_cancel_without_the_exchanges_id_finds_it_first() -> None:
    client = client_of()
    request = client.cancel(SOL, CLIENT_ID, NOW)
    assert request.method == "GET"
    outcome = client.outcome(answer(request, {"orders": [ours()], "has_next": False}))
    assert isinstance(outcome, InDoubt)
    assert json.loads(client.cancel(SOL, CLIENT_ID, NOW).body) == {"order_ids": ["9c5b94b1"]}


def test_an_order_that_has_ended_is_not_there_to_cancel() -> None:
    assert isinstance(found({"orders": [ours(status="CANCELLED")], "has_next": False}, "cancel"), NotThere)


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_open_orders_and_fills_are_read_page_by_page() -> None:
    client = client_of()
    orders, fills = client.open_orders(NOW), client.fills_since(SOL, NOW - 1_000_000, NOW)
    assert query_of(orders) == {"order_status": "OPEN", "limit": "100"}
    assert query_of(fills) == {
        "product_ids": "SOL-USD",
        "start_sequence_timestamp": "2025-10-09T08:53:19.000000Z",
        "limit": "100",
    }
    report, page = client.reports(answer(orders, {"orders": [ORDER], "has_next": True, "cursor": "c"}))
    assert isinstance(report, OrderReport)
    assert isinstance(page, PageNeeded)
    assert query_of(page.request) == {**query_of(orders), "cursor": "c"}
    assert signed_at(page.request) == NOW
    (fill,) = client.reports(answer(fills, {"fills": [FILL], "cursor": ""}))
    assert isinstance(fill, Fill)
    assert (fill.symbol, fill.exchange_order_id, fill.fee_asset) == ("SOL/USD", "9c5b94b1", "USD")


def test_what_is_no_list_raises() -> None:
    client = client_of()
    with pytest.raises(MalformedFrame):
        client.reports(answer(client.open_orders(NOW), {"order": ORDER}))
    with pytest.raises(RateLimited) as raised:
        client.reports(Answer(client.open_orders(NOW), 429, b"", {"x-ratelimit-reset": "7"}))
    assert raised.value.retry_after == 7.0


# ── the probe ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_probe_says_whether_the_key_may_trade() -> None:
    client = client_of()
    request = client.probe(NOW)
    assert (request.method, request.path) == ("GET", f"{API}/key_permissions")
    assert client.refusal(answer(request, PERMISSIONS)) == ""
    assert "Trade" in client.refusal(answer(request, PERMISSIONS | {"can_trade": False}))
    assert "401" in client.refusal(Answer(request, 401, b"Unauthorized"))
    assert client.refusal(answer(request, {}))
