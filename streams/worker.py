"""The Faust worker: one process computes prices, arbitrage and health of the partitions assigned to it.

Agents contain no logic, and Faust's tables are not used. The engines' market state is a window of seconds, which is
rebuilt by reading on; health is rebuilt from Kafka. Faust's tables would write their state to Kafka with every record,
and lose updates under load (faust#333, faust#432).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import Any

import faust

from neuroflux.engine.markets.comparable import Reference
from neuroflux.errors import StackError
from neuroflux.kafka.clients import security
from neuroflux.kafka.decoder import Decoder
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import Topic
from neuroflux.runtime.clock import wall
from neuroflux.runtime.readiness import ready
from neuroflux.runtime.settings import Settings
from streams import health, markets, reference
from streams.arbitrage import ArbitrageStream
from streams.batches import SCHEME
from streams.decoded_batches import Decoded
from streams.health import HealthStream
from streams.markets import Markets
from streams.prices import PriceStream
from streams.recent_trades import RestoredPrices

NAME = "neuroflux-streams"
STOP_SECONDS = 10.0

log = logging.getLogger(__name__)
Step = Callable[[list[Entry]], Awaitable[None]]


class Worker:
    """A Faust app whose agents take batches of decoded entries."""

    def __init__(self, settings: Settings, publisher: Publisher, decoder: Decoder, name: str = NAME) -> None:
        self._publisher, self._decoder = publisher, decoder
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._assigned = asyncio.Event()
        self._beside: list[asyncio.Task[None]] = []
        self._stepped: list[Any] = []
        self._has_stepped = asyncio.Event()
        self.app: Any = faust.App(
            name,
            broker=[f"{SCHEME}://{address}" for address in settings.kafka.split(",")],
            broker_credentials=_credentials(settings),
            store="memory://",
            datadir=str(settings.home.absolute() / "faust"),
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            broker_max_poll_records=5_000,
            consumer_max_fetch_size=4 << 20,
            broker_commit_interval=1.0,
            broker_session_timeout=10,
            broker_heartbeat_interval=1,
            stream_buffer_maxsize=32,
            stream_wait_empty=False,
            # Makes Faust use its own assignor even without tables. It assigns the same partition number of all market
            # topics to one worker; aiokafka's assignor, the default otherwise, distributes them individually.
            table_standby_replicas=1,
        )
        self.app.on_partitions_assigned.connect(self._on_assigned, weak=False)

    def add(self, name: str, topics: Iterable[Topic], step: Step) -> None:
        """Run ``step`` on each batch of these topics.

        A batch is acknowledged when its output is in Kafka, so that no commit passes an output that was not sent. The
        next batch does not wait for that.
        """
        channel = self.app.topic(*(topic.name for topic in topics), schema=Decoded(self._decoder))

        async def agent(stream: Any) -> None:
            async for event in stream.noack().events():
                try:
                    await step(event.value)
                    await self._publisher.drain()
                except Exception as error:  # noqa: BLE001  # raised by run; the batch stays unacknowledged
                    self._failed(error)
                    return
                self._stepped.append(event)
                self._has_stepped.set()

        self.app.agent(channel, name=name)(agent)

    async def _acknowledge(self) -> None:
        """Acknowledge batches once everything published is in Kafka; until then they stay unacknowledged."""
        while True:
            await self._has_stepped.wait()
            self._has_stepped.clear()
            events, self._stepped = self._stepped, []
            await self._publisher.flush()
            for event in events:
                event.ack()

    def holds(self, place: Any) -> bool:
        """Whether this partition is assigned to this worker."""
        return self._assigned.is_set() and place in self.app.consumer.assignment()

    def beside(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task beside the worker; if it fails, the worker ends with its error."""
        task = asyncio.create_task(work)
        task.add_done_callback(self._done)
        self._beside.append(task)

    async def run(self, loaded: asyncio.Event, assigned: Callable[[], None]) -> None:
        """Read from when ``loaded`` is set until cancelled; ``assigned`` is called once partitions are assigned.

        Raises the error of a failed agent or task, and StackError if Faust ended.
        """
        self.beside(self._acknowledge())
        try:
            await self._unless_it_ends(loaded.wait())
            await self.app.start()
            await self._unless_it_ends(self._assigned.wait())
            assigned()
            await self._unless_it_ends(asyncio.Event().wait())
        finally:
            await self._stop()

    async def _unless_it_ends(self, work: Any) -> None:
        working, faust_ends = asyncio.ensure_future(work), asyncio.ensure_future(self.app.wait())
        try:
            await asyncio.wait((working, faust_ends, self._failure), return_when=asyncio.FIRST_COMPLETED)
        finally:
            working.cancel()
            faust_ends.cancel()
        if self._failure.done():
            self._failure.result()
        if self.app.should_stop:
            raise StackError(f"Faust ended: {self.app.crash_reason!r}")

    async def _stop(self) -> None:
        for task in self._beside:
            task.cancel()
        await asyncio.gather(*self._beside, return_exceptions=True)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.app.stop()
        except TimeoutError:
            log.warning("Faust did not stop within %.0f s; uncommitted records will be read again", STOP_SECONDS)

    def _done(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._failed(error)

    def _failed(self, error: BaseException) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)

    async def _on_assigned(self, *_: Any, **__: Any) -> None:
        self._assigned.set()


def _credentials(settings: Settings) -> faust.SASLCredentials | None:
    """The authentication at a secure Kafka; the same as in neuroflux/kafka/clients.py."""
    if not settings.kafka_user:
        return None
    given = security(settings)
    return faust.SASLCredentials(
        username=given["sasl_plain_username"],
        password=given["sasl_plain_password"],
        mechanism=given["sasl_mechanism"],
        ssl_context=given["ssl_context"],
    )


async def main(settings: Settings) -> None:
    """Run one worker until cancelled."""
    codec = await load_codec(settings)
    known, loaded = Reference(), asyncio.Event()
    async with Publisher(settings, codec, client_id=NAME) as publisher:
        worker = Worker(settings, publisher, Decoder(settings, codec))
        monitor = HealthStream(settings, codec, publisher, lambda: worker.holds(health.PLACE), wall)
        restored = RestoredPrices(settings, codec, PriceStream(known, publisher))
        worker.add("markets", markets.TOPICS, Markets(ArbitrageStream(known, publisher), restored).take)
        worker.add("health", health.TOPICS, monitor.take)
        worker.beside(reference.follow(settings, codec, known, monitor.order_changed, wall(), loaded))
        worker.beside(monitor.tick())
        await worker.run(loaded, ready)
