"""Reports a pair once that is open on one leg with more, or for longer, than the settings allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from neuroflux.domain import Microseconds, OrderEvent
from neuroflux.engine.orders.events import order_event
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.limits import Limits
from neuroflux.engine.risk.naked import naked_fault


class Alarms:
    """An alarm is an event of the order, with its state as it is; new pairs are refused meanwhile."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._published: set[str] = set()

    def new(self, orders: Iterable[Order], now: Microseconds) -> Iterator[OrderEvent]:
        """The alarms of orders that have exceeded the bound since the last call."""
        beyond = {one.id: (one, why) for one in orders if (why := naked_fault((one,), self._limits, now))}
        for name in beyond.keys() - self._published:
            order, why = beyond[name]
            yield order_event(order, now, f"alarm: {why}")
        self._published = set(beyond)
