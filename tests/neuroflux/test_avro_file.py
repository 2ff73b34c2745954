"""An Avro file holds the records as they were framed, each with its place and the mark behind it."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from fastavro import reader
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroflux.avro_file import MARK, avro_file
from neuroflux.domain import BookPicture, Level, Quote
from neuroflux.topics import BOOKS, QUOTES
from tests.stored import CODEC, Row, rows


def read(*pieces: bytes) -> list[dict[str, Any]]:
    return [dict(one) for one in reader(BytesIO(b"".join(pieces))) if isinstance(one, dict)]


PLACES = st.lists(st.tuples(st.integers(0, QUOTES.partitions - 1), st.integers(0, 2**49 - 1)), max_size=20)


@given(places=PLACES)
@settings(max_examples=50, deadline=None)
def test_each_record_has_its_place_and_its_end(places: list[tuple[int, int]]) -> None:
    quotes = [Quote("binance", "A/B", "A/B", float(n), 2.0, 3.0, 4.0, n, 5, 6) for n in range(len(places))]
    given_rows = [Row(at, CODEC.encode(QUOTES, one), part) for (part, at), one in zip(places, quotes, strict=True)]
    found = read(*avro_file(QUOTES, given_rows))
    assert [(one["_topic"], one["_partition"], one["_offset"]) for one in found] == [
        (QUOTES.name, *at) for at in places
    ]
    assert [one["bid_price"] for one in found] == [quote.bid_price for quote in quotes]
    assert {one["_mark"] for one in found} <= {MARK.encode()}


def test_books_of_any_depth_and_more_rows_than_a_piece_has() -> None:
    books = [
        BookPicture("binance", "A/B", "A/B", tuple(Level(float(n), 1.0) for n in range(depth)), (), depth, 5, 6)
        for depth in (0, 20, 1_000)
    ]
    deep = rows(BOOKS, [books[number % 3] for number in range(5_000)])
    found = read(*avro_file(BOOKS, deep))
    assert [one["_offset"] for one in found] == list(range(5_000))
    assert [len(one["bids"]) for one in found[:3]] == [0, 20, 1_000]


def test_a_record_that_goes_on_too_long_has_no_mark_and_shifts_nothing() -> None:
    value = CODEC.encode(QUOTES, Quote("binance", "A/B", "A/B", 1.0, 2.0, 3.0, 4.0, 1, 5, 6))
    found = read(*avro_file(QUOTES, [Row(1, value + b"x"), Row(2, value)]))
    assert [(one["_offset"], one["_mark"] == MARK.encode()) for one in found] == [(1, False), (2, True)]
