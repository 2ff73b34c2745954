"""An exchange's rate budget: a token bucket in its own weights, with holds; cancels and questions go first."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

Seconds = float


class Budget:
    """What may be spent now; times are seconds of one monotonic clock, given by the caller. No I/O.

    ``buffer`` is the share of ``weight_per_minute`` that is never used: others share the address's limit.
    """

    def __init__(self, weight_per_minute: int, buffer: float, now: Seconds) -> None:
        self._per_minute = weight_per_minute
        self._capacity = weight_per_minute * (1 - buffer)
        self._tokens = self._capacity
        self._filled_at = now
        self._held_until = now

    def bound(self, weight_per_minute: int, now: Seconds) -> None:
        """Go on with another limit; the buffer stays."""
        self._refill(now)
        self._capacity *= weight_per_minute / self._per_minute
        self._per_minute = weight_per_minute
        self._tokens = min(self._tokens, self._capacity)

    def spend(self, weight: int, now: Seconds) -> bool:
        """Take the weight if it is there; nothing can be taken during a hold."""
        self._refill(now)
        if now < self._held_until or self._tokens < min(weight, self._capacity):
            return False
        self._tokens -= weight
        return True

    def wait(self, weight: int, now: Seconds) -> Seconds:
        """How long until ``spend`` can succeed, if nobody else spends."""
        self._refill(now)
        missing = max(0.0, min(weight, self._capacity) - self._tokens)
        return max(self._held_until - now, missing / (self._capacity / 60))

    def hold(self, seconds: Seconds, now: Seconds) -> None:
        """The exchange asked us to wait that long."""
        self._held_until = max(self._held_until, now + seconds)

    def held(self, now: Seconds) -> Seconds:
        """How long the exchange still wants us to wait."""
        return max(0.0, self._held_until - now)

    def told(self, usage: float, now: Seconds) -> None:
        """The exchange said how much of its whole limit is used, by whomever (0 to 1)."""
        self._refill(now)
        self._tokens = min(self._tokens, max(0.0, self._capacity - usage * self._per_minute))

    def _refill(self, now: Seconds) -> None:
        gained = (now - self._filled_at) * self._capacity / 60
        self._tokens = min(self._capacity, self._tokens + gained)
        self._filled_at = now


class Queue:
    """Who waits for the budget: urgent ones first, else in the order of asking."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self._waiting: list[tuple[int, int]] = []
        self._numbers = count()
        self._moved = asyncio.Event()

    def try_turn(self, weight: int) -> bool:
        """Take the weight at once, if it is there and nobody waits."""
        return not self._waiting and self.budget.spend(weight, asyncio.get_running_loop().time())

    async def turn(self, weight: int, urgent: bool) -> None:
        """Wait for the weight, and take it."""
        ticket = (0 if urgent else 1, next(self._numbers))
        heapq.heappush(self._waiting, ticket)
        loop = asyncio.get_running_loop()
        try:
            while self._waiting[0] != ticket or not self.budget.spend(weight, loop.time()):
                await self._sleep(self.budget.wait(weight, loop.time()) if self._waiting[0] == ticket else None)
        finally:
            self._waiting.remove(ticket)
            heapq.heapify(self._waiting)
            self._moved.set()

    async def _sleep(self, seconds: Seconds | None) -> None:
        """Until the time is over or the queue has moved."""
        self._moved.clear()
        try:
            async with asyncio.timeout(None if seconds is None else max(seconds, 0.001)):
                await self._moved.wait()
        except TimeoutError:
            return
