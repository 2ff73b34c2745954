"""Kafka, registry and ClickHouse for the rows that need them; and the growth rate of a topic."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon, environment
from tests.ports import free_port

CHECKOUT = Path(__file__).parents[1]
LOOK = 0.02
PATIENCE = 60.0


def end_on_sigterm() -> None:
    """Handle SIGTERM like Ctrl-C, so that started processes are ended too."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def stack() -> Iterator[Settings]:
    """A separate stack on free ports, which ends with this process."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(
            home=Path(home),
            kafka=f"127.0.0.1:{free_port(1)}",  # its controller listens on the port above
            registry=f"http://127.0.0.1:{free_port()}/apis/ccompat/v7",
            clickhouse=f"clickhouse://127.0.0.1:{free_port()}/neuroflux",
            clickhouse_http=f"http://127.0.0.1:{free_port()}",
        )
        tie, hold = os.pipe()
        try:
            daemon.up(settings, pipeline=False, tie=tie)
            yield settings
        finally:
            daemon.down(settings)
            os.close(tie)
            os.close(hold)


@contextmanager
def process(
    settings: Settings, module: str, *arguments: str, env: Mapping[str, str] = MappingProxyType({})
) -> Iterator[subprocess.Popen[bytes]]:
    """A contender or its driver in a separate process; ``env`` has additional variables."""
    with running(sys.executable, "-m", module, *arguments, env={**environment.base(settings), **env}) as started:
        yield started


@contextmanager
def running(*command: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process; raises RuntimeError if it ends by itself."""
    started = subprocess.Popen(command, cwd=CHECKOUT, env=env)
    try:
        yield started
        if started.poll() is not None:
            raise RuntimeError(f"{' '.join(command)} ended with {started.returncode}")
    finally:
        started.kill()
        started.wait()


def figures_of(module: str, *arguments: str, env: Mapping[str, str] | None = None) -> list[float]:
    """The figures that a contender prints last; it ends by itself."""
    command = (sys.executable, "-m", module, *arguments)
    done = subprocess.run(command, cwd=CHECKOUT, env=env, stdout=subprocess.PIPE, text=True, timeout=300, check=True)
    return [float(one) for one in done.stdout.splitlines()[-1].split()]


def resident(pid: int | str = "self") -> int:
    """Resident memory of a process in KiB."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


def make_topic(settings: Settings, name: str) -> None:
    async def make() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka)
        await admin.start()
        await admin.create_topics([NewTopic(name, 1, 1)])
        await admin.close()

    asyncio.run(make())


def growth(settings: Settings, topic: str, partitions: int, count: int) -> float:
    """Records per second over ``count`` new records, from the first on."""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    return asyncio.run(_growth(settings, places, count))


async def _growth(settings: Settings, places: list[TopicPartition], count: int) -> float:
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka) as consumer:

        async def end() -> int:
            return sum((await consumer.end_offsets(places)).values())

        async def reached(target: int) -> tuple[int, float]:
            async with asyncio.timeout(PATIENCE):
                while (there := await end()) < target:  # noqa: ASYNC110  # Kafka has no event for it
                    await asyncio.sleep(LOOK)
            return there, time.monotonic()

        before = await end()
        first, began = await reached(before + 1)
        last, ended = await reached(before + count)
        return (last - first) / (ended - began)
