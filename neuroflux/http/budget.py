"""An exchange's rate budget: its weight as a token bucket, its orders by sliding windows, and holds. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from heapq import merge
from itertools import islice

Seconds = float


class Urgency(IntEnum):
    """Who goes first: cancels, questions and hedges; then orders; then whatever else is read."""

    FIRST = 0
    ORDER = 1
    READ = 2


LATE: Seconds = 5.0
"""How long after it was sent an order may reach its exchange, where no answer tells when it did."""


class Window:
    """At most ``most`` new orders in any ``seconds``; of these the ``buffer`` is kept for the most urgent.

    The exchange counts an order when it arrives, which is known once it is answered: until then it counts as not there
    yet.
    """

    def __init__(self, most: int, seconds: Seconds, buffer: float) -> None:
        self.most, self.seconds = most, seconds
        self._ordinary = int(most * (1 - buffer))
        self._sent: deque[Seconds] = deque()
        self._counted: deque[Seconds] = deque()

    def wait(self, urgency: Urgency, now: Seconds) -> Seconds:
        """How long until one more fits, if nothing is answered meanwhile."""
        self._forget(now)
        most = self.most if urgency is Urgency.FIRST else self._ordinary
        too_many = len(self._sent) + len(self._counted) - most
        if too_many < 0:
            return 0.0
        ends = merge((at + self.seconds for at in self._counted), (at + LATE + self.seconds for at in self._sent))
        return next(islice(ends, too_many, None)) - now

    def sent(self, now: Seconds) -> None:
        self._sent.append(now)

    def answered(self, now: Seconds) -> None:
        """One of those under way was answered: whichever it was, the exchange has counted one more."""
        if self._sent:
            self._sent.popleft()
        self._counted.append(now)

    def told(self, count: int, now: Seconds) -> None:
        """The exchange has counted so many, by whomever; others' orders count from now on."""
        self._forget(now)
        self._counted.extend([now] * max(0, count - len(self._counted)))

    def _forget(self, now: Seconds) -> None:
        while self._counted and self._counted[0] <= now - self.seconds:
            self._counted.popleft()
        while self._sent and self._sent[0] <= now - LATE - self.seconds:
            self._sent.popleft()


class Budget:
    """What may be spent now; times are seconds of one monotonic clock, given by the caller.

    ``buffer`` is the share of ``weight_per_minute`` that is never used: others share the address's limit. ``orders``
    are the exchange's limits of new orders: how many, in how many seconds.
    """

    def __init__(
        self, weight_per_minute: int, buffer: float, now: Seconds, orders: Iterable[tuple[int, Seconds]] = ()
    ) -> None:
        self._per_minute, self._share = weight_per_minute, 1 - buffer
        self._capacity = weight_per_minute * self._share
        self._tokens = self._capacity
        self._filled_at = now
        self._held_until = now
        self._left, self._left_until = self._capacity, now
        self._windows = [Window(most, seconds, buffer) for most, seconds in orders]

    def bound(self, weight_per_minute: int, now: Seconds) -> None:
        """Go on with another limit, of at least one a minute; the buffer stays."""
        self._refill(now)
        self._per_minute = max(weight_per_minute, 1)
        self._capacity = self._per_minute * self._share
        self._tokens = min(self._tokens, self._capacity)

    def spend(self, weight: int, now: Seconds) -> bool:
        """Take the weight if it is there; nothing can be taken during a hold."""
        self._refill(now)
        if now < self._held_until or self._tokens < min(weight, self._capacity) or self._used_up(weight, now):
            return False
        self._tokens -= weight
        self._left -= weight
        return True

    def _used_up(self, weight: int, now: Seconds) -> bool:
        return now < self._left_until and weight > self._left

    def spend_order(self, weight: int, urgency: Urgency, now: Seconds) -> bool:
        """The same for a new order, which the limits of orders count too."""
        if self.wait_order(urgency, now) or not self.spend(weight, now):
            return False
        for window in self._windows:
            window.sent(now)
        return True

    def order_answered(self, now: Seconds) -> None:
        """An order came back, with whatever answer."""
        for window in self._windows:
            window.answered(now)

    def wait(self, weight: int, now: Seconds) -> Seconds:
        """How long until ``spend`` can succeed, if nobody else spends."""
        self._refill(now)
        missing = max(0.0, min(weight, self._capacity) - self._tokens)
        reset = self._left_until - now if self._used_up(weight, now) else 0.0
        return max(self._held_until - now, missing / (self._capacity / 60), reset)

    def wait_order(self, urgency: Urgency, now: Seconds) -> Seconds:
        """How long until the limits of orders leave room for one more."""
        return max((window.wait(urgency, now) for window in self._windows), default=0.0)

    def hold(self, seconds: Seconds, now: Seconds) -> None:
        """The exchange asked us to wait that long."""
        self._held_until = max(self._held_until, now + seconds)

    def held(self, now: Seconds) -> Seconds:
        """How long the exchange still wants us to wait."""
        return max(0.0, self._held_until - now)

    def told(self, usage: float, resets_in: Seconds, now: Seconds) -> None:
        """The exchange said how much of its whole limit is used, by whomever (0 to 1), and until when that counts.

        It counts by its own minutes: what is used of one is not there again before the next.
        """
        self._left, self._left_until = self._capacity - usage * self._per_minute, now + resets_in

    def told_orders(self, seconds: int, count: int, now: Seconds) -> float:
        """It said how many orders count in the limit of so many seconds; the share of that limit."""
        for window in self._windows:
            if window.seconds == seconds:
                window.told(count, now)
                return count / window.most
        return 0.0

    def full_of_orders(self, now: Seconds) -> None:
        """It refused an order as one too many: the shortest limit is used up, by whomever."""
        for window in self._windows[:1]:
            window.told(window.most, now)

    def _refill(self, now: Seconds) -> None:
        gained = (now - self._filled_at) * self._capacity / 60
        self._tokens = min(self._capacity, self._tokens + gained)
        self._filled_at = now
