"""The process that runs the registry's Java and its front: one serves only while the other runs. Java is a stand-in."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipeline.conftest import wait_for
from tests.ports import free_port

JAVA = """
import os, socket, sys, time
listener = socket.create_server(("127.0.0.1", 0))
print("x" * 100_000, os.getpid(), flush=True)
if sys.argv[1:]:
    sys.exit(int(sys.argv[1]))
print(f"Listening on: http://127.0.0.1:{listener.getsockname()[1]}. Management interface", flush=True)
while True:
    connection, _ = listener.accept()
    first = connection.recv(1 << 16).partition(b"\\r\\n")[0]
    connection.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n%s" % (len(first), first))
    connection.close()
"""

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def start(tmp_path: Path, port: int) -> Iterator[Start]:
    running: list[subprocess.Popen[bytes]] = []

    def run(*arguments: str) -> subprocess.Popen[bytes]:
        module = (sys.executable, "-m", "neuroflux.stack.servers.registry_server", "127.0.0.1", str(port))
        with (tmp_path / "log").open("ab") as log:
            command = (*module, sys.executable, "-c", JAVA, *arguments)
            running.append(subprocess.Popen(command, stdout=log, start_new_session=True))
        return running[-1]

    yield run
    for one in running:
        if one.poll() is None:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()


def answer(port: int) -> bytes:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as found:
            return bytes(found.read())
    except urllib.error.URLError:
        return b""


def java(log: Path) -> int:
    """Its process id."""
    return int(log.read_text().split()[1])


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_java_is_reached_through_the_front_until_it_is_asked_to_end(start: Start, port: int, tmp_path: Path) -> None:
    server = start()
    assert wait_for(lambda: answer(port)) == b"PROXY UNKNOWN"
    server.terminate()
    assert server.wait(20) == 128 + signal.SIGTERM
    assert not is_alive(java(tmp_path / "log"))


def test_its_exit_code_is_java_s(start: Start, tmp_path: Path) -> None:
    assert start("3").wait(20) == 3
    assert (tmp_path / "log").read_text().startswith("x" * 100_000)


def test_it_ends_when_java_is_killed(start: Start, port: int, tmp_path: Path) -> None:
    server = start()
    wait_for(lambda: answer(port))
    os.kill(java(tmp_path / "log"), signal.SIGKILL)
    assert server.wait(20) == 128 + signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the supervisor ends its group")
def test_java_ends_when_it_is_killed(start: Start, port: int, tmp_path: Path) -> None:
    server = start()
    wait_for(lambda: answer(port))
    server.kill()
    server.wait(20)
    wait_for(lambda: not is_alive(java(tmp_path / "log")))
