"""OKX's private feed: the login, what is pushed, what is requested, modes, fees and transfers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

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
    StatusKind,
    TransferKind,
)
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Request
from neuroflux.exchanges.okx.account import OkxAccountFeed
from tests.neuroflux.exchanges.kit.examples.example import encoded
from tests.neuroflux.exchanges.kit.examples.okx import MS, envelope, private
from tests.neuroflux.exchanges.okx.listed import NOW, SPOT, SWAP, account, answer

TIME = int(MS) * 1000
DAY = 86_400_000_000
ORDER = {
    "instType": "SWAP",
    "instId": SWAP.name,
    "ordId": "8001",
    "clOrdId": "nf1",
    "side": "buy",
    "ordType": "limit",
    "state": "partially_filled",
    "sz": "40",
    "accFillSz": "10",
    "px": "150.5",
    "avgPx": "150",
    "uTime": MS,
    "tradeId": "77",
    "fillPx": "150.1",
    "fillSz": "4",
    "fillTime": MS,
    "fillFee": "-0.03",
    "fillFeeCcy": "USDT",
    "fee": "-0.075",
    "feeCcy": "USDT",
    "execType": "M",
    "cancelSource": "",
    "tgtCcy": "",
}
DETAIL = {"ccy": "USDT", "cashBal": "100.5", "availBal": "90", "availEq": "85", "ordFrozen": "5", "uTime": "1"}
POSITION = {
    "instType": "SWAP",
    "instId": SWAP.name,
    "pos": "-15",
    "posSide": "net",
    "mgnMode": "cross",
    "avgPx": "150",
    "upl": "-0.5",
    "uTime": MS,
}
CONFIG = {"acctLv": "2", "posMode": "net_mode", "perm": "read_only,trade", "ip": "", "uid": "7"}


def push(feed: OkxAccountFeed, channel: str, *rows: Any) -> Sequence[FeedEvent]:
    return feed.frame(encoded(private(channel, *rows)), NOW)


def account_row(*details: Any) -> dict[str, Any]:
    return {"totalEq": "100", "uTime": MS, "details": list(details)}


def taken(feed: OkxAccountFeed, request: Request, *rows: Any) -> Sequence[FeedEvent]:
    return feed.answer(answer(envelope(*rows), request), NOW)


# ── the socket ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_it_subscribes_after_the_login_was_answered() -> None:
    (socket,) = account().subscriptions(NOW)
    (login,), (subscribe,) = socket.first, socket.later
    assert json.loads(login)["op"] == "login"
    assert json.loads(subscribe) == {
        "op": "subscribe",
        "args": [
            {"channel": "orders", "instType": "SPOT"},
            {"channel": "orders", "instType": "SWAP"},
            {"channel": "account"},
            {"channel": "positions", "instType": "SWAP"},
        ],
    }
    assert (socket.path, socket.heartbeat, socket.answers) == ("/ws/v5/private", b"ping", ())
    for accepted in (
        '{"event":"login","code":"0","msg":"","connId":"a"}',
        '{"event":"login", "msg" : "", "code": "0"}',
    ):
        assert socket.awaits in accepted.encode()
        assert account().frame(accepted, NOW) == (Ignored("login"),)
    assert socket.awaits not in encoded({"event": "error", "code": "60009", "msg": 'Invalid {"op":"login"}'})


@pytest.mark.parametrize(
    "refused",
    [
        {"event": "error", "code": "60009", "msg": "Login failed."},
        {"event": "error", "code": "60012", "msg": "Invalid request"},
        {"event": "login", "code": "60024", "msg": "Wrong passphrase"},
        {"event": "channel-conn-count-error", "channel": "orders", "connCount": "31"},
        {"event": "notice", "code": "64008", "msg": "closing"},
    ],
)
def test_what_brings_no_data_is_a_lost_connection(refused: dict[str, str]) -> None:
    (status,) = account().frame(encoded(refused), NOW)
    assert isinstance(status, ExchangeStatus)
    assert (status.channel, status.kind) == ("account", StatusKind.DISCONNECTED)
    assert refused.get("code", "orders") in status.detail


@pytest.mark.parametrize("event", ["subscribe", "channel-conn-count"])
def test_acknowledgements_are_no_news(event: str) -> None:
    assert account().frame(encoded({"event": event, "arg": {"channel": "orders"}}), NOW) == (Ignored(event),)


# ── orders ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_has_the_order_and_its_newest_fill_in_coins() -> None:
    report, fill = push(account(), "orders", ORDER)
    assert isinstance(report, OrderReport)
    assert (report.symbol, report.state, report.quantity) == ("SOL/USDT:USDT", OrderState.WORKING, Decimal(4))
    assert (report.filled_quantity, report.average_price) == (Decimal(1), Decimal(150))
    names = ("", "okx", "SOL/USDT:USDT", "nf1", "8001", "77")
    size = Decimal("0.4")
    assert fill == Fill(
        *names, Side.BUY, Decimal("150.1"), size, Decimal("0.03"), "USDT", Liquidity.MAKER, TIME, SWAP.name
    )


def test_a_row_without_a_trade_has_no_fill() -> None:
    events = push(account(), "orders", ORDER | {"tradeId": "", "fillSz": "0", "fillFee": "0", "state": "live"})
    assert [type(one) for one in events] == [OrderReport]


@pytest.mark.parametrize("missing", ["fillFee", "fillFeeCcy"])
def test_a_fill_whose_fee_is_not_pushed_is_requested(missing: str) -> None:
    report, page = push(account(), "orders", {key: text for key, text in ORDER.items() if key != missing})
    assert isinstance(report, OrderReport)
    assert isinstance(page, PageNeeded)
    assert page.request.path == "/api/v5/trade/fills?instType=SWAP&ordId=8001&limit=100"


def test_a_rebate_is_negative_and_a_fee_may_be_in_the_base() -> None:
    spot = ORDER | {"instType": "SPOT", "instId": SPOT.name, "fillFee": "0.001", "fillFeeCcy": "SOL"}
    _, fill = push(account(), "orders", spot)
    assert isinstance(fill, Fill)
    assert (fill.fee, fill.fee_asset, fill.quantity) == (Decimal("-0.001"), "SOL", Decimal(4))


def test_an_unknown_state_is_kept_and_reported() -> None:
    report, status, fill = push(account(), "orders", ORDER | {"state": "hibernated"})
    assert isinstance(report, OrderReport)
    assert isinstance(status, ExchangeStatus)
    assert (report.state, status.kind) == (OrderState.WORKING, StatusKind.UNKNOWN)
    assert isinstance(fill, Fill)


def test_a_bad_row_costs_itself_and_is_named() -> None:
    report, _, status = push(account(), "orders", ORDER | {"sz": "x"}, ORDER)
    assert isinstance(report, OrderReport)
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.MALFORMED
    assert SWAP.name in status.detail


@pytest.mark.parametrize(
    ("kind", "name"), [("FUTURES", "SOL-USDT-270101"), ("SWAP", "SOL-USD-SWAP"), ("MARGIN", "SOL-USDT")]
)
def test_other_products_are_ignored(kind: str, name: str) -> None:
    other = {"instType": kind, "instId": name}
    for channel, row in (("orders", ORDER), ("positions", POSITION)):
        assert all(isinstance(one, Ignored) for one in push(account(), channel, row | other))


def test_what_is_not_listed_has_no_size_until_it_is() -> None:
    feed = account()
    for channel, row in (("orders", ORDER), ("positions", POSITION)):
        (status,) = push(feed, channel, row | {"instId": "NEW-USDT-SWAP"})
        assert isinstance(status, ExchangeStatus)
        assert "NEW-USDT-SWAP" in status.detail


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_balance_is_the_cash_and_what_can_be_spent_of_it() -> None:
    spot = {"ccy": "SOL", "cashBal": "3", "availBal": "2", "availEq": "", "ordFrozen": "1"}
    usdt, sol = push(account(), "account", account_row(DETAIL, spot))
    free, total = Decimal(85), Decimal("100.5")
    assert usdt == Balance("okx", "USDT", free, Decimal(5), total - free - 5, total, TIME)
    assert sol == Balance("okx", "SOL", Decimal(2), Decimal(1), Decimal(0), Decimal(3), TIME)


def test_an_answer_is_as_new_as_its_arrival() -> None:
    (request, _) = account().figures(NOW)
    (usdt,) = taken(account(), request, account_row(DETAIL))
    assert isinstance(usdt, Balance)
    assert usdt.event_time == NOW


def test_all_assets_are_margin_together_in_two_modes() -> None:
    for level, pooled in (("2", False), ("3", True), ("4", True)):
        feed = account()
        taken(feed, feed.opening(NOW)[0], CONFIG | {"acctLv": level})
        (usdt,) = push(feed, "account", account_row(DETAIL))
        assert isinstance(usdt, Balance)
        assert usdt.pooled is pooled


def test_a_position_is_in_coins_with_its_sign() -> None:
    for events in (push(account(), "positions", POSITION), taken(account(), account().figures(NOW)[1], POSITION)):
        (position,) = events
        assert isinstance(position, Position)
        assert (position.symbol, position.quantity) == ("SOL/USDT:USDT", Decimal("-1.5"))
        assert (position.entry_price, position.unrealised_pnl) == (Decimal(150), Decimal("-0.5"))


def test_a_closed_position_is_zero() -> None:
    (position,) = push(account(), "positions", POSITION | {"pos": "0", "avgPx": "", "upl": ""})
    assert position == Position("okx", "SOL/USDT:USDT", Decimal(0), Decimal(0), Decimal(0), TIME)


def test_what_was_closed_while_the_socket_was_lost_is_zero() -> None:
    """No push reports it, and the answer has no row of it: also where it has none at all."""
    feed, later = account(), NOW + 60_000_000
    push(feed, "positions", POSITION)
    push(feed, "account", account_row(DETAIL, {"ccy": "SOL", "cashBal": "3", "availBal": "3"}))
    wallets, held = feed.figures(later)
    assert [
        (one.asset, one.total) for one in taken(feed, wallets, account_row(DETAIL)) if isinstance(one, Balance)
    ] == [
        ("USDT", Decimal("100.5")),
        ("SOL", Decimal(0)),
    ]
    assert [one for one in taken(feed, held) if isinstance(one, Position)] == [
        Position("okx", "SOL/USDT:USDT", Decimal(0), Decimal(0), Decimal(0), NOW)
    ]
    assert not [one for one in taken(feed, held) if isinstance(one, Position)]


def test_an_answer_with_a_row_that_can_not_be_read_closes_nothing() -> None:
    feed = account()
    push(feed, "positions", POSITION)
    events = taken(feed, feed.figures(NOW + 60_000_000)[1], POSITION | {"pos": "many"})
    assert not [one for one in events if isinstance(one, Position)]


def test_a_position_by_side_is_of_a_mode_that_is_not_traded_in() -> None:
    (status,) = push(account(), "positions", POSITION | {"posSide": "short", "pos": "15"})
    assert isinstance(status, ExchangeStatus)
    assert (status.kind, status.value) == (StatusKind.MODE, 1.0)
    assert "net" in status.detail


def test_a_position_on_isolated_margin_is_reported_and_not_counted() -> None:
    (status,) = push(account(), "positions", POSITION | {"mgnMode": "isolated"})
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.UNKNOWN


# ── modes ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("changed", "value", "words"),
    [
        ({}, 0.0, "futures mode"),
        ({"acctLv": "3"}, 0.0, "multi-currency"),
        ({"acctLv": "1"}, 1.0, "switch the account to futures mode"),
        ({"posMode": "long_short_mode"}, 1.0, "net_mode"),
        ({"perm": "read_only"}, 1.0, "Trade"),
    ],
)
def test_the_mode_is_requested_at_the_start_and_says_what_to_change(
    changed: dict[str, str], value: float, words: str
) -> None:
    feed = account()
    (request,) = feed.opening(NOW)
    assert request.path == "/api/v5/account/config"
    (status,) = taken(feed, request, CONFIG | changed)
    assert isinstance(status, ExchangeStatus)
    assert (status.kind, status.value) == (StatusKind.MODE, value)
    assert words in status.detail
    assert [one.path for one in feed.keep_alive(NOW)] == [request.path]


# ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_everything_since_is_requested() -> None:
    paths = [one.path for one in account().resync(NOW - DAY, NOW)]
    assert paths == [
        "/api/v5/account/balance",
        "/api/v5/account/positions?instType=SWAP",
        "/api/v5/trade/orders-pending?limit=100",
        f"/api/v5/trade/fills?begin={(NOW - DAY) // 1000}&limit=100",
    ]


def test_an_error_with_status_200_is_one_and_names_what_was_requested() -> None:
    feed = account()
    (request, _) = feed.figures(NOW)
    (event,) = feed.answer(answer(envelope(code="50113", msg="Invalid Sign"), request), NOW)
    assert isinstance(event, Undecodable)
    assert "/api/v5/account/balance" in event.reason
    assert "50113" in event.reason


def test_a_full_page_of_fills_is_followed_by_the_next() -> None:
    feed = account()
    request = feed.resync(NOW - DAY, NOW)[-1]
    row = {key: ORDER[key] for key in ("instType", "instId", "ordId", "clOrdId", "side", "fillPx", "fillSz", "feeCcy")}
    row |= {"fee": "-1", "execType": "T", "fillTime": MS, "ts": MS}
    rows = [row | {"tradeId": str(at), "billId": str(500 - at)} for at in range(100)]
    *fills, page = taken(feed, request, *rows)
    assert len(fills) == 100
    assert isinstance(page, PageNeeded)
    assert page.request.path.endswith("&after=401")


def test_an_empty_list_is_no_error() -> None:
    feed = account()
    for request in feed.resync(NOW - DAY, NOW):
        (event,) = taken(feed, request)
        assert isinstance(event, Ignored)


# ── fees ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def rates(symbol: str, **row: Any) -> FeeRates:
    feed = account()
    (request,) = feed.fees([symbol], NOW)
    (found,) = taken(feed, request, {"instType": "X", "maker": "", "taker": "", **row})
    assert isinstance(found, FeeRates)
    return found


def test_a_rate_is_requested_by_instrument() -> None:
    spot, swap = account().fees([SPOT.symbol, SWAP.symbol], NOW)
    assert spot.path == "/api/v5/account/trade-fee?instType=SPOT&instId=SOL-USDT"
    assert swap.path == "/api/v5/account/trade-fee?instType=SWAP&instFamily=SOL-USDT"


def test_a_charge_is_positive_and_a_rebate_negative() -> None:
    found = rates(SPOT.symbol, feeGroup=[{"groupId": "1", "maker": "0.0001", "taker": "-0.001"}])
    assert found == FeeRates("SOL/USDT", Decimal("0.001"), Decimal("-0.0001"))


def test_rates_without_groups_are_of_the_quote() -> None:
    old = {"maker": "-0.1", "taker": "-0.2", "makerU": "-0.0002", "takerU": "-0.0005"}
    assert rates(SWAP.symbol, **old) == FeeRates("SOL/USDT:USDT", Decimal("0.0005"), Decimal("0.0002"))
    assert rates(SPOT.symbol, **old) == FeeRates("SOL/USDT", Decimal("0.2"), Decimal("0.1"))


def test_of_several_groups_the_dearest_is_assumed() -> None:
    groups = [{"maker": "-0.001", "taker": "-0.002"}, {"maker": "-0.003", "taker": "-0.001"}]
    assert rates(SPOT.symbol, feeGroup=groups) == FeeRates("SOL/USDT", Decimal("0.002"), Decimal("0.003"))


# ── transfers ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_transfers_are_the_bills_of_that_type() -> None:
    feed = account()
    (request,) = feed.transfers(NOW - DAY, NOW)
    assert request.path == f"/api/v5/account/bills?type=1&begin={(NOW - DAY) // 1000}&limit=100"
    (old,) = feed.transfers(NOW - 30 * DAY, NOW)
    assert old.path.startswith("/api/v5/account/bills-archive?type=1&")
    bill = {"billId": "5", "ccy": "USDT", "balChg": "-2.5", "type": "1", "subType": "12", "ts": MS}
    (moved,) = taken(feed, request, bill, bill | {"type": "8"})
    assert moved == AccountTransfer("okx", "USDT", Decimal("-2.5"), TransferKind.TRANSFER, "bill 1/12", "5", TIME)


def test_a_full_page_of_bills_is_followed_by_the_next() -> None:
    feed = account()
    (request,) = feed.transfers(NOW - DAY, NOW)
    bill = {"ccy": "USDT", "balChg": "1", "type": "1", "subType": "11", "ts": MS}
    *_, page = taken(feed, request, *(bill | {"billId": str(500 - at)} for at in range(100)))
    assert isinstance(page, PageNeeded)
    assert page.request.path == f"{request.path}&after=401"
