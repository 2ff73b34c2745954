"""OKX's public feed: quotes, trades, funding, sockets, and frames without data."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, Funding, Instrument, Quote, Side, StatusKind, StreamKind, Trade
from neuroflux.exchanges.kit.events import FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.okx.exchange import Okx
from neuroflux.exchanges.okx.market import OkxMarketFeed
from tests.neuroflux.exchanges.kit.examples.example import encoded
from tests.neuroflux.exchanges.kit.examples.okx import MS, envelope, frame
from tests.neuroflux.exchanges.okx.listed import NOW, SPOT, SWAP, answer, market

TIME = int(MS) * 1000
TRADE = {"instId": SWAP.name, "tradeId": "901", "px": "150.10", "sz": "4", "side": "sell", "ts": MS}
RATE = {
    "instId": SWAP.name,
    "fundingRate": "-0.000123",
    "fundingTime": "1795852800000",
    "nextFundingTime": "1795867200000",
    "ts": MS,
}
MARK = {"instType": "SWAP", "instId": SWAP.name, "markPx": "150.2", "ts": MS}
INDEX = {"instId": "SOL-USDT", "idxPx": "150.3", "ts": MS}


def send(feed: OkxMarketFeed, channel: str, name: str, *rows: Any) -> Sequence[FeedEvent]:
    return feed.frame(encoded(frame(channel, name, *rows)), NOW)


def top(bids: Any, asks: Any) -> dict[str, Any]:
    return {"asks": asks, "bids": bids, "ts": MS, "seqId": 7}


def test_a_quote_is_of_the_instrument_that_the_argument_names() -> None:
    (quote,) = send(market(), "bbo-tbt", SWAP.name, top([["10.50", "4", "0", "1"]], [["20", "15", "0", "1"]]))
    names = ("okx", "SOL/USDT:USDT", "SOL/USD")
    assert quote == Quote(*names, "10.50", "0.4", "20", "1.5", 7, TIME, NOW)


def test_the_sizes_of_spot_keep_their_digits() -> None:
    (quote,) = send(market(), "bbo-tbt", SPOT.name, top([["10", "4.500"]], [["20", "1.0"]]))
    assert isinstance(quote, Quote)
    assert (quote.bid_size, quote.ask_size) == ("4.500", "1.0")


@pytest.mark.parametrize(("bids", "asks"), [([], [["20", "1"]]), ([["10", "1"]], []), ([], [])])
def test_a_side_without_orders_is_no_quote(bids: Any, asks: Any) -> None:
    (event,) = send(market(), "bbo-tbt", SPOT.name, top(bids, asks))
    assert isinstance(event, Ignored)


@pytest.mark.parametrize("bad", ["0", "", "-1", "1e3", "x"])
def test_a_quote_with_a_number_that_is_none_is_an_error(bad: str) -> None:
    for bid, size in ((bad, "1"), ("10", bad)):
        (event,) = send(market(), "bbo-tbt", SWAP.name, top([[bid, size]], [["20", "1"]]))
        assert isinstance(event, Undecodable)


def test_each_trade_of_a_frame_has_the_side_of_the_taker() -> None:
    first, second = send(market(), "trades", SWAP.name, TRADE, {**TRADE, "tradeId": "902", "side": "buy"})
    names = ("okx", "SOL/USDT:USDT", "SOL/USD")
    assert first == Trade(*names, "901", Side.SELL, "150.10", "0.4", TIME, NOW)
    assert isinstance(second, Trade)
    assert (second.trade_id, second.side) == ("902", Side.BUY)


# ── funding ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_funding_is_put_together_from_three_channels() -> None:
    feed = market()
    for channel, name, row in (("funding-rate", SWAP.name, RATE), ("mark-price", SWAP.name, MARK)):
        (event,) = send(feed, channel, name, row)
        assert isinstance(event, Ignored)
    (funding,) = send(feed, "index-tickers", "SOL-USDT", INDEX)
    due = 1_795_852_800_000_000
    assert funding == Funding("okx", "SOL/USDT:USDT", "SOL/USD", "-0.000123", 4, "150.2", "150.3", due, TIME)


def complete() -> OkxMarketFeed:
    feed = market()
    send(feed, "funding-rate", SWAP.name, RATE)
    send(feed, "mark-price", SWAP.name, MARK)
    send(feed, "index-tickers", "SOL-USDT", INDEX)
    return feed


def test_prices_are_reported_once_a_second_and_rates_at_once() -> None:
    feed = complete()
    soon, later = str(int(MS) + 999), str(int(MS) + 1000)
    (event,) = send(feed, "mark-price", SWAP.name, MARK | {"markPx": "151", "ts": soon})
    assert isinstance(event, Ignored)
    (rated,) = send(feed, "funding-rate", SWAP.name, RATE | {"fundingRate": "0.01", "ts": soon})
    assert isinstance(rated, Funding)
    assert (rated.rate, rated.mark_price) == ("0.01", "151")
    (event,) = send(feed, "index-tickers", "SOL-USDT", INDEX | {"idxPx": "152", "ts": later})
    assert isinstance(event, Ignored)
    (priced,) = send(feed, "index-tickers", "SOL-USDT", INDEX | {"ts": str(int(MS) + 1999)})
    assert isinstance(priced, Funding)
    assert (priced.rate, priced.index_price) == ("0.01", "150.3")


@pytest.mark.parametrize("following", ["", "1795852800000", "1795852800001", "1795852700000", "1895852800000"])
def test_an_interval_that_is_none_is_not_known(following: str) -> None:
    feed = complete()
    (funding,) = send(feed, "funding-rate", SWAP.name, RATE | {"nextFundingTime": following})
    assert isinstance(funding, Funding)
    assert funding.interval_hours is None


@pytest.mark.parametrize("rate", ["", "x", "--1", "1e-4"])
def test_a_rate_that_is_none_is_an_error(rate: str) -> None:
    (event,) = send(complete(), "funding-rate", SWAP.name, RATE | {"fundingRate": rate})
    assert isinstance(event, Undecodable)


def test_prices_of_other_products_are_not_used() -> None:
    feed = market()
    (event,) = send(feed, "mark-price", "SOL-USDT", MARK | {"instId": "SOL-USDT", "instType": "MARGIN"})
    assert isinstance(event, Ignored)
    send(feed, "funding-rate", SWAP.name, RATE)
    assert isinstance(send(feed, "index-tickers", "SOL-USDT", INDEX)[0], Ignored), "no mark price yet"


# ── sockets ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_socket_subscribes_to_every_channel() -> None:
    (one,) = market().subscriptions([SPOT.symbol, SWAP.symbol])
    (sent,) = (json.loads(raw) for raw in one.frames)
    spot = [{"channel": channel, "instId": "SOL-USDT"} for channel in ("bbo-tbt", "trades", "books")]
    swap_channels = ("bbo-tbt", "trades", "books", "funding-rate", "mark-price")
    swap = [{"channel": channel, "instId": "SOL-USDT-SWAP"} for channel in swap_channels]
    index = {"channel": "index-tickers", "instId": "SOL-USDT"}
    assert sent == {"op": "subscribe", "args": [*spot, *swap, index]}
    assert (one.path, one.heartbeat, one.awaits) == ("/ws/v5/public", b"ping", b"")
    assert one.heartbeat_seconds < 30 < 60 < one.quiet_seconds
    assert (StreamKind.FUNDING, SWAP.symbol) in one.streams
    assert (StreamKind.FUNDING, SPOT.symbol) not in one.streams
    assert b"pong".startswith(one.answers)
    assert not encoded(frame("books", SPOT.name)).startswith(one.answers)


def test_a_socket_has_at_most_thirty_books() -> None:
    many = [replace(SPOT, symbol=f"C{at}/USDT", name=f"C{at}-USDT") for at in range(61)]
    feed = Okx().market_feed(many)
    sockets = feed.subscriptions([one.symbol for one in many])
    books = [sum(kind is StreamKind.BOOK for kind, _ in one.streams) for one in sockets]
    assert books == [30, 30, 1]
    assert all(len(raw) < 64 << 10 for one in sockets for raw in one.frames)


def test_frames_without_data() -> None:
    feed = market()
    assert feed.frame("pong", NOW) == (Ignored("pong"),)
    acknowledged = {"event": "subscribe", "arg": {"channel": "books", "instId": "SOL-USDT"}, "connId": "a"}
    assert feed.frame(encoded(acknowledged), NOW) == (Ignored("subscribe"),)
    assert feed.frame(encoded(frame("tickers", "SOL-USDT", {"last": "1"})), NOW) == (Ignored("tickers"),)


def test_a_refused_subscription_is_reported() -> None:
    refused = {"event": "error", "code": "60018", "msg": "wrong channel", "connId": "a"}
    (status,) = market().frame(encoded(refused), NOW)
    assert status == ExchangeStatus("okx", "error", StatusKind.MALFORMED, 0.0, "error 60018 wrong channel", NOW)


def test_a_connection_that_is_about_to_be_closed_is_opened_again() -> None:
    (status,) = market().frame(encoded({"event": "notice", "code": "64008", "msg": "upgrade"}), NOW)
    assert isinstance(status, ExchangeStatus)
    assert status.kind is StatusKind.DISCONNECTED


def test_a_frame_that_is_written_otherwise_is_read_too() -> None:
    raw = json.dumps({"data": [TRADE], "arg": {"instId": SWAP.name, "channel": "trades"}}, indent=1)
    (trade,) = market().frame(raw, NOW)
    assert isinstance(trade, Trade)


def test_an_answer_that_is_an_error_is_one() -> None:
    (event,) = market().answer(answer(envelope(code="51001", msg="no such instrument")), NOW)
    assert isinstance(event, Undecodable)
    assert "51001" in event.reason


def other_listed() -> Instrument:
    return replace(SWAP, name="ABC-USDC-SWAP", symbol="ABC/USDC:USDC", settle="USDC")


def test_the_index_of_a_perpetual_is_of_its_own_quote() -> None:
    feed = Okx().market_feed([other_listed()])
    (one,) = feed.subscriptions(["ABC/USDC:USDC"])
    assert {"channel": "index-tickers", "instId": "ABC-USDC"} in json.loads(one.frames[0])["args"]
