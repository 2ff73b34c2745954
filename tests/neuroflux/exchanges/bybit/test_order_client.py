"""Bybit's order client: what is sent, byte by byte, and what each answer proves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from neuroflux.domain import (
    Ack,
    Fill,
    InDoubt,
    Instrument,
    InstrumentKind,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Placement,
    Reject,
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.errors import MalformedFrame, RateLimited, Refused
from neuroflux.exchanges.bybit import codes
from neuroflux.exchanges.bybit.exchange import Bybit
from neuroflux.exchanges.bybit.order_client import BybitOrderClient
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from tests.neuroflux.exchanges.kit.examples.bybit import EXECUTION, ORDER, answered, listed

NOW = 1_795_867_200_123_000
DAY = 86_400_000_000
KEYS = Keys("XXXXXXXXXX", "YYYYYYYYYYYYYYYYYYYY")
SPOT = Instrument(
    exchange="bybit",
    symbol="BTC/USDT",
    market="BTC/USD",
    name="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.SPOT,
)
LINEAR = Instrument(
    exchange="bybit",
    symbol="BTC/USDT:USDT",
    market="BTC/USD",
    name="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.PERPETUAL,
    settle="USDT",
)
ROW = ORDER | {"symbol": "BTCUSDT"}


def client() -> BybitOrderClient:
    return Bybit().order_client(KEYS, [SPOT, LINEAR])


def placement(
    instrument: Instrument = LINEAR,
    kind: OrderType = OrderType.LIMIT,
    price: str = "50000",
    tif: TimeInForce = TimeInForce.GTC,
    *,
    reduce_only: bool = False,
) -> Placement:
    amounts = Decimal("0.001000"), Decimal(price)
    return Placement(instrument, "nf-1a2b", Side.BUY, kind, *amounts, tif, reduce_only=reduce_only)


def body_of(request: Request) -> Any:
    return json.loads(request.body)


def query_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def answer(tag: str, body: Any, status: int = 200, path: str = "", headers: Mapping[str, str] = {}) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(Request("GET", path, tag=tag), status, raw, headers)


# ── what is sent ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_query_is_signed_over_exactly_what_is_sent() -> None:
    """Computed by hand from the manual: time, key, window and query, without the path."""
    request = client().query(LINEAR, "nf-1a2b", NOW)
    assert request.path == "/v5/order/realtime?category=linear&symbol=BTCUSDT&orderLinkId=nf-1a2b"
    assert request.headers["X-BAPI-API-KEY"] == "XXXXXXXXXX"
    assert request.headers["X-BAPI-TIMESTAMP"] == "1795867200123"
    assert request.headers["X-BAPI-RECV-WINDOW"] == "5000"


def test_the_worked_examples_of_signatures() -> None:
    from neuroflux.exchanges.bybit.rest import signed_get, signed_post

    read = signed_get(KEYS, "/v5/order/realtime", "category=linear&orderLinkId=nf-1a2b", NOW, "")
    assert read.headers["X-BAPI-SIGN"] == "f596cbd56e0e558d158944355f540c05fede8f24fe12053bf914d7491b5bfaa7"
    order = {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "orderType": "Limit",
        "qty": "0.001",
        "price": "50000",
        "timeInForce": "GTC",
        "orderLinkId": "nf-1a2b",
    }
    sent = signed_post(KEYS, "/v5/order/create", NOW, "", order)
    assert sent.headers["X-BAPI-SIGN"] == "7d3bec0fbcdd0c90919dcaca0c3d333f351d9206a6fc0fd628ed96e6741b2a3c"
    assert sent.body == json.dumps(order, separators=(",", ":")).encode()


def test_a_limit_order() -> None:
    request = client().place(placement(reduce_only=True), NOW)
    assert (request.method, request.path, request.tag) == ("POST", "/v5/order/create", "place")
    assert request.headers["Content-Type"] == "application/json"
    assert body_of(request) == {
        "category": "linear",
        "symbol": "BTCUSDT",
        "side": "Buy",
        "qty": "0.001",
        "orderType": "Limit",
        "price": "50000",
        "timeInForce": "GTC",
        "orderLinkId": "nf-1a2b",
        "reduceOnly": True,
    }


def test_an_order_of_the_same_name_is_of_its_own_category() -> None:
    spot, linear = (body_of(client().place(placement(one), NOW)) for one in (SPOT, LINEAR))
    assert (spot["category"], spot["symbol"], spot["isLeverage"]) == ("spot", "BTCUSDT", 0)
    assert (linear["category"], linear["symbol"]) == ("linear", "BTCUSDT")
    assert "isLeverage" not in linear
    assert "reduceOnly" not in spot


@pytest.mark.parametrize(
    ("tif", "written"),
    [
        (TimeInForce.GTC, "GTC"),
        (TimeInForce.IOC, "IOC"),
        (TimeInForce.FOK, "FOK"),
        (TimeInForce.POST_ONLY, "PostOnly"),
    ],
)
def test_times_in_force(tif: TimeInForce, written: str) -> None:
    assert body_of(client().place(placement(tif=tif), NOW))["timeInForce"] == written


def test_a_market_order_counts_in_the_base_and_a_bounded_one_is_immediate() -> None:
    bare = body_of(client().place(placement(SPOT, OrderType.MARKET, "0"), NOW))
    assert (bare["orderType"], bare["marketUnit"], bare["qty"]) == ("Market", "baseCoin", "0.001")
    assert not {"price", "timeInForce"} & set(bare)
    assert "marketUnit" not in body_of(client().place(placement(LINEAR, OrderType.MARKET, "0"), NOW))
    bounded = body_of(client().place(placement(SPOT, OrderType.MARKET, "51000.50"), NOW))
    assert (bounded["orderType"], bounded["timeInForce"], bounded["price"]) == ("Limit", "IOC", "51000.5")


def test_an_order_is_named_by_one_id_alone() -> None:
    by_ours, by_theirs = (client().cancel(SPOT, "nf1", NOW, one) for one in ("", "132"))
    assert body_of(by_ours) == {"category": "spot", "symbol": "BTCUSDT", "orderLinkId": "nf1"}
    assert body_of(by_theirs) == {"category": "spot", "symbol": "BTCUSDT", "orderId": "132"}
    assert query_of(client().query(SPOT, "nf1", NOW, "132")) == {
        "category": "spot",
        "symbol": "BTCUSDT",
        "orderId": "132",
    }


def test_leverage_is_equal_on_both_sides_and_spot_has_none() -> None:
    request = client().leverage(LINEAR, 7, NOW)
    assert request.path == "/v5/position/set-leverage"
    expected = {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "7", "sellLeverage": "7"}
    assert body_of(request) == expected
    with pytest.raises(Refused):
        client().leverage(SPOT, 7, NOW)


# ── what a request's answer proves ───────────────────────────────────────────────────────────────────────────────


def test_that_the_gateway_took_an_order_proves_nothing() -> None:
    taken = answered({"orderId": "1321003749386327552", "orderLinkId": "nf1"})
    for tag in ("place", "cancel"):
        outcome = client().outcome(answer(tag, taken))
        assert isinstance(outcome, InDoubt)
        assert outcome.is_taken


def test_an_order_can_not_arrive_long_after_it_was_signed() -> None:
    """A signature is good for 5 s at the gateway, and the order may appear up to 10 s later."""
    assert client().settled_after == 15_000_000


DEFINITE = [
    *(10001, 10002, 10003, 10004, 10005, 10007, 10008, 10009, 10010, 10017, 10024, 10027, 10028, 10029, 33004),
    *(110003, 110004, 110006, 110007, 110012, 110016, 110017, 110020, 110021, 110023, 110030, 110032, 110040),
    *(110042, 110044, 110045, 110051, 110052, 110053, 110063, 110066, 110067, 110068, 110069, 110074, 110086),
    *(110088, 110090, 110094, 110095, 110103, 110120, 110121, 110123, 110124, 110125, 110131, 110132),
    *(170033, 170034, 170105, 170115, 170116, 170117, 170121, 170124, 170130, 170131, 170132, 170133, 170134),
    *(170136, 170137, 170140, 170148, 170151, 170157, 170159, 170192, 170193, 170194, 170195, 170196, 170197),
    *(170198, 170210, 170217, 170218, 170229, 170341, 170344, 170346, 170348, 170371, 170372, 170381, 170382),
    *(170810, 30208, 30209, 30228, 30256),
]
DOUBTFUL = [
    *(10000, 10014, 10016, 10019, 5004, 170001, 170007, 170032, 170035, 170146, 170147, 170149, 170150, 170234),
    *(110079, 500000, 110001, 110043, 170141, 110072, 170213, 12345678, -1),
]


@pytest.mark.parametrize("code", DEFINITE)
def test_definite_codes(code: int) -> None:
    outcome = client().outcome(answer("place", answered({}, code, "text")))
    assert outcome == Reject(str(code), "text", is_untimely=code == 10002)


def test_no_other_code_is_definite() -> None:
    assert set(codes.DEFINITE) == set(DEFINITE)


@pytest.mark.parametrize("code", DOUBTFUL)
def test_every_other_code_leaves_the_order_in_doubt(code: int) -> None:
    outcome = client().outcome(answer("place", answered({}, code, "text")))
    assert isinstance(outcome, InDoubt)
    assert not outcome.is_taken
    assert str(code) in outcome.reason


@pytest.mark.parametrize("code", [10006, 10018, 10429, 20003, 170005, 170222])
def test_a_limit_of_new_orders_holds_them_alone_until_it_is_reset(code: int) -> None:
    body = answered({}, code, "Too many visits!")
    reset = {"x-bapi-limit-reset-timestamp": str(body["time"] + 750)}
    outcome = client().outcome(answer("place", body, headers=reset))
    assert isinstance(outcome, Throttled)
    assert (outcome.retry_after, outcome.orders_only) == (0.75, True)
    queried = client().outcome(answer("query", body))
    assert isinstance(queried, Throttled)
    assert (queried.retry_after, queried.orders_only) == (1.0, False)


def test_an_address_that_is_banned_waits_for_ten_minutes_and_one_of_another_country_does_not() -> None:
    banned = client().outcome(answer("place", b"403, access too frequent", 403))
    assert isinstance(banned, Throttled)
    assert (banned.retry_after, banned.orders_only) == (600.0, False)
    assert isinstance(client().outcome(answer("place", b"<html>blocked</html>", 403)), InDoubt)


@pytest.mark.parametrize("code", [110001, 110008, 110010, 170213, 170139, 170142, 170143, 170190])
def test_a_cancel_of_what_is_gone(code: int) -> None:
    assert isinstance(client().outcome(answer("cancel", answered({}, code, "gone"))), NotThere)


@pytest.mark.parametrize("code", [170212, 170191, 110079])
def test_a_cancel_that_is_under_way_is_in_doubt(code: int) -> None:
    assert isinstance(client().outcome(answer("cancel", answered({}, code, "wait"))), InDoubt)


# ── what a query proves ──────────────────────────────────────────────────────────────────────────────────────────


def found(path: str = "/v5/order/realtime?category=linear", **changed: Any) -> Any:
    row = {key: value for key, value in (ROW | changed).items() if key != "category"}
    return client().outcome(answer("query", answered({"list": [row], "nextPageCursor": ""}), path=path))


def test_a_row_proves_an_order() -> None:
    outcome = found()
    assert isinstance(outcome, Ack)
    assert outcome.report == OrderReport(
        "bybit",
        "BTC/USDT:USDT",
        "nf1",
        ORDER["orderId"],
        Side.BUY,
        OrderType.LIMIT,
        Decimal(151),
        Decimal(10),
        Decimal(4),
        Decimal("150.1"),
        OrderState.WORKING,
        "",
        int(ORDER["updatedTime"]) * 1000,
    )


def test_the_category_of_the_request_names_the_symbol() -> None:
    assert found("/v5/order/realtime?category=spot").report.symbol == "BTC/USDT"


@pytest.mark.parametrize(
    ("status", "reason", "filled", "state", "why"),
    [
        ("New", "EC_NoError", "0", OrderState.ACKNOWLEDGED, ""),
        ("Untriggered", "EC_NoError", "0", OrderState.ACKNOWLEDGED, ""),
        ("PartiallyFilled", "EC_NoError", "4", OrderState.WORKING, ""),
        ("Filled", "EC_NoError", "10", OrderState.FILLED, ""),
        ("Filled", "EC_OrigClOrdIDDoesNotExist", "10", OrderState.FILLED, ""),
        ("Cancelled", "EC_PerCancelRequest", "0", OrderState.CANCELLED, ""),
        ("Cancelled", "EC_PerCancelRequest", "4", OrderState.CANCELLED, ""),
        ("PartiallyFilledCanceled", "EC_PerCancelRequest", "4", OrderState.CANCELLED, ""),
        ("Deactivated", "", "0", OrderState.CANCELLED, ""),
        ("Cancelled", "EC_PostOnlyWillTakeLiquidity", "0", OrderState.REJECTED, "EC_PostOnlyWillTakeLiquidity"),
        ("Cancelled", "EC_NoImmediateQtyToFill", "4", OrderState.EXPIRED, "EC_NoImmediateQtyToFill"),
        ("Cancelled", "EC_CancelForNoFullFill", "0", OrderState.EXPIRED, "EC_CancelForNoFullFill"),
        ("Rejected", "EC_InvalidQty", "0", OrderState.REJECTED, "EC_InvalidQty"),
        ("Rejected", "INSUFFICIENT_MARGIN", "4", OrderState.CANCELLED, "INSUFFICIENT_MARGIN"),
        ("Suspended", "EC_NoError", "0", OrderState.WORKING, "unknown status 'Suspended'"),
    ],
)
def test_states(status: str, reason: str, filled: str, state: OrderState, why: str) -> None:
    report = found(orderStatus=status, rejectReason=reason, cumExecQty=filled).report
    assert (report.state, report.reason, report.filled_quantity) == (state, why, Decimal(filled))


def test_a_rejection_for_a_client_id_that_is_used_says_nothing_of_the_first_order() -> None:
    assert isinstance(found(orderStatus="Rejected", rejectReason="EC_DuplicatedClOrdID", cumExecQty="0"), InDoubt)


def test_averages() -> None:
    assert found(cumExecQty="0", avgPrice="").report.average_price == 0
    assert found(avgPrice="").report.average_price == Decimal("150.1")  # the value divided by the quantity
    assert found(avgPrice="", cumExecValue="").report.average_price is None


def test_a_market_order_has_no_price_and_one_by_value_only_the_quantity_that_is_known() -> None:
    report = found(orderType="Market", marketUnit="quoteCoin", qty="600").report
    assert (report.type, report.price, report.quantity) == (OrderType.MARKET, 0, Decimal(4))
    assert found(orderType="Market", marketUnit="baseCoin").report.quantity == Decimal(10)


def test_an_empty_list_says_that_there_is_no_such_order_and_nothing_else_does() -> None:
    assert isinstance(client().outcome(answer("query", listed("linear"))), NotThere)
    results: tuple[Any, ...] = ({}, None, [], {"list": None}, {"list": {}}, {"list": [{}]})
    for result in (*results, {"list": [ROW | {"qty": "x"}]}):
        assert isinstance(client().outcome(answer("query", answered(result))), InDoubt), result


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


def requested(request: Request, body: Any) -> list[Any]:
    return list(client().reports(Answer(request, 200, json.dumps(body).encode())))


def test_the_perpetuals_follow_the_open_orders_of_spot() -> None:
    first = client().open_orders(NOW)
    assert query_of(first) == {"category": "spot", "limit": "50"}
    spot, more = requested(first, listed("spot", ROW | {"category": "spot"}, cursor="a%3D1%26"))
    assert (spot.symbol, query_of(more.request)["cursor"]) == ("BTC/USDT", "a=1&")
    assert more.request.path.endswith("&cursor=a%3D1%26"), "as it was written"
    (last,) = requested(more.request, listed("spot"))
    assert query_of(last.request) == {"category": "linear", "settleCoin": "USDT", "limit": "50"}
    linear, *none = requested(last.request, listed("linear", ROW))
    assert (linear.symbol, none) == ("BTC/USDT:USDT", [])


def test_a_cursor_takes_the_place_of_the_one_before() -> None:
    first = client().open_orders(NOW)
    (second,) = requested(first, listed("spot", cursor="one"))
    (third,) = requested(second.request, listed("spot", cursor="two"))
    assert third.request.path == "/v5/order/realtime?category=spot&limit=50&cursor=two"


def test_fills_from_long_ago_are_read_week_by_week() -> None:
    requests, spans = [client().fills_since(LINEAR, NOW - 20 * DAY, NOW)], list[tuple[int, int]]()
    for request in requests:
        asked = query_of(request)
        spans.append((int(asked["startTime"]), int(asked["endTime"])))
        assert (asked["category"], asked["symbol"], asked["limit"]) == ("linear", "BTCUSDT", "100")
        body = listed("linear") | {"time": NOW // 1000}
        more = requested(request, body)
        assert all(isinstance(one, PageNeeded) for one in more)
        requests += [one.request for one in more]
    assert spans[0][0] == (NOW - 20 * DAY) // 1000
    assert all(end - start <= 7 * DAY // 1000 for start, end in spans)
    assert [end for _, end in spans[:-1]] == [start for start, _ in spans[1:]]
    assert spans[-1][1] > NOW // 1000


def test_a_fill_of_a_perpetual_is_charged_in_what_it_settles_in() -> None:
    request = client().fills_since(LINEAR, NOW - DAY, NOW)
    row = EXECUTION | {"symbol": "BTCUSDT"}
    (fill,) = requested(request, listed("linear", row) | {"time": NOW // 1000})
    assert isinstance(fill, Fill)
    assert (fill.symbol, fill.name, fill.trade_id) == ("BTC/USDT:USDT", "linear:BTCUSDT", EXECUTION["execId"])
    assert (fill.fee, fill.fee_asset) == (Decimal("0.33022"), "USDT")


def test_a_refused_list_is_no_empty_one() -> None:
    request = client().open_orders(NOW)
    with pytest.raises(Refused, match="10003"):
        requested(request, answered({}, 10003, "API key is invalid."))
    with pytest.raises(RateLimited):
        requested(request, answered({}, 10006, "Too many visits!"))
    with pytest.raises(MalformedFrame):
        requested(request, {"list": []})
    with pytest.raises(MalformedFrame):
        requested(request, listed("spot", ROW | {"qty": "x"}))


def test_what_a_probe_and_a_leverage_are_answered() -> None:
    probe, leverage = client().probe(NOW), client().leverage(LINEAR, 5, NOW)
    assert probe.path == "/v5/account/info"

    def refusal(request: Request, body: Any) -> str:
        return client().refusal(Answer(request, 200, json.dumps(body).encode()))

    assert refusal(probe, answered({"unifiedMarginStatus": 6})) == ""
    assert "10003" in refusal(probe, answered({}, 10003, "API key is invalid."))
    assert refusal(leverage, answered({})) == ""
    assert refusal(leverage, answered({}, 110043, "leverage not modified")) == ""
    assert "110043" in refusal(probe, answered({}, 110043, "leverage not modified"))
    assert "110013" in refusal(leverage, answered({}, 110013, "cannot set leverage"))
    assert refusal(probe, "no answer") != ""
