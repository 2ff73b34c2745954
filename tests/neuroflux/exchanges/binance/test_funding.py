"""Funding intervals: unknown at first, then the list's, or what the exchange's own times prove."""

from __future__ import annotations

import json
from typing import Any

import pytest

from neuroflux.domain import ExchangeStatus, Funding, StatusKind
from neuroflux.exchanges.binance.market import BinanceMarketFeed
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, SnapshotNeeded
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

KEYS = Keys("k", "s")
HOUR = 3_600_000
START = 500_000 * HOUR


def feed() -> BinanceMarketFeed:
    return BinanceUsdm().market_feed([])


def marked(at: BinanceMarketFeed, now: int, following: int, name: str = "AUSDT") -> tuple[int | None, bool]:
    """The interval that is reported, in hours, and whether the list was requested; times in ms."""
    mark = {"e": "markPriceUpdate", "E": now, "s": name, "p": "1", "i": "1", "r": "-0.001", "T": following}
    funding, *requests = at.frame(json.dumps({"stream": f"{name.lower()}@markPrice@1s", "data": mark}), 0)
    assert isinstance(funding, Funding)
    assert all(isinstance(one, SnapshotNeeded) and one.request.path == "/fapi/v1/fundingInfo" for one in requests)
    return funding.interval_hours, bool(requests)


def answered(at: BinanceMarketFeed, rows: Any, status: int = 200) -> FeedEvent:
    body = json.dumps(rows).encode()
    (event,) = at.answer(Answer(Request("GET", "/fapi/v1/fundingInfo", tag="fundingInfo"), status, body), 5)
    return event


def test_an_interval_is_unknown_until_the_list_is_answered() -> None:
    at = feed()
    assert marked(at, START, START + HOUR) == (None, True)
    assert isinstance(answered(at, [{"symbol": "AUSDT", "fundingIntervalHours": 4}]), Ignored)
    assert marked(at, START + 1, START + HOUR) == (4, False)
    assert marked(at, START + 1, START + HOUR, "BUSDT") == (8, False)


@pytest.mark.parametrize(("rate", "following"), [("", 0), ("0.00000000", 0)])
def test_a_mark_price_without_a_next_funding_is_none(rate: str, following: int) -> None:
    """A dated future has no rate; of a symbol in settlement the exchange gives 0 as the time of the next one."""
    mark = {"e": "markPriceUpdate", "E": START, "s": "AUSDT", "p": "1", "i": "1", "r": rate, "T": following}
    (event,) = feed().frame(json.dumps({"stream": "ausdt@markPrice@1s", "data": mark}), 0)
    assert isinstance(event, Ignored)


@pytest.mark.parametrize("hours", [1, 2, 4, 8])
def test_from_one_funding_time_to_the_next_is_an_interval(hours: int) -> None:
    at = feed()
    marked(at, START, START + HOUR)
    answered(at, [])
    now = START + HOUR + 1
    assert marked(at, now, START + HOUR + hours * HOUR) == (hours, True)


def test_a_list_is_requested_once_when_many_are_paid_at_the_same_time() -> None:
    at = feed()
    names = ("AUSDT", "BUSDT", "CUSDT")
    assert [marked(at, START, START + HOUR, name)[1] for name in names] == [True, False, False]
    answered(at, [])
    assert [marked(at, START + HOUR + 5, START + 9 * HOUR, name)[1] for name in names] == [True, False, False]


def test_another_symbols_later_time_does_not_prevent_a_request() -> None:
    at = feed()
    marked(at, START, START + 8 * HOUR, "BUSDT")
    answered(at, [])
    marked(at, START + 1, START + HOUR)
    assert marked(at, START + HOUR + 1, START + 2 * HOUR) == (1, True)


def test_times_before_and_after_an_outage_prove_nothing() -> None:
    at = feed()
    marked(at, START, START + HOUR)
    answered(at, [{"symbol": "AUSDT", "fundingIntervalHours": 4}])
    assert marked(at, START + 6 * HOUR, START + 9 * HOUR) == (4, True)


def test_a_time_that_is_moved_before_it_was_reached_is_a_change_and_no_proof() -> None:
    at = feed()
    marked(at, START, START + HOUR)
    answered(at, [])
    assert marked(at, START + HOUR, START + 9 * HOUR) == (8, True)
    answered(at, [])
    assert marked(at, START + 2 * HOUR, START + 5 * HOUR) == (8, True)
    answered(at, [{"symbol": "AUSDT", "fundingIntervalHours": 4}])
    assert marked(at, START + 2 * HOUR + 1, START + 5 * HOUR) == (4, False)


