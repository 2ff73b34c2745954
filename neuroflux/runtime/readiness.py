"""How a stage reports its readiness to its supervisor: one byte into a pipe that it inherited."""

from __future__ import annotations

import os

READY_FD = "NEUROFLUX_READY_FD"
"""The environment variable with the number of the pipe's file descriptor, like the notification-fd of s6."""


def ready() -> None:
    """Report once that this process is ready; does nothing if no supervisor started it."""
    number = os.environ.pop(READY_FD, "")
    if not number:
        return
    try:
        os.write(int(number), b"\n")
    except BrokenPipeError:
        pass  # the supervisor has exited
    finally:
        os.close(int(number))
