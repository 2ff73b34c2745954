"""What Binance reports of an account, spot and USDⓈ-M, becomes reports, fills, balances and positions."""

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    ExchangeStatus,
    Fill,
    Liquidity,
    OrderReport,
    OrderState,
    Position,
    Side,
)
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import Hold, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

KEYS = Keys("the-key", "the-secret")
NOW = 1_700_000_000_000_000
D = Decimal


def spot() -> AccountFeed:
    return Binance().account_feed(KEYS, [])


def usdm() -> AccountFeed:
    return BinanceUsdm().account_feed(KEYS, [])


def execution(**changed: Any) -> str:
    event = {
        "e": "executionReport",
        "E": 1,
        "s": "BTCUSDT",
        "c": "mine",
        "S": "BUY",
        "o": "LIMIT",
        "f": "GTC",
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
        "T": 1700000000000,
        "t": 55,
        "m": True,
        "Z": "99.5",
    }
    return json.dumps({"subscriptionId": 0, "event": {**event, **changed}})


def test_a_trade_is_a_report_and_a_fill() -> None:
    report, fill = spot().frame(execution(), NOW)
    assert isinstance(report, OrderReport)
    assert (report.client_order_id, report.state, report.filled_quantity) == ("mine", OrderState.WORKING, D(1))
    assert report.average_price == D("99.5")
    assert isinstance(fill, Fill)
    assert (fill.trade_id, fill.price, fill.quantity, fill.fee, fill.fee_asset) == (
        "55",
        D(99),
        D("0.5"),
        D("0.1"),
        "BNB",
    )
    assert (fill.side, fill.liquidity, fill.event_time) == (Side.BUY, Liquidity.MAKER, NOW)


def test_a_cancelled_order_is_reported_by_its_own_id_not_the_cancels() -> None:
    (report,) = spot().frame(execution(x="CANCELED", X="CANCELED", c="the-cancel", C="mine"), NOW)
    assert isinstance(report, OrderReport)
    assert (report.client_order_id, report.state) == ("mine", OrderState.CANCELLED)


def test_balances_are_absolute_and_a_delta_is_not_added() -> None:
    position = {"e": "outboundAccountPosition", "E": 1, "u": 1700000000000, "B": [{"a": "BTC", "f": "1", "l": "2"}]}
    (balance,) = spot().frame(json.dumps(position), NOW)
    assert balance == Balance("binance", "BTC", D(1), D(2), D(0), D(3), NOW)
    (event,) = spot().frame('{"e":"balanceUpdate","E":1,"a":"BTC","d":"5","T":1}', NOW)
    assert isinstance(event, AccountTransfer)


def test_after_an_external_lock_the_balances_are_requested() -> None:
    feed, lock = spot(), {"e": "externalLockUpdate", "E": 1700000000123, "a": "NEO", "d": "10.00000000", "T": 1}
    (needed,) = feed.frame(json.dumps({"subscriptionId": 0, "event": lock}), NOW)
    assert isinstance(needed, PageNeeded)
    asked = parse_qs(urlsplit(needed.request.path).query)
    assert (needed.request.method, urlsplit(needed.request.path).path) == ("GET", "/api/v3/account")
    assert (asked["timestamp"], asked["recvWindow"]) == (["1700000000123"], ["60000"]), "the exchange's own time"
    held = {"balances": [{"asset": "NEO", "free": "5", "locked": "10"}]}
    (balance,) = feed.answer(Answer(needed.request, 200, json.dumps(held).encode()), NOW)
    assert balance == Balance("binance", "NEO", D(5), D(10), D(0), D(15), NOW)
    (unread,) = feed.frame('{"e":"externalLockUpdate","E":"soon"}', NOW)
    assert isinstance(unread, Undecodable)


@pytest.mark.parametrize(
    ("feed", "raw"),
    [
        (spot(), '{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}'),
        (
            spot(),
            '{"id":"account","status":400,"error":{"code":-1022,"msg":"Signature for this request is not valid."}}',
        ),
        (usdm(), '{"e":"listenKeyExpired","E":1}'),
    ],
)
def test_the_end_of_a_stream_is_reported(feed: AccountFeed, raw: str) -> None:
    (event,) = feed.frame(raw, NOW)
    assert isinstance(event, ExchangeStatus)
    assert event.kind == "disconnected"


