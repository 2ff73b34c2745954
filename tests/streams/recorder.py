"""A worker for tests: two agents on the market's quotes record which offsets they processed, and do nothing else."""

from __future__ import annotations

import asyncio
import sys
from itertools import groupby
from operator import attrgetter

import msgspec

from neuroflux.kafka.decoder import Decoder
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import DELETE, QUOTES, Topic
from neuroflux.runtime.settings import load_settings
from neuroflux.runtime.stage import run_stage
from streams.worker import Step, Worker


def recorder(publisher: Publisher, into: Topic, agent: str, seconds: float) -> Step:
    """``seconds`` is the duration of a batch, so that batches are in progress when the worker is killed."""

    async def take(batch: list[Entry]) -> None:
        await asyncio.sleep(seconds)
        for partition, few in groupby(batch, attrgetter("partition")):
            done = agent, partition, [entry.offset for entry in few]
            publisher.publish_raw(into, agent.encode(), msgspec.json.encode(done))

    return take


async def main(name: str) -> None:
    settings = load_settings()
    into = Topic(name, bytes, lambda _: "", 1, DELETE)
    codec = await load_codec(settings)
    async with Publisher(settings, codec, client_id=name) as publisher:
        worker = Worker(settings, publisher, Decoder(settings, codec), name)
        worker.app.conf.broker_session_timeout = 6.0
        worker.app.conf.broker_max_poll_records = 500
        worker.app.conf.broker_commit_interval = 0.05
        worker.add("quick", (QUOTES,), recorder(publisher, into, "quick", 0.0))
        worker.add("slow", (QUOTES,), recorder(publisher, into, "slow", 0.02))
        loaded = asyncio.Event()
        loaded.set()
        await worker.run(loaded, lambda: print("assigned", flush=True))


if __name__ == "__main__":
    group = sys.argv.pop()
    run_stage("recorder", {"": lambda _: main(group)})
