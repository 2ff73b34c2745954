"""Records at which this process died: after the second time they are told as unreadable, and no longer read.

What is wrong with a record is an error, and its reader goes on. But a fault in the library that reads it, in C, ends
the process, and the next one would begin with the same record. So the place of the record that is being read stands in
a file, which outlives the process: the next of its name (``NEUROFLUX_INSTANCE``) finds there at what this one died.
The file is written without a wait for the disk, which takes a microsecond; a process that reads nothing just now leaves
it blank, so whatever else ends it blames no record.
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
"""So often a process may die at a record."""
MOST_PLACES: Final = 1_000
_WIDTH: Final = 128
_BLANK: Final = b" " * _WIDTH

log = logging.getLogger(__name__)


class Deaths:
    """``file`` is open to be written, or None where nobody takes over from this process."""

    def __init__(self, file: int | None = None, deadly: frozenset[str] = frozenset()) -> None:
        self._file, self._deadly = file, deadly

    def begin(self, message: Any) -> str:
        """Say what is read next; or why it must not be."""
        if self._file is None:
            return ""
        place = f"{message.topic} {message.partition} {message.offset}"
        if place in self._deadly:
            return f"it was not read: the process died at it {MOST} times"
        self._write(self._file, place.encode().ljust(_WIDTH))
        return ""

    def end(self) -> None:
        """Nothing is being read any more."""
        if self._file is not None:
            self._write(self._file, _BLANK)

    @staticmethod
    def _write(file: int, place: bytes) -> None:
        with suppress(OSError):  # a full disk ends the stack in its own way
            os.pwrite(file, place, 0)


def deaths_of(settings: Settings) -> Deaths:
    """Of the processes of this name so far."""
    home = settings.home.absolute()
    return _opened(home / "run", settings.instance) if settings.instance and home.is_dir() else Deaths()


@cache
def _opened(folder: Path, name: str) -> Deaths:
    """Once a process: what stands in the file then is its predecessor's."""
    try:
        folder.mkdir(exist_ok=True)
        file = os.open(folder / f"{name}.reading", os.O_RDWR | os.O_CREAT, 0o600)
        counted = _counted(folder / f"{name}.deaths.json", os.pread(file, _WIDTH, 0).decode(errors="replace").strip())
        os.pwrite(file, _BLANK, 0)
    except OSError as error:
        log.warning("records at which this process dies are not remembered: %s", error)
        return Deaths()
    return Deaths(file, frozenset(place for place, count in counted.items() if count >= MOST))


def _counted(path: Path, last: str) -> Mapping[str, int]:
    """How often a process died at each record. One that did not die while it read has shown that it can."""
    counts: dict[str, int] = {}
    with suppress(OSError, msgspec.MsgspecError):
        counts = msgspec.json.decode(path.read_bytes(), type=dict[str, int])
    kept = counts if last else {place: count for place, count in counts.items() if count >= MOST}
    if last:
        kept = {**{place: count for place, count in kept.items() if place != last}, last: kept.get(last, 0) + 1}
        log.error("the process before this one died as it read %s, for the %d. time", last, kept[last])
    kept = dict(list(kept.items())[-MOST_PLACES:])
    if kept != counts:
        fresh = path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(kept))
        fresh.replace(path)
    return kept
