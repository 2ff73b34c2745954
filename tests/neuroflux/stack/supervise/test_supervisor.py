"""The supervisor with small Python services in place of Kafka and the others."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from neuroflux.errors import DiskFull, PortTaken, StackError, UsageError
from neuroflux.runtime.settings import Settings
from neuroflux.stack import home
from neuroflux.stack.supervise import child, supervisor
from neuroflux.stack.supervise.child import last_error
from neuroflux.stack.supervise.service import Port, Readiness, Service, ServiceStatus, State
from neuroflux.stack.supervise.supervisor import Stack

READY = "from neuroflux.runtime.readiness import ready; ready()\n"
STAY = "import time\nwhile True: time.sleep(60)\n"
NOTE = "import signal, sys\ndef note(*_): open('notes', 'a').write('{name} stopped\\n'); sys.exit()\n"
NOTE += "signal.signal(signal.SIGTERM, note)\nopen('notes', 'a').write('{name} started\\n')\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "BACK_OFF", 0.05)
    monkeypatch.setattr(child, "WATCH", 0.1)


def python(
    settings: Settings,
    name: str,
    code: str,
    *needs: str,
    readiness: Readiness = Readiness.NOTIFIES,
    ports: tuple[Port, ...] = (),
    check: Callable[[], Awaitable[bool]] | None = None,
    start_timeout: float = 20,
    stop_timeout: float = 10,
) -> Service:
    return Service(
        name=name,
        command=(sys.executable, "-c", code),
        readiness=readiness,
        env=dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[4])},
        cwd=settings.home,
        needs=needs,
        ports=ports,
        check=check,
        start_timeout=start_timeout,
        stop_timeout=stop_timeout,
    )


@asynccontextmanager
async def running(settings: Settings, *services: Service) -> AsyncIterator[Stack]:
    stack = Stack(settings, services=services)
    await stack.start()
    try:
        yield stack
    finally:
        await stack.stop()


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # of another process
            await asyncio.sleep(0.02)


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(state) and not state.startswith("Z")


def notes(settings: Settings) -> list[str]:
    return (settings.home / "notes").read_text().splitlines()


def one(stack: Stack, name: str) -> ServiceStatus:
    return next(status for status in stack.status() if status.name == name)


async def test_order_of_start_and_stop(settings: Settings) -> None:
    services = [
        python(settings, "stage", NOTE.format(name="stage") + READY + STAY, "base", "step"),
        python(settings, "base", NOTE.format(name="base") + READY + STAY),
        python(settings, "step", "open('notes', 'a').write('step done\\n')", "base", readiness=Readiness.FINISHES),
    ]
    async with running(settings, *services) as stack:
        assert [status.state for status in stack.status()] == [State.READY, State.READY, State.FINISHED]
        assert home.saved(settings).services == stack.status()
    assert notes(settings) == ["base started", "step done", "stage started", "stage stopped", "base stopped"]
    assert {status.state for status in stack.status()} == {State.STOPPED}


async def test_a_service_that_dies_is_restarted(settings: Settings) -> None:
    async with running(settings, python(settings, "stage", READY + STAY)) as stack:
        before = one(stack, "stage")
        os.kill(before.pid, signal.SIGKILL)
        await until(lambda: one(stack, "stage").restarts == 1 and one(stack, "stage").state is State.READY)
        assert one(stack, "stage").pid not in (0, before.pid)


async def test_a_service_that_does_not_answer_is_restarted(settings: Settings) -> None:
    asked: list[bool] = []

    async def answers() -> bool:
        asked.append(True)
        return len(asked) not in range(2, 2 + child.MISSES)

    service = python(settings, "mute", STAY, readiness=Readiness.CHECK, check=answers)
    async with running(settings, service) as stack:
        await until(lambda: one(stack, "mute").restarts == 1 and one(stack, "mute").state is State.READY)


async def test_a_service_that_can_not_start_ends_the_start(settings: Settings) -> None:
    code = "print('config read'); raise RuntimeError('no such thing')"
    stack = Stack(settings, services=[python(settings, "good", READY + STAY), python(settings, "bad", code)])
    with pytest.raises(
        StackError, match=r"bad ended with 1 before it was ready: RuntimeError: no such thing \(log: "
    ) as caught:
        await stack.start()
    assert "\n" not in str(caught.value)
    assert one(stack, "bad").restarts == supervisor.DEATHS - 1
    assert {status.pid for status in stack.status()} == {0}


async def test_a_service_that_is_never_ready_ends_the_start(settings: Settings) -> None:
    stack = Stack(settings, services=[python(settings, "slow", STAY, start_timeout=0.3)])
    with pytest.raises(StackError, match="slow is not ready after"):
        await stack.start()


async def test_a_full_disk_is_reported_as_such(settings: Settings) -> None:
    code = "raise OSError(28, 'No space left on device')"
    with pytest.raises(DiskFull, match="broker ran out of disk space"):
        await Stack(settings, services=[python(settings, "broker", code)]).start()


async def test_a_disk_that_fills_up_ends_the_stack(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ROOM_CHECK", 0.05)
    async with running(settings, python(settings, "stage", READY + STAY)) as stack:
        monkeypatch.setattr(home, "ROOM_TO_RUN", 1 << 60)
        with pytest.raises(DiskFull, match="NEUROFLUX_HOME"):
            await stack.run_until(asyncio.Event())


async def test_run_until_the_event(settings: Settings) -> None:
    async with running(settings, python(settings, "stage", READY + STAY)) as stack:
        event = asyncio.Event()
        asyncio.get_running_loop().call_later(0.05, event.set)
        await stack.run_until(event)


async def test_a_taken_port_starts_nothing(settings: Settings) -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as other:
        port = Port("127.0.0.1", other.sockets[0].getsockname()[1], "NEUROFLUX_KAFKA")
        stack = Stack(settings, services=[python(settings, "kafka", "open('notes', 'a')", ports=(port,))])
        with pytest.raises(PortTaken, match="NEUROFLUX_KAFKA"):
            await stack.start()
    assert not (settings.home / "notes").exists()


async def test_a_second_stack_in_the_same_home(settings: Settings) -> None:
    async with running(settings, python(settings, "stage", READY + STAY)):
        with pytest.raises(StackError, match="already running"):
            await Stack(settings, services=[]).start()


async def test_an_error_in_a_check_is_not_retried(settings: Settings) -> None:
    async def wrong() -> bool:
        raise UsageError("asked the wrong way")

    service = python(settings, "stage", STAY, readiness=Readiness.CHECK, check=wrong)
    with pytest.raises(UsageError, match="asked the wrong way"):
        await Stack(settings, services=[service]).start()


async def test_a_cancelled_start_leaves_nothing(settings: Settings) -> None:
    stack = Stack(settings, services=[python(settings, "slow", STAY)])
    starting = asyncio.ensure_future(stack.start())
    await until(lambda: one(stack, "slow").pid > 0)
    pid = one(stack, "slow").pid
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not alive(pid)
    assert home.Lock(settings).holder() == 0


async def test_a_service_that_ignores_sigterm_is_killed_with_its_children(settings: Settings) -> None:
    code = "import signal, subprocess, sys\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    code += "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    code += f"open('pid', 'w').write(str(p.pid))\n{READY}{STAY}"
    async with running(settings, python(settings, "stubborn", code, stop_timeout=0.2)):
        grandchild = int((settings.home / "pid").read_text())
        assert alive(grandchild)
    await until(lambda: not alive(grandchild))


PARENT = """
import asyncio, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from test_supervisor import *
async def main():
    settings = Settings(home=Path({home!r}))
    grandchild = "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', " + repr(STAY) + "])\\n"
    grandchild += "open('pid', 'w').write(str(p.pid))\\n" + READY + STAY
    async with running(settings, python(settings, "one", READY + STAY), python(settings, "two", grandchild)) as stack:
        await stack.run_until(asyncio.Event())
asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_nothing_outlives_a_killed_supervisor(settings: Settings, how: signal.Signals) -> None:
    code = PARENT.format(tests=str(Path(__file__).parent), home=str(settings.home))
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[4])}
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", code, env=environment)
    try:
        await until(lambda: {status.state for status in home.saved(settings).services} == {State.READY}, 30)
        pids = [status.pid for status in home.saved(settings).services] + [int((settings.home / "pid").read_text())]
        assert all(alive(pid) for pid in pids)
        parent.send_signal(how)  # also while it is suspended and can't clean up
        parent.kill()
        await parent.wait()
        await until(lambda: not any(alive(pid) for pid in pids), 10)
    finally:
        if parent.returncode is None:
            parent.kill()
            await parent.wait()
    assert home.Lock(settings).holder() == 0, "another may start at once"


async def test_the_reaper_alone_is_enough(tmp_path: Path) -> None:
    """As on a kernel that can't bind a child to its parent."""
    code = "import subprocess, sys, time; from neuroflux.stack.supervise.reaper import Reaper; r = Reaper()\n"
    code += "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)\n"
    code += "r.track(p.pid, True); print(p.pid, flush=True); time.sleep(600)"
    environment = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[4])}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    child_pid = int(await parent.stdout.readline())
    assert alive(child_pid)
    parent.kill()
    await parent.wait()
    await until(lambda: not alive(child_pid), 10)


def test_last_error() -> None:
    trace = "INFO started\nERROR no disk (kafka.Kafka)\njava.io.IOException: gone\n\tat org.apache.X\n\t... 3 more\n"
    assert last_error(trace) == "java.io.IOException: gone"
    assert last_error("  | ValueError: inner\n  +-----------\n") == "ValueError: inner"
    assert last_error("one\ntwo\n") == "two"
    assert last_error("") == ""
