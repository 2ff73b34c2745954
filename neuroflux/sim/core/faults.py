"""The faults that can be injected, for how long or how often; contracts.md has the list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal, get_args

import msgspec
from msgspec import Struct

from neuroflux.errors import UsageError
from neuroflux.sim.core.fault_rules import AT_ONCE, SETTINGS, check
from neuroflux.sim.core.venue import Venue

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
    "listen_key_gone",
    "listen_key_refused",
    "overload",
    "address_limit",
    "order_unknown",
    "page_size",
    "stream_delay",
    "unified_account",
    "account_mode",
    "fees",
    "unknown_status",
    "unknown_code",
    "unknown_contract_type",
    "malformed_row",
    "empty_side",
    "withdrawals",
    "tier",
    "server_shutdown",
    "hedge_mode",
    "multi_assets",
    "sequence_reset",
    "unknown_asset",
    "transfer",
    "liquidate",
    "adl",
    "list",
    "halt",
    "resume",
    "tick_size",
    "funding_interval",
]
NAMES: tuple[str, ...] = get_args(FaultName)
HTTP_FAULTS = {"http_429": 429, "http_418": 418, "http_5xx": 503}
"""The status that each of these answers with."""
DEFAULT_MS = 500


class Fault(Struct, omit_defaults=True, forbid_unknown_fields=True):
    """A fault as it was requested; fault_rules.py defines which of the fields a fault takes, and which it needs.

    Without ``seconds`` and ``count`` it strikes once, or lasts until it is cleared where "once" means nothing (mute,
    latency, skew, the settings of an account), or is done at once (the faults of changes.py). ``retry_after`` is the
    wait in seconds that a 429 or 418 names, by default the exchange's own. ``symbol`` is the exchange's name;
    ``amount`` in units of the asset; ``maker`` and ``taker`` are shares of the notional, negative for a rebate.
    """

    exchange: str
    fault: FaultName
    seconds: float | None = None
    count: int | None = None
    ms: int = DEFAULT_MS
    retry_after: int | None = None
    symbol: str = ""
    asset: str = ""
    amount: Decimal | None = None
    maker: Decimal | None = None
    taker: Decimal | None = None
    value: str = ""


class Active(Struct):
    """An active fault: until a time of the clock, or for so many more times."""

    fault: Fault
    until: float | None
    left: int | None


_LASTING = ("mute", "latency", "skew", *SETTINGS)


class Faults:
    """The active faults. ``clock`` gives seconds; ``venues`` are the exchanges that may be named.

    ``change`` does those that are done at once; it raises UsageError where it can't.
    """

    def __init__(self, clock: Callable[[], float], venues: Mapping[str, Venue]) -> None:
        self._clock = clock
        self._venues = venues
        self.change: Callable[[Fault], None] = lambda fault: None
        self._active: list[Active] = []
        self.cleared = asyncio.Event()

    def add(self, raw: bytes) -> Fault:
        """Begin a fault, given as JSON; raises UsageError on anything else."""
        try:
            fault = msgspec.json.decode(raw, type=Fault)
        except msgspec.DecodeError as error:
            raise UsageError(f"no such fault: {error}; known: {', '.join(NAMES)}") from error
        if fault.exchange not in self._venues:
            raise UsageError(f"exchange must be one of {', '.join(self._venues)}")
        if (fault.seconds or 0) < 0 or (fault.count or 0) < 0:
            raise UsageError("seconds and count must not be negative")
        check(fault, self._venues)
        if fault.fault in AT_ONCE:
            self.change(fault)
            return fault
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
        """The active ones, oldest first."""
        now = self._clock()
        self._active = [
            active
            for active in self._active
            if (active.left is None or active.left > 0) and (active.until is None or now < active.until)
        ]
        return list(self._active)

    def _find(self, exchange: str, fault: str, symbol: str = "") -> Active | None:
        """Of the settings the newest, since it replaces the one before; of the other faults the oldest."""
        if not self._active:
            return None
        found = [
            active
            for active in self.active()
            if active.fault.exchange == exchange
            and active.fault.fault == fault
            and (not active.fault.symbol or not symbol or active.fault.symbol == symbol)
        ]
        return found[-1 if fault in SETTINGS else 0] if found else None

    def is_active(self, exchange: str, fault: str) -> bool:
        return self._find(exchange, fault) is not None

    def setting(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        """The fault as it is set now; uses nothing up."""
        active = self._find(exchange, fault, symbol)
        return active.fault if active else None

    def take(self, exchange: str, fault: str, symbol: str = "") -> Fault | None:
        """The fault where it strikes now, and strikes this symbol; uses one of its counts up."""
        active = self._find(exchange, fault, symbol)
        if active is None:
            return None
        if active.left is not None:
            active.left -= 1
        return active.fault

    def mutes(self, exchange: str, stream: str) -> bool:
        """Whether a frame of this stream is dropped: of all streams, or of those whose name contains the ``value``."""
        if not self._active:
            return False
        for active in self.active():
            fault = active.fault
            if (fault.exchange, fault.fault) == (exchange, "mute") and fault.value in stream:
                if active.left is not None:
                    active.left -= 1
                return True
        return False

    def milliseconds(self, exchange: str, fault: str, *, use: bool = False) -> int:
        """How strong a latency or a skew is now; 0 where there is none. ``use`` uses one of its counts up."""
        active = self._find(exchange, fault)
        if active is None:
            return 0
        if use and active.left is not None:
            active.left -= 1
        return active.fault.ms
