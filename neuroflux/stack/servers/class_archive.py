"""Create the archives of loaded classes that halve the start of the Java services: once, in a temporary stack.

Java writes the archive (JEP 514) at the end of a run that was started with the right flag: the classes it loaded.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from msgspec import structs

from neuroflux.errors import DiskFull, StackError
from neuroflux.runtime.settings import Settings
from neuroflux.stack.install.install import Report, alone
from neuroflux.stack.plan import infrastructure
from neuroflux.stack.servers.jvm import READ, WRITE
from neuroflux.stack.supervise.service import Service
from neuroflux.stack.supervise.supervisor import Stack

FOLDER = "training-"
WRITING = 120.0
"""Seconds to wait for Java to write an archive when it ends."""


def untrained(services: Iterable[Service]) -> bool:
    """Whether an archive is missing."""
    return any(service.archive and not service.archive.exists() for service in services)


async def train(settings: Settings, report: Report) -> None:
    """Run Kafka and the registry, at the addresses of ``settings``, until topics and schemas exist, and stop them.

    A failure is reported and not retried: an empty archive is left, which Java ignores.
    """
    cache = settings.cache.absolute()
    with ExitStack() as held:
        await asyncio.to_thread(held.enter_context, alone(cache, report))
        for left in cache.glob(f"{FOLDER}*"):  # left by a run that was killed
            shutil.rmtree(left)
        folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix=FOLDER, dir=cache)))
        thrown_away = settings.model_copy(update={"home": folder})
        services = infrastructure(thrown_away)
        if untrained(services):
            report("preparing Java for faster starts: once, about half a minute")
            await _run_once(Stack(thrown_away, services=[writing(one, folder) for one in services]), report)
            for archive in {one.archive for one in services if one.archive}:
                (folder / archive.name).touch()
                (folder / archive.name).replace(archive)


async def _run_once(stack: Stack, report: Report) -> None:
    try:
        await stack.start()
        await stack.stop()
    except DiskFull:
        raise
    except StackError as error:
        report(f"Java could not be prepared, so its starts remain slower: {error}")


def writing(service: Service, folder: Path) -> Service:
    """The same service, writing the archive into ``folder`` instead of reading it."""
    if not service.archive:
        return service
    output = f"{WRITE}{folder / service.archive.name}"
    command = tuple(output if part.startswith(READ) else part for part in service.command)
    return structs.replace(service, command=command, archive=None, stop_timeout=WRITING)
