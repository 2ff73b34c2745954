"""Every code of an order, one by one: only what the manual makes definite refuses it."""

from __future__ import annotations

from typing import Final

import pytest

from neuroflux.domain import InDoubt, NotThere, Outcome, Reject, Throttled
from neuroflux.exchanges.kit.requests import Request
from tests.neuroflux.exchanges.kit.examples.okx import envelope
from tests.neuroflux.exchanges.okx.listed import answer, client

PARAMETERS = "50000 50002 50006 50014 50015 50016 50024 50025 50115 51000 51003 51011 51015 51111"
INSTRUMENT = "51001 51002 51012 51014 51021 51022 51027 51028 51029 51030 51087 54007 54072"
SIZE = (
    "51005 51006 51007 51020 51031 51033 51101 51102 51103 51104 51105 51106 51109 51110 51116 51120 51121 51122 51124 "
    "51135 51136 51137 51138 51185 51201 51202 51203 51204 54012 54018 54019 50122 54084 54085"
)
FUNDS = "51008 51017 51119 51127 51131 51502"
POSITION = "51010 51023 51025 51107 51108 51112 51117 51128 51129 51133 51134 51139 51169 51170 51174 51205 51206 59113"
ACCOUNT = (
    "50007 50009 50012 50017 50018 50019 50020 50021 50022 50023 50027 50028 50029 50030 50032 50033 50051 50052 50059 "
    "50060 51009 51024 51034 51037 51056 51155 54000 54001 54004 54005 54006 54008 54011 54024 54025 54026 54027 54028 "
    "54030 54031 54035"
)
KEY = "50035 50100 50101 50103 50104 50105 50106 50107 50110 50111 50113 50114 50119 50120 50121"
LATE = "50036 50037 50102 50112"
DEFINITE: Final = " ".join((PARAMETERS, INSTRUMENT, SIZE, FUNDS, POSITION, ACCOUNT, KEY, LATE)).split()
CANCELS = "51400 51410 51412"
UNCERTAIN = "50001 50004 50005 50013 50026 51016 51054 51149 51603 63999 64007 59999 1 x"
DOUBT: Final = f"{CANCELS} {UNCERTAIN}".split()


def outcome(action: str, code: str, status: int = 200, *, of_row: bool = True, msg: str = "no") -> Outcome:
    row = {"ordId": "", "clOrdId": "nf1", "sCode": code, "sMsg": msg}
    body = envelope(row, code="1", msg="All operations failed") if of_row else envelope(code=code, msg=msg)
    method = "GET" if action == "query" else "POST"
    return client().outcome(answer(body, Request(method, "/api/v5/trade/order", tag=action), status))


@pytest.mark.parametrize("of_row", [True, False])
@pytest.mark.parametrize("code", DEFINITE)
def test_a_definite_code_refuses_an_order(code: str, of_row: bool) -> None:
    for status in (200, 400, 401):
        assert outcome("place", code, status, of_row=of_row) == Reject(code, "no", is_untimely=code in LATE.split())
    for status in (408, 500, 503):
        assert isinstance(outcome("place", code, status, of_row=of_row), InDoubt)


@pytest.mark.parametrize("of_row", [True, False])
@pytest.mark.parametrize("code", DOUBT)
def test_any_other_code_leaves_it_in_doubt(code: str, of_row: bool) -> None:
    for status in (200, 400, 429, 500, 503):
        assert isinstance(outcome("place", code, status, of_row=of_row), InDoubt)


def test_the_table_has_these_codes_and_no_other() -> None:
    assert set(client().codes.definite) == set(DEFINITE)
    assert len(DEFINITE) == len(set(DEFINITE))


@pytest.mark.parametrize("code", ["50011", "50040", "50061", "60014"])
def test_a_limit_refuses_for_two_seconds_and_lets_cancels_pass(code: str) -> None:
    for status in (200, 429):
        refused = outcome("place", code, status)
        assert isinstance(refused, Throttled)
        assert (refused.retry_after, refused.orders_only) == (2.0, True)
        assert isinstance(outcome("place", code, 503), InDoubt)
        assert isinstance(outcome("place", code, 408), InDoubt)
        cancel = outcome("cancel", code, status)
        assert isinstance(cancel, Throttled)
        assert not cancel.orders_only


@pytest.mark.parametrize("status", [403, 429])
def test_a_refusal_in_front_of_the_exchange_is_a_ban(status: int) -> None:
    place = Request("POST", "/api/v5/trade/order", tag="place")
    banned = client().outcome(answer("<html>blocked</html>", place, status))
    assert isinstance(banned, Throttled)
    assert (banned.retry_after >= 60, banned.orders_only) == (True, False)


def test_an_order_of_this_id_is_there_already() -> None:
    """51016; another client reports 51000 with the parameter's name: both are queried."""
    assert isinstance(outcome("place", "51016"), InDoubt)
    assert isinstance(outcome("place", "51000", msg="Parameter clOrdId  error"), InDoubt)
    assert isinstance(outcome("place", "51000", msg="Parameter px error"), Reject)


def test_what_says_that_there_is_no_order() -> None:
    assert isinstance(outcome("query", "51603", of_row=False), NotThere)
    for code in ("51400", "51401", "51402", "51603"):
        assert isinstance(outcome("cancel", code), NotThere)
        if code != "51603":
            assert isinstance(outcome("query", code, of_row=False), InDoubt)
    assert isinstance(outcome("cancel", "51410"), InDoubt)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"code":"0"}', '{"code":"0","data":[]}', '{"code":0,"data":[]}'])
def test_an_answer_without_a_row_leaves_it_in_doubt(body: str) -> None:
    place = Request("POST", "/api/v5/trade/order", tag="place")
    given = answer("", place)
    given = type(given)(place, 200, body.encode())
    assert isinstance(client().outcome(given), InDoubt)


def test_the_row_decides_and_not_the_whole() -> None:
    row = {"ordId": "8", "clOrdId": "nf1", "sCode": "51008", "sMsg": "Insufficient balance"}
    place = Request("POST", "/api/v5/trade/order", tag="place")
    refused = client().outcome(answer(envelope(row, code="0"), place))
    assert refused == Reject("51008", "Insufficient balance")
