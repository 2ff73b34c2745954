"""What Bybit calls things: instruments by category and name, and the ids of orders and executions.

Ids of spot are numbers in text, those of perpetuals UUIDs: https://bybit-exchange.github.io/docs/v5/order/create-order
"""

from __future__ import annotations

from collections.abc import Iterable
from zlib import crc32

from neuroflux.sim.bybit.venue import category_of, name_of
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange

CATEGORIES = ("spot", "linear")


class Names:
    """The instruments of the exchange, also those that are listed later."""

    def __init__(self, exchange: SimExchange) -> None:
        self._listings: dict[tuple[str, str], Listing] = {}
        for listing in exchange.listings.values():
            self._add(listing)
        exchange.on_list.append(self._add)

    def _add(self, listing: Listing) -> None:
        self._listings[category_of(listing), name_of(listing)] = listing

    def find(self, category: str, name: str) -> Listing | None:
        return self._listings.get((category, name))

    def of(self, category: str) -> Iterable[Listing]:
        return [listing for (kind, _), listing in self._listings.items() if kind == category]


def id_text(listing: Listing, number: int, what: str = "order") -> str:
    """The id of an order, or of an execution, as the exchange writes it; ids of two instruments are never equal."""
    if listing.kind == "spot":
        return str(number)
    mixed = crc32(f"{what} {number} {listing.symbol if what != 'order' else ''}".encode())
    return f"{mixed:08x}-5e1f-4b1f-8a6e-{number:012x}"


def order_number(text: str) -> int:
    """The number of an order with this id, -1 for what is no id."""
    last = text.rpartition("-")[2]
    try:
        return int(last, 16) if "-" in text else int(text)
    except ValueError:
        return -1
