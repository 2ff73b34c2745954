import os

import pytest

from neuroflux.runtime.readiness import READY_FD, ready


def test_ready_writes_one_byte_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    monkeypatch.setenv(READY_FD, str(write))
    ready()
    ready()
    assert os.read(read, 10) == b"\n"
    assert os.read(read, 10) == b"", "the other end is closed"
    os.close(read)


def test_ready_does_nothing_without_a_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(READY_FD, raising=False)
    ready()


def test_ready_survives_a_dead_supervisor(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setenv(READY_FD, str(write))
    ready()
