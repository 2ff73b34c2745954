"""Three brokers in their own home: an acknowledged record is on more than one of them."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from neuroflux.records.topics import COMMANDS
from neuroflux.runtime.settings import Settings
from neuroflux.stack import daemon
from neuroflux.stack.servers.kafka import bootstrap, brokers
from neuroflux.stack.supervise.service import ServiceStatus, State

pytestmark = pytest.mark.stack

PLACE = TopicPartition(COMMANDS.name, 0)


@pytest.fixture
def settings(tmp_path: Path, make_settings: Callable[[Path], Settings]) -> Iterator[Settings]:
    made = make_settings(tmp_path / "home")
    read, write = os.pipe()
    try:
        daemon.up(made, brokers=3, pipeline=False, tie=read)
        yield made
    finally:
        daemon.down(made)
        os.close(read)
        os.close(write)


def first(settings: Settings) -> ServiceStatus:
    return next(one for one in daemon.status(settings) if one.name == "kafka-1")


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def send(address: str, key: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=address, acks="all", enable_idempotence=True) as producer:
        await producer.send_and_wait(COMMANDS.name, b"", key=key, partition=0)


async def keys(address: str) -> list[bytes]:
    async with AIOKafkaConsumer(bootstrap_servers=address, auto_offset_reset="earliest") as consumer:
        consumer.assign([PLACE])
        end = (await consumer.end_offsets([PLACE]))[PLACE]
        return [(await consumer.getone()).key for _ in range(end)]


def test_three_brokers_survive_the_loss_of_one(settings: Settings) -> None:
    address = bootstrap(brokers(settings.kafka, 3))
    asyncio.run(send(address, b"all three"))
    os.kill(first(settings).pid, signal.SIGKILL)
    asyncio.run(asyncio.wait_for(send(address, b"two"), 60))
    until(lambda: first(settings).restarts == 1 and first(settings).state is State.READY)
    assert asyncio.run(keys(settings.kafka)) == [b"all three", b"two"], "as the one that was killed gives them back"
