"""The Faust worker: one process computes prices, arbitrage and health of the partitions it is given.

Agents hold no logic and Faust no tables. What the engines keep is a window of seconds, which is made again by reading
on; Faust's tables would write it to Kafka with every record, and lose updates under load (faust#333, faust#432).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterable
from typing import Any

import faust

from neuroflux.codec import Codec
from neuroflux.engine.comparable import Reference
from neuroflux.kafka import Entry, Publisher, load_codec
from neuroflux.settings import Settings
from neuroflux.stack.notify import ready
from neuroflux.topics import Topic
from streams import arbitrage, health, prices, reference
from streams.batches import SCHEME, Decoded

NAME = "neuroflux-streams"
FAILED = 70
"""The exit code of a worker that could not process a batch; it is started again and reads the batch again."""

log = logging.getLogger(__name__)
Step = Callable[[list[Entry], Publisher], None]


def make_app(settings: Settings, name: str = NAME) -> Any:
    return faust.App(
        name,
        broker=[f"{SCHEME}://{address}" for address in settings.kafka.split(",")],
        store="memory://",
        datadir=str(settings.home.absolute() / "faust"),
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        broker_max_poll_records=2_000,
        broker_commit_interval=1.0,
        broker_session_timeout=10,
        broker_heartbeat_interval=1,
        stream_wait_empty=False,
    )


def add_agent(app: Any, name: str, topics: Iterable[Topic], codec: Codec, publisher: Publisher, step: Step) -> None:
    """Run ``step`` on each batch; what it published is in Kafka before the batch is acknowledged."""
    channel = app.topic(*(topic.name for topic in topics), schema=Decoded(codec))

    async def agent(stream: Any) -> None:
        async for batch in stream:
            try:
                step(batch, publisher)
                await publisher.flush()
            except Exception:
                # Faust acknowledges a batch whose agent failed. Ending here is what keeps it uncommitted.
                log.exception("%s can't go on", name)
                logging.shutdown()
                os._exit(FAILED)

    app.agent(channel, name=name)(agent)


async def main(settings: Settings) -> None:
    """Run one worker until cancelled."""
    codec = await load_codec(settings)
    known = Reference()
    await reference.load(settings, codec, known)
    async with Publisher(settings, codec, client_id=NAME) as publisher:
        app = make_app(settings)
        add_agent(app, "prices", prices.TOPICS, codec, publisher, prices.step(known))
        add_agent(app, "arbitrage", arbitrage.TOPICS, codec, publisher, arbitrage.step(known))
        monitor = await health.restored(settings, codec)
        add_agent(app, "health", health.TOPICS, codec, publisher, health.step(monitor))
        app.timer(health.TICK_SECONDS)(health.ticker(monitor, publisher))
        await _run(app, reference.follow(settings, codec, known))


async def _run(app: Any, follow: Any) -> None:
    assigned = asyncio.Event()

    async def on_assigned(_: Any, partitions: set[Any], **__: Any) -> None:
        log.info("assigned %d partitions", len(partitions))
        assigned.set()

    app.on_partitions_assigned.connect(on_assigned)
    following = asyncio.create_task(follow)
    try:
        await app.start()
        await assigned.wait()
        ready()
        await following
    finally:
        following.cancel()
        await app.stop()
