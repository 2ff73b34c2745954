"""A service of the supervisor: how it is started, when it is ready, and its status."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path

from msgspec import Struct

from neuroflux.stack.install.lockfile import Artifact

Check = Callable[[], Awaitable[bool]]
"""Whether the service answers, as a client would ask."""


class Readiness(StrEnum):
    """When a service is ready."""

    CHECK = "check"  # its check succeeds; the check is repeated while it runs
    NOTIFIES = "notifies"  # it calls neuroflux.runtime.readiness.ready()
    FINISHES = "finishes"  # its command has ended with 0: a one-time step


class State(StrEnum):
    WAITING = "waiting"  # for the services it needs
    STARTING = "starting"
    READY = "ready"
    UNHEALTHY = "unhealthy"  # runs but does not answer
    RESTARTING = "restarting"  # died; restarted after a pause
    FINISHED = "finished"
    STOPPED = "stopped"


class Port(Struct, frozen=True):
    """An address that a service listens on, and the setting to change when it is taken."""

    host: str
    number: int
    setting: str


class Service(Struct, frozen=True, kw_only=True):
    """One child process. ``env`` is its whole environment; times are in seconds."""

    name: str
    command: tuple[str, ...]
    readiness: Readiness
    env: Mapping[str, str]
    cwd: Path
    address: str = ""
    ports: tuple[Port, ...] = ()
    needs: tuple[str, ...] = ()
    downloads: tuple[Artifact, ...] = ()
    archive: Path | None = None  # of loaded classes, for a faster start: see class_archive
    check: Check | None = None
    prepare: Callable[[], None] | None = None  # writes its files; called before each start, in a thread
    start_timeout: float = 60.0
    stop_timeout: float = 15.0

    def __repr__(self) -> str:
        return f"Service({self.name!r})"  # its environment contains keys


class ServiceStatus(Struct, frozen=True):
    """A service in `neuroflux status`. ``pid`` is 0 while there is no process."""

    name: str
    address: str
    state: State
    pid: int = 0
    restarts: int = 0
    detail: str = ""
