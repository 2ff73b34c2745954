"""Hyperliquid's private feed, with frames and answers written by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import (
    Balance,
    ExchangeStatus,
    Fill,
    Instrument,
    InstrumentKind,
    Liquidity,
    OrderReport,
    OrderState,
    OrderType,
    Position,
    Side,
    StatusKind,
)
from neuroflux.exchanges.hyperliquid.account import HyperliquidAccountFeed
from neuroflux.exchanges.hyperliquid.tokens import KNOWN
from neuroflux.exchanges.kit.events import Ignored, PageNeeded, Undecodable
from neuroflux.exchanges.kit.interface import AccountFeed
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

NOW = 1_760_000_000_000_000
MS = NOW // 1000
USER = "0x00000000000000000000000000000000000000Ab"
CLOID = "0x" + "1f" * 16
BTC = Instrument(
    exchange="hyperliquid",
    symbol="BTC/USDC:USDC",
    market="BTC/USD",
    name="BTC",
    base="BTC",
    quote="USDC",
    kind=InstrumentKind.PERPETUAL,
)


@pytest.fixture
def feed() -> HyperliquidAccountFeed:
    return HyperliquidAccountFeed(Keys(USER, "0x01"), [BTC])


def frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}).encode()


def answer(body: Any, tag: str = "", status: int = 200) -> Answer:
    return Answer(Request("POST", "/info", tag=tag), status, json.dumps(body).encode())


def order(**over: Any) -> dict[str, Any]:
    plain = {
        "coin": "BTC",
        "side": "B",
        "limitPx": "100.5",
        "sz": "0.3",
        "oid": 77,
        "timestamp": MS - 5,
        "origSz": "0.5",
        "cloid": CLOID,
    }
    return plain | over


def update(status: str, **over: Any) -> dict[str, Any]:
    return {"order": order(**over), "status": status, "statusTimestamp": MS}


def fill(**over: Any) -> dict[str, Any]:
    plain = {
        "coin": "BTC",
        "px": "100.5",
        "sz": "0.2",
        "side": "A",
        "time": MS,
        "startPosition": "1.0",
        "dir": "Close Long",
        "closedPnl": "0.0",
        "hash": "0x0",
        "oid": 77,
        "crossed": True,
        "fee": "0.009",
        "builderFee": "0.001",
        "tid": 123,
        "feeToken": "USDC",
        "cloid": CLOID,
        "twapId": None,
    }
    return plain | over


def state(value: str = "1000", margin: str = "200", free: str = "750", **positions: str) -> dict[str, Any]:
    summary = {"accountValue": value, "totalMarginUsed": margin, "totalNtlPos": "0", "totalRawUsd": "0"}
    return {
        "marginSummary": summary,
        "crossMarginSummary": summary,
        "withdrawable": free,
        "assetPositions": [
            {
                "type": "oneWay",
                "position": {"coin": coin, "szi": size, "entryPx": "99.5", "unrealizedPnl": "-1.25", "leverage": {}},
            }
            for coin, size in positions.items()
        ],
        "time": MS,
    }


def balance(coin: str, total: str, hold: str, token: int | None = None) -> dict[str, Any]:
    index = KNOWN[coin] if token is None else token
    return {"coin": coin, "token": index, "total": total, "hold": hold, "entryNtl": "0"}


def report(feed: HyperliquidAccountFeed, status: str, **over: Any) -> OrderReport:
    (event,) = feed.frame(frame("orderUpdates", [update(status, **over)]), NOW)
    assert isinstance(event, OrderReport)
    return event


def test_keeps_the_protocol(feed: HyperliquidAccountFeed) -> None:
    as_protocol: AccountFeed = feed
    assert as_protocol.opening(NOW) == ()
    assert as_protocol.keep_alive(NOW) == ()


def test_subscribes_for_the_account_in_lower_case(feed: HyperliquidAccountFeed) -> None:
    (socket,) = feed.subscriptions(NOW)
    assert socket.path == "/ws"
    assert [json.loads(one)["subscription"] for one in socket.frames] == [
        {"type": kind, "user": USER.lower()}
        for kind in ("userFills", "orderUpdates", "clearinghouseState", "spotState", "userNonFundingLedgerUpdates")
    ]


def test_resync_requests_everything_since(feed: HyperliquidAccountFeed) -> None:
    requests = feed.resync(NOW - 60_000_000, NOW)
    user = {"user": USER.lower()}
    assert [json.loads(one.body) for one in requests] == [
        {"type": "userRole", **user},
        {"type": "userAbstraction", **user},
        {"type": "spotClearinghouseState", **user},
        {"type": "clearinghouseState", **user},
        {"type": "frontendOpenOrders", **user},
        {"type": "userFillsByTime", **user, "startTime": MS - 60_000},
    ]
    assert [one.weight for one in requests] == [60, 20, 2, 2, 20, 20]
    feed.answer(answer({"role": "user"}, "userRole"), NOW)
    assert [one.tag for one in feed.resync(NOW, NOW)][:2] == ["userAbstraction", "spotClearinghouseState"]


def test_a_fill(feed: HyperliquidAccountFeed) -> None:
    expected = Fill(
        order_id="",
        exchange="hyperliquid",
        symbol="BTC/USDC:USDC",
        client_order_id=CLOID,
        exchange_order_id="77",
        trade_id="123",
        side=Side.SELL,
        price=Decimal("100.5"),
        quantity=Decimal("0.2"),
        fee=Decimal("0.009"),
        fee_asset="USDC",
        liquidity=Liquidity.TAKER,
        event_time=NOW,
        name="BTC",
    )
    snapshot = frame("userFills", {"isSnapshot": True, "user": USER, "fills": [fill()]})
    later = frame("userFills", {"user": USER, "fills": [fill()]})
    event = frame("user", {"fills": [fill()]})
    for raw in (snapshot, later, event):
        assert list(feed.frame(raw, NOW)) == [expected]
    assert list(feed.answer(answer([fill()], "userFills"), NOW)) == [expected]


def test_a_makers_rebate_is_a_negative_fee(feed: HyperliquidAccountFeed) -> None:
    (event,) = feed.frame(frame("userFills", {"fills": [fill(crossed=False, fee="-0.002", cloid=None)]}), NOW)
    assert isinstance(event, Fill)
    assert (event.liquidity, event.fee, event.client_order_id) == (Liquidity.MAKER, Decimal("-0.002"), "")


def test_fills_without_a_trade_id_are_still_distinguished(feed: HyperliquidAccountFeed) -> None:
    old = [
        {key: value for key, value in fill(startPosition=at).items() if key not in ("tid", "feeToken")} for at in "12"
    ]
    first, second = feed.answer(answer(old), NOW)
    assert isinstance(first, Fill)
    assert isinstance(second, Fill)
    assert first.trade_id != second.trade_id
    assert first.fee_asset == "USDC"


@pytest.mark.parametrize("kind", ["funding", "liquidation", "nonUserCancel", "twapSliceFills", "twapHistory"])
def test_user_events_without_fills_are_not_used(feed: HyperliquidAccountFeed, kind: str) -> None:
    assert [type(one) for one in feed.frame(frame("user", {kind: {}}), NOW)] == [Ignored]


def test_an_order_that_traded_in_part(feed: HyperliquidAccountFeed) -> None:
    assert report(feed, "open") == OrderReport(
        exchange="hyperliquid",
        symbol="BTC/USDC:USDC",
        client_order_id=CLOID,
        exchange_order_id="77",
        side=Side.BUY,
        type=OrderType.LIMIT,
        price=Decimal("100.5"),
        quantity=Decimal("0.5"),
        filled_quantity=Decimal("0.2"),
        average_price=None,
        state=OrderState.WORKING,
        reason="",
        event_time=NOW,
    )


@pytest.mark.parametrize(
    ("status", "remaining", "state", "filled"),
    [
        ("open", "0.5", OrderState.ACKNOWLEDGED, "0"),
        ("triggered", "0.5", OrderState.ACKNOWLEDGED, "0"),
        ("filled", "0.0", OrderState.FILLED, "0.5"),
        ("canceled", "0.5", OrderState.CANCELLED, "0"),
        ("canceled", "0.1", OrderState.CANCELLED, "0.4"),
        ("marginCanceled", "0.5", OrderState.CANCELLED, "0"),
        ("somethingNewCanceled", "0.5", OrderState.CANCELLED, "0"),
        ("scheduledCancel", "0.5", OrderState.CANCELLED, "0"),
        ("internalCancel", "0.5", OrderState.CANCELLED, "0"),
        ("siblingFilledCanceled", "0.2", OrderState.CANCELLED, "0.3"),
        ("openInterestIncreaseRejected", "0.5", OrderState.REJECTED, "0"),
        ("rejected", "0.5", OrderState.REJECTED, "0"),
        ("iocCancelRejected", "0.5", OrderState.REJECTED, "0"),
        ("iocCancelRejected", "0.2", OrderState.EXPIRED, "0.3"),
        ("somethingNewRejected", "0.5", OrderState.REJECTED, "0"),
    ],
)
def test_states(feed: HyperliquidAccountFeed, status: str, remaining: str, state: OrderState, filled: str) -> None:
    found = report(feed, status, sz=remaining)
    assert (found.state, found.filled_quantity) == (state, Decimal(filled))
    assert found.reason == ("" if status in ("open", "filled") else status)


def test_an_unknown_status_is_kept_and_reported(feed: HyperliquidAccountFeed) -> None:
    first, second, status = feed.frame(frame("orderUpdates", [update("evaporated"), update("open")]), NOW)
    assert isinstance(first, OrderReport)
    assert (first.state, first.reason) == (OrderState.WORKING, "evaporated")
    assert isinstance(second, OrderReport)
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.UNKNOWN
    assert "'evaporated' of order 77 (BTC)" in status.detail


@pytest.mark.parametrize(
    ("channel", "data", "kept"),
    [
        ("orderUpdates", [update("open"), {"order": {}}, update("filled")], 2),
        ("userFills", {"fills": [fill(tid=1), fill(px=None), fill(tid=2), 7]}, 2),
        ("spotState", {"spotState": {"balances": [balance("HYPE", "1", "0"), balance("PURR", "x", "0")]}}, 1),
    ],
)
def test_only_a_bad_row_is_skipped(feed: HyperliquidAccountFeed, channel: str, data: Any, kept: int) -> None:
    events = feed.frame(frame(channel, data), NOW)
    faults = [one for one in events if isinstance(one, ExchangeStatus)]
    assert len(events) - len(faults) == kept
    assert faults
    assert {one.kind for one in faults} == {StatusKind.MALFORMED}


def test_a_bad_balance_does_not_mean_that_an_asset_is_zero(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer({"balances": [balance("HYPE", "5", "0"), balance("PURR", "1", "0")]}), NOW)
    events = feed.answer(answer({"balances": [balance("PURR", "1", "0"), balance("HYPE", "x", "0")]}), NOW)
    assert [one.asset for one in events if isinstance(one, Balance)] == ["PURR"]
    events = feed.answer(answer({"balances": [balance("PURR", "1", "0")]}), NOW)
    assert [(one.asset, one.total) for one in events if isinstance(one, Balance)] == [
        ("PURR", Decimal(1)),
        ("HYPE", Decimal(0)),
    ]


def test_a_row_that_names_its_coin_hides_no_other(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer({"balances": [balance("USDC", "1000", "0"), balance("HYPE", "5", "0")]}), NOW)
    feed.answer(answer(state("200", "0", "200")), NOW)
    bad = balance("PURR", "x", "0")
    events = feed.answer(answer({"balances": [bad, balance("HYPE", "5", "0")]}), NOW)
    dollars = [one.total for one in events if isinstance(one, Balance) and one.asset == "USDC"]
    assert dollars == [Decimal(200)]
    feed.answer(answer(state(BTC="1", ETH="2")), NOW)
    events = feed.answer(answer(state(ETH="much")), NOW)
    assert [(one.symbol, one.quantity) for one in events if isinstance(one, Position)] == [
        ("BTC/USDC:USDC", Decimal(0))
    ]


def test_the_shares_of_an_outcome_have_no_token(feed: HyperliquidAccountFeed) -> None:
    shares = {"coin": "+120", "total": "100", "hold": "0.0", "entryNtl": "0.0"}
    feed.answer(answer({"balances": [balance("HYPE", "5", "0"), shares]}), NOW)
    events = feed.answer(answer({"balances": [shares]}), NOW)
    assert [(one.asset, one.total) for one in events if isinstance(one, Balance)] == [
        ("+120", Decimal(100)),
        ("HYPE", Decimal(0)),
    ]


def test_what_may_be_borrowed_is_not_free(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer("portfolioMargin", "userAbstraction"), NOW)
    held = balance("HYPE", "100", "-50") | {"spotHold": "10"}
    hype, _ = feed.answer(answer({"balances": [held, balance("USDC", "100", "-500")]}), NOW)
    assert hype == Balance("hyperliquid", "HYPE", Decimal(90), Decimal(10), Decimal(0), Decimal(100), NOW)
    usdc = feed.answer(answer(state("140", "140", "0")), NOW)[0]
    assert isinstance(usdc, Balance)
    assert (usdc.free, usdc.in_orders, usdc.in_positions, usdc.total) == tuple(map(Decimal, (-40, 0, 140, 100)))


@pytest.mark.parametrize(
    ("value", "used", "worth", "withdrawable", "in_orders", "free"),
    [
        ("1500", "250", "10000", "500", 0, 1250),
        ("1000", "250", "10000", "0", 0, 750),
        ("1500", "250", "10000", "400", 100, 1150),
        ("1000", "200", "2000", "750", 50, 750),
    ],
)
def test_what_can_not_be_withdrawn_is_not_in_orders(
    feed: HyperliquidAccountFeed, value: str, used: str, worth: str, withdrawable: str, in_orders: int, free: int
) -> None:
    """A tenth of what positions are worth stays, though less is needed as margin above a leverage of 10."""
    wire = state(value, used, withdrawable, BTC="1")
    for sums in (wire["marginSummary"], wire["crossMarginSummary"]):
        sums["totalNtlPos"] = worth
    usdc = feed.answer(answer(wire), NOW)[0]
    assert isinstance(usdc, Balance)
    assert (usdc.in_orders, usdc.free) == (Decimal(in_orders), Decimal(free))


def test_an_older_state_reports_the_newer_again(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer(state("500", BTC="3") | {"time": MS + 5_000}), NOW)
    usdc, position = feed.answer(answer(state("900")), NOW)
    assert isinstance(usdc, Balance)
    assert isinstance(position, Position)
    assert (usdc.total, position.quantity) == (Decimal(500), Decimal(3))


def test_only_a_bad_position_is_skipped(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer(state(BTC="1", ETH="2")), NOW)
    events = feed.answer(answer(state(BTC="1", ETH="much")), NOW)
    assert [one.symbol for one in events if isinstance(one, Position)] == ["BTC/USDC:USDC"]
    (fault,) = (one for one in events if isinstance(one, ExchangeStatus))
    assert "ETH" in fault.detail
    closed = [one for one in feed.answer(answer(state()), NOW) if isinstance(one, Position)]
    assert [(one.symbol, one.quantity) for one in closed] == [("BTC/USDC:USDC", Decimal(0)), ("ETH", Decimal(0))]


def test_bad_sums_do_not_hide_the_positions(feed: HyperliquidAccountFeed) -> None:
    events = feed.answer(answer(state(BTC="1") | {"withdrawable": None}), NOW)
    assert [type(one) for one in events] == [Position, ExchangeStatus]


def test_open_orders(feed: HyperliquidAccountFeed) -> None:
    stop = order(orderType="Stop Market", isTrigger=True, children=[], tif=None, oid=78, cloid=None)
    old = {key: value for key, value in order().items() if key not in ("origSz", "cloid")}
    first, second = feed.answer(answer([stop, old], "frontendOpenOrders"), NOW)
    assert isinstance(first, OrderReport)
    assert isinstance(second, OrderReport)
    assert (first.type, first.price, first.exchange_order_id) == (OrderType.MARKET, Decimal(0), "78")
    assert (second.quantity, second.filled_quantity, second.client_order_id) == (Decimal("0.3"), Decimal(0), "")


def test_past_orders(feed: HyperliquidAccountFeed) -> None:
    (event,) = feed.answer(answer([update("filled", sz="0.0")]), NOW)
    assert isinstance(event, OrderReport)
    assert event.state is OrderState.FILLED


def test_usdc_is_the_sum_of_both_accounts(feed: HyperliquidAccountFeed) -> None:
    spot = {"balances": [balance("USDC", "100", "30"), balance("HYPE", "5.5", "0.5")]}
    assert list(feed.frame(frame("spotState", {"user": USER, "spotState": spot}), NOW)) == [
        Balance("hyperliquid", "USDC", Decimal(70), Decimal(30), Decimal(0), Decimal(100), NOW),
        Balance("hyperliquid", "HYPE", Decimal(5), Decimal("0.5"), Decimal(0), Decimal("5.5"), NOW),
    ]
    (usdc,) = feed.frame(frame("clearinghouseState", {"dex": "", "clearinghouseState": state()}), NOW + 9)
    assert usdc == Balance("hyperliquid", "USDC", Decimal(820), Decimal(80), Decimal(200), Decimal(1100), NOW)
    assert feed.answer(answer(spot, "spotClearinghouseState"), NOW)[0] == usdc


def test_the_parts_always_make_the_total(feed: HyperliquidAccountFeed) -> None:
    (under_water,) = feed.answer(answer(state("100", "150", "0"), "clearinghouseState"), NOW)
    assert isinstance(under_water, Balance)
    assert under_water.free == Decimal(-50)
    assert under_water.free + under_water.in_orders + under_water.in_positions == under_water.total


def test_tokens_of_one_name_are_assets_of_their_own(feed: HyperliquidAccountFeed) -> None:
    """A worthless token named HYPE, which anyone may send to the account, neither adds to HYPE nor replaces it."""
    rows = [balance("HYPE", "5", "0"), balance("HYPE", "900", "0", 411), balance("TRUMP", "7", "0", 9)]
    held = feed.answer(answer({"balances": rows}), NOW)
    assert {one.asset: one.total for one in held if isinstance(one, Balance)} == {
        "HYPE": Decimal(5),
        "HYPE#411": Decimal(900),
        "TRUMP#9": Decimal(7),
    }
    events = feed.answer(answer({"balances": rows[:1]}), NOW)
    assert [(one.asset, one.total) for one in events if isinstance(one, Balance)] == [
        ("HYPE", Decimal(5)),
        ("HYPE#411", Decimal(0)),
        ("TRUMP#9", Decimal(0)),
    ]


def test_a_namesake_of_the_collateral_is_none_and_does_not_decide_the_mode(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer(state()), NOW)
    rows = [balance("USDC", "10", "0"), balance("USDC", "500", "3", 77) | {"spotHold": "1"}]
    held = feed.answer(answer({"balances": rows}), NOW)
    assert {one.asset: one.total for one in held if isinstance(one, Balance)} == {
        "USDC": Decimal(1010),
        "USDC#77": Decimal(500),
    }


@pytest.mark.parametrize(
    ("token", "asset"), [("HYPE", "HYPE#411"), ("USDC", "USDC"), ("HYPER", "HYPER"), ("UBTC", "UBTC")]
)
def test_a_fee_is_in_the_token_of_the_pair(token: str, asset: str) -> None:
    pair = replace(BTC, symbol="HYPE#411/USDC", name="@500", base="HYPE#411", kind=InstrumentKind.SPOT)
    (event,) = HyperliquidAccountFeed(Keys(USER, "0x01"), [pair]).frame(
        frame("userFills", {"user": USER, "fills": [fill(coin="@500", feeToken=token)]}), NOW
    )
    assert isinstance(event, Fill)
    assert event.fee_asset == asset


@pytest.mark.parametrize(("token", "asset"), [("TRUMP", "TRUMP#?"), ("HYPE", "HYPE"), ("USDC", "USDC")])
def test_a_fee_of_a_pair_that_is_not_listed_yet_is_not_a_coins(
    feed: HyperliquidAccountFeed, token: str, asset: str
) -> None:
    event = feed.frame(frame("userFills", {"user": USER, "fills": [fill(coin="@777", feeToken=token)]}), NOW)[0]
    assert isinstance(event, Fill)
    assert event.fee_asset == asset


def test_an_asset_that_is_no_longer_listed_is_zero(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer({"balances": [balance("HYPE", "5", "0"), balance("PURR", "1", "0")]}), NOW)
    assert feed.answer(answer({"balances": [balance("PURR", "1", "0")]}), NOW)[1] == Balance(
        "hyperliquid", "HYPE", Decimal(0), Decimal(0), Decimal(0), Decimal(0), NOW
    )


def test_positions_and_those_that_are_closed(feed: HyperliquidAccountFeed) -> None:
    _, short, other = feed.answer(answer(state(BTC="-0.5", NEW="3")), NOW)
    assert short == Position("hyperliquid", "BTC/USDC:USDC", Decimal("-0.5"), Decimal("99.5"), Decimal("-1.25"), NOW)
    assert isinstance(other, Position)
    assert other.symbol == "NEW"
    _, _, closed = feed.answer(answer(state(NEW="3")), NOW)
    assert closed == Position("hyperliquid", "BTC/USDC:USDC", Decimal(0), Decimal(0), Decimal(0), NOW)
    assert len(feed.answer(answer(state(NEW="3")), NOW)) == 2


def test_positions_of_another_dex_are_reported_and_its_collateral_as_missing(
    feed: HyperliquidAccountFeed,
) -> None:
    before = feed.answer(answer(state()), NOW)[0]
    of_dex = {"dex": "xyz", "clearinghouseState": state("500", "100", "400", **{"xyz:XYZ100": "0.5"})}
    position, status = feed.frame(frame("clearinghouseState", of_dex), NOW)
    assert isinstance(position, Position)
    assert (position.symbol, position.quantity) == ("xyz:XYZ100", Decimal("0.5"))
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.UNKNOWN
    assert "xyz" in status.detail
    assert list(feed.answer(answer(of_dex["clearinghouseState"]), NOW)) == [position]  # REST does not name the dex
    assert feed.answer(answer(state()), NOW)[0] == before
    closed = {"dex": "xyz", "clearinghouseState": state("500", "0", "500")}
    (closed_position,) = feed.frame(frame("clearinghouseState", closed), NOW)
    assert isinstance(closed_position, Position)
    assert (closed_position.symbol, closed_position.quantity) == ("xyz:XYZ100", Decimal(0))


def test_what_another_dex_binds_of_a_unified_account_is_in_the_balance_that_it_settles_in(
    feed: HyperliquidAccountFeed,
) -> None:
    feed.answer(answer("unifiedAccount", "userAbstraction"), NOW)
    feed.answer(answer({"balances": [balance("USDC", "1000", "20"), balance("USDH", "50", "5")]}), NOW)
    of_dex = {"dex": "xyz", "clearinghouseState": state("0", "20", "0", **{"xyz:XYZ100": "0.5"})}
    (position,) = feed.frame(frame("clearinghouseState", of_dex), NOW)
    assert isinstance(position, Position), "a unified account has no status for missing collateral"
    request = feed.figures(NOW)[-1]
    raw = json.dumps(of_dex["clearinghouseState"]).encode()
    *_, asked = feed.answer(Answer(request, 200, raw), NOW)
    assert isinstance(asked, PageNeeded)
    assert json.loads(asked.request.body) == {"type": "meta", "dex": "xyz"}
    (usdc,) = feed.answer(Answer(asked.request, 200, b'{"universe":[],"collateralToken":0}'), NOW)
    assert isinstance(usdc, Balance)
    assert (usdc.total, usdc.free, usdc.in_orders, usdc.in_positions) == (
        Decimal("998.75"),
        Decimal("978.75"),
        Decimal(0),
        Decimal(20),
    )
    assert usdc.unrealised_pnl == Decimal("-1.25")
    again = feed.answer(Answer(request, 200, raw), NOW)
    assert not [one for one in again if isinstance(one, PageNeeded)]
    assert usdc in again
    of_usdh = Answer(replace(asked.request, tag="meta of flx"), 200, b'{"collateralToken":360}')
    assert [one.asset for one in feed.answer(of_usdh, NOW) if isinstance(one, Balance)] == ["USDH"]


def test_a_fill_on_another_dex_requests_its_positions(feed: HyperliquidAccountFeed) -> None:
    fill_, status = feed.frame(frame("userFills", {"fills": [fill(coin="xyz:XYZ100")]}), NOW)
    assert isinstance(fill_, Fill)
    assert (fill_.symbol, fill_.name) == ("xyz:XYZ100", "xyz:XYZ100")
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.UNKNOWN
    request = feed.figures(NOW)[-1]
    assert json.loads(request.body) == {"type": "clearinghouseState", "user": USER.lower(), "dex": "xyz"}
    before = feed.answer(answer(state(BTC="1")), NOW)
    (position,) = feed.answer(Answer(request, 200, json.dumps(state(**{"xyz:XYZ100": "2"})).encode()), NOW)
    assert isinstance(position, Position)
    (closed,) = feed.answer(Answer(request, 200, json.dumps(state()).encode()), NOW)
    assert isinstance(closed, Position)
    assert (closed.symbol, closed.quantity) == ("xyz:XYZ100", Decimal(0))
    assert list(feed.answer(answer(state(BTC="1")), NOW)) == list(before)


SPOT = balance("USDC", "1000", "200")
MODES = [
    ("unifiedAccount", SPOT, {}),
    ("portfolioMargin", SPOT, {}),
    ("", SPOT | {"spotHold": "0.0"}, {}),
    ("", SPOT, {"tokenToAvailableAfterMaintenance": [[0, "900"]]}),
    ("", SPOT, {"portfolioMarginEnabled": True, "portfolioMarginRatio": "0.1"}),
]


@pytest.mark.parametrize(("mode", "usdc", "more"), MODES)
@pytest.mark.parametrize("spot_first", [True, False])
def test_one_balance_for_all_is_counted_once(mode: str, usdc: Any, more: Any, spot_first: bool) -> None:
    feed = HyperliquidAccountFeed(Keys(USER, "0x01"), [BTC])
    if mode:
        (status,) = feed.answer(answer(mode, "userAbstraction"), NOW)
        assert isinstance(status, ExchangeStatus)
        assert (status.kind, status.value) == (StatusKind.MODE, 0.0)
    answers = [answer({"balances": [usdc], **more}), answer(state("198.75", "200", "0", BTC="6"))]
    events = [one for each in (answers if spot_first else answers[::-1]) for one in feed.answer(each, NOW)]
    found = [one for one in events if isinstance(one, Balance)][-1]
    assert found == Balance(
        "hyperliquid",
        "USDC",
        Decimal("798.75"),
        Decimal(0),
        Decimal(200),
        Decimal("998.75"),
        NOW,
        unrealised_pnl=Decimal("-1.25"),
    )
    if mode and not spot_first:
        assert not isinstance(events[0], Balance)  # the collateral of such an account is not in this state


def test_what_was_once_one_balance_for_all_is_not_added_when_the_margin_is_free_again(
    feed: HyperliquidAccountFeed,
) -> None:
    feed.answer(answer({"balances": [SPOT | {"spotHold": "0"}]}), NOW)
    feed.answer(answer(state("198.75", "200", "0", BTC="6")), NOW)
    (usdc,) = feed.answer(answer({"balances": [balance("USDC", "998", "0")]}), NOW)
    assert isinstance(usdc, Balance)
    assert usdc.total == Decimal("996.75")


def test_a_unified_account_without_collateral_has_none(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer("unifiedAccount", "userAbstraction"), NOW)
    feed.answer(answer({"balances": [balance("HYPE", "5", "0")]}), NOW)
    (usdc,) = feed.answer(answer(state("0", "0", "0")), NOW)
    assert isinstance(usdc, Balance)
    assert (usdc.asset, usdc.total) == ("USDC", Decimal(0))


AMOUNTS = st.decimals(0, 10**9, places=6)


@given(st.sampled_from(["", "default", "unifiedAccount"]), st.lists(AMOUNTS, min_size=5, max_size=5), st.booleans())
def test_in_every_mode_the_parts_make_the_total(mode: str, amounts: list[Decimal], spot_first: bool) -> None:
    feed = HyperliquidAccountFeed(Keys(USER, "0x01"), [BTC])
    if mode:
        feed.answer(answer(mode, "userAbstraction"), NOW)
    total, hold, value, margin, free = map(str, amounts)
    answers = [answer({"balances": [balance("USDC", total, hold)]}), answer(state(value, margin, free, BTC="1"))]
    for each in answers if spot_first else answers[::-1]:
        for one in feed.answer(each, NOW):
            if isinstance(one, Balance):
                assert one.free + one.in_orders + one.in_positions == one.total
    assert isinstance(one, Balance | Position)


@pytest.mark.parametrize("mode", ["default", "disabled", "dexAbstraction"])
def test_separate_accounts_are_added(feed: HyperliquidAccountFeed, mode: str) -> None:
    feed.answer(answer(mode, "userAbstraction"), NOW)
    feed.answer(answer({"balances": [SPOT | {"spotHold": "200"}], "portfolioMarginEnabled": False}), NOW)
    (usdc, _) = feed.answer(answer(state("198.75", "200", "0", BTC="6")), NOW)
    assert isinstance(usdc, Balance)
    assert (usdc.total, usdc.unrealised_pnl, usdc.in_positions) == (Decimal("1198.75"), Decimal("-1.25"), Decimal(200))


def test_a_change_of_mode_counts_at_once(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer({"balances": [SPOT]}), NOW)
    feed.answer(answer(state("200", "200", "0")), NOW)
    _, usdc = feed.answer(answer("unifiedAccount", "userAbstraction"), NOW)
    assert isinstance(usdc, Balance)
    assert usdc.total == 1000
    assert len(feed.answer(answer("unifiedAccount", "userAbstraction"), NOW)) == 1


def test_fields_of_a_unified_account_alone_end_the_mode_reported_before(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer("default", "userAbstraction"), NOW)
    feed.answer(answer(state("200", "200", "0")), NOW)
    usdc = feed.answer(answer({"balances": [SPOT], "tokenToAvailableAfterMaintenance": [[0, "800"]]}), NOW)[0]
    assert isinstance(usdc, Balance)
    assert usdc.total == 1000
    (_, again) = feed.answer(answer("default", "userAbstraction"), NOW)
    assert isinstance(again, Balance)
    assert again.total == 1200


@pytest.mark.parametrize(
    ("body", "tag", "advice"),
    [("quantumMargin", "userAbstraction", "standard or unified"), ({"role": "agent"}, "userRole", "agent")],
)
def test_an_account_that_can_not_trade_reports_what_to_change(
    feed: HyperliquidAccountFeed, body: Any, tag: str, advice: str
) -> None:
    (status,) = feed.answer(answer(body, tag), NOW)
    assert isinstance(status, ExchangeStatus)
    assert (status.kind, status.value) == (StatusKind.MODE, 1.0)
    assert advice in status.detail


def test_a_full_page_of_fills_requests_the_next(feed: HyperliquidAccountFeed) -> None:
    (*_, request) = feed.resync(NOW - 60_000_000, NOW)
    rows = [fill(tid=number, time=MS - 30_000 + number) for number in range(2000)]
    body = json.dumps(rows).encode()
    *fills, page = feed.answer(Answer(request, 200, body), NOW)
    assert len({one.identity for one in fills if isinstance(one, Fill)}) == 2000
    assert isinstance(page, PageNeeded)
    assert page.request.tag == request.tag
    asked = {"type": "userFillsByTime", "user": USER.lower()}
    assert json.loads(page.request.body) == asked | {"startTime": MS - 30_000 + 1999}
    assert not any(
        isinstance(one, PageNeeded) for one in feed.answer(Answer(request, 200, json.dumps(rows[1:]).encode()), NOW)
    )
    one_moment = json.dumps([fill(tid=number, time=MS - 60_000) for number in range(2000)]).encode()
    again = feed.answer(Answer(request, 200, one_moment), NOW)[-1]
    assert isinstance(again, PageNeeded)
    assert json.loads(again.request.body)["startTime"] == MS - 60_000 + 1


@pytest.mark.parametrize(
    ("dir_", "more"),
    [
        ("Liquidated Cross Long", {"liquidation": {"liquidatedUser": USER, "markPx": "99", "method": "market"}}),
        ("Auto-Deleveraging", {}),
        ("Settlement", {"tid": 0, "oid": 0}),
    ],
)
def test_what_the_exchange_closed_is_a_fill_too(feed: HyperliquidAccountFeed, dir_: str, more: Any) -> None:
    event, status = feed.frame(frame("userFills", {"fills": [fill(dir=dir_, cloid=None, **more)]}), MS * 1000)
    assert isinstance(event, Fill)
    assert isinstance(status, ExchangeStatus)
    assert event.client_order_id == ""


def test_an_account_without_spot_balances(feed: HyperliquidAccountFeed) -> None:
    assert [type(one) for one in feed.answer(answer({"balances": []}, "spotClearinghouseState"), NOW)] == [Ignored]


@pytest.mark.parametrize("tag", ["frontendOpenOrders", "userFills", ""])
def test_an_empty_list_is_an_answer(feed: HyperliquidAccountFeed, tag: str) -> None:
    assert [type(one) for one in feed.answer(answer([], tag), NOW)] == [Ignored]


@pytest.mark.parametrize(
    ("body", "tag", "status"),
    [
        (None, "clearinghouseState", 200),
        ({}, "spotClearinghouseState", 200),
        ({"assetPositions": []}, "clearinghouseState", 200),
        ([{"oid": 1}], "userFills", 200),
        ([{"order": {}, "status": "open"}], "", 200),
        (7, "userAbstraction", 200),
        ([], "userFills", 500),
    ],
)
def test_undecodable_answers(feed: HyperliquidAccountFeed, body: Any, tag: str, status: int) -> None:
    assert [type(one) for one in feed.answer(answer(body, tag, status), NOW)] == [Undecodable]


@pytest.mark.parametrize("raw", [b"", b"x", b"{}", frame("userFills", {"fills": [{}]}), frame("spotState", None)])
def test_undecodable_frames(feed: HyperliquidAccountFeed, raw: bytes) -> None:
    assert [type(one) for one in feed.frame(raw, NOW)] == [Undecodable]


def test_control_frames(feed: HyperliquidAccountFeed) -> None:
    assert [type(one) for one in feed.frame(b'{"channel":"pong"}', NOW)] == [Ignored]
    assert [type(one) for one in feed.frame(frame("userFills", {"fills": []}), NOW)] == [Ignored]
    assert [type(one) for one in feed.frame(frame("orderUpdates", []), NOW)] == [Ignored]
    assert [type(one) for one in feed.frame(frame("error", "Invalid subscription"), NOW)] == [ExchangeStatus]


@pytest.mark.parametrize(
    ("direction", "is_reported"),
    [("Liquidated Cross Long", True), ("Auto-Deleveraging", True), ("Settlement", True), ("Close Long", False)],
)
def test_what_the_exchange_itself_traded_for_the_account_is_reported(
    feed: HyperliquidAccountFeed, direction: str, is_reported: bool
) -> None:
    data = {"user": USER, "fills": [fill(dir=direction)]}
    events = feed.frame(frame("userFills", data), MS * 1000)
    assert [type(one) for one in events if isinstance(one, Fill)] == [Fill]
    reported = [one for one in events if isinstance(one, ExchangeStatus)]
    assert [(one.kind, one.symbol) for one in reported] == ([(StatusKind.MARGIN, BTC.symbol)] if is_reported else [])
    assert all(one.detail.startswith(direction) for one in reported)
    later = feed.frame(frame("userFills", data), (MS + 3_600_000) * 1000)
    assert [type(one) for one in later] == [Fill], "each connection brings old fills again"


def test_a_dir_that_is_no_text_skips_no_fill(feed: HyperliquidAccountFeed) -> None:
    events = feed.frame(frame("userFills", {"user": USER, "fills": [fill(dir=7)]}), MS * 1000)
    assert [type(one) for one in events] == [Fill]
