"""Bybit's lists of orders and executions, in pages, the newest first.

Source: https://bybit-exchange.github.io/docs/v5/order/open-order, …/v5/order/order-list and …/v5/order/execution
"""

from __future__ import annotations

from collections.abc import Iterator

from neuroflux.sim.bybit.names import CATEGORIES
from neuroflux.sim.bybit.orders import Orders
from neuroflux.sim.bybit.rows import Rows
from neuroflux.sim.bybit.venue import BYBIT, name_of
from neuroflux.sim.bybit.wire import ApiError, Json, Params, bad, choice, integer_of, page, text_of
from neuroflux.sim.core.orders import FundingEvent, Order
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.pages import rows_of_a_page

DAY_MS = 86_400_000
WEEK_MS = 7 * DAY_MS


class Queries:
    """Answers about the orders that ``Orders`` finds."""

    def __init__(self, simulation: Simulation, orders: Orders, rows: Rows) -> None:
        self._faults, self._moved = simulation.faults, simulation.exchange(BYBIT).moved
        self._orders, self._rows = orders, rows

    def realtime(self, params: Params, now: int) -> Json:
        """Open orders; one that is named, or the closed ones on request, while they are among the last 500."""
        category = choice(params, "category", CATEGORIES)
        is_named = bool(text_of(params, "orderId") or text_of(params, "orderLinkId"))
        if not is_named:
            self._orders.require_scope(params, category)
        wants_closed = integer_of(params, "openOnly", 0) == 1
        wants_open, closed = is_named or not wants_closed, set(self._orders.closed if is_named or wants_closed else ())
        every = self._orders.found(params, category)
        found = [one for one in every if (one.is_open and wants_open) or one.order_id in closed]
        if is_named and found and self._faults.take(BYBIT, "order_unknown"):
            found = []
        return self._listed(found, params, category)

    def history(self, params: Params, now: int) -> Json:
        """Closed orders; those without an execution for a day alone."""
        category, (start, end) = choice(params, "category", CATEGORIES), _span(params, now)
        status, day = text_of(params, "orderStatus"), now // 1000 - DAY_MS
        found = [one for one in self._orders.found(params, category) if not one.is_open]
        found = [one for one in found if start <= one.created // 1000 <= end]
        found = [one for one in found if one.filled or one.updated // 1000 >= day]
        if status:
            found = [one for one in found if self._rows.order(one)["orderStatus"] == status]
        return self._listed(found, params, category)

    def _listed(self, orders: list[Order], params: Params, category: str) -> Json:
        marked = [(f"{one.order_id}:{one.created // 1000}", one) for one in orders]
        found, cursor = page(marked, params, self._limit(params, 20, 50))
        return {"list": [self._rows.order(one) for one in found], "nextPageCursor": cursor, "category": category}

    def _limit(self, params: Params, usual: int, most: int) -> int:
        limit = integer_of(params, "limit", usual)
        if not 1 <= limit <= most:
            raise bad("limit")
        return rows_of_a_page(self._faults, BYBIT, limit)

    # ── executions ───────────────────────────────────────────────────────────────────────────────────────────────

    def executions(self, params: Params, now: int) -> Json:
        """At most seven days of them. Funding is among them."""
        category, (start, end) = choice(params, "category", CATEGORIES), _span(params, now)
        kind = text_of(params, "execType")
        marked = [
            (f"{row['execId']}:{time}", row)
            for time, row in sorted(self._executed(params, category, start, end), key=lambda one: one[0])[::-1]
            if kind in ("", row["execType"])
        ]
        rows, cursor = page(marked, params, self._limit(params, 50, 100))
        return {"nextPageCursor": cursor, "category": category, "list": rows}

    def _executed(self, params: Params, category: str, start: int, end: int) -> Iterator[tuple[int, Json]]:
        """With their times in ms, which are from ``start`` to ``end``."""
        fills = [(fill, one) for one in self._orders.found(params, category) for fill in one.fills]
        for fill, order in sorted(fills, key=lambda one: (one[0].time, one[0].trade_id)):
            if start <= fill.time // 1000 <= end:
                yield fill.time // 1000, self._rows.execution(fill, order)
        symbol, is_named = text_of(params, "symbol"), params.get("orderId") or params.get("orderLinkId")
        for event in self._moved if category == "linear" and not is_named else ():
            time = event.time // 1000
            if isinstance(event, FundingEvent) and symbol in ("", name_of(event.listing)) and start <= time <= end:
                yield time, self._rows.funding(event)


def _span(params: Params, now: int) -> tuple[int, int]:
    """Start and end in ms, at most seven days apart; raises ApiError."""
    start, end = integer_of(params, "startTime", 0), integer_of(params, "endTime", 0)
    end = end or (start + WEEK_MS if start else now // 1000 + 1000)
    start = start or end - WEEK_MS - 1000
    if not 0 <= end - start <= WEEK_MS + 1000:
        raise ApiError(10001, "Can't query order earlier than 7 days: startTime and endTime invalid")
    return start, end
