"""Places where a secret could appear: every file of a home, record, row and command line."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from pathlib import Path

from neuroflux.clickhouse.client import ClickHouse
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import ALL
from neuroflux.runtime.settings import Settings

Place = tuple[str, bytes]
"""The name of a place, and its content."""


async def places(settings: Settings) -> AsyncIterator[Place]:
    async for place in _records(settings):
        yield place
    for place in (*_rows(settings), *_files(settings.home), *command_lines()):
        yield place


async def _records(settings: Settings) -> AsyncIterator[Place]:
    """Every record of every topic, as received."""
    async with Reader(settings, await load_codec(settings), ALL, start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    yield entry.topic.name, entry.raw + entry.key.encode()
                if await reader.caught_up():
                    return


def _rows(settings: Settings) -> Iterator[Place]:
    """Every row of every table, as text, because files are compressed."""
    database = ClickHouse(settings)
    try:
        names = [name for (name,) in database.execute("SELECT name FROM system.tables WHERE database = 'neuroflux'")]
        assert {"exchange_status", "balances", "order_events"} <= set(names)
        for name in names:
            yield name, repr(database.execute(f"SELECT * FROM {name}")).encode()
    finally:
        database.close()


def _files(home: Path) -> Iterator[Place]:
    """The files of a running stack; some may be deleted before they are read."""
    for path in home.rglob("*"):
        try:
            if path.is_file():
                yield str(path), path.read_bytes()
        except FileNotFoundError:
            continue


def command_lines() -> Iterator[Place]:
    """The command lines of every process of the machine."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield str(path), path.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
