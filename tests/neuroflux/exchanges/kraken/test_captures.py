"""Kraken's feeds against frames and answers that the exchange really sent.

The sequences of books are of the older protocol, whose frames have other shapes and the same checksum: they are
translated, with the digits that were sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from neuroflux.domain import Fill, Instrument, OrderReport
from neuroflux.errors import MalformedFrame
from neuroflux.exchanges.decode import Decoding
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Undecodable
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.requests import Answer, Keys, Request
from neuroflux.exchanges.kraken.exchange import Kraken
from neuroflux.exchanges.kraken.market import KrakenMarketFeed, checksum
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
    """Not of the older protocol, nor of futures, which are another API: these deserve an error."""
    message = json.loads(line["raw"])
    return isinstance(message, dict) and ("error" in message if line["dir"] == "rest" else is_v2(message))


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


def translated(line: dict[str, Any]) -> Iterator[tuple[str, list[list[str]], list[list[str]], int | None]]:
    """A frame of the older protocol: its kind, bids, asks and checksum, which its snapshot has not."""
    _, *parts, _, _ = json.loads(line["raw"])
    fields = {name: value for part in parts for name, value in part.items()}
    is_snapshot = "as" in fields or "bs" in fields
    bids, asks = (fields.get(side + "s" * is_snapshot, []) for side in "ba")
    yield "snapshot" if is_snapshot else "update", bids, asks, int(fields["c"]) if "c" in fields else None


def frame(kind: str, bids: list[list[str]], asks: list[list[str]], crc: int) -> bytes:
    sides = [",".join(f'{{"price":{one[0]},"qty":{one[1]}}}' for one in side) for side in (bids, asks)]
    row = f'{{"symbol":"A/B","bids":[{sides[0]}],"asks":[{sides[1]}],"checksum":{crc}}}'
    return f'{{"channel":"book","type":"{kind}","data":[{row}]}}'.encode()


def own_checksum(bids: list[list[str]], asks: list[list[str]]) -> int:
    book = OrderBook()
    book.replace(bids, asks)
    return checksum(book, 0, 0)


@pytest.mark.parametrize("name", SEQUENCES)
def test_every_captured_book_is_proved_by_the_exchanges_checksum(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = json.loads(text_of(f"seq_v1_{name}.expected.json"))
    sequence = [one for line in lines(f"seq_v1_{name}.jsonl") for one in translated(line)]
    monkeypatch.setattr("neuroflux.exchanges.kraken.market.DEPTH", 1000)
    feed, proved, book = KrakenMarketFeed([]), 0, None
    for kind, bids, asks, crc in sequence:
        for event in feed.frame(frame(kind, bids, asks, own_checksum(bids, asks) if crc is None else crc), NOW):
            assert isinstance(event, BookChanged), event
            book, proved = event.book, proved + (kind == "update")
    assert proved == expected["checksum_ok"]
    assert book is not None
    assert book.lengths == (expected["final"]["n_bids"], expected["final"]["n_asks"])
    for side, levels in (("bids", book.bids(20)), ("asks", book.asks(20))):
        assert [[one.price, one.quantity] for one in levels] == expected["final"][side]
