"""Kraken's public feed: the checksum proves a book over the digits that were sent."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

import pytest

from neuroflux.domain import ExchangeStatus, Quote, Side, StatusKind, Trade
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, Resubscribe, Undecodable
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kraken.market import DEPTH, KrakenMarketFeed, checksum
from tests.neuroflux.exchanges.kraken.listed import NOW, TIME, instruments

LEVEL = tuple[str, str]


def feed() -> KrakenMarketFeed:
    return KrakenMarketFeed(instruments())


def frame(kind: str, symbol: str, bids: Sequence[LEVEL], asks: Sequence[LEVEL], crc: int) -> bytes:
    """The digits as they are given, which a JSON library would change."""
    sides = [",".join(f'{{"price":{price},"qty":{size}}}' for price, size in side) for side in (bids, asks)]
    row = f'{{"symbol":"{symbol}","bids":[{sides[0]}],"asks":[{sides[1]}],"checksum":{crc},"timestamp":"{TIME}"}}'
    return f'{{"channel":"book","type":"{kind}","data":[{row}]}}'.encode()


def crc_of(*numbers: str) -> int:
    return zlib.crc32("".join(numbers).encode())


def ticker(**fields: Any) -> bytes:
    row = {"symbol": "BTC/USD", "bid": 10.5, "bid_qty": 1, "ask": 11.0, "ask_qty": 2, "timestamp": TIME, **fields}
    return json.dumps({"channel": "ticker", "type": "update", "data": [row]}).encode()


# ── checksums ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_checksum_is_that_of_the_worked_examples() -> None:
    book = OrderBook()
    book.replace(
        [("45283.4", "1.54582015"), ("45283.5", "0.10000000")], [("45285.2", "0.00100000"), ("45286.4", "1.54571953")]
    )
    assert checksum(book, 1, 8) == 2050935876
    book.replace([("0.08210", "0.50000000")], [("0.08213", "12.00000000")])
    assert checksum(book, 5, 8) == 3998063073
    assert checksum(book, 0, 0) == 3998063073, "what was sent in full needs no decimals"


def test_the_manual_s_example_has_left_out_zeros_that_its_checksum_counts() -> None:
    """Source: https://docs.kraken.com/api/docs/websocket-v2/book, the snapshot."""
    bids = {
        "0.5666": "4831.75496356",
        "0.5665": "6658.22734739",
        "0.5664": "18724.91513344",
        "0.5663": "11563.92544914",
        "0.5662": "14006.65365711",
        "0.5661": "17454.85679807",
        "0.566": "18097.1547",
        "0.5659": "33644.89175666",
        "0.5658": "148.3464",
        "0.5657": "606.70854372",
    }
    asks = {
        "0.5668": "4410.79769741",
        "0.5669": "4655.40412487",
        "0.567": "49844.89424998",
        "0.5671": "24306.41678",
        "0.5672": "29783.25223475",
        "0.5673": "57234.71239278",
        "0.5674": "45065.04744",
        "0.5675": "5912.76380354",
        "0.5676": "42514.92434778",
        "0.5677": "36304.0847022",
    }
    book = OrderBook()
    book.replace(list(bids.items()), list(asks.items()))
    assert checksum(book, 4, 8) == 2439117997


def test_a_book_keeps_the_digits_that_were_sent() -> None:
    one, crc = feed(), crc_of("1052", "100000000", "1051", "30000")
    (changed,) = one.frame(frame("snapshot", "BTC/USD", [("105.1", "0.00030000")], [("105.2", "1")], crc), NOW)
    assert isinstance(changed, BookChanged)
    assert (changed.symbol, changed.market, changed.sequence, changed.event_time) == ("BTC/USD", "BTC/USD", NOW, NOW)
    assert [(level.price, level.quantity) for level in changed.book.bids(5)] == [("105.1", "0.00030000")]


def test_a_frame_that_makes_another_book_withdraws_it_and_subscribes_again_on_the_same_socket() -> None:
    one = feed()
    (subscription,) = one.subscriptions(["BTC/USD", "DOGE/USD"])
    good = frame("snapshot", "BTC/USD", [("10.1", "1.00000000")], [], crc_of("101", "100000000"))
    one.frame(good, NOW)
    gap, again = one.frame(frame("update", "BTC/USD", [("10.0", "1.00000000")], [], 7), NOW)
    assert isinstance(gap, ExchangeStatus)
    assert gap.kind is StatusKind.GAP
    assert isinstance(again, Resubscribe)
    assert again.symbol == "BTC/USD"
    ends, begins = (json.loads(text) for text in subscription.resubscribes["BTC/USD"])
    wanted = {"channel": "book", "symbol": ["BTC/USD"], "depth": DEPTH}
    assert (ends["method"], ends["params"]) == ("unsubscribe", wanted)
    assert (begins["method"], begins["params"]) == ("subscribe", {**wanted, "snapshot": True})
    assert any(isinstance(event, BookChanged) for event in one.frame(good, NOW))


