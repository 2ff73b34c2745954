"""What waits for an exchange's rate budget: the most urgent first, otherwise in the order of the requests."""

from __future__ import annotations

import asyncio
from itertools import count
from math import inf

from msgspec import Struct

from neuroflux.http.buckets import Seconds
from neuroflux.http.budget import Budget, Urgency


class _Ticket(Struct, frozen=True, order=True):
    urgency: Urgency
    number: int
    weight: int
    is_order: bool
    bucket: str


class Queue:
    """Turns at a budget, in one queue for each bucket.

    A request that is no order overtakes orders that wait only for the limits of orders.
    """

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._waiting: set[_Ticket] = set()
        self._numbers = count()
        self._moved = asyncio.Event()

    def try_turn(self, weight: int, urgency: Urgency, bucket: str = "", *, is_order: bool = False) -> bool:
        """Spend the weight at once, if that is possible and nothing waits before it."""
        return self._take(_Ticket(urgency, next(self._numbers), weight, is_order, bucket), _now())

    async def turn(self, weight: int, urgency: Urgency, bucket: str = "", *, is_order: bool = False) -> None:
        """Wait until the weight, and for an order its room, can be spent, and spend it."""
        ticket = _Ticket(urgency, next(self._numbers), weight, is_order, bucket)
        self._waiting.add(ticket)
        try:
            while not self._take(ticket, _now()):
                await self._sleep(self._wait(ticket, _now()))
        finally:
            self._waiting.remove(ticket)
            self._moved.set()

    def expected(self, weight: int, urgency: Urgency, bucket: str = "") -> Seconds:
        """How long a new order would wait; infinite while others wait before it."""
        wait = self._wait(_Ticket(urgency, next(self._numbers), weight, True, bucket), _now())
        return inf if wait is None else wait

    def _take(self, ticket: _Ticket, now: Seconds) -> bool:
        if self._is_behind(ticket, now):
            return False
        if ticket.is_order:
            return self.budget.spend_order(ticket.weight, ticket.urgency, now, ticket.bucket)
        return self.budget.spend(ticket.weight, now, ticket.bucket, ticket.urgency)

    def _is_behind(self, ticket: _Ticket, now: Seconds) -> bool:
        """Orders of all buckets share the limits of orders; requests share those of their bucket."""
        if not self._waiting:
            return False
        before = (one for one in self._waiting if one < ticket)
        if ticket.is_order:
            return any(one.is_order or one.bucket == ticket.bucket for one in before)
        same = (one for one in before if one.bucket == ticket.bucket)
        return any(not one.is_order or not self.budget.wait_order(one.urgency, now) for one in same)

    def _wait(self, ticket: _Ticket, now: Seconds) -> Seconds | None:
        """Until it may be its turn; None while others are before it: the queue then moves when they are done."""
        if self._is_behind(ticket, now):
            return None
        room = self.budget.wait_order(ticket.urgency, now) if ticket.is_order else 0.0
        return max(self.budget.wait(ticket.weight, now, ticket.bucket, ticket.urgency), room)

    async def _sleep(self, seconds: Seconds | None) -> None:
        """Until the time is over or the queue has moved."""
        self._moved.clear()
        try:
            async with asyncio.timeout(None if seconds is None else max(seconds, 0.001)):
                await self._moved.wait()
        except TimeoutError:
            return


def _now() -> Seconds:
    return asyncio.get_running_loop().time()
