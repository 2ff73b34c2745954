"""Free ports; without pytest, because benchmarks use them too."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from random import SystemRandom

PORTS = range(15_000, 32_000)
"""Below the ephemeral ports of Linux: one of those could be used before its service listens."""


def free_port(*offsets: int) -> int:
    """A free port whose ports plus each of ``offsets`` are free too."""
    while True:
        first = SystemRandom().choice(PORTS)
        with ExitStack() as held:
            try:
                for offset in (0, *offsets):
                    held.enter_context(socket.create_server(("127.0.0.1", first + offset)))
            except OSError:
                continue
            return first
