"""The wall clock, for the shells; the core is given the time."""

from __future__ import annotations

import time

from neuroflux.domain import Microseconds


def wall() -> Microseconds:
    """Microseconds since the epoch, UTC."""
    return time.time_ns() // 1_000