def test_a_list_that_does_not_arrive_is_requested_again_after_a_minute() -> None:
    at = feed()
    marked(at, START, START + HOUR)
    assert marked(at, START + 1_000, START + HOUR) == (None, False)
    answered(at, {"code": -1003, "msg": ""}, status=429)
    assert marked(at, START + 61_000, START + HOUR) == (None, True)


def test_only_a_bad_row_of_the_list_is_skipped() -> None:
    at = feed()
    marked(at, START, START + HOUR)
    rows = [{"symbol": "AUSDT", "fundingIntervalHours": "x"}, {"symbol": "BUSDT", "fundingIntervalHours": 4}]
    event = answered(at, rows)
    assert isinstance(event, ExchangeStatus)
    assert (event.kind, "AUSDT" in event.detail) == (StatusKind.MALFORMED, True)
    assert marked(at, START + 1, START + HOUR, "BUSDT")[0] == 4


def test_what_a_bad_row_would_have_contained_is_unknown_or_as_before() -> None:
    at, bad = feed(), [{"symbol": "AUSDT", "fundingIntervalHours": None}]
    marked(at, START, START + HOUR)
    answered(at, bad)
    assert [marked(at, START + 1, START + HOUR, name)[0] for name in ("AUSDT", "BUSDT")] == [None, 8]
    answered(at, [{"symbol": "AUSDT", "fundingIntervalHours": 4}])
    answered(at, bad)
    assert marked(at, START + 2, START + HOUR)[0] == 4
    answered(at, [])
    assert marked(at, START + 3, START + HOUR)[0] == 8


def test_a_row_without_a_name_may_be_of_any_symbol_that_is_not_named() -> None:
    at = feed()
    marked(at, START, START + HOUR)
    answered(at, [{"fundingIntervalHours": 1}, {"symbol": "BUSDT", "fundingIntervalHours": 4}])
    assert [marked(at, START + 1, START + HOUR, name)[0] for name in ("AUSDT", "BUSDT")] == [None, 4]


def test_streams_are_requested_where_they_are_served() -> None:
    listed = {
        "symbol": "AUSDT",
        "contractType": "PERPETUAL",
        "status": "TRADING",
        "baseAsset": "A",
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "filters": [],
    }
    answer = Answer(Request("GET", "/fapi/v1/exchangeInfo"), 200, json.dumps({"symbols": [listed]}).encode())
    instruments = BinanceUsdm().listing([answer]).instruments
    sockets = BinanceUsdm().market_feed(instruments).subscriptions(["A/USDT:USDT"])
    assert [one.path for one in sockets] == [
        "/public/stream?streams=ausdt@bookTicker/ausdt@depth@100ms/ausdt@trade",
        "/market/stream?streams=ausdt@markPrice@1s",
    ]


TICKER = {"u": 7, "s": "AUSDT", "b": "1.1", "B": "5", "a": "1.2", "A": "5"}


@pytest.mark.parametrize("changed", [{"b": "0.00", "B": "0.0"}, {"A": "0"}, {"a": "0", "A": "0"}])
def test_one_side_gives_no_quote_and_one_status(changed: dict[str, str]) -> None:
    at = feed()
    (event,) = at.frame(json.dumps({**TICKER, **changed}), 9)
    assert isinstance(event, ExchangeStatus)
    assert (event.kind, event.symbol) == (StatusKind.EXCLUDED, "AUSDT")
    (again,) = at.frame(json.dumps({**TICKER, **changed}), 9)
    assert isinstance(again, Ignored)
    kinds = [getattr(one, "kind", "quote") for one in at.frame(json.dumps(TICKER), 9)]
    assert kinds == [StatusKind.INCLUDED, "quote"]
    assert len(at.frame(json.dumps(TICKER), 9)) == 1


@pytest.mark.parametrize(
    "raw",
    [
        '{"error":{"code":2,"msg":"Invalid request"},"id":1}',
        '{"code":2,"msg":"Invalid request: unknown variant","id":3}',
        '{"code":3,"msg":"Invalid request"}',
    ],
)
def test_a_refused_subscription_is_reported(raw: str) -> None:
    (refused,) = feed().frame(raw, 9)
    assert isinstance(refused, ExchangeStatus)
    assert (refused.kind, refused.channel) == (StatusKind.MALFORMED, "error")
    assert "Invalid request" in refused.detail


@pytest.mark.parametrize(
    "raw", ['{"e":"serverShutdown","E":1}', '{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1}}']
)
def test_a_shutdown_is_reported_before_the_disconnect(raw: str) -> None:
    for at in (feed(), BinanceUsdm().account_feed(KEYS, []), Binance().account_feed(KEYS, [])):
        (event,) = at.frame(raw, 9)
        assert isinstance(event, ExchangeStatus)
        assert (event.kind, event.event_time) == (StatusKind.DISCONNECTED, 9)
        assert "serverShutdown" in event.detail
