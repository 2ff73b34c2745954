"""Bybit's public feed, over frames written by hand from the manual."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from neuroflux.domain import ExchangeStatus, Funding, Instrument, InstrumentKind, Quote, Side, StatusKind, Trade
from neuroflux.errors import UnknownSymbol
from neuroflux.exchanges.bybit.exchange import Bybit
from neuroflux.exchanges.bybit.market import BybitMarketFeed
from neuroflux.exchanges.bybit.names import LINEAR, SPOT, name_of
from neuroflux.exchanges.kit.events import BookChanged, Ignored, Resubscribe, Undecodable

NOW = 1_790_000_000_000_000
MS = 1_790_000_000_000
ON_SPOT, ON_LINEAR = "/v5/public/spot", "/v5/public/linear"


def instrument(category: str, base: str = "BTC") -> Instrument:
    is_spot = category == SPOT
    return Instrument(
        exchange="bybit",
        symbol=f"{base}/USDT" if is_spot else f"{base}/USDT:USDT",
        market=f"{base}/USD",
        name=name_of(category, f"{base}USDT"),
        base=base,
        quote="USDT",
        kind=InstrumentKind.SPOT if is_spot else InstrumentKind.PERPETUAL,
        settle="" if is_spot else "USDT",
        tick_size=Decimal("0.1"),
    )


BOTH = [instrument(SPOT), instrument(LINEAR)]


def feed() -> BybitMarketFeed:
    return Bybit().market_feed(BOTH)


def book(topic: str, kind: str, u: int, bids: Any = (), asks: Any = (), at: int = 0, **more: Any) -> bytes:
    data = {"s": topic.rpartition(".")[2], "b": bids, "a": asks, "u": u, "seq": 7_000 + u}
    frame = {"topic": topic, "ts": MS + at + 5, "type": kind, "data": data, "cts": MS + at}
    return json.dumps(frame | more, separators=(",", ":")).encode()


def shown(events: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    changed = next(one for one in events if isinstance(one, BookChanged))
    bids, asks = ([(one.price, one.quantity) for one in side(99)] for side in (changed.book.bids, changed.book.asks))
    return bids, asks


def kinds(events: Any) -> list[StatusKind]:
    return [one.kind for one in events if isinstance(one, ExchangeStatus)]


TOPIC = "orderbook.50.BTCUSDT"
SNAPSHOT = book(TOPIC, "snapshot", 10, [["100", "1"], ["99", "2"]], [["101", "3"]])

# ── which instrument a frame is of ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("channel", "symbol"),
    [(ON_SPOT, "BTC/USDT"), (ON_LINEAR, "BTC/USDT:USDT"), ("spot", "BTC/USDT"), ("linear", "BTC/USDT:USDT")],
)
def test_the_same_frame_is_of_the_instrument_of_its_socket(channel: str, symbol: str) -> None:
    (quote,) = feed().frame(book("orderbook.1.BTCUSDT", "snapshot", 1, [["1", "1"]], [["2", "2"]]), NOW, channel)
    assert isinstance(quote, Quote)
    assert (quote.symbol, quote.market) == (symbol, "BTC/USD")


def test_books_of_the_same_name_are_kept_apart() -> None:
    both = feed()
    both.frame(SNAPSHOT, NOW, ON_SPOT)
    both.frame(book(TOPIC, "snapshot", 70, [["200", "1"]], [["201", "1"]]), NOW, ON_LINEAR)
    spot = both.frame(book(TOPIC, "delta", 11, [["98", "4"]]), NOW, ON_SPOT)
    assert shown(spot) == ([("100", "1"), ("99", "2"), ("98", "4")], [("101", "3")])
    linear = both.frame(book(TOPIC, "delta", 71, [["200", "0"], ["199", "1"]]), NOW, ON_LINEAR)
    assert shown(linear) == ([("199", "1")], [("201", "1")])


def test_the_socket_of_one_category_takes_only_its_own_books_with_it() -> None:
    both = feed()
    for channel in (ON_SPOT, ON_LINEAR):
        both.frame(SNAPSHOT, NOW, channel)
    spot, linear = both.subscriptions(["BTC/USDT", "BTC/USDT:USDT"])
    assert (spot.path, linear.path) == (ON_SPOT, ON_LINEAR)
    both.disconnected(spot)
    delta = book(TOPIC, "delta", 11, [["98", "4"]])
    assert not any(isinstance(one, BookChanged) for one in both.frame(delta, NOW, ON_SPOT))
    assert any(isinstance(one, BookChanged) for one in both.frame(delta, NOW, ON_LINEAR))


# ── subscriptions ────────────────────────────────────────────────────────────────────────────────────────────────


def test_each_instrument_is_subscribed_to_by_a_frame_of_its_own() -> None:
    (spot, linear) = feed().subscriptions(["BTC/USDT:USDT", "BTC/USDT"])
    assert [json.loads(one) for one in spot.frames] == [
        {"op": "subscribe", "args": ["orderbook.1.BTCUSDT", "publicTrade.BTCUSDT", "orderbook.50.BTCUSDT"]}
    ]
    assert json.loads(linear.frames[0])["args"][3:] == ["tickers.BTCUSDT"]
    assert (linear.heartbeat, linear.heartbeat_seconds) == (b'{"op":"ping"}', 20.0)
    assert [json.loads(one) for one in linear.resubscribes["BTC/USDT:USDT"]] == [
        {"op": "unsubscribe", "args": [TOPIC]},
        {"op": "subscribe", "args": [TOPIC]},
    ]


def test_a_socket_has_so_many_topics_and_no_more() -> None:
    many = [instrument(LINEAR, f"C{number}") for number in range(120)]
    sockets = Bybit().market_feed(many).subscriptions([one.symbol for one in many])
    topics = [[topic for frame in one.frames for topic in json.loads(frame)["args"]] for one in sockets]
    assert [len(one) for one in topics] == [200, 200, 80]
    with pytest.raises(UnknownSymbol):
        feed().subscriptions(["BTC/USDT", "NO/USDT"])


@pytest.mark.parametrize("text", ["error:handler not found,topic:x", "Invalid symbol :[x]"])
def test_a_refused_subscription_is_reported(text: str) -> None:
    raw = json.dumps({"success": False, "ret_msg": text, "conn_id": "1", "op": "subscribe"}).encode()
    (status,) = feed().frame(raw, NOW, ON_SPOT)
    assert isinstance(status, ExchangeStatus)
    assert (status.kind, status.detail) == (StatusKind.MALFORMED, text)


@pytest.mark.parametrize(
    "frame",
    [
        {"success": True, "ret_msg": "", "conn_id": "1", "op": "subscribe"},
        {"success": True, "ret_msg": "pong", "conn_id": "1", "op": "ping"},
        {"success": False, "ret_msg": "error:already subscribed,topic:x", "conn_id": "1", "op": "subscribe"},
        {"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": MS, "data": []},
        {"topic": "orderbook.full.BTCUSDT", "type": "snapshot", "ts": MS, "data": {"s": "", "b": [], "a": [], "u": 1}},
        {"topic": "orderbook.rpi.BTCUSDT", "type": "delta", "ts": MS, "data": {"b": [["1", "2", "3"]]}},
    ],
)
def test_what_is_not_used_is_ignored(frame: Any) -> None:
    raw = json.dumps(frame, separators=(",", ":")).encode()
    assert all(isinstance(one, Ignored) for one in feed().frame(raw, NOW, ON_LINEAR))


# ── books ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_book_has_the_numbers_as_written_and_the_time_of_the_matching_engine() -> None:
    (changed,) = feed().frame(book(TOPIC, "snapshot", 10, [["100.10", "1.500"]], [["101", "3"]], at=7), NOW, ON_SPOT)
    assert isinstance(changed, BookChanged)
    assert shown([changed]) == ([("100.10", "1.500")], [("101", "3")])
    assert (changed.sequence, changed.event_time) == (10, (MS + 7) * 1000)


def test_a_gap_withdraws_the_book_which_is_subscribed_to_again() -> None:
    one = feed()
    one.frame(SNAPSHOT, NOW, ON_SPOT)
    events = one.frame(book(TOPIC, "delta", 12, [["98", "4"]]), NOW, ON_SPOT)
    assert kinds(events) == [StatusKind.GAP]
    assert [event.symbol for event in events if isinstance(event, Resubscribe)] == ["BTC/USDT"]
    assert not any(isinstance(event, BookChanged) for event in one.frame(book(TOPIC, "delta", 13), NOW, ON_SPOT))
    again = one.frame(book(TOPIC, "snapshot", 20, [["90", "1"]], [["91", "1"]]), NOW, ON_SPOT)
    assert kinds(again) == [StatusKind.RESYNCED]
    assert shown(again) == ([("90", "1")], [("91", "1")])


def test_an_old_change_is_dropped_and_one_before_the_snapshot_is_not_used() -> None:
    one = feed()
    early = one.frame(book(TOPIC, "delta", 10, [["98", "4"]]), NOW, ON_SPOT)
    assert all(isinstance(event, Ignored) for event in early)
    one.frame(SNAPSHOT, NOW, ON_SPOT)
    old = one.frame(book(TOPIC, "delta", 10, [["98", "4"]]), NOW, ON_SPOT)
    assert all(isinstance(event, Ignored) for event in old)
    assert shown(one.frame(book(TOPIC, "delta", 11), NOW, ON_SPOT))[0] == [("100", "1"), ("99", "2")]


def test_a_snapshot_replaces_the_book_at_any_time_also_when_the_numbers_begin_again() -> None:
    one = feed()
    one.frame(SNAPSHOT, NOW, ON_SPOT)
    restarted = one.frame(book(TOPIC, "snapshot", 1, [["90", "1"]], [["91", "1"]]), NOW, ON_SPOT)
    assert kinds(restarted) == []
    assert shown(restarted) == ([("90", "1")], [("91", "1")])
    assert shown(one.frame(book(TOPIC, "delta", 2, [["89", "1"]]), NOW, ON_SPOT))[0] == [("90", "1"), ("89", "1")]


def test_a_crossed_book_is_withdrawn() -> None:
    one = feed()
    one.frame(SNAPSHOT, NOW, ON_SPOT)
    events = one.frame(book(TOPIC, "delta", 11, [["101", "1"]]), NOW, ON_SPOT)
    assert kinds(events) == [StatusKind.GAP]
    assert not any(isinstance(event, BookChanged) for event in events)


def test_a_book_is_cut_to_the_depth_of_its_topic() -> None:
    one = feed()
    bids = [[str(1000 - number), "1"] for number in range(50)]
    one.frame(book(TOPIC, "snapshot", 1, bids, [["2000", "1"]]), NOW, ON_SPOT)
    (kept, _) = shown(one.frame(book(TOPIC, "delta", 2, [["1001", "1"]]), NOW, ON_SPOT))
    assert (len(kept), kept[0], kept[-1]) == (50, ("1001", "1"), ("952", "1"))


def test_topics_of_another_depth_have_books_of_their_own() -> None:
    one = feed()
    one.frame(SNAPSHOT, NOW, ON_SPOT)
    one.frame(book("orderbook.200.BTCUSDT", "snapshot", 500, [["100", "9"]], [["101", "9"]]), NOW, ON_SPOT)
    assert shown(one.frame(book(TOPIC, "delta", 11), NOW, ON_SPOT))[1] == [("101", "3")]


# ── quotes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_quote_has_the_number_that_all_topics_share() -> None:
    (quote,) = feed().frame(book("orderbook.1.BTCUSDT", "snapshot", 3, [["1.0", "5"]], [["2.0", "6"]]), NOW, ON_LINEAR)
    assert isinstance(quote, Quote)
    assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == ("1.0", "5", "2.0", "6")
    assert (quote.sequence, quote.event_time, quote.received_time) == (7_003, MS * 1000, NOW)


def test_the_same_top_again_is_no_fault() -> None:
    one, top = feed(), book("orderbook.1.BTCUSDT", "snapshot", 3, [["1", "5"]], [["2", "6"]])
    assert one.frame(top, NOW, ON_SPOT) == one.frame(top, NOW, ON_SPOT)


def test_an_empty_side_is_a_quote_of_nothing() -> None:
    (quote,) = feed().frame(book("orderbook.1.BTCUSDT", "snapshot", 3, [], [["2", "6"]]), NOW, ON_SPOT)
    assert isinstance(quote, Quote)
    assert (quote.bid_price, quote.bid_size, quote.ask_price) == ("0", "0", "2")


def test_a_change_of_the_top_counts_only_after_the_one_before() -> None:
    one, topic = feed(), "orderbook.1.BTCUSDT"
    one.frame(book(topic, "snapshot", 3, [["10", "5"]], [["12", "6"]]), NOW, ON_SPOT)
    (quote,) = one.frame(book(topic, "delta", 4, [["10", "0"], ["11", "1"]]), NOW, ON_SPOT)
    assert isinstance(quote, Quote)
    assert (quote.bid_price, quote.bid_size, quote.ask_price) == ("11", "1", "12")
    for number in (6, 7):
        (lost,) = one.frame(book(topic, "delta", number, [["11", "3"]]), NOW, ON_SPOT)
        assert isinstance(lost, Ignored)


# ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────────

TRADE = {"T": MS, "s": "BTCUSDT", "S": "Sell", "v": "0.010", "p": "100.50", "L": "PlusTick", "i": "77", "BT": False}


def tape(*rows: Any) -> bytes:
    frame = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": MS, "data": rows}
    return json.dumps(frame, separators=(",", ":")).encode()


def test_a_trade_has_the_side_of_the_taker() -> None:
    sold, bought = feed().frame(tape(TRADE, TRADE | {"S": "Buy", "i": "78"}), NOW, ON_LINEAR)
    expected = ("bybit", "BTC/USDT:USDT", "BTC/USD", "77", Side.SELL, "100.50", "0.010", MS * 1000, NOW)
    assert sold == Trade(*expected)
    assert isinstance(bought, Trade)
    assert bought.side is Side.BUY


def test_a_block_trade_is_not_of_the_tape() -> None:
    assert len(feed().frame(tape(TRADE, TRADE | {"BT": True}), NOW, ON_SPOT)) == 1
    (nothing,) = feed().frame(tape(TRADE | {"BT": True}), NOW, ON_SPOT)
    assert isinstance(nothing, Ignored)


@pytest.mark.parametrize("bad", [{"p": "0"}, {"v": "-1"}, {"p": "nan"}, {"v": ""}])
def test_a_trade_of_nothing_is_an_error(bad: dict[str, str]) -> None:
    (error,) = feed().frame(tape(TRADE | bad), NOW, ON_SPOT)
    assert isinstance(error, Undecodable)


# ── funding ──────────────────────────────────────────────────────────────────────────────────────────────────────

DUE = {"fundingRate": "-0.0001", "nextFundingTime": str(MS + 60_000), "fundingIntervalHour": "4"}
TICKER = {**DUE, "markPrice": "100.2", "indexPrice": "100.3", "lastPrice": "100.1"}


def ticker(kind: str, at: int = 0, /, **data: str) -> bytes:
    row = {"symbol": "BTCUSDT", **data}
    frame = {"topic": "tickers.BTCUSDT", "type": kind, "data": row, "cs": 9, "ts": MS + at}
    return json.dumps(frame, separators=(",", ":")).encode()


def test_funding_is_merged_from_what_changed() -> None:
    one = feed()
    (first,) = one.frame(ticker("snapshot", **TICKER), NOW, ON_LINEAR)
    rest = "BTC/USDT:USDT", "BTC/USD", "-0.0001", 4
    assert first == Funding("bybit", *rest, "100.2", "100.3", (MS + 60_000) * 1000, MS * 1000)
    (second,) = one.frame(ticker("delta", 1_000, markPrice="101"), NOW, ON_LINEAR)
    assert isinstance(second, Funding)
    assert (second.rate, second.mark_price, second.index_price) == ("-0.0001", "101", "100.3")
    (other,) = one.frame(ticker("delta", 9_000, bid1Price="5"), NOW, ON_LINEAR)
    assert isinstance(other, Ignored)


def test_prices_alone_are_published_once_a_second_and_a_rate_at_once() -> None:
    one = feed()
    one.frame(ticker("snapshot", **TICKER), NOW, ON_LINEAR)
    (soon,) = one.frame(ticker("delta", 999, markPrice="101"), NOW, ON_LINEAR)
    assert isinstance(soon, Ignored)
    (rate,) = one.frame(ticker("delta", 999, fundingRate="0.0002"), NOW, ON_LINEAR)
    assert isinstance(rate, Funding)
    assert (rate.rate, rate.mark_price) == ("0.0002", "101")
    (later,) = one.frame(ticker("delta", 1_999, indexPrice="102"), NOW, ON_LINEAR)
    assert isinstance(later, Funding)


def test_a_change_without_a_snapshot_on_this_socket_is_not_used() -> None:
    one = feed()
    assert isinstance(one.frame(ticker("delta", **TICKER), NOW, ON_LINEAR)[0], Ignored)
    one.frame(ticker("snapshot", **TICKER), NOW, ON_LINEAR)
    for subscription in one.subscriptions(["BTC/USDT:USDT"]):
        one.disconnected(subscription)
    assert isinstance(one.frame(ticker("delta", markPrice="101"), NOW, ON_LINEAR)[0], Ignored)


def test_a_ticker_without_funding_is_ignored_and_one_without_an_interval_is_not() -> None:
    without = {**TICKER, "fundingRate": ""}
    assert isinstance(feed().frame(ticker("snapshot", **without), NOW, ON_LINEAR)[0], Ignored)
    unknown = {key: text for key, text in TICKER.items() if key != "fundingIntervalHour"}
    (funding,) = feed().frame(ticker("snapshot", **unknown), NOW, ON_LINEAR)
    assert isinstance(funding, Funding)
    assert funding.interval_hours is None


@pytest.mark.parametrize("bad", [{"markPrice": "1e5"}, {"nextFundingTime": "9" * 30}, {"fundingIntervalHour": "1.5"}])
def test_a_ticker_with_no_numbers_is_an_error(bad: dict[str, str]) -> None:
    (error,) = feed().frame(ticker("snapshot", **{**TICKER, **bad}), NOW, ON_LINEAR)
    assert isinstance(error, Undecodable)
