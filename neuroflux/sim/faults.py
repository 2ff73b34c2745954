"""What can be made to go wrong on purpose, for how long or how often; contracts.md has the list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from neuroflux.errors import UsageError

FaultName = Literal[
    "disconnect",
    "mute",
    "gap",
    "duplicate",
    "latency",
    "http_429",
    "http_418",
    "http_5xx",
    "accept_then_timeout",
    "reject",
    "partial_fill",
    "skew",
    "malformed",
    "listen_key_expired",
]
NAMES: tuple[str, ...] = get_args(FaultName)
HTTP_FAULTS = {"http_429": 429, "http_418": 418, "http_5xx": 503}
"""The status that each of these answers with."""
DEFAULT_MS = 500


class Fault(Struct, omit_defaults=True):
    """A fault as it was asked for.

    Without ``seconds`` and ``count`` it strikes once, or lasts until it is cleared where "once" means nothing (mute,
    latency, skew). ``retry_after`` is how many seconds a 429 or 418 asks to wait, by default as the exchange does.
    """

    exchange: str
    fault: FaultName
    seconds: float | None = None
    count: int | None = None
    ms: int = DEFAULT_MS
    retry_after: int | None = None


class Active(Struct):
    """A fault at work: until a time of the clock, or for so many more times."""

    fault: Fault
    until: float | None
    left: int | None


_LASTING = ("mute", "latency", "skew")


class Faults:
    """The faults at work. ``clock`` gives seconds; ``exchanges`` are the ids that may be named."""

    def __init__(self, clock: Callable[[], float], exchanges: tuple[str, ...]) -> None:
        self._clock = clock
        self._exchanges = exchanges
        self._active: list[Active] = []
        self.cleared = asyncio.Event()

    def add(self, raw: bytes) -> Fault:
        """Begin a fault, given as JSON; raises UsageError on anything that is none."""
        try:
            fault = msgspec.json.decode(raw, type=Fault)
        except msgspec.DecodeError as error:
            raise UsageError(f"no such fault: {error}; known: {', '.join(NAMES)}") from error
        if fault.exchange not in self._exchanges:
            raise UsageError(f"exchange must be one of {', '.join(self._exchanges)}")
        if (fault.seconds or 0) < 0 or (fault.count or 0) < 0:
            raise UsageError("seconds and count must not be negative")
        self.cleared.clear()
        self._active.append(self._begin(fault))
        return fault

    def _begin(self, fault: Fault) -> Active:
        until = self._clock() + fault.seconds if fault.seconds is not None else None
        left = fault.count
        if until is None and left is None and fault.fault not in _LASTING:
            left = 1
        return Active(fault, until, left)

    def clear(self) -> None:
        """End every fault."""
        self._active.clear()
        self.cleared.set()

    def active(self) -> list[Active]:
        """Those at work, oldest first."""
        now = self._clock()
        self._active = [
            active
            for active in self._active
            if (active.left is None or active.left > 0) and (active.until is None or now < active.until)
        ]
        return list(self._active)

    def _find(self, exchange: str, fault: str) -> Active | None:
        if not self._active:
            return None
        for active in self.active():
            if active.fault.exchange == exchange and active.fault.fault == fault:
                return active
        return None

    def is_active(self, exchange: str, fault: str) -> bool:
        return self._find(exchange, fault) is not None

    def take(self, exchange: str, fault: str) -> Fault | None:
        """The fault where it strikes now; uses one of its counts up."""
        active = self._find(exchange, fault)
        if active is None:
            return None
        if active.left is not None:
            active.left -= 1
        return active.fault

    def milliseconds(self, exchange: str, fault: str, *, use: bool = False) -> int:
        """How strong a latency or a skew is now; 0 where there is none. ``use`` uses one of its counts up."""
        active = self._find(exchange, fault)
        if active is None:
            return 0
        if use and active.left is not None:
            active.left -= 1
        return active.fault.ms
