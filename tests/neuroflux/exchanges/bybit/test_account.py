"""Bybit's private feed: what is requested, what is pushed, what an answer leaves out, and the account's mode."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    ExchangeStatus,
    Fill,
    Instrument,
    InstrumentKind,
    Liquidity,
    OrderReport,
    Position,
    Side,
    StatusKind,
    TransferKind,
)
from neuroflux.exchanges.bybit.account import BybitAccountFeed
from neuroflux.exchanges.bybit.exchange import Bybit
from neuroflux.exchanges.kit.events import FeeRates, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from tests.neuroflux.exchanges.kit.examples.bybit import (
    COIN,
    EXECUTION,
    LOG,
    MS,
    NAME,
    ORDER,
    POSITION,
    answered,
    listed,
    pushed,
)

NOW = 1_795_867_200_123_000
DAY = 86_400_000_000
KEYS = Keys("XXXXXXXXXX", "YYYYYYYYYYYYYYYYYYYY")


def instrument(symbol: str, name: str, settle: str = "") -> Instrument:
    kind = InstrumentKind.PERPETUAL if settle else InstrumentKind.SPOT
    names = {"exchange": "bybit", "symbol": symbol, "market": "SOL/USD", "name": name, "base": "SOL", "quote": "USDT"}
    return Instrument(**names, kind=kind, settle=settle)  # type: ignore[arg-type]


LISTED = [instrument("SOL/USDT", NAME), instrument("SOL/USDT:USDT", f"linear:{NAME}", "USDT")]


def feed() -> BybitAccountFeed:
    return Bybit().account_feed(KEYS, LISTED)


def take(one: BybitAccountFeed, frame: Any) -> list[Any]:
    return list(one.frame(json.dumps(frame).encode(), NOW))


def reply(one: BybitAccountFeed, request: Request, body: Any, status: int = 200) -> list[Any]:
    return list(one.answer(Answer(request, status, json.dumps(body).encode()), NOW))


def query_of(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


def requests_of(one: BybitAccountFeed) -> dict[tuple[str, str], Request]:
    """By path and category."""
    asked = [*one.opening(NOW), *one.resync(NOW - DAY, NOW), *one.transfers(NOW - DAY, NOW), *one.fees([], NOW)]
    return {(urlsplit(each.path).path, query_of(each).get("category", "")): each for each in asked}


BALANCES = ("/v5/account/wallet-balance", "")
POSITIONS = ("/v5/position/list", "linear")

# ── what is requested ────────────────────────────────────────────────────────────────────────────────────────────


def test_the_login_and_the_topics_are_the_frames_of_one_socket() -> None:
    (socket,) = feed().subscriptions(NOW)
    login, topics = (json.loads(frame) for frame in socket.frames)
    assert socket.path == "/v5/private"
    sign = "8d1d4361603403a4a9268b6d05b8dfcb2d605805a59c85edc09baab24c304f78"
    assert login == {"op": "auth", "args": ["XXXXXXXXXX", 1795867210123, sign]}
    assert topics == {"op": "subscribe", "args": ["order", "execution", "position", "wallet"]}
    assert socket.heartbeat == b'{"op":"ping"}'


def test_everything_is_requested_of_both_categories() -> None:
    paths = [f"{urlsplit(one.path).path} {query_of(one)}" for one in feed().resync(NOW - DAY, NOW)]
    span = {"startTime": str((NOW - DAY) // 1000), "endTime": str(NOW // 1000 + 5000), "limit": "100"}
    assert paths == [
        "/v5/account/wallet-balance {'accountType': 'UNIFIED'}",
        "/v5/position/list {'category': 'linear', 'settleCoin': 'USDT', 'limit': '200'}",
        "/v5/order/realtime {'category': 'spot', 'limit': '50'}",
        "/v5/order/realtime {'category': 'linear', 'settleCoin': 'USDT', 'limit': '50'}",
        f"/v5/execution/list { ({'category': 'spot'} | span) }",
        f"/v5/execution/list { ({'category': 'linear'} | span) }",
    ]
    assert [one.path for one in feed().figures(NOW)] == [one.path for one in feed().resync(NOW - DAY, NOW)[:2]]


def test_a_list_of_fills_goes_on_to_its_end() -> None:
    one = feed()
    fills = requests_of(one)["/v5/execution/list", "spot"]
    row = {key: value for key, value in EXECUTION.items() if key != "category"}
    _, more = reply(one, fills, listed("spot", row, cursor="1%3A2"))
    assert more.request.path == f"{fills.path}&cursor=1%3A2"
    assert more.request.headers["X-BAPI-TIMESTAMP"] == str(MS), "the exchange's own time, which the answer has"
    assert not [one for one in reply(one, more.request, listed("spot", row)) if isinstance(one, PageNeeded)]


# ── orders and fills ─────────────────────────────────────────────────────────────────────────────────────────────


def test_orders_of_both_categories_arrive_on_one_topic() -> None:
    spot, linear = take(feed(), pushed("order", ORDER | {"category": "spot"}, ORDER))
    assert isinstance(spot, OrderReport)
    assert (spot.symbol, linear.symbol) == ("SOL/USDT", "SOL/USDT:USDT")
    assert (spot.client_order_id, spot.filled_quantity, spot.average_price) == ("nf1", Decimal(4), Decimal("150.1"))


def test_the_topic_of_a_category_names_it() -> None:
    row = {key: value for key, value in ORDER.items() if key != "category"}
    assert take(feed(), pushed("order.spot", row))[0].symbol == "SOL/USDT"


@pytest.mark.parametrize("category", ["option", "inverse", "combination"])
def test_what_is_not_offered_is_ignored_in_silence(category: str) -> None:
    for topic, row in (("order", ORDER), ("execution", EXECUTION), ("position", POSITION)):
        (ignored,) = take(feed(), pushed(topic, row | {"category": category}))
        assert isinstance(ignored, Ignored)
    (dated,) = take(feed(), pushed("order", ORDER | {"symbol": "BTCUSDT-26DEC25"}))
    assert isinstance(dated, Ignored)


def test_an_unknown_status_is_kept_and_reported() -> None:
    report, status = take(feed(), pushed("order", ORDER | {"orderStatus": "Suspended"}))
    assert not report.state.final
    assert (status.kind, "Suspended" in status.detail) == (StatusKind.UNKNOWN, True)


def test_fees_are_charged_in_their_currency_and_a_rebate_is_negative() -> None:
    spot = EXECUTION | {"category": "spot", "feeCurrency": "SOL", "execFee": "-0.0004", "isMaker": True}
    bought, perpetual = take(feed(), pushed("execution", spot, EXECUTION))
    assert isinstance(bought, Fill)
    assert (bought.fee, bought.fee_asset, bought.liquidity) == (Decimal("-0.0004"), "SOL", Liquidity.MAKER)
    assert (perpetual.fee, perpetual.fee_asset, perpetual.liquidity) == (Decimal("0.33022"), "USDT", Liquidity.TAKER)
    assert (bought.symbol, bought.name, perpetual.name) == ("SOL/USDT", NAME, f"linear:{NAME}")
    assert (bought.side, bought.price, bought.quantity) == (Side.BUY, Decimal("150.1"), Decimal(4))


@pytest.mark.parametrize(
    ("kind", "event"),
    [("Funding", Ignored), ("AdlTrade", Fill), ("BustTrade", Fill), ("Delivery", Fill), ("Surprise", ExchangeStatus)],
)
def test_which_executions_are_fills(kind: str, event: type) -> None:
    (only,) = take(feed(), pushed("execution", EXECUTION | {"execType": kind}))
    assert isinstance(only, event)


def test_a_row_that_can_not_be_read_costs_itself_alone() -> None:
    report, fault = take(feed(), pushed("order", ORDER | {"qty": "1e5"}, ORDER))
    assert isinstance(report, OrderReport)
    assert (fault.kind, NAME in fault.detail) == (StatusKind.MALFORMED, True)
    (error,) = take(feed(), pushed("order", ORDER | {"qty": "1e5"}))
    assert isinstance(error, Undecodable)


# ── balances ─────────────────────────────────────────────────────────────────────────────────────────────────────


def balance_of(**changed: str) -> Balance:
    (balance,) = take(feed(), pushed("wallet", {"accountType": "UNIFIED", "coin": [COIN | changed]}))
    assert isinstance(balance, Balance)
    return balance


def test_what_is_free_is_without_orders_margins_and_losses() -> None:
    balance = balance_of()
    amounts = balance.free, balance.in_orders, balance.in_positions, balance.total
    assert amounts == (Decimal(841), Decimal(120), Decimal(39), Decimal(1000))
    assert (balance.asset, balance.unrealised_pnl, balance.event_time) == ("USDT", Decimal(0), MS * 1000)
    assert balance_of(unrealisedPnl="500").free == Decimal("842.25"), "a profit is not spent"


def test_a_coin_whose_margin_is_another_coin_has_nothing_free() -> None:
    balance = balance_of(walletBalance="50", unrealisedPnl="0")
    assert (balance.free, balance.in_orders, balance.in_positions) == (Decimal(0), Decimal(50), Decimal(0))
    debt = balance_of(walletBalance="-5")
    assert (debt.free, debt.in_orders) == (Decimal(0), Decimal(0))
    assert (debt.in_positions, debt.total) == (Decimal(-5), Decimal(-5))


def test_parts_that_are_not_named_are_0() -> None:
    none = balance_of(locked="", totalOrderIM="", totalPositionIM="", unrealisedPnl="")
    assert (none.free, none.total) == (Decimal(1000), Decimal(1000))


def test_what_a_complete_answer_leaves_out_is_held_no_more() -> None:
    one = feed()
    take(one, pushed("wallet", {"coin": [COIN, COIN | {"coin": "BTC"}]}))
    take(one, pushed("position", POSITION))
    asked = requests_of(one)
    events = reply(one, asked[BALANCES], answered({"list": [{"accountType": "UNIFIED", "coin": [COIN]}]}))
    assert [(each.asset, each.total) for each in events] == [("USDT", Decimal(1000)), ("BTC", Decimal(0))]
    (closed,) = [each for each in reply(one, asked[POSITIONS], listed("linear")) if isinstance(each, Position)]
    assert (closed.symbol, closed.quantity) == ("SOL/USDT:USDT", Decimal(0))
    assert not [each for each in reply(one, asked[POSITIONS], listed("linear")) if isinstance(each, Position)]


def test_what_was_pushed_after_the_request_is_still_held() -> None:
    one = feed()
    take(one, pushed("position", POSITION) | {"creationTime": NOW // 1000 + 1})
    answers = reply(one, requests_of(one)[POSITIONS], listed("linear"))
    assert not any(isinstance(each, Position) for each in answers)


def test_a_page_and_a_row_that_can_not_be_read_are_no_complete_answer() -> None:
    one = feed()
    take(one, pushed("position", POSITION))
    take(one, pushed("wallet", {"coin": [COIN]}))
    asked = requests_of(one)
    page = reply(one, asked[POSITIONS], listed("linear", cursor="next"))
    assert [type(each) for each in page if not isinstance(each, Ignored)] == [PageNeeded]
    unread = reply(one, asked[POSITIONS], listed("linear", POSITION | {"size": "x"}, POSITION | {"symbol": "BTCUSDT"}))
    assert [each.symbol for each in unread if isinstance(each, Position)] == ["BTCUSDT"]
    bad = [COIN | {"coin": "BTC"}, COIN | {"walletBalance": "x"}]
    events = reply(one, asked[BALANCES], answered({"list": [{"accountType": "UNIFIED", "coin": bad}]}))
    assert [each.asset for each in events if isinstance(each, Balance)] == ["BTC"]


# ── positions ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_position_is_negative_and_its_entry_price_has_two_names() -> None:
    (short,) = take(feed(), pushed("position", POSITION))
    expected = Decimal("-2.5"), Decimal("150.5"), Decimal("-1.25")
    assert short == Position("bybit", "SOL/USDT:USDT", *expected, MS * 1000)
    row = {key: value for key, value in POSITION.items() if key not in ("entryPrice", "category")} | {"avgPrice": "149"}
    one = feed()
    (answer,) = reply(one, requests_of(one)[POSITIONS], listed("linear", row | {"side": "Buy"}))
    assert (answer.quantity, answer.entry_price) == (Decimal("2.5"), Decimal(149))


def test_a_position_that_is_closed_is_reported_with_0() -> None:
    (flat,) = take(feed(), pushed("position", POSITION | {"side": "", "size": "0", "unrealisedPnl": ""}))
    assert (flat.quantity, flat.entry_price, flat.unrealised_pnl) == (0, 0, 0)


def test_a_position_that_settles_in_usdc_is_in_no_list_and_ignored() -> None:
    (ignored,) = take(feed(), pushed("position", POSITION | {"symbol": "SOLPERP"}))
    assert isinstance(ignored, Ignored)


# ── the mode ─────────────────────────────────────────────────────────────────────────────────────────────────────


def mode_of(one: BybitAccountFeed, status: int = 6, margin: str = "REGULAR_MARGIN") -> tuple[float, str]:
    info = one.opening(NOW)[0]
    (mode,) = reply(one, info, answered({"unifiedMarginStatus": status, "marginMode": margin}))
    assert mode.kind is StatusKind.MODE
    return mode.value, mode.detail


@pytest.mark.parametrize("status", [3, 4, 5, 6])
@pytest.mark.parametrize("margin", ["REGULAR_MARGIN", "PORTFOLIO_MARGIN"])
def test_modes_that_can_be_traded_in(status: int, margin: str) -> None:
    assert mode_of(feed(), status, margin)[0] == 0.0


def test_modes_that_can_not_be_traded_in_say_what_to_change() -> None:
    value, detail = mode_of(feed(), 1)
    assert (value, "Unified" in detail) == (1.0, True)
    value, detail = mode_of(feed(), 6, "ISOLATED_MARGIN")
    assert (value, "/v5/account/set-margin-mode" in detail) == (1.0, True)


def test_an_unknown_margin_mode_is_reported() -> None:
    one = feed()
    info = one.opening(NOW)[0]
    mode, odd = reply(one, info, answered({"unifiedMarginStatus": 6, "marginMode": "NEW_MARGIN"}))
    assert (mode.value, odd.kind, "NEW_MARGIN" in odd.detail) == (0.0, StatusKind.UNKNOWN, True)


def test_hedge_mode_shows_in_a_flat_position_and_ends() -> None:
    one = feed()
    _, position = one.opening(NOW)
    assert query_of(position) == {"category": "linear", "symbol": NAME}
    flat = POSITION | {"side": "", "size": "0"}
    (status,) = reply(one, position, listed("linear", flat | {"positionIdx": 1}, flat | {"positionIdx": 2}))
    assert (status.kind, status.value) == (StatusKind.MODE, 1.0)
    assert "/v5/position/switch-mode" in status.detail
    assert mode_of(one)[0] == 1.0, "the account's own mode does not end it"
    *_, ended = reply(one, position, listed("linear", flat))
    assert (ended.kind, ended.value) == (StatusKind.MODE, 0.0)


def test_a_position_of_hedge_mode_is_no_position() -> None:
    events = take(feed(), pushed("position", POSITION | {"positionIdx": 2}))
    assert [type(each) for each in events] == [ExchangeStatus]


def test_the_mode_is_requested_again() -> None:
    assert [one.path for one in feed().keep_alive(NOW)] == [one.path for one in feed().opening(NOW)]


# ── the socket ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "frame",
    [
        {"success": False, "ret_msg": "Params Error", "op": "auth", "conn_id": "1"},
        {"op": "auth", "success": False, "retCode": 10003, "retMsg": "Invalid apikey", "connId": "1"},
        {"retCode": 10004, "retMsg": "Invalid sign", "op": "auth", "connId": "1"},
        {"success": False, "ret_msg": "error:request not authorized", "op": "subscribe", "conn_id": "1"},
    ],
)
def test_a_login_or_a_subscription_that_is_refused_ends_the_stream(frame: Any) -> None:
    (status,) = take(feed(), frame)
    assert status.kind is StatusKind.DISCONNECTED
    assert (frame.get("ret_msg") or frame["retMsg"]) in status.detail


@pytest.mark.parametrize(
    "frame",
    [
        {"success": True, "ret_msg": "", "op": "auth", "conn_id": "1"},
        {"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "1"},
        {"success": False, "ret_msg": "error:already subscribed,topic:order", "op": "subscribe"},
        {"op": "pong", "args": [str(MS)], "conn_id": "1"},
        pushed("execution.fast", EXECUTION),
        pushed("greeks", {}),
    ],
)
def test_what_is_no_news_is_ignored(frame: Any) -> None:
    assert all(isinstance(one, Ignored) for one in take(feed(), frame))


# ── fees and transfers ───────────────────────────────────────────────────────────────────────────────────────────


def test_fees_are_of_the_category_that_was_requested() -> None:
    one, rows = feed(), {"list": [{"symbol": NAME, "takerFeeRate": "0.001", "makerFeeRate": "-0.0002"}]}
    for category, symbol in (("spot", "SOL/USDT"), ("linear", "SOL/USDT:USDT")):
        (rates,) = reply(one, requests_of(one)["/v5/account/fee-rate", category], answered(rows))
        assert rates == FeeRates(symbol, Decimal("0.001"), Decimal("-0.0002"))


def test_a_fee_that_is_no_fraction_is_an_error() -> None:
    one, rows = feed(), {"list": [{"symbol": NAME, "takerFeeRate": "1", "makerFeeRate": "0"}]}
    (error,) = reply(one, requests_of(one)["/v5/account/fee-rate", "spot"], answered(rows))
    assert isinstance(error, Undecodable)


def test_transfers_are_what_changed_the_account_without_a_trade() -> None:
    one = feed()
    (request,) = one.transfers(NOW - DAY, NOW)
    rows = [LOG, *(LOG | {"type": kind, "change": "-1"} for kind in ("TRADE", "SETTLEMENT", "INTEREST", "NEW_TYPE"))]
    moved, interest, new, status = reply(one, request, listed("", *rows))
    time = MS * 1000
    what = TransferKind.TRANSFER, "TRANSFER_IN", LOG["id"], time
    assert moved == AccountTransfer("bybit", "USDT", Decimal(50), *what)
    assert (interest.kind, new.kind, new.quantity) == (TransferKind.RESULT, TransferKind.UNKNOWN, -1)
    assert (status.kind, "NEW_TYPE" in status.detail) == (StatusKind.UNKNOWN, True)


def test_of_a_long_time_transfers_alone_are_requested_week_by_week() -> None:
    one = feed()
    asked = one.transfers(NOW - 10 * DAY, NOW)
    assert [query_of(each)["type"] for each in asked] == ["TRANSFER_IN", "TRANSFER_OUT"]
    *_, more = reply(one, asked[0], listed("") | {"time": NOW // 1000})
    assert query_of(more.request)["type"] == "TRANSFER_IN"
    assert query_of(more.request)["startTime"] == query_of(asked[0])["endTime"]


def test_an_answer_that_was_refused_is_an_error() -> None:
    one = feed()
    for request in requests_of(one).values():
        (error,) = reply(one, request, answered({}, 10003, "API key is invalid."))
        assert isinstance(error, Undecodable)
        assert "10003" in error.reason
