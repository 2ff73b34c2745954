"""Kraken's private feed: orders are put together, fills are rows of their own, and what is missed is requested."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import pytest

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    ExchangeStatus,
    Fill,
    Liquidity,
    OrderReport,
    OrderState,
    Side,
    StatusKind,
    TransferKind,
)
from neuroflux.exchanges.kit.events import FeeRates, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Request
from neuroflux.exchanges.kraken.account import KrakenAccountFeed
from neuroflux.exchanges.kraken.limits import TOKEN
from neuroflux.exchanges.kraken.rest import asked
from tests.neuroflux.exchanges.kraken.listed import KEYS, NOW, TIME, answer, instruments, refused, result

SECOND: Final = 1_000_000
D = Decimal
ID: Final = "OAAAAA-BBBBB-CCCCCC"
WHOLE: Final = {
    "order_id": ID,
    "cl_ord_id": "mine",
    "symbol": "BTC/USD",
    "side": "buy",
    "order_type": "limit",
    "order_qty": 0.4,
    "limit_price": 64000.0,
    "exec_type": "pending_new",
    "order_status": "pending_new",
    "cum_qty": 0,
    "timestamp": TIME,
}
NEW: Final = {"order_id": ID, "exec_type": "new", "order_status": "new", "timestamp": TIME}
TRADED: Final = NEW | {
    "exec_id": "T1",
    "exec_type": "trade",
    "order_status": "partially_filled",
    "symbol": "BTC/USD",
    "side": "buy",
    "last_qty": 0.4,
    "last_price": 63999.5,
    "cum_qty": 0.4,
    "avg_price": 63999.5,
    "liquidity_ind": "m",
    "fees": [{"asset": "USD", "qty": 6.4}],
}
FILLED: Final = NEW | {"exec_type": "filled", "order_status": "filled", "cum_qty": 0.4, "avg_price": 63999.5}


def feed() -> KrakenAccountFeed:
    return KrakenAccountFeed(KEYS, instruments())


def frame(channel: str, kind: str, *rows: Any, **more: Any) -> bytes:
    return json.dumps({"channel": channel, "type": kind, "data": rows, **more}).encode()


def executions(one: KrakenAccountFeed, *rows: Any, kind: str = "update") -> list[Any]:
    return list(one.frame(frame("executions", kind, *rows), NOW))


def request(one: KrakenAccountFeed, tag: str) -> Request:
    wanted = (*one.opening(NOW), *one.resync(NOW, NOW), *one.fees(["BTC/USD"], NOW))
    return next(found for found in wanted if found.tag == tag)


# ── the socket ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_socket_is_opened_with_a_token() -> None:
    one = feed()
    assert one.subscriptions(NOW) == ()
    (wanted,) = one.opening(NOW)
    assert (wanted.path, wanted.bucket) == ("/0/private/GetWebSocketsToken", TOKEN)
    one.answer(answer(wanted, result({"token": "a-token", "expires": 900})), NOW)
    (subscription,) = one.subscriptions(NOW)
    first, second = (json.loads(text) for text in subscription.frames)
    more = {"token": "a-token", "snap_orders": True, "snap_trades": False}
    assert first == {"method": "subscribe", "params": {"channel": "executions", **more}}
    assert second["params"] == {"channel": "balances", "token": "a-token", "snapshot": True}


def opened() -> KrakenAccountFeed:
    one = feed()
    (wanted,) = one.opening(NOW)
    one.answer(answer(wanted, result({"token": "a-token", "expires": 900})), NOW)
    return one


def test_a_token_opens_further_sockets_until_it_expires() -> None:
    one = opened()
    assert one.opening(NOW + 800 * SECOND) == ()
    assert one.subscriptions(NOW + 800 * SECOND)
    assert len(one.opening(NOW + 850 * SECOND)) == 1
    assert one.subscriptions(NOW + 850 * SECOND) == (), "the token of before may be too old"


def test_a_token_that_is_refused_opens_no_further_socket() -> None:
    one = opened()
    refusal = {"method": "subscribe", "error": "ESession:Invalid session", "success": False}
    (status,) = one.frame(json.dumps(refusal), NOW)
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.DISCONNECTED
    assert len(one.opening(NOW + SECOND)) == 1


@pytest.mark.parametrize("raw", [{"method": "subscribe", "error": "ESession:Invalid session", "success": False}])
def test_a_refused_subscription_ends_the_socket(raw: Any) -> None:
    (status,) = feed().frame(json.dumps(raw), NOW)
    assert isinstance(status, ExchangeStatus)
    assert (status.kind, status.channel) == (StatusKind.DISCONNECTED, "account")
    assert "Invalid session" in status.detail


def test_a_hole_in_the_numbers_of_a_channel_ends_the_socket_and_shows_what_came() -> None:
    one = feed()
    one.frame(frame("executions", "snapshot", WHOLE, sequence=1), NOW)
    one.frame(frame("balances", "snapshot", sequence=1), NOW)
    assert not any(
        isinstance(event, ExchangeStatus) for event in one.frame(frame("balances", "update", sequence=2), NOW)
    )
    lost, report = one.frame(frame("executions", "update", NEW, sequence=3), NOW)
    assert isinstance(lost, ExchangeStatus)
    assert lost.kind is StatusKind.DISCONNECTED
    assert isinstance(report, OrderReport)


# ── orders and fills ─────────────────────────────────────────────────────────────────────────────────────────────


def test_a_report_that_names_an_order_by_its_id_alone_has_what_the_first_one_said() -> None:
    one = feed()
    (first,) = executions(one, WHOLE)
    assert (first.symbol, first.state, first.client_order_id) == ("BTC/USD", OrderState.ACKNOWLEDGED, "mine")
    (second,) = executions(one, NEW)
    assert second == first
    fill, working = executions(one, TRADED)
    assert fill == Fill(
        *("", "kraken", "BTC/USD", "mine", ID, "T1", Side.BUY, D("63999.5"), D("0.4"), D("6.4"), "USD"),
        *(Liquidity.MAKER, NOW, "XXBTZUSD"),
    )
    assert (working.state, working.filled_quantity) == (OrderState.WORKING, D("0.4"))
    (filled,) = executions(one, FILLED)
    assert (filled.state, filled.symbol, filled.side) == (OrderState.FILLED, "BTC/USD", Side.BUY)
    assert (filled.quantity, filled.filled_quantity, filled.average_price) == (D("0.4"), D("0.4"), D("63999.5"))
    assert filled.price == D(64000)


def test_an_order_is_forgotten_with_its_end_and_with_a_snapshot_that_leaves_it_out() -> None:
    for kind, rows in (("update", [FILLED]), ("snapshot", [])):
        one = feed()
        executions(one, WHOLE)
        executions(one, *rows, kind=kind)
        (page,) = executions(one, NEW)
        assert isinstance(page, PageNeeded)


def test_an_order_whose_beginning_is_not_known_is_asked_after() -> None:
    canceled = NEW | {"exec_type": "canceled", "order_status": "canceled"}
    (page,) = executions(feed(), canceled, NEW)
    assert isinstance(page, PageNeeded)
    assert (page.request.path, asked(page.request)) == ("/0/private/QueryOrders", {"txid": ID})
    row = {
        "status": "canceled",
        "vol": "1",
        "vol_exec": "0",
        "descr": {"pair": "XDGUSD", "type": "sell", "ordertype": "limit"},
    }
    (report,) = feed().answer(answer(page.request, result({ID: row})), NOW)
    assert isinstance(report, OrderReport)
    assert (report.symbol, report.state, report.client_order_id) == ("DOGE/USD", OrderState.CANCELLED, "")


def test_a_cancelled_order_has_the_reason() -> None:
    one = feed()
    executions(one, WHOLE)
    (report,) = executions(
        one, NEW | {"exec_type": "canceled", "order_status": "canceled", "reason": "Post only order"}
    )
    assert (report.state, report.reason) == (OrderState.CANCELLED, "Post only order")


def test_an_unknown_status_is_kept_and_reported() -> None:
    report, status = executions(feed(), WHOLE | {"order_status": "suspended"})
    assert (report.state, status.kind) == (OrderState.ACKNOWLEDGED, StatusKind.UNKNOWN)
    assert "suspended" in status.detail


@pytest.mark.parametrize("change", [{"last_qty": 0}, {"last_price": "x"}, {"exec_id": ""}, {"order_id": ""}])
def test_a_bad_row_costs_itself(change: dict[str, Any]) -> None:
    bad, *others = reversed(executions(feed(), WHOLE, TRADED | change))
    assert bad.kind is StatusKind.MALFORMED
    assert [type(one) for one in others] == [OrderReport]


# ── balances ─────────────────────────────────────────────────────────────────────────────────────────────────────


def balances(one: KrakenAccountFeed, *rows: Any, kind: str = "update") -> list[Any]:
    return list(one.frame(frame("balances", kind, *rows), NOW))


def test_what_orders_hold_is_that_of_the_last_answer() -> None:
    one = feed()
    held = {"XXBT": {"balance": "1.5", "hold_trade": "0.5"}, "ZETA": {"balance": 2, "hold_trade": 0}}
    found = one.answer(answer(request(one, "balances"), result(held)), NOW)
    assert found == [
        Balance("kraken", "BTC", D("1.0"), D("0.5"), D(0), D("1.5"), NOW),
        Balance("kraken", "ZETA", D(2), D(0), D(0), D(2), NOW),
    ]
    (pushed,) = balances(one, {"asset": "BTC", "balance": 1.2, "timestamp": TIME, "type": "trade"})
    assert pushed == Balance("kraken", "BTC", D("0.7"), D("0.5"), D(0), D("1.2"), NOW)
    (less,) = balances(one, {"asset": "BTC", "balance": 0.2, "type": "trade"})
    assert (less.free, less.in_orders) == (D(0), D("0.2"))


def test_only_the_spot_wallet_counts() -> None:
    wallets = [{"type": "spot", "id": "main", "balance": 1}, {"type": "earn", "id": "flex", "balance": 4}]
    (balance,) = balances(feed(), {"asset": "ETH", "balance": 5, "wallets": wallets}, kind="snapshot")
    assert balance.total == 1
    (ignored,) = balances(feed(), {"asset": "ETH", "balance": 5, "wallet_type": "earn", "type": "deposit"})
    assert isinstance(ignored, Ignored)
    one = feed()
    staked = one.answer(answer(request(one, "balances"), result({"ETH2.S": {"balance": "1", "hold_trade": "0"}})), NOW)
    assert [balance.asset for balance in staked if isinstance(balance, Balance)] == ["ETH2.S"]


def test_an_entry_of_the_ledger_that_is_no_trade_is_a_transfer() -> None:
    entry = {"asset": "USD", "balance": 90, "amount": -100.5, "fee": 0.5, "ledger_id": "L1", "timestamp": TIME}
    _, transfer = balances(feed(), entry | {"type": "withdrawal"})
    expected = (D("-101.0"), TransferKind.TRANSFER, "withdrawal", "L1", NOW)
    assert transfer == AccountTransfer("kraken", "USD", *expected)
    assert balances(feed(), entry | {"type": "staking"})[1].kind is TransferKind.RESULT
    assert balances(feed(), entry | {"type": "new"})[1].kind is TransferKind.UNKNOWN
    assert len(balances(feed(), entry | {"type": "trade"})) == 1


# ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_missed_is_requested_with_its_pages() -> None:
    one = feed()
    wanted = one.resync(NOW + 999_999, NOW)
    assert [found.path.rpartition("/")[2] for found in wanted] == [
        *("BalanceEx", "OpenOrders", "TradesHistory", "ClosedOrders")
    ]
    assert [asked(found).get("start") for found in wanted] == [None, None, "1760000000", "1760000000"]
    fill = {"ordertxid": ID, "pair": "XXBTZUSD", "time": 1.5, "type": "buy", "price": "1", "vol": "2", "fee": "0"}
    first, page = one.answer(answer(wanted[2], result({"trades": {"T1": fill}, "count": 2})), NOW)
    assert isinstance(first, Fill)
    assert isinstance(page, PageNeeded)
    assert asked(page.request) == {**asked(wanted[2]), "ofs": "1"}
    (last,) = one.answer(answer(page.request, result({"trades": {"T0": fill}, "count": 2})), NOW)
    assert isinstance(last, Fill)
    (nothing,) = one.answer(answer(wanted[3], result({"closed": {}, "count": 0})), NOW)
    assert isinstance(nothing, Ignored)


@pytest.mark.parametrize("tag", ["token", "balances", "open orders", "fills", "closed orders", "fees"])
@pytest.mark.parametrize("body", [refused("EAPI:Rate limit exceeded"), b"<html>", result([]), b'{"result":{}}', b"{}"])
def test_a_refused_answer_is_no_empty_list(tag: str, body: bytes) -> None:
    one = feed()
    (event,) = one.answer(answer(request(one, tag), body), NOW)
    assert isinstance(event, Undecodable)


def test_fees_are_fractions_and_those_of_the_account() -> None:
    one = feed()
    wanted = request(one, "fees")
    assert asked(wanted) == {"pair": "XXBTZUSD"}
    fees = {"XXBTZUSD": {"fee": "0.2000", "minfee": "0.1"}, "USDTZUSD": {"fee": "0.1", "nextfee": None}}
    body = result({"currency": "ZUSD", "volume": "1", "fees": fees, "fees_maker": {"XXBTZUSD": {"fee": "0.1000"}}})
    assert one.answer(answer(wanted, body), NOW) == [
        FeeRates("BTC/USD", D("0.002"), D("0.001")),
        FeeRates("USDT/USD", D("0.001"), D("0.001")),
    ]
    assert one.fees([], NOW) == ()
