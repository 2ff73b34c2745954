"""Handover of keys to a running stack: over a socket in its home, and to its services only by their environment.

The socket is a file that only its owner may open. Nothing that is received on it is written to disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from neuroflux.errors import NeuroFluxError, StackError, Unreachable
from neuroflux.runtime.settings import Settings
from neuroflux.stack.environment import without_keys
from neuroflux.stack.home import run_folder

SIGNING = ("account", "execution")
"""The services that sign requests: only these get keys."""
INFORMED = ("market",)
"""Services that need the other settings of an exchange, such as its testnet."""
LIMIT = 1 << 16
"""Bytes of one message."""

Renew = Callable[[Mapping[str, Mapping[str, str]]], Awaitable[Sequence[str]]]
"""Takes variables by service, restarts the services that they change, and returns their names once they are ready."""

log = logging.getLogger(__name__)


class Handover(Struct, frozen=True):
    """Variables for the services of the stack that serves ``kafka``; keys are among them."""

    kafka: str
    variables: dict[str, str]

    def __repr__(self) -> str:
        return f"Handover({self.kafka!r}, ***)"


class HandoverAnswer(Struct, frozen=True, omit_defaults=True):
    """The result of a handover: the services that were restarted, or why it failed."""

    renewed: tuple[str, ...] = ()
    error: str = ""


def socket_path(settings: Settings) -> Path:
    return run_folder(settings) / "control.sock"


# ── the stack's side ─────────────────────────────────────────────────────────────────────────────────────────────


class Control:
    """Accepts handovers, one at a time, from ``open`` to ``close``."""

    def __init__(self, settings: Settings, renew: Renew) -> None:
        self._settings, self._renew = settings, renew
        self._server: asyncio.Server | None = None
        self._one = asyncio.Lock()

    async def open(self) -> None:
        """Listen; if the home's path is too long for a socket, log that and continue without."""
        path = socket_path(self._settings)
        path.unlink(missing_ok=True)  # of a supervisor that was killed: the lock is ours
        try:
            listening = _private_socket(path)
        except OSError as error:
            log.warning("keys can't be passed to this stack while it runs: %s: %s", path, error)
            return
        self._server = await asyncio.start_unix_server(self._serve, sock=listening, limit=LIMIT)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            socket_path(self._settings).unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            answer = await self._take(await reader.readline())
            writer.write(msgspec.json.encode(answer) + b"\n")
            await writer.drain()
        except (ConnectionError, ValueError) as error:  # a line without end is a ValueError
            log.warning("a handover was not received completely: %s", type(error).__name__)
        finally:
            writer.close()

    async def _take(self, line: bytes) -> HandoverAnswer:
        try:
            handover = msgspec.json.decode(line, type=Handover)
        except msgspec.DecodeError:
            return HandoverAnswer(error="not a handover")
        if handover.kafka != self._settings.kafka:
            return HandoverAnswer(error=f"the stack in this home serves {self._settings.kafka}, not {handover.kafka}")
        try:
            async with self._one:
                return HandoverAnswer(tuple(await self._renew(by_service(handover.variables))))
        except NeuroFluxError as error:
            return HandoverAnswer(error=str(error))


def by_service(variables: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The variables of each service."""
    ours = {name: value for name, value in variables.items() if name.startswith("NEUROFLUX_")}
    return dict.fromkeys(SIGNING, ours) | dict.fromkeys(INFORMED, without_keys(ours))


def _private_socket(path: Path) -> socket.socket:
    """A bound socket that only its owner can open, from its creation on."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listening.bind(str(path))
    except BaseException:
        listening.close()
        raise
    finally:
        os.umask(mask)
    return listening


# ── the manager's side ───────────────────────────────────────────────────────────────────────────────────────────


def is_here(settings: Settings) -> bool:
    """Whether the stack of these settings runs in their home, so that keys can be passed to it."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as trying:
        try:
            trying.connect(str(socket_path(settings)))
        except OSError:  # nothing listens, or the path is too long for a socket
            return False
    return True


async def hand_over(settings: Settings, variables: Mapping[str, str], timeout: float) -> Sequence[str]:
    """Pass variables to the running stack; returns the services that were restarted, once they are ready.

    Raises Unreachable if no stack of this home answers in time, StackError if the handover failed.
    """
    try:
        async with asyncio.timeout(timeout):
            line = await _request(socket_path(settings), Handover(settings.kafka, dict(variables)))
    except (OSError, TimeoutError) as error:  # a TimeoutError is an OSError without a text
        raise Unreachable(f"the stack did not accept the handover: {error or 'no answer in time'}") from None
    answer = msgspec.json.decode(line, type=HandoverAnswer) if line else HandoverAnswer(error="it was stopped")
    if answer.error:
        raise StackError(f"the stack did not accept the handover: {answer.error}")
    return answer.renewed


async def _request(path: Path, handover: Handover) -> bytes:
    reader, writer = await asyncio.open_unix_connection(str(path), limit=LIMIT)
    try:
        writer.write(msgspec.json.encode(handover) + b"\n")
        return await reader.readline()
    finally:
        writer.close()
