"""What is true for longer, told when it changes and again after a while: an account's mode, and what is not known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind

BARRED_AGAIN: Microseconds = 60_000_000
"""How often an account's mode is repeated while it can't be traded in."""
AGAIN: Microseconds = 3_600_000_000

Name = tuple[StatusKind, str, str]


class Notices:
    """Lets a status through when it says something new, or was last let through long ago."""

    def __init__(self) -> None:
        self._told: dict[Name, tuple[ExchangeStatus, Microseconds]] = {}
        self._faults: frozenset[str] = frozenset()

    def passes(self, status: ExchangeStatus, now: Microseconds) -> bool:
        """Of a MODE the newest counts; of UNKNOWN each text. Everything else passes."""
        if status.kind not in (StatusKind.MODE, StatusKind.UNKNOWN):
            return True
        text = "" if status.kind is StatusKind.MODE else status.detail
        name = status.kind, status.channel, text
        before, at = self._told.get(name, (None, 0))
        is_same = before is not None and (before.value, before.detail) == (status.value, status.detail)
        if is_same and now - at < _interval(status):
            return False
        self._told[name] = status, now
        return True

    def repeated(self, now: Microseconds) -> Sequence[ExchangeStatus]:
        """The modes that were said long enough ago to be said again."""
        due = [
            (name, replace(status, event_time=now))
            for name, (status, at) in self._told.items()
            if status.kind is StatusKind.MODE and now - at >= _interval(status)
        ]
        self._told |= {name: (status, now) for name, status in due}
        return [status for _, status in due]

    def faults(self, texts: Iterable[str]) -> Sequence[str]:
        """What a list of instruments did not take: the texts that its last reading did not have."""
        before, self._faults = self._faults, frozenset(texts)
        return sorted(self._faults - before)


def _interval(status: ExchangeStatus) -> Microseconds:
    return BARRED_AGAIN if status.kind is StatusKind.MODE and status.value else AGAIN
