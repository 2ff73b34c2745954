"""Kraken's pairs, limits, clock and the rights of a key."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from neuroflux.cli.audit.exchanges import LEFT_TO_TRADING
from neuroflux.errors import MalformedFrame, NeuroFluxError, Refused
from neuroflux.exchanges.kit.requests import ORDER_BUCKET, DecayingCounter, EachInstrument, Request
from neuroflux.exchanges.kraken.exchange import Kraken
from neuroflux.exchanges.kraken.limits import AUDIT, INTERMEDIATE, POLLING, PRO, QUERIES, STARTER, TOKEN, Tier, buckets
from tests.neuroflux.exchanges.kraken.listed import (
    KEYS,
    NOW,
    PAIRS,
    answer,
    instrument,
    instruments,
    pair,
    refused,
    result,
)

D = Decimal
LIST = Request("GET", "/0/public/AssetPairs", tag="pairs")
RATE = refused("EAPI:Rate limit exceeded")


def test_a_pair_has_its_symbol_its_rules_and_the_lowest_tiers_fees() -> None:
    one = instrument("BTC/USD")
    assert (one.name, one.base, one.quote, one.market) == ("XXBTZUSD", "BTC", "USD", "BTC/USD")
    assert (one.tick_size, one.quantity_step) == (D("0.1"), D("0.00000001"))
    assert (one.min_quantity, one.min_notional) == (D("0.00005"), D("0.5"))
    assert (one.taker_fee, one.maker_fee) == (D("0.004"), D("0.0025"))
    assert [found.symbol for found in instruments()] == ["BTC/USD", "DOGE/USD", "ETH/CHF", "USDT/USD", "ZETA/USD"]
    assert not instrument("ETH/CHF").active
    assert instrument("USDT/USD").maker_fee == instrument("USDT/USD").taker_fee == D("0.002")


def test_a_bad_row_costs_itself_and_a_dark_pool_has_no_book() -> None:
    rows = {
        **PAIRS,
        "XXBTZUSD.d": pair("XBTUSD.d", "XBT/USD", "XXBT", "ZUSD"),
        "A": pair("A", "A", "A", "B"),
        "B": pair("B", "A/B", "A", "B", pair_decimals=99),
        "C": pair("C", "A/B", "A", "B", fees=[]),
        "D": {"altname": "D"},
    }
    listing = Kraken().listing([answer(LIST, result(rows))])
    assert listing.instruments == instruments()
    assert len(listing.faults) == 4


@pytest.mark.parametrize("body", [b"[]", b"{}", result([]), result({}), result({"ZUSD": {"balance": "1"}}), b"<html>"])
def test_what_is_no_list_of_pairs_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedFrame):
        Kraken().listing([answer(LIST, body)])


def test_an_error_is_raised_though_http_is_200_and_a_warning_is_none() -> None:
    with pytest.raises(Refused, match="EGeneral:Unknown method"):
        Kraken().listing([answer(LIST, refused("EGeneral:Unknown method"))])
    with pytest.raises(NeuroFluxError, match="EService:Unavailable"):
        Kraken().listing([answer(LIST, refused("EService:Unavailable"))])
    assert Kraken().listing([answer(LIST, result(PAIRS, "WGeneral:Danger"))]).instruments == instruments()


def test_the_clock_is_read_in_the_middle_of_its_second() -> None:
    body = result({"unixtime": 1_760_000_000, "rfc1123": "Thu"})
    assert Kraken().server_time(answer(Kraken.TIME, body)) == NOW + 500_000


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tier", [STARTER, INTERMEDIATE, PRO])
def test_the_shares_of_the_counter_are_together_what_the_exchange_allows(tier: Tier) -> None:
    declared = buckets(tier)
    used = {QUERIES: 1.0, POLLING: 1.0, TOKEN: 1.0, AUDIT: 1 - LEFT_TO_TRADING}
    counters = [
        (one, used[name]) for name, one in declared.items() if name in used and isinstance(one, DecayingCounter)
    ]
    assert len(counters) == 4
    assert sum(one.maximum * part for one, part in counters) == pytest.approx(tier.private.maximum)
    assert sum(one.decay * part for one, part in counters) == pytest.approx(tier.private.decay)
    assert declared[ORDER_BUCKET] == EachInstrument(tier.orders)
    assert buckets(STARTER) == Kraken.BUCKETS


def test_what_is_polled_in_a_minute_fits_in_its_share() -> None:
    feed, share = Kraken().account_feed(KEYS, instruments()), Kraken.BUCKETS[POLLING]
    requests = feed.resync(NOW - 1, NOW)
    assert {one.bucket for one in (*requests, *feed.fees(["BTC/USD"], NOW))} == {POLLING}
    assert {one.bucket for one in feed.opening(NOW)} == {TOKEN}, "the socket does not wait for what is polled"
    assert isinstance(share, DecayingCounter)
    assert sum(one.weight for one in requests) <= share.decay * 60


def test_a_full_counter_of_requests_holds_up_polling_and_no_order() -> None:
    of = {
        name: answer(Request("POST", "/0/private/X", bucket=name), RATE)
        for name in (POLLING, AUDIT, QUERIES, "orders XXBTZUSD")
    }
    waits = {POLLING: 5.0, AUDIT: 5.0, QUERIES: None, "orders XXBTZUSD": None}
    assert {name: Kraken().usage(one).wait for name, one in of.items()} == waits


def test_what_holds_up_everything_does() -> None:
    def wait(body: bytes, status: int = 200) -> float | None:
        return Kraken().usage(answer(Request("POST", "/0/private/AddOrder"), body, status)).wait

    assert wait(refused("EGeneral:Temporary lockout")) == 900.0
    assert wait(refused(f"EService: Throttled: {NOW // 1_000_000 + 30}")) == 30.0
    assert wait(refused("EService: Throttled: soon")) == 5.0
    assert wait(b"", 429) == 1.0
    assert wait(result({})) is None
    assert Kraken().usage(answer(LIST, refused("EOrder:Rate limit exceeded"))).is_full


def test_only_a_nonce_that_came_too_late_is_signed_again() -> None:
    def is_overtaken(body: bytes, status: int = 200) -> bool:
        return Kraken().is_overtaken(answer(Request("POST", "/0/private/AddOrder"), body, status))

    assert is_overtaken(refused("EAPI:Invalid nonce"))
    assert not is_overtaken(refused("EAPI:Invalid nonce", "EService:Timeout"))
    assert not is_overtaken(refused("EAPI:Invalid nonce"), 502)
    assert not is_overtaken(refused("EAPI:Invalid signature"))
    assert not is_overtaken(refused("EService:Timeout"))
    assert not is_overtaken(json.dumps({"error": [], "result": "EAPI:Invalid nonce"}).encode())


# ── the key ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_key_that_may_withdraw_is_known_by_its_permissions() -> None:
    question = Kraken().key_question(KEYS, NOW)
    assert question is not None
    assert (question.at, question.request.path) == ("kraken", "/0/private/GetApiKeyInfo")

    def withdraws(*permissions: str) -> bool | None:
        body = result({"permissions": list(permissions)})
        return Kraken().key_rights(KEYS, answer(question.request, body)).withdraws

    assert withdraws("query-funds", "withdraw-funds")
    assert withdraws("query-funds") is False
    with pytest.raises(Refused, match="Invalid key"):
        Kraken().key_rights(KEYS, answer(question.request, refused("EAPI:Invalid key")))
