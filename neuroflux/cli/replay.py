"""``neuroflux replay``: runs a recording through the pipeline, in its own home and log."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import aclosing
from itertools import count
from pathlib import Path

import msgspec
from aiokafka import TopicPartition
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from neuroflux.cli.run import counted, finished_before, progress, stop_requested
from neuroflux.errors import UsageError
from neuroflux.kafka.admin import committed
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import MARKS, PRICES, QUOTES, SIGNALS, Topic
from neuroflux.runtime.settings import Settings
from neuroflux.stack.plan import REPLAY_GROUP, infrastructure, replaying
from neuroflux.stack.supervise.supervisor import Stack

LOOK_SECONDS = 0.5
FRAMING = 5
"""Bytes before the record: the magic byte, and the schema's id in this registry."""


class Replayed(Struct, frozen=True):
    """The result of a replay. Replays of one recording have equal ``digests``, of all prices and signals byte for byte.

    ``records`` is by topic, ``rows`` by table, ``equal`` whether they agree.
    """

    seconds: float
    records: dict[str, int]
    rows: dict[str, int]
    equal: bool
    digests: dict[str, str]


async def replay(settings: Settings, path: Path, *, speed: float, workers: int, hold: bool, as_json: bool) -> None:
    """Replay the recording and print the result; with ``hold`` the stack runs until Ctrl-C, for inspection."""
    settings = _replayed_from(settings, path, speed)
    stop, began = stop_requested(), time.monotonic()
    stack = Stack(settings, services=infrastructure(settings) + replaying(settings, workers))
    if not await finished_before(asyncio.create_task(stack.start(progress)), stop):
        return
    try:
        if await finished_before(asyncio.create_task(_played(settings, stack)), stop):
            _print(await _replayed(settings, began), as_json=as_json)
            if hold:
                progress(f"all data is in {settings.home}; press Ctrl-C to stop")
                await stack.run_until(stop)
    finally:
        await stack.stop()


def _replayed_from(settings: Settings, path: Path, speed: float) -> Settings:
    """Settings with a new home, and the recording to replay."""
    if not path.is_file():
        raise UsageError(f"{path} does not exist")
    folders = (settings.home.absolute() / "replays" / f"{path.name}-{number}" for number in count(1))
    home = next(folder for folder in folders if not folder.exists())
    plain = {"kafka_user": "", "home": home, "recording": path.absolute(), "replay_speed": speed}
    return settings.model_copy(update=plain)


async def _played(settings: Settings, stack: Stack) -> None:
    """Wait until every worker has reached the last mark; raises the error that ends the stack before that."""
    stop = asyncio.Event()
    watching = asyncio.create_task(stack.run_until(stop))
    waiting = asyncio.create_task(_last_mark_reached(settings))
    try:
        await asyncio.wait({watching, waiting}, return_when=asyncio.FIRST_COMPLETED)
        for one in (watching, waiting):
            if one.done():
                one.result()
    finally:
        stop.set()
        waiting.cancel()
        await asyncio.gather(watching, waiting, return_exceptions=True)


async def _last_mark_reached(settings: Settings) -> None:
    ends = await _last_ends(settings)
    while True:
        reached = await committed(settings, REPLAY_GROUP)
        if all(reached.get(TopicPartition(QUOTES.name, number), 0) >= end for number, end in enumerate(ends)):
            return
        await asyncio.sleep(LOOK_SECONDS)


async def _last_ends(settings: Settings) -> tuple[int, ...]:
    """The end offsets of the quotes, once the whole recording is in the log."""
    async with Reader(settings, await load_codec(settings), (MARKS,), start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    if entry.record.last:
                        ends: tuple[int, ...] = entry.record.ends[QUOTES.name]
                        return ends
    raise AssertionError("batches never end")


async def _replayed(settings: Settings, began: float) -> Replayed:
    counts = await counted(settings)
    digests = {topic.name: await _digest(settings, topic) for topic in (PRICES, SIGNALS)}
    return Replayed(round(time.monotonic() - began, 1), counts.records, counts.rows, counts.equal, digests)


async def _digest(settings: Settings, topic: Topic) -> str:
    """SHA-256 of the keys and records of a topic, in order of partition and offset."""
    parts: dict[int, list[bytes]] = {number: [] for number in range(topic.partitions)}
    async with Reader(settings, await load_codec(settings), (topic,), start="beginning") as reader:
        async with aclosing(reader.batches()) as batches:
            async for batch in batches:
                for entry in batch:
                    parts[entry.partition].append(entry.key.encode() + b"\0" + entry.raw[FRAMING:])
                if await reader.caught_up():
                    break
    return hashlib.sha256(msgspec.msgpack.encode(parts)).hexdigest()


def _print(replayed: Replayed, *, as_json: bool) -> None:
    console = Console()
    if as_json:
        console.out(msgspec.json.encode(replayed).decode(), highlight=False)
        return
    table = Table("topic", "records", box=None)
    for name, records in replayed.records.items():
        if records:
            table.add_row(name, str(records))
    console.print(table)
    console.print(f"{replayed.seconds} s; rows in ClickHouse {'agree' if replayed.equal else 'differ'}")
    for name, digest in replayed.digests.items():
        console.print(f"{name} {digest}")
