"""The share of the observed time of the last 24 hours in which an exchange was up.

A state is valid until the next one, and at most for ``HOLDS``: later time was not observed. An exchange is up unless it
is offline. The view ``exchange_uptime`` uses the same definition on the reports in ``exchange_health``.
"""

from __future__ import annotations

from collections import deque

from neuroflux.domain import Microseconds

DAY: Microseconds = 24 * 3600 * 1_000_000
HOLDS: Microseconds = 10_000_000
"""Two intervals in which health is reported: one report may be late."""


class Uptime:
    """Intervals of time, each up or down; time between them was not observed."""

    def __init__(self) -> None:
        self._stretches: deque[tuple[Microseconds, Microseconds, bool]] = deque()

    def observed(self, start: Microseconds, end: Microseconds, *, up: bool) -> None:
        """Add an interval that begins where the last one ended, or later."""
        if end <= start:
            return
        if self._stretches and self._stretches[-1][1:] == (start, up):
            start = self._stretches.pop()[0]
        self._stretches.append((start, end, up))
        while self._stretches[0][1] <= end - DAY:
            self._stretches.popleft()

    def percent(self, now: Microseconds) -> float:
        """0 to 100; 100 while nothing was observed."""
        within = [(max(start, now - DAY), end, up) for start, end, up in self._stretches if end > now - DAY]
        whole = sum(end - start for start, end, _ in within)
        return 100 * sum(end - start for start, end, up in within if up) / whole if whole else 100.0
