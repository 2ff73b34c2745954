"""The law of every sequence rule: over updates that are lost, repeated, reordered and late, and snapshots at any time,
a book that is shown is the exchange's, or it is withdrawn.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.exchanges.kit.books import Books, Labels
from neuroflux.exchanges.kit.events import BookChanged, FeedEvent, Resubscribe, SnapshotNeeded, Undecodable
from neuroflux.exchanges.kit.keeper import PATIENCE
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.requests import Request
from neuroflux.exchanges.kit.sequences import (
    LATEST_MS,
    BookUpdate,
    Chained,
    Checksummed,
    Connections,
    Consecutive,
    Counted,
    Ranged,
    RangedChained,
    Rule,
    Whole,
)

NAME, SYMBOL = "XUSD", "X/USD"
DEPTH = 4
Side = tuple[tuple[str, str], ...]
Shown = tuple[Side, Side]


def checksum(book: OrderBook, _: str = "") -> int:
    bids, asks = ([(one.price, one.quantity) for one in side] for side in (book.bids(DEPTH), book.asks(DEPTH)))
    return checksum_of(bids, asks)


def checksum_of(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> int:
    """As Kraken's: the best asks, then the best bids."""
    return zlib.crc32("".join(price + quantity for price, quantity in (*asks[:DEPTH], *bids[:DEPTH])).encode())


RULES: dict[str, Rule[BookUpdate]] = {
    "ranged": Ranged(),
    "ranged and chained": RangedChained(),
    "chained": Chained(),
    "consecutive": Consecutive(),
    "checksummed": Checksummed(checksum, DEPTH),
    "whole": Whole(),
}
BY_REST = ("ranged", "ranged and chained")
BY_SOCKET = ("chained", "consecutive", "checksummed")


class Source:
    """An exchange that numbers its updates by a rule, and knows what its book is."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.last = 100
        self.bids: dict[int, int] = {10: 1}
        self.asks: dict[int, int] = {20: 1}

    def update(self, side: str, offset: int, quantity: int) -> BookUpdate:
        """One changed level. Where ids are of all symbols they jump; otherwise they do not."""
        levels, price = (self.bids, 10 - offset) if side == "b" else (self.asks, 20 + offset)
        levels[price] = quantity
        before, jump = self.last, 7 if self.rule in ("ranged and chained", "chained") else 1
        self.last += jump
        row = ((str(price), str(quantity)),)
        bids, asks = (row, ()) if side == "b" else ((), row)
        first = before + 3 if self.rule == "ranged and chained" else before + 1
        return BookUpdate(NAME, bids, asks, self.last, 1, first, before, checksum_of(*self.shown()))

    def whole(self) -> BookUpdate:
        bids, asks = self.shown()
        return BookUpdate(NAME, bids, asks, self.last, 1, checksum=checksum_of(bids, asks))

    def shown(self) -> Shown:
        def live(side: dict[int, int], sign: int) -> Side:
            found = sorted(((price, quantity) for price, quantity in side.items() if quantity), key=lambda one: one[0])
            cut = DEPTH if self.rule == "checksummed" else len(found)
            return tuple((str(price), str(quantity)) for price, quantity in found[::sign][:cut])

        return live(self.bids, -1), live(self.asks, 1)


def books_of(rule: str) -> Books[BookUpdate]:
    request = (lambda name: Request("GET", f"/depth?symbol={name}")) if rule in BY_REST else None
    return Books("x", "book", RULES[rule], Labels({NAME: (SYMBOL, "X/USD")}), request)


def snapshot(books: Books[BookUpdate], source: Source) -> list[FeedEvent]:
    """The exchange's whole book, the way it is sent."""
    whole = source.whole()
    if source.rule in BY_REST:
        return list(books.anchored(NAME, whole.bids, whole.asks, whole.last, 0, 1))
    return list(books.replaced(whole, 1))


def kinds(events: Sequence[FeedEvent]) -> list[str]:
    return [event.kind if isinstance(event, ExchangeStatus) else type(event).__name__ for event in events]


FATES = st.sampled_from(["arrives", "arrives", "arrives", "lost", "twice", "late", "snapshot", "disconnected"])
STEPS = st.tuples(st.sampled_from("ba"), st.integers(0, 5), st.integers(0, 3), FATES)


