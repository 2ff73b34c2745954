"""An Avro file holds the framed records unchanged, each preceded by its position and followed by the mark."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from fastavro import reader
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroflux.domain import BookSnapshot, Level, Quote
from neuroflux.records.avro_file import avro_file
from neuroflux.records.topics import BOOKS, QUOTES, Topic
from tests.stored import CODEC, Row, rows

MARK = b"the mark"


def read(topic: Topic, given_rows: list[Row]) -> list[dict[str, Any]]:
    pieces = avro_file(topic, given_rows, MARK)
    return [dict(one) for one in reader(BytesIO(b"".join(pieces))) if isinstance(one, dict)]


def offset(found: dict[str, Any]) -> int:
    return int.from_bytes(found["_offset"], "little", signed=True)


PLACES = st.lists(st.tuples(st.integers(0, QUOTES.partitions - 1), st.integers(0, 2**63 - 1)), max_size=20)


@given(places=PLACES)
@settings(max_examples=50)
def test_each_record_has_its_mark_and_its_place(places: list[tuple[int, int]]) -> None:
    quotes = [Quote("binance", "A/B", "A/B", float(n), 2.0, 3.0, 4.0, n, 5, 6) for n in range(len(places))]
    given_rows = [Row(at, CODEC.encode(QUOTES, one), part) for (part, at), one in zip(places, quotes, strict=True)]
    found = read(QUOTES, given_rows)
    assert [(one["_partition"], offset(one)) for one in found] == places
    assert [one["bid_price"] for one in found] == [quote.bid_price for quote in quotes]
    assert [one["_framing"] for one in found] == [CODEC.header(QUOTES)] * len(found)
    assert {one["_mark"] for one in found} <= {MARK}


def test_books_of_any_depth_and_more_rows_than_a_piece_has() -> None:
    books = [
        BookSnapshot("binance", "A/B", "A/B", tuple(Level(float(n), 1.0) for n in range(depth)), (), depth, 5, 6)
        for depth in (0, 20, 1_000)
    ]
    deep = rows(BOOKS, [books[number % 3] for number in range(5_000)])
    found = read(BOOKS, deep)
    assert [offset(one) for one in found] == list(range(5_000))
    assert [len(one["bids"]) for one in found[:3]] == [0, 20, 1_000]
