"""Orders and fills of Binance, pushed and answered: liquidations, reasons, unknown values, bad rows, further pages."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from neuroflux.domain import Ack, Balance, ExchangeStatus, Fill, OrderReport, Side, StatusKind
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, PageNeeded
from neuroflux.exchanges.kit.interface import AccountFeed, OrderClient
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

KEYS = Keys("the-key", "the-secret")
NOW = 1_700_000_000_000_000
EXCHANGES: dict[str, Binance | BinanceUsdm] = {"binance": Binance(), "binanceusdm": BinanceUsdm()}
FILLS = {"binance": "/api/v3/myTrades", "binanceusdm": "/fapi/v1/userTrades"}

FUTURES = {
    "s": "SOLUSDT",
    "c": "mine",
    "S": "SELL",
    "o": "LIMIT",
    "q": "10",
    "p": "140.1",
    "ap": "141.2",
    "x": "TRADE",
    "X": "FILLED",
    "i": 5551,
    "l": "10",
    "z": "10",
    "L": "141.2",
    "n": "0.7",
    "N": "USDT",
    "T": NOW // 1000,
    "t": 88001,
    "m": False,
}
SPOT = {
    "e": "executionReport",
    "E": 1,
    "s": "SOLUSDT",
    "c": "mine",
    "S": "BUY",
    "o": "LIMIT",
    "q": "2",
    "p": "100",
    "C": "",
    "x": "TRADE",
    "X": "PARTIALLY_FILLED",
    "r": "NONE",
    "i": 7,
    "l": "0.5",
    "z": "1",
    "L": "99",
    "n": "0.1",
    "N": "BNB",
    "T": NOW // 1000,
    "t": 55,
    "m": True,
    "Z": "99.5",
}
ORDER = {
    "symbol": "SOLUSDT",
    "orderId": 9,
    "clientOrderId": "mine",
    "transactTime": 5,
    "price": "100",
    "origQty": "2",
    "executedQty": "2",
    "cummulativeQuoteQty": "200",
    "status": "FILLED",
    "type": "LIMIT",
    "side": "BUY",
}


def feed(exchange: str) -> AccountFeed:
    return EXCHANGES[exchange].account_feed(KEYS, [])


def order_client(exchange: str) -> OrderClient:
    return EXCHANGES[exchange].order_client(KEYS, [])


def futures(**changed: Any) -> list[FeedEvent]:
    pushed = {"e": "ORDER_TRADE_UPDATE", "E": NOW // 1000, "T": 1, "o": {**FUTURES, **changed}}
    return list(feed("binanceusdm").frame(json.dumps(pushed), NOW))


def spot(**changed: Any) -> list[FeedEvent]:
    return list(feed("binance").frame(json.dumps({**SPOT, **changed}), NOW))


def report_in(events: list[FeedEvent]) -> OrderReport:
    (report,) = [one for one in events if isinstance(one, OrderReport)]
    return report


def fills_in(events: Any) -> list[Fill]:
    return [one for one in events if isinstance(one, Fill)]


def unknowns_in(events: list[FeedEvent]) -> list[str]:
    return [one.detail for one in events if isinstance(one, ExchangeStatus) and one.kind is StatusKind.UNKNOWN]


@pytest.mark.parametrize(
    ("client_order_id", "reason"),
    [
        ("autoclose-1700000000000000001", "liquidation"),
        ("adl_autoclose", "auto-deleveraging"),
        ("settlement_autoclose-1", "settlement of the contract"),
    ],
)
def test_what_the_exchange_closes_is_an_order_and_a_fill(client_order_id: str, reason: str) -> None:
    events = futures(c=client_order_id, x="CALCULATED", o="LIQUIDATION")
    (fill,) = fills_in(events)
    assert (str(fill.price), str(fill.quantity), str(fill.fee), fill.name) == ("141.2", "10", "0.7", "SOLUSDT")
    assert report_in(events).reason == reason


def test_an_execution_without_a_trade_id_is_requested() -> None:
    events = futures(x="CALCULATED", t=0)
    assert fills_in(events) == []
    (page_needed,) = [one for one in events if isinstance(one, PageNeeded)]
    asked = parse_qs(urlsplit(page_needed.request.path).query)
    assert (asked["symbol"], asked["orderId"], asked["timestamp"]) == (["SOLUSDT"], ["5551"], [str(NOW // 1000)])


@pytest.mark.parametrize(("kind", "is_known"), [("AMENDMENT", True), ("EXPIRED", True), ("SOMETHING_NEW", False)])
def test_an_unknown_execution_type_is_reported(kind: str, is_known: bool) -> None:
    events = futures(x=kind, X="NEW", l="0", z="0", ap="0")
    assert report_in(events).state.value == "acknowledged"
    assert bool(unknowns_in(events)) is not is_known
    assert fills_in(events) == []


@pytest.mark.parametrize("push", [futures, spot])
def test_an_order_with_an_unknown_status_is_reported_as_far_as_possible(push: Any) -> None:
    events = push(X="HELD_FOR_REVIEW", x="NEW", l="0", z="0")
    assert report_in(events).reason == "unknown status 'HELD_FOR_REVIEW'"
    assert len(unknowns_in(events)) == 1
    cancelled = report_in(push(X="SYSTEM_CANCELLED", x="CANCELED", l="0", z="1"))
    assert (cancelled.state.value, cancelled.reason) == ("cancelled", "unknown status 'SYSTEM_CANCELLED'")


@pytest.mark.parametrize("status", ["NEW_ADL", "NEW_INSURANCE"])
@pytest.mark.parametrize(("filled", "state"), [("10", "filled"), ("4", "working")])
def test_the_state_of_the_exchanges_own_orders_follows_their_fills(status: str, filled: str, state: str) -> None:
    events = futures(c="adl_autoclose", x="CALCULATED", X=status, l=filled, z=filled)
    report = report_in(events)
    assert (report.state.value, report.reason, unknowns_in(events)) == (state, "auto-deleveraging", [])
    assert [str(one.quantity) for one in fills_in(events)] == [filled]


def test_an_amended_order_keeps_its_client_id() -> None:
    """Source: the page "Order Amend Keep Priority" of spot: the order gets a new, random client id."""
    at = feed("binance")

    def pushed(**changed: Any) -> list[str]:
        events = at.frame(json.dumps({**SPOT, **changed}), NOW)
        return [one.client_order_id for one in events if isinstance(one, OrderReport | Fill)]

    assert pushed(x="REPLACED", X="NEW", c="amended", C="mine", l="0", z="0") == ["mine"]
    assert pushed(x="REPLACED", X="NEW", c="again", C="amended", l="0", z="0") == ["mine"]
    assert pushed(c="again") == ["mine", "mine"]
    assert pushed(c="another", i=8) == ["another", "another"], "other orders are themselves"
    assert pushed(c="again", X="FILLED") == ["mine", "mine"]
    assert pushed(c="mine", s="ETHUSDT") == ["mine", "mine"]


@pytest.mark.parametrize(
    ("exchange", "kind", "price", "shown"),
    [
        (spot, "STOP_LOSS", "0.00", "market"),
        (spot, "TAKE_PROFIT", "0.00", "market"),
        (spot, "STOP_LOSS_LIMIT", "99", "limit"),
        (futures, "TAKE_PROFIT", "99", "limit"),
        (futures, "STOP_MARKET", "0", "market"),
    ],
)
def test_an_order_is_of_the_type_that_it_trades_as(exchange: Any, kind: str, price: str, shown: str) -> None:
    assert report_in(exchange(o=kind, p=price)).type == shown


def test_allocations_are_distinguished() -> None:
    """Of an order that the exchange routes itself (SOR) each has the trade id -1."""
    ids = [one.trade_id for number in (0, 1) for one in fills_in(spot(t=-1, a=number, b="ONE_PARTY_TRADE_REPORT"))]
    assert ids == ["a0", "a1"]
    assert [one.trade_id for one in fills_in(spot(a=3))] == ["55"]


@pytest.mark.parametrize(
    ("price", "pegged", "shown"), [("0.00", "149.9", "149.9"), ("100", None, "100"), ("0", None, "0")]
)
def test_a_pegged_order_is_at_its_pegged_price(price: str, pegged: str | None, shown: str) -> None:
    assert str(report_in(spot(p=price, gp=pegged)).price) == shown
    body = {**ORDER, "price": price, "peggedPrice": pegged}
    result = order_client("binance").outcome(Answer(Request("POST", "/x", tag="place"), 200, json.dumps(body).encode()))
    assert isinstance(result, Ack)
    assert str(result.report.price) == shown


def test_a_future_order_reports_self_trade_prevention() -> None:
    assert report_in(futures(x="EXPIRED", X="EXPIRED_IN_MATCH", er="0", l="0", z="0")).reason == "self-trade prevention"


def test_why_a_future_order_expired() -> None:
    for code in ("2", 2):
        assert report_in(futures(x="EXPIRED", X="EXPIRED", l="0", z="0", er=code)).reason.startswith("expire reason 2:")
    assert report_in(futures(er="0")).reason == ""


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"x": "REJECTED", "X": "REJECTED", "r": "INSUFFICIENT_BALANCES"}, "INSUFFICIENT_BALANCES"),
        ({"x": "EXPIRED", "X": "EXPIRED", "eR": "UNFILLED_IOC_QUANTITY_EXPIRED"}, "UNFILLED_IOC_QUANTITY_EXPIRED"),
        (
            {"x": "TRADE_PREVENTION", "X": "EXPIRED_IN_MATCH", "V": "EXPIRE_TAKER"},
            "self-trade prevention: EXPIRE_TAKER",
        ),
        ({}, ""),
    ],
)
def test_why_a_spot_order_ended(changed: dict[str, str], reason: str) -> None:
    events = spot(**changed)
    assert report_in(events).reason == reason
    assert len(fills_in(events)) == (0 if changed else 1)


@pytest.mark.parametrize("turnover", ["0", "-1"])
def test_an_average_that_was_not_pushed_is_unknown(turnover: str) -> None:
    assert report_in(spot(Z=turnover)).average_price is None
    assert report_in(futures(ap="0")).average_price is None
    assert str(report_in(spot()).average_price) == "99.5"
    assert str(report_in(futures()).average_price) == "141.2"


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def trade(number: int, **changed: Any) -> dict[str, Any]:
    row = {"symbol": "SOLUSDT", "id": number, "orderId": 9, "price": "1", "qty": "2", "commission": "-0.1"}
    return {**row, "commissionAsset": "USDT", "time": 5, "side": "BUY", "maker": True, "isBuyer": True, **changed}


def nameless(**changed: Any) -> dict[str, Any]:
    return {name: value for name, value in trade(1, **changed).items() if name != "id"}


def answered(path: str, rows: Any, tag: str = "fills") -> Answer:
    return Answer(Request("GET", path, tag=tag), 200, json.dumps(rows).encode())


@pytest.mark.parametrize("exchange", EXCHANGES)
@pytest.mark.parametrize(("asked", "rows", "has_more"), [("1000", 1000, True), ("1000", 999, False), ("", 500, True)])
def test_a_full_page_is_followed_by_the_next(exchange: str, asked: str, rows: int, has_more: bool) -> None:
    limit = f"&limit={asked}" if asked else ""
    path = f"{FILLS[exchange]}?symbol=SOLUSDT&startTime=5{limit}&recvWindow=5000&timestamp=1700000000123&signature=x"
    page = answered(path, [trade(number) for number in range(rows, 0, -1)])
    for events in (feed(exchange).answer(page, NOW), order_client(exchange).reports(page)):
        assert len(fills_in(events)) == rows
        pages_needed = [one for one in events if isinstance(one, PageNeeded)]
        assert len(pages_needed) == has_more
        for page_needed in pages_needed:
            query = parse_qs(urlsplit(page_needed.request.path).query)
            assert urlsplit(page_needed.request.path).path == FILLS[exchange]
            assert (query["symbol"], query["fromId"], query["limit"]) == (["SOLUSDT"], [str(rows + 1)], ["1000"])
            assert (query["timestamp"], query["recvWindow"]) == (["1700000000123"], ["60000"])
            assert "startTime" not in query
            assert page_needed.request.tag == "fills"


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_pages_are_read_to_the_end(exchange: str) -> None:
    at, ids, every = order_client(exchange), list[str](), [trade(number) for number in range(1, 2_501)]
    request = Request("GET", f"{FILLS[exchange]}?symbol=SOLUSDT&limit=1000&timestamp=1700000000123", tag="fills")
    while request.path:
        start = int(parse_qs(urlsplit(request.path).query).get("fromId", ["1"])[0])
        page = [row for row in every if row["id"] >= start][:1000]
        events = at.reports(Answer(request, 200, json.dumps(page).encode()))
        ids += [one.trade_id for one in fills_in(events)]
        request = next((one.request for one in events if isinstance(one, PageNeeded)), Request("GET", ""))
    assert ids == [str(number) for number in range(1, 2_501)]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_only_a_bad_row_among_fills_is_skipped(exchange: str) -> None:
    page = answered(FILLS[exchange], [trade(1), trade(2, price=None), trade(3, isBuyer=None, side="UP"), trade(4)])
    events = feed(exchange).answer(page, NOW)
    assert [one.identity for one in fills_in(events)] == [(exchange, "SOLUSDT", number, Side.BUY) for number in "14"]
    assert [one.kind for one in events if isinstance(one, ExchangeStatus)] == [StatusKind.MALFORMED] * 2
    assert len(fills_in(order_client(exchange).reports(page))) == 2


def test_allocations_are_distinguished_in_answers() -> None:
    part = {"price": "100", "qty": "1", "commission": "0", "commissionAsset": "SOL", "tradeId": -1}
    body = {**ORDER, "fills": [{**part, "allocId": number} for number in (0, 1)]}
    result = order_client("binance").outcome(Answer(Request("POST", "/x", tag="place"), 200, json.dumps(body).encode()))
    assert isinstance(result, Ack)
    assert [one.trade_id for one in result.fills] == ["a0", "a1"]
    rows = [nameless(allocationId=number) for number in (0, 1)]
    assert [one.trade_id for one in fills_in(feed("binance").answer(answered("/x", rows), NOW))] == ["a0", "a1"]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_row_without_an_id_is_no_fill(exchange: str) -> None:
    events = feed(exchange).answer(answered(FILLS[exchange], [nameless(), trade(2)]), NOW)
    assert [one.trade_id for one in fills_in(events)] == ["2"]
    assert [one.kind for one in events if isinstance(one, ExchangeStatus)] == [StatusKind.MALFORMED]


@pytest.mark.parametrize("exchange", EXCHANGES)
def test_a_list_of_which_no_row_can_be_read_is_no_empty_list(exchange: str) -> None:
    with pytest.raises(MalformedFrame, match="SOLUSDT"):
        order_client(exchange).reports(answered(FILLS[exchange], [trade(1, price="x")]))


def test_only_a_bad_row_among_open_orders_is_skipped() -> None:
    order = {"symbol": "SOLUSDT", "orderId": 1, "clientOrderId": "a", "price": "1", "origQty": "1", "executedQty": "0"}
    rows = [{**order, "status": "NEW", "type": "LIMIT", "side": "BUY"}, {**order, "status": "NEW", "type": 7}]
    events = feed("binance").answer(answered("/api/v3/openOrders", rows, "openOrders"), NOW)
    assert [type(one) for one in events] == [OrderReport, ExchangeStatus]


# ── spot's balances ──────────────────────────────────────────────────────────────────────────────────────────────────


def balances(at: AccountFeed, *rows: Any, path: str = "/api/v3/account", **fields: Any) -> list[FeedEvent]:
    return list(at.answer(answered(path, {"balances": rows, **fields}, "account"), NOW))


def held(name: str, free: Any) -> dict[str, Any]:
    return {"asset": name, "free": free, "locked": "0"}


def totals(events: Any) -> dict[str, str]:
    return {one.asset: str(one.total) for one in events if isinstance(one, Balance)}


def test_an_asset_that_the_next_answer_omits_is_zero() -> None:
    at = feed("binance")
    balances(at, held("USDT", "100"), held("SOL", "10"))
    assert totals(balances(at, held("USDT", "1600"))) == {"USDT": "1600", "SOL": "0"}
    assert totals(balances(at)) == {"USDT": "0"}
    assert balances(at) == [Ignored("account")]


def test_a_pushed_asset_that_an_answer_omits_is_zero_if_it_is_older() -> None:
    at = feed("binance")
    pushed = {"e": "outboundAccountPosition", "E": 1, "u": NOW // 1000, "B": [{"a": "SOL", "f": "1", "l": "0"}]}
    at.frame(json.dumps(pushed), NOW)
    assert totals(balances(at, path=f"/api/v3/account?timestamp={NOW // 1000 - 9}")) == {}
    assert totals(balances(at, path=f"/api/v3/account?timestamp={NOW // 1000 + 9}")) == {"SOL": "0"}


def test_only_a_bad_balance_is_skipped_and_it_is_not_taken_for_zero() -> None:
    at = feed("binance")
    balances(at, held("USDT", "100"), held("SOL", "10"))
    events = balances(at, held("USDT", "5"), held("SOL", "NaN"))
    assert totals(events) == {"USDT": "5"}
    assert [one.kind for one in events if isinstance(one, ExchangeStatus)] == [StatusKind.MALFORMED]
    pushed = {"e": "outboundAccountPosition", "E": 1, "u": 5, "B": [{"a": "SOL"}, {"a": "BTC", "f": "1", "l": "0"}]}
    assert totals(at.frame(json.dumps(pushed), NOW)) == {"BTC": "1"}


def test_an_account_that_may_not_trade_is_refused_until_it_may() -> None:
    at = feed("binance")
    modes = [
        [one.value for one in balances(at, canTrade=may) if isinstance(one, ExchangeStatus)]
        for may in (True, False, False, True)
    ]
    assert modes == [[], [1.0], [], [0.0]]