@pytest.mark.parametrize("rule", RULES)
@given(st.lists(STEPS, max_size=40))
def test_a_book_that_is_shown_is_the_exchanges(rule: str, history: list[tuple[str, int, int, str]]) -> None:
    source, books = Source(rule), books_of(rule)
    truth: dict[int, Shown] = {source.last: source.shown()}
    late: list[BookUpdate] = []
    is_shown = was_gap = False

    def check(events: Sequence[FeedEvent]) -> None:
        nonlocal is_shown, was_gap
        for event in events:
            assert not isinstance(event, Undecodable)
            if isinstance(event, ExchangeStatus):
                assert event.symbol == SYMBOL
                assert event.kind in (StatusKind.GAP, StatusKind.RESYNCED)
                was_gap, is_shown = event.kind is StatusKind.GAP, is_shown and event.kind is not StatusKind.GAP
            if isinstance(event, BookChanged):
                shown = event.snapshot(50)
                levels = [tuple((one.price, one.quantity) for one in side) for side in (shown.bids, shown.asks)]
                assert tuple(levels) == truth[event.sequence] or (was_gap and levels == [(), ()])
                is_shown = True

    for side, offset, quantity, fate in history:
        update = source.update(side, offset, quantity)
        update = source.whole() if rule == "whole" else update
        truth[source.last] = source.shown()
        take = books.replaced if rule == "whole" else books.update
        if fate in ("arrives", "twice", "snapshot"):
            check(take(update, 1))
        if fate == "twice":
            check(take(update, 1))
        if fate == "snapshot":
            check(snapshot(books, source))
        if fate == "disconnected":
            books.withdraw({NAME})
            assert books.proved(NAME) is None
        if fate == "late":
            late.append(update)
        elif late:
            check(take(late.pop(), 1))


def proved(rule: str) -> tuple[Source, Books[BookUpdate]]:
    source, books = Source(rule), books_of(rule)
    books.update(source.update("b", 1, 1), 1)
    snapshot(books, source)
    assert kinds(books.update(source.update("a", 1, 1), 1)) == ["BookChanged"]
    return source, books


@pytest.mark.parametrize("rule", BY_SOCKET)
def test_nothing_is_shown_before_the_snapshot_that_the_socket_sends(rule: str) -> None:
    source, books = Source(rule), books_of(rule)
    assert kinds(books.update(source.update("b", 1, 1), 1)) == ["Ignored"]
    assert kinds(snapshot(books, source)) == ["BookChanged"]


@pytest.mark.parametrize("rule", [*BY_REST, *BY_SOCKET])
def test_a_gap_withdraws_the_book_and_requests_a_snapshot_once(rule: str) -> None:
    source, books = proved(rule)
    source.update("b", 2, 1)  # lost
    gap, request = books.update(source.update("b", 0, 2), 1)
    assert kinds([gap]) == [StatusKind.GAP]
    assert books.proved(NAME) is None
    if rule in BY_REST:
        assert isinstance(request, SnapshotNeeded)
        assert request.request.path == f"/depth?symbol={NAME}"
    else:
        assert isinstance(request, Resubscribe)
        assert request.symbol == SYMBOL
        assert request.reason.startswith("book: ")
    assert kinds(books.update(source.update("b", 0, 3), 1)) == ["Ignored"]
    again = snapshot(books, source) + list(books.update(source.update("a", 2, 1), 1))
    assert [kind for kind in kinds(again) if kind != "Ignored"][:2] == [StatusKind.RESYNCED, "BookChanged"]


@pytest.mark.parametrize("rule", [*BY_REST, *BY_SOCKET])
def test_a_snapshot_that_does_not_arrive_is_requested_again(rule: str) -> None:
    source, books = proved(rule)
    source.update("b", 2, 1)  # lost
    gap = books.update(source.update("b", 0, 2), 1)
    waiting = [kinds(books.update(source.update("b", 0, 1 + number % 3), 1)) for number in range(PATIENCE)]
    assert waiting == [*([["Ignored"]] * (PATIENCE - 1)), kinds(gap[1:])]


