"""When to request the figures of an account, and when everything. Times are monotonic seconds, passed in."""

from __future__ import annotations

from enum import Enum
from math import inf

FULL_SECONDS = 60.0
FIGURES_SECONDS = 10.0
"""The greatest age of unrealised profit, and the longest time until an event lost by a live stream is noticed."""
APART = 1.0
"""The least seconds between two readings."""
SOON = 0.2
"""Seconds after a change, so that the updates of one change are requested together."""
AGAIN = 2.0
"""Seconds after a change: by then lagging answers include it."""
FAILED_SECONDS = 5.0


class What(Enum):
    FIGURES = "figures"
    EVERYTHING = "everything"


class Due:
    """Everything is due at the start, regularly, and when ``everything`` requests it; figures after changes."""

    def __init__(self, now: float) -> None:
        self._everything, self._figures, self._again = now, inf, inf
        self._began, self._failures = -inf, 0

    def everything(self, now: float) -> None:
        self._everything = min(self._everything, now)

    def changed(self, now: float) -> None:
        """The account changed, and the stream did not push all of it."""
        self._figures = min(self._figures, now + SOON)
        self._again = min(self._again, now + AGAIN)

    def unsettled(self, now: float) -> None:
        """An answer was older than the stream, or a push older than an answer."""
        self._again = min(self._again, now + AGAIN)

    def wait(self, now: float) -> float:
        """Seconds until something is due."""
        return max(min(self._everything, self._figures, self._again), self._began + APART) - now

    def begin(self, now: float) -> What:
        """What to request now; later changes are due again."""
        what = What.EVERYTHING if self._everything <= now else What.FIGURES
        self._began, self._figures = now, inf
        if self._again <= now:
            self._again = inf
        if what is What.EVERYTHING:
            self._everything = inf
        return what

    def ended(self, what: What, now: float, *, is_whole: bool) -> None:
        """A reading ended; if it was incomplete, everything is due again, after longer and longer waits."""
        self._failures = 0 if is_whole else self._failures + 1
        if what is What.EVERYTHING or not is_whole:
            late = FULL_SECONDS if is_whole else min(FULL_SECONDS, FAILED_SECONDS * 2 ** (self._failures - 1))
            self._everything = min(self._everything, now + late)
        if is_whole:
            self._figures = min(self._figures, now + FIGURES_SECONDS)
