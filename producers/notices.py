"""Which statuses are published: a state when it changes and again after a while, and others once a second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind

BARRED_AGAIN: Microseconds = 60_000_000
"""How often an account's mode is repeated while it can't be traded in."""
AGAIN: Microseconds = 3_600_000_000
SECOND: Microseconds = 1_000_000

Name = tuple[StatusKind, str, str]


class Notices:
    """Lets a status pass when it reports something new, or last passed long ago."""

    def __init__(self) -> None:
        self._passed: dict[Name, tuple[ExchangeStatus, Microseconds]] = {}
        self._faults: frozenset[str] = frozenset()

    def passes(self, status: ExchangeStatus, now: Microseconds) -> bool:
        """Of a MODE the newest counts; of UNKNOWN each text. Everything else passes."""
        if status.kind not in (StatusKind.MODE, StatusKind.UNKNOWN):
            return True
        text = "" if status.kind is StatusKind.MODE else status.detail
        name = status.kind, status.channel, text
        before, at = self._passed.get(name, (None, 0))
        is_same = before is not None and (before.value, before.detail) == (status.value, status.detail)
        if is_same and now - at < _interval(status):
            return False
        self._passed[name] = status, now
        return True

    def repeated(self, now: Microseconds) -> Sequence[ExchangeStatus]:
        """The modes that last passed long enough ago to be published again."""
        due = [
            (name, replace(status, event_time=now))
            for name, (status, at) in self._passed.items()
            if status.kind is StatusKind.MODE and now - at >= _interval(status)
        ]
        self._passed |= {name: (status, now) for name, status in due}
        return [status for _, status in due]

    def faults(self, texts: Iterable[str]) -> Sequence[str]:
        """What could not be read in a list of instruments: the texts that its last reading did not have."""
        before, self._faults = self._faults, frozenset(texts)
        return sorted(self._faults - before)


class OncePerSecond:
    """Lets one status of each name pass per second."""

    def __init__(self) -> None:
        self._last: dict[str, Microseconds] = {}

    def passes(self, name: str, time: Microseconds) -> bool:
        if time - self._last.get(name, 0) < SECOND:
            return False
        self._last[name] = time
        return True


def _interval(status: ExchangeStatus) -> Microseconds:
    return BARRED_AGAIN if status.kind is StatusKind.MODE and status.value else AGAIN
