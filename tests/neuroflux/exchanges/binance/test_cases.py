"""The cases of ../shared/cases that are Binance's, through ``decode``: made by others, with the correct output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroflux.domain import InDoubt, Outcome, Reject, Throttled
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.decode import decode_lines
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

CASES = Path(__file__).parents[5] / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not here")


def decoded(case: str) -> list[dict[str, Any]]:
    exchange = "binance" if case.startswith("spot_") else "binanceusdm"
    lines = (CASES / f"{case}.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in decode_lines(exchange, lines)]
    assert {one["line"] for one in events} == set(range(1, len(lines) + 1))
    return events


def of(events: list[dict[str, Any]], kind: str, *fields: str) -> list[tuple[Any, ...]]:
    return [tuple(one[field] for field in fields) for one in events if one["type"] == kind]


def outcomes(case: str) -> list[Outcome]:
    client = BinanceUsdm().order_client(Keys("k", "s"), [])
    lines = [json.loads(line) for line in (CASES / f"{case}.jsonl").read_text().splitlines()]
    return [
        client.outcome(Answer(Request("POST", "/x", tag=one["tag"]), one["status"], one["raw"].encode()))
        for one in lines
    ]


def test_what_was_closed_or_sold_while_disconnected() -> None:
    closed = decoded("usdm_position_closed_while_away")
    assert of(closed, "position", "symbol", "quantity") == [("SOLUSDT", "10"), ("SOLUSDT", "0")]
    sold = of(decoded("spot_asset_sold_while_away"), "balance", "line", "asset", "total")
    assert sold[2:] == [(2, "USDT", "1600"), (2, "SOL", "0")]


def test_average_price_is_unknown() -> None:
    (order,) = of(decoded("usdm_order_without_cumquote"), "order", "filled_quantity", "average_price")
    assert order == ("10", None)


def test_codes() -> None:
    results = outcomes("usdm_definite_codes_in_doubt")
    assert all(isinstance(one, Reject) for one in results)
    assert [one.code for one in results if isinstance(one, Reject) and one.is_untimely] == ["-5028"]
    assert not any(isinstance(one, InDoubt) for one in results)
    (overload,) = outcomes("usdm_1008_holds_everything")
    assert isinstance(overload, Throttled)
    assert overload.risk_only


def test_listen_key() -> None:
    (status,) = of(decoded("usdm_listenkey_gone"), "status", "kind", "channel")
    assert status == ("disconnected", "account")


def test_contract_types() -> None:
    assert of(decoded("usdm_tradifi_perpetual"), "quote", "symbol") == [("TSLA/USDT:USDT",), ("SOL/USDT:USDT",)]
    assert of(decoded("usdm_empty_contract_type"), "quote", "symbol") == [("BTCSTUSDT",)]
    assert of(decoded("usdm_one_bad_row_fails_all"), "quote", "symbol") == [("SOL/USDT:USDT",)]


def test_funding_intervals() -> None:
    events = of(decoded("usdm_funding_interval_stale"), "funding", "symbol", "interval_hours")
    assert events == [("AAAUSDT", None), ("BBBUSDT", 8), ("AAAUSDT", 4), ("AAAUSDT", 1), ("AAAUSDT", 1)]


def test_free_funds() -> None:
    assert of(decoded("usdm_free_ignores_unrealised_loss"), "balance", "free", "total") == [("200", "1000")]
    before, after = of(decoded("usdm_free_after_fill"), "balance", "free", "in_orders", "in_positions", "total")
    assert before[0] == "1000"
    assert float(after[0]) <= 999.4 - 3000 / 125
    assert sum(map(float, after[:3])) == float(after[3]) == 999.4


def test_credits() -> None:
    events = of(decoded("usdm_bnfcr_wallet"), "balance", "asset", "total")
    assert events == [("BNFCR", "-12.4"), ("USDC", "500"), ("BNFCR", "-13.1")]


def test_hedge_mode_is_refused() -> None:
    events = decoded("usdm_hedge_mode_positions")
    assert of(events, "status", "kind", "value") == [("mode", 1.0)]
    assert of(events, "position", "symbol") == []


def test_liquidation() -> None:
    events = decoded("usdm_liquidation_calculated")
    assert of(events, "order", "state", "reason") == [("filled", "liquidation")]
    assert of(events, "fill", "quantity", "price", "fee", "trade_id") == [("10", "141.2", "0.7", "88001")]


def test_expire_reason() -> None:
    ((reason,),) = of(decoded("usdm_expire_reason"), "order", "reason")
    assert reason.startswith("expire reason 8: ")


def test_trades_arrive_on_the_public_route() -> None:
    assert of(decoded("usdm_trade_route"), "trade", "symbol", "price") == [("SOLUSDT", "150.1")]
    with_trades = [one for one in _paths() if "@trade" in one]
    assert with_trades
    assert all(one.startswith("/public/") for one in with_trades)


def _paths() -> list[str]:
    raw = (CASES / "usdm_tradifi_perpetual.jsonl").read_text().splitlines()[0]
    answer = Answer(Request("GET", "/fapi/v1/exchangeInfo"), 200, json.loads(raw)["raw"].encode())
    instruments = BinanceUsdm().listing([answer]).instruments
    feed = BinanceUsdm().market_feed(instruments)
    return [one.path for one in feed.subscriptions([one.symbol for one in instruments])]


def test_shutdown_and_empty_side() -> None:
    assert of(decoded("spot_server_shutdown"), "status", "kind") == [("disconnected",)] * 2
    events = decoded("spot_bookticker_empty_side")
    assert of(events, "quote") == []
    assert of(events, "status", "kind", "symbol") == [("excluded", "ABCUSDT")]


def test_a_fill_before_its_listing_has_the_exchanges_own_identity() -> None:
    events = decoded("spot_new_listing_counted_twice")
    assert set(of(events, "fill", "exchange", "name", "trade_id")) == {("binance", "NEWXUSDT", "900")}


def test_spot_refusals() -> None:
    client = Binance().order_client(Keys("k", "s"), [])
    for code in (-1002, -1010):
        body = json.dumps({"code": code, "msg": "no"}).encode()
        assert isinstance(client.outcome(Answer(Request("POST", "/x", tag="place"), 400, body)), Reject)
