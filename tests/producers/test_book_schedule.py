"""When a picture is due, by explicit times: at most so often, again while its socket is alive, never of a lost book."""

from __future__ import annotations

import pytest

from neuroflux.exchanges.kit.events import BookChanged
from neuroflux.exchanges.kit.order_book import OrderBook
from producers.book_schedule import DEPTH, INTERVAL, REPEAT, Pictures

START = 1_000_000_000


def change(symbol: str = "BTC/USDT", sequence: int = 1, received: int = START, levels: int = 1) -> BookChanged:
    book = OrderBook()
    bids = [(str(100 - number), "1") for number in range(levels)]
    asks = [(str(101 + number), "2") for number in range(levels)]
    book.replace(bids, asks)
    return BookChanged("binance", symbol, "BTC/USD", book, sequence, received - 5, received)


def due(pictures: Pictures, now: int) -> list[tuple[str, int]]:
    return [(picture.symbol, picture.sequence) for picture in pictures.due(now)]


def test_the_first_is_due_at_once_and_is_the_book() -> None:
    pictures = Pictures()
    pictures.changed(change(sequence=7))
    (picture,) = pictures.due(START)
    assert (picture.exchange, picture.symbol, picture.market, picture.sequence) == (
        "binance",
        "BTC/USDT",
        "BTC/USD",
        7,
    )
    assert [(level.price, level.quantity) for level in (*picture.bids, *picture.asks)] == [("100", "1"), ("101", "2")]
    assert (picture.event_time, picture.received_time) == (START - 5, START)


def test_it_is_no_deeper_than_it_may_be() -> None:
    pictures = Pictures()
    pictures.changed(change(levels=DEPTH + 10))
    (picture,) = pictures.due(START)
    assert (len(picture.bids), len(picture.asks)) == (DEPTH, DEPTH)
    assert picture.bids[0].price == "100"


@pytest.mark.parametrize(("later", "sequences"), [(INTERVAL - 1, []), (INTERVAL, [3]), (INTERVAL + 1, [3])])
def test_changes_are_conflated_to_the_interval(later: int, sequences: list[int]) -> None:
    pictures = Pictures()
    pictures.changed(change())
    assert due(pictures, START) == [("BTC/USDT", 1)]
    pictures.changed(change(sequence=2))
    pictures.changed(change(sequence=3))
    assert due(pictures, START + later) == [("BTC/USDT", one) for one in sequences]


@pytest.mark.parametrize(("later", "again"), [(INTERVAL, 0), (REPEAT - 1, 0), (REPEAT, 1)])
def test_an_unchanged_book_is_repeated_while_its_socket_brings_frames(later: int, again: int) -> None:
    pictures = Pictures()
    pictures.changed(change())
    assert due(pictures, START)
    pictures.alive(START + 1)
    found = list(pictures.due(START + later))
    assert len(found) == again
    assert [picture.received_time for picture in found] == [START + 1] * again


def test_a_book_whose_socket_is_silent_is_not_repeated() -> None:
    pictures = Pictures()
    pictures.alive(START)
    pictures.changed(change())
    assert due(pictures, START)
    assert due(pictures, START + 10 * REPEAT) == []
    pictures.alive(START + 10 * REPEAT)
    assert due(pictures, START + 10 * REPEAT + 1) == [("BTC/USDT", 1)]
    assert due(pictures, START + 12 * REPEAT) == []


def test_each_symbol_has_its_own_time() -> None:
    pictures = Pictures()
    pictures.changed(change("BTC/USDT"))
    assert due(pictures, START) == [("BTC/USDT", 1)]
    pictures.changed(change("ETH/USDT"))
    pictures.changed(change("BTC/USDT", sequence=2))
    assert due(pictures, START + 1) == [("ETH/USDT", 1)]
    assert due(pictures, START + INTERVAL) == [("BTC/USDT", 2)]


def test_what_was_withdrawn_is_not_shown_until_it_changes_again() -> None:
    pictures = Pictures()
    pictures.changed(change("BTC/USDT"))
    pictures.changed(change("ETH/USDT"))
    pictures.withdraw("BTC/USDT")
    pictures.withdraw("never seen")
    assert due(pictures, START) == [("ETH/USDT", 1)]
    pictures.alive(START + 2 * REPEAT)
    pictures.withdraw_all()
    assert due(pictures, START + 3 * REPEAT) == []
    pictures.changed(change("BTC/USDT", sequence=9))
    assert due(pictures, START + 3 * REPEAT) == [("BTC/USDT", 9)]