@pytest.mark.parametrize("rule", BY_SOCKET)
def test_a_snapshot_may_replace_a_proved_book_at_any_time(rule: str) -> None:
    source, books = proved(rule)
    source.update("b", 2, 1)
    assert kinds(snapshot(books, source)) == ["BookChanged"]
    assert kinds(books.update(source.update("b", 0, 2), 1)) == ["BookChanged"]


def test_of_chained_updates_a_lower_id_after_the_last_one_is_no_gap() -> None:
    """OKX resets its ids after maintenance, and names the id before."""
    source, books = proved("chained")
    before, source.last = source.last, 3
    reset = source.update("b", 2, 1)
    assert kinds(books.update(replace(reset, previous=before), 1)) == ["BookChanged"]
    assert kinds(books.update(source.update("b", 0, 2), 1)) == ["BookChanged"]


def test_of_chained_updates_a_heartbeat_proves_the_book() -> None:
    source, books = proved("chained")
    beat = BookUpdate(NAME, (), (), source.last, 5, previous=source.last)
    (changed,) = books.update(beat, 1)
    assert isinstance(changed, BookChanged)
    assert changed.event_time == 5


def test_a_checksum_of_another_book_withdraws_even_a_snapshot() -> None:
    source, books = proved("checksummed")
    (gap, request) = books.replaced(replace(source.whole(), checksum=1), 1)
    assert kinds([gap, request]) == [StatusKind.GAP, "Resubscribe"]
    assert kinds(books.replaced(replace(source.whole(), checksum=1), 1)) == ["Ignored"]


def test_a_checksummed_book_is_cut_to_its_depth() -> None:
    source, books = proved("checksummed")
    for offset in range(DEPTH + 2):
        (changed,) = books.update(source.update("a", offset, 1), 1)
    assert isinstance(changed, BookChanged)
    assert len(changed.book.asks(50)) == DEPTH


def test_of_whole_books_an_older_one_is_not_used_unless_the_last_was_misdated() -> None:
    source, books = Source("whole"), books_of("whole")
    ahead = replace(source.whole(), last=10 * LATEST_MS)
    assert kinds(books.replaced(ahead, 1)) == ["BookChanged"]
    assert kinds(books.replaced(replace(ahead, last=9 * LATEST_MS), 1)) == ["Ignored"]
    assert kinds(books.replaced(replace(ahead, last=8 * LATEST_MS), 1)) == ["BookChanged"]


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_book_is_shown_empty_once_and_then_withdrawn(rule: str) -> None:
    if rule in BY_REST:
        return
    source, books = Source(rule), books_of(rule)
    snapshot(books, source)
    source.bids.clear()
    source.asks.clear()
    gap, emptied = snapshot(books, source)
    assert kinds([gap]) == [StatusKind.GAP]
    assert isinstance(emptied, BookChanged)
    assert emptied.snapshot(5).bids == ()
    assert kinds(snapshot(books, source)) == ["Ignored"]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("text", ["nan", "-1", "1e5", "1_0", "", "x", "Infinity"])
def test_a_level_that_is_no_number_changes_nothing(rule: str, text: str) -> None:
    source, books = Source(rule), books_of(rule)
    whole = replace(source.whole(), bids=((text, "1"),))
    assert kinds(books.replaced(whole, 1)) == ["Undecodable"]
    assert kinds(books.update(whole, 1)) == ["Undecodable"]
    assert kinds(books.anchored(NAME, whole.bids, (), 1, 0, 1)) == ["Undecodable"]


@pytest.mark.parametrize("rule", RULES)
def test_of_a_level_only_price_and_quantity_are_read(rule: str) -> None:
    """OKX writes a 0 and the number of orders after them."""
    source, books = Source(rule), books_of(rule)
    whole = replace(source.whole(), bids=(("10", "1", "0", "7"),))
    assert "Undecodable" not in kinds(books.replaced(whole, 1))
    assert rule == "whole" or "Undecodable" not in kinds(books.update(whole, 1))


def test_an_unlisted_instrument_keeps_its_name() -> None:
    source, books = Source("consecutive"), Books("x", "book", RULES["consecutive"], Labels())
    (changed,) = books.replaced(source.whole(), 1)
    assert isinstance(changed, BookChanged)
    assert (changed.symbol, changed.market) == (NAME, NAME)


