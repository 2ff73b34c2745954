"""Coinbase's feeds against frames that the exchange really sent, and independent readings of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neuroflux.domain import Instrument
from neuroflux.exchanges.coinbase.exchange import Coinbase
from neuroflux.exchanges.decode import Decoding
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, Request

WIRE = Path(__file__).parents[5] / "shared" / "wire" / "coinbase"
FILES = ("messages", "tardis_pairs", "instruments")
SEQUENCES = ("seq_exchange_BAND-GBP", "seq_exchange_CRV-EUR", "seq_exchange_NU-GBP")
NOW = 1_790_000_000_000_000
KEYS = Keys("a-key", "0x" + "2b" * 32)
NO_NUMBER = "0.-10000"
"""The size of a level in one old frame, which deserves an error."""


def text_of(name: str) -> str:
    if not (WIRE / name).exists():
        pytest.skip(f"{WIRE / name} is not here: captured frames are other people's data, and not part of the project")
    return (WIRE / name).read_text()


def lines(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text_of(name).splitlines()]


def both_feeds() -> tuple[Any, Any]:
    return Coinbase().market_feed([]), Coinbase().account_feed(KEYS, [])


def events_of(feed: Any, line: dict[str, Any]) -> list[FeedEvent]:
    if line["dir"] == "ws":
        return list(feed.frame(line["raw"], NOW))
    request = Request("GET", line.get("url", ""), tag=line["channel"])
    return list(feed.answer(Answer(request, 200, line["raw"].encode()), NOW))


def texts(levels: Any) -> list[list[str]]:
    return [[one.price, one.quantity] for one in levels]


@pytest.mark.parametrize("name", [*FILES, *SEQUENCES])
def test_every_captured_message_is_understood(name: str) -> None:
    for line in lines(f"{name}.jsonl"):
        for feed in both_feeds():
            events = events_of(feed, line)
            wrong = [one for one in events if isinstance(one, Undecodable)]
            assert events
            assert not wrong or NO_NUMBER in line["raw"], (line["channel"], line["raw"][:300], wrong)


@pytest.mark.parametrize("name", [*FILES, *SEQUENCES])
def test_the_decoder_writes_no_error_that_a_line_does_not_deserve(name: str) -> None:
    decoding = Decoding(Coinbase.ID, 20)
    for number, line in enumerate(lines(f"{name}.jsonl"), 1):
        written = [json.loads(text) for text in decoding.line(number, json.dumps(line))]
        wrong = [one for one in written if one["type"] == "error"]
        assert not wrong or NO_NUMBER in line["raw"], (line["raw"][:300], wrong)


def test_market_frames_and_answers_of_the_account_are_used() -> None:
    used = {
        line["channel"]
        for line in lines("messages.jsonl")
        for feed in both_feeds()
        if not all(isinstance(one, Ignored) for one in events_of(feed, line))
    }
    assert used >= {
        "l2_data:snapshot",
        "user:snapshot",
        "rest:accounts",
        "rest:fills",
        "rest:order",
        "rest:orders_list",
    }


@pytest.mark.parametrize("name", SEQUENCES)
def test_books_end_and_pass_as_expected(name: str) -> None:
    expected = json.loads(text_of(f"{name}.expected.json"))
    feed, passed, book = both_feeds()[0], list[Any](), None
    for line in lines(f"{name}.jsonl"):
        for event in events_of(feed, line):
            if isinstance(event, BookChanged) and "l2update" in line["channel"]:
                book = event.book
                passed.append([json.loads(line["raw"])["time"], [*texts(book.bids(1)), *texts(book.asks(1))]])
    assert len(expected["checkpoints"]) == 50
    assert passed[-50:] == expected["checkpoints"]
    assert book is not None
    assert (texts(book.bids(20)), texts(book.asks(20))) == (expected["final"]["bids"], expected["final"]["asks"])
    assert book.lengths == (expected["final"]["n_bids"], expected["final"]["n_asks"])


def test_agrees_with_an_independent_reading_of_old_books() -> None:
    checked = 0
    for line in lines("tardis_pairs.jsonl"):
        for event in events_of(both_feeds()[0], line):
            for expected in line["expected"]:
                if isinstance(event, BookChanged):
                    for ours, theirs in ((event.book.bids(20), "bids"), (event.book.asks(20), "asks")):
                        assert [(float(one.price), float(one.quantity)) for one in ours] == [
                            (one["price"], one["amount"]) for one in expected[theirs]
                        ]
                    checked += 1
    assert checked


def listed(line: dict[str, Any]) -> tuple[Instrument, ...]:
    return Coinbase().listing([Answer(Request("GET", "/x"), 200, line["raw"].encode())]).instruments


def test_the_captured_list_of_products_is_read() -> None:
    line = next(one for one in lines("messages.jsonl") if one["channel"] == "rest:products")
    products = {one["product_id"]: one for one in json.loads(line["raw"])["products"]}
    found = {one.name: one for one in listed(line)}
    assert found
    assert set(found) == {name for name, one in products.items() if one.get("alias", "") in ("", name)}
    for name, one in found.items():
        assert str(one.tick_size) == products[name]["price_increment"]
        assert f"{one.quantity_step:f}" == products[name]["base_increment"]
        assert one.symbol == name.replace("-", "/")
