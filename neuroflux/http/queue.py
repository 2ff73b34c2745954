"""Who waits for an exchange's rate budget: the most urgent first, else in the order of asking."""

from __future__ import annotations

import asyncio
from itertools import count
from math import inf

from msgspec import Struct

from neuroflux.http.budget import Budget, Seconds, Urgency


class _Ticket(Struct, frozen=True, order=True):
    urgency: Urgency
    number: int
    weight: int
    is_order: bool


class Queue:
    """Turns at a budget. Who needs no order's room passes by those who wait for that alone."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._waiting: set[_Ticket] = set()
        self._numbers = count()
        self._moved = asyncio.Event()

    def try_turn(self, weight: int, urgency: Urgency, *, is_order: bool = False) -> bool:
        """Take the weight at once, if it is there and nobody waits before us."""
        return self._take(_Ticket(urgency, next(self._numbers), weight, is_order), _now())

    async def turn(self, weight: int, urgency: Urgency, *, is_order: bool = False) -> None:
        """Wait for the weight, and for an order's room, and take them."""
        ticket = _Ticket(urgency, next(self._numbers), weight, is_order)
        self._waiting.add(ticket)
        try:
            while not self._take(ticket, _now()):
                await self._sleep(self._wait(ticket, _now()))
        finally:
            self._waiting.remove(ticket)
            self._moved.set()

    def expected(self, weight: int, urgency: Urgency) -> Seconds:
        """How long a new order would wait; without end where others wait before it."""
        wait = self._wait(_Ticket(urgency, next(self._numbers), weight, True), _now())
        return inf if wait is None else wait

    def _take(self, ticket: _Ticket, now: Seconds) -> bool:
        if self._is_behind(ticket, now):
            return False
        if ticket.is_order:
            return self.budget.spend_order(ticket.weight, ticket.urgency, now)
        return self.budget.spend(ticket.weight, now)

    def _is_behind(self, ticket: _Ticket, now: Seconds) -> bool:
        before = [one for one in self._waiting if one < ticket]
        if ticket.is_order:
            return bool(before)
        return any(not one.is_order or not self.budget.wait_order(one.urgency, now) for one in before)

    def _wait(self, ticket: _Ticket, now: Seconds) -> Seconds | None:
        """Until it may be our turn; None while others are before us: they tell when they are through."""
        if self._is_behind(ticket, now):
            return None
        room = self.budget.wait_order(ticket.urgency, now) if ticket.is_order else 0.0
        return max(self.budget.wait(ticket.weight, now), room)

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
