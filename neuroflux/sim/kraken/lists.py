"""Kraken's lists of orders and fills over REST, in pages of fifty.

Source: https://docs.kraken.com/api-reference/account-data/get-closed-orders, get-orders-info, get-trades-history
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from neuroflux.sim.core.orders import Fill, Order, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.pages import rows_of_a_page
from neuroflux.sim.kraken.names import hashed_name, order_name, order_number
from neuroflux.sim.kraken.order_texts import OrderTexts, exec_id
from neuroflux.sim.kraken.venue import KRAKEN
from neuroflux.sim.kraken.wire import SECOND, ApiError, Json, Params, amount, flag, invalid, text, texts, whole

A_PAGE, MOST_IDS = 50, 50
Row = TypeVar("Row")


def page(simulation: Simulation, rows: Sequence[Row], params: Params) -> Sequence[Row]:
    """The rows of an answer, beginning at ``ofs``."""
    begin = whole(params, "ofs")
    return rows[begin : begin + rows_of_a_page(simulation.faults, KRAKEN, A_PAGE)]


def within(params: Params, named: Callable[[str], int | None]) -> Callable[[int], bool]:
    """Whether a time in µs is after ``start`` and no later than ``end``: Unix times, or ids that ``named`` dates."""

    def bound(name: str, default: int) -> int:
        given = text(params, name)
        if not given:
            return default
        found = named(given) if "-" in given else int(amount(params, name) * SECOND)
        if found is None:
            raise invalid(name)
        return found

    start, end = bound("start", 0), bound("end", 2**63)
    return lambda time: start < time <= end


class Lists:
    """Answers questions about orders and fills."""

    def __init__(self, simulation: Simulation, written: OrderTexts) -> None:
        self._simulation, self._exchange = simulation, simulation.exchange(KRAKEN)
        self._texts = written

    # --- orders

    def _matches(self, order: Order, params: Params) -> bool:
        userref, client_order_id = text(params, "userref"), text(params, "cl_ord_id")
        return (not userref or str(self._texts.terms(order).userref) == userref) and (
            not client_order_id or order.ask.client_order_id == client_order_id
        )

    def _rows(self, orders: Sequence[Order], params: Params) -> Json:
        with_trades = flag(params, "trades")
        return {order_name(order.order_id): self._texts.order(order, with_trades=with_trades) for order in orders}

    def open_orders(self, params: Params, _: int) -> Json:
        """All of them, newest first: there are no pages."""
        waiting = [order for order in self._exchange.open_orders.values() if self._matches(order, params)]
        return {"open": self._rows(waiting[::-1], params)}

    def closed_orders(self, params: Params, _: int) -> Json:
        """Newest first. ``closetime`` is which time of an order is compared: open, close or both."""
        which = text(params, "closetime", "both")
        if which not in ("open", "close", "both"):
            raise invalid("closetime")
        is_within = within(params, self._opened)
        found = [
            order
            for order in self._exchange.orders.values()
            if not order.is_open and self._matches(order, params) and any(map(is_within, _times(order, which)))
        ]
        found.sort(key=lambda order: (order.updated, order.order_id), reverse=True)
        return self._counted("closed", self._rows(page(self._simulation, found, params), params), len(found), params)

    def _opened(self, name: str) -> int | None:
        order = self._exchange.orders.get(order_number(name) or 0)
        return order.created if order else None

    @staticmethod
    def _counted(name: str, rows: Json, count: int, params: Params) -> Json:
        return {name: rows, **({} if flag(params, "without_count") else {"count": count})}

    def query_orders(self, params: Params, _: int) -> Json:
        """By Kraken's ids alone; one that is unknown refuses all."""
        names = texts(params, "txid")
        if not 1 <= len(names) <= MOST_IDS:
            raise invalid("txid")
        try:
            found = [self._exchange.find(order_number(name)) for name in names]
        except Rejected as error:
            raise ApiError("EOrder:Invalid order") from error
        return self._rows([order for order in found if self._matches(order, params)], params)

    # --- fills

    def _fills(self, params: Params) -> dict[str, Json]:
        """Newest first; fills of one taker order are one row unless ``consolidate_taker`` is false."""
        is_one = flag(params, "consolidate_taker", default=True)
        groups: dict[str, list[Fill]] = {}
        for fill in self._exchange.fills():
            key = exec_id(fill)
            if is_one and not fill.is_maker:
                first = next(one for one in self._exchange.orders[fill.order_id].fills if not one.is_maker)
                key = exec_id(first)
            groups.setdefault(key, []).append(fill)
        newest = sorted(groups.items(), key=lambda group: group[1][-1].time)[::-1]
        return {key: self._fill(fills, params) for key, fills in newest}

    def _fill(self, fills: list[Fill], params: Params) -> Json:
        row = self._texts.fill(fills, self._exchange.orders[fills[0].order_id])
        names = [hashed_name("L", exec_id(fill), asset) for fill in fills for asset in ("base", "quote")]
        return row | ({"ledgers": names} if flag(params, "ledgers") else {})

    def trades(self, params: Params, _: int) -> Json:
        rows = self._fills(params)
        is_within = within(params, lambda name: _micros(rows[name]) if name in rows else None)
        found = [(name, row) for name, row in rows.items() if is_within(_micros(row))]
        return self._counted("trades", dict(page(self._simulation, found, params)), len(found), params)

    def query_trades(self, params: Params, _: int) -> Json:
        rows = self._fills({**params, "consolidate_taker": "false"})
        names = texts(params, "txid")
        if not 1 <= len(names) <= MOST_IDS or not rows.keys() >= set(names):
            raise ApiError("EOrder:Invalid order")
        return {name: rows[name] for name in names}


def _times(order: Order, which: str) -> list[int]:
    times = {"open": [order.created], "close": [order.updated], "both": [order.created, order.updated]}
    return times[which]


def _micros(row: Json) -> int:
    return round(float(row["time"]) * SECOND)
