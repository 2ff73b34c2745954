"""Price-time priority, for any sequence of orders."""

from __future__ import annotations

from typing import get_args

from hypothesis import given
from hypothesis import strategies as st

from neuroflux.sim.core.matching import Book, Sequence, Side

SIDES = st.sampled_from(get_args(Side))
ORDERS = st.lists(st.tuples(SIDES, st.integers(90, 110), st.integers(1, 20)), max_size=60)


def _send(book: Book, owner: int, side: Side, price: int, quantity: int) -> int:
    """A limit order: take what there is, rest with the remainder. Returns what traded."""
    traded = sum(match.quantity for match in book.take(side, quantity, price, owner))
    if quantity > traded:
        book.rest(side, price, quantity - traded, owner)
    return traded


@given(ORDERS)
def test_the_book_never_stays_crossed_and_loses_nothing(orders: list[tuple[Side, int, int]]) -> None:
    book = Book(Sequence(0))
    sent = {"buy": 0, "sell": 0}
    traded = 0
    for owner, (side, price, quantity) in enumerate(orders, 1):
        traded += _send(book, owner, side, price, quantity)
        sent[side] += quantity
        if book.bids.best is not None and book.asks.best is not None:
            assert book.bids.best < book.asks.best
    for half in (book.bids, book.asks):
        assert sum(half.totals.values()) == sent[half.side] - traded
        for price, total in half.levels(len(half)):
            assert total == sum(resting.left for resting in half.queue(price)) > 0


@given(ORDERS, SIDES, st.integers(1, 200))
def test_better_prices_and_longer_waits_trade_first(
    orders: list[tuple[Side, int, int]], side: Side, quantity: int
) -> None:
    book = Book(Sequence(0))
    for owner, (each_side, price, each) in enumerate(orders, 1):
        _send(book, owner, each_side, price, each)
    waiting = book.available(side, None)
    matches = book.take(side, quantity, None, 999)
    sign = 1 if side == "buy" else -1
    rank = [(sign * match.price, match.maker) for match in matches]
    assert rank == sorted(rank)
    assert sum(match.quantity for match in matches) == min(quantity, waiting)


@given(ORDERS)
def test_every_changed_level_is_reported_and_numbered(orders: list[tuple[Side, int, int]]) -> None:
    book = Book(Sequence(0))
    totals: dict[tuple[str, int], int] = {}
    for owner, (side, price, quantity) in enumerate(orders, 1):
        before = book.sequence
        _send(book, owner, side, price, quantity)
        assert book.first_change == before + 1
        for each, level in book.changed:
            totals[each, level] = book.half(each).totals.get(level, 0)
        book.changed.clear()
    for half in (book.bids, book.asks):
        assert {level: total for (side, level), total in totals.items() if side == half.side and total} == half.totals


def test_a_maker_that_removes_quantity_leaves_users_their_place() -> None:
    book = Book(Sequence(0))
    book.set_liquidity("buy", 100, 5)
    book.rest("buy", 100, 2, owner=1)
    book.set_liquidity("buy", 100, 9)
    book.set_liquidity("buy", 100, 3)
    matches = book.take("sell", 5, None, taker=2)
    assert [(match.maker, match.quantity) for match in matches] == [(0, 3), (1, 2)]


def test_withdrawing_returns_what_was_left() -> None:
    book = Book(Sequence(0))
    book.rest("sell", 100, 5, owner=1)
    book.take("buy", 2, None, taker=2)
    assert book.withdraw("sell", 100, 1) == 3
    assert book.asks.best is None
