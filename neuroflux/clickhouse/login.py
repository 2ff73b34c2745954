"""Authentication of our programs at the local ClickHouse: a login that the stack generates and stores in its home.

A secure stack has a password for each program (credentials.py); here all programs share one. It is in no environment
variable and on no command line: programs read it from the home when they connect.
"""

from __future__ import annotations

import secrets
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from neuroflux.runtime.credentials import check_private, write_private
from neuroflux.runtime.settings import Settings, with_user

NAME, USER = "clickhouse.url", "neuroflux"


def with_login(settings: Settings) -> str:
    """NEUROFLUX_CLICKHOUSE, with the home's login if it names no user and the login is for that address.

    Raises UsageError if anyone but the owner may read the login.
    """
    kept = _kept(settings.home)
    if _names_a_user(settings) or kept is None or _place(kept) != _place(urlsplit(settings.clickhouse)):
        return settings.clickhouse
    return with_user(settings.clickhouse, kept.username or "", kept.password or "")


def make_login(settings: Settings) -> None:
    """Store a login for this address, with the existing password or a new one; none if the setting names a user."""
    if _names_a_user(settings):
        return
    kept = _kept(settings.home)
    password = kept.password if kept is not None and kept.password else secrets.token_urlsafe(24)
    write_private(login_path(settings.home), with_user(settings.clickhouse, USER, password).encode())


def login_path(home: Path) -> Path:
    return home.absolute() / NAME


def _names_a_user(settings: Settings) -> bool:
    """``default`` does not count: it is the engine's internal user, without any rights."""
    return urlsplit(settings.clickhouse).username not in (None, "default")


def _kept(home: Path) -> SplitResult | None:
    path = login_path(home)
    if not path.exists():
        return None
    check_private(path)
    return urlsplit(path.read_text().strip())


def _place(url: SplitResult) -> tuple[str | None, int | None]:
    return url.hostname, url.port
