"""What each reason of Coinbase means for an order, one by one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroflux.domain import InDoubt, NotThere, Outcome, Reject, Throttled
from neuroflux.exchanges.coinbase.exchange import Coinbase
from neuroflux.exchanges.coinbase.rest import failure
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from tests.neuroflux.exchanges.kit.examples.coinbase import KEY, SEED, refused

CLIENT = Coinbase().order_client(Keys(KEY, SEED), ())
DEFINITE = (
    *("INSUFFICIENT_FUND", "INVALID_LIMIT_PRICE_POST_ONLY", "INVALID_LIMIT_PRICE", "INVALID_SIDE", "INVALID_REQUEST"),
    *("INVALID_SIZE_PRECISION", "INVALID_PRICE_PRECISION", "INVALID_PRODUCT_ID", "INVALID_NO_LIQUIDITY"),
    *("UNSUPPORTED_ORDER_CONFIGURATION", "ORDER_ENTRY_DISABLED", "INELIGIBLE_PAIR", "ORDER_TYPE_NOT_SUPPORTED"),
)
PREVIEWS = (
    *("PREVIEW_INSUFFICIENT_FUND", "PREVIEW_INSUFFICIENT_FUNDS", "PREVIEW_INVALID_LIMIT_PRICE_POST_ONLY"),
    *("PREVIEW_INVALID_LIMIT_PRICE_POSTONLY", "PREVIEW_INVALID_PRICE_PRECISION", "PREVIEW_INVALID_SIZE_PRECISION"),
    *("PREVIEW_INVALID_BASE_SIZE_TOO_SMALL", "PREVIEW_INVALID_QUOTE_SIZE_TOO_LARGE", "PREVIEW_UNTRADABLE_PRODUCT"),
    *("PREVIEW_RISK_PROXY_FAILURE", "PREVIEW_WHATEVER_COMES"),
)
NOTHING = (
    *("UNKNOWN_FAILURE_REASON", "UNKNOWN_PREVIEW_FAILURE_REASON", "COMMANDER_REJECTED_NEW_ORDER", "INTERNAL"),
    *("UNAVAILABLE", "DEADLINE_EXCEEDED", "UNKNOWN", "NEVER_SEEN", "", "CANCELLED"),
)


def outcome(status: int, body: Any, tag: str = "place", path: str = "/api/v3/brokerage/orders") -> Outcome:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CLIENT.outcome(Answer(Request("POST", path, tag=tag), status, raw))


@pytest.mark.parametrize("code", DEFINITE)
@pytest.mark.parametrize("field", ["error", "new_order_failure_reason"])
def test_a_reason_of_the_table_is_a_reject(code: str, field: str) -> None:
    found = outcome(200, refused(**{field: code}, message="why"))
    assert found == Reject(code, "why")


@pytest.mark.parametrize("code", PREVIEWS)
@pytest.mark.parametrize("field", ["error", "preview_failure_reason"])
def test_a_reason_found_before_the_engine_is_a_reject(code: str, field: str) -> None:
    assert outcome(200, refused(**{field: code})) == Reject(code, "")


@pytest.mark.parametrize("code", NOTHING)
@pytest.mark.parametrize("status", [200, 400, 404, 500, 503])
def test_any_other_reason_leaves_the_order_in_doubt(code: str, status: int) -> None:
    assert isinstance(outcome(status, refused(error=code)), InDoubt)
    assert isinstance(outcome(status, {"error": code, "message": "text"}), InDoubt)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (400, {"error": "INVALID_ARGUMENT", "error_details": "account is not available"}, "INVALID_ARGUMENT"),
        (401, b"Unauthorized", "Unauthorized"),
        (401, b"Unauthorized\n", "Unauthorized"),
        (403, {"error": "PERMISSION_DENIED", "error_details": "Missing required scopes"}, "PERMISSION_DENIED"),
    ],
)
def test_what_is_refused_at_the_door_is_a_reject(status: int, body: Any, code: str) -> None:
    found = outcome(status, body)
    assert isinstance(found, Reject)
    assert found.code == code
    assert found.is_untimely is (code == "Unauthorized")


@pytest.mark.parametrize("status", [408, 500, 502, 504, 520])
@pytest.mark.parametrize("body", [b"Unauthorized", b"<html>", json.dumps(refused(error="INVALID_SIDE")).encode()])
def test_what_a_proxy_answers_leaves_the_order_in_doubt(status: int, body: bytes) -> None:
    assert isinstance(outcome(status, body), InDoubt)


@pytest.mark.parametrize("body", [b"", b"slow down", {"error": "RESOURCE_EXHAUSTED"}, refused(error="INVALID_SIDE")])
def test_429_is_throttled_whatever_it_says(body: Any) -> None:
    assert isinstance(outcome(429, body), Throttled)


def test_a_success_that_names_no_order_is_in_doubt() -> None:
    """And one with an error response beside the order is a success, as in the manual's example."""
    named = {"order_id": "o1", "product_id": "SOL-USD", "side": "BUY", "client_order_id": "nf1"}
    assert isinstance(outcome(200, {"success": True}), InDoubt)
    assert isinstance(outcome(200, {"success": True, "success_response": named | {"order_id": ""}}), InDoubt)
    both = {"success": True, "success_response": named, "error_response": refused()["error_response"]}
    assert type(outcome(200, both)).__name__ == "Ack"


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("UNKNOWN_CANCEL_ORDER", NotThere),
        ("INVALID_CANCEL_REQUEST", Reject),
        ("COMMANDER_REJECTED_CANCEL_ORDER", Reject),
        ("DUPLICATE_CANCEL_REQUEST", InDoubt),
        ("UNKNOWN_CANCEL_FAILURE_REASON", InDoubt),
        ("NEVER_SEEN", InDoubt),
    ],
)
def test_each_reason_of_a_cancel(reason: str, expected: type[Outcome]) -> None:
    body = {"results": [{"success": False, "failure_reason": reason, "order_id": "o1"}]}
    assert isinstance(outcome(200, body, "cancel nf1 SOL-USD"), expected)


@pytest.mark.parametrize("error", ["NOT_FOUND", "unknown"])
def test_an_order_that_is_asked_after_by_its_id_is_not_there(error: str) -> None:
    body = {"error": error, "error_details": "order with this orderID was not found"}
    one, many = "/api/v3/brokerage/orders/historical/o1", "/api/v3/brokerage/orders/historical/batch?limit=1"
    assert isinstance(outcome(404, body, "query", one), NotThere)
    assert isinstance(outcome(404, b"<html>", "query", one), InDoubt)
    assert isinstance(outcome(404, body, "query nf1 SOL-USD", many), InDoubt)
    assert isinstance(outcome(404, body), InDoubt)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b'{"success":true,"error":"X"}', b'{"error":""}'])
def test_what_names_no_error_is_none(body: bytes) -> None:
    assert failure(body) is None
