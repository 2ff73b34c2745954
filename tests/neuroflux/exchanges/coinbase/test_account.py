"""Coinbase's account: orders that are pushed, and what is requested because of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import pytest

from neuroflux.domain import (
    Balance,
    ExchangeStatus,
    Fill,
    Liquidity,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    StatusKind,
)
from neuroflux.exchanges.coinbase.account import CoinbaseAccountFeed
from neuroflux.exchanges.coinbase.exchange import Coinbase
from neuroflux.exchanges.coinbase.rest import signed_at
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Ignored, PageNeeded
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, Answer, Keys, Request
from tests.neuroflux.exchanges.kit.examples.coinbase import (
    FILL,
    HOLDING,
    KEY,
    ORDER,
    PERMISSIONS,
    PRODUCT,
    PUSHED,
    SEED,
    TERMS,
    frame,
)
from tests.neuroflux.exchanges.kit.examples.example import encoded

NOW = 1_760_000_000_000_000
TIME = 1_760_000_000_123_457
API = "/api/v3/brokerage"


def feed_of(secret: str = SEED) -> CoinbaseAccountFeed:
    exchange = Coinbase()
    listed = exchange.listing([Answer(Request("GET", "/x"), 200, json.dumps({"products": [PRODUCT]}).encode())])
    return exchange.account_feed(Keys(KEY, secret), listed.instruments)


def pushed(feed: CoinbaseAccountFeed, kind: str, *orders: Any, number: int = 0) -> Sequence[FeedEvent]:
    return feed.frame(encoded(frame("user", number, {"type": kind, "orders": orders})), NOW)


def answered(feed: CoinbaseAccountFeed, body: Any, path: str = f"{API}/x", tag: str = "x") -> Sequence[FeedEvent]:
    return feed.answer(Answer(Request("GET", path, tag=tag), 200, encoded(body)), NOW)


def of(kind: type, events: Sequence[FeedEvent]) -> list[Any]:
    return [one for one in events if isinstance(one, kind)]


def query_of(request: Request) -> list[tuple[str, str]]:
    return parse_qsl(request.path.partition("?")[2])


# ── the socket ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_socket_is_opened_with_a_new_token() -> None:
    feed = feed_of()
    ((one,), (again,)) = feed.subscriptions(NOW), feed.subscriptions(NOW + 120_000_000)
    frames = [json.loads(text) for text in one.frames]
    assert [(text["type"], text["channel"]) for text in frames] == [("subscribe", "user"), ("subscribe", "heartbeats")]
    assert [text["jwt"].count(".") for text in frames] == [2, 2]
    assert frames[0]["jwt"] != frames[1]["jwt"]
    assert again.frames != one.frames
    assert one.path == "/"


def test_a_refused_login_is_reported() -> None:
    (found,) = feed_of().frame(b'{"type":"error","message":"authentication failure"}', NOW)
    assert isinstance(found, ExchangeStatus)
    assert (found.kind, found.detail) == (StatusKind.DISCONNECTED, "authentication failure")


def test_a_hole_in_the_numbers_has_the_socket_opened_again() -> None:
    feed = feed_of()
    feed.subscriptions(NOW)
    beats = [feed.frame(encoded(frame("heartbeats", number)), NOW) for number in (0, 1, 3)]
    assert [of(ExchangeStatus, one) for one in beats[:2]] == [[], []]
    (lost,) = of(ExchangeStatus, beats[2])
    assert (lost.kind, lost.detail) == (StatusKind.DISCONNECTED, "expected frame 2, got 3")
    feed.subscriptions(NOW)
    assert of(ExchangeStatus, feed.frame(encoded(frame("heartbeats", 0)), NOW)) == []


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_open_order_is_reported_and_its_fills_are_requested() -> None:
    report, page = pushed(feed_of(), "update", PUSHED)
    assert report == OrderReport(
        exchange="coinbase",
        symbol="SOL/USD",
        client_order_id="nf1",
        exchange_order_id="9c5b94b1",
        side=Side.BUY,
        type=OrderType.LIMIT,
        price=Decimal("150.5"),
        quantity=Decimal(4),
        filled_quantity=Decimal(1),
        average_price=Decimal("150.1"),
        state=OrderState.WORKING,
        reason="",
        event_time=TIME,
    )
    assert isinstance(page, PageNeeded)
    assert page.request.path.startswith(f"{API}/orders/historical/fills?")
    assert dict(query_of(page.request))["order_ids"] == "9c5b94b1"
    assert signed_at(page.request) == NOW


def test_fills_are_requested_once_for_what_has_grown() -> None:
    feed, other = feed_of(), PUSHED | {"order_id": "other"}
    pages = of(PageNeeded, pushed(feed, "update", PUSHED, other, PUSHED | {"cumulative_quantity": "2"}))
    assert [value for key, value in query_of(pages[0].request) if key == "order_ids"] == ["9c5b94b1", "other"]
    assert len(pages) == 1
    assert of(PageNeeded, pushed(feed, "update", PUSHED | {"cumulative_quantity": "2"})) == []
    ended = PUSHED | {"cumulative_quantity": "4", "leaves_quantity": "0", "status": "FILLED"}
    assert len(of(PageNeeded, pushed(feed, "update", ended))) == 1


def test_what_was_filled_before_the_socket_was_open_is_in_the_list() -> None:
    assert of(PageNeeded, pushed(feed_of(), "snapshot", PUSHED)) == []


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("PENDING", "0", OrderState.ACKNOWLEDGED),
        ("QUEUED", "0", OrderState.ACKNOWLEDGED),
        ("OPEN", "0", OrderState.ACKNOWLEDGED),
        ("OPEN", "1", OrderState.WORKING),
        ("CANCEL_QUEUED", "1", OrderState.WORKING),
        ("EDIT_QUEUED", "0", OrderState.ACKNOWLEDGED),
        ("FILLED", "4", OrderState.FILLED),
        ("CANCELLED", "1", OrderState.CANCELLED),
        ("EXPIRED", "0", OrderState.EXPIRED),
        ("FAILED", "0", OrderState.REJECTED),
    ],
)
def test_each_status(status: str, filled: str, state: OrderState) -> None:
    row = {"status": status, "cumulative_quantity": filled, "leaves_quantity": "1"}
    (report,) = of(OrderReport, pushed(feed_of(), "update", PUSHED | row))
    (answer,) = of(OrderReport, answered(feed_of(), {"order": ORDER | {"status": status, "filled_size": filled}}))
    assert report.state is answer.state is state
    assert report.average_price == (Decimal("150.1") if filled != "0" else 0)


def test_the_end_of_an_order_names_no_size_and_has_that_of_before() -> None:
    feed = feed_of()
    pushed(feed, "update", PUSHED)
    ended = PUSHED | {"leaves_quantity": "0", "status": "CANCELLED", "cancel_reason": "User requested cancel"}
    (report,) = of(OrderReport, pushed(feed, "update", ended))
    assert (report.quantity, report.filled_quantity, report.reason) == (4, 1, "User requested cancel")


def test_an_unknown_status_is_kept_and_reported() -> None:
    for events in (
        pushed(feed_of(), "update", PUSHED | {"status": "SUSPENDED"}),
        answered(feed_of(), {"order": ORDER | {"status": "SUSPENDED"}}),
    ):
        (report,), (status,) = of(OrderReport, events), of(ExchangeStatus, events)
        assert (report.state, status.kind) == (OrderState.WORKING, StatusKind.UNKNOWN)
        assert "SUSPENDED" in report.reason


def test_a_bad_row_costs_itself_alone_and_orders_of_futures_are_not_followed() -> None:
    rows = (PUSHED, PUSHED | {"cumulative_quantity": "x"}, PUSHED | {"product_id": "BTC-PERP-INTX"}, {"order_id": 7})
    events = pushed(feed_of(), "snapshot", *rows)
    assert len(of(OrderReport, events)) == 1
    assert [one.kind for one in of(ExchangeStatus, events)] == [StatusKind.MALFORMED] * 2


def test_an_order_of_other_programs_may_have_no_client_id_and_no_prices() -> None:
    few = {name: PUSHED[name] for name in PUSHED if name not in ("client_order_id", "order_type", "limit_price")}
    (report,) = of(OrderReport, pushed(feed_of(), "update", few | {"cumulative_quantity": "0", "avg_price": ""}))
    assert (report.client_order_id, report.price, report.average_price) == ("", 0, 0)


def test_keys_that_can_sign_nothing_still_give_reports() -> None:
    """``neuroflux decode`` reads recordings with made-up keys."""
    feed = feed_of("0x01")
    assert [type(one) for one in pushed(feed, "update", PUSHED)] == [OrderReport]
    assert [type(one) for one in answered(feed, {"orders": [ORDER], "has_next": True, "cursor": "1"})] == [OrderReport]
    assert answered(feed, {"orders": []}, f"{API}/orders/historical/batch?order_status=OPEN")


# ── requests and answers ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_resync_asks_for_everything() -> None:
    requests = feed_of().resync(NOW, NOW + 1)
    assert [one.path for one in requests] == [
        f"{API}/accounts?limit=250",
        f"{API}/orders/historical/batch?order_status=OPEN&limit=100",
        f"{API}/orders/historical/fills?start_sequence_timestamp=2025-10-09T08%3A53%3A20.000000Z&limit=100",
        f"{API}/key_permissions",
    ]
    assert {one.bucket for one in requests} == {ORDER_BUCKET}
    assert list(feed_of().figures(NOW)) == [feed_of().resync(NOW, NOW)[0]]


def test_wallets_of_one_currency_are_one_balance() -> None:
    vault = HOLDING | {"available_balance": {"value": "1"}, "hold": {"value": "0"}}
    celo = HOLDING | {"currency": "CGLD"}
    found = answered(feed_of(), {"accounts": [HOLDING, vault, celo], "has_next": False, "cursor": "", "size": 3})
    assert found == [
        Balance("coinbase", "USD", Decimal("91.5"), Decimal("9.5"), Decimal(0), Decimal(101), NOW),
        Balance("coinbase", "CELO", Decimal("90.5"), Decimal("9.5"), Decimal(0), Decimal(100), NOW),
    ]


@pytest.mark.parametrize("value", ["x", "nan", "1e999999", "9" * 30])
def test_a_balance_that_can_not_be_read_is_named(value: str) -> None:
    bad = HOLDING | {"currency": "BTC", "available_balance": {"value": value}}
    balance, status = answered(feed_of(), {"accounts": [bad, HOLDING]})
    assert isinstance(balance, Balance)
    assert isinstance(status, ExchangeStatus)
    assert (status.kind, "BTC" in status.detail) == (StatusKind.MALFORMED, True)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"accounts": [HOLDING], "has_next": True, "cursor": "a b"}, "/accounts?limit=250&cursor=old"),
        ({"orders": [ORDER], "has_next": True, "cursor": "a b"}, "/orders/historical/batch?order_status=OPEN"),
        ({"fills": [FILL], "cursor": "a b"}, "/orders/historical/fills?limit=100"),
    ],
)
def test_a_list_that_goes_on_has_its_next_page_requested(body: Any, path: str) -> None:
    feed = feed_of()
    (page,) = of(PageNeeded, answered(feed, body, API + path, "a-tag"))
    assert page.request.path.partition("?")[0] == (API + path).partition("?")[0]
    before = [pair for pair in parse_qsl(path.partition("?")[2]) if pair[0] != "cursor"]
    assert query_of(page.request) == [*before, ("cursor", "a b")]
    assert (page.request.tag, signed_at(page.request)) == ("a-tag", NOW)
    for end in ({"has_next": False}, {"cursor": ""}):
        assert of(PageNeeded, answered(feed, body | end, API + path)) == []


def test_orders_that_a_complete_list_of_open_ones_leaves_out_are_asked_after() -> None:
    feed, path = feed_of(), f"{API}/orders/historical/batch?order_status=OPEN&limit=100"
    pushed(feed, "update", PUSHED, PUSHED | {"order_id": "gone"})
    assert of(PageNeeded, answered(feed, {"orders": [ORDER]}, f"{path}&cursor=2")) == []
    (page,) = of(PageNeeded, answered(feed, {"orders": [ORDER]}, path))
    assert page.request.path == f"{API}/orders/historical/gone"
    answered(feed, {"order": ORDER | {"order_id": "gone", "status": "EXPIRED"}})
    assert of(PageNeeded, answered(feed, {"orders": [ORDER]}, path)) == []


def test_an_order_that_the_exchange_does_not_know_is_not_asked_after_again() -> None:
    feed, path = feed_of(), f"{API}/orders/historical/batch?order_status=OPEN&limit=100"
    pushed(feed, "update", PUSHED)
    (page,) = of(PageNeeded, answered(feed, {"orders": []}, path))
    feed.answer(Answer(page.request, 404, b'{"error":"NOT_FOUND"}'), NOW)
    assert of(PageNeeded, answered(feed, {"orders": []}, path)) == []


def test_a_fill_is_paid_for_in_the_quote() -> None:
    (fill,) = answered(feed_of(), {"fills": [FILL], "cursor": ""})
    assert fill == Fill(
        order_id="",
        exchange="coinbase",
        symbol="SOL/USD",
        client_order_id="",
        exchange_order_id="9c5b94b1",
        trade_id="t1",
        side=Side.BUY,
        price=Decimal("150.1"),
        quantity=Decimal(1),
        fee=Decimal("0.9"),
        fee_asset="USD",
        liquidity=Liquidity.TAKER,
        event_time=TIME,
        name="SOL-USD",
    )


def test_sizes_in_the_quote_and_rebates() -> None:
    row = {"size": "300.2", "size_in_quote": True, "commission": "-0.01", "liquidity_indicator": "MAKER"}
    (fill,) = answered(feed_of(), {"fills": [FILL | row]})
    assert isinstance(fill, Fill)
    assert (fill.quantity, fill.fee, fill.liquidity) == (Decimal(2), Decimal("-0.01"), Liquidity.MAKER)


@pytest.mark.parametrize("row", [{"trade_type": "REVERSAL"}, {"price": "0"}, {"size": "-1"}, {"trade_id": ""}])
def test_what_is_no_fill_is_reported(row: dict[str, str]) -> None:
    (status,) = answered(feed_of(), {"fills": [FILL | row]})
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.MALFORMED


def test_an_order_sized_by_money_has_the_size_that_it_got() -> None:
    row = {"order_configuration": {"market_market_ioc": {"quote_size": "100"}}, "status": "FILLED"}
    (report,) = of(OrderReport, answered(feed_of(), {"order": ORDER | row}))
    assert (report.type, report.price, report.quantity) == (OrderType.MARKET, 0, 1)
    (report,) = of(OrderReport, answered(feed_of(), {"order": ORDER | {"order_configuration": {"x": None, **TERMS}}}))
    assert (report.type, report.price, report.quantity) == (OrderType.LIMIT, Decimal("150.5"), 4)


def test_the_reason_of_an_end_is_told() -> None:
    row = {"status": "FAILED", "reject_reason": "INSUFFICIENT_FUNDS", "reject_message": ""}
    (report,) = of(OrderReport, answered(feed_of(), {"order": ORDER | row}))
    assert (report.state, report.reason) == (OrderState.REJECTED, "INSUFFICIENT_FUNDS")


def test_fees_are_those_of_the_accounts_tier() -> None:
    body = {"total_volume": 0, "fee_tier": {"taker_fee_rate": "0.006", "maker_fee_rate": "0.004"}}
    assert answered(feed_of(), body) == [FeeRates("SOL/USD", Decimal("0.006"), Decimal("0.004"))]
    (request,) = feed_of().fees(["SOL/USD"], NOW)
    assert request.path == f"{API}/transaction_summary?product_type=SPOT"


def test_a_key_that_may_not_trade_is_a_mode() -> None:
    feed = feed_of()
    modes = [answered(feed, PERMISSIONS | {"can_trade": may}) for may in (True, False, False, True)]
    assert [[(one.kind, one.value) for one in of(ExchangeStatus, found)] for found in modes] == [
        [],
        [(StatusKind.MODE, 1.0)],
        [],
        [(StatusKind.MODE, 0.0)],
    ]
    assert "Trade" in of(ExchangeStatus, modes[1])[0].detail
    assert of(Ignored, modes[0])


def test_figures_are_never_pushed() -> None:
    assert (feed_of().pushes_whole, feed_of().pushes_figures) == (False, False)
