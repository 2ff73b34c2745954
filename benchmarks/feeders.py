"""``python -m benchmarks.feeders ours|cryptofeed|bridge ADDRESS``: from a WebSocket to Kafka, until killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from io import BytesIO
from typing import Any

import uvloop

from benchmarks import frames
from neuroflux.domain import Microseconds, StatusKind
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.kit.requests import Subscription
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.codec import schema_text
from neuroflux.records.topics import QUOTES
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.runtime.stage import spare_collector
from producers.normaliser import Normaliser
from producers.socket import Socket

BRIDGE = "bench.bridge"
CRYPTOFEED = "ticker-BINANCE-BTC-USDT"
BATCH = 128 * 1024


class Listener:
    """As in producers.market, without REST: no book is requested."""

    def __init__(self, normaliser: Normaliser, publisher: Publisher) -> None:
        self._normaliser, self._publisher = normaliser, publisher

    async def opened(self) -> None: ...

    def frame(self, raw: bytes, received: Microseconds) -> None:
        self._normaliser.frame(0, raw, received)

    def status(self, kind: StatusKind, value: float, detail: str) -> None: ...

    async def drained(self) -> None:
        await self._publisher.drain()


async def ours(settings: Settings, address: str) -> None:
    async with Publisher(settings, await load_codec(settings)) as publisher:
        normaliser = Normaliser(Binance(), publisher, lambda request: None)
        normaliser.instruments([frames.listing(["BTC"])], wall())
        normaliser.follow(["BTC/USDT"], wall())
        await Socket(address, Subscription("/stream"), Listener(normaliser, publisher)).run()


def cryptofeed(settings: Settings, address: str) -> None:
    """As in its documentation: a FeedHandler with a feed and the Kafka backend as callback."""
    import cryptofeed.connection as connection
    from cryptofeed import FeedHandler
    from cryptofeed.backends.kafka import TickerKafka
    from cryptofeed.connection import WebsocketEndpoint
    from cryptofeed.defines import TICKER
    from cryptofeed.exchanges import Binance as CryptofeedBinance

    from benchmarks.codec import cryptofeed as feed

    real = connection.connect
    connection.connect = lambda given, **how: real(
        given.replace("wss://", "ws://"), **how
    )  # it accepts no other address
    CryptofeedBinance.websocket_endpoints = [WebsocketEndpoint(address.replace("ws://", "wss://"))]
    handler = FeedHandler(config={"uvloop": True, "log": {"filename": os.devnull, "level": "WARNING"}})
    asyncio.set_event_loop(uvloop.new_event_loop())  # it expects the loop that older Python versions created
    handler.add_feed(feed("BTC", {TICKER: TickerKafka(bootstrap_servers=settings.kafka)}))
    handler.run()


class Bridge:
    """Only the socket, msgspec, fastavro and aiokafka's batches; picows is the compiled WebSocket client."""

    def __init__(self, producer: Any) -> None:
        from fastavro import parse_schema

        from benchmarks.codec import limit_of_quotes

        self._producer = producer
        self._schema = parse_schema(json.loads(schema_text(QUOTES)))
        self._decode, self._record = limit_of_quotes()
        self._builder = producer.create_batch()
        self._full: asyncio.Queue[Any] = asyncio.Queue()

    def frame(self, raw: bytes) -> None:
        from fastavro import schemaless_writer

        out = BytesIO()
        schemaless_writer(out, self._schema, self._record(self._decode(raw).data))
        if self._builder.append(key=b"BTC/USD", value=out.getvalue(), timestamp=None) is None:
            self._full.put_nowait(self._builder)
            self._builder = self._producer.create_batch()
            self._builder.append(key=b"BTC/USD", value=out.getvalue(), timestamp=None)

    @property
    def waiting(self) -> int:
        return self._full.qsize()

    async def send(self) -> None:
        while True:
            await (await self._producer.send_batch(await self._full.get(), BRIDGE, partition=0))


async def bridge(settings: Settings, address: str) -> None:
    from aiokafka import AIOKafkaProducer
    from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

    async with AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", max_batch_size=BATCH) as producer:
        made = Bridge(producer)

        class Client(WSListener):
            def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
                if frame.msg_type == WSMsgType.TEXT:
                    made.frame(frame.get_payload_as_bytes())

        transport, _ = await ws_connect(Client, f"{address}/stream")
        sending = asyncio.create_task(made.send())
        while not sending.done():
            await asyncio.sleep(0.001)
            if made.waiting > 50:
                transport.underlying_transport.pause_reading()
            elif made.waiting < 10:
                transport.underlying_transport.resume_reading()
        sending.result()


if __name__ == "__main__":
    if sys.argv[1] == "cryptofeed":
        cryptofeed(load_settings(), sys.argv[2])
    else:
        spare_collector()
        uvloop.run({"ours": ours, "bridge": bridge}[sys.argv[1]](load_settings(), sys.argv[2]))
