"""Limits of requests: weight by fixed intervals, and the number of events of the last seconds. Times are in µs."""

from __future__ import annotations

from collections import deque

MINUTE = 60_000_000


class Window:
    """The weight that was spent in the present interval; intervals begin at whole multiples of their length."""

    def __init__(self, most: int, length: int = MINUTE) -> None:
        self.most = most
        self.used = 0
        self._length = length
        self._number = 0

    def begin(self, now: int) -> bool:
        """Begin a new interval where the last one is over; returns whether it was."""
        number = now // self._length
        if number == self._number:
            return False
        self._number, self.used = number, 0
        return True

    def spend(self, weight: int, now: int) -> bool:
        """Count a request; returns whether the limit allows it."""
        self.begin(now)
        self.used += weight
        return self.used <= self.most


class Recent:
    """The events of the last ``length`` µs, of which there may be ``most``."""

    def __init__(self, most: int, length: int) -> None:
        self.most = most
        self._length = length
        self._times: deque[int] = deque()

    @property
    def counted(self) -> int:
        """The events when the last one was counted."""
        return len(self._times)

    def count(self, now: int) -> int:
        """The events of the last ``length`` µs."""
        while self._times and self._times[0] <= now - self._length:
            self._times.popleft()
        return len(self._times)

    def add(self, now: int) -> bool:
        """Count an event; returns whether the limit allows it. One that it does not allow is not counted."""
        if self.count(now) >= self.most:
            return False
        self._times.append(now)
        return True

    def wait(self, now: int) -> int:
        """µs until the oldest event no longer counts."""
        return self._times[0] + self._length - now if self._times else 0
