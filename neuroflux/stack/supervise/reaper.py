"""Kill what a supervisor leaves behind: ``python -IS reaper.py``, which reads process groups from standard input.

A line ``+N`` adds a group to kill when the input ends, ``-N`` removes it. The input ends with the supervisor, in any
way: so nothing outlives a ``kill -9``, not even children of children, and also if the kernel can't bind a child to its
parent.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys


class Reaper:
    """The supervisor's side: a separate process, restarted if it was lost."""

    def __init__(self) -> None:
        self._groups: set[int] = set()
        self._process = self._start()

    def track(self, group: int, alive: bool) -> None:
        """Report that a process group has started or ended."""
        (self._groups.add if alive else self._groups.discard)(group)
        try:
            self._send(f"{'+' if alive else '-'}{group}")
        except BrokenPipeError:
            self._process.kill()
            self._process.wait()
            self._process = self._start()
            self._send(*(f"+{one}" for one in self._groups))

    def close(self) -> None:
        """End it, which kills the remaining groups."""
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
