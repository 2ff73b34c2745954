"""Progress of a download: a bar on a terminal, else a line every 10 %."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from neuroflux.stack.install.install import Report


@contextmanager
def downloading(total: int, report: Report, console: Console | None = None) -> Iterator[Callable[[int], None]]:
    """A function to report downloaded bytes to, from any thread; ``total`` is in bytes."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(total, report).advance
        return
    columns = TextColumn("downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)


class _Lines:
    def __init__(self, total: int, report: Report) -> None:
        self._total, self._report, self._done, self._reported, self._lock = total, report, 0, -1, Lock()

    def advance(self, count: int) -> None:
        with self._lock:
            self._done += count
            tenth = 10 * self._done // self._total
            if tenth > self._reported:
                self._reported = tenth
                self._report(f"downloading the local stack: {10 * tenth} % of {self._total / 1e6:.0f} MB")
