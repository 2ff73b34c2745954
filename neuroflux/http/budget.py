"""An exchange's rate budget: weight by buckets, new orders by sliding windows, and holds. No I/O, reads no clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import IntEnum
from heapq import merge
from itertools import islice

from neuroflux.exchanges.kit.requests import Buckets, EachInstrument, declared_as
from neuroflux.http.buckets import Bucket, MinuteWeight, Seconds, bucket_of


class Urgency(IntEnum):
    """What is sent first: cancels, queries and hedges; then orders; then everything else that is read."""

    FIRST = 0
    ORDER = 1
    READ = 2


LATE: Seconds = 5.0
"""An order without an answer may reach its exchange so long after it was sent."""


class Window:
    """At most ``most`` new orders in any ``seconds``; of these the share ``buffer`` is kept for the most urgent.

    The exchange counts an order when it arrives, which is known once it is answered: until then it counts as not yet
    arrived.
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
        """One of the unanswered orders was answered: no matter which, the exchange has counted one more."""
        if self._sent:
            self._sent.popleft()
        self._counted.append(now)

    def reported(self, count: int, now: Seconds) -> None:
        """The exchange has counted so many, of any client; those of others count from now on."""
        self._forget(now)
        self._counted.extend([now] * max(0, count - len(self._counted)))

    def _forget(self, now: Seconds) -> None:
        while self._counted and self._counted[0] <= now - self.seconds:
            self._counted.popleft()
        while self._sent and self._sent[0] <= now - LATE - self.seconds:
            self._sent.popleft()


class _ByName(dict[str, Bucket]):
    """The buckets by name; one of an instrument is made with its first request."""

    def __init__(self, limits: Buckets, buffer: float, now: Seconds) -> None:
        self._limits, self._buffer, self._now = limits, buffer, now
        made = {name: limit for name, limit in limits.items() if not isinstance(limit, EachInstrument)}
        super().__init__({name: bucket_of(limit, buffer, now) for name, limit in made.items()})

    def __missing__(self, name: str) -> Bucket:
        limit = self._limits[declared_as(name)]
        if not isinstance(limit, EachInstrument):
            raise KeyError(name)
        self[name] = bucket_of(limit.limit, self._buffer, self._now)
        return self[name]


class Budget:
    """What may be spent now; times are seconds of one monotonic clock, given by the caller.

    Weight is spent in a bucket: "" is the weight per minute, ``buckets`` are the other limits. The share ``buffer`` of
    each is kept for ``Urgency.FIRST``. ``orders`` are the exchange's limits of new orders: how many, in how many
    seconds.
    """

    def __init__(
        self,
        weight_per_minute: int,
        buffer: float,
        now: Seconds,
        orders: Iterable[tuple[int, Seconds]] = (),
        buckets: Buckets | None = None,
    ) -> None:
        self._weight = MinuteWeight(weight_per_minute, buffer, now)
        self._buckets = _ByName(buckets or {}, buffer, now)
        self._buckets[""] = self._weight
        self._held_until = now
        self._windows = [Window(most, seconds, buffer) for most, seconds in orders]

    def bound(self, weight_per_minute: int, now: Seconds) -> None:
        """Go on with another weight per minute, of at least one; the buffer stays."""
        self._weight.bound(weight_per_minute, now)

    def spend(self, weight: int, now: Seconds, bucket: str = "", urgency: Urgency = Urgency.READ) -> bool:
        """Spend the weight if that is possible now; nothing can be spent during a hold."""
        spent_from = self._buckets[bucket]
        if now < self._held_until or spent_from.wait(weight, now, is_urgent=urgency is Urgency.FIRST) > 0:
            return False
        spent_from.spend(weight, now)
        return True

    def count(self, weight: int, now: Seconds, bucket: str = "") -> None:
        """Count what is sent whatever was spent; others wait longer for it."""
        self._buckets[bucket].spend(weight, now)

    def wait(self, weight: int, now: Seconds, bucket: str = "", urgency: Urgency = Urgency.READ) -> Seconds:
        """How long until ``spend`` can succeed, if nothing else is spent."""
        wait = self._buckets[bucket].wait(weight, now, is_urgent=urgency is Urgency.FIRST)
        return max(self._held_until - now, wait, 0.0)

    def spend_order(self, weight: int, urgency: Urgency, now: Seconds, bucket: str = "") -> bool:
        """The same for a new order, which the limits of orders count too."""
        if self.wait_order(urgency, now) or not self.spend(weight, now, bucket, urgency):
            return False
        for window in self._windows:
            window.sent(now)
        return True

    def wait_order(self, urgency: Urgency, now: Seconds) -> Seconds:
        """How long until the limits of orders leave room for one more."""
        return max((window.wait(urgency, now) for window in self._windows), default=0.0)

    def order_answered(self, now: Seconds) -> None:
        """An order was answered, accepted or not."""
        for window in self._windows:
            window.answered(now)

    def hold(self, seconds: Seconds, now: Seconds) -> None:
        """The exchange asks us to wait that long."""
        self._held_until = max(self._held_until, now + seconds)

    def held(self, now: Seconds) -> Seconds:
        """How much longer the exchange asks us to wait."""
        return max(0.0, self._held_until - now)

    def reported(self, usage: float, resets_in: Seconds, now: Seconds) -> None:
        """The exchange reports the share of the weight per minute that is used; see ``MinuteWeight.reported``."""
        self._weight.reported(usage, resets_in, now)

    def orders_reported(self, seconds: int, count: int, now: Seconds) -> float:
        """It reports how many orders count in its limit of so many seconds; return the share of that limit."""
        for window in self._windows:
            if window.seconds == seconds:
                window.reported(count, now)
                return count / window.most
        return 0.0

    def full_of_orders(self, now: Seconds) -> None:
        """It refused an order as one too many: the shortest limit is used up, no matter by whom."""
        for window in self._windows[:1]:
            window.reported(window.most, now)
