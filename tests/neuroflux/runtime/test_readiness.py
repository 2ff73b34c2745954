import os

import pytest

from neuroflux.runtime.readiness import READY_FD, ready


def test_one_byte_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setenv(READY_FD, str(write))
    ready()
    ready()
    assert os.read(read, 10) == b"\n"
    assert os.read(read, 10) == b"", "the other end is closed"
    os.close(read)


def test_nothing_where_nobody_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_FD, raising=False)
    ready()


def test_a_supervisor_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setenv(READY_FD, str(write))
    ready()
