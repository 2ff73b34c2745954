"""The rules of OKX's books, one by one, as the manual numbers them, and with contracts converted to coins."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any
from zlib import crc32

import pytest

from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Ignored, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.okx.book_rule import checksum
from neuroflux.exchanges.okx.market import OkxMarketFeed
from tests.neuroflux.exchanges.kit.examples.example import encoded
from tests.neuroflux.exchanges.kit.examples.okx import MS, envelope, frame
from tests.neuroflux.exchanges.okx.listed import NOW, SPOT, SWAP, answer, market

Levels = list[list[str]]


def row(bids: Levels, asks: Levels, last: int, previous: int = -1, check: int = 0) -> dict[str, Any]:
    return {"bids": bids, "asks": asks, "ts": MS, "seqId": last, "prevSeqId": previous, "checksum": check}


def send(feed: OkxMarketFeed, action: str, wire: dict[str, Any], name: str = SPOT.name) -> Sequence[FeedEvent]:
    return feed.frame(encoded(frame("books", name, wire, action=action)), NOW)


def shown(events: Sequence[FeedEvent]) -> tuple[Levels, Levels]:
    """The levels of the last book of these events; none where there is no book."""
    books = [one.snapshot(50) for one in events if isinstance(one, BookChanged)]
    if not books:
        return [], []
    bids, asks = ([[one.price, one.quantity] for one in side] for side in (books[-1].bids, books[-1].asks))
    return bids, asks


def begun(last: int = 100) -> OkxMarketFeed:
    feed = market()
    assert shown(send(feed, "snapshot", row([["10", "1"], ["9", "2"]], [["20", "3"]], last)))[0]
    return feed


def kinds(events: Sequence[FeedEvent]) -> list[Any]:
    return [one.kind if isinstance(one, ExchangeStatus) else type(one) for one in events]


def test_a_snapshot_and_the_updates_that_follow_it() -> None:
    feed = begun()
    changed = send(feed, "update", row([["10", "0"], ["9.5", "4"]], [["20", "5"]], 107, 100))
    assert shown(changed) == ([["9.5", "4"], ["9", "2"]], [["20", "5"]])
    (one,) = changed
    assert isinstance(one, BookChanged)
    assert (one.symbol, one.market, one.sequence, one.event_time) == ("SOL/USDT", "SOL/USD", 107, int(MS) * 1000)


def test_deleting_a_level_that_is_not_there_changes_nothing() -> None:
    assert shown(send(begun(), "update", row([["8", "0"]], [], 101, 100)))[0] == [["10", "1"], ["9", "2"]]


def test_a_heartbeat_proves_the_book() -> None:
    events = send(begun(), "update", row([], [], 100, 100))
    assert shown(events) == ([["10", "1"], ["9", "2"]], [["20", "3"]])


def test_numbers_may_begin_again_after_maintenance() -> None:
    feed = begun()
    assert shown(send(feed, "update", row([["10", "7"]], [], 3, 100)))[0][0] == ["10", "7"]
    assert shown(send(feed, "update", row([["10", "8"]], [], 5, 3)))[0][0] == ["10", "8"]
    assert kinds(send(feed, "update", row([["10", "9"]], [], 101, 100))) == [StatusKind.GAP, SnapshotNeeded]


@pytest.mark.parametrize(("last", "previous"), [(108, 104), (108, 99), (100, 93), (107, -1)])
def test_any_other_update_withdraws_the_book_and_requests_it(last: int, previous: int) -> None:
    feed = begun()
    gap, needed = send(feed, "update", row([["10", "5"]], [], last, previous))
    assert isinstance(gap, ExchangeStatus)
    assert (gap.kind, gap.symbol) == (StatusKind.GAP, "SOL/USDT")
    assert isinstance(needed, SnapshotNeeded)
    assert (needed.symbol, needed.request.bucket) == ("SOL/USDT", "books")
    assert needed.request.path == "/api/v5/market/books?instId=SOL-USDT&sz=400"
    assert kinds(send(feed, "update", row([], [], last + 1, last))) == [Ignored], "nothing is shown, nor asked again"


def test_a_crossed_book_is_withdrawn() -> None:
    assert kinds(send(begun(), "update", row([["20", "1"]], [], 101, 100))) == [StatusKind.GAP, SnapshotNeeded]


def asked(feed: OkxMarketFeed, last: int, name: str = SPOT.name, size: str = "6") -> Sequence[FeedEvent]:
    needed = send(feed, "update", row([["9", "5"]], [], 200, 190), name)
    request = next(one.request for one in needed if isinstance(one, SnapshotNeeded))
    book = {"bids": [["10", size]], "asks": [["20", "3"]], "ts": MS, "seqId": last}
    return feed.answer(answer(envelope(book), request), NOW)


@pytest.mark.parametrize("last", [190, 195, 199])
def test_an_answer_is_the_base_of_the_update_that_spans_it(last: int) -> None:
    """The first after it has prevSeqId <= its seqId < seqId; nothing was sent by the socket before."""
    assert shown(asked(market(), last)) == ([["10", "6"], ["9", "5"]], [["20", "3"]])


def test_an_answer_that_has_the_update_already_waits_for_the_next() -> None:
    feed = market()
    assert kinds(asked(feed, 200)) == [Ignored]
    assert shown(send(feed, "update", row([["9", "7"]], [], 210, 200)))[0] == [["10", "6"], ["9", "7"]]


def test_an_answer_that_is_too_old_is_requested_again() -> None:
    feed = market()
    assert kinds(asked(feed, 189)) == [SnapshotNeeded]


def test_numbers_may_begin_again_while_an_answer_is_awaited() -> None:
    """What waited with the old numbers would make every answer look too old."""
    feed = market()
    (needed,) = send(feed, "update", row([["9", "5"]], [], 9000, 8990))
    assert isinstance(needed, SnapshotNeeded)
    send(feed, "update", row([["9", "6"]], [], 3, 9000))
    send(feed, "update", row([["9", "7"]], [], 8, 3))
    book = {"bids": [["10", "6"]], "asks": [["20", "3"]], "ts": MS, "seqId": 5}
    events = feed.answer(answer(envelope(book), needed.request), NOW)
    assert shown(events)[0] == [["10", "6"], ["9", "7"]]


def test_an_answer_ends_the_gap() -> None:
    feed = begun()
    assert kinds(asked(feed, 195)) == [StatusKind.RESYNCED, BookChanged]


def test_a_quiet_book_is_proved_on_an_answer_by_a_heartbeat() -> None:
    feed = market()
    asked(feed, 200)
    assert shown(send(feed, "update", row([], [], 200, 200)))[0] == [["10", "6"]]


def test_an_answer_in_contracts_is_converted() -> None:
    """A contract is 0.1 SOL."""
    assert shown(asked(market(), 195, SWAP.name)) == ([["10", "0.6"], ["9", "0.5"]], [["20", "0.3"]])


def test_contracts_are_converted_and_digits_kept() -> None:
    feed = market()
    events = send(feed, "snapshot", row([["10.50", "12.5"]], [["20", "100"]], 1), SWAP.name)
    assert shown(events) == ([["10.50", "1.25"]], [["20", "10"]])


@pytest.mark.parametrize("size", ["1e5", "-1", "nan", "", "1_0", "1e999999"])
@pytest.mark.parametrize("name", [SPOT.name, SWAP.name])
def test_a_size_that_is_none_is_one_error(name: str, size: str) -> None:
    feed = market()
    assert kinds(send(feed, "snapshot", row([["10", size]], [["20", "1"]], 1), name)) == [Undecodable]


def test_a_lost_socket_withdraws_its_books() -> None:
    feed = begun()
    for one in feed.subscriptions([SPOT.symbol]):
        feed.disconnected(one)
    assert kinds(send(feed, "update", row([["10", "5"]], [], 101, 100))) == [SnapshotNeeded]
    events = send(feed, "snapshot", row([["11", "1"]], [["20", "3"]], 150))
    assert kinds(events) == [StatusKind.RESYNCED, BookChanged]


# ── the checksum, where there is one ─────────────────────────────────────────────────────────────────────────────


def crc(text: str) -> int:
    value = crc32(text.encode())
    return value - 2**32 if value >= 2**31 else value


def test_a_checksum_is_of_both_sides_in_turns() -> None:
    """The manual's own example: two bids, one ask."""
    book = OrderBook()
    book.replace([["3366.1", "7"], ["3366", "6"]], [["3366.8", "9"]])
    assert checksum(book, Decimal(1)) == crc("3366.1:7:3366.8:9:3366:6")


