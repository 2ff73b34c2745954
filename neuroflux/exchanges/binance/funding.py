"""How often USDⓈ-M's perpetuals pay funding: what the exchange lists, and what its own funding times prove.

``fundingInfo`` names the symbols whose interval was adjusted; once it was answered, all others pay every 8 hours. A
change of it applies from a funding time on, so it is requested again when a symbol's own time has passed or changed.
From one funding time to the next is an interval in any case, whatever the list contains meanwhile.
"""

from __future__ import annotations

from typing import Final

from msgspec.json import Decoder

from neuroflux.domain import Microseconds
from neuroflux.exchanges.binance.messages import FundingInterval
from neuroflux.exchanges.kit.rows import Rows, rows

STANDARD_HOURS: Final = 8
"""Of a symbol that the list does not name."""
HOUR: Final[Microseconds] = 3_600_000_000
UNANSWERED: Final[Microseconds] = 60_000_000
"""After so long without an answer the list is requested again."""

_ROW: Final = Decoder(FundingInterval)


class Intervals:
    """The funding intervals of one exchange, in hours; times are the exchange's."""

    def __init__(self) -> None:
        self._listed: dict[str, int] = {}
        self._unread: set[str] = set()
        self._proved: dict[str, int] = {}
        self._next: dict[str, Microseconds] = {}
        self._is_listed = self._is_waiting = False
        self._asked: Microseconds = -1

    def hours(self, name: str) -> int | None:
        """None while it is unknown."""
        is_standard = self._is_listed and name not in self._unread
        return self._proved.get(name) or self._listed.get(name) or (STANDARD_HOURS if is_standard else None)

    def observed(self, name: str, now: Microseconds, following: Microseconds) -> bool:
        """Record when ``name`` is paid next; returns whether the list must be requested now."""
        before = self._next.get(name)
        self._next[name] = following
        is_due = self._asked < 0 or (self._is_waiting and now - self._asked >= UNANSWERED)
        if before is not None and before != following:
            self._moved(name, now, before, following)
            is_due = is_due or self._asked < (before if before <= now else now - UNANSWERED)
        if is_due:
            self._asked, self._is_waiting = now, True
        return is_due

    def _moved(self, name: str, now: Microseconds, before: Microseconds, following: Microseconds) -> None:
        """Proof only while no funding time can be in between, as after an outage: none is closer than an hour."""
        hours, rest = divmod(following - before, HOUR)
        if before <= now < before + HOUR and hours > 0 and rest == 0:
            self._proved[name] = hours
        else:
            self._proved.pop(name, None)

    def answered(self, body: bytes) -> Rows[FundingInterval]:
        """Take in the list; a row that can't be read keeps what was known of its symbol. Raises ``UNREADABLE``.

        Of a symbol that has such a row alone nothing is known: it is listed, so its interval may be any. A row without
        a name may be any symbol's that the list does not name.
        """
        found = rows(body, _ROW.decode)
        kept = {name: hours for name, hours in self._listed.items() if name in found.bad_names}
        self._listed = kept | {one.symbol: one.fundingIntervalHours for one in found.good}
        self._unread, self._is_waiting = found.bad_names, False
        self._is_listed = self._is_listed or found.is_whole
        return found
