"""One service as a child process: started, waited for, watched, stopped."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from neuroflux.errors import DiskFull, StackError
from neuroflux.runtime.readiness import READY_FD
from neuroflux.stack.supervise import die_with_parent
from neuroflux.stack.supervise.service import Readiness, Service, ServiceStatus, State

POLL = 0.1
WATCH = 5.0
"""Seconds between two checks of a running service."""
PATIENCE = 10.0
"""Seconds to wait for one check."""
MISSES = 3
"""Number of failed checks in a row after which it is restarted."""
LOG_LIMIT = 20 << 20
"""Bytes of log from earlier starts above which the log is rotated."""
TAIL = 16384

Changed = Callable[[], None]
Track = Callable[[int, bool], None]
"""Receives a process group, and whether it is alive."""


class Child:
    """The process of one service, and its status. Not thread-safe."""

    def __init__(self, service: Service, log: Path, changed: Changed, track: Track) -> None:
        self.service = service
        self.restarts = 0
        self.renewed = False
        self.ready = asyncio.Event()
        self._log, self._changed, self._track = log, changed, track
        self._state, self._detail = State.WAITING, ""
        self._process: Process | None = None
        self._alive = False
        self._log_start = 0

    @property
    def status(self) -> ServiceStatus:
        pid = self._process.pid if self._process and self._alive else 0
        return ServiceStatus(self.service.name, self.service.address, self._state, pid, self.restarts, self._detail)

    def renew(self, variables: Mapping[str, str]) -> bool:
        """Use these variables from the next start on; returns whether they change anything (then ``stop`` it)."""
        env = {**self.service.env, **variables}
        if env == self.service.env:
            return False
        self.service = replace(self.service, env=env)
        self.renewed = True
        self.ready.clear()
        return True

    def set_state(self, state: State, detail: str = "") -> None:
        self._state, self._detail = state, detail
        self._changed()

    async def launch(self) -> None:
        """Start it and wait until it is ready; raises StackError if it ends or does not become ready."""
        self.set_state(State.STARTING)
        if self.service.prepare:
            await asyncio.to_thread(self.service.prepare)
        notified, notify = os.pipe()
        try:
            await self._spawn(notify)
            os.close(notify)
            notify = -1
            await self._until_ready(notified)
        finally:
            for end in (notified, notify):
                if end >= 0:
                    os.close(end)
        self.set_state(State.FINISHED if self.service.readiness is Readiness.FINISHES else State.READY)
        self.ready.set()

    async def _spawn(self, notify: int) -> None:
        log = self._open_log()
        command = (sys.executable, "-IS", die_with_parent.__file__, str(os.getpid()), *self.service.command)
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *command,
                cwd=self.service.cwd,
                env={**self.service.env, READY_FD: str(notify)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(notify,),
                start_new_session=True,  # the supervisor handles Ctrl-C and stops the services in order
            )
        )
        try:
            await asyncio.shield(starting)
        finally:
            self._process = await starting  # also if cancelled: every process is tracked
            os.close(log)
            self._alive = True
            self._track(self._process.pid, True)
        self._changed()

    def _open_log(self) -> int:
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".old.log"))
        log = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._log_start = os.fstat(log).st_size
        return log

    async def _until_ready(self, notified: int) -> None:
        ended = asyncio.ensure_future(self._ended())
        ready: asyncio.Future[Any] = ended
        if self.service.readiness is Readiness.CHECK:
            ready = asyncio.ensure_future(self._answers())
        elif self.service.readiness is Readiness.NOTIFIES:
            ready = asyncio.ensure_future(_byte(notified))
        try:
            await asyncio.wait({ended, ready}, timeout=self.service.start_timeout, return_when=asyncio.FIRST_COMPLETED)
            if ended.done() and (ready is not ended or ended.result()):
                raise self._failure(f"{self.service.name} ended {_exit_text(ended.result())} before it was ready")
            if not ready.done():
                raise self._failure(f"{self.service.name} is not ready after {self.service.start_timeout:.0f} s")
            ready.result()
        finally:
            for task in {ended, ready}:
                task.cancel()
            await asyncio.gather(ended, ready, return_exceptions=True)

    async def _answers(self) -> None:
        assert self.service.check is not None
        while not await self.service.check():  # noqa: ASYNC110  # another process has no event to wait for
            await asyncio.sleep(POLL)

    async def _ended(self) -> int:
        assert self._process is not None
        code = await self._process.wait()
        self._end_group(self._process)
        return code

    async def watch(self) -> str:
        """Return why it must be restarted: it ended, or stopped answering (and was stopped)."""
        ended, misses = asyncio.ensure_future(self._ended()), 0
        try:
            while not (await asyncio.wait({ended}, timeout=WATCH))[0]:
                misses = 0 if await self._healthy() else misses + 1
                if misses and not ended.done():
                    self.set_state(State.UNHEALTHY, f"did not answer {misses} times")
                elif self._state is State.UNHEALTHY:
                    self.set_state(State.READY)
                if misses == MISSES:
                    await self.stop()
                    return "did not answer"
            self._raise_if_disk_full()
            return f"ended {_exit_text(ended.result())}"
        finally:
            ended.cancel()

    async def _healthy(self) -> bool:
        if not self.service.check:
            return True
        try:
            async with asyncio.timeout(PATIENCE):
                return await self.service.check()
        except TimeoutError:
            return False

    async def stop(self) -> None:
        """Terminate it, and kill it after ``stop_timeout``. Its whole process group has ended when this returns."""
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            try:
                async with asyncio.timeout(self.service.stop_timeout):
                    await self._process.wait()
            except TimeoutError:
                _kill_group(self._process.pid)
        if self._process:
            await self._ended()
        self.set_state(State.STOPPED)

    def _end_group(self, process: Process) -> None:
        """Kill the rest of its process group, once: the number may soon be reused."""
        if self._alive:
            self._alive = False
            _kill_group(process.pid)
            self._track(process.pid, False)

    def _failure(self, what: str) -> StackError:
        self._raise_if_disk_full()
        error = last_error(self._tail())
        return StackError(f"{what}{f': {error}' if error else ''} (log: {self._log})")

    def _raise_if_disk_full(self) -> None:
        if "No space left on device" in self._tail():
            raise DiskFull(f"{self.service.name} ran out of disk space; free some, or set NEUROFLUX_HOME")

    def _tail(self) -> str:
        """The end of the log of this start."""
        with self._log.open("rb") as file:
            file.seek(max(self._log_start, self._log.stat().st_size - TAIL))
            return file.read().decode(errors="replace")


def last_error(text: str) -> str:
    """The most informative line of a log: the last with an error, else the last; stack frames are skipped."""
    bare = (line.strip(" \t|+-") for line in text.splitlines())  # exception groups are drawn in a frame
    lines = [line for line in bare if line and not line.startswith(("at ", "..."))]
    errors = [line for line in lines if "rror" in line or "Exception" in line or "ERROR" in line]
    return (errors or lines or [""])[-1]


def _kill_group(leader: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: EPERM for a group of zombies
        os.killpg(leader, signal.SIGKILL)


def _exit_text(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with {code}"


async def _byte(pipe: int) -> None:
    """Wait for one byte; never returns if the other end is closed without one."""
    loop, got = asyncio.get_running_loop(), asyncio.Event()

    def read() -> None:
        if os.read(pipe, 1):
            got.set()
        loop.remove_reader(pipe)

    loop.add_reader(pipe, read)
    try:
        await got.wait()
    finally:
        loop.remove_reader(pipe)
