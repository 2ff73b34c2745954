"""A process that is killed while it reads a record, as by a fault in C, and what its successor does."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Collection
from pathlib import Path

import pytest
from aiokafka import ConsumerRecord

from neuroflux.kafka.deaths import deaths_of
from neuroflux.kafka.decoder import Decoder
from neuroflux.records.codec import Codec
from neuroflux.records.topics import COMMANDS
from neuroflux.runtime.settings import Settings
from neuroflux.runtime.watchdog import end_if_blocked

FIRST, DEADLY, OTHER = 1, 2, 3
FETCHED = [ConsumerRecord(COMMANDS.name, 0, n, 0, 0, None, bytes([n]), None, 0, 1, ()) for n in (FIRST, DEADLY, OTHER)]
KILLED = signal.SIGKILL
READ = dict.fromkeys((FIRST, DEADLY, OTHER), "not in Confluent framing")
PASSED_OVER = "not decoded: it crashed the process 2 times"


class _Dying(Codec):
    """A codec that kills its process at some records, or blocks it."""

    def __init__(self, deadly: Collection[int], *, blocks: bool = False) -> None:
        super().__init__({COMMANDS.name: 1})
        self._deadly, self._blocks = deadly, blocks

    def decode(self, topic: object, raw: bytes) -> object:
        if raw[0] in self._deadly and self._blocks:
            time.sleep(30)
        elif raw[0] in self._deadly:
            os.kill(os.getpid(), KILLED)
        return super().decode(COMMANDS, raw)


def run(home: Path, *deadly: int, name: str = "execution", later: bool = False) -> tuple[int, dict[int, str]]:
    """The signal that ended a process which read all records, and what it reported of each."""
    result = home / "reported"
    result.write_text("")
    if not (child := os.fork()):
        try:
            _read_all(Settings(home=home, instance=name), deadly, result)
            if later:
                os.kill(os.getpid(), KILLED)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    lines = (line.partition(" ") for line in result.read_text().splitlines())
    return os.WTERMSIG(status), {int(offset): error for offset, _, error in lines}


def _read_all(settings: Settings, deadly: Collection[int], result: Path) -> None:
    entries = asyncio.run(Decoder(settings, _Dying(deadly)).entries(FETCHED))
    result.write_text("\n".join(f"{entry.offset} {entry.error}" for entry in entries))


def test_a_record_that_crashed_the_process_twice_is_reported_and_skipped_for_good(tmp_path: Path) -> None:
    assert [run(tmp_path, DEADLY) for _ in range(2)] == [(KILLED, {})] * 2
    assert [run(tmp_path, DEADLY) for _ in range(2)] == [(0, READ | {DEADLY: PASSED_OVER})] * 2


async def _read_watched(settings: Settings) -> None:
    watchdog = asyncio.ensure_future(end_if_blocked(0.5))
    await asyncio.sleep(0)
    entries = await Decoder(settings, _Dying((DEADLY,), blocks=True)).entries(FETCHED)
    watchdog.cancel()
    os._exit(9 if entries[1].error == PASSED_OVER else 8)


def run_blocked(home: Path) -> int:
    """The exit code of a process with a watchdog that reads all records and is blocked by one of them."""
    if not (child := os.fork()):
        asyncio.run(_read_watched(Settings(home=home, instance="execution")))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_record_that_blocked_the_process_twice_is_reported_and_skipped(tmp_path: Path) -> None:
    assert [run_blocked(tmp_path) for _ in range(3)] == [1, 1, 9]


def test_two_deadly_records_are_both_found(tmp_path: Path) -> None:
    assert [run(tmp_path, DEADLY, OTHER) for _ in range(4)] == [(KILLED, {})] * 4
    assert run(tmp_path, DEADLY, OTHER) == (0, READ | {DEADLY: PASSED_OVER, OTHER: PASSED_OVER})


def test_a_crash_at_another_time_blames_no_record(tmp_path: Path) -> None:
    assert run(tmp_path, DEADLY) == (KILLED, {})
    assert run(tmp_path, later=True) == (KILLED, READ)
    assert run(tmp_path) == (0, READ), "what died once and was read is forgotten"
    assert run(tmp_path, DEADLY) == (KILLED, {})
    assert run(tmp_path) == (0, READ)


@pytest.mark.parametrize("name", ["", "warehouse"])
def test_deaths_of_others_do_not_count(tmp_path: Path, name: str) -> None:
    assert [run(tmp_path, DEADLY) for _ in range(2)] == [(KILLED, {})] * 2
    assert run(tmp_path, name=name) == (0, READ)


def test_without_a_home_nothing_is_stored(tmp_path: Path) -> None:
    assert deaths_of(Settings(home=tmp_path / "none", instance="execution")).begin(FETCHED[0]) == ""
    assert list(tmp_path.iterdir()) == []
