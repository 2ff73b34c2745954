"""Kill what a supervisor leaves behind: ``python -IS reaper.py``, told the process groups on standard input.

A line ``+N`` names a group to kill when the input ends, ``-N`` takes it back. The input ends when the supervisor does,
however it ended: so nothing outlives a ``kill -9`` also where the kernel offers no tie between parent and child, nor do
the children of children.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys


class Reaper:
    """The supervisor's side: a process beside it, replaced should it be gone."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process = self._start()

    def track(self, group: int, alive: bool) -> None:
        """Say that a process group has begun or ended."""
        (self._groups.add if alive else self._groups.discard)(group)
        try:
            self._send(f"{'+' if alive else '-'}{group}")
        except BrokenPipeError:
            self._process.kill()
            self._process.wait()
            self._process = self._start()
            self._send(*(f"+{one}" for one in self._groups))

    def close(self) -> None:
        """Let it go, which kills the groups that are left."""
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()
        self._process.wait()

    def _send(self, *lines: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("".join(f"{line}\n" for line in lines))
        self._process.stdin.flush()

    def _start(self) -> subprocess.Popen[str]:
        command = (sys.executable, "-IS", __file__)
        return subprocess.Popen(command, stdin=subprocess.PIPE, text=True, start_new_session=True)


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
