"""Hyperliquid's private feed, with frames and answers written by hand."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

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
)
from neuroflux.exchanges.base_exchange import AccountFeed, Answer, Ignored, Keys, Request, Undecodable
from neuroflux.exchanges.hyperliquid_account import HyperliquidAccountFeed

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


def balance(asset: str, total: str, hold: str) -> dict[str, Any]:
    return {"coin": asset, "token": 0, "total": total, "hold": hold, "entryNtl": "0"}


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
        for kind in ("userFills", "orderUpdates", "clearinghouseState", "spotState")
    ]


def test_resync_asks_for_everything_since(feed: HyperliquidAccountFeed) -> None:
    requests = feed.resync(NOW - 60_000_000, NOW)
    user = {"user": USER.lower()}
    assert [json.loads(one.body) for one in requests] == [
        {"type": "spotClearinghouseState", **user},
        {"type": "clearinghouseState", **user},
        {"type": "frontendOpenOrders", **user},
        {"type": "userFillsByTime", **user, "startTime": MS - 60_000},
    ]
    assert [one.weight for one in requests] == [2, 2, 20, 20]


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


def test_fills_without_a_trade_id_are_still_told_apart(feed: HyperliquidAccountFeed) -> None:
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
        average_price=Decimal(0),
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


def test_an_unknown_status_does_not_hide_the_other_orders(feed: HyperliquidAccountFeed) -> None:
    first, second = feed.frame(frame("orderUpdates", [update("evaporated"), update("open")]), NOW)
    assert isinstance(first, Undecodable)
    assert "evaporated" in first.reason
    assert isinstance(second, OrderReport)


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


def test_an_asset_that_is_gone_is_zero(feed: HyperliquidAccountFeed) -> None:
    feed.answer(answer({"balances": [balance("HYPE", "5", "0"), balance("PURR", "1", "0")]}), NOW)
    assert feed.answer(answer({"balances": [balance("PURR", "1", "0")]}), NOW)[1] == Balance(
        "hyperliquid", "HYPE", Decimal(0), Decimal(0), Decimal(0), Decimal(0), NOW
    )


def test_positions_and_those_that_are_gone(feed: HyperliquidAccountFeed) -> None:
    _, short, other = feed.answer(answer(state(BTC="-0.5", NEW="3")), NOW)
    assert short == Position("hyperliquid", "BTC/USDC:USDC", Decimal("-0.5"), Decimal("99.5"), Decimal("-1.25"), NOW)
    assert isinstance(other, Position)
    assert other.symbol == "NEW"
    _, _, closed = feed.answer(answer(state(NEW="3")), NOW)
    assert closed == Position("hyperliquid", "BTC/USDC:USDC", Decimal(0), Decimal(0), Decimal(0), NOW)
    assert len(feed.answer(answer(state(NEW="3")), NOW)) == 2


def test_another_exchange_on_the_same_chain_is_not_used(feed: HyperliquidAccountFeed) -> None:
    raw = frame("clearinghouseState", {"dex": "xyz", "clearinghouseState": state("1", "0", "1")})
    assert [type(one) for one in feed.frame(raw, NOW)] == [Ignored]


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
        ([update("evaporated")], "", 200),
        ([], "userFills", 500),
    ],
)
def test_answers_that_tell_nothing(feed: HyperliquidAccountFeed, body: Any, tag: str, status: int) -> None:
    assert [type(one) for one in feed.answer(answer(body, tag, status), NOW)] == [Undecodable]


@pytest.mark.parametrize("raw", [b"", b"x", b"{}", frame("userFills", {"fills": [{}]}), frame("spotState", None)])
def test_undecodable_frames(feed: HyperliquidAccountFeed, raw: bytes) -> None:
    assert [type(one) for one in feed.frame(raw, NOW)] == [Undecodable]


def test_control_frames(feed: HyperliquidAccountFeed) -> None:
    assert [type(one) for one in feed.frame(b'{"channel":"pong"}', NOW)] == [Ignored]
    assert [type(one) for one in feed.frame(frame("userFills", {"fills": []}), NOW)] == [Ignored]
    assert [type(one) for one in feed.frame(frame("orderUpdates", []), NOW)] == [Ignored]
    assert [type(one) for one in feed.frame(frame("error", "Invalid subscription"), NOW)] == [ExchangeStatus]
