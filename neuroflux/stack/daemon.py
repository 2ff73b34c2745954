"""The stack in the background: ``up`` starts a supervisor that outlives the command, ``down`` stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import msgspec
from msgspec import Struct

from neuroflux.errors import DiskFull, NeuroFluxError, StackError, UsageError
from neuroflux.runtime.credentials import make_credentials, read_credentials
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.stack import environment, home
from neuroflux.stack.access import PRINCIPALS
from neuroflux.stack.home import log_path
from neuroflux.stack.install.install import Report, install
from neuroflux.stack.plan import Venue
from neuroflux.stack.servers.kafka import is_made
from neuroflux.stack.supervise.service import Service, ServiceStatus, State
from neuroflux.stack.supervise.supervisor import Stack, infrastructure, preflight, stages

__all__ = ["down", "log_path", "status", "up"]

STOP_TIMEOUT = 60.0
POLL = 0.05


class Order(Struct, frozen=True):
    """The supervisor's arguments, as JSON. ``tell`` (for StartMessages) and ``tie`` are file descriptors; -1: none."""

    brokers: int
    seed: int
    pipeline: bool
    venue: Venue = Venue.SIMULATED
    tell: int = -1
    tie: int = -1


class StartMessage(Struct, frozen=True, omit_defaults=True):
    """One line from the supervisor to the command that started it."""

    progress: str = ""
    error: str = ""
    ready: bool = False


def to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def up(
    settings: Settings,
    *,
    brokers: int = 1,
    seed: int = 1,
    secure: bool = False,
    pipeline: bool = True,
    venue: Venue = Venue.SIMULATED,
    tie: int = -1,
    report: Report = to_stderr,
) -> None:
    """Start the stack and return when everything answers; raises StackError, with nothing left running, if it can't.

    Without ``pipeline`` only Kafka, registry and ClickHouse start. ``tie`` is the reading end of a pipe: the stack
    stops when the other end is closed, so that it does not outlive the process that holds it. ``secure``: Kafka with
    authentication and the ACLs of stack/access.py; it can't be changed for a home afterwards.
    """
    if secure:
        _secure(settings)
    order = Order(brokers, seed, pipeline, venue, tie=tie)
    services = _services(settings, order)
    lock = home.Lock(settings)
    lock.take()
    try:
        preflight(settings, services)
        install([part for one in services for part in one.downloads], settings.cache.absolute(), report)
    finally:
        lock.release()
    try:
        _spawn(settings, order, report)
    except KeyboardInterrupt:
        down(settings)
        raise


def _secure(settings: Settings) -> None:
    if is_made(settings.home) and not read_credentials(settings.home):
        raise UsageError(f"{settings.home} was made without --secure; set NEUROFLUX_HOME to another")
    make_credentials(settings.home, PRINCIPALS)


def _services(settings: Settings, order: Order) -> list[Service]:
    services = infrastructure(settings, order.brokers)
    return services + stages(settings, order.brokers, order.seed, order.venue) if order.pipeline else services


def _spawn(settings: Settings, order: Order, report: Report) -> None:
    log = log_path(settings, "supervisor")
    log.parent.mkdir(parents=True, exist_ok=True)
    read_end, write_end = os.pipe()
    started_with = msgspec.structs.replace(order, tell=write_end)
    with open(log, "ab", opener=_private) as output, os.fdopen(read_end) as lines:
        subprocess.run(
            (sys.executable, "-m", "neuroflux.stack.daemon", msgspec.json.encode(started_with).decode()),
            env=dict(os.environ) | environment.spelled_out(settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=(write_end,) if order.tie < 0 else (write_end, order.tie),
            check=True,
        )
        os.close(write_end)
        for line in lines:
            message = msgspec.json.decode(line, type=StartMessage)
            if message.ready:
                return
            if message.error:
                raise StackError(message.error)
            report(message.progress)
    raise StackError(f"the supervisor died; the reason is in {log}")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def down(settings: Settings) -> None:
    """Stop the stack that runs in this home, if any, and return when it has ended; no data is lost."""
    lock = home.Lock(settings)
    if not (supervisor := lock.holder()):
        return
    with suppress(ProcessLookupError):
        os.kill(supervisor, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT
    while lock.holder() == supervisor:
        if time.monotonic() > deadline:
            raise StackError(
                f"the supervisor (process {supervisor}) does not end; see {log_path(settings, 'supervisor')}"
            )
        time.sleep(POLL)


def status(settings: Settings) -> list[ServiceStatus]:
    """The services of the stack in this home; if it does not run, all are stopped, with the error that ended it."""
    saved = home.saved(settings)
    if home.Lock(settings).holder():
        return saved.services
    return [msgspec.structs.replace(one, state=State.STOPPED, pid=0, detail=saved.ended_by) for one in saved.services]


async def supervise(settings: Settings, order: Order) -> None:
    """Run the stack until SIGTERM or until the tie is cut; the waiting command gets the progress of the start."""
    stop_requested, loop = asyncio.Event(), asyncio.get_running_loop()
    stack = Stack(settings, services=_services(settings, order))
    starting = asyncio.ensure_future(stack.start(lambda line: _send(order.tell, StartMessage(progress=line))))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop_requested.set)
    if order.tie >= 0:
        loop.add_reader(order.tie, _cut, order.tie, stop_requested)
    ended = asyncio.ensure_future(stop_requested.wait())
    await asyncio.wait({starting, ended}, return_when=asyncio.FIRST_COMPLETED)
    if stop_requested.is_set():
        starting.cancel()
    ended.cancel()
    await starting
    _send(order.tell, StartMessage(ready=True))
    try:
        await stack.run_until(stop_requested)
    finally:
        await stack.stop()


def _cut(tie: int, stop_requested: asyncio.Event) -> None:
    asyncio.get_running_loop().remove_reader(tie)
    stop_requested.set()


def _send(pipe: int, message: StartMessage) -> None:
    with suppress(BrokenPipeError):  # the command no longer waits
        os.write(pipe, msgspec.json.encode(message) + b"\n")


def main() -> int:
    order = msgspec.json.decode(sys.argv[1], type=Order)
    if os.fork():
        os._exit(0)  # releases the waiting command; the supervisor is orphaned
    os.setsid()
    os.umask(0o077)  # for all services: only the owner may access what they write
    settings = load_settings()
    settings.home.chmod(0o700)
    try:
        asyncio.run(supervise(settings, order))
    except asyncio.CancelledError:
        _send(order.tell, StartMessage(error="stopped before it was ready"))
    except NeuroFluxError as error:
        if isinstance(error, DiskFull):
            home.give_reserve_up(settings)
        to_stderr(str(error))
        home.save(settings, home.saved(settings).services, ended_by=str(error))
        _send(order.tell, StartMessage(error=str(error)))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
