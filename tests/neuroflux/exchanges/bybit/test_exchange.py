"""Bybit's addresses, lists, limits and keys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.errors import MalformedFrame, RateLimited, Refused, Unreachable
from neuroflux.exchanges.bybit.exchange import Bybit
from neuroflux.exchanges.kit.events import Listing
from neuroflux.exchanges.kit.requests import Answer, Keys, Request, Usage
from tests.neuroflux.exchanges.kit.examples.bybit import KEY, LINEAR_ROW, SPOT_ROW, answered, listed

KEYS = Keys("the-key", "the-secret")
NOW = 1_790_000_000_000_000


def listing(*bodies: Any) -> Listing:
    requests = Bybit().instruments_requests()
    answers = [Answer(one, 200, json.dumps(body).encode()) for one, body in zip(requests, bodies, strict=False)]
    return Bybit().listing(answers)


# ── instruments ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_spot_pair_and_a_perpetual() -> None:
    spot, linear = listing(listed("spot", SPOT_ROW), listed("linear", LINEAR_ROW)).instruments
    common = {"exchange": "bybit", "market": "SOL/USD", "base": "SOL", "tick_size": Decimal("0.01")}
    assert spot == Instrument(
        **common,  # type: ignore[arg-type]
        symbol="SOL/USDC",
        name="SOLUSDC",
        quote="USDC",
        kind=InstrumentKind.SPOT,
        quantity_step=Decimal("0.001"),
        max_quantity=Decimal(9000),
        min_notional=Decimal(5),
        taker_fee=Decimal("0.001"),
        maker_fee=Decimal("0.001"),
    )
    assert linear == Instrument(
        **common,  # type: ignore[arg-type]
        symbol="SOL/USDT:USDT",
        name="linear:SOLUSDT",
        quote="USDT",
        settle="USDT",
        kind=InstrumentKind.PERPETUAL,
        quantity_step=Decimal("0.1"),
        min_quantity=Decimal("0.1"),
        max_quantity=Decimal(20000),
        min_notional=Decimal(5),
        taker_fee=Decimal("0.00055"),
        maker_fee=Decimal("0.0002"),
    )


def test_names_are_unique_where_the_exchange_uses_one_twice() -> None:
    row = SPOT_ROW | {"symbol": "SOLUSDT", "quoteCoin": "USDT"}
    both = listing(listed("spot", row), listed("linear", LINEAR_ROW)).instruments
    assert [(one.name, one.symbol) for one in both] == [("SOLUSDT", "SOL/USDT"), ("linear:SOLUSDT", "SOL/USDT:USDT")]


def test_the_requests_are_of_both_categories() -> None:
    assert [one.path for one in Bybit().instruments_requests()] == [
        "/v5/market/instruments-info?category=spot",
        "/v5/market/instruments-info?category=linear&limit=1000",
    ]


@pytest.mark.parametrize(
    "changed",
    [
        {"contractType": "LinearFutures"},
        {"contractType": "InversePerpetual"},
        {"contractType": "", "optionsType": "Call"},
        {"settleCoin": "USDC", "quoteCoin": "USDC"},
        {"isPreListing": True},
        {"status": "PreLaunch"},
    ],
)
def test_what_is_not_offered_is_left_out_in_silence(changed: dict[str, Any]) -> None:
    assert listing(listed("linear", LINEAR_ROW | changed)) == Listing(())


def test_a_contract_of_a_thousand_coins() -> None:
    row = LINEAR_ROW | {"symbol": "1000PEPEUSDT", "baseCoin": "1000PEPE"}
    (one,) = listing(listed("linear", row)).instruments
    assert (one.symbol, one.base, one.multiplier, one.market) == ("1000PEPE/USDT:USDT", "PEPE", 1000, "PEPE/USD")


def test_an_instrument_that_is_halted_or_about_to_be_settled() -> None:
    (halted,) = listing(listed("linear", LINEAR_ROW | {"status": "Closed"})).instruments
    assert not halted.active
    body = listed("linear", LINEAR_ROW | {"deliveryTime": "1790000000000"})
    near, far = (listing(body | {"time": 1_790_000_000_000 - left}).instruments for left in (3_600_000, 90_000_000))
    assert (near[0].closing_only, far[0].closing_only) == (True, False)


@pytest.mark.parametrize(
    "changed",
    [{"priceFilter": {"tickSize": "-1"}}, {"priceFilter": {}}, {"baseCoin": ""}, {"lotSizeFilter": {"qtyStep": "nan"}}],
)
def test_a_bad_row_costs_that_row(changed: dict[str, Any]) -> None:
    found = listing(listed("linear", LINEAR_ROW | {"symbol": "BAD", **changed}, LINEAR_ROW))
    assert [one.name for one in found.instruments] == ["linear:SOLUSDT"]
    assert [fault.partition(" ")[0] for fault in found.faults] == ["BAD"]


def test_what_is_not_known_is_named() -> None:
    found = listing(
        listed("linear", LINEAR_ROW | {"status": "New"}, LINEAR_ROW | {"contractType": "Other"}, cursor="x")
    )
    assert [one.active for one in found.instruments] == [False]
    assert [word for word in ("'Other'", "'New'", "goes on") if any(word in fault for fault in found.faults)] == [
        "'Other'",
        "'New'",
        "goes on",
    ]


@pytest.mark.parametrize("body", [{}, [], answered({"list": [{}]}), answered({"list": 7}), answered([])])
def test_what_is_no_list_of_instruments(body: Any) -> None:
    with pytest.raises(MalformedFrame):
        listing(body)


def test_an_empty_list_of_something_else_is_no_list_of_instruments() -> None:
    assert listing(listed("spot")) == Listing(())
    answer = Answer(Request("GET", "/v5/order/realtime", tag="orders"), 200, json.dumps(listed("spot")).encode())
    with pytest.raises(MalformedFrame):
        Bybit().listing([answer])


# ── time and limits ──────────────────────────────────────────────────────────────────────────────────────────────


def reply(body: Any, status: int = 200, path: str = "/v5/market/time", headers: Mapping[str, str] = {}) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(Request("GET", path, tag="x"), status, raw, headers)


def test_the_time_is_that_of_the_answer() -> None:
    assert Bybit().server_time(reply(answered({"timeSecond": "1"}))) == 1_760_000_000_000_000
    for body, error in (
        ({"retCode": 0}, MalformedFrame),
        (answered({}, 10016, "x"), Refused),
        (answered({}, 10006, "x"), RateLimited),
    ):
        with pytest.raises(error):
            Bybit().server_time(reply(body))
    with pytest.raises(Unreachable):
        Bybit().server_time(reply(b"", 502))


def test_a_limit_of_one_path_is_waited_for_until_it_is_reset() -> None:
    body = answered({}, 10006, "Too many visits!")
    reset = {"x-bapi-limit-reset-timestamp": str(body["time"] + 400)}
    assert Bybit().usage(reply(body, path="/v5/order/realtime", headers=reset)) == Usage(wait=0.4)
    assert Bybit().usage(reply(body, path="/v5/order/realtime")) == Usage(wait=1.0)
    far = {"x-bapi-limit-reset-timestamp": str(body["time"] + 10_000_000)}
    assert Bybit().usage(reply(body, path="/v5/order/realtime", headers=far)) == Usage(wait=60.0)
    assert Bybit().usage(reply(answered({}))) == Usage()


def test_one_new_order_too_many_holds_no_other_request() -> None:
    body = answered({}, 10006, "Too many visits!")
    counted = {"x-bapi-limit": "10", "x-bapi-limit-status": "0"}
    assert Bybit().usage(reply(body, path="/v5/order/create", headers=counted)) == Usage(orders={1: 10}, is_full=True)


def test_the_use_of_new_orders_is_counted() -> None:
    counted = {"x-bapi-limit": "10", "x-bapi-limit-status": "7"}
    assert Bybit().usage(reply(answered({}), path="/v5/order/create", headers=counted)) == Usage(orders={1: 3})
    assert Bybit().usage(reply(answered({}), path="/v5/order/cancel", headers=counted)) == Usage()
    assert Bybit().usage(reply(answered({}), path="/v5/order/create", headers={"x-bapi-limit": "²"})) == Usage()


def test_a_ban_holds_everything_and_another_country_does_not() -> None:
    assert Bybit().usage(reply(b"403, Access too frequent", 403)) == Usage(wait=600.0)
    named = reply(b"access too frequent", 403, headers={"retry-after": "2"})
    assert Bybit().usage(named) == Usage(wait=2.0)
    assert Bybit().usage(reply(b"<html>The request could not be satisfied</html>", 403)) == Usage()
    assert Bybit().usage(reply(b"", 429, headers={"retry-after": "3"})) == Usage(wait=3.0)


def test_every_path_of_an_account_has_its_own_bucket() -> None:
    exchange = Bybit()
    feed, client = exchange.account_feed(KEYS, []), exchange.order_client(KEYS, [])
    asked = [*feed.resync(NOW, NOW), *feed.fees([], NOW), *feed.transfers(NOW, NOW), client.probe(NOW)]
    for request in asked:
        assert request.bucket == request.path.partition("?")[0]
        assert request.bucket in exchange.BUCKETS
    assert [(one.most, one.seconds) for one in exchange.ORDER_RATES] == [(10, 1)]


# ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_rights_of_a_key() -> None:
    question = Bybit().key_question(KEYS, NOW)
    assert question is not None
    assert (question.at, question.request.path) == ("bybit", "/v5/user/query-api")

    def rights(**changed: Any) -> tuple[bool | None, str]:
        body = json.dumps(answered(KEY | changed)).encode()
        found = Bybit().key_rights(KEYS, Answer(question.request, 200, body))
        return found.withdraws, found.detail

    assert rights() == (False, "bound to no IP address, which it could be")
    assert rights(ips=["10.0.0.1"]) == (False, "bound to IP addresses")
    assert rights(readOnly=1) == (False, "it is read-only, and can't trade")
    withdraws, detail = rights(permissions={"Wallet": ["AccountTransfer", "Withdraw"]})
    assert (withdraws, "Withdraw" in detail) == (True, True)


def test_an_answer_that_says_nothing_of_the_rights() -> None:
    question = Bybit().key_question(KEYS, NOW)
    assert question is not None
    with pytest.raises(Refused):
        Bybit().key_rights(KEYS, Answer(question.request, 200, json.dumps(answered({}, 10003, "bad")).encode()))
    with pytest.raises(MalformedFrame):
        Bybit().key_rights(KEYS, Answer(question.request, 200, json.dumps(answered({})).encode()))
    assert Bybit().key_rights(KEYS, None).withdraws is None


def test_the_addresses() -> None:
    exchange = Bybit()
    assert exchange.ID == "bybit"
    assert exchange.PRIVATE_WS_URL == exchange.WS_URL == "wss://stream.bybit.com"
    assert all("testnet" in address for address in exchange.TESTNET)
    assert exchange.account_name(replace(KEYS, key="abcdefghijklmnopqrst")) == "key abcd…qrst"
