"""From a frame on the socket to the signal that it opens, read from Kafka, at 5,000 quotes per second.

Ours: the market stage's parts, Kafka, the Faust worker, Kafka. Limit: as many bytes through two hops of Kafka, by the
same clients, without processing.
"""

from __future__ import annotations

import time
from contextlib import ExitStack

import uvloop
from aiokafka import AIOKafkaConsumer

from benchmarks import local
from benchmarks.hops import FIRST, SECOND, STAMP
from benchmarks.turns import Goal, Role, Row, delays
from neuroflux.kafka.reader import Reader
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import SIGNALS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings
from tests.ports import free_port

RATE = 5_000
WARM, SECONDS = 4.0, 10.0
CONTENDERS: dict[str, Role] = {"neuroflux": "ours", "two hops": "limit"}


def rows(rounds: int) -> list[Row]:
    found: dict[str, list[list[float]]] = {name: [] for name in CONTENDERS}
    with local.stack() as settings:
        for topic in (FIRST, SECOND):
            local.make_topic(settings, topic)
        for number in range(rounds):
            for name in (list(found), list(found)[::-1])[number % 2]:
                found[name].append(_ours(settings) if name == "neuroflux" else _hops(settings))
    return delays("signal", found, CONTENDERS, Goal("two hops", 0.5))


def _ours(settings: Settings) -> list[float]:
    port = str(free_port())
    with ExitStack() as running:
        running.enter_context(local.process(settings, "benchmarks.paced", port, str(RATE)))
        running.enter_context(local.process(settings, "benchmarks.market", f"ws://127.0.0.1:{port}"))
        running.enter_context(local.process(settings, "streams"))
        return uvloop.run(_of_signals(settings))


async def _of_signals(settings: Settings) -> list[float]:
    """Milliseconds of each signal; measured from the first signal on."""
    times: list[float] = []
    ends = 0.0
    async with Reader(settings, await load_codec(settings), (SIGNALS,), start="end") as reader:
        async for batch in reader.batches():
            now = wall()
            if batch and not ends:
                ends = time.monotonic() + WARM + SECONDS
            if ends and time.monotonic() > ends:
                return times
            if ends and time.monotonic() > ends - SECONDS:
                times += [(now - entry.record.event_time) / 1e3 for entry in batch]
    raise AssertionError("batches do not end")


def _hops(settings: Settings) -> list[float]:
    with ExitStack() as running:
        running.enter_context(local.process(settings, "benchmarks.hops", "forward"))
        running.enter_context(local.process(settings, "benchmarks.hops", "send", str(RATE)))
        return uvloop.run(_of_hops(settings))


async def _of_hops(settings: Settings) -> list[float]:
    times: list[float] = []
    async with AIOKafkaConsumer(SECOND, bootstrap_servers=settings.kafka, fetch_max_wait_ms=100) as consumer:
        await consumer.getone()
        began = time.monotonic()
        while time.monotonic() < began + WARM + SECONDS:
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                now = wall()
                if time.monotonic() > began + WARM:
                    times += [(now - STAMP.unpack_from(one.value)[0]) / 1e3 for one in messages]
    return times
