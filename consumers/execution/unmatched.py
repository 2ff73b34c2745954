"""Reports and fills that match no order yet: kept for a while, since ours may arrive early, then counted as others'."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from neuroflux.domain import Fill, Microseconds, OrderReport, Side

KEPT_FOR: Microseconds = 5_000_000
"""Until then the answer to our own request may bring an exchange order id that is unknown now."""
KEPT = 10_000
REMEMBERED = 100_000


class Unmatched:
    """``match`` delivers a report to its order, and returns whether there is one.

    ``may_be_ours`` returns whether a report may still be ours: the exchange's id of one of our orders is unknown, since
    its answer was lost and it is still being queried.
    """

    def __init__(
        self, match: Callable[[OrderReport | Fill], bool], may_be_ours: Callable[[OrderReport | Fill], bool]
    ) -> None:
        self._match, self._may_be_ours = match, may_be_ours
        self._waiting: deque[tuple[Microseconds, OrderReport | Fill]] = deque(maxlen=KEPT)
        self._returned: OrderedDict[tuple[str, str, str, Side], None] = OrderedDict()

    def take(self, report: OrderReport | Fill, now: Microseconds) -> None:
        if not self._match(report):
            self._waiting.append((now, report))

    def others(self, now: Microseconds) -> list[Fill]:
        """Fills that belong to none of our orders, each once."""
        found: list[Fill] = []
        for _ in range(len(self._waiting)):
            since, report = self._waiting.popleft()
            if self._match(report):
                continue
            if now - since < KEPT_FOR or self._may_be_ours(report):
                self._waiting.append((since, report))
            elif isinstance(report, Fill) and self._first_time(report):
                found.append(report)
        return found

    def _first_time(self, fill: Fill) -> bool:
        if fill.identity in self._returned:
            return False
        self._returned[fill.identity] = None
        if len(self._returned) > REMEMBERED:
            self._returned.popitem(last=False)
        return True
