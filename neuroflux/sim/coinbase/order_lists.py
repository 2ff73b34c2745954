"""Coinbase's lists of orders and fills, and one order by its id.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/orders/list-orders
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from neuroflux.sim.coinbase.order_texts import OrderTexts, entry_id
from neuroflux.sim.coinbase.pages import page
from neuroflux.sim.coinbase.venue import COINBASE, order_name, order_number
from neuroflux.sim.coinbase.wire import NO_ORDER, Json, Params, malformed, micros_of, text, texts, unknown
from neuroflux.sim.core.orders import Fill, Order, Rejected
from neuroflux.sim.core.simulation import Simulation

ORDERS_A_PAGE, FILLS_A_PAGE, MOST_ROWS = 100, 100, 1000


class OrderLists:
    """Answers questions about orders."""

    def __init__(self, simulation: Simulation, written: OrderTexts) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(COINBASE)
        self._texts = written

    def query(self, params: Params, _: int) -> Json:
        """By the exchange's id: a client order id is ignored."""
        try:
            return {"order": self._texts.order(self._exchange.find(order_number(text(params, "order_id"))))}
        except Rejected as error:
            raise unknown(NO_ORDER) from error

    def orders(self, params: Params, _: int) -> Json:
        """Newest first."""
        statuses, sides = texts(params, "order_status"), texts(params, "order_side")
        if "OPEN" in statuses and len(statuses) > 1:
            raise malformed("OPEN orders cannot be requested with other statuses")
        kinds, among = texts(params, "order_types", "order_type"), _among(params, "start_date", "end_date")
        chosen = [
            order
            for order in reversed(self._exchange.orders.values())
            if _is_wanted(order, params)
            and among(order.created)
            and (not sides or order.ask.side.upper() in sides)
            and (not kinds or order.kind.upper() in kinds)
        ]
        wanted = [order for order in chosen if not statuses or self._is_in(order, statuses)]
        part, cursor = page(wanted, _name, params, self._simulation.faults, (ORDERS_A_PAGE, MOST_ROWS))
        rows = [self._texts.order(order) for order in part]
        return {"orders": rows, "sequence": "0", "has_next": bool(cursor), "cursor": cursor}

    def _is_in(self, order: Order, statuses: Sequence[str]) -> bool:
        """Open ones are chosen before they are written, which a fault may change."""
        if order.is_open:
            return "OPEN" in statuses
        ended = "EXPIRED" if order.order_id in self._texts.timed_out else "CANCELLED"
        return ("FILLED" if order.state == "filled" else ended) in statuses

    def fills(self, params: Params, _: int) -> Json:
        """Newest first."""
        among = _among(params, "start_sequence_timestamp", "end_sequence_timestamp")
        chosen = [
            fill
            for fill in reversed(self._exchange.fills())
            if _is_wanted(self._exchange.orders[fill.order_id], params) and among(fill.time)
        ]
        wanted = texts(params, "trade_ids")
        rows = [fill for fill in chosen if not wanted or str(fill.trade_id) in wanted]
        part, cursor = page(rows, entry_id, params, self._simulation.faults, (FILLS_A_PAGE, MOST_ROWS))
        return {"fills": [self._written(fill) for fill in part], "cursor": cursor}

    def _written(self, fill: Fill) -> Json:
        return self._texts.fill(fill, self._exchange.orders[fill.order_id])


def _name(order: Order) -> str:
    return order_name(order.order_id)


def _is_wanted(order: Order, params: Params) -> bool:
    """By product and by id; the singular names are those of older documents."""
    products, ids = texts(params, "product_ids", "product_id"), texts(params, "order_ids", "order_id")
    return (not products or order.listing.symbol in products) and (not ids or order_name(order.order_id) in ids)


def _among(params: Params, start: str, end: str) -> Callable[[int], bool]:
    """Whether a time is among those that were asked for."""
    first = micros_of(text(params, start)) if text(params, start) else 0
    last = micros_of(text(params, end)) if text(params, end) else 10**17
    return lambda time: first <= time <= last
