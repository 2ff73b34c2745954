"""Check that the ports of a stack are free, before anything starts."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable
from contextlib import ExitStack

from neuroflux.errors import PortTaken, UsageError
from neuroflux.stack.supervise.service import Port, Service


def check_ports(services: Iterable[Service]) -> None:
    """Listen on every port for a moment; raises PortTaken for the first that another program (or service) uses."""
    with ExitStack() as held:
        for service in services:
            for port in service.ports:
                held.enter_context(_listen(service.name, port))


def _listen(service: str, port: Port) -> socket.socket:
    try:
        return socket.create_server((port.host, port.number), family=_family(port), reuse_port=False)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(port.number, service, port.setting) from error
        why = (error.strerror or str(error)).partition(" (")[0]  # without repeating the address
        raise UsageError(f"{port.setting}: can't listen on {port.host}:{port.number}: {why}") from error


def _family(port: Port) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in port.host else socket.AF_INET
