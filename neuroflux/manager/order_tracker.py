"""Tracked orders: the records of each since it was registered."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from decimal import Decimal
from types import TracebackType

from neuroflux.domain import Fill, OrderDecision, OrderEvent
from neuroflux.records.entries import Entry
from neuroflux.records.topics import DECISIONS, EVENTS, FILLS

TOPICS = (EVENTS, FILLS, DECISIONS)
"""Read from the end."""

OrderRecord = OrderEvent | Fill | OrderDecision


class TrackedOrder:
    """The records of one order, in order of arrival; a context manager that tracks the order until it exits.

    Iterating returns each record as it arrives, and ends when the order is ``complete``; bound it with asyncio.timeout.
    One task at a time may iterate. The records received so far can be read at any time.
    """

    def __init__(self, order_id: str, tracker: OrderTracker) -> None:
        self.order_id = order_id
        self.decision: OrderDecision | None = None
        self.events: list[OrderEvent] = []
        self.fills: list[Fill] = []
        self._tracker = tracker
        self._queue: asyncio.Queue[OrderRecord] = asyncio.Queue()

    def __enter__(self) -> TrackedOrder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tracker.untrack(self)

    def add(self, record: OrderRecord) -> None:
        match record:
            case OrderEvent():
                self.events.append(record)
            case Fill():
                self.fills.append(record)
            case OrderDecision():
                self.decision = record
        self._queue.put_nowait(record)

    @property
    def last(self) -> OrderEvent | None:
        """The newest event of the order as a whole; events with a ``client_order_id`` belong to its legs."""
        return next((one for one in reversed(self.events) if not one.client_order_id), None)

    @property
    def legs(self) -> list[OrderEvent]:
        """The newest event of each attempt of a leg."""
        return list({one.client_order_id: one for one in self.events if one.client_order_id}.values())

    @property
    def ended(self) -> bool:
        """Whether the order as a whole has ended. Fills are on a topic of their own and may still arrive."""
        return self.last is not None and self.last.state.final

    @property
    def complete(self) -> bool:
        """Whether it has ended, and every fill that its legs reported was received."""
        return self.ended and all(
            self._filled(name) >= reported for name, reported in self._reported_quantities().items()
        )

    def _reported_quantities(self) -> dict[str, Decimal]:
        """The filled quantity that each leg last reported, by client order id."""
        return {one.client_order_id: one.filled_quantity for one in self.events if one.client_order_id}

    def _filled(self, client_order_id: str) -> Decimal:
        return sum((one.quantity for one in self.fills if one.client_order_id == client_order_id), Decimal(0))

    async def __aiter__(self) -> AsyncIterator[OrderRecord]:
        while not (self.complete and self._queue.empty()):
            yield await self._queue.get()


class OrderTracker:
    """All tracked orders, by order id."""

    def __init__(self) -> None:
        self._of: defaultdict[str, list[TrackedOrder]] = defaultdict(list)

    def track(self, order_id: str) -> TrackedOrder:
        """Track an order from now on: call this before the command is published."""
        tracked = TrackedOrder(order_id, self)
        self._of[order_id].append(tracked)
        return tracked

    def untrack(self, tracked: TrackedOrder) -> None:
        """Stop tracking an order; does nothing the second time."""
        orders = self._of.get(tracked.order_id, [])
        if tracked in orders:
            orders.remove(tracked)
        if not orders:
            self._of.pop(tracked.order_id, None)

    def is_tracked(self, topic: str, key: str) -> bool:
        """Whether the order with this key is tracked: other records are not decoded."""
        return key in self._of

    def add(self, entry: Entry) -> None:
        """Add a record to its tracked orders; one that could not be decoded is ignored."""
        if entry.record is not None:
            for tracked in self._of.get(entry.key, ()):
                tracked.add(entry.record)
