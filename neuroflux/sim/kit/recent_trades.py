"""The last trades of every symbol of one exchange."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence

from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.world import Change


class RecentTrades:
    """Keeps ``most`` trades of each symbol, with their times in µs."""

    def __init__(self, most: int) -> None:
        self._trades: defaultdict[str, deque[tuple[Match, int]]] = defaultdict(lambda: deque(maxlen=most))

    def remember(self, changes: Sequence[Change], now: int) -> None:
        """Add the trades of these changes."""
        for change in changes:
            self._trades[change.listing.symbol].extend((match, now) for match in change.matches)

    def of(self, symbol: str) -> list[tuple[Match, int]]:
        """The trades of a symbol, oldest first."""
        return list(self._trades[symbol])
