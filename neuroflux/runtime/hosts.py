"""What this machine is called by those that run on it."""

from typing import Final

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
