"""Products that share the book of another: BTC-USDC that of BTC-USD. Only the money that moves differs.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/products/get-product (``alias``)
"""

from __future__ import annotations

import msgspec

from neuroflux.sim.coinbase.venue import ALIASES
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.orders import Order


def add_aliases(exchange: SimExchange) -> None:
    """List them, but for those that have a book of their own, or nothing to share, as with live books."""
    for alias, name in ALIASES.items():
        if name in exchange.listings and alias not in exchange.listings:
            listing = msgspec.structs.replace(exchange.listings[name], symbol=alias, quote="USDC")
            exchange.add(listing, exchange.books[name])
    withdraw = exchange.on_partial

    def on_partial(order: Order) -> None:
        """What is reported to the market makers of an order names the product that they know."""
        listing = exchange.listings[canonical(exchange, order.listing.symbol)]
        withdraw(msgspec.structs.replace(order, listing=listing))

    exchange.on_partial = on_partial


def canonical(exchange: SimExchange, product_id: str) -> str:
    """The product whose book this one has."""
    name = ALIASES.get(product_id, product_id)
    return name if exchange.books.get(name) is exchange.books.get(product_id) else product_id


def aliases_of(exchange: SimExchange, product_id: str) -> list[str]:
    """The products that have this one's book."""
    return [alias for alias, name in ALIASES.items() if name == product_id == canonical(exchange, alias)]
