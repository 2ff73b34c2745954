"""Ends a process whose event loop is blocked, so that its supervisor restarts it: a stage that hangs reads nothing.

The timer runs on a thread without Python code, so it also ends a process that a library in C blocks. The tracebacks of
all threads are written to the log first.
"""

from __future__ import annotations

import asyncio
import faulthandler
from typing import Final

BLOCKED_SECONDS: Final = 60.0
"""Far more than the longest work between two awaits, also while a whole log is read again on a busy machine."""
_RENEWALS: Final = 12
"""How often the timer is renewed within that time."""


async def end_if_blocked(seconds: float = BLOCKED_SECONDS) -> None:
    """Renew the timer until cancelled; where the loop does not run for ``seconds``, the process exits with 1."""
    try:
        while True:
            faulthandler.dump_traceback_later(seconds, exit=True)
            await asyncio.sleep(seconds / _RENEWALS)
    finally:
        faulthandler.cancel_dump_traceback_later()
