"""The limits of weight of an exchange, one bucket each: how much may be spent now. No I/O, reads no clock.

Times are seconds of one monotonic clock, given by the caller. A request that is heavier than a whole bucket waits until
the bucket is full, and is then sent. A share of each bucket, its buffer, is kept for what is urgent: it is used by
cancels, queries and the figures of an account while others, as the books of the market data, use up the rest.
"""

from __future__ import annotations

from collections import deque
from typing import Final, Protocol

from neuroflux.exchanges.kit.requests import DecayingCounter, WeightRate

Seconds = float

URGENT_SHARE: Final = 0.5
"""What is urgent may use so much of the buffer of a minute's weight. The rest covers what other clients of the address
have used since the last answer that reported it: a request too many is refused with 429, and several with a ban."""


class Bucket(Protocol):
    def wait(self, weight: float, now: Seconds, *, is_urgent: bool = False) -> Seconds:
        """How long until the weight can be spent, if nothing else is; 0 or less: now."""
        ...

    def spend(self, weight: float, now: Seconds) -> None:
        """Spend what ``wait`` has just allowed at this time."""
        ...


class TokenBucket:
    """Holds at most ``most`` tokens, full at first, and gains ``per_second``; what is urgent may owe it ``buffer``."""

    def __init__(self, most: float, per_second: float, buffer: float, now: Seconds) -> None:
        self._most, self._per_second, self._buffer = most, per_second, buffer
        self._tokens, self._filled_at = most, now

    def wait(self, weight: float, now: Seconds, *, is_urgent: bool = False) -> Seconds:
        self._refill(now)
        there = self._tokens + (self._buffer if is_urgent else 0.0)
        return (min(weight, self._most) - there) / self._per_second

    def spend(self, weight: float, now: Seconds) -> None:
        self._tokens -= weight

    def _refill(self, now: Seconds) -> None:
        self._tokens = min(self._most, self._tokens + (now - self._filled_at) * self._per_second)
        self._filled_at = now


class MinuteWeight(TokenBucket):
    """The weight of a minute, which all clients of the address share."""

    def __init__(self, per_minute: int, buffer: float, now: Seconds) -> None:
        self._per_minute, self._share = per_minute, 1 - buffer
        most, urgent = per_minute * self._share, per_minute * buffer * URGENT_SHARE
        super().__init__(most, most / 60, urgent, now)
        self._left, self._left_until = self._most, now

    def bound(self, per_minute: int, now: Seconds) -> None:
        """Go on with another limit, of at least one a minute; the buffer stays."""
        self._refill(now)
        self._per_minute = max(per_minute, 1)
        self._most = self._per_minute * self._share
        self._per_second = self._most / 60
        self._buffer = (self._per_minute - self._most) * URGENT_SHARE
        self._tokens = min(self._tokens, self._most)

    def reported(self, usage: float, resets_in: Seconds, now: Seconds) -> None:
        """The exchange reports how much of its whole limit is used, by any client (0 to 1), and until when that counts.

        It counts by its own minutes: what is used in one is not free again before the next.
        """
        self._left, self._left_until = self._most - usage * self._per_minute, now + resets_in

    def wait(self, weight: float, now: Seconds, *, is_urgent: bool = False) -> Seconds:
        wait = super().wait(weight, now, is_urgent=is_urgent)
        left = self._left + (self._buffer if is_urgent else 0.0)
        is_used_up = weight > left and now < self._left_until
        return max(wait, self._left_until - now) if is_used_up else wait

    def spend(self, weight: float, now: Seconds) -> None:
        self._tokens -= weight
        self._left -= weight


class SlidingWindow:
    """At most ``most`` weight in any ``seconds``; for what is urgent, ``buffer`` more."""

    def __init__(self, most: float, seconds: Seconds, buffer: float) -> None:
        self._most, self._seconds, self._buffer = most, seconds, buffer
        self._spent: deque[tuple[Seconds, float]] = deque()

    def wait(self, weight: float, now: Seconds, *, is_urgent: bool = False) -> Seconds:
        self._forget(now)
        most = self._most + (self._buffer if is_urgent else 0.0)
        excess = sum(spent for _, spent in self._spent) + min(weight, most) - most
        for at, spent in self._spent:
            if excess <= 0:
                return 0.0
            excess -= spent
            if excess <= 0:
                return at + self._seconds - now
        return 0.0

    def spend(self, weight: float, now: Seconds) -> None:
        self._spent.append((now, weight))

    def _forget(self, now: Seconds) -> None:
        while self._spent and self._spent[0][0] <= now - self._seconds:
            self._spent.popleft()


def bucket_of(limit: WeightRate | DecayingCounter, buffer: float, now: Seconds) -> Bucket:
    """The bucket of a declared limit, of which the share ``buffer`` is kept for what is urgent."""
    if isinstance(limit, WeightRate):
        most = max(limit.most * (1 - buffer), 1.0)
        return SlidingWindow(most, limit.seconds, max(limit.most - most, 0.0))
    most = max(limit.maximum * (1 - buffer), 1.0)
    return TokenBucket(most, limit.decay, max(limit.maximum - most, 0.0), now)
