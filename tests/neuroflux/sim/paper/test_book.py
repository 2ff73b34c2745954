"""A book of the paper exchange is the live one, level by level, and never older than allowed."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import BookSnapshot, Level
from neuroflux.sim.catalogue import venues
from neuroflux.sim.core.matching import Book, Sequence
from neuroflux.sim.paper.book import LIFE, PaperBook

NOW = 1_700_000_000_000_000
LISTING = msgspec.structs.replace(
    next(one for one in venues()["binance"].listings if one.symbol == "BTCUSDT"),
    tick=Decimal("0.5"),
    lot=Decimal("0.1"),
)
Levels = dict[float, float]


def snapshot(bids: Levels, asks: Levels, received: int = NOW) -> BookSnapshot[float]:
    below, above = (tuple(Level(price, quantity) for price, quantity in levels.items()) for levels in (bids, asks))
    return BookSnapshot("binance", "BTC/USDT", "BTC/USD", below, above, 1, received, received)


@dataclass
class Paper:
    paper_book: PaperBook

    @property
    def levels(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        book = self.paper_book.book
        return book.bids.levels(99), book.asks.levels(99)


@pytest.fixture
def paper() -> Paper:
    return Paper(PaperBook(LISTING, Book(Sequence(0))))


def test_prices_and_quantities_are_counted_in_the_instruments_steps(paper: Paper) -> None:
    paper.paper_book.show(snapshot({100.5: 0.3}, {101.0: 1.0, 102.5: 0.7}), NOW)
    assert paper.levels == ([(201, 3)], [(202, 10), (205, 7)])
    assert paper.paper_book.mid == 100.75


def test_a_snapshot_replaces_the_one_before_exactly(paper: Paper) -> None:
    paper.paper_book.show(snapshot({100: 1, 99: 2}, {101: 1, 102: 2}), NOW)
    assert not paper.paper_book.show(snapshot({103: 1, 100: 5}, {104: 1, 105: 0.01}), NOW)
    assert paper.levels == ([(206, 10), (200, 50)], [(208, 10)]), "less than a lot can't be traded"
    assert not paper.paper_book.book.matches, "the liquidity does not trade with itself"


def test_a_taker_consumes_the_levels_until_the_next_snapshot(paper: Paper) -> None:
    shown = snapshot({100: 1}, {101: 1, 102: 2})
    paper.paper_book.show(shown, NOW)
    matches = paper.paper_book.book.take("buy", 15, None, taker=7)
    assert [(match.price, match.quantity) for match in matches] == [(202, 10), (204, 5)]
    assert paper.levels[1] == [(204, 15)]
    paper.paper_book.show(shown, NOW)
    assert paper.levels[1] == [(202, 10), (204, 20)]


def test_a_level_that_crosses_a_paper_order_trades_with_it_first(paper: Paper) -> None:
    paper.paper_book.show(snapshot({100: 1}, {101: 1}), NOW)
    paper.paper_book.book.rest("buy", 200, 4, owner=7)
    matches = paper.paper_book.show(snapshot({99: 1}, {99.5: 1, 101: 1}), NOW)
    assert [(match.side, match.price, match.quantity, match.maker) for match in matches] == [("sell", 200, 4, 7)]
    assert paper.levels == ([(198, 10)], [(199, 6), (202, 10)])


def test_what_a_level_leaves_of_a_paper_order_still_rests(paper: Paper) -> None:
    paper.paper_book.book.rest("sell", 200, 25, owner=7)
    matches = paper.paper_book.show(snapshot({100.5: 1, 100: 0.4}, {102: 1}), NOW)
    assert [(match.price, match.quantity, match.maker) for match in matches] == [(200, 10, 7), (200, 4, 7)]
    assert paper.levels == ([], [(200, 11), (204, 10)])


def test_a_paper_order_at_a_price_of_the_snapshot_is_not_filled_by_it(paper: Paper) -> None:
    paper.paper_book.book.rest("buy", 200, 4, owner=7)
    assert not paper.paper_book.show(snapshot({100: 1, 99: 1}, {101: 1}), NOW)
    assert paper.levels[0] == [(200, 14), (198, 10)]


def test_a_book_with_an_old_snapshot_is_emptied_except_for_paper_orders(paper: Paper) -> None:
    paper.paper_book.show(snapshot({100: 1}, {101: 1}), NOW)
    paper.paper_book.book.rest("buy", 190, 4, owner=7)
    paper.paper_book.expire(NOW + LIFE)
    assert paper.levels[1]
    paper.paper_book.expire(NOW + LIFE + 1)
    assert paper.levels == ([(190, 4)], [])
    assert paper.paper_book.mid == 100.5


@pytest.mark.parametrize(
    ("bids", "asks", "received"),
    [
        ({100.0: 9.0}, {101.0: 9.0}, NOW - LIFE - 1),
        ({101.0: 9.0}, {101.0: 9.0}, NOW),
        ({100.0: 9.0}, {101.0: 0.01}, NOW),
    ],
)
def test_an_old_or_invalid_snapshot_is_not_shown(paper: Paper, bids: Levels, asks: Levels, received: int) -> None:
    paper.paper_book.show(snapshot({100: 1}, {102: 1}), NOW)
    paper.paper_book.show(snapshot(bids, asks, received), NOW)
    assert paper.levels == ([(200, 10)], [(204, 10)])


sides = st.dictionaries(st.integers(1, 60), st.integers(1, 30), min_size=1, max_size=8)


@given(st.lists(st.tuples(st.integers(20, 60), sides, sides), min_size=1, max_size=6))
def test_without_paper_orders_the_book_is_the_snapshot(
    snapshots: list[tuple[int, dict[int, int], dict[int, int]]],
) -> None:
    paper_book = PaperBook(LISTING, Book(Sequence(0)))
    for middle, below, above in snapshots:
        bids = {(1000 + middle - ticks_away): lots for ticks_away, lots in sorted(below.items())}
        asks = {(1000 + middle + ticks_away): lots for ticks_away, lots in sorted(above.items())}
        shown = snapshot(
            {ticks * 0.5: lots * 0.1 for ticks, lots in bids.items()},
            {ticks * 0.5: lots * 0.1 for ticks, lots in asks.items()},
        )
        assert not paper_book.show(shown, NOW)
        assert (dict(paper_book.book.bids.levels(99)), dict(paper_book.book.asks.levels(99))) == (bids, asks)
