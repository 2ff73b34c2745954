"""How long a socket may receive no data before it counts as stalled: by the past gaps in its own data."""

from __future__ import annotations

WINDOW = 60.0
"""Seconds over which gaps are observed: at least this many, at most twice as many."""
FACTOR = 5.0
"""Times the longest gap: markets become quiet gradually, a feed that hangs does not."""
LEAST = 5.0


class Silence:
    """Times are monotonic seconds. Before the first ``WINDOW``, or if a socket receives only occasional events (not
    ``is_steady``), ``most`` seconds are allowed.
    """

    def __init__(self, most: float, *, is_steady: bool) -> None:
        self._most, self._is_steady = most, is_steady
        self._last = self._turned = 0.0
        self._longest = self._before = 0.0

    def opened(self, now: float) -> None:
        """A connection was opened; the time without one is no gap."""
        self._last = now
        self._turned = self._turned or now

    def data_received(self, now: float) -> None:
        gap = now - self._last
        self._last = now
        if gap > self._longest:
            self._longest = gap

    def silent(self, now: float) -> float:
        """Seconds since the last data."""
        return now - self._last

    def allowed(self, now: float) -> float:
        """Seconds that it may be silent. To be called more often than once in a ``WINDOW``."""
        if now - self._turned >= WINDOW:
            self._before, self._longest, self._turned = self._longest, 0.0, now
        if not self._is_steady or not self._before:
            return self._most
        return min(self._most, max(LEAST, FACTOR * max(self._before, self._longest)))
