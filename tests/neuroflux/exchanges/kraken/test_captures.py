"""Kraken's feeds against frames and answers that the exchange really sent.

The sequences of books are of the older protocol, whose frames have other shapes and the same checksum.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroflux.domain import Fill, Instrument, OrderReport
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.decode import Decoding
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kraken.exchange import Kraken
from neuroflux.exchanges.kraken.market import KrakenMarketFeed
from neuroflux.exchanges.kraken.names import altname_of

WIRE = Path(__file__).parents[5] / "shared" / "wire" / "kraken"
SEQUENCES = ("ADA-XBT", "ETH-CHF", "OCEAN-XBT", "WAVES-EUR", "XMR-USD")
NOW = 1_790_000_000_000_000
KEYS = Keys("a-key", "AAEC")


def text_of(name: str) -> str:
    if not (WIRE / name).exists():
        pytest.skip(f"{WIRE / name} is not here: captured frames are other people's data, and not part of the project")
    return (WIRE / name).read_text()


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text_of(name).splitlines()]


def is_ours(line: dict[str, Any]) -> bool:
    """Not of futures, which are another API: these deserve an error."""
    message = json.loads(line["raw"])
    if isinstance(message, list):
        return True
    return "error" in message if line["dir"] == "rest" else is_v2(message)


def is_v2(message: dict[str, Any]) -> bool:
    return isinstance(message.get("channel", message.get("method")), str)


def events_of(feed: Any, line: dict[str, Any]) -> list[FeedEvent]:
    if line["dir"] == "ws":
        return list(feed.frame(line["raw"], NOW))
    request = Request("GET", line.get("url", ""), tag=line["channel"])
    return list(feed.answer(Answer(request, 200, line["raw"].encode()), NOW))


def test_every_captured_message_is_understood() -> None:
    read = 0
    for line in filter(is_ours, lines("messages.jsonl")):
        refused = line["dir"] == "rest" and json.loads(line["raw"])["error"]
        for feed in (Kraken().market_feed([]), Kraken().account_feed(KEYS, [])):
            events = events_of(feed, line)
            wrong = [one for one in events if isinstance(one, Undecodable)]
            assert events
            assert not wrong or refused, (line["channel"], line["raw"][:300], wrong)
            read += 1
    assert read > 100


def test_the_decoder_writes_no_error_that_a_line_does_not_deserve() -> None:
    decoding = Decoding(Kraken.ID, 20)
    for name in ("instruments.jsonl", "messages.jsonl"):
        for number, line in enumerate(filter(is_ours, lines(name)), 1):
            written = [json.loads(text) for text in decoding.line(number, json.dumps(line))]
            refused = line["dir"] == "rest" and json.loads(line["raw"])["error"]
            wrong = [one for one in written if one["type"] == "error"]
            assert not wrong or refused, (line["channel"], line["raw"][:300], wrong)


def test_old_frames_are_read_without_a_checksum_and_with_one() -> None:
    feed = KrakenMarketFeed([])
    found = [one for line in lines("tardis_pairs.jsonl") for one in feed.frame(line["raw"], NOW)]
    kinds = [type(one).__name__ for one in found]
    assert kinds == ["Trade", "Trade", "Trade", "Ignored", "Ignored", "Ignored", "BookChanged", "Quote", "Ignored"]


@pytest.mark.parametrize(
    "frame",
    [
        '[1,{"a":[["1"]],"c":"1"},"book-10","A/B"]',
        '[1,{"as":[["x","1","2"]]},"book-10","A/B"]',
        '[1,{"a":[["1","1","t"]],"c":"1"},"book-10","A/B"]',
        '[1,{"a":[],"c":"one"},"book-10","A/B"]',
        '[1,[["1","1","2","x"]],"trade","A/B"]',
        '[1,["1"],"spread","A/B"]',
        '[1,{},7,"A/B"]',
        "[",
    ],
)
def test_an_old_frame_that_is_none_is_one_error(frame: str) -> None:
    assert [type(one) for one in KrakenMarketFeed([]).frame(frame, NOW)] == [Undecodable]


def test_orders_and_fills_of_captured_answers_are_read() -> None:
    feed, found = Kraken().account_feed(KEYS, []), list[FeedEvent]()
    for line in filter(is_ours, lines("messages.jsonl")):
        found += events_of(feed, line)
    assert sum(isinstance(one, OrderReport) for one in found) >= 5
    assert sum(isinstance(one, Fill) for one in found) >= 4


# ── pairs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def listed() -> dict[str, tuple[dict[str, Any], Instrument]]:
    """What the lists say of a pair, and its instrument, by key."""
    found = dict[str, tuple[dict[str, Any], Instrument]]()
    for line in [*lines("instruments.jsonl"), *filter(is_ours, lines("messages.jsonl"))]:
        try:
            listing = Kraken().listing([Answer(Request("GET", "/x"), 200, line["raw"].encode())])
        except MalformedFrame:
            continue
        rows = json.loads(line["raw"])["result"]
        found |= {one.name: (rows[one.name], one) for one in listing.instruments}
    return found


def test_the_short_name_of_every_captured_pair_follows_from_its_assets() -> None:
    pairs = listed()
    assert len(pairs) > 5
    for row, one in pairs.values():
        assert altname_of(one) == row["altname"]
        assert str(one.tick_size) == row.get("tick_size", str(one.tick_size))


# ── books ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_captured_book_is_proved_by_the_exchanges_checksum(name: str) -> None:
    expected = json.loads(text_of(f"seq_v1_{name}.expected.json"))
    feed, events = KrakenMarketFeed([]), list[FeedEvent]()
    for line in lines(f"seq_v1_{name}.jsonl"):
        events += feed.frame(line["raw"], NOW)
    books = [one.book for one in events if isinstance(one, BookChanged)]
    assert len(books) == len(events) == expected["checksum_ok"] + 1, "a snapshot has no checksum"
    assert books[-1].lengths == (expected["final"]["n_bids"], expected["final"]["n_asks"])
    for side, levels in (("bids", books[-1].bids(20)), ("asks", books[-1].asks(20))):
        assert [[one.price, one.quantity] for one in levels] == expected["final"][side]
