"""How much of the time an exchange was up, of what was observed of the last 24 hours.

What was last known holds until something newer is, and at most for ``HOLDS``: what lies behind that was not observed.
Up is what is not offline. The view ``exchange_uptime`` says the same of the reports in ``exchange_health``.
"""

from __future__ import annotations

from collections import deque

from neuroflux.domain import Microseconds

DAY: Microseconds = 24 * 3600 * 1_000_000
HOLDS: Microseconds = 10_000_000
"""Two intervals in which health is reported: one report may be late."""


class Uptime:
    """Stretches of time, each up or down; what lies between them was not observed."""

    def __init__(self) -> None:
        self._stretches: deque[tuple[Microseconds, Microseconds, bool]] = deque()

    def observed(self, start: Microseconds, end: Microseconds, *, up: bool) -> None:
        """Take in a stretch that begins where the last one ended, or later."""
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
