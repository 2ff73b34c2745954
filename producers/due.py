"""When an account is to be asked for its figures, and when for everything. Times are monotonic seconds, given."""

from __future__ import annotations

from enum import Enum
from math import inf

FULL_SECONDS = 60.0
FIGURES_SECONDS = 10.0
"""So old unrealised profit may be, and so long what a lively stream has lost may go unnoticed."""
APART = 1.0
"""Seconds between two readings at least."""
SOON = 0.2
"""After a change, so that what belongs to one change is asked for at once."""
AGAIN = 2.0
"""After a change: by then what was lagging behind it is there."""
FAILED_SECONDS = 5.0


class What(Enum):
    FIGURES = "figures"
    EVERYTHING = "everything"


class Due:
    """Everything is due at the start, regularly, and when ``everything`` asks for it; figures after changes."""

    def __init__(self, now: float) -> None:
        self._everything, self._figures, self._again = now, inf, inf
        self._began, self._failures = -inf, 0

    def everything(self, now: float) -> None:
        self._everything = min(self._everything, now)

    def changed(self, now: float) -> None:
        """The account changed, and not all of it was said."""
        self._figures = min(self._figures, now + SOON)
        self._again = min(self._again, now + AGAIN)

    def unsettled(self, now: float) -> None:
        """What was read was older than the stream, or the other way round."""
        self._again = min(self._again, now + AGAIN)

    def wait(self, now: float) -> float:
        """Seconds until something is due."""
        return max(min(self._everything, self._figures, self._again), self._began + APART) - now

    def begin(self, now: float) -> What:
        """What is to be asked for now; what changes from here on is due again."""
        what = What.EVERYTHING if self._everything <= now else What.FIGURES
        self._began, self._figures = now, inf
        if self._again <= now:
            self._again = inf
        if what is What.EVERYTHING:
            self._everything = inf
        return what

    def ended(self, what: What, now: float, *, is_whole: bool) -> None:
        """It was read, or not to its end: then everything is due again, each time later, up to the regular time."""
        self._failures = 0 if is_whole else self._failures + 1
        if what is What.EVERYTHING or not is_whole:
            late = FULL_SECONDS if is_whole else min(FULL_SECONDS, FAILED_SECONDS * 2 ** (self._failures - 1))
            self._everything = min(self._everything, now + late)
        if is_whole:
            self._figures = min(self._figures, now + FIGURES_SECONDS)
