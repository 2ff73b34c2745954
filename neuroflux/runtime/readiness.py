"""How a stage tells its supervisor that it is ready: one byte into a pipe that it was started with."""

from __future__ import annotations

import os

READY_FD = "NEUROFLUX_READY_FD"
"""The environment variable with the number of the pipe's file descriptor, as s6 has it with its notification-fd."""


def ready() -> None:
    """Say once that this process does its work now; does nothing where no supervisor started it."""
    number = os.environ.pop(READY_FD, "")
    if not number:
        return
    try:
        os.write(int(number), b"\n")
    except BrokenPipeError:
        pass  # the supervisor is gone: nobody waits
    finally:
        os.close(int(number))
