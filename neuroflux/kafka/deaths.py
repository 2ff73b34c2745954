"""Records that crashed this process: after the second crash they are reported as unreadable, and no longer decoded.

An invalid record is an error, and its reader continues. But a fault in the decoding library, in C, ends the process,
and its successor would begin with the same record. So the position of the record that is being decoded is written to a
file: the next process of the same name (``NEUROFLUX_INSTANCE``) finds there which record crashed this one. The file is
written without waiting for the disk, which takes a microsecond. While nothing is being decoded it is blank, so that a
crash for any other reason blames no record. A record that hangs the process crashes it too: runtime/watchdog.py ends
a process that is blocked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec

from neuroflux.runtime.settings import Settings

MOST: Final = 2
"""How often a record may crash the process."""
MOST_PLACES: Final = 1_000
_WIDTH: Final = 128
_BLANK: Final = b" " * _WIDTH

log = logging.getLogger(__name__)


class Deaths:
    """The crash record of this process; ``file`` is open for writing, or None if the process has no successor."""

    def __init__(self, file: int | None = None, deadly: frozenset[str] = frozenset()) -> None:
        self._file, self._deadly = file, deadly

    def begin(self, message: Any) -> str:
        """Note the record that is decoded next; returns why it must not be decoded, or ""."""
        if self._file is None:
            return ""
        place = f"{message.topic} {message.partition} {message.offset}"
        if place in self._deadly:
            return f"not decoded: it crashed the process {MOST} times"
        self._write(self._file, place.encode().ljust(_WIDTH))
        return ""

    def end(self) -> None:
        """Note that no record is being decoded."""
        if self._file is not None:
            self._write(self._file, _BLANK)

    @staticmethod
    def _write(file: int, place: bytes) -> None:
        with suppress(OSError):  # a full disk is reported by the stack itself
            os.pwrite(file, place, 0)


def deaths_of(settings: Settings) -> Deaths:
    """The crash record of the processes of this name."""
    home = settings.home.absolute()
    return _opened(home / "run", settings.instance) if settings.instance and home.is_dir() else Deaths()


@cache
def _opened(folder: Path, name: str) -> Deaths:
    """Opened once per process: the file then holds its predecessor's position."""
    try:
        folder.mkdir(exist_ok=True)
        file = os.open(folder / f"{name}.reading", os.O_RDWR | os.O_CREAT, 0o600)
        counted = _counted(folder / f"{name}.deaths.json", os.pread(file, _WIDTH, 0).decode(errors="replace").strip())
        os.pwrite(file, _BLANK, 0)
    except OSError as error:
        log.warning("records that crash this process can't be noted: %s", error)
        return Deaths()
    return Deaths(file, frozenset(place for place, count in counted.items() if count >= MOST))


def _counted(path: Path, last: str) -> Mapping[str, int]:
    """How often each record crashed a process. If the last process did not crash at one, single crashes are dropped."""
    counts: dict[str, int] = {}
    with suppress(OSError, msgspec.MsgspecError):
        counts = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    kept = counts if last else {place: count for place, count in counts.items() if count >= MOST}
    if last:
        kept = {**{place: count for place, count in kept.items() if place != last}, last: kept.get(last, 0) + 1}
        log.error("the previous process crashed while it decoded %s (crash number %d)", last, kept[last])
    kept = dict(list(kept.items())[-MOST_PLACES:])
    if kept != counts:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(path)
    return kept