def test_a_checksum_is_of_25_levels_in_contracts() -> None:
    book = OrderBook()
    bids = [[str(100 - at), "0.5"] for at in range(30)]
    book.replace(bids, [["200", "1"]])
    first, *others = [f"{100 - at}:5" for at in range(25)]
    assert checksum(book, Decimal("0.1")) == crc(":".join([first, "200:10", *others]))


def test_a_book_with_another_checksum_is_withdrawn() -> None:
    good, bad = crc("10:5:20:3:9:2"), crc("10:4:20:3:9:2")
    assert shown(send(begun(), "update", row([["10", "5"]], [], 101, 100, good)))[0]
    events = send(begun(), "update", row([["10", "5"]], [], 101, 100, bad))
    assert kinds(events) == [StatusKind.GAP, SnapshotNeeded]


def test_a_checksum_of_a_perpetual_is_of_its_contracts() -> None:
    feed, good = market(), crc("10:15:20:30")
    assert shown(send(feed, "snapshot", row([["10", "15"]], [["20", "30"]], 1, -1, good), SWAP.name))[0] == [
        ["10", "1.5"]
    ]


def test_a_book_without_numbers_and_checksum_is_not_shown() -> None:
    events = send(market(), "snapshot", row([["10", "1"]], [["20", "1"]], -1))
    assert not any(isinstance(one, BookChanged) for one in events)
