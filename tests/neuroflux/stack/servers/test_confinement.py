"""The restrictions of a confined process, tried by such a process."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from neuroflux.stack.servers.confinement import TCP_SINCE, confine, version

TRY = """
import os, socket, sys
from pathlib import Path
from neuroflux.stack.servers.confinement import confine
inside, outside, open_port, closed_port = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
stdlib = Path(os.__file__).parent
confined = confine([inside / "readable", stdlib], [inside / "writable"], [], [open_port])
def tried(work):
    try:
        work()
    except PermissionError:
        return "refused"
    except OSError as error:
        return type(error).__name__
    return "done"
print(confined > 0)
print(tried(lambda: (inside / "readable" / "file").read_text()))
print(tried(lambda: (inside / "readable" / "file").write_text("x")))
print(tried(lambda: (inside / "writable" / "new").write_text("x")))
print(tried(lambda: (outside / "secret").read_text()))
print(tried(lambda: os.listdir(outside)))
print(tried(lambda: (inside / "writable" / "link").symlink_to(outside / "secret") or
    (inside / "writable" / "link").read_text()))
print(tried(lambda: Path("/proc/self/environ").read_text()))
print(tried(lambda: socket.create_connection(("127.0.0.1", open_port), 2).close()))
print(tried(lambda: socket.create_connection(("127.0.0.1", closed_port), 2).close()))
print(tried(lambda: socket.create_server(("127.0.0.1", 0)).close()))
"""


@pytest.mark.skipif(version() < TCP_SINCE, reason="this kernel's Landlock does not refuse TCP, or there is none")
def test_only_listed_files_and_ports_are_accessible(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside / "readable", inside / "writable", outside):
        folder.mkdir(parents=True)
    (inside / "readable" / "file").write_text("told")
    (outside / "secret").write_text("secret")
    with socket.create_server(("127.0.0.1", 0)) as let, socket.create_server(("127.0.0.1", 0)) as barred:
        ports = [str(one.getsockname()[1]) for one in (let, barred)]
        command = [sys.executable, "-c", TRY, str(inside), str(outside), *ports]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.split() == [
        "True",
        "done",
        "refused",
        "done",
        "refused",
        "refused",
        "refused",
        "refused",
        "done",
        "refused",
        "refused",
    ]


def test_without_landlock_nothing_is_refused_and_a_warning_is_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert confine([], []) == 0
    (tmp_path / "file").write_text("still written")