def test_a_level_that_falls_out_is_cut_off_without_being_removed() -> None:
    one, prices = feed(), [f"{1000 - number}.0" for number in range(DEPTH)]
    numbers = [text for price in prices[:10] for text in (price.replace(".", ""), "100000000")]
    one.frame(frame("snapshot", "BTC/USD", [(price, "1.00000000") for price in prices], [], crc_of(*numbers)), NOW)
    better = crc_of("10010", "200000000", *numbers[:18])
    (changed,) = one.frame(frame("update", "BTC/USD", [("1001.0", "2.00000000")], [], better), NOW)
    assert isinstance(changed, BookChanged)
    assert changed.book.lengths == (DEPTH, 0)
    assert changed.book.bids(DEPTH)[-1].price == prices[-2]


def test_the_last_of_two_changes_of_one_price_counts() -> None:
    one = feed()
    one.frame(frame("snapshot", "BTC/USD", [("10.1", "1.00000000")], [], crc_of("101", "100000000")), NOW)
    twice = [("10.1", "0.00000000"), ("10.1", "3.00000000"), ("9.9", "0.00000000")]
    (changed,) = one.frame(frame("update", "BTC/USD", twice, [], crc_of("101", "300000000")), NOW)
    assert isinstance(changed, BookChanged)


def test_a_crossed_book_is_not_shown_though_its_checksum_is_right() -> None:
    crc = crc_of("100", "100000000", "101", "100000000")
    crossed = frame("snapshot", "BTC/USD", [("10.1", "1.00000000")], [("10.0", "1.00000000")], crc)
    assert not any(isinstance(event, BookChanged) for event in feed().frame(crossed, NOW))


# ── quotes, trades and the rest ──────────────────────────────────────────────────────────────────────────────────


def test_quotes_are_those_of_each_change_of_the_best_prices() -> None:
    (subscription,) = feed().subscriptions(["BTC/USD"])
    ticker_of, trade_of, book_of = (json.loads(text)["params"] for text in subscription.frames)
    assert ticker_of == {"channel": "ticker", "symbol": ["BTC/USD"], "event_trigger": "bbo", "snapshot": True}
    assert (trade_of["channel"], trade_of["snapshot"]) == ("trade", False)
    assert (book_of["channel"], book_of["depth"]) == ("book", DEPTH)
    expected = Quote("kraken", "BTC/USD", "BTC/USD", "10.5", "1", "11.0", "2", NOW, NOW, NOW + 5)
    assert feed().frame(ticker(), NOW + 5) == [expected]


@pytest.mark.parametrize("gone", [0, 0.0, None])
def test_a_quote_of_one_side_is_none(gone: Any) -> None:
    (event,) = feed().frame(ticker(ask=gone, ask_qty=0), NOW)
    assert isinstance(event, Ignored)


@pytest.mark.parametrize("price", ["-1", "1e5", '"nan"', "[]", "true"])
def test_what_is_no_price_is_undecodable(price: str) -> None:
    (event,) = feed().frame(ticker().replace(b"10.5", price.encode()), NOW)
    assert isinstance(event, Undecodable)


def test_the_side_of_a_trade_is_the_takers() -> None:
    row = {"symbol": "ETH/CHF", "side": "sell", "price": 0.5117, "qty": 40.0, "trade_id": 4665906, "timestamp": TIME}
    raw = json.dumps({"channel": "trade", "type": "update", "data": [row, row | {"trade_id": 4665907}]}).encode()
    first, second = feed().frame(raw, NOW)
    assert first == Trade("kraken", "ETH/CHF", "ETH/CHF", "4665906", Side.SELL, "0.5117", "40.0", NOW, NOW)
    assert isinstance(second, Trade)
    (old,) = feed().frame(raw.replace(b'"update"', b'"snapshot"'), NOW)
    assert isinstance(old, Ignored)


def test_frames_that_are_written_otherwise_are_read_too() -> None:
    spaced = json.dumps({"type": "update", **json.loads(ticker())}).encode()
    assert isinstance(feed().frame(spaced, NOW)[0], Quote)


@pytest.mark.parametrize(
    "raw",
    [
        {"error": "Currency pair not supported FOO/BAR", "method": "subscribe", "success": False, "symbol": "FOO/BAR"},
        {"Error": "Exceeded msg rate"},
    ],
)
def test_a_refusal_is_reported(raw: dict[str, Any]) -> None:
    events: Sequence[FeedEvent] = feed().frame(json.dumps(raw), NOW)
    (status,) = events
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.UNKNOWN
    assert str(raw.get("error") or raw["Error"]) in status.detail
