"""Confinement of a process to files and ports by Landlock: Linux supports files since 5.13, TCP since 6.7.

Sources: https://docs.kernel.org/userspace-api/landlock.html and the kernel's ``include/uapi/linux/landlock.h``. What is
not listed is refused by the kernel, for this thread and everything it starts afterwards.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""The system calls; the numbers are the same on every architecture."""
_VERSION: Final = 1
_BENEATH, _PORT = 1, 2
_NO_NEW_PRIVILEGES: Final = 38

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
TRUNCATE = 1 << 14
_OF_FILES: Final = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
_RIGHTS: Final = ((1, 13), (2, 14), (3, 15), (5, 16))
"""Landlock version, and the number of file rights since that version."""
TCP_SINCE: Final = 4
BIND, CONNECT = 1 << 0, 1 << 1


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


class _Port(ctypes.Structure):
    _fields_ = (("allowed", ctypes.c_uint64), ("port", ctypes.c_uint64))


def version() -> int:
    """The version of this kernel's Landlock, 0 if none. TCP can be refused from ``TCP_SINCE`` on."""
    return max(_call(_CREATE, None, 0, _VERSION, may_fail=True), 0) if sys.platform == "linux" else 0


def confine(
    readable: Iterable[Path], writable: Iterable[Path], binds: Iterable[int] = (), connects: Iterable[int] = ()
) -> int:
    """Refuse this thread all files except these (with their contents), and all TCP ports except these.

    Paths that do not exist are ignored. Returns the ``version`` that enforces this; 0: nothing is refused. Raises
    OSError if the kernel has Landlock but rejects the rules.
    """
    if not (known := version()):
        return 0
    every = (1 << max(count for since, count in _RIGHTS if since <= known)) - 1
    ruleset = _Ruleset(every, BIND | CONNECT if known >= TCP_SINCE else 0)
    size = ctypes.sizeof(ruleset) if known >= TCP_SINCE else 8
    rules = _call(_CREATE, ctypes.byref(ruleset), size, 0)
    try:
        for path in readable:
            _allow(rules, path, EXECUTE | READ_FILE | READ_DIR)
        for path in writable:
            _allow(rules, path, every)
        if known >= TCP_SINCE:
            _allow_ports(rules, binds, BIND)
            _allow_ports(rules, connects, CONNECT)
        _no_new_privileges()
        _call(_RESTRICT, rules, 0)
    finally:
        os.close(rules)
    return known


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    allowed = rights if path.is_dir() else rights & _OF_FILES
    _call(_ADD, rules, _BENEATH, ctypes.byref(_Beneath(allowed, place)), 0)  # never closed: /proc creates new inodes


def _allow_ports(rules: int, ports: Iterable[int], right: int) -> None:
    for port in ports:
        _call(_ADD, rules, _PORT, ctypes.byref(_Port(right, port)), 0)


def _no_new_privileges() -> None:
    if _libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_NO_NEW_PRIVS)")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(number: int, *arguments: object, may_fail: bool = False) -> int:
    done = int(_libc().syscall(number, *arguments))
    if done < 0 and not may_fail:
        error = ctypes.get_errno()
        raise OSError(error, f"Landlock: {os.strerror(error)}")
    return done
