"""The local stack, started if none answers on this machine, and stopped with the process that started it."""

from __future__ import annotations

import os
import socket
from urllib.parse import urlsplit

from neuroflux.runtime.hosts import LOOPBACK
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon

TIMEOUT = 2.0
"""Seconds to wait for an address to answer."""


class OwnStack:
    """A local stack that runs until ``stop``, or until this process ends in any way."""

    def __init__(self, settings: Settings) -> None:
        """Start it, and return when everything answers; raises StackError if it can't start."""
        self._settings = settings
        tie, self._hold = os.pipe()
        try:
            daemon.up(settings, tie=tie)
        except BaseException:
            os.close(self._hold)
            raise
        finally:
            os.close(tie)

    def stop(self) -> None:
        """Stop it and return when it has ended; nothing is lost."""
        try:
            daemon.down(self._settings)
        finally:
            os.close(self._hold)


def find_or_start(settings: Settings) -> OwnStack | None:
    """Start a local stack; None if the stack of the settings answers, or is on another machine.

    Raises StackError if it can't start.
    """
    here = all(_is_local(host) for host, _ in _addresses(settings))
    return OwnStack(settings) if here and not answers(settings) else None


def answers(settings: Settings) -> bool:
    """Whether one of the brokers of the settings listens."""
    return any(_listens(host, port) for host, port in _addresses(settings))


def _addresses(settings: Settings) -> list[tuple[str, int]]:
    named = (urlsplit(f"//{one.strip()}") for one in settings.kafka.split(","))
    return [(one.hostname or "", one.port or 9092) for one in named]


def _is_local(host: str) -> bool:
    return host in LOOPBACK or host.startswith("127.")


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=TIMEOUT):
            return True
    except OSError:
        return False