# ── numbers of a connection ──────────────────────────────────────────────────────────────────────────────────────


def test_a_number_that_is_not_the_next_one_of_its_connection_is_noticed() -> None:
    numbers = Connections()
    assert [numbers.expected("1", number) for number in (5, 6, 8, 8, 3, 4)] == [None, None, 7, 9, 9, None]
    assert numbers.expected("2", 0) is None
    numbers.closed("1")
    assert numbers.expected("1", 0) is None


def test_what_was_missed_withdraws_the_books_of_its_connection_that_are_proved() -> None:
    books: Books[BookUpdate] = Books("x", "book", Counted(), Labels())
    for name in ("A", "B", "C"):
        books.replaced(BookUpdate(name, (("10", "1"),), (("20", "1"),), 5, 1), 1)
    assert set(books.names) == {"A", "B", "C"}
    missed = books.missed(("A", "B", "never seen"), "expected 6, got 8", 6, 1)
    assert kinds(missed) == [StatusKind.GAP, "Resubscribe", StatusKind.GAP, "Resubscribe"]
    assert [one.symbol for one in missed if isinstance(one, ExchangeStatus)] == ["A", "B"]
    assert books.missed(("A", "B"), "again", 9, 1) == []
    change = (("11", "1"),)
    assert kinds(books.update(BookUpdate("A", change, (), 9, 1), 1)) == ["Ignored"]
    assert kinds(books.update(BookUpdate("C", change, (), 6, 1), 1)) == ["BookChanged"]
    again = books.replaced(BookUpdate("A", (("10", "1"),), (), 10, 1), 1)
    assert kinds(again) == [StatusKind.RESYNCED, "BookChanged"]


# ── books that are sent to their last level ──────────────────────────────────────────────────────────────────────


class _Short(Counted[BookUpdate]):
    depth = 8


@given(
    st.sets(st.integers(1, 60), min_size=2),
    st.lists(st.tuples(st.integers(1, 60), st.integers(0, 2)), max_size=60),
)
def test_the_best_levels_of_a_book_that_is_kept_in_part_are_the_exchanges(
    prices: set[int], changes: list[tuple[int, int]]
) -> None:
    """Bids; asks alike, by negated prices. A quarter of ``depth`` must be left, and is right."""
    books: Books[BookUpdate] = Books("x", "book", _Short(), Labels())
    for sign in (1, -1):
        truth, name = dict.fromkeys(prices, 1), f"{sign}"

        def changed(number: int, levels: list[tuple[int, int]], name: str = name, sign: int = sign) -> BookUpdate:
            rows = [(str(100 + sign * price), str(quantity)) for price, quantity in levels]
            return BookUpdate(name, rows if sign > 0 else (), rows if sign < 0 else (), number, 1)

        books.replaced(changed(0, [*truth.items()]), 1)
        for number, change in enumerate(changes, 1):
            truth[change[0]] = change[1]
            books.update(changed(number, [change]), 1)
            keeper = books.proved(name)
            if keeper is None:
                assert len([one for one in truth.values() if one]) < len(prices)
                break
            shown = keeper.book.bids(2) if sign > 0 else keeper.book.asks(2)
            best = sorted((price for price, quantity in truth.items() if quantity), reverse=True)[:2]
            assert [(one.price, one.quantity) for one in shown] == [
                (str(100 + sign * price), str(truth[price])) for price in best
            ]
            assert max(keeper.book.lengths) <= 16


def test_too_little_that_is_left_of_a_book_that_is_kept_in_part_ends_its_proof() -> None:
    books: Books[BookUpdate] = Books("x", "book", _Short(), Labels())
    books.replaced(BookUpdate("A", [(str(price), "1") for price in range(1, 30)], [("40", "1")], 0, 1), 1)
    kept = books.proved("A")
    assert kept is not None
    assert kept.book.lengths == (8, 1)
    gone = [
        books.update(BookUpdate("A", [(str(price), "0")], (), number, 1), 1)
        for number, price in enumerate(range(29, 21, -1), 1)
    ]
    assert [kinds(one) for one in gone[:6]] == [["BookChanged"]] * 6
    assert kinds(gone[6]) == [StatusKind.GAP, "Resubscribe"]
