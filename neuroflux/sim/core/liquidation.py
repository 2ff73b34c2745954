"""What the exchange does to a position by itself: it liquidates it, or takes it for another account's loss (ADL)."""

from __future__ import annotations

from functools import partial

from neuroflux.sim.core.accounts import Position
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.matching import Match, Side
from neuroflux.sim.core.orders import Ask, Forced, Order


def close_positions(exchange: SimExchange, symbol: str, forced: Forced, now: int) -> bool:
    """Cancel the orders of a symbol and close its positions; False where there is none. ``now`` in µs."""
    held = [(listing, position) for listing, position in exchange.perpetual.held() if listing.symbol == symbol]
    if held:
        for order in [each for each in exchange.open_orders.values() if each.listing.symbol == symbol]:
            exchange.cancel(order, now)
    for listing, position in held:
        _close(exchange, listing, position, forced, now)
    return bool(held)


def _close(exchange: SimExchange, listing: Listing, position: Position, forced: Forced, now: int) -> None:
    side: Side = "sell" if position.quantity > 0 else "buy"
    name = "adl_autoclose" if forced == "adl" else f"autoclose-{now // 1000}"
    quantity = abs(position.quantity)
    ask = Ask(listing.symbol, side, quantity, None, "IOC", name, reduce_only=True, leg=position.leg)
    exchange.force(ask, forced, partial(_matches, exchange, listing, forced), now)


def _matches(exchange: SimExchange, listing: Listing, forced: Forced, order: Order) -> list[Match]:
    """A liquidation takes from the book; ADL meets another account at the mark price, and no order of the book."""
    book, lots = exchange.books[listing.symbol], listing.lots(order.quantity)
    if forced == "liquidation":
        return book.take(order.ask.side, lots, None, order.order_id)
    book.last_trade += 1
    price = round(exchange.perpetual.mark(listing.symbol) / listing.tick)
    return [Match(book.last_trade, order.ask.side, price, lots, 0, order.order_id)]
