"""The stack: services started in order of their dependencies, restarted when they die, stopped in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from typing import Any

from neuroflux.errors import DiskFull, PortTaken, StackError
from neuroflux.runtime.settings import Settings
from neuroflux.stack import home
from neuroflux.stack.control import Control
from neuroflux.stack.install.install import Report, install
from neuroflux.stack.plan import infrastructure, stages
from neuroflux.stack.supervise.child import Child
from neuroflux.stack.supervise.ports import check_ports
from neuroflux.stack.supervise.reaper import Reaper
from neuroflux.stack.supervise.service import Service, ServiceStatus, State

__all__ = ["Stack", "infrastructure", "preflight", "stages"]

DEATHS = 3
"""Number of deaths of a service that end a start."""
BACK_OFF, LONGEST = 0.5, 30.0
"""Seconds before the first restart, doubled each time up to the longest."""
FORGIVEN = 10.0
"""Seconds that a service must run to reset its count of deaths: one that can't start dies sooner."""
ROOM_CHECK = 5.0
"""Seconds between two checks of the disk."""
REMAINS = 5.0
"""Seconds to wait for killed processes to end and free their ports."""


def preflight(settings: Settings, services: Sequence[Service]) -> None:
    """Raise PortTaken or DiskFull if a start can only fail."""
    home.check_room(settings.home.absolute(), home.ROOM_TO_START)
    remains = any(one.pid for one in home.saved(settings).services)  # of a supervisor that was killed
    deadline = time.monotonic() + (REMAINS if remains else 0)
    while True:
        try:
            return check_ports(services)
        except PortTaken:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.05)


class Stack:
    """A supervisor. The thread that starts it must live as long: its children die with that thread.

    ``services`` are by default the infrastructure and the stages of the local pipeline.
    """

    def __init__(self, settings: Settings, *, brokers: int = 1, services: Sequence[Service] | None = None) -> None:
        self._settings = settings
        if services is None:
            services = infrastructure(settings, brokers) + stages(settings, brokers)
        self._services = services
        self._lock = home.Lock(settings)
        self._children = {
            one.name: Child(one, home.log_path(settings, one.name), self._save, self._track) for one in self._services
        }
        self._tasks: list[asyncio.Task[None]] = []
        self._reaper: Reaper | None = None
        self._up = False
        self._control = Control(settings, self.renew)

    def status(self) -> list[ServiceStatus]:
        return [child.status for child in self._children.values()]

    async def start(self, on_progress: Report = lambda line: None) -> None:
        """Return when everything answers; raises a StackError, with everything stopped again, if it can't."""
        self._lock.take()
        try:
            await asyncio.to_thread(preflight, self._settings, self._services)
            home.hold_reserve(self._settings)
            work = [artifact for service in self._services for artifact in service.downloads]
            await asyncio.to_thread(install, work, self._settings.cache.absolute(), on_progress)
            from neuroflux.stack.servers.class_archive import train, untrained

            if untrained(self._services):
                await train(self._settings, on_progress)
            self._reaper = Reaper()
            self._tasks = [
                asyncio.create_task(self._supervise(child, on_progress)) for child in self._children.values()
            ]
            self._tasks.append(asyncio.create_task(self._watch_room()))
            await self._unless_failed(self._all_ready(self._children))
            self._up = True
            await self._control.open()
        except BaseException:
            await self.stop()
            raise

    async def run_until(self, event: asyncio.Event) -> None:
        """Return when the event is set; raises the StackError that ends the stack before that, without stopping it."""
        await self._unless_failed(event.wait())

    async def renew(self, variables: Mapping[str, Mapping[str, str]]) -> Sequence[str]:
        """Add variables to the environments of services, by name; returns the services that were restarted, once ready.

        Raises the StackError that ends the stack.
        """
        changed = [child for name, child in self._children.items() if child.renew(variables.get(name, {}))]
        await asyncio.gather(*(child.stop() for child in changed))
        names = [child.service.name for child in changed]
        await self._unless_failed(self._all_ready(names))
        return names

    async def stop(self) -> None:
        """Stop each service after those that need it. Their data stays under NEUROFLUX_HOME."""
        await self._control.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        stopping: dict[str, asyncio.Task[None]] = {}
        for name in self._children:
            stopping[name] = asyncio.create_task(self._stop(name, stopping))
        await asyncio.gather(*stopping.values())
        if self._reaper:
            self._reaper.close()
            self._reaper = None
        self._lock.release()

    async def _stop(self, name: str, stopping: dict[str, asyncio.Task[None]]) -> None:
        await asyncio.gather(*(stopping[other.name] for other in self._services if name in other.needs))
        await self._children[name].stop()

    async def _all_ready(self, names: Iterable[str]) -> None:
        for name in names:
            await self._children[name].ready.wait()

    async def _unless_failed(self, work: Coroutine[Any, Any, Any]) -> None:
        """Wait for ``work``, or raise the error that ended one of the supervising tasks."""
        waiting = asyncio.ensure_future(work)
        wait: set[asyncio.Task[Any]] = {waiting, *self._tasks}
        try:
            while not waiting.done():
                done, wait = await asyncio.wait(wait, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    async def _supervise(self, child: Child, report: Report) -> None:
        await self._all_ready(child.service.needs)
        deaths = 0
        while True:
            began, child.renewed = time.monotonic(), False
            try:
                reason = await self._run_once(child, report)
            except DiskFull:
                raise
            except StackError as error:
                await child.stop()
                reason = str(error)
                if not self._up and deaths + 1 >= DEATHS:
                    raise
            if child.status.state is State.FINISHED:
                return
            if child.renewed:
                continue
            deaths = 1 if time.monotonic() - began > FORGIVEN else deaths + 1
            child.restarts += 1
            child.set_state(State.RESTARTING, reason)
            await asyncio.sleep(min(BACK_OFF * 2 ** (deaths - 1), LONGEST))

    async def _run_once(self, child: Child, report: Report) -> str:
        """Run it once and return why it must be restarted; raises StackError if it did not become ready."""
        began = time.monotonic()
        with home.full_disk_is_clear(self._settings.home, "NEUROFLUX_HOME"):
            await child.launch()
            if not self._up:
                report(f"{child.service.name} is ready after {time.monotonic() - began:.1f} s")
            return "" if child.status.state is State.FINISHED else await child.watch()

    async def _watch_room(self) -> None:
        while True:
            await asyncio.sleep(ROOM_CHECK)
            home.check_room(self._settings.home.absolute(), home.ROOM_TO_RUN)

    def _track(self, group: int, alive: bool) -> None:
        assert self._reaper is not None
        self._reaper.track(group, alive)

    def _save(self) -> None:
        # The services must be stopped on a full disk too; the disk check reports it.
        with contextlib.suppress(OSError):
            home.save(self._settings, self.status())
