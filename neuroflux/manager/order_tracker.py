"""Orders that are being followed: what became of each since it was registered."""

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

Happening = OrderEvent | Fill | OrderDecision


class Followed:
    """One order's records in the order they came, until it is left: a context manager.

    Iterating gives each record as it comes, and ends when the order is ``complete``; bound it with asyncio.timeout.
    For one task at a time. Everything kept is there to be read at any time.
    """

    def __init__(self, order_id: str, followers: Followers) -> None:
        self.order_id = order_id
        self.decision: OrderDecision | None = None
        self.events: list[OrderEvent] = []
        self.fills: list[Fill] = []
        self._followers = followers
        self._coming: asyncio.Queue[Happening] = asyncio.Queue()

    def __enter__(self) -> Followed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._followers.leave(self)

    def take(self, record: Happening) -> None:
        match record:
            case OrderEvent():
                self.events.append(record)
            case Fill():
                self.fills.append(record)
            case OrderDecision():
                self.decision = record
        self._coming.put_nowait(record)

    @property
    def last(self) -> OrderEvent | None:
        """The newest event of the order as a whole; those with a ``client_order_id`` are of its legs."""
        return next((one for one in reversed(self.events) if not one.client_order_id), None)

    @property
    def legs(self) -> list[OrderEvent]:
        """The newest event of each attempt of a leg."""
        return list({one.client_order_id: one for one in self.events if one.client_order_id}.values())

    @property
    def ended(self) -> bool:
        """Whether the order as a whole came to its end. Fills are on a topic of their own and may still be coming."""
        return self.last is not None and self.last.state.final

    @property
    def complete(self) -> bool:
        """Whether it ended, and every fill that its legs tell of is there."""
        return self.ended and all(self._filled(name) >= told for name, told in self._told().items())

    def _told(self) -> dict[str, Decimal]:
        """The filled quantity that each leg last told, by client order id."""
        return {one.client_order_id: one.filled_quantity for one in self.events if one.client_order_id}

    def _filled(self, client_order_id: str) -> Decimal:
        return sum((one.quantity for one in self.fills if one.client_order_id == client_order_id), Decimal(0))

    async def __aiter__(self) -> AsyncIterator[Happening]:
        while not (self.complete and self._coming.empty()):
            yield await self._coming.get()


class Followers:
    """Those who follow, by order."""

    def __init__(self) -> None:
        self._of: defaultdict[str, list[Followed]] = defaultdict(list)

    def follow(self, order_id: str) -> Followed:
        """Follow an order from now on: call it before the command is published."""
        followed = Followed(order_id, self)
        self._of[order_id].append(followed)
        return followed

    def leave(self, followed: Followed) -> None:
        """Leave an order; again does nothing."""
        there = self._of.get(followed.order_id, [])
        if followed in there:
            there.remove(followed)
        if not there:
            self._of.pop(followed.order_id, None)

    def wanted(self, topic: str, key: str) -> bool:
        """Whether anybody follows the order of this key: all other records are not even decoded."""
        return key in self._of

    def take(self, entry: Entry) -> None:
        """Take in a record that could be decoded."""
        if entry.record is not None:
            for followed in self._of.get(entry.key, ()):
                followed.take(entry.record)
