"""The wall clock, for code that does I/O; pure code gets the time as an argument."""

from __future__ import annotations

import time

from neuroflux.domain import Microseconds


def wall() -> Microseconds:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000
