"""Deposits and withdrawals that an exchange reports become transfers, and the same ones when reported again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from neuroflux.domain import AccountTransfer, Balance, ExchangeStatus, StatusKind, TransferKind
from neuroflux.exchanges.catalogue import exchange
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed
from neuroflux.exchanges.kit.requests import Answer, Keys

D = Decimal
NOW = 1_700_000_000_000_000
MS = NOW // 1000
USER, OTHER = "0x" + "a" * 40, "0x" + "b" * 40


def feed(name: str) -> AccountFeed:
    return exchange(name).account_feed(Keys(USER, "0x" + "01" * 32), [])


def answered(at: AccountFeed, body: Any, status: int = 200) -> Sequence[FeedEvent]:
    (request,) = at.transfers(NOW - 60_000_000, NOW)
    return at.answer(Answer(request, status, json.dumps(body).encode()), NOW)


def transfers(events: Sequence[FeedEvent]) -> list[tuple[str, Decimal, TransferKind, str]]:
    return [(one.asset, one.quantity, one.kind, one.reason) for one in events if isinstance(one, AccountTransfer)]


def statuses(events: Sequence[FeedEvent]) -> list[tuple[StatusKind, str]]:
    return [(one.kind, one.detail) for one in events if isinstance(one, ExchangeStatus)]


# ── Binance spot ─────────────────────────────────────────────────────────────────────────────────────────────────────


def moved(**changed: Any) -> str:
    """The example of the manual."""
    event = {"e": "balanceUpdate", "E": MS + 42, "a": "BTC", "d": "100.00000000", "T": MS}
    return json.dumps({"subscriptionId": 0, "event": event | changed})


def test_spot_names_a_transfer_by_its_time_and_amount() -> None:
    (transfer,) = feed("binance").frame(moved(), NOW)
    assert transfer == AccountTransfer(
        "binance", "BTC", D(100), TransferKind.TRANSFER, "balanceUpdate", f"{MS}:100", MS * 1000
    )
    (again,) = feed("binance").frame(moved(E=MS + 99), NOW + 1)
    (other,) = feed("binance").frame(moved(d="-100.00000000"), NOW)
    assert isinstance(again, AccountTransfer)
    assert isinstance(other, AccountTransfer)
    assert again.identity == transfer.identity != other.identity
    assert not feed("binance").transfers(0, NOW), "no answer names them again"


@pytest.mark.parametrize("wrong", [{"d": "NaN"}, {"d": None}, {"T": "x"}, {"a": 1}, {"d": "1E+30"}])
def test_an_undecodable_transfer_of_spot_is_reported(wrong: dict[str, Any]) -> None:
    (transfer,) = feed("binance").frame(moved(**wrong), NOW)
    assert isinstance(transfer, Undecodable)


# ── Binance USDⓈ-M ───────────────────────────────────────────────────────────────────────────────────────────────────


def income(kind: str = "TRANSFER", amount: str = "-0.375", number: int | str = 9689322392, **more: Any) -> Any:
    row = {"symbol": "", "incomeType": kind, "income": amount, "asset": "USDT", "info": kind, "time": MS}
    return row | {"tranId": number, "tradeId": ""} | more


def update(reason: str) -> str:
    wallet = {"a": "USDT", "wb": "122624.12345678", "cw": "100.12345678", "bc": "50.12345678"}
    return json.dumps({"e": "ACCOUNT_UPDATE", "E": MS, "T": MS, "a": {"m": reason, "B": [wallet], "P": []}})


def query(page: FeedEvent) -> dict[str, str]:
    assert isinstance(page, PageNeeded)
    assert page.request.path.startswith("/fapi/v1/income?")
    return {name: value[0] for name, value in parse_qs(urlsplit(page.request.path).query).items()}


def test_usdm_reports_transfers_in_its_income_and_not_the_results_of_trading() -> None:
    rows = [
        income(),
        income("REALIZED_PNL", "7"),
        income("COMMISSION", "-1"),
        income("FUNDING_FEE", "2"),
        income("API_REBATE", "0.5", "12"),
    ]
    events = answered(feed("binanceusdm"), rows)
    assert transfers(events) == [
        ("USDT", D("-0.375"), TransferKind.TRANSFER, "TRANSFER"),
        ("USDT", D("0.5"), TransferKind.RESULT, "API_REBATE"),
    ]
    assert not statuses(events)
    first = events[0]
    assert isinstance(first, AccountTransfer)
    assert (first.transfer_id, first.event_time) == ("9689322392", NOW)
    assert transfers(answered(feed("binanceusdm"), [])) == []


def test_an_unknown_income_is_kept_and_reported_and_only_a_bad_row_is_skipped() -> None:
    events = answered(feed("binanceusdm"), [income("MOON_BONUS", "3"), income(income=None), income(number=7)])
    assert transfers(events) == [
        ("USDT", D(3), TransferKind.UNKNOWN, "MOON_BONUS"),
        ("USDT", D("-0.375"), TransferKind.TRANSFER, "TRANSFER"),
    ]
    (bad, unknown) = statuses(events)
    assert bad[0] is StatusKind.MALFORMED
    assert "USDT (row 1)" in bad[1]
    assert unknown == (StatusKind.UNKNOWN, "income of type 'MOON_BONUS'")
    (refused,) = answered(feed("binanceusdm"), {"code": -2015, "msg": "no"}, 401)
    assert isinstance(refused, Undecodable)


def test_a_full_page_of_income_is_followed_by_the_next_one_of_the_same_span() -> None:
    at = feed("binanceusdm")
    (request,) = at.transfers(NOW - 60_000_000, NOW)
    page = [income(number=number) for number in range(1000)]
    *_, more = at.answer(Answer(request, 200, json.dumps(page).encode()), NOW)
    asked = query(more)
    assert (asked["startTime"], asked["endTime"], asked["page"]) == (str(MS - 60_000), str(MS), "2")
    assert isinstance(more, PageNeeded)
    assert len(at.answer(Answer(more.request, 200, json.dumps(page[:999]).encode()), NOW)) == 999


def test_of_more_than_a_day_only_transfers_are_requested_and_read_to_the_end() -> None:
    at = feed("binanceusdm")
    requests = at.transfers(NOW - 25 * 3_600_000_000, NOW)
    asked = [query(PageNeeded(one)) for one in requests]
    assert "TRANSFER" in {one["incomeType"] for one in asked}
    assert {one["startTime"] for one in asked} == {str(MS - 25 * 3_600_000)}
    page = json.dumps([income(number=number) for number in range(1000)]).encode()
    *_, more = at.answer(Answer(requests[0], 200, page), NOW)
    assert query(more)["incomeType"] == asked[0]["incomeType"]


@pytest.mark.parametrize("reason", ["DEPOSIT", "WITHDRAW", "ADMIN_DEPOSIT", "ASSET_TRANSFER", "COIN_SWAP_DEPOSIT"])
def test_a_pushed_deposit_or_withdrawal_requests_its_transfer(reason: str) -> None:
    balance, page = feed("binanceusdm").frame(update(reason), NOW)
    assert isinstance(balance, Balance)
    assert query(page)["startTime"] == str(MS - 60_000)


@pytest.mark.parametrize("reason", ["ORDER", "FUNDING_FEE", "MARGIN_TRANSFER", "MARGIN_TYPE_CHANGE", "INSURANCE_CLEAR"])
def test_trades_and_funding_are_no_transfers(reason: str) -> None:
    (balance,) = feed("binanceusdm").frame(update(reason), NOW)
    assert isinstance(balance, Balance)


def test_an_unknown_reason_is_reported_and_its_transfer_requested() -> None:
    _, status, page = feed("binanceusdm").frame(update("MOON"), NOW)
    assert statuses([status]) == [(StatusKind.UNKNOWN, "an account update for 'MOON'")]
    assert query(page)


# ── Hyperliquid ──────────────────────────────────────────────────────────────────────────────────────────────────────


def row(kind: str, number: int = 1, **delta: Any) -> dict[str, Any]:
    return {"time": MS + number, "hash": "0x" + f"{number:064x}", "delta": {"type": kind, **delta}}


def ledger(*rows: Any, **more: Any) -> str:
    data = {"user": USER, "nonFundingLedgerUpdates": list(rows), **more}
    return json.dumps({"channel": "userNonFundingLedgerUpdates", "data": data})


BETWEEN = {"user": USER, "destination": OTHER, "fee": "1.0"}
SENT: dict[str, Any] = {"token": "HYPE", "amount": "2.0", "usdcValue": "60.0", "nativeTokenFee": "0.0", "nonce": 1}
DEXES = {"sourceDex": "", "destinationDex": "spot"}
TO_US: dict[str, Any] = {"user": OTHER, "destination": USER}
WITHDRAWN = {"requestedUsd": "50.0", "commission": "1.0", "closingCost": "0.0", "basis": "40.0", "user": USER}


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ({"type": "deposit", "usdc": "50.5"}, {"USDC": "50.5"}),
        ({"type": "withdraw", "usdc": "10.0", "nonce": 5, "fee": "1.0"}, {"USDC": "-11"}),
        ({"type": "internalTransfer", "usdc": "5.0", **BETWEEN}, {"USDC": "-6"}),
        ({"type": "internalTransfer", "usdc": "5.0", **BETWEEN, **TO_US}, {"USDC": "5"}),
        ({"type": "subAccountTransfer", "usdc": "5.0", "user": OTHER.upper(), "destination": USER}, {"USDC": "5"}),
        ({"type": "spotTransfer", **SENT, **BETWEEN, "feeToken": "USDC"}, {"HYPE": "-2", "USDC": "-1"}),
        ({"type": "spotTransfer", **SENT, **TO_US, "fee": "1.0", "feeToken": "USDC"}, {"HYPE": "2"}),
        ({"type": "send", **SENT, **DEXES, **TO_US, "token": "USDC:0x6d1e"}, {"USDC": "2"}),
        ({"type": "send", **SENT, **DEXES, "user": USER, "destination": USER, "fee": "0.0"}, {}),
        (
            {"type": "send", **SENT, "sourceDex": "spot", "destinationDex": "xyz", "user": USER, "destination": USER},
            {"HYPE": "-2"},
        ),
        ({"type": "accountClassTransfer", "usdc": "50.0", "toPerp": True}, {}),
        ({"type": "liquidation", "accountValue": "1.0", "leverageType": "Cross", "liquidatedPositions": []}, {}),
        ({"type": "vaultDeposit", "vault": OTHER, "usdc": "20.0"}, {"USDC": "-20"}),
        ({"type": "vaultWithdraw", "vault": OTHER, **WITHDRAWN, "netWithdrawnUsd": "49.0"}, {"USDC": "49"}),
        ({"type": "vaultCreate", "vault": OTHER, "usdc": "100.0", "fee": "100.0"}, {"USDC": "-200"}),
        ({"type": "cStakingTransfer", "token": "HYPE", "amount": "3.0", "isDeposit": True}, {"HYPE": "-3"}),
        ({"type": "rewardsClaim", "token": "HYPE", "amount": "0.1"}, {"HYPE": "0.1"}),
        ({"type": "spotTransfer", **SENT, **TO_US, "token": "TRUMP"}, {"TRUMP#?": "2"}),
    ],
    ids=lambda one: str(one.get("type", "")) if isinstance(one, dict) else "",
)
def test_hyperliquid_reports_deposits_and_withdrawals(delta: dict[str, Any], expected: dict[str, str]) -> None:
    events = feed("hyperliquid").frame(ledger({"time": MS, "hash": "0x1", "delta": delta}), NOW)
    assert {asset: quantity for asset, quantity, _, _ in transfers(events)} == {
        asset: D(amount) for asset, amount in expected.items()
    }
    assert not statuses(events)
    assert {kind for _, _, kind, _ in transfers(events)} <= (
        {TransferKind.RESULT} if delta["type"] == "rewardsClaim" else {TransferKind.TRANSFER}
    )


def test_a_row_of_hyperliquid_is_the_same_in_a_frame_and_in_an_answer() -> None:
    at, transfer = feed("hyperliquid"), row("deposit", usdc="50.5")
    (pushed,), (asked,) = at.frame(ledger(transfer, isSnapshot=True), NOW), answered(at, [transfer])
    assert pushed == asked
    assert isinstance(asked, AccountTransfer)
    assert (asked.transfer_id, asked.event_time) == (transfer["hash"], transfer["time"] * 1000)
    assert isinstance(at.frame(ledger(), NOW)[0], Ignored)
    assert isinstance(answered(at, [])[0], Ignored)


def test_an_unknown_type_is_kept_and_reported_and_only_a_bad_row_is_skipped() -> None:
    rows = (row("borrowLend", token="USDC", operation="supply", amount="5"), row("deposit", 2), {"time": 3})
    events = feed("hyperliquid").frame(ledger(*rows, row("deposit", 4, usdc="1.0")), NOW)
    assert transfers(events) == [
        ("USDC", D(0), TransferKind.UNKNOWN, "borrowLend"),
        ("USDC", D(1), TransferKind.TRANSFER, "deposit"),
    ]
    kinds = [kind for kind, _ in statuses(events)]
    assert kinds == [StatusKind.MALFORMED, StatusKind.MALFORMED, StatusKind.UNKNOWN]
    assert statuses(events)[-1][1] == "ledger update of type 'borrowLend'"
    (only,) = feed("hyperliquid").frame(ledger({"time": 3}), NOW)
    assert isinstance(only, Undecodable)


def test_a_token_name_means_the_held_token() -> None:
    at = feed("hyperliquid")
    held = {"coin": "TRUMP", "token": 12, "total": "5.0", "hold": "0.0"}
    at.frame(json.dumps({"channel": "spotState", "data": {"user": USER, "spotState": {"balances": [held]}}}), NOW)
    (transfer,) = transfers(at.frame(ledger(row("spotTransfer", **SENT | TO_US | {"token": "TRUMP"})), NOW))
    assert transfer[0] == "TRUMP#12"


def test_a_full_page_of_the_ledger_is_followed_by_the_next_one_from_its_last_row_on() -> None:
    at, rows = feed("hyperliquid"), [row("deposit", number, usdc="1.0") for number in range(500)]
    *page, more = answered(at, rows)
    assert len(page) == 500
    assert isinstance(more, PageNeeded)
    assert json.loads(more.request.body)["startTime"] == rows[-1]["time"]
    assert len(at.answer(Answer(more.request, 200, json.dumps(rows[-1:]).encode()), NOW)) == 1
