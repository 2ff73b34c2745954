"""USDⓈ-M's balances and positions: what is free is never too much, and what is no longer named is zero."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from neuroflux.domain import Balance, ExchangeStatus, Instrument, InstrumentKind, Position, StatusKind
from neuroflux.exchanges.binance.usdm import BinanceUsdm
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

D = Decimal
NOW = 1_700_000_000_000_000
ACCOUNT, RISK = "/fapi/v3/account", "/fapi/v3/positionRisk"


def feed() -> AccountFeed:
    return BinanceUsdm().account_feed(Keys("k", "s"), [])


def events_of(at: AccountFeed, path: str, body: Any, status: int = 200, method: str = "GET") -> list[FeedEvent]:
    return list(at.answer(Answer(Request(method, path), status, json.dumps(body).encode()), NOW))


def asset(name: str = "USDT", wallet: str = "1000", **fields: Any) -> dict[str, Any]:
    return {"asset": name, "walletBalance": wallet, **fields}


def row(name: str = "SOLUSDT", amount: str = "10", **fields: Any) -> dict[str, Any]:
    return {"symbol": name, "positionSide": "BOTH", "positionAmt": amount, "entryPrice": "150", **fields}


def update(wallets: list[Any], positions: list[Any], time: int = NOW // 1000) -> str:
    return json.dumps({"e": "ACCOUNT_UPDATE", "E": time, "T": time, "a": {"m": "ORDER", "B": wallets, "P": positions}})


def moved(name: str = "SOLUSDT", amount: str = "20", profit: str = "0", **fields: Any) -> dict[str, Any]:
    return {"s": name, "pa": amount, "ep": "150", "up": profit, "ps": "BOTH", **fields}


def balances(events: list[FeedEvent]) -> dict[str, Balance]:
    found = {one.asset: one for one in events if isinstance(one, Balance)}
    for one in found.values():
        assert one.total == one.free + one.in_orders + one.in_positions
    return found


def positions(events: list[FeedEvent]) -> dict[str, Decimal]:
    return {one.symbol: one.quantity for one in events if isinstance(one, Position)}


def statuses(events: list[FeedEvent]) -> list[tuple[StatusKind, float]]:
    return [(one.kind, one.value) for one in events if isinstance(one, ExchangeStatus)]


# ── what is omitted ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_position_that_the_next_answer_omits_is_zero() -> None:
    at = feed()
    assert positions(events_of(at, RISK, [row(), row("BTCUSDT", "-1")])) == {"SOLUSDT": D(10), "BTCUSDT": D(-1)}
    assert positions(events_of(at, RISK, [row("BTCUSDT", "-1")])) == {"BTCUSDT": D(-1), "SOLUSDT": D(0)}
    assert positions(events_of(at, RISK, [])) == {"BTCUSDT": D(0)}
    assert events_of(at, RISK, []) == [Ignored("positionRisk")]


def test_a_pushed_position_that_an_answer_omits_is_zero() -> None:
    at = feed()
    at.frame(update([], [moved()]), NOW)
    assert positions(events_of(at, RISK, [])) == {"SOLUSDT": D(0)}


def test_a_position_that_was_pushed_after_the_request_stays() -> None:
    at = feed()
    at.frame(update([], [moved()]), NOW)
    assert events_of(at, f"{RISK}?timestamp={NOW // 1000 - 5}", []) == [Ignored("positionRisk")]
    assert positions(events_of(at, f"{RISK}?timestamp={NOW // 1000 + 5}", [])) == {"SOLUSDT": D(0)}


MS = NOW // 1000
LATER = f"timestamp={MS + 3_000}"


@pytest.mark.parametrize("pushed", ["0", "25"])
@pytest.mark.parametrize(
    ("updated", "asked", "is_older"),
    [
        (MS - 1, LATER, True),
        (MS, LATER, False),
        (MS + 1, LATER, False),
        (0, LATER, False),
        (MS - 1, f"timestamp={MS + 30_000}", False),
        (MS - 1, "", False),
    ],
)
def test_an_answer_that_is_older_by_its_own_time_does_not_undo_a_push(
    pushed: str, updated: int, asked: str, is_older: bool
) -> None:
    at, rows = feed(), [row(amount="10", updateTime=updated)]
    at.frame(update([], [moved(amount=pushed)], time=MS), NOW)
    for path, body in ((RISK, rows), (ACCOUNT, {"assets": [], "positions": rows})):
        events = events_of(at, f"{path}?{asked}", body)
        assert positions(events) == {"SOLUSDT": D(pushed if is_older else 10)}


def test_the_row_of_the_change_that_was_pushed_is_not_older() -> None:
    """The push itself is dated some ms later than the change."""
    at = feed()
    event = json.loads(update([], [moved(amount="25")], time=MS + 8))
    at.frame(json.dumps({**event, "T": MS}), NOW)
    assert positions(events_of(at, f"{RISK}?{LATER}", [row(amount="10", updateTime=MS)])) == {"SOLUSDT": D(10)}
    at.frame(json.dumps({name: value for name, value in event.items() if name != "T"}), NOW)
    assert positions(events_of(at, f"{RISK}?{LATER}", [row(amount="10", updateTime=5)])) == {"SOLUSDT": D(10)}


def test_an_answer_of_the_same_amount_is_used_whatever_its_time() -> None:
    at = feed()
    at.frame(update([], [moved(amount="10", profit="1")]), NOW)
    (event,) = events_of(at, f"{RISK}?{LATER}", [row(amount="10", updateTime=5, unRealizedProfit="7")])
    assert isinstance(event, Position)
    assert event.unrealised_pnl == D(7)


def test_an_answer_for_one_symbol_does_not_change_others() -> None:
    at = feed()
    events_of(at, RISK, [row()])
    assert positions(events_of(at, f"{RISK}?symbol=BTCUSDT", [])) == {}


def test_the_account_omits_assets_and_positions() -> None:
    at = feed()
    held = row(notional="1600", unrealizedProfit="100", entryPrice=None)
    first = events_of(at, ACCOUNT, {"assets": [asset(), asset("BNB", "2")], "positions": [held]})
    assert positions(first) == {"SOLUSDT": D(10)}
    assert [one.entry_price for one in first if isinstance(one, Position)] == [D(150)]
    then = events_of(at, ACCOUNT, {"assets": [asset()], "positions": []})
    assert positions(then) == {"SOLUSDT": D(0)}
    assert (balances(then)["BNB"].total, balances(then)["USDT"].total) == (D(0), D(1000))


def test_an_account_without_positions_does_not_change_them() -> None:
    at = feed()
    events_of(at, RISK, [row()])
    assert positions(events_of(at, ACCOUNT, {"assets": []})) == {}


def test_wallets_that_a_list_of_balances_omits_are_zero() -> None:
    at = feed()
    rows = [{"asset": name, "balance": "5", "availableBalance": "4"} for name in ("USDT", "BNB")]
    assert {name: one.free for name, one in balances(events_of(at, "/fapi/v3/balance", rows)).items()} == {
        "USDT": D(4),
        "BNB": D(4),
    }
    assert balances(events_of(at, "/fapi/v3/balance", rows[:1]))["BNB"].total == 0
    assert balances(events_of(at, "/fapi/v3/balance", []))["USDT"].total == 0


def test_an_undecodable_row_is_named_and_not_taken_for_zero() -> None:
    at = feed()
    events_of(at, RISK, [row(), row("BTCUSDT", "1")])
    events = events_of(at, RISK, [row(amount="much"), row("BTCUSDT", "3")])
    assert positions(events) == {"BTCUSDT": D(3)}
    assert statuses(events) == [(StatusKind.MALFORMED, 0.0)]
    assert any("SOLUSDT" in one.detail for one in events if isinstance(one, ExchangeStatus))
    assert positions(events_of(at, RISK, [None])) == {}  # it may be either's
    assert positions(events_of(at, RISK, [])) == {"BTCUSDT": D(0), "SOLUSDT": D(0)}


def test_only_a_bad_row_of_a_push_is_skipped() -> None:
    events = list(feed().frame(update([{"a": "USDT"}, {"a": "BNB", "wb": "2"}], [moved(pa=None), moved("X")]), NOW))
    assert {name: one.total for name, one in balances(events).items()} == {"BNB": D(2)}
    assert positions(events) == {"X": D(20)}
    assert statuses(events) == [(StatusKind.MALFORMED, 0.0)] * 2


@pytest.mark.parametrize("amount", ["NaN", "Infinity", "1e30", "0.0000000000000000000000001", ""])
def test_a_row_with_an_amount_too_large_for_a_record_is_skipped(amount: str) -> None:
    events = events_of(feed(), ACCOUNT, {"assets": [asset(wallet=amount), asset("BNB", "2")]})
    assert list(balances(events)) == ["BNB"]
    assert statuses(events) == [(StatusKind.MALFORMED, 0.0)]


# ── what is free ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("fields", "free", "in_positions"),
    [
        ({"availableBalance": "200", "crossUnPnl": "-500", "positionInitialMargin": "300"}, "200", "800"),
        ({"crossUnPnl": "-500", "positionInitialMargin": "300"}, "200", "800"),
        ({"availableBalance": "0", "crossUnPnl": "-900", "positionInitialMargin": "300"}, "0", "1000"),
        ({"availableBalance": "1200", "crossUnPnl": "500", "positionInitialMargin": "300"}, "1200", "-200"),
        ({"availableBalance": "690", "openOrderInitialMargin": "310"}, "690", "0"),
    ],
)
def test_free_is_what_the_exchange_reports(fields: dict[str, str], free: str, in_positions: str) -> None:
    one = balances(events_of(feed(), ACCOUNT, {"assets": [asset(**fields)], "positions": []}))["USDT"]
    assert (one.free, one.in_positions, one.total) == (D(free), D(in_positions), D(1000))


def opened() -> AccountFeed:
    """An account with 10 at 150, at 20 times its margin."""
    at = feed()
    held = row(notional="1500", positionInitialMargin="75", unRealizedProfit="0")
    wallet = asset(availableBalance="925", positionInitialMargin="75")
    events_of(at, ACCOUNT, {"assets": [wallet], "positions": [held]})
    return at


@pytest.mark.parametrize(
    ("position", "free"),
    [
        (moved(amount="20"), 1000 - 1 - 150),
        (moved(amount="20", profit="-40"), 1000 - 1 - 40 - (3000 - 40) / 20),
        (moved(amount="-10", profit="-40"), 1000 - 1 - 40 - (1500 + 40) / 20),
        (moved(amount="0", ep="0"), 1000 - 1),
    ],
)
def test_after_a_push_free_is_less_the_margin_by_the_leverage(position: dict[str, Any], free: float) -> None:
    events = list(opened().frame(update([{"a": "USDT", "wb": "999"}], [position]), NOW))
    assert balances(events)["USDT"].free == D(str(free))


def test_where_no_leverage_is_known_the_whole_value_counts() -> None:
    at = feed()
    events_of(at, ACCOUNT, {"assets": [asset(availableBalance="1000")], "positions": []})
    events = list(at.frame(update([{"a": "USDT", "wb": "999"}], [moved(amount="2", profit="-10")]), NOW))
    assert balances(events)["USDT"].free == 999 - 10 - 290


def test_a_leverage_that_was_pushed_counts() -> None:
    at = feed()
    events_of(at, ACCOUNT, {"assets": [asset(availableBalance="1000")], "positions": []})
    changed = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ac": {"s": "SOLUSDT", "l": 10}}
    assert at.frame(json.dumps(changed), NOW) == (Ignored("ACCOUNT_CONFIG_UPDATE"),)
    events = list(at.frame(update([{"a": "USDT", "wb": "999"}], [moved(amount="2")]), NOW))
    assert balances(events)["USDT"].free == 999 - 30


def test_a_margin_in_one_asset_uses_nothing_of_another() -> None:
    """A push before the first answer, that names the BNB of a fee and not what the position settles in."""
    at = feed()
    names: dict[str, Any] = {"symbol": "SOL/USDT:USDT", "market": "SOL/USD", "name": "SOLUSDT"}
    terms: dict[str, Any] = {"base": "SOL", "quote": "USDT", "settle": "USDT", "kind": InstrumentKind.PERPETUAL}
    at.learn([Instrument(exchange="binanceusdm", **names, **terms)])
    changed = balances(list(at.frame(update([{"a": "BNB", "wb": "2"}], [moved()]), NOW)))
    assert (changed["BNB"].free, changed["BNB"].in_positions) == (Decimal(2), Decimal(0))


def test_a_margin_that_was_not_known_is_not_released() -> None:
    at = feed()
    events_of(
        at,
        ACCOUNT,
        {"assets": [asset(availableBalance="850", positionInitialMargin="150")], "positions": [row("SOLUSDT", "20")]},
    )
    events = list(at.frame(update([{"a": "USDT", "wb": "990"}], [moved(amount="0", ep="0")]), NOW))
    assert balances(events)["USDT"].free == 990


def test_an_isolated_position_uses_its_own_wallet() -> None:
    at = feed()
    events_of(at, ACCOUNT, {"assets": [asset(availableBalance="1000")], "positions": []})
    position = moved(amount="2", profit="90", mt="isolated", iw="40")
    events = list(at.frame(update([{"a": "USDT", "wb": "1000"}], [position]), NOW))
    assert balances(events)["USDT"].free == 960


def test_successive_pushes_end_at_the_answered_figure() -> None:
    at = opened()
    for amount in ("12", "7", "-3", "10"):
        events = list(at.frame(update([{"a": "USDT", "wb": "1000"}], [moved(amount=amount)]), NOW))
    assert balances(events)["USDT"].free == 925


def test_in_multi_assets_mode_what_all_have_is_not_counted_for_each() -> None:
    """Of 20 + 100 of wallets the exchange reports 120 available twice."""
    at = feed()
    rows = [asset("USDT", "20", availableBalance="120"), asset("USDC", "100", availableBalance="120")]
    found = balances(events_of(at, ACCOUNT, {"assets": rows, "positions": []}))
    assert sum(one.free for one in found.values()) == 120


def test_in_multi_assets_mode_no_asset_has_more_free_than_the_account() -> None:
    at = feed()
    events_of(at, "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": True})
    rows = [
        asset("USDT", "-80", availableBalance="20", crossUnPnl="0"),
        asset("USDC", "100", availableBalance="20", crossUnPnl="0"),
    ]
    found = balances(events_of(at, ACCOUNT, {"assets": rows, "positions": []}))
    assert (found["USDC"].free, found["USDT"].free) == (D(20), D(-80))


def test_credits_may_be_owed_and_the_sum_is_what_the_account_has() -> None:
    at = feed()
    rows = [asset("BNFCR", "-12.4", positionInitialMargin="50"), asset("USDC", "500")]
    found = balances(events_of(at, ACCOUNT, {"assets": rows, "positions": []}))
    assert (found["BNFCR"].total, sum(one.free for one in found.values())) == (D("-12.4"), D("437.6"))
    events = list(at.frame(update([{"a": "BNFCR", "wb": "-13.1"}], []), NOW))
    assert (balances(events)["BNFCR"].total, balances(events)["BNFCR"].free) == (D("-13.1"), D("-63.1"))
    assert all(one.pooled for one in (*found.values(), *balances(events).values()))


def test_an_asset_that_is_no_margin_is_not_in_the_pool_and_of_one_asset_mode_none_is() -> None:
    at = feed()
    rows = [asset("USDC", "100", availableBalance="100"), asset("XYZ", "5", marginAvailable=False)]
    events_of(at, "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": True})
    found = balances(events_of(at, ACCOUNT, {"assets": rows, "positions": []}))
    assert (found["USDC"].pooled, found["XYZ"].pooled) == (True, False)
    events_of(at, "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": False})
    assert not balances(events_of(at, ACCOUNT, {"assets": rows, "positions": []}))["USDC"].pooled


# ── modes ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_hedge_mode_is_refused_and_the_status_names_what_to_change() -> None:
    at = feed()
    (event,) = events_of(at, "/fapi/v1/positionSide/dual", {"dualSidePosition": True})
    assert isinstance(event, ExchangeStatus)
    assert (event.kind, event.value, event.channel) == (StatusKind.MODE, 1.0, "account")
    assert "one-way mode" in event.detail
    (event,) = events_of(at, "/fapi/v1/positionSide/dual", {"dualSidePosition": False})
    assert statuses([event]) == [(StatusKind.MODE, 0.0)]


def test_multi_assets_mode_is_accepted() -> None:
    at = feed()
    assert events_of(at, "/fapi/v1/multiAssetsMargin", {"multiAssetsMargin": True}) == [Ignored("multiAssetsMargin")]
    assert statuses(events_of(at, "/fapi/v1/positionSide/dual", {"dualSidePosition": False})) == [
        (StatusKind.MODE, 0.0)
    ]
    pushed = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ai": {"j": False}}
    assert statuses(list(at.frame(json.dumps(pushed), NOW))) == [(StatusKind.MODE, 0.0)]


def test_an_account_that_may_not_trade_is_refused() -> None:
    config = {"feeTier": 0, "canTrade": False, "dualSidePosition": False, "multiAssetsMargin": False}
    assert statuses(events_of(feed(), "/fapi/v1/accountConfig", config)) == [(StatusKind.MODE, 1.0)]
    account = {"assets": [asset()], "positions": [], "canTrade": False}
    assert statuses(events_of(feed(), ACCOUNT, account)) == [(StatusKind.MODE, 1.0)]


def test_positions_by_side_never_overwrite_each_other() -> None:
    rows = [moved(amount="7", ps="LONG"), moved(amount="-2", ps="SHORT"), moved(amount="0", ps="BOTH"), moved("X", "3")]
    events = list(feed().frame(update([], rows), NOW))
    assert positions(events) == {"X": D(3)}
    assert statuses(events) == [(StatusKind.MODE, 1.0)]
    answered = events_of(feed(), RISK, [row(positionSide="LONG"), row(amount="-3", positionSide="SHORT")])
    assert positions(answered) == {}
    assert statuses(answered) == [(StatusKind.MODE, 1.0)]


NONE_BY_SIDE = [moved(amount="0", ps=side) for side in ("LONG", "SHORT")]


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("rows", [[moved(amount="10"), *NONE_BY_SIDE], [*NONE_BY_SIDE, moved(amount="10")]])
def test_empty_rows_by_side_do_not_hide_the_one_position(is_known: bool, rows: list[dict[str, Any]]) -> None:
    """A one-way account that was in hedge mode before has them in every push."""
    at = feed()
    if is_known:
        events_of(at, "/fapi/v1/positionSide/dual", {"dualSidePosition": False})
    events = list(at.frame(update([], rows), NOW))
    assert (positions(events), statuses(events)) == ({"SOLUSDT": D(10)}, [])
    events = list(at.frame(update([], [moved(amount="0"), *NONE_BY_SIDE]), NOW))
    assert (positions(events), statuses(events)) == ({"SOLUSDT": D(0)}, [])
    events = list(at.frame(update([], [moved(amount="0"), moved(amount="1", ps="LONG")]), NOW))
    assert (positions(events), statuses(events)) == ({}, [(StatusKind.MODE, 1.0)])


def test_in_hedge_mode_a_row_of_one_side_does_not_change_the_other() -> None:
    at = feed()
    events_of(at, "/fapi/v1/positionSide/dual", {"dualSidePosition": True})
    events = list(at.frame(update([], [moved(amount="0", ps="LONG"), moved(amount="0")]), NOW))
    assert (positions(events), statuses(events)) == ({}, [(StatusKind.MODE, 1.0)])


@pytest.mark.parametrize("order", [1, -1])
def test_empty_answered_rows_by_side_do_not_hide_the_one_position(order: int) -> None:
    at = feed()
    free = asset(availableBalance="925", positionInitialMargin="75")
    rows = [row(notional="1500", positionInitialMargin="75"), row(amount="0", positionSide="LONG")][::order]
    events = events_of(at, ACCOUNT, {"assets": [free], "positions": rows})
    assert (positions(events), statuses(events)) == ({"SOLUSDT": D(10)}, [])
    closed = list(at.frame(update([{"a": "USDT", "wb": "1000"}], [moved(amount="0")]), NOW))
    assert balances(closed)["USDT"].free == 1000, "the margin of the position is given back"


def test_the_mode_is_requested_at_the_start_and_later() -> None:
    at = feed()
    for asked in (at.opening(NOW), at.keep_alive(NOW)):
        assert [one.path.partition("?")[0] for one in asked] == [
            "/fapi/v1/listenKey",
            "/fapi/v1/positionSide/dual",
            "/fapi/v1/multiAssetsMargin",
        ]


# ── margin calls ─────────────────────────────────────────────────────────────────────────────────────────────────────

CALLED = {"s": "SOLUSDT", "ps": "BOTH", "pa": "1.327", "mt": "CROSSED", "iw": "0", "mp": "187.17127", "up": "-1.166074"}


def called(*rows: Any, **fields: Any) -> list[FeedEvent]:
    event = {"e": "MARGIN_CALL", "E": NOW // 1000, "cw": "3.16812045", "p": rows, **fields}
    return list(feed().frame(json.dumps(event), NOW))


def test_a_margin_call_is_reported_with_what_it_names() -> None:
    one, other = called({**CALLED, "mm": "1.614445"}, {**CALLED, "s": "BTCUSDT", "mm": "2", "ps": "LONG"})
    assert isinstance(one, ExchangeStatus)
    assert (one.kind, one.channel, one.symbol, one.event_time) == (StatusKind.MARGIN, "account", "SOLUSDT", NOW)
    assert all(part in one.detail for part in ("SOLUSDT 1.327 ", "-1.166074", "1.614445"))
    assert isinstance(other, ExchangeStatus)
    assert "BTCUSDT LONG" in other.detail


def test_a_margin_call_is_never_ignored() -> None:
    assert statuses(called()) == [(StatusKind.MARGIN, 0.0)]
    assert statuses(called(CALLED)) == [(StatusKind.MALFORMED, 0.0)]
    assert called({**CALLED, "mm": "1"}, st=2) == [Ignored("MARGIN_CALL of COIN-M")]


# ── the listen key ───────────────────────────────────────────────────────────────────────────────────────────────────

KEY = "/fapi/v1/listenKey"
NO_SUCH_KEY = {"code": -1125, "msg": "This listenKey does not exist."}


@pytest.mark.parametrize(("method", "status"), [("PUT", 400), ("GET", 200), ("POST", 400)])
def test_a_listen_key_that_does_not_exist_ends_the_stream(method: str, status: int) -> None:
    at = feed()
    events_of(at, KEY, {"listenKey": "abc"}, method="POST")
    assert at.subscriptions(NOW)
    (event,) = events_of(at, KEY, NO_SUCH_KEY, status, method)
    assert statuses([event]) == [(StatusKind.DISCONNECTED, 0.0)]
    assert at.subscriptions(NOW) == ()


@pytest.mark.parametrize(
    ("status", "body"),
    [(401, {"code": -2015, "msg": "no"}), (500, {}), (200, {}), (200, {"listenKey": ""}), (200, [1])],
)
def test_without_a_key_no_socket_is_opened(status: int, body: Any) -> None:
    at = feed()
    (event,) = events_of(at, KEY, body, status, "POST")
    assert statuses([event]) == [(StatusKind.DISCONNECTED, 0.0)]
    assert at.subscriptions(NOW) == ()


def test_a_key_that_could_not_be_extended_once_is_kept() -> None:
    at = feed()
    events_of(at, KEY, {"listenKey": "a/b"}, method="POST")
    (event,) = events_of(at, KEY, {"code": -1007, "msg": "timeout"}, 408, "PUT")
    assert isinstance(event, Undecodable)
    assert events_of(at, KEY, {}, method="PUT") == [Ignored("listenKey")]
    assert [one.path for one in at.subscriptions(NOW)] == ["/private/ws?listenKey=a/b"]


def test_an_expired_key_ends_the_stream() -> None:
    at = feed()
    events_of(at, KEY, {"listenKey": "abc"}, method="POST")
    (event,) = at.frame('{"e":"listenKeyExpired","E":1,"listenKey":"abc"}', NOW)
    assert statuses([event]) == [(StatusKind.DISCONNECTED, 0.0)]
    assert at.subscriptions(NOW) == ()


def test_a_refusal_is_never_ignored() -> None:
    (event,) = events_of(feed(), ACCOUNT, {"code": -2015, "msg": "Invalid API-key"})
    assert isinstance(event, Undecodable)
    assert "-2015" in event.reason


# ── answers that a push has overtaken ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("fee", ["0", "1"])
@pytest.mark.parametrize("named", [True, False])
def test_an_account_that_was_answered_before_the_last_fill_releases_no_margin(fee: str, named: bool) -> None:
    """It is requested after the first of three fills, and answered after the second (or before the first)."""
    at, ms = feed(), NOW // 1000
    events_of(at, ACCOUNT, {"assets": [asset(availableBalance="1000", updateTime=ms)], "positions": []})
    at.frame(json.dumps({"e": "ACCOUNT_CONFIG_UPDATE", "E": ms, "T": ms, "ac": {"s": "SOLUSDT", "l": 10}}), NOW)
    at.frame(update([{"a": "USDT", "wb": "1000"}], [moved(amount="20")], ms + 40), NOW)
    wallet = str(1000 - int(fee))
    at.frame(update([{"a": "USDT", "wb": wallet}], [moved(amount="40")], ms + 60), NOW)
    old = asset(availableBalance="700" if named else "1000", positionInitialMargin="300", updateTime=ms + 40)
    rows = [row("SOLUSDT", "20", notional="3000", initialMargin="300", updateTime=ms + 40)] if named else []
    found = events_of(at, f"{ACCOUNT}?timestamp={ms + 45}", {"assets": [old], "positions": rows})
    assert balances(found)["USDT"].free == 400 - int(fee)
    events = list(at.frame(update([{"a": "USDT", "wb": wallet}], [moved(amount="41")], ms + 300), NOW))
    assert balances(events)["USDT"].free == 385 - int(fee)


def test_an_account_that_was_requested_later_counts_whatever_its_rows_contain() -> None:
    at, ms = feed(), NOW // 1000
    at.frame(update([{"a": "USDT", "wb": "1000"}], [moved(amount="20")], ms), NOW)
    rows = [asset(wallet="900", availableBalance="800", updateTime=ms - 5)]
    found = events_of(at, f"{ACCOUNT}?timestamp={ms + 31_000}", {"assets": rows, "positions": []})
    assert (balances(found)["USDT"].total, balances(found)["USDT"].free) == (D(900), D(800))
