"""What a book tells of itself, beside counting its levels one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from neuroflux.exchanges.kit.order_book import OrderBook

PRICES = st.integers(1, 12)


@given(st.sets(PRICES), st.sets(PRICES), st.integers(0, 8), st.integers(0, 8), PRICES, PRICES)
def test_it_holds_so_many_levels_up_to_a_price(
    bids: set[int], asks: set[int], few_bids: int, few_asks: int, bid: int, ask: int
) -> None:
    book = OrderBook()
    book.replace([(str(price), "1") for price in bids], [(str(price), "1") for price in asks])
    enough = sum(price >= bid for price in bids) >= few_bids and sum(price <= ask for price in asks) >= few_asks
    assert book.holds(few_bids, float(bid), few_asks, float(ask)) == enough
