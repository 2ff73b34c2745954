"""News of orders that no journal knows: kept for a moment, because ours may come first, then told as another's."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable

from neuroflux.domain import Fill, Microseconds, OrderReport, Side

KEPT_FOR: Microseconds = 5_000_000
"""An exchange order id that we don't know yet is in the answer to our own request."""
KEPT = 10_000
REMEMBERED = 100_000


class Strays:
    """``match`` hands news to the order it belongs to, and says whether there is one.

    ``awaited`` says whether it may yet be ours: an order is there of which the exchange's own id is not known, because
    its answer was lost and it is still asked after.
    """

    def __init__(
        self, match: Callable[[OrderReport | Fill], bool], awaited: Callable[[OrderReport | Fill], bool]
    ) -> None:
        self._match, self._awaited = match, awaited
        self._waiting: deque[tuple[Microseconds, OrderReport | Fill]] = deque(maxlen=KEPT)
        self._told: OrderedDict[tuple[str, str, str, Side], None] = OrderedDict()

    def take(self, told: OrderReport | Fill, now: Microseconds) -> None:
        if not self._match(told):
            self._waiting.append((now, told))

    def others(self, now: Microseconds) -> list[Fill]:
        """Fills that are nobody's of ours, each once."""
        found: list[Fill] = []
        for _ in range(len(self._waiting)):
            since, told = self._waiting.popleft()
            if self._match(told):
                continue
            if now - since < KEPT_FOR or self._awaited(told):
                self._waiting.append((since, told))
            elif isinstance(told, Fill) and self._first_time(told):
                found.append(told)
        return found

    def _first_time(self, fill: Fill) -> bool:
        if fill.identity in self._told:
            return False
        self._told[fill.identity] = None
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return True
