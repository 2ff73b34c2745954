"""Binance's requests are signed as it requires, and its answers are distinguished: open, refused, unknown."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import (
    Ack,
    InDoubt,
    Instrument,
    InstrumentKind,
    NotThere,
    OrderState,
    OrderType,
    Placement,
    Reject,
    Side,
    Throttled,
    TimeInForce,
)
from neuroflux.exchanges.binance.order_client import CANCEL, PLACE, QUERY, BinanceOrderClient
from neuroflux.exchanges.binance.rest import signature
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import PageNeeded
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Usage

WIRE = Path(__file__).parents[5] / "shared" / "wire" / "signing.dev.json"
NOW = 1_700_000_000_000_000
INSTRUMENT = Instrument(
    exchange="binance",
    symbol="BTC/USDT",
    market="BTC/USD",
    name="BTCUSDT",
    base="BTC",
    quote="USDT",
    kind=InstrumentKind.SPOT,
)


def order_client() -> BinanceOrderClient:
    return Binance().order_client(Keys("the-key", "the-secret"), [INSTRUMENT])


def placement(**changed: Any) -> Placement:
    made: dict[str, Any] = {
        "instrument": INSTRUMENT,
        "client_order_id": "nf1",
        "side": Side.BUY,
        "type": OrderType.LIMIT,
        "quantity": Decimal("0.5"),
        "price": Decimal("100.10"),
        "time_in_force": TimeInForce.GTC,
    }
    return Placement(**{**made, **changed})


def query_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def test_an_order_is_sent_as_it_was_signed() -> None:
    request = order_client().place(placement(), NOW)
    payload, _, signed = urlsplit(request.path).query.partition("&signature=")
    assert signed == signature(Keys("the-key", "the-secret"), payload)
    asked = query_of(request)
    assert (asked["symbol"], asked["side"], asked["quantity"], asked["price"]) == ("BTCUSDT", "BUY", "0.5", "100.1")
    assert (asked["timestamp"], asked["newClientOrderId"]) == (str(NOW // 1000), "nf1")
    assert "the-secret" not in request.path


def test_a_market_order_is_sent_with_its_bound() -> None:
    asked = query_of(order_client().place(placement(type=OrderType.MARKET), NOW))
    assert (asked["type"], asked["timeInForce"], asked["price"]) == ("LIMIT", "IOC", "100.1")


@pytest.mark.parametrize(
    ("number", "text"), [("0.500000000000000000", "0.5"), ("10.000000000000000000", "10"), ("1E+2", "100"), ("7", "7")]
)
@pytest.mark.parametrize("exchange", [Binance(), BinanceUsdm()])
def test_no_zeros_are_sent_that_binance_would_count(exchange: Binance | BinanceUsdm, number: str, text: str) -> None:
    """Amounts have 18 decimals after they passed through Kafka; -1111 refuses more than an asset has, zeros too."""
    sent = placement(quantity=Decimal(number), price=Decimal(number))
    asked = query_of(exchange.order_client(Keys("the-key", "the-secret"), [INSTRUMENT]).place(sent, NOW))
    assert (asked["quantity"], asked["price"]) == (text, text)


def test_post_only_is_a_type_of_spot_and_a_time_in_force_of_futures() -> None:
    placed = placement(time_in_force=TimeInForce.POST_ONLY)
    assert query_of(order_client().place(placed, NOW))["type"] == "LIMIT_MAKER"
    futures = BinanceUsdm().order_client(Keys("k", "s"), [])
    assert query_of(futures.place(placed, NOW))["timeInForce"] == "GTX"


@pytest.mark.parametrize(
    ("exchange", "reduces", "sent"),
    [(BinanceUsdm(), True, "true"), (BinanceUsdm(), False, None), (Binance(), False, None)],
)
def test_an_order_that_only_reduces_is_sent_as_such(
    exchange: Binance | BinanceUsdm, reduces: bool, sent: str | None
) -> None:
    """Without it futures refuse what is smaller than their minimum, and a close may open the other side."""
    placed = placement(reduce_only=reduces)
    asked = query_of(exchange.order_client(Keys("k", "s"), [INSTRUMENT]).place(placed, NOW))
    assert asked.get("reduceOnly") == sent


def answer(tag: str, status: int, body: Any, **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(Request("GET", "/x", tag=tag), status, raw, headers)


@pytest.mark.parametrize(
    "text",
    ["Order was not canceled due to cancel restrictions.", "This account may not place or cancel orders."],
)
def test_an_order_that_may_not_be_cancelled_still_exists(text: str) -> None:
    assert not isinstance(order_client().outcome(answer(CANCEL, 400, {"code": -2011, "msg": text})), NotThere)


@pytest.mark.parametrize(("code", "text"), [(-2010, "Duplicate order sent."), (-4116, "ClientOrderId is duplicated.")])
def test_a_duplicate_means_that_an_order_exists(code: int, text: str) -> None:
    assert isinstance(order_client().outcome(answer(PLACE, 400, {"code": code, "msg": text})), InDoubt)


def test_a_wait_is_obeyed() -> None:
    result = order_client().outcome(answer(PLACE, 429, {"code": -1003, "msg": ""}, **{"retry-after": "7"}))
    assert isinstance(result, Throttled)
    assert result.retry_after == 7.0


AT = "Sat, 28 Nov 2026 23:59:48 GMT"


@pytest.mark.parametrize(
    ("text", "headers", "seconds"),
    [
        ("Too many new orders; current limit is 200000 orders per 1 DAY.", {"date": AT}, 12.0),
        ("Too many new orders; current limit is 1200 orders per 1 MINUTE.", {"date": AT}, 12.0),
        ("Too many new orders; current limit is 300 orders per 10 SECOND.", {"date": AT}, 2.0),
        ("Too many new orders; current limit is 300 orders per 10 SECOND.", {}, 10.0),
        ("Too many new orders; current limit is 200000 orders per 1 DAY.", {"date": AT, "retry-after": "34"}, 34.0),
        ("Too many new orders.", {"retry-after": "34"}, 34.0),
        ("Too many new orders; current limit is 0 orders per 0 SECOND.", {}, 10.0),
        ("Too many new orders; current limit is 1200 orders per MINUTE.", {"date": AT}, 12.0),
        ("Too many new orders; current limit is 300 orders per TEN_SECONDS.", {"date": AT}, 2.0),
        ("Too many new orders.", {}, 1.0),
    ],
)
def test_after_too_many_orders_the_wait_is_the_reported_one(text: str, headers: dict[str, str], seconds: float) -> None:
    result = order_client().outcome(answer(PLACE, 429, {"code": -1015, "msg": text}, **headers))
    assert isinstance(result, Throttled)
    assert (result.retry_after, result.orders_only) == (seconds, True)


@pytest.mark.parametrize("body", [{"code": 0, "msg": "Service unavailable from a restricted location"}, b"<html>"])
def test_an_order_refused_for_this_country_does_not_exist(body: Any) -> None:
    result = order_client().outcome(answer(PLACE, 451, body))
    assert isinstance(result, Reject)
    assert (result.code, "location" in result.reason) == ("451", True)


DAY = 86_400_000_000


def requested(since: int) -> list[dict[str, str]]:
    """What an order client of USDⓈ-M requests while nothing is found, one after the other."""
    futures, asked = BinanceUsdm().order_client(Keys("the-key", "the-secret"), []), []
    requests = [futures.fills_since(INSTRUMENT, since, NOW)]
    for request in requests:
        asked.append(query_of(request))
        pages = futures.reports(Answer(request, 200, b"[]"))
        requests += [one.request for one in pages if isinstance(one, PageNeeded)]
    assert {one["timestamp"] for one in asked} == {str(NOW // 1000)}
    assert {one["symbol"] for one in asked} == {"BTCUSDT"}
    return asked


@pytest.mark.parametrize(
    ("age", "windows"), [(60_000_000, 1), (6 * DAY, 1), (7 * DAY, 2), (8 * DAY, 2), (30 * DAY, 5), (900 * DAY, 30)]
)
def test_older_fills_of_futures_are_requested_window_by_window(age: int, windows: int) -> None:
    asked = requested(NOW - age)
    starts, ends = [int(one["startTime"]) for one in asked], [int(one["endTime"]) for one in asked if "endTime" in one]
    assert len(asked) == windows
    assert starts[0] == (NOW - min(age, 180 * DAY)) // 1000
    assert starts[1:] == ends, "each begins where the one before it ended, and the last one has no end"
    assert all(end - start < 7 * DAY // 1000 for start, end in zip(starts, [*ends, NOW // 1000], strict=True))


def test_a_full_page_of_a_window_continues_by_trade_ids() -> None:
    futures = BinanceUsdm().order_client(Keys("k", "s"), [])
    row = {
        "symbol": "BTCUSDT",
        "orderId": 1,
        "price": "1",
        "qty": "1",
        "side": "BUY",
        "maker": True,
        "commission": "0",
        "commissionAsset": "USDT",
        "time": NOW // 1000 - 29 * 86_400_000,
    }
    request = futures.fills_since(INSTRUMENT, NOW - 30 * DAY, NOW)
    *fills, more = futures.reports(Answer(request, 200, json.dumps([{**row, "id": n} for n in range(1000)]).encode()))
    assert (len(fills), isinstance(more, PageNeeded)) == (1000, True)
    asked = query_of(more.request) if isinstance(more, PageNeeded) else {}
    assert (asked["fromId"], asked.get("startTime"), asked.get("endTime")) == ("1000", None, None)


def test_fills_of_spot_are_requested_at_once() -> None:
    asked = query_of(order_client().fills_since(INSTRUMENT, NOW - 900 * DAY, NOW))
    assert (asked["startTime"], asked.get("endTime")) == (str((NOW - 900 * DAY) // 1000), None)


def test_an_accepted_order_contains_its_fills() -> None:
    body = {
        "symbol": "BTCUSDT",
        "orderId": 28,
        "clientOrderId": "nf1",
        "transactTime": 1700000000000,
        "price": "0",
        "origQty": "10",
        "executedQty": "10",
        "cummulativeQuoteQty": "1000",
        "status": "FILLED",
        "type": "MARKET",
        "side": "SELL",
        "fills": [{"price": "100", "qty": "10", "commission": "1", "commissionAsset": "USDT", "tradeId": 56}],
    }
    result = order_client().outcome(answer(PLACE, 200, body))
    assert isinstance(result, Ack)
    assert (result.report.symbol, result.report.state, result.report.average_price) == (
        "BTC/USDT",
        OrderState.FILLED,
        Decimal(100),
    )
    assert [(fill.trade_id, fill.quantity, fill.client_order_id) for fill in result.fills] == [
        ("56", Decimal(10), "nf1")
    ]


@given(st.binary(max_size=100), st.integers(0, 599), st.sampled_from([PLACE, CANCEL, QUERY]))
def test_what_can_not_be_read_is_in_doubt(body: bytes, status: int, tag: str) -> None:
    result = order_client().outcome(answer(tag, status, body))
    assert isinstance(result, InDoubt | Throttled | Reject)
    assert isinstance(result, Reject) == (status == 451)


def test_the_exchanges_own_signing_vectors() -> None:
    if not WIRE.exists():
        pytest.skip("../shared/wire is not here: no vectors of the exchange")
    vectors = [
        one for one in json.loads(WIRE.read_text()) if one["venue"] == "binance" and one["scheme"] == "HMAC-SHA256-hex"
    ]
    assert vectors
    for vector in vectors:
        assert signature(Keys("", vector["secret"]), vector["payload"]) == vector["signature"]


def test_a_probe_reads_the_account_and_a_leverage_is_the_futures_own() -> None:
    probe = order_client().probe(NOW)
    assert (probe.method, urlsplit(probe.path).path) == ("GET", "/api/v3/account")
    assert "signature" in query_of(probe)
    assert order_client().refusal(Answer(probe, 200, b"{}")) == ""
    result = order_client().refusal(Answer(probe, 401, b'{"code":-2015,"msg":"Invalid API-key, IP, or permissions."}'))
    assert "-2015" in result
    assert "the-key" not in result
    set_ = BinanceUsdm().order_client(Keys("the-key", "the-secret"), [INSTRUMENT]).leverage(INSTRUMENT, 5, NOW)
    assert (set_.method, urlsplit(set_.path).path, query_of(set_)["leverage"]) == ("POST", "/fapi/v1/leverage", "5")


def test_the_testnet_of_futures_is_one_site() -> None:
    """The keys of one are not those of the other: REST and sockets are of the demo that took the testnet's place."""
    assert [urlsplit(one).netloc for one in BinanceUsdm.TESTNET] == [
        "demo-fapi.binance.com",
        "demo-fstream.binance.com",
        "demo-fstream.binance.com",
    ]


def test_what_the_headers_report_of_the_limits() -> None:
    headers = {"x-mbx-used-weight-1m": "600", "x-mbx-order-count-10s": "7", "x-mbx-order-count-1d": "9"}
    result = Binance().usage(Answer(Request("POST", "/api/v3/order"), 200, b"{}", headers))
    assert result == Usage(0.1, {10: 7, 86_400: 9})
    refused = Answer(Request("POST", "/api/v3/order"), 429, b'{"code": -1015, "msg": "Too many new orders"}')
    assert Binance().usage(refused).is_full
    outcome = order_client().outcome(refused)
    assert isinstance(outcome, Throttled)
    assert outcome.orders_only


@pytest.mark.parametrize(("code", "untimely"), [(-1021, True), (-2010, False), (-2019, False)])
def test_only_what_was_refused_for_its_time_is_untimely(code: int, untimely: bool) -> None:
    answer = Answer(Request("POST", "/api/v3/order", tag=PLACE), 400, json.dumps({"code": code, "msg": "no"}).encode())
    outcome = order_client().outcome(answer)
    assert isinstance(outcome, Reject)
    assert outcome.is_untimely is untimely
