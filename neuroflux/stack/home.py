"""Files of a running stack under NEUROFLUX_HOME for other processes: a lock, its state, and logs."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
from msgspec import Struct

from neuroflux.errors import DiskFull, StackError
from neuroflux.runtime.settings import Settings
from neuroflux.stack.supervise.service import ServiceStatus

ROOM_TO_START = 1 << 30
ROOM_TO_RUN = 256 << 20
"""Bytes that must be free."""


RESERVE = 1 << 20
"""Bytes that a running stack reserves, so that it can still write why it ended when the disk is full."""


class Saved(Struct, frozen=True):
    """The state file. ``ended_by`` is the error that ended the stack, "" while it runs or if it was stopped."""

    services: list[ServiceStatus]
    ended_by: str = ""


def run_folder(settings: Settings) -> Path:
    return settings.home.absolute() / "run"


def log_path(settings: Settings, name: str) -> Path:
    """The log of a service; ``supervisor`` is the supervisor's own."""
    return settings.home.absolute() / "logs" / f"{name}.log"


def check_room(folder: Path, needed: int) -> None:
    """Raise DiskFull unless ``needed`` bytes are free where ``folder`` is, or will be."""
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < needed:
        raise DiskFull(
            f"{free >> 20} MiB left under {folder}, {needed >> 20} are needed; free some, or set NEUROFLUX_HOME"
        )


@contextmanager
def full_disk_is_clear(folder: Path, setting: str) -> Iterator[None]:
    """Turn an OSError for a full disk into DiskFull; ``setting`` is the setting to change."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(f"no space left under {folder}; free some, or set {setting}") from error
        raise


class Lock:
    """Held by the supervisor of a home, and released by the kernel when its process ends in any way."""

    def __init__(self, settings: Settings) -> None:
        self._path = run_folder(settings) / "stack.lock"
        self._home = settings.home
        self._file: IO[str] | None = None

    def take(self) -> None:
        """Raises StackError if another process holds it."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = self._path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise StackError(
                f"a stack is already running in {self._home} (process {self.holder()}); `neuroflux down` stops it"
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def holder(self) -> int:
        """The process that holds it, 0 if none does."""
        if not self._path.exists():
            return 0
        with self._path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
        return 0


def hold_reserve(settings: Settings) -> None:
    _reserve(settings).write_bytes(bytes(RESERVE))


def give_reserve_up(settings: Settings) -> None:
    _reserve(settings).unlink(missing_ok=True)


def _reserve(settings: Settings) -> Path:
    return run_folder(settings) / "reserve"


def save(settings: Settings, services: Sequence[ServiceStatus], ended_by: str = "") -> None:
    """Replace the state file atomically, so that no reader sees a part of it."""
    path = _state(settings)
    new = path.with_suffix(".new")
    new.write_bytes(msgspec.json.encode(Saved(list(services), ended_by)))
    new.replace(path)


def saved(settings: Settings) -> Saved:
    """The newest saved state; empty if no stack was ever started."""
    path = _state(settings)
    return msgspec.json.decode(path.read_bytes(), type=Saved) if path.exists() else Saved([])


def _state(settings: Settings) -> Path:
    return run_folder(settings) / "stack.json"
