"""The passwords of a secure local stack: one file in its home, created once, readable by its owner only."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from neuroflux.errors import UsageError

NAME = "credentials.json"
OTHERS = stat.S_IRWXG | stat.S_IRWXO


def credentials_path(home: Path) -> Path:
    return home.absolute() / NAME


def check_private(path: Path) -> None:
    """Raise UsageError if anyone but the owner has access to a file."""
    if path.stat().st_mode & OTHERS:
        raise UsageError(f"{path} holds secrets and is open to others: chmod 600 {path}")


def check_trusted(path: Path) -> None:
    """Raise UsageError if a file is another user's, or anyone may change it. Root trusts the files of every user."""
    found, us = path.stat(), os.geteuid()
    if (us and found.st_uid not in (us, 0)) or found.st_mode & stat.S_IWOTH:
        raise UsageError(f"{path.absolute()} is another user's, or anyone may change it: it is not read")


def read_credentials(home: Path) -> Mapping[str, str]:
    """Passwords by principal; empty where the stack of this home is not secure. Raises UsageError for an open file."""
    path = credentials_path(home)
    if not path.exists():
        return {}
    check_private(path)
    return msgspec.json.decode(path.read_bytes(), type=dict[str, str])


def make_credentials(home: Path, principals: Iterable[str]) -> Mapping[str, str]:
    """The existing passwords, with new ones for principals without one."""
    known = dict(read_credentials(home))
    missing = {name: secrets.token_urlsafe(24) for name in principals if name not in known}
    if missing:
        write_private(credentials_path(home), msgspec.json.encode(known | missing))
    return known | missing


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, atomically, even with several writers."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)
