"""A diff of ten changes and then the top 20 levels, in books of 20 and of 5,000 levels a side.

Peers: the C extension order_book that cryptofeed keeps its books in, sortedcontainers, and ccxt's order book.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from ccxt.async_support.base.ws.order_book import OrderBook as CcxtBook
from order_book import OrderBook as COrderBook
from sortedcontainers import SortedDict

from benchmarks.turns import Contender, Goal, Row, in_turns
from neuroflux.exchanges.kit.order_book import OrderBook

DEPTH = 20
DIFFS, CHANGES = 500, 10
Changes = list[tuple[str, str]]


def rows(rounds: int) -> list[Row]:
    return [_row(levels, rounds) for levels in (20, 5_000)]


def _row(levels: int, rounds: int) -> Row:
    book, diffs = _levels(levels), _diffs(levels)
    contenders = [
        Contender("neuroflux", "ours", lambda: _timed(_ours(book), diffs)),
        Contender("order_book (C)", "peer", lambda: _timed(_c_book(book), diffs)),
        Contender("sortedcontainers", "peer", lambda: _timed(_sorted(book), diffs)),
        Contender("ccxt", "peer", lambda: _timed(_ccxt(book), diffs)),
    ]
    goals = tuple(Goal(one.name, 1.0) for one in contenders[1:])
    return Row(f"book: {levels:,} levels", "µs a diff", False, in_turns(contenders, rounds), goals)


def _levels(count: int) -> Changes:
    return [(f"{30_000 - number / 100:.2f}", "1.00000000") for number in range(count)]


def _diffs(levels: int) -> list[Changes]:
    """A change; most are near the top, as on an exchange, and one in four removes a level."""
    chance = random.Random(1)
    return [[_change(levels, chance) for _ in range(CHANGES)] for _ in range(DIFFS)]


def _change(levels: int, chance: random.Random) -> tuple[str, str]:
    place = min(int(chance.expovariate(1 / 8)), levels - 1)
    quantity = 0.0 if chance.random() < 0.25 else chance.random()
    return f"{30_000 - place / 100:.2f}", f"{quantity:.8f}"


def _timed(apply: Callable[[Changes], Any], diffs: Sequence[Changes]) -> float:
    began = time.perf_counter()
    for diff in diffs:
        apply(diff)
    return (time.perf_counter() - began) / len(diffs) * 1e6


def _ours(levels: Changes) -> Callable[[Changes], Any]:
    book = OrderBook()
    book.replace(levels, [])

    def apply(diff: Changes) -> Any:
        book.apply(diff, ())
        return book.bids(DEPTH)

    return apply


def _c_book(levels: Changes) -> Callable[[Changes], Any]:
    """As cryptofeed does, but with floats instead of Decimal, which is faster."""
    book: Any = COrderBook()
    book.bids = {float(price): float(quantity) for price, quantity in levels}

    def apply(diff: Changes) -> Any:
        side = book.bids
        for price, quantity in diff:
            amount, at = float(quantity), float(price)
            if amount:
                side[at] = amount
            elif at in side:
                del side[at]
        return [side.index(number) for number in range(min(DEPTH, len(side)))]

    return apply


def _sorted(levels: Changes) -> Callable[[Changes], Any]:
    side: Any = SortedDict({-float(price): (price, quantity) for price, quantity in levels})

    def apply(diff: Changes) -> Any:
        for price, quantity in diff:
            if float(quantity):
                side[-float(price)] = (price, quantity)
            else:
                side.pop(-float(price), None)
        return side.values()[:DEPTH]

    return apply


def _ccxt(levels: Changes) -> Callable[[Changes], Any]:
    book: Any = CcxtBook({"bids": [[float(price), float(quantity)] for price, quantity in levels], "asks": []})

    def apply(diff: Changes) -> Any:
        side = book["bids"]
        for price, quantity in diff:
            side.store(float(price), float(quantity))
        return side[:DEPTH]

    return apply
