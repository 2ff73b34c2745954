"""``python -m benchmarks.hops send RATE`` or ``forward``: records of a quote's size, and every 250th forwarded."""

from __future__ import annotations

import asyncio
import struct
import sys
import time

import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import DELETE, Topic
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.runtime.stage import spare_collector

FIRST, SECOND = "bench.first", "bench.second"
STAMP = struct.Struct(">q")
BYTES = 120
NTH = 250
TURN = 0.01


def _topic(name: str) -> Topic:
    return Topic(name, bytes, str, 1, DELETE)


async def send(settings: Settings) -> None:
    rate, began, sent, topic = int(sys.argv[2]), time.monotonic(), 0, _topic(FIRST)
    async with Publisher(settings, await load_codec(settings)) as publisher:
        while True:
            due = int((time.monotonic() - began) * rate)
            for _ in range(due - sent):
                publisher.publish_raw(topic, b"BTC/USD", STAMP.pack(wall()) + bytes(BYTES))
            sent = due
            await publisher.drain()
            await asyncio.sleep(TURN)


async def forward(settings: Settings) -> None:
    topic, count = _topic(SECOND), 0
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka, fetch_max_wait_ms=100)
    async with Publisher(settings, await load_codec(settings)) as publisher, consumer:
        consumer.assign([TopicPartition(FIRST, 0)])
        await consumer.seek_to_end()
        while True:
            for messages in (await consumer.getmany(timeout_ms=200)).values():
                for one in messages:
                    count += 1
                    if count % NTH == 0:
                        publisher.publish_raw(topic, b"BTC/USD", one.value)
            await publisher.drain()


if __name__ == "__main__":
    spare_collector()
    uvloop.run({"send": send, "forward": forward}[sys.argv[1]](load_settings()))
