"""Binance's refusals, each by its code: there is no order, it may be sent again, or its state is unknown."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroflux.domain import Ack, InDoubt, NotThere, OrderReport, Outcome, Reject, Throttled
from neuroflux.errors import RateLimited
from neuroflux.exchanges.binance.codes import expiry
from neuroflux.exchanges.binance.order_client import CANCEL, PLACE, QUERY
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

KEYS = Keys("k", "s")
CLIENTS = {"binance": Binance().order_client(KEYS, []), "binanceusdm": BinanceUsdm().order_client(KEYS, [])}


def outcome(code: int, status: int = 400, text: str = "no", tag: str = PLACE, exchange: str = "binanceusdm") -> Outcome:
    body = json.dumps({"code": code, "msg": text}).encode()
    return CLIENTS[exchange].outcome(Answer(Request("POST", "/x", tag=tag), status, body))


@pytest.mark.parametrize("exchange", CLIENTS)
@pytest.mark.parametrize(
    "code",
    [
        *(-1002, -1010, -1013, -1111, -1121, -2010, -2016, -2019, -2022, -2027, -4003, -4061, -4131, -4164, -4192),
        *(-4400, -4401, -4402, -4411, -5021, -5022, -5024, -5029, -5037, -5041),
    ],
)
def test_after_a_listed_code_there_is_no_order(exchange: str, code: int) -> None:
    result = outcome(code, exchange=exchange)
    assert isinstance(result, Reject)
    assert (result.code, result.is_untimely) == (str(code), False)


@pytest.mark.parametrize("code", [-1021, -5028])
def test_what_arrived_too_late_is_untimely(code: int) -> None:
    result = outcome(code)
    assert isinstance(result, Reject)
    assert result.is_untimely


@pytest.mark.parametrize("code", [-1000, -1001, -1006, -1007, -3999, -4999, -5030, -5999, -9999, 7])
def test_any_other_code_leaves_it_in_doubt_and_is_named(code: int) -> None:
    result = outcome(code, text="what")
    assert isinstance(result, InDoubt)
    assert f"{code} what" in result.reason


@pytest.mark.parametrize("status", [400, 429, 418, 500, 503])
@pytest.mark.parametrize("exchange", CLIENTS)
def test_an_overload_pauses_new_risk_only(exchange: str, status: int) -> None:
    result = outcome(-1008, status, exchange=exchange)
    assert isinstance(result, Throttled)
    assert result.risk_only
    assert not result.orders_only
    assert result.retry_after < 60


@pytest.mark.parametrize("status", [400, 429, 418])
def test_an_exceeded_rate_limit_pauses_everything(status: int) -> None:
    result = outcome(-1003, status)
    assert isinstance(result, Throttled)
    assert not result.risk_only
    assert not result.orders_only


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Unknown error, please check your request or try again later.", InDoubt),
        ("Service Unavailable.", Throttled),
        ("Internal error; unable to process your request. Please try again.", Throttled),
    ],
)
def test_the_text_of_http_503_decides_the_outcome(text: str, kind: type) -> None:
    assert type(outcome(-1001, 503, text)) is kind


def test_on_spot_an_internal_error_leaves_the_order_in_doubt() -> None:
    body = b'{"code":-1001,"msg":"Internal error; unable to process your request. Please try again."}'
    assert isinstance(CLIENTS["binance"].outcome(Answer(Request("POST", "/x", tag=PLACE), 503, body)), InDoubt)


def test_a_firewall_answers_before_the_exchange_does() -> None:
    result = CLIENTS["binance"].outcome(Answer(Request("POST", "/x", tag=PLACE), 403, b"<html>403 Forbidden</html>"))
    assert isinstance(result, Throttled)


@pytest.mark.parametrize(("status", "kind"), [(408, InDoubt), (500, InDoubt), (502, InDoubt)])
def test_a_timeout_leaves_the_order_in_doubt(status: int, kind: type) -> None:
    assert type(outcome(-2010, status)) is kind


@pytest.mark.parametrize(
    ("code", "text"),
    [(-1010, "Duplicate order sent."), (-2010, "Duplicate order sent."), (-4116, ""), (-4116, "ClientOrderId exists")],
)
def test_an_id_that_is_taken_may_be_ours(code: int, text: str) -> None:
    assert isinstance(outcome(code, text=text), InDoubt)


@pytest.mark.parametrize(("tag", "code"), [(QUERY, -2013), (CANCEL, -2011), (CANCEL, -2013)])
def test_no_such_order(tag: str, code: int) -> None:
    assert isinstance(outcome(code, text="Unknown order sent.", tag=tag), NotThere)


@pytest.mark.parametrize(
    "text",
    [
        "Market is closed.",
        "This symbol is restricted for this account.",
        "Rest API trading is not enabled.",
        "Cancel order is invalid. Check origClOrdId and orderId.",
        "CANCEL_REJECTED",
        "",
    ],
)
def test_a_refused_cancel_does_not_decide_the_state_of_the_order(text: str) -> None:
    assert isinstance(outcome(-2011, text=text, tag=CANCEL), Reject)


def test_a_wait_is_always_a_valid_number() -> None:
    for text in ("nan", "-5", "inf", "soon", "1e99"):
        refused = Answer(Request("POST", "/x", tag=PLACE), 429, b"{}", {"retry-after": text})
        held = CLIENTS["binance"].outcome(refused)
        assert isinstance(held, Throttled)
        assert 0 < held.retry_after <= 3 * 86_400


UNTIL = 1_790_003_600_000
BANNED = f"Way too many requests; IP(1.2.3.4) banned until {UNTIL}. Please use the websocket to avoid bans."
AT_HALF_PAST = "Mon, 21 Sep 2026 14:43:20 GMT"  # 1,790,001,800 s: half an hour before


@pytest.mark.parametrize("exchange", [Binance(), BinanceUsdm()])
@pytest.mark.parametrize(
    ("text", "headers", "received", "wait"),
    [
        (BANNED, {"date": AT_HALF_PAST}, 0, 1_800),
        (BANNED, {"date": AT_HALF_PAST}, UNTIL * 1_000 - 7_000_000, 1_800),
        (BANNED, {"date": "today"}, UNTIL * 1_000 - 7_000_000, 7),
        (BANNED, {}, UNTIL * 1_000 - 7_000_000, 7),
        (BANNED, {"date": AT_HALF_PAST, "retry-after": "30"}, 0, 1_800),
        (BANNED, {"date": AT_HALF_PAST, "retry-after": "0"}, 0, 1_800),
        (BANNED, {"date": AT_HALF_PAST, "retry-after": "9000"}, 0, 9_000),
        ("no", {"retry-after": "0"}, 0, 1),
        (BANNED, {}, 1_000_000, 3 * 86_400),
        (BANNED, {}, UNTIL * 1_000 + 1, 60),
        (BANNED, {}, 0, 60),
        ("IP banned until 1790003600", {"date": AT_HALF_PAST}, 0, 60),
        ("IP banned until 17900036000000", {"date": AT_HALF_PAST}, 0, 60),
        ("no", {"date": AT_HALF_PAST}, 0, 60),
    ],
)
def test_the_end_of_a_ban_is_in_its_text(
    exchange: Binance | BinanceUsdm, text: str, headers: dict[str, str], received: int, wait: float
) -> None:
    body = json.dumps({"code": -1003, "msg": text}).encode()
    answer = Answer(Request("GET", "/x", tag=QUERY), 418, body, headers, received_at=received)
    result = exchange.order_client(KEYS, []).outcome(answer)
    assert isinstance(result, Throttled)
    assert (result.retry_after, exchange.usage(answer).wait) == (wait, wait)
    with pytest.raises(RateLimited) as refused:
        exchange.server_time(answer)
    assert refused.value.retry_after == wait


@pytest.mark.parametrize(("status", "code"), [(200, 0), (400, -1003), (503, -1008), (429, -1015)])
def test_answers_that_do_not_pause_everything(status: int, code: int) -> None:
    body = json.dumps({"code": code, "msg": BANNED}).encode()
    assert BinanceUsdm().usage(Answer(Request("GET", "/x"), status, body)).wait is None


ORDER = {
    "orderId": 9,
    "symbol": "ABCUSDT",
    "status": "FILLED",
    "clientOrderId": "nf1",
    "price": "151",
    "origQty": "10",
    "executedQty": "10",
    "type": "LIMIT",
    "side": "BUY",
    "updateTime": 1_700_000_000_000,
}


def ack(**changed: Any) -> Ack:
    body = json.dumps({**ORDER, **changed}).encode()
    result = CLIENTS["binanceusdm"].outcome(Answer(Request("POST", "/x", tag=PLACE), 200, body))
    assert isinstance(result, Ack)
    return result


@pytest.mark.parametrize(
    ("changed", "average"),
    [
        ({}, None),
        ({"avgPrice": "0", "cumQuote": "0"}, None),
        ({"cummulativeQuoteQty": "-1"}, None),
        ({"avgPrice": "150.4"}, "150.4"),
        ({"cumQuote": "1504"}, "150.4"),
        ({"cummulativeQuoteQty": "1504.0"}, "150.4"),
        ({"executedQty": "0", "status": "NEW"}, "0"),
    ],
)
def test_an_average_price_that_was_not_reported_is_unknown(changed: dict[str, Any], average: str | None) -> None:
    result = ack(**changed).report.average_price
    assert (result if result is None else f"{result.normalize():f}") == average


@pytest.mark.parametrize(
    ("status", "filled", "state"),
    [
        ("INTERNAL_CANCEL", "4", "cancelled"),
        ("RISK_REJECTED", "0", "rejected"),
        ("EXPIRED_BY_SOMETHING", "0", "expired"),
        ("SOMETHING_NEW", "10", "filled"),
        ("SOMETHING_NEW", "4", "working"),
        ("SOMETHING_NEW", "0", "acknowledged"),
    ],
)
def test_an_order_with_an_unknown_status_is_read_as_far_as_possible(status: str, filled: str, state: str) -> None:
    report = ack(status=status, executedQty=filled).report
    assert (report.state.value, report.reason) == (state, f"unknown status {status!r}")


@pytest.mark.parametrize(
    ("status", "why", "reason"),
    [
        ("EXPIRED", "INSUFFICIENT_LIQUIDITY", "INSUFFICIENT_LIQUIDITY"),
        ("EXPIRED_IN_MATCH", "INSUFFICIENT_LIQUIDITY", "INSUFFICIENT_LIQUIDITY"),
        ("EXPIRED_IN_MATCH", "NONE", "self-trade prevention"),
        ("EXPIRED_IN_MATCH", None, "self-trade prevention"),
        ("EXPIRED", "NONE", ""),
        ("EXPIRED", None, ""),
        ("CANCELED", "INSUFFICIENT_LIQUIDITY", ""),
        ("EXPIRED_BY_SOMETHING", "INSUFFICIENT_LIQUIDITY", "unknown status 'EXPIRED_BY_SOMETHING'"),
    ],
)
def test_spot_reports_why_an_order_expired(status: str, why: str | None, reason: str) -> None:
    order_client, row = CLIENTS["binance"], {**ORDER, "status": status, "executedQty": "0", "expiryReason": why}
    for tag in (PLACE, QUERY):
        result = order_client.outcome(Answer(Request("GET", "/x", tag=tag), 200, json.dumps(row).encode()))
        assert isinstance(result, Ack)
        assert result.report.reason == reason
    (listed,) = order_client.reports(Answer(Request("GET", "/x", tag="openOrders"), 200, json.dumps([row]).encode()))
    assert isinstance(listed, OrderReport)
    assert listed.reason == reason


def test_an_expiry_reason_keeps_the_exchanges_number() -> None:
    assert expiry("0") == expiry(0) == expiry("") == ""
    assert expiry("2").startswith("expire reason 2: ")
    assert expiry(99) == "expire reason 99: not documented"


@pytest.mark.parametrize(("code", "is_known"), [(-4400, True), (-2019, True), (-9999, False), (200, False)])
def test_a_refusal_under_http_200_follows_its_code(code: int, is_known: bool) -> None:
    body = json.dumps({"code": code, "msg": "only"}).encode()
    outcome = CLIENTS["binanceusdm"].outcome(Answer(Request("POST", "/x", tag=PLACE), 200, body))
    assert isinstance(outcome, Reject if is_known else InDoubt)
    assert isinstance(outcome, Reject) or str(code) in outcome.reason
