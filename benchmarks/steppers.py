"""``python -m benchmarks.steppers ours|faust|quixstreams|bare COUNT``: quotes to prices and arbitrage, and the rate.

Each reads ``market.quotes`` from the beginning in its own group, runs the same two engine steps on every record,
publishes their results, and prints records per second from the first to the last of COUNT.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable
from typing import Any

import uvloop

from benchmarks import frames
from neuroflux.domain import Microseconds, Quote
from neuroflux.engine.markets.comparable import Reference
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.kafka.decoder import Decoder
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import QUOTES
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.runtime.stage import spare_collector
from streams.arbitrage import ArbitrageStream
from streams.markets import Markets
from streams.prices import PriceStream
from streams.worker import Worker

START = 1_700_000_000_000_000
NAMES = ["BTC", "ETH", "SOL", "XRP"]


def quotes(count: int, start: Microseconds = START) -> Iterable[Quote[Any]]:
    """Quotes one millisecond apart, alternating between four markets on two exchanges."""
    for number in range(count):
        name, exchange = NAMES[number % 4], ("binance", "binanceusdm")[number // 4 % 2]
        at, bid = start + number * 1_000, 100.0 + number % 50
        yield Quote(exchange, f"{name}/USDT", f"{name}/USD", bid, 1.0, bid + 0.5, 2.0, number, at, at)


def known() -> Reference:
    """The instruments and the rate of USDT for the whole run."""
    listed = Binance().listing([frames.listing(NAMES)]).instruments
    reference = Reference(listed)
    end = START + 3_600_000_000
    reference.convert(Quote("binance", "USDC/USDT", "USDC/USD", 0.999, 1.0, 1.001, 1.0, 1, end, end), arbitrage_cause())
    return reference


def arbitrage_cause() -> Any:
    from neuroflux.domain import Cause

    return Cause(QUOTES.name, 0, 0)


class Meter:
    """Counts records, and prints their rate once all have arrived."""

    def __init__(self, count: int) -> None:
        self._count, self._seen, self._began = count, 0, 0.0
        self.done = asyncio.Event()

    def seen(self, records: int) -> None:
        self._began = self._began or time.perf_counter()
        self._seen += records
        if self._seen >= self._count and not self.done.is_set():
            print(
                (self._seen - records) / (time.perf_counter() - self._began) if self._seen > records else 0, flush=True
            )
            self.done.set()


async def ours(settings: Settings, count: int) -> None:
    spare_collector()
    codec, meter, reference = await load_codec(settings), Meter(count), known()
    async with Publisher(settings, codec) as publisher:
        worker = Worker(settings, publisher, Decoder(settings, codec), f"bench-{time.time_ns()}")
        steps = Markets(ArbitrageStream(reference, publisher), PriceStream(reference, publisher))

        async def counted(batch: list[Entry]) -> None:
            await steps.take(batch)
            meter.seen(len(batch))

        worker.add("markets", (QUOTES,), counted)
        loaded = asyncio.Event()
        loaded.set()
        running = asyncio.create_task(worker.run(loaded, lambda: None))
        await meter.done.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


class Steps:
    """The work of the other contenders on the bytes of a record."""

    def __init__(self, codec: Any, publisher: Publisher) -> None:
        self._codec, reference = codec, known()
        self._markets = Markets(ArbitrageStream(reference, publisher), PriceStream(reference, publisher))

    async def take(self, raw: bytes, partition: int, offset: int, timestamp: int) -> None:
        record = self._codec.decode(QUOTES, raw)
        entry = Entry(QUOTES, partition, offset, "", record, raw, "", timestamp * 1000)
        await self._markets.take([entry])


async def bare(settings: Settings, count: int) -> None:
    from aiokafka import AIOKafkaConsumer

    spare_collector()
    codec, meter = await load_codec(settings), Meter(count)
    async with Publisher(settings, codec) as publisher:
        steps = Steps(codec, publisher)
        consumer = AIOKafkaConsumer(QUOTES.name, bootstrap_servers=settings.kafka, auto_offset_reset="earliest")
        async with consumer:
            while not meter.done.is_set():
                for messages in (await consumer.getmany(timeout_ms=200, max_records=2_000)).values():
                    for one in messages:
                        await steps.take(one.value, one.partition, one.offset, one.timestamp)
                    meter.seen(len(messages))


async def faust(settings: Settings, count: int) -> None:
    """As in its documentation: an app, a topic, an agent over the events of its stream."""
    import faust as library

    codec, meter = await load_codec(settings), Meter(count)
    async with Publisher(settings, codec) as publisher:
        steps = Steps(codec, publisher)
        app: Any = library.App(
            f"bench-{time.time_ns()}",
            broker=f"kafka://{settings.kafka}",
            store="memory://",
            web_enabled=False,
            topic_disable_leader=True,
            topic_allow_declare=False,
            consumer_auto_offset_reset="earliest",
            value_serializer="raw",
        )

        async def agent(stream: Any) -> None:
            async for event in stream.events():
                message = event.message
                await steps.take(event.value, message.partition, message.offset, int(message.timestamp * 1000))
                meter.seen(1)

        app.agent(app.topic(QUOTES.name, value_type=bytes), name="bench")(agent)
        await app.start()
        await meter.done.wait()
        await app.stop()


def quixstreams(settings: Settings, count: int) -> None:
    """As in its documentation: an application, a topic, a function applied to its dataframe."""
    from quixstreams import Application

    codec, meter = asyncio.run(load_codec(settings)), Meter(count)
    app = Application(
        broker_address=settings.kafka,
        consumer_group=f"bench-{time.time_ns()}",
        auto_offset_reset="earliest",
        loglevel=None,
    )
    topic = app.topic(QUOTES.name, value_deserializer="bytes", key_deserializer="bytes")
    outputs = app.topic("bench.quixstreams", value_serializer="bytes", key_serializer="bytes")

    class Sink:
        """Quixstreams publishes the outputs with its own producer."""

        def publish(self, where: Any, record: Any) -> None:
            producer.produce(outputs.name, codec.encode(where, record), key=where.key(record).encode())

        def publish_raw(self, *_: Any) -> None:
            raise AssertionError("every record is sound")

    steps = Steps(codec, Sink())  # type: ignore[arg-type]

    def take(raw: bytes, key: Any, timestamp: int, headers: Any) -> None:
        taking = steps.take(raw, 0, 0, timestamp)
        try:
            taking.send(None)
        except StopIteration:
            meter.seen(1)
        if meter.done.is_set():
            app.stop()

    with app.get_producer() as producer:
        frame = app.dataframe(topic)
        frame.apply(take, metadata=True)
        app.run()


if __name__ == "__main__":
    if sys.argv[1] == "quixstreams":
        quixstreams(load_settings(), int(sys.argv[2]))
    else:
        uvloop.run({"ours": ours, "bare": bare, "faust": faust}[sys.argv[1]](load_settings(), int(sys.argv[2])))
