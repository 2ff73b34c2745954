"""``python -m benchmarks.soak [MINUTES]``: 10,000 quotes per second for twenty minutes; memory and lag of the stages.

The market stage's parts, the Faust worker and the warehouse, each in its process. Every ten seconds: the resident
memory of each, the latency of signals, and the lag of the groups. Prints a line each time, and at the end the first and
the last quarter of the run.
"""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from statistics import median
from subprocess import Popen

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from msgspec import Struct

from benchmarks import local
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import QUOTES, SIGNALS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from tests.ports import free_port

RATE = 10_000
EVERY = 10.0
GROUPS = ("neuroflux-streams", "warehouse")


class Sample(Struct, frozen=True):
    """``resident`` is in MiB by stage, ``behind`` in records by group, ``delay`` the median of signals in ms."""

    second: float
    resident: dict[str, float]
    behind: dict[str, int]
    delay: float


async def behind(settings: Settings, admin: AIOKafkaAdminClient, group: str) -> int:
    """Quotes that a group has not committed yet; it commits once per second."""
    places = [TopicPartition(QUOTES.name, number) for number in range(QUOTES.partitions)]
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:
        ends = await consumer.end_offsets(places)
    committed = await admin.list_consumer_group_offsets(group)
    return sum(ends[place] - committed[place].offset for place in places if place in committed)


async def watch(settings: Settings, stages: dict[str, Popen[bytes]], seconds: float) -> list[Sample]:
    samples: list[Sample] = []
    delays: list[float] = [0.0]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
    await admin.start()
    following = asyncio.create_task(follow(settings, delays))
    began = time.monotonic()
    while time.monotonic() < began + seconds:
        await asyncio.sleep(EVERY)
        held = {name: local.resident(one.pid) / 1024 for name, one in stages.items()}
        late = {group: await behind(settings, admin, group) for group in GROUPS}
        samples.append(Sample(time.monotonic() - began, held, late, median(delays)))
        delays[:] = delays[-1:]
        print(samples[-1], flush=True)
    following.cancel()
    await admin.close()
    return samples


async def follow(settings: Settings, delays: list[float]) -> None:
    async with Reader(settings, await load_codec(settings), (SIGNALS,), start="end") as reader:
        async for batch in reader.batches():
            delays += [(wall() - entry.record.event_time) / 1e3 for entry in batch]


def summary(samples: list[Sample]) -> None:
    quarter = max(1, len(samples) // 4)
    for name, part in (("first quarter", samples[:quarter]), ("last quarter", samples[-quarter:])):
        held = {stage: round(median(one.resident[stage] for one in part), 1) for stage in part[0].resident}
        late = {group: round(median(one.behind[group] for one in part)) for group in part[0].behind}
        print(f"{name}: MiB {held}, behind {late}, signals after {median(one.delay for one in part):.1f} ms")


def main(minutes: float) -> None:
    local.end_on_sigterm()
    with local.stack() as settings, ExitStack() as running:
        port = str(free_port())
        running.enter_context(local.process(settings, "benchmarks.paced", port, str(RATE)))
        stages = {
            "market": running.enter_context(local.process(settings, "benchmarks.market", f"ws://127.0.0.1:{port}")),
            "streams": running.enter_context(local.process(settings, "streams")),
            "warehouse": running.enter_context(local.process(settings, "consumers", "warehouse")),
        }
        summary(uvloop.run(watch(settings, stages, minutes * 60)))


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 20.0)
