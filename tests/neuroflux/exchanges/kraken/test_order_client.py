"""Kraken's order client: what is sent, and what each answer says of an order."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from neuroflux.domain import (
    Ack,
    Fill,
    InDoubt,
    Liquidity,
    NotThere,
    OrderReport,
    OrderState,
    OrderType,
    Placement,
    Reject,
    Side,
    Throttled,
)
from neuroflux.domain import TimeInForce as Tif
from neuroflux.errors import MalformedFrame, NeuroFluxError, Refused
from neuroflux.exchanges.kit.events import PageNeeded, Undecodable
from neuroflux.exchanges.kraken.codes import DEFINITE
from neuroflux.exchanges.kraken.limits import QUERIES
from neuroflux.exchanges.kraken.order_client import ORDER_LIFE, KrakenOrderClient
from neuroflux.exchanges.kraken.rest import asked
from tests.neuroflux.exchanges.kraken.listed import KEYS, NOW, answer, instrument, instruments, refused, result

D = Decimal
SECOND: Final = 1_000_000
ID: Final = "OAAAAA-BBBBB-CCCCCC"
ORDER: Final = {
    "status": "open",
    "cl_ord_id": "mine",
    "opentm": 1_759_999_000.25,
    "descr": {"pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "64000.0"},
    "vol": "0.40000000",
    "vol_exec": "0.10000000",
    "price": "63999.5",
    "reason": None,
}
FILL: Final = {
    "ordertxid": ID,
    "pair": "XXBTZUSD",
    "time": 1_759_999_000.25,
    "type": "sell",
    "price": "64000.0",
    "vol": "0.1",
    "fee": "16.0",
    "maker": True,
}


def client() -> KrakenOrderClient:
    return KrakenOrderClient(KEYS, instruments())


def placement(**changes: Any) -> Placement:
    terms: dict[str, Any] = {
        "instrument": instrument("BTC/USD"),
        "client_order_id": "mine",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": D("0.400000000000000000"),
        "price": D("64000.000000000000000000"),
        "time_in_force": Tif.GTC,
    }
    return Placement(**terms | changes)


def sent(**changes: Any) -> dict[str, str]:
    return dict(asked(client().place(placement(**changes), NOW)))


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_order_has_its_client_id_its_deadline_and_its_fee_in_the_quote() -> None:
    request = client().place(placement(), NOW)
    assert (request.method, request.path, request.bucket) == ("POST", "/0/private/AddOrder", "orders XXBTZUSD")
    assert asked(request) == {
        "pair": "XXBTZUSD",
        "type": "buy",
        "ordertype": "limit",
        "volume": "0.4",
        "price": "64000",
        "timeinforce": "GTC",
        "cl_ord_id": "mine",
        "oflags": "fciq",
        "deadline": "2025-10-09T08:53:30.000000Z",
    }
    assert client().settled_after > ORDER_LIFE


def test_the_deadline_is_of_when_the_order_was_made_however_late_it_is_signed() -> None:
    request = client().place(placement(), NOW)
    assert asked(request.signed(NOW + 5 * SECOND))["deadline"] == asked(request)["deadline"]


def test_the_kinds_of_orders() -> None:
    post = sent(time_in_force=Tif.POST_ONLY)
    assert (post["oflags"], post["timeinforce"]) == ("fciq,post", "GTC")
    assert sent(time_in_force=Tif.IOC)["timeinforce"] == "IOC"
    assert sent(time_in_force=Tif.FOK)["timeinforce"] == "FOK"
    bounded = sent(type=OrderType.MARKET)
    assert (bounded["ordertype"], bounded["price"], bounded["timeinforce"]) == ("limit", "64000", "IOC")
    free = sent(type=OrderType.MARKET, price=D(0), side=Side.SELL)
    assert (free["ordertype"], free["type"]) == ("market", "sell")
    assert not {"price", "timeinforce"} & free.keys()


def test_a_cancel_names_the_order_by_the_exchanges_id_where_that_is_known_and_weighs_by_its_age() -> None:
    one, bitcoin = client(), instrument("BTC/USD")
    one.place(placement(), NOW)
    by_client_id = one.cancel(bitcoin, "mine", NOW + SECOND)
    assert (asked(by_client_id), by_client_id.weight) == ({"cl_ord_id": "mine"}, 8)
    assert by_client_id.is_never_refused
    by_id = one.cancel(bitcoin, "mine", NOW + 100 * SECOND, ID)
    assert (asked(by_id), by_id.weight, by_id.bucket) == ({"txid": ID}, 1, "orders XXBTZUSD")
    assert one.cancel(bitcoin, "of another process", NOW).weight == 0


def test_queries_have_a_share_of_the_counter_of_their_own() -> None:
    one, bitcoin = client(), instrument("BTC/USD")
    requests = (
        one.query(bitcoin, "mine", NOW),
        one.query(bitcoin, "mine", NOW, ID),
        one.open_orders(NOW),
        one.fills_since(bitcoin, NOW, NOW),
        one.probe(NOW),
    )
    assert {request.bucket for request in requests} == {QUERIES}
    assert [request.weight for request in requests] == [1, 1, 1, 2, 1]
    with pytest.raises(Refused):
        one.leverage(bitcoin, 2, NOW)


# ── a new order ──────────────────────────────────────────────────────────────────────────────────────────────────


def placed(body: bytes, status: int = 200) -> Any:
    one = client()
    return one.outcome(answer(one.place(placement(), NOW), body, status))


def test_an_order_that_is_taken_is_known_by_what_was_sent() -> None:
    outcome = placed(result({"descr": {"order": "buy"}, "txid": [ID]}))
    amounts = (D(64000), D("0.4"), D(0), D(0))
    names = ("kraken", "BTC/USD", "mine", ID, Side.BUY, OrderType.LIMIT)
    assert outcome == Ack(OrderReport(*names, *amounts, OrderState.ACKNOWLEDGED, "", NOW))


@pytest.mark.parametrize("code", list(DEFINITE))
def test_each_definite_code_is_a_reject_with_and_without_details(code: str) -> None:
    for text in (code, code.rstrip(":") + ":details of it"):
        assert isinstance(placed(refused(text)), Reject), text
    assert isinstance(placed(refused(code, "EService:Timeout")), InDoubt)
    assert isinstance(placed(refused(code), 502), InDoubt)
    assert isinstance(placed(refused(code + ": duplicate cl_ord_id")), InDoubt)


def test_only_a_deadline_and_a_nonce_are_a_matter_of_time() -> None:
    late = [code for code in DEFINITE if placed(refused(str(code))).is_untimely]
    assert late == ["EService:Deadline elapsed", "EAPI:Invalid nonce"]


@pytest.mark.parametrize(
    "body",
    [
        *(refused("EService:Unavailable"), refused("EService:Busy"), refused("EService:Timeout")),
        *(refused("EGeneral:Internal error"), refused("EDatabase:Internal error"), refused("EOrder:Unknown")),
        *(refused("EOrder:Duplicate order"), refused("EOrder:Invalid price."), refused("nonsense"), result({})),
        *(result({"txid": []}), result({"txid": [""]}), b"<html>502</html>", b'{"error":[],"resu', b"", b"null"),
        *(result({"txid": [ID, ID]}), result(None)),
    ],
)
def test_everything_else_leaves_it_in_doubt(body: bytes) -> None:
    assert isinstance(placed(body), InDoubt)


def test_a_refusal_for_rate_holds_up_only_what_it_is_about() -> None:
    orders = placed(refused("EOrder:Rate limit exceeded"))
    assert isinstance(orders, Throttled)
    assert (orders.retry_after, orders.orders_only) == (5.0, True)
    everything = placed(refused("EGeneral:Too many requests"))
    assert (everything.retry_after, everything.orders_only) == (10.0, False)


# ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────────


def listed(number: int, body: bytes) -> Any:
    """What the list of open orders, 0, or of ended ones, 1, has."""
    one = client()
    return one.reports(answer(one.statuses(NOW, NOW)[number], body))


def queried(body: bytes, status: int = 200) -> Any:
    one = client()
    return one.outcome(answer(one.query(instrument("BTC/USD"), "mine", NOW), body, status))


def test_lists_have_the_orders_that_are_open_and_those_that_have_ended() -> None:
    still, ended = client().statuses(NOW, NOW)
    assert (still.path, asked(still), still.bucket) == ("/0/private/OpenOrders", {}, QUERIES)
    assert (ended.path, ended.bucket) == ("/0/private/ClosedOrders", QUERIES)
    assert asked(ended) == {"start": "1759999999", "closetime": "close"}
    other, report = listed(0, result({"open": {"OTHER": ORDER | {"cl_ord_id": None}, ID: ORDER}}))
    assert other.client_order_id == ""
    assert (report.symbol, report.client_order_id, report.exchange_order_id) == ("BTC/USD", "mine", ID)
    assert (report.price, report.quantity, report.filled_quantity) == (D(64000), D("0.4"), D("0.1"))
    assert (report.average_price, report.state) == (D("63999.5"), OrderState.WORKING)
    assert report.event_time == 1_759_999_000_250_000
    closed = ORDER | {"status": "closed", "vol_exec": "0.4", "closetm": 1_759_999_001.5}
    found, page = listed(1, result({"closed": {ID: closed}, "count": 2}))
    assert (found.state, found.event_time) == (OrderState.FILLED, 1_759_999_001_500_000)
    assert asked(page.request) == {"start": "1759999999", "closetime": "close", "ofs": "1"}
    assert listed(1, result({"closed": {}, "count": 0})) == []


def test_a_row_that_can_not_be_read_is_said() -> None:
    report, fault = listed(0, result({"open": {"OTHER": ORDER | {"vol": "much"}, ID: ORDER}}))
    assert (report.client_order_id, type(fault)) == ("mine", Undecodable)
    with pytest.raises(MalformedFrame):
        listed(0, result({"open": {ID: ORDER | {"vol": "much"}}}))


def test_one_that_the_lists_do_not_have_is_looked_for_among_those_that_have_ended() -> None:
    request = client().query(instrument("BTC/USD"), "mine", NOW)
    assert (request.path, request.bucket) == ("/0/private/ClosedOrders", QUERIES)
    assert asked(request) == {"cl_ord_id": "mine", "closetime": "both", "without_count": "true"}
    closed = ORDER | {"status": "closed", "vol_exec": "0.4", "closetm": 1_759_999_001.5}
    found = queried(result({"closed": {ID: closed}}))
    assert isinstance(found, Ack)
    assert (found.report.state, found.report.event_time) == (OrderState.FILLED, 1_759_999_001_500_000)
    assert isinstance(queried(result({"closed": {}})), NotThere)


def test_a_list_that_was_not_read_in_full_or_not_searched_says_nothing() -> None:
    for body in (refused("EService:Unavailable"), b"<html>", refused("EAPI:Rate limit exceeded"), b""):
        assert isinstance(queried(body), InDoubt | Throttled)
    assert isinstance(queried(result({"closed": {}}), 502), InDoubt)
    assert isinstance(queried(result({"closed": {ID: ORDER | {"cl_ord_id": "another"}}})), InDoubt)
    assert isinstance(queried(result({"closed": {ID: ORDER | {"vol": "much"}}})), InDoubt)
    assert isinstance(queried(refused("EService:Timeout")), InDoubt)
    assert isinstance(queried(result({})), InDoubt)


def test_an_order_whose_id_is_known_is_asked_after_by_that_alone() -> None:
    one = client()
    request = one.query(instrument("BTC/USD"), "mine", NOW, ID)
    assert (request.path, asked(request)) == ("/0/private/QueryOrders", {"txid": ID})
    cancelled = answer(request, result({ID: ORDER | {"status": "canceled", "reason": "User requested"}}))
    outcome = one.outcome(cancelled)
    assert isinstance(outcome, Ack)
    assert (outcome.report.state, outcome.report.reason) == (OrderState.CANCELLED, "User requested")
    assert isinstance(one.outcome(answer(request, refused("EOrder:Invalid order"))), NotThere)
    assert isinstance(one.outcome(answer(request, result({}))), InDoubt)
    assert isinstance(one.outcome(answer(request, result({"OTHER": ORDER | {"cl_ord_id": ""}}))), InDoubt)


def test_a_cancel_that_is_taken_may_still_be_under_way() -> None:
    one = client()
    request = one.cancel(instrument("BTC/USD"), "mine", NOW, ID)
    outcome = one.outcome(answer(request, result({"count": 1})))
    assert isinstance(outcome, Ack)
    assert (outcome.report.client_order_id, outcome.report.exchange_order_id) == ("mine", ID)
    assert (outcome.report.symbol, outcome.report.state) == ("BTC/USD", OrderState.WORKING)
    assert isinstance(one.outcome(answer(request, refused("EOrder:Unknown order"))), NotThere)
    assert isinstance(one.outcome(answer(request, refused("EOrder:Cancel pending"))), InDoubt)


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_fills_are_read_page_by_page() -> None:
    one = client()
    request = one.fills_since(instrument("BTC/USD"), NOW, NOW)
    assert asked(request) == {"type": "all", "start": "1759999999", "consolidate_taker": "false"}
    fill, page = one.reports(answer(request, result({"trades": {"T1": FILL}, "count": 3})))
    assert fill == Fill(
        *("", "kraken", "BTC/USD", "", ID, "T1", Side.SELL, D("64000.0"), D("0.1"), D("16.0"), "USD"),
        *(Liquidity.MAKER, 1_759_999_000_250_000, "XXBTZUSD"),
    )
    assert isinstance(page, PageNeeded)
    assert (asked(page.request)["ofs"], page.request.weight, page.request.bucket) == ("1", 2, QUERIES)
    rest = {"trades": {"T2": FILL, "T3": FILL}, "count": 3}
    assert len(one.reports(answer(page.request, result(rest)))) == 2


def test_a_list_that_was_refused_is_no_empty_one() -> None:
    one = client()
    for body in (refused("EAPI:Rate limit exceeded"), refused("EService:Busy"), b"<html>", result({})):
        with pytest.raises(NeuroFluxError):
            one.reports(answer(one.open_orders(NOW), body))
    assert one.reports(answer(one.open_orders(NOW), result({"open": {}}))) == []
    rows = one.reports(answer(one.open_orders(NOW), result({"open": {ID: ORDER, "X": {"status": "open"}}})))
    assert [type(row) for row in rows] == [OrderReport, Undecodable]


def test_the_probe_is_refused_with_the_exchanges_words() -> None:
    one = client()
    assert one.refusal(answer(one.probe(NOW), json.dumps({"error": [], "result": {}}).encode())) == ""
    assert "EAPI:Invalid key" in one.refusal(answer(one.probe(NOW), refused("EAPI:Invalid key")))
