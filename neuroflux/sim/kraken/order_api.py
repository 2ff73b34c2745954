"""Kraken's orders over REST.

Source: https://docs.kraken.com/api-reference/trading/add-order, amend-order, edit-order, cancel-order
"""

from __future__ import annotations

from neuroflux.sim.core.orders import Order, Rejected
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kraken.names import hashed_name, order_name
from neuroflux.sim.kraken.order_texts import describe
from neuroflux.sim.kraken.orders import Desk
from neuroflux.sim.kraken.placing import Wanted
from neuroflux.sim.kraken.refusals import REASONS
from neuroflux.sim.kraken.rules import caller
from neuroflux.sim.kraken.wire import SECOND, ApiError, Json, Params, invalid, text, texts, whole, whole_seconds

MOST_CANCELS, MOST_SECONDS = 50, 86_400


def _described(wanted: Wanted) -> Json:
    ask = wanted.ask
    return {"order": describe(Numbers(wanted.listing), ask.side, ask.value or ask.quantity, ask.price)}


def amend_id(order: Order) -> str:
    return hashed_name("T", "amend", order.order_id, order.updated)


class OrderApi:
    """Endpoints that change orders."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def add(self, params: Params, now: int) -> Json:
        """Says nothing of fills; one that is only validated has no id."""
        wanted, order = self._desk.add(caller(params), params, now)
        return {"descr": _described(wanted), **({"txid": [order_name(order.order_id)]} if order else {})}

    def add_batch(self, params: Params, now: int) -> Json:
        rows = params.get("orders")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise invalid("orders")
        placed = self._desk.add_several(caller(params), rows, params, now)
        return {"orders": [_batch_row(*one) for one in placed]}

    def amend(self, params: Params, now: int) -> Json:
        return {"amend_id": amend_id(self._desk.amend(caller(params), params, now))}

    def edit(self, params: Params, now: int) -> Json:
        old, new = self._desk.edit(caller(params), params, now)
        numbers = Numbers(new.listing)
        return {
            "status": "ok",
            "txid": order_name(new.order_id),
            "originaltxid": order_name(old.order_id),
            "volume": numbers.quantity_text(new.quantity),
            "price": numbers.price_text(new.ask.price or numbers.listing.tick),
            "orders_cancelled": 1,
            "descr": {"order": describe(numbers, new.ask.side, new.quantity, new.ask.price)},
        }

    def cancel(self, params: Params, now: int) -> Json:
        """By Kraken's id, the client's, or a ``userref``."""
        name, client_order_id = text(params, "txid"), text(params, "cl_ord_id")
        if bool(name) == bool(client_order_id):
            raise invalid("txid")
        return {"count": self._desk.cancel(caller(params), now, name, client_order_id)}

    def cancel_batch(self, params: Params, now: int) -> Json:
        """Those that are not open are left out of the count."""
        names, clients = texts(params, "orders"), texts(params, "cl_ord_ids")
        if not 1 <= len(names) + len(clients) <= MOST_CANCELS:
            raise invalid("orders")
        return {"count": self.cancelled(params, now, names, clients)}

    def cancelled(self, params: Params, now: int, names: list[str], clients: list[str]) -> int:
        """How many of these orders were open."""
        count = 0
        for name, client_order_id in [(name, "") for name in names] + [("", client) for client in clients]:
            try:
                count += self._desk.cancel(caller(params), now, name, client_order_id)
            except Rejected:
                count += 0  # it is not open: the rest is cancelled all the same
        return count

    def cancel_all(self, params: Params, now: int) -> Json:
        return {"count": self._desk.cancel_every(caller(params), now)}

    def cancel_all_after(self, params: Params, now: int) -> Json:
        """Cancel everything after so many seconds, unless the request is repeated; 0 ends it."""
        timeout = whole(params, "timeout", MOST_SECONDS + 1)
        if timeout > MOST_SECONDS:
            raise invalid("timeout")
        self._desk.cancel_at = now + timeout * SECOND if timeout else 0
        return {
            "currentTime": whole_seconds(now),
            "triggerTime": whole_seconds(self._desk.cancel_at) if timeout else "0",
        }


def _batch_row(wanted: Wanted, placed: Order | ApiError | Rejected | None) -> Json:
    if isinstance(placed, Order):
        return {"txid": order_name(placed.order_id), "descr": _described(wanted)}
    if placed is None:
        return {"descr": _described(wanted)}
    return {"error": placed.text if isinstance(placed, ApiError) else REASONS[placed.reason]}
