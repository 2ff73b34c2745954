"""Coinbase's books over a connection's numbers, quotes of their best levels, and trades."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from neuroflux.domain import ExchangeStatus, Quote, Side, StatusKind, Trade
from neuroflux.exchanges.coinbase.exchange import Coinbase
from neuroflux.exchanges.coinbase.market import PRODUCTS, CoinbaseMarketFeed
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, Resubscribe, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Request
from tests.neuroflux.exchanges.kit.examples.coinbase import PRODUCT, TRADE, book, frame, level
from tests.neuroflux.exchanges.kit.examples.example import encoded

NOW = 1_760_000_000_000_000
TIME = 1_760_000_000_123_457
NAMES = ("SOL-USD", "BTC-USD", "ETH-USD")


def feed_of(*names: str) -> CoinbaseMarketFeed:
    rows = [PRODUCT | {"product_id": name, "base_currency_id": name.partition("-")[0]} for name in names]
    body = json.dumps({"products": rows}).encode()
    exchange = Coinbase()
    return exchange.market_feed(exchange.listing([Answer(Request("GET", "/x"), 200, body)]).instruments)


def snapshot(number: int, name: str = NAMES[0], **more: Any) -> Any:
    return book("snapshot", number, level("b", "10", "1"), level("a", "20", "2"), name=name, **more)


def update(number: int, *levels: Any, name: str = NAMES[0]) -> Any:
    return book("update", number, *levels, name=name)


def sent(feed: CoinbaseMarketFeed, *frames: Any, socket: str = "") -> list[list[FeedEvent]]:
    return [list(feed.frame(encoded(one), NOW, socket)) for one in frames]


def kinds(events: Sequence[FeedEvent]) -> list[str]:
    return [event.kind.value if isinstance(event, ExchangeStatus) else type(event).__name__ for event in events]


BEAT = frame("heartbeats", 0, {"heartbeat_counter": 1})


def beat(number: int) -> Any:
    return BEAT | {"sequence_num": number}


def test_what_is_subscribed_to() -> None:
    feed = feed_of(*NAMES)
    (one,) = feed.subscriptions(["SOL/USD", "BTC/USD"])
    frames = [json.loads(text) for text in one.frames]
    assert frames == [
        {"type": "subscribe", "channel": "heartbeats"},
        {"type": "subscribe", "channel": "level2", "product_ids": ["SOL-USD", "BTC-USD"]},
        {"type": "subscribe", "channel": "market_trades", "product_ids": ["SOL-USD", "BTC-USD"]},
    ]
    assert one.path == "/"
    assert one.resubscribes == {}
    assert len(one.streams) == 6


def test_sockets_share_the_products_and_have_names_of_their_own() -> None:
    feed = feed_of(*(f"A{number}-USD" for number in range(PRODUCTS + 1)))
    made = [*feed.subscriptions([f"A{number}/USD" for number in range(PRODUCTS + 1)]), *feed.subscriptions(["A0/USD"])]
    assert [one.name for one in made] == ["1", "2", "3"]
    assert [len(one.streams) for one in made] == [3 * PRODUCTS, 3, 3]


# ── numbers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_frame_of_a_connection_has_the_next_number_whatever_it_is_about() -> None:
    feed = feed_of(*NAMES)
    acknowledged = frame("subscriptions", 3, {"subscriptions": {"level2": ["SOL-USD"]}})
    frames = (snapshot(0), beat(1), update(2, level("b", "11", "3")), acknowledged, frame("candles", 4, {}), update(5))
    found = sent(feed, *frames)
    assert [kinds(one) for one in found] == [
        ["BookChanged", "Quote"],
        ["Ignored"],
        ["BookChanged", "Quote"],
        ["Ignored"],
        ["Ignored"],
        ["BookChanged"],
    ]
    (changed, quote) = found[2]
    assert isinstance(changed, BookChanged)
    assert isinstance(quote, Quote)
    assert (changed.symbol, changed.market, changed.sequence, changed.event_time) == ("SOL/USD", "SOL/USD", 2, TIME)
    assert (quote.bid_price, quote.bid_size, quote.ask_price, quote.ask_size) == ("11", "3", "20", "2")
    assert (quote.sequence, quote.event_time, quote.received_time) == (2, TIME, NOW)


@pytest.mark.parametrize("late", [beat(3), beat(5), beat(0), beat(1), update(3, name=NAMES[1]), frame("status", 9, {})])
def test_a_number_that_is_not_the_next_one_withdraws_every_book_of_the_connection(late: Any) -> None:
    feed = feed_of(*NAMES)
    feed.subscriptions(["SOL/USD", "BTC/USD"])
    feed.subscriptions(["ETH/USD"])
    sent(feed, snapshot(0), snapshot(1, NAMES[1]), socket="1")
    sent(feed, snapshot(0, NAMES[2]), socket="2")
    (found,) = sent(feed, late, socket="1")
    assert {one.symbol for one in found if isinstance(one, Resubscribe)} == {"SOL/USD", "BTC/USD"}
    gaps = [one for one in found if isinstance(one, ExchangeStatus)]
    assert [(one.kind, one.symbol, one.value) for one in gaps] == [
        (StatusKind.GAP, "SOL/USD", 2.0),
        (StatusKind.GAP, "BTC/USD", 2.0),
    ]
    number = late["sequence_num"]
    after = sent(feed, update(number + 1, level("b", "12", "1")), update(number + 2, name=NAMES[1]), socket="1")
    assert [kinds(one) for one in after] == [["Ignored"], ["Ignored"]]
    assert kinds(sent(feed, update(1, level("b", "12", "1"), name=NAMES[2]), socket="2")[0]) == ["BookChanged", "Quote"]


def test_a_snapshot_proves_its_book_again_and_no_other() -> None:
    feed = feed_of(*NAMES)
    sent(feed, snapshot(0), snapshot(1, NAMES[1]))
    (found,) = sent(feed, snapshot(7))
    assert kinds(found) == ["gap", "Resubscribe", "gap", "Resubscribe", "resynced", "BookChanged"]
    after = sent(feed, update(8, level("b", "11", "1")), update(9, level("b", "11", "1"), name=NAMES[1]))
    assert [kinds(one) for one in after] == [["BookChanged", "Quote"], ["Ignored"]]


def test_a_second_snapshot_without_a_hole_replaces_the_book() -> None:
    feed = feed_of(*NAMES)
    (_, _, found) = sent(feed, snapshot(0), update(1, level("b", "11", "1")), snapshot(2))
    assert kinds(found) == ["BookChanged", "Quote"]


def test_numbers_begin_again_on_a_new_connection() -> None:
    feed = feed_of(*NAMES)
    (subscription,) = feed.subscriptions(["SOL/USD"])
    sent(feed, snapshot(0), beat(1), socket=subscription.name)
    feed.disconnected(subscription)
    found = sent(feed, beat(0), snapshot(1), socket=subscription.name)
    assert [kinds(one) for one in found] == [["Ignored"], ["resynced", "BookChanged"]]


@pytest.mark.parametrize("number", ["nan", "-1", "1e3", ""])
def test_a_level_that_can_not_be_read_ends_its_book(number: str) -> None:
    feed = feed_of(*NAMES)
    sent(feed, snapshot(0), snapshot(1, NAMES[1]))
    (found, after) = sent(feed, update(2, level("b", "9", number)), update(3, level("b", "11", "1")))
    assert kinds(found) == ["Undecodable", "gap", "Resubscribe"]
    assert kinds(after) == ["Ignored"]


def test_a_frame_that_can_not_be_read_is_missed_by_the_next_one() -> None:
    feed = feed_of(*NAMES)
    (_, bad, after) = sent(feed, snapshot(0), update(1, {"side": "middle"}), beat(2))
    assert kinds(bad) == ["Undecodable"]
    assert kinds(after) == ["gap", "Resubscribe", "Ignored"]


# ── books ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_changes_of_one_frame_are_shown_together() -> None:
    feed = feed_of(*NAMES)
    sent(feed, snapshot(0))
    both = update(1, level("b", "11", "1"))
    both["events"] += [*update(1, level("b", "12", "1"))["events"], *snapshot(1, NAMES[1])["events"]]
    (found,) = sent(feed, both)
    assert kinds(found) == ["BookChanged", "Quote", "BookChanged", "Quote"]
    assert [one.bid_price for one in found if isinstance(one, Quote)] == ["12", "10"]


def test_a_change_below_the_best_levels_is_no_quote_and_an_empty_update_is_normal() -> None:
    feed = feed_of(*NAMES)
    found = sent(feed, snapshot(0), update(1, level("b", "9", "1"), level("a", "21", "0")), update(2))
    assert [kinds(one) for one in found[1:]] == [["BookChanged"], ["BookChanged"]]


def test_a_crossed_book_is_withdrawn_and_an_empty_one_is_shown_empty() -> None:
    feed = feed_of(*NAMES)
    (_, crossed) = sent(feed, snapshot(0), update(1, level("b", "20", "1")))
    assert kinds(crossed) == ["gap", "Resubscribe"]
    (found,) = sent(feed, book("snapshot", 2))
    assert kinds(found) == ["Ignored"]
    (_, emptied) = sent(feed_of(*NAMES), snapshot(0), book("snapshot", 1))
    assert kinds(emptied) == ["gap", "BookChanged"]


def test_of_a_deep_book_the_best_levels_are_kept_and_right() -> None:
    feed = feed_of(*NAMES)
    rows = [level(*one) for n in range(3_000) for one in (("b", f"{9000 - n}", "1"), ("a", f"{9001 + n}", "1"))]
    (found,) = sent(feed, book("snapshot", 0, *rows))
    assert isinstance(found[0], BookChanged)
    assert found[0].book.lengths == (1000, 1000)
    assert [one.price for one in found[0].book.bids(3)] == ["9000", "8999", "8998"]
    for number in range(1, 951):
        (found,) = sent(feed, update(number, level("b", f"{9001 - number}", "0"), level("b", f"{number}", "1")))
        assert "BookChanged" in kinds(found), number
        top = found[0].book.bids(50)  # type: ignore[union-attr]
        assert [one.price for one in top] == [f"{9000 - number - below}" for below in range(50)]
    assert kinds(sent(feed, update(951, level("b", "8050", "0")))[0]) == ["gap", "Resubscribe"]


# ── trades, errors, others ───────────────────────────────────────────────────────────────────────────────────────


def trades(number: int, kind: str, *ids: int, **more: Any) -> Any:
    made = [TRADE | {"trade_id": str(one)} | more for one in ids]
    return frame("market_trades", number, {"type": kind, "trades": made})


def ids_of(events: Sequence[FeedEvent]) -> list[str]:
    return [one.trade_id for one in events if isinstance(one, Trade)]


@pytest.mark.parametrize(("maker", "taker"), [("BUY", Side.SELL), ("SELL", Side.BUY)])
def test_a_trades_side_is_the_makers(maker: str, taker: Side) -> None:
    ((trade,),) = sent(feed_of(*NAMES), trades(0, "update", 901, side=maker))
    assert isinstance(trade, Trade)
    assert (trade.symbol, trade.trade_id, trade.side) == ("SOL/USD", "901", taker)
    assert (trade.price, trade.quantity, trade.event_time) == ("150.1", "4", TIME)


def test_trades_are_oldest_first_and_told_once() -> None:
    feed = feed_of(*NAMES)
    found = sent(feed, trades(0, "update", 903, 902), trades(1, "update", 905, 904, 903), trades(2, "update", 905))
    assert [ids_of(one) for one in found] == [["902", "903"], ["904", "905"], []]


def test_of_a_snapshot_only_what_was_missed_is_told() -> None:
    feed = feed_of(*NAMES)
    found = sent(feed, trades(0, "snapshot", 903, 902), trades(1, "update", 904), trades(2, "snapshot", 906, 905, 904))
    assert [ids_of(one) for one in found] == [[], ["904"], ["905", "906"]]


@pytest.mark.parametrize("more", [{"size": "0"}, {"price": "nan"}, {"trade_id": "x"}, {"side": "UP"}, {"time": "now"}])
def test_a_trade_that_is_none_is_an_error(more: dict[str, str]) -> None:
    ((found,),) = sent(feed_of(*NAMES), frame("market_trades", 0, {"type": "update", "trades": [TRADE | more]}))
    assert isinstance(found, Undecodable)


def test_an_error_is_reported_and_uses_up_no_number() -> None:
    feed = feed_of(*NAMES)
    error = {"type": "error", "message": "Failed to subscribe", "reason": "no such product"}
    found = sent(feed, snapshot(0), error, update(1))
    assert [kinds(one) for one in found] == [["BookChanged", "Quote"], ["unknown"], ["BookChanged"]]
    assert found[1][0].detail == "Failed to subscribe no such product"  # type: ignore[union-attr]


def test_a_frame_with_other_keys_first_is_read_alike() -> None:
    feed = feed_of(*NAMES)
    turned = dict(reversed(snapshot(0).items()))
    assert kinds(sent(feed, turned)[0]) == ["BookChanged", "Quote"]


def test_frames_of_the_old_exchange_are_books_without_numbers() -> None:
    feed = feed_of(*NAMES)
    whole = {"type": "snapshot", "product_id": "SOL-USD", "bids": [["10", "1"]], "asks": [["20", "1"]]}
    change = {"type": "l2update", "product_id": "SOL-USD", "changes": [["buy", "11", "1"], ["sell", "20", "0"]]}
    found = sent(feed, whole, change | {"time": "2021-04-17T16:44:05.678924Z"}, {"type": "match", "sequence": 1})
    assert [kinds(one) for one in found] == [["BookChanged"], ["BookChanged"], ["Ignored"]]
    assert isinstance(found[1][0], BookChanged)
    assert [one.price for one in found[1][0].book.bids(5)] == ["11", "10"]
    assert found[1][0].book.asks(5) == ()


def test_no_answer_is_expected() -> None:
    assert isinstance(feed_of().answer(Answer(Request("GET", "/x"), 200, b"{}"), NOW)[0], Ignored)
