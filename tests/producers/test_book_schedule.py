"""When a snapshot is due, by explicit times: rate-limited, repeated while its socket is alive, never of a lost book."""

from __future__ import annotations

import pytest

from neuroflux.exchanges.kit.events import BookChanged
from neuroflux.exchanges.kit.order_book import OrderBook
from producers.book_schedule import DEPTH, INTERVAL, REPEAT, BookSchedule

START = 1_000_000_000


def change(symbol: str = "BTC/USDT", sequence: int = 1, received: int = START, levels: int = 1) -> BookChanged:
    book = OrderBook()
    bids = [(str(100 - number), "1") for number in range(levels)]
    asks = [(str(101 + number), "2") for number in range(levels)]
    book.replace(bids, asks)
    return BookChanged("binance", symbol, "BTC/USD", book, sequence, received - 5, received)


def due(snapshots: BookSchedule, now: int) -> list[tuple[str, int]]:
    return [(snapshot.symbol, snapshot.sequence) for snapshot in snapshots.due(now)]


def test_the_first_is_due_at_once_and_is_the_book() -> None:
    snapshots = BookSchedule()
    snapshots.changed(change(sequence=7))
    (snapshot,) = snapshots.due(START)
    assert (snapshot.exchange, snapshot.symbol, snapshot.market, snapshot.sequence) == (
        "binance",
        "BTC/USDT",
        "BTC/USD",
        7,
    )
    assert [(level.price, level.quantity) for level in (*snapshot.bids, *snapshot.asks)] == [("100", "1"), ("101", "2")]
    assert (snapshot.event_time, snapshot.received_time) == (START - 5, START)


def test_it_is_no_deeper_than_it_may_be() -> None:
    snapshots = BookSchedule()
    snapshots.changed(change(levels=DEPTH + 10))
    (snapshot,) = snapshots.due(START)
    assert (len(snapshot.bids), len(snapshot.asks)) == (DEPTH, DEPTH)
    assert snapshot.bids[0].price == "100"


@pytest.mark.parametrize(("later", "sequences"), [(INTERVAL - 1, []), (INTERVAL, [3]), (INTERVAL + 1, [3])])
def test_changes_are_conflated_to_the_interval(later: int, sequences: list[int]) -> None:
    snapshots = BookSchedule()
    snapshots.changed(change())
    assert due(snapshots, START) == [("BTC/USDT", 1)]
    snapshots.changed(change(sequence=2))
    snapshots.changed(change(sequence=3))
    assert due(snapshots, START + later) == [("BTC/USDT", one) for one in sequences]


@pytest.mark.parametrize(("later", "again"), [(INTERVAL, 0), (REPEAT - 1, 0), (REPEAT, 1)])
def test_an_unchanged_book_is_repeated_while_its_socket_receives_frames(later: int, again: int) -> None:
    snapshots = BookSchedule()
    snapshots.changed(change())
    assert due(snapshots, START)
    snapshots.alive(START + 1)
    found = list(snapshots.due(START + later))
    assert len(found) == again
    assert [snapshot.received_time for snapshot in found] == [START + 1] * again


def test_a_book_whose_socket_is_silent_is_not_repeated() -> None:
    snapshots = BookSchedule()
    snapshots.alive(START)
    snapshots.changed(change())
    assert due(snapshots, START)
    assert due(snapshots, START + 10 * REPEAT) == []
    snapshots.alive(START + 10 * REPEAT)
    assert due(snapshots, START + 10 * REPEAT + 1) == [("BTC/USDT", 1)]
    assert due(snapshots, START + 12 * REPEAT) == []


def test_each_symbol_has_its_own_time() -> None:
    snapshots = BookSchedule()
    snapshots.changed(change("BTC/USDT"))
    assert due(snapshots, START) == [("BTC/USDT", 1)]
    snapshots.changed(change("ETH/USDT"))
    snapshots.changed(change("BTC/USDT", sequence=2))
    assert due(snapshots, START + 1) == [("ETH/USDT", 1)]
    assert due(snapshots, START + INTERVAL) == [("BTC/USDT", 2)]


def test_what_was_withdrawn_is_not_shown_until_it_changes_again() -> None:
    snapshots = BookSchedule()
    snapshots.changed(change("BTC/USDT"))
    snapshots.changed(change("ETH/USDT"))
    snapshots.withdraw("BTC/USDT")
    snapshots.withdraw("never seen")
    assert due(snapshots, START) == [("ETH/USDT", 1)]
    snapshots.alive(START + 2 * REPEAT)
    snapshots.withdraw_all()
    assert due(snapshots, START + 3 * REPEAT) == []
    snapshots.changed(change("BTC/USDT", sequence=9))
    assert due(snapshots, START + 3 * REPEAT) == [("BTC/USDT", 9)]
