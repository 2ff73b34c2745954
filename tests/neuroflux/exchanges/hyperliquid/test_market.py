"""Hyperliquid's public feed, with frames written by hand."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import (
    ExchangeStatus,
    Funding,
    Instrument,
    InstrumentKind,
    Level,
    Quote,
    Side,
    StatusKind,
    StreamKind,
    Trade,
)
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.hyperliquid.market import TRADES_REMEMBERED, HyperliquidMarketFeed
from neuroflux.exchanges.kit.events import BookChanged, Ignored, Undecodable
from neuroflux.exchanges.kit.interface import MarketFeed
from neuroflux.exchanges.kit.requests import Answer, Request

NOW = 1_760_000_000_000_000
MS = NOW // 1000


def instrument(name: str, symbol: str, kind: InstrumentKind = InstrumentKind.PERPETUAL) -> Instrument:
    base = symbol.split("/")[0]
    return Instrument(
        exchange="hyperliquid", symbol=symbol, market=f"{base}/USD", name=name, base=base, quote="USDC", kind=kind
    )


@pytest.fixture
def feed() -> HyperliquidMarketFeed:
    return HyperliquidMarketFeed(
        [instrument("BTC", "BTC/USDC:USDC"), instrument("@107", "HYPE/USDC", InstrumentKind.SPOT)]
    )


def frame(channel: str, data: Any) -> bytes:
    return json.dumps({"channel": channel, "data": data}).encode()


def bbo(bid: list[str] | None, ask: list[str] | None, time: int = MS, coin: str = "BTC") -> bytes:
    sides = [None if side is None else {"px": side[0], "sz": side[1], "n": 3} for side in (bid, ask)]
    return frame("bbo", {"coin": coin, "time": time, "bbo": sides})


def l2book(bids: list[list[str]], asks: list[list[str]], time: int = MS, coin: str = "BTC") -> bytes:
    levels = [[{"px": price, "sz": size, "n": 1} for price, size in side] for side in (bids, asks)]
    return frame("l2Book", {"coin": coin, "time": time, "levels": levels})


def trade(tid: int, time: int = MS, side: str = "B", coin: str = "BTC", price: str = "100.0") -> dict[str, Any]:
    return {"coin": coin, "side": side, "px": price, "sz": "0.50", "time": time, "hash": "0x0", "tid": tid}


def kinds(events: Any) -> list[type]:
    return [type(event) for event in events]


def test_keeps_the_protocol(feed: HyperliquidMarketFeed) -> None:
    as_protocol: MarketFeed = feed
    assert as_protocol.exchange == "hyperliquid"


def test_a_quote_keeps_the_numbers_as_they_were_sent(feed: HyperliquidMarketFeed) -> None:
    assert list(feed.frame(bbo(["99.90", "1.0"], ["100.10", "2.50"]), NOW)) == [
        Quote("hyperliquid", "BTC/USDC:USDC", "BTC/USD", "99.90", "1.0", "100.10", "2.50", MS, NOW, NOW)
    ]


@pytest.mark.parametrize(("bid", "ask"), [(None, ["1", "1"]), (["1", "1"], None), (None, None)])
def test_no_quote_from_one_side(feed: HyperliquidMarketFeed, bid: list[str] | None, ask: list[str] | None) -> None:
    (excluded,) = feed.frame(bbo(bid, ask), NOW)
    assert isinstance(excluded, ExchangeStatus)
    assert (excluded.kind, excluded.channel, excluded.symbol) == (StatusKind.EXCLUDED, "quotes", "BTC/USDC:USDC")
    assert kinds(feed.frame(bbo(bid, ask), NOW)) == [Ignored]


def test_no_quote_from_an_array_of_one(feed: HyperliquidMarketFeed) -> None:
    data = {"coin": "BTC", "time": MS, "bbo": [{"px": "1", "sz": "1"}]}
    assert kinds(feed.frame(frame("bbo", data), NOW)) == [ExchangeStatus]


def test_an_empty_side_withdraws_the_quote_and_the_older_book_until_both_sides_return(
    feed: HyperliquidMarketFeed,
) -> None:
    feed.frame(l2book([["99", "1"]], [["101", "1"]], MS), NOW)
    feed.frame(bbo(["99", "1"], ["101", "1"], MS + 1), NOW)
    events = feed.frame(bbo(["99", "1"], None, MS + 2), NOW)
    assert [(one.kind, one.channel) for one in events if isinstance(one, ExchangeStatus)] == [
        (StatusKind.GAP, "l2Book"),
        (StatusKind.EXCLUDED, "quotes"),
    ]
    (emptied,) = (one.snapshot(5) for one in events if isinstance(one, BookChanged))
    assert (emptied.bids, emptied.asks, emptied.sequence) == ((), (), MS + 2)
    assert kinds(feed.frame(bbo(["99", "1"], ["101", "1"], MS + 1), NOW)) == [Ignored]
    assert kinds(feed.frame(bbo(["99", "1"], ["102", "1"], MS + 3_000), NOW)) == [ExchangeStatus, Quote]
    back = feed.frame(l2book([["99", "1"]], [["102", "1"]], MS + 3_001), NOW)
    assert kinds(back) == [ExchangeStatus, BookChanged]


def test_an_older_empty_side_does_not_change_a_newer_book(feed: HyperliquidMarketFeed) -> None:
    feed.frame(l2book([["99", "1"]], [["101", "1"]], MS + 5), NOW)
    assert kinds(feed.frame(bbo(["99", "1"], None, MS), NOW)) == [ExchangeStatus]
    assert kinds(feed.frame(l2book([["99", "2"]], [["101", "1"]], MS + 6), NOW)) == [BookChanged]


@pytest.mark.parametrize("price", ["nan", "inf", "-1", "0", "0.0", "1e5", "1_0", " 1", "1.2.3", "", "٣", "9" * 400])
def test_no_quote_from_what_is_no_price(feed: HyperliquidMarketFeed, price: str) -> None:
    assert kinds(feed.frame(bbo([price, "1"], ["100", "1"]), NOW)) == [Undecodable]


def test_no_crossed_quote(feed: HyperliquidMarketFeed) -> None:
    assert kinds(feed.frame(bbo(["101", "1"], ["100", "1"]), NOW)) == [Undecodable]


def test_an_older_quote_is_not_used_and_another_coins_is(feed: HyperliquidMarketFeed) -> None:
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS), NOW)) == [Quote]
    assert kinds(feed.frame(bbo(["98", "1"], ["100", "1"], MS - 1), NOW)) == [Ignored]
    assert kinds(feed.frame(bbo(["98", "1"], ["100", "1"], MS - 1, "@107"), NOW)) == [Quote]
    assert kinds(feed.frame(bbo(["98", "1"], ["100", "1"], MS), NOW)) == [Quote]


def test_trades(feed: HyperliquidMarketFeed) -> None:
    events = feed.frame(frame("trades", [trade(7, side="A"), trade(8, coin="@107"), trade(9, coin="NEW")]), NOW)
    assert list(events) == [
        Trade("hyperliquid", "BTC/USDC:USDC", "BTC/USD", "7", Side.SELL, "100.0", "0.50", NOW, NOW),
        Trade("hyperliquid", "HYPE/USDC", "HYPE/USD", "8", Side.BUY, "100.0", "0.50", NOW, NOW),
        Trade("hyperliquid", "NEW", "NEW", "9", Side.BUY, "100.0", "0.50", NOW, NOW),
    ]


def test_replayed_trades_are_reported_once(feed: HyperliquidMarketFeed) -> None:
    feed.frame(frame("trades", [trade(1), trade(2)]), NOW)
    assert [one.trade_id for one in feed.frame(frame("trades", [trade(2), trade(3)]), NOW) if type(one) is Trade] == [
        "3"
    ]
    assert kinds(feed.frame(frame("trades", [trade(1), trade(2), trade(3)]), NOW)) == [Ignored]


def test_a_trade_id_is_not_unique_alone(feed: HyperliquidMarketFeed) -> None:
    feed.frame(frame("trades", [trade(1)]), NOW)
    assert kinds(feed.frame(frame("trades", [trade(1, MS + 1), trade(1, coin="@107")]), NOW)) == [Trade, Trade]


def test_the_memory_for_trades_is_bounded_by_coin(feed: HyperliquidMarketFeed) -> None:
    feed.frame(frame("trades", [trade(1, coin="@107")]), NOW)
    feed.frame(frame("trades", [trade(tid) for tid in range(1, TRADES_REMEMBERED + 2)]), NOW)
    assert kinds(feed.frame(frame("trades", [trade(1)]), NOW)) == [Trade]
    assert kinds(feed.frame(frame("trades", [trade(1, coin="@107")]), NOW)) == [Ignored]


def test_no_trades(feed: HyperliquidMarketFeed) -> None:
    assert kinds(feed.frame(frame("trades", []), NOW)) == [Ignored]


def test_a_book_is_replaced_whole(feed: HyperliquidMarketFeed) -> None:
    feed.frame(l2book([["99", "1"], ["98", "2"]], [["100", "1"]]), NOW)
    (event,) = feed.frame(l2book([["97.0", "3"]], [["101", "4"], ["102", "5"]], MS + 5), NOW)
    assert isinstance(event, BookChanged)
    snapshot = event.snapshot(20)
    assert snapshot.bids == (Level("97.0", "3"),)
    assert snapshot.asks == (Level("101", "4"), Level("102", "5"))
    assert (snapshot.symbol, snapshot.sequence, snapshot.event_time) == ("BTC/USDC:USDC", MS + 5, NOW + 5000)


def test_an_older_book_is_not_used_and_an_equally_old_one_is(feed: HyperliquidMarketFeed) -> None:
    feed.frame(l2book([["99", "1"]], [["100", "1"]]), NOW)
    assert kinds(feed.frame(l2book([["90", "1"]], [["91", "1"]], MS - 1), NOW)) == [Ignored]
    (event,) = feed.frame(l2book([["98", "1"]], [["100", "1"]]), NOW)
    assert isinstance(event, BookChanged)
    assert event.snapshot(1).bids == (Level("98", "1"),)


def test_a_frame_that_is_dated_far_ahead_stalls_no_coin(feed: HyperliquidMarketFeed) -> None:
    ahead = MS + 3_600_000
    feed.frame(bbo(["99", "1"], ["100", "1"], ahead), NOW)
    feed.frame(l2book([["99", "1"]], [["100", "1"]], ahead), NOW)
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS), NOW))[0] is Quote
    assert kinds(feed.frame(l2book([["99", "1"]], [["100", "1"]], MS), NOW)) == [BookChanged]


@pytest.mark.parametrize("wrong", [([], []), ([["101", "1"]], [["100", "1"]]), ([["100", "1"]], [["100", "1"]])])
def test_an_invalid_book_is_withdrawn_until_a_valid_one(feed: HyperliquidMarketFeed, wrong: Any) -> None:
    feed.frame(l2book([["99", "1"]], [["100", "1"]]), NOW)
    gap, *emptied = feed.frame(l2book(wrong[0], wrong[1], MS + 1), NOW)
    assert [one.snapshot(1).bids for one in emptied if isinstance(one, BookChanged)] == ([] if wrong[0] else [()])
    assert isinstance(gap, ExchangeStatus)
    assert (gap.kind, gap.channel) == (StatusKind.GAP, "l2Book")
    assert gap.detail.startswith("BTC/USDC:USDC")
    assert kinds(feed.frame(l2book(wrong[0], wrong[1], MS + 2), NOW)) == [Ignored]
    resynced, changed = feed.frame(l2book([["99", "1"]], [["100", "1"]], MS + 3), NOW)
    assert isinstance(resynced, ExchangeStatus)
    assert resynced.kind is StatusKind.RESYNCED
    assert isinstance(changed, BookChanged)
    assert kinds(feed.frame(l2book([["99", "1"]], [["100", "1"]], MS + 4), NOW)) == [BookChanged]


@pytest.mark.parametrize("bad", [{"px": "-1"}, {"px": "nan"}, {"side": "C"}, {"tid": None}])
def test_only_a_bad_trade_is_skipped(feed: HyperliquidMarketFeed, bad: dict[str, Any]) -> None:
    *trades, fault = feed.frame(frame("trades", [trade(1), trade(2) | bad, trade(3)]), NOW)
    assert [one.trade_id for one in trades if isinstance(one, Trade)] == ["1", "3"]
    assert isinstance(fault, ExchangeStatus)
    assert fault.kind is StatusKind.MALFORMED
    assert kinds(feed.frame(frame("trades", [trade(4) | bad]), NOW)) == [Undecodable]


def test_a_quote_that_confirms_a_book_publishes_it_again(feed: HyperliquidMarketFeed) -> None:
    """Without it a book that is sent every 5 s is too old to trade on for most of the time."""
    feed.frame(l2book([["99", "1"], ["98", "2"]], [["100", "1"]]), NOW)
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS + 999), NOW)) == [Quote]
    _, changed = feed.frame(bbo(["99", "3"], ["100", "1"], MS + 1000), NOW + 7)
    assert isinstance(changed, BookChanged)
    snapshot = changed.snapshot(5)
    assert (snapshot.bids, snapshot.asks) == ((Level("99", "3"), Level("98", "2")), (Level("100", "1"),))
    assert (snapshot.sequence, snapshot.event_time, snapshot.received_time) == (MS + 1000, NOW + 1_000_000, NOW + 7)
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS + 1001), NOW)) == [Quote]


def test_a_quote_removes_from_the_book_what_it_contradicts(feed: HyperliquidMarketFeed) -> None:
    feed.frame(l2book([["99", "1"], ["98", "2"], ["97", "3"]], [["100", "1"], ["101", "1"]]), NOW)
    _, fallen = feed.frame(bbo(["97.5", "1"], ["98", "1"], MS + 1000), NOW)
    assert isinstance(fallen, BookChanged)
    assert [level.price for level in fallen.snapshot(5).bids] == ["97.5", "97"]
    assert [level.price for level in fallen.snapshot(5).asks] == ["98", "100", "101"]


def test_a_quote_does_not_keep_a_book_alive_whose_own_stream_has_stopped(feed: HyperliquidMarketFeed) -> None:
    feed.frame(l2book([["99", "1"]], [["100", "1"]]), NOW)
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS + 10_000), NOW)) == [Quote, BookChanged]
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS + 11_001), NOW)) == [Quote]


def test_a_quote_does_not_prove_a_withdrawn_book(feed: HyperliquidMarketFeed) -> None:
    feed.frame(l2book([["99", "1"]], [["100", "1"]]), NOW)
    feed.frame(l2book([], [], MS + 1), NOW)
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS + 2000), NOW)) == [Quote]


def test_a_book_with_one_side_is_a_book(feed: HyperliquidMarketFeed) -> None:
    assert kinds(feed.frame(l2book([["99", "1"]], []), NOW)) == [BookChanged]


def test_an_unreadable_level_leaves_the_book_as_it_was(feed: HyperliquidMarketFeed) -> None:
    (before,) = feed.frame(l2book([["99", "1"]], [["100", "1"]]), NOW)
    assert isinstance(before, BookChanged)
    assert kinds(feed.frame(l2book([["98", "1"]], [["x", "1"]], MS + 1), NOW)) == [Undecodable]
    assert before.snapshot(1).bids == (Level("99", "1"),)


def test_a_closed_socket_withdraws_its_books_alone(feed: HyperliquidMarketFeed) -> None:
    (mine,) = feed.subscriptions(["BTC/USDC:USDC"])
    for coin in ("BTC", "@107"):
        feed.frame(l2book([["99", "1"]], [["100", "1"]], coin=coin), NOW)
    feed.disconnected(mine)
    assert kinds(feed.frame(l2book([["99", "1"]], [["100", "1"]]), NOW)) == [ExchangeStatus, BookChanged]
    assert kinds(feed.frame(l2book([["99", "1"]], [["100", "1"]], coin="@107"), NOW)) == [BookChanged]


def test_funding_is_hourly_and_as_old_as_its_arrival(feed: HyperliquidMarketFeed) -> None:
    context = {"funding": "-0.0000125", "oraclePx": "100.5", "markPx": "100.4", "premium": None, "midPx": None}
    assert list(feed.frame(frame("activeAssetCtx", {"coin": "BTC", "ctx": context}), NOW)) == [
        Funding(
            "hyperliquid", "BTC/USDC:USDC", "BTC/USD", "-0.0000125", 1, "100.4", "100.5", 1_760_000_400_000_000, NOW
        )
    ]


def test_on_the_full_hour_the_next_funding_is_an_hour_away(feed: HyperliquidMarketFeed) -> None:
    context = {"funding": "0", "oraclePx": "1", "markPx": "1"}
    (event,) = feed.frame(frame("activeAssetCtx", {"coin": "BTC", "ctx": context}), 1_760_000_400_000_000)
    assert isinstance(event, Funding)
    assert event.next_funding_time == 1_760_004_000_000_000


@pytest.mark.parametrize(
    "raw",
    [
        b'{"channel":"pong"}',
        b"Websocket connection established.",
        "Websocket connection established.",
        frame("subscriptionResponse", {"method": "subscribe"}),
        frame("activeSpotAssetCtx", {"coin": "@107", "ctx": {"markPx": "1"}}),
        frame("allMids", {"mids": {}}),
        frame("orderUpdates", []),
        frame("error", "Already subscribed: {}"),
    ],
)
def test_understood_and_not_used(feed: HyperliquidMarketFeed, raw: bytes | str) -> None:
    assert kinds(feed.frame(raw, NOW)) == [Ignored]


def test_a_request_that_the_exchange_could_not_read_is_a_status(feed: HyperliquidMarketFeed) -> None:
    (event,) = feed.frame(frame("error", "Error parsing JSON into valid websocket request: x"), NOW)
    assert isinstance(event, ExchangeStatus)
    assert event.kind is StatusKind.MALFORMED
    assert "parsing" in event.detail


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"hello",
        b"\xff\xfe",
        "\ud800",
        b"null",
        b"[]",
        b"{}",
        b'{"channel":5}',
        b'{"channel":"bbo"}',
        b'{"channel":"bbo","data":{}}',
        b'{"channel":"trades","data":[{"coin":"BTC","side":"X","px":"1","sz":"1","time":1,"tid":1}]}',
        b'{"channel":"l2Book","data":{"coin":"BTC","time":-1,"levels":[[],[]]}}',
        b'{"channel":"l2Book","data":{"coin":"BTC","time":1,"levels":[]}}',
        b"[" * 100_000,
    ],
)
def test_undecodable(feed: HyperliquidMarketFeed, raw: bytes | str) -> None:
    (event,) = feed.frame(raw, NOW)
    assert isinstance(event, Undecodable)
    assert event.reason


def test_rest_answers_are_distinguished_by_their_shape(feed: HyperliquidMarketFeed) -> None:
    def ask(body: Any, status: int = 200) -> list[type]:
        return kinds(feed.answer(Answer(Request("POST", "/info"), status, json.dumps(body).encode()), NOW))

    assert ask({"coin": "BTC", "time": MS, "levels": [[{"px": "1", "sz": "1"}], []]}) == [BookChanged]
    assert ask([trade(2, MS + 1), trade(1)]) == [Trade, Trade]
    assert ask({"universe": []}) == [Ignored]
    assert ask({"anything": 1}) == [Ignored]
    assert ask({"levels": 1}) == [Undecodable]
    assert ask({}, 500) == [Undecodable]
    assert kinds(feed.answer(Answer(Request("POST", "/info"), 200, b"<html>"), NOW)) == [Undecodable]


def test_subscriptions_of_a_perpetual_and_a_pair(feed: HyperliquidMarketFeed) -> None:
    (socket,) = feed.subscriptions(["BTC/USDC:USDC", "HYPE/USDC"])
    assert (socket.path, socket.heartbeat, socket.heartbeat_seconds) == ("/ws", b'{"method":"ping"}', 30.0)
    sent = [json.loads(one) for one in socket.frames]
    assert {one["method"] for one in sent} == {"subscribe"}
    assert [tuple(one["subscription"].values()) for one in sent] == [
        ("bbo", "BTC"),
        ("l2Book", "BTC", True),
        ("trades", "BTC"),
        ("activeAssetCtx", "BTC"),
        ("bbo", "@107"),
        ("l2Book", "@107", True),
        ("trades", "@107"),
    ]


def many(perpetuals: int, pairs: int) -> list[Instrument]:
    """Pairs are first, so that their order alone would give them the room."""
    spot = [instrument(f"@{n}", f"S{n}/USDC", InstrumentKind.SPOT) for n in range(pairs)]
    return spot + [instrument(f"C{n}", f"C{n}/USDC:USDC") for n in range(perpetuals)]


def test_an_address_follows_at_most_a_thousand_and_leaves_room_for_the_account() -> None:
    listed = many(178, 312)
    feed = HyperliquidMarketFeed(listed)
    (socket,) = feed.subscriptions([one.symbol for one in listed])
    assert len(socket.frames) == len(set(socket.frames)) == len(socket.streams) == 990
    of_perpetuals = [kind for kind, symbol in socket.streams if ":" in symbol]
    assert len(of_perpetuals) == 178 * 4
    assert Counter(kind for kind, symbol in socket.streams if ":" not in symbol) == {
        StreamKind.QUOTE: 139,
        StreamKind.BOOK: 139,
    }


def test_what_is_not_followed_is_reported_once_by_name() -> None:
    listed = many(0, 331)
    feed = HyperliquidMarketFeed(listed)
    feed.subscriptions([one.symbol for one in listed])
    excluded, quote = feed.frame(bbo(["99", "1"], ["100", "1"], coin="@1"), NOW)
    assert isinstance(excluded, ExchangeStatus)
    assert (excluded.kind, excluded.channel, excluded.event_time) == (StatusKind.EXCLUDED, "subscriptions", NOW)
    assert excluded.detail.startswith("trade ")
    assert excluded.detail.endswith(": S328/USDC, S329/USDC, S330/USDC")
    assert isinstance(quote, Quote)
    assert kinds(feed.frame(bbo(["99", "1"], ["100", "1"], MS + 1, coin="@1"), NOW)) == [Quote]


def test_what_is_listed_later_has_the_room_that_is_left() -> None:
    listed = many(0, 331)
    feed = HyperliquidMarketFeed(listed)
    (first,) = feed.subscriptions([one.symbol for one in listed[:329]])
    (second,) = feed.subscriptions([one.symbol for one in listed[329:]])
    assert (len(first.frames), len(second.frames)) == (987, 3)
    assert feed.subscriptions([listed[330].symbol])[0].frames == second.frames[2:]
    (anew,) = feed.subscriptions([one.symbol for one in listed[:329]])
    assert anew == first


def test_an_unknown_symbol_is_the_callers_mistake(feed: HyperliquidMarketFeed) -> None:
    with pytest.raises(UnknownSymbol):
        feed.subscriptions(["NO/USDC:USDC"])


PRICES = st.integers(1, 40)
SNAPSHOTS = st.tuples(st.sets(PRICES, max_size=4), st.sets(PRICES, max_size=4))
FATES = st.sampled_from(["arrives", "arrives", "arrives", "lost", "twice", "late", "cut", "disconnect"])


def sides_of(event: BookChanged) -> tuple[set[int], set[int]]:
    snapshot = event.snapshot(50)
    bids, asks = ({int(float(one.price)) for one in side} for side in (snapshot.bids, snapshot.asks))
    return bids, asks


@given(st.lists(st.tuples(SNAPSHOTS, FATES), max_size=40))
def test_a_published_book_is_one_that_the_exchange_had(history: list[tuple[tuple[set[int], set[int]], str]]) -> None:
    """The law: over frames that are lost, repeated, late or torn, empty or crossed, and lost sockets, a shown book is
    one the exchange had, none is older than the last, and after a withdrawal a status reports that it is proved again.
    """
    feed = HyperliquidMarketFeed([instrument("BTC", "BTC/USDC:USDC")])
    (subscription,) = feed.subscriptions(["BTC/USDC:USDC"])
    truth: dict[int, tuple[set[int], set[int]]] = {}
    late: list[bytes] = []
    newest, withdrawn = 0, False

    def check(raw: bytes) -> None:
        nonlocal newest, withdrawn
        for event in feed.frame(raw, NOW):
            if isinstance(event, ExchangeStatus):
                assert (event.kind is StatusKind.RESYNCED) == withdrawn
                withdrawn = not withdrawn
            if isinstance(event, BookChanged):
                assert not withdrawn or sides_of(event) == (set(), set())
                assert event.sequence >= newest
                newest = event.sequence
                assert sides_of(event) == truth[newest]
                assert not event.book.crossed

    for number, ((bids, asks), fate) in enumerate(history, start=MS):
        truth[number] = bids, asks
        raw = l2book([[str(one), "1"] for one in bids], [[str(one), "1"] for one in asks], time=number)
        if fate in ("arrives", "twice"):
            check(raw)
        if fate == "twice":
            check(raw)
        if fate == "cut":
            check(raw[: len(raw) // 2])
        if fate == "disconnect":
            feed.disconnected(subscription)
            withdrawn = withdrawn or newest > 0
        if fate == "late":
            late.append(raw)
        elif late:
            check(late.pop())
