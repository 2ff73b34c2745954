"""Walking a book takes what it holds, best first, and never more than requested."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroflux.domain import Level
from neuroflux.engine.markets.walk import value, walk

ASKS = (Level(100.0, 1.0), Level(101.0, 2.0), Level(103.0, 4.0))


def test_the_average_is_weighted_by_what_each_level_gave() -> None:
    taken = walk(ASKS, 2.0)
    assert (taken.quantity, taken.average_price, taken.worst_price) == (2.0, 100.5, 101.0)


def test_a_thin_book_gives_what_it_holds() -> None:
    assert walk(ASKS, 100.0).quantity == 7.0


def test_an_empty_book_gives_nothing() -> None:
    taken = walk((), 1.0)
    assert (taken.quantity, taken.average_price, taken.worst_price) == (0.0, 0.0, 0.0)


def test_value() -> None:
    assert value(ASKS) == 100.0 + 202.0 + 412.0


@given(st.floats(min_value=1e-6, max_value=7.0))
def test_the_average_lies_between_the_best_and_the_worst(quantity: float) -> None:
    taken = walk(ASKS, quantity)
    assert taken.quantity == pytest.approx(quantity)
    assert taken.average_price * (1 + 1e-12) >= 100.0
    assert taken.average_price <= taken.worst_price * (1 + 1e-12)
