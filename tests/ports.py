"""Ports that nobody has; for benchmarks too, whose environment has no pytest."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from random import SystemRandom

PORTS = range(15_000, 32_000)
"""Below those that Linux gives to connections: one of these could be taken before its service listens."""


def free_port(*offsets: int) -> int:
    """A port that is free, and so are those that lie above it by each of ``offsets``."""
    while True:
        first = SystemRandom().choice(PORTS)
        with ExitStack() as held:
            try:
                for offset in (0, *offsets):
                    held.enter_context(socket.create_server(("127.0.0.1", first + offset)))
            except OSError:
                continue
            return first