@pytest.mark.parametrize(
    ("code", "again", "held"),
    [(-1003, 600_000, 600.0), (-1003, -5, 60.0), (-1003, 10**12, 259_200.0), (-1003, None, 60.0), (-1022, 9, None)],
)
@pytest.mark.parametrize("skew", [0, -2_000, 130_000])
def test_a_ban_on_the_stream_pauses_everything(code: int, again: int | None, held: float | None, skew: int) -> None:
    """By the exchange's clock alone, however far ours is off it."""
    its = NOW // 1000 + skew
    data = {} if again is None else {"data": {"serverTime": its, "retryAfter": its + again}}
    raw = json.dumps({"id": "account", "status": 418, "error": {"code": code, "msg": "IP banned", **data}})
    events = spot().frame(raw, NOW // 1000 * 1000)
    assert [one.seconds for one in events if isinstance(one, Hold)] == ([] if held is None else [held])
    assert isinstance(events[-1], ExchangeStatus)


def test_a_ban_on_the_stream_that_names_its_end_in_the_text_alone() -> None:
    error = {"code": -1003, "msg": f"Way too much request weight used; IP banned until {NOW // 1000 + 90_000}."}
    events = spot().frame(json.dumps({"id": "account", "status": 418, "error": error}), NOW // 1000 * 1000)
    assert [one.seconds for one in events if isinstance(one, Hold)] == [90.0]


def test_a_listen_key_opens_the_stream() -> None:
    feed = usdm()
    request, *_ = feed.opening(NOW)
    assert (request.method, request.headers["X-MBX-APIKEY"]) == ("POST", "the-key")
    feed.answer(Answer(request, 200, b'{"listenKey":"abc"}'), NOW)
    assert feed.subscriptions(NOW)[0].path == "/private/ws?listenKey=abc"


def test_a_future_order_is_reported_and_its_short_form_is_not_counted_twice() -> None:
    order = {
        "s": "BTCUSDT",
        "c": "mine",
        "S": "SELL",
        "o": "MARKET",
        "q": "1",
        "p": "0",
        "ap": "100",
        "x": "TRADE",
        "X": "FILLED",
        "i": 9,
        "l": "1",
        "z": "1",
        "L": "100",
        "n": "0.05",
        "N": "USDT",
        "T": 1700000000000,
        "t": 3,
        "m": False,
    }
    report, fill = usdm().frame(json.dumps({"e": "ORDER_TRADE_UPDATE", "E": 1, "T": 1, "o": order}), NOW)
    assert isinstance(report, OrderReport)
    assert (report.state, report.average_price, report.side) == (OrderState.FILLED, D(100), Side.SELL)
    assert isinstance(fill, Fill)
    assert (fill.liquidity, fill.fee) == (Liquidity.TAKER, D("0.05"))
    (again,) = usdm().frame('{"e":"TRADE_LITE","E":1,"s":"BTCUSDT","q":"1","p":"0","m":false,"t":3}', NOW)
    assert isinstance(again, Ignored)


COIN_M: list[dict[str, Any]] = [
    {
        "e": "ACCOUNT_UPDATE",
        "a": {
            "m": "ORDER",
            "B": [{"a": "BTC", "wb": "2", "cw": "2"}],
            "P": [{"s": "BTCUSD_PERP", "pa": "-100", "ep": "5", "up": "0"}],
        },
    },
    {
        "e": "ORDER_TRADE_UPDATE",
        "o": {
            "s": "BTCUSD_PERP",
            "c": "mine",
            "S": "SELL",
            "o": "LIMIT",
            "q": "100",
            "p": "100",
            "ap": "100",
            "x": "TRADE",
            "X": "FILLED",
            "i": 9,
            "l": "100",
            "z": "100",
            "L": "100",
            "T": 1,
            "t": 3,
            "ma": "BTC",
        },
    },
    {"e": "ACCOUNT_CONFIG_UPDATE", "ac": {"s": "BTCUSD_PERP", "l": 25}},
]


@pytest.mark.parametrize("event", COIN_M, ids=lambda one: str(one["e"]))
def test_events_of_coin_m_are_dropped(event: dict[str, Any]) -> None:
    times = {"E": 1_790_000_000_000, "T": 1_790_000_000_000}
    assert usdm().frame(json.dumps({**event, **times, "st": 2}), NOW) == (Ignored(f"{event['e']} of COIN-M"),)
    ours = usdm().frame(json.dumps({**event, **times, "st": 1}), NOW)
    assert ours == usdm().frame(json.dumps({**event, **times}), NOW)
    if event["e"] != "ACCOUNT_CONFIG_UPDATE":
        assert not any(isinstance(one, Ignored) for one in ours)


def test_a_push_changes_what_is_free_by_wallet_profit_and_margin() -> None:
    feed = usdm()
    asset = {"asset": "USDT", "walletBalance": "100", "positionInitialMargin": "30", "openOrderInitialMargin": "10"}
    answer = Answer(Request("GET", "/fapi/v3/account"), 200, json.dumps({"assets": [asset], "positions": []}).encode())
    (balance,) = feed.answer(answer, NOW)
    assert balance == Balance("binanceusdm", "USDT", D(60), D(10), D(30), D(100), NOW)
    update = {
        "m": "ORDER",
        "B": [{"a": "USDT", "wb": "90", "cw": "90"}],
        "P": [{"s": "X", "pa": "-2", "ep": "5", "up": "1"}],
    }
    changed, position = feed.frame(json.dumps({"e": "ACCOUNT_UPDATE", "E": 1700000000000, "a": update}), NOW)
    assert isinstance(changed, Balance)
    assert (changed.free, changed.total) == (D(60 - 10 + 1 - 9), D(90))  # 9 of 10 bought: no leverage is known
    assert changed.total == changed.free + changed.in_orders + changed.in_positions
    assert isinstance(position, Position)
    assert (position.quantity, position.entry_price, position.unrealised_pnl) == (D(-2), D(5), D(1))


def test_the_spot_stream_is_signed_over_sorted_parameters() -> None:
    frame = json.loads(spot().subscriptions(NOW)[0].frames[0])
    assert frame["method"] == "userDataStream.subscribe.signature"
    assert frame["params"]["timestamp"] == NOW // 1000
    assert len(frame["params"]["signature"]) == 64
    assert "the-secret" not in json.dumps(frame)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_any_bytes_give_events_and_no_exception(raw: bytes | str) -> None:
    body = raw if isinstance(raw, bytes) else raw.encode(errors="replace")
    for feed in (spot(), usdm()):
        assert feed.frame(raw, NOW)
        assert feed.answer(Answer(Request("GET", "/x"), 200, body), NOW) is not None


@given(st.dictionaries(st.sampled_from(list("csSopqxXilzLnNTtmZCr")), st.none() | st.integers() | st.text(max_size=4)))
def test_any_report_gives_events_and_no_exception(changed: dict[str, Any]) -> None:
    assert spot().frame(execution(**changed), NOW)
