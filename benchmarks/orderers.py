"""The exchange of the row ``orders``, and who sends it orders. ``python -m benchmarks.orderers ADDRESS``: bare hops."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import aiohttp
import uvloop
from aiohttp import web
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from benchmarks.local import process
from neuroflux.clock import wall
from neuroflux.domain import Balance, BookPicture, CommandKind, Instrument, InstrumentKind, Level, OrderCommand
from neuroflux.kafka import Publisher, load_codec
from neuroflux.ordering import new_order_id
from neuroflux.settings import Settings, load_settings
from neuroflux.topics import BALANCES, BOOKS, COMMANDS, INSTRUMENTS

BARE, WRITTEN = "bench.orders", "bench.journal"
PATIENCE = 30.0
REFRESH = 0.5
NFX = Instrument(
    exchange="binance",
    symbol="NFX/USDC",
    market="NFX/USD",
    name="NFXUSDC",
    base="NFX",
    quote="USDC",
    kind=InstrumentKind.SPOT,
    tick_size=Decimal("0.01"),
    quantity_step=Decimal("0.001"),
    min_notional=Decimal(5),
    taker_fee=Decimal("0.001"),
)


class Venue:
    """A Binance that fills everything at 100, and notes when each order came."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._at = 0.0
        application = web.Application()
        application.router.add_get("/api/v3/time", self._time)
        application.router.add_post("/api/v3/order", self._order)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)

    async def __aenter__(self) -> Venue:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def time_of(self, send: Callable[[], Awaitable[None]]) -> float:
        """Milliseconds from the call to the arrival."""
        self._came.clear()
        began = time.perf_counter()
        sending = asyncio.ensure_future(send())
        async with asyncio.timeout(PATIENCE):
            await self._came.wait()
        await sending
        return (self._at - began) * 1e3

    async def _time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": wall() // 1000})

    async def _order(self, request: web.Request) -> web.Response:
        self._at = time.perf_counter()
        self._came.set()
        given = dict(parse_qsl(request.query_string or (await request.text())))
        number, quantity = time.time_ns(), given.get("quantity", "1")
        fill = {"price": "100", "qty": quantity, "commission": "0.1", "commissionAsset": "USDC", "tradeId": number}
        return web.json_response(
            {
                "symbol": given.get("symbol", "NFXUSDC"),
                "orderId": number,
                "clientOrderId": given.get("newClientOrderId", "x"),
                "price": "0",
                "origQty": quantity,
                "executedQty": quantity,
                "cummulativeQuoteQty": str(Decimal(quantity) * 100),
                "status": "FILLED",
                "type": "LIMIT",
                "side": "BUY",
                "timeInForce": "IOC",
                "transactTime": wall() // 1000,
                "fills": [fill],
            }
        )


class Ours:
    """The executor in a process of its own; what it decides by is kept fresh."""

    def __init__(self, settings: Settings, venue: Venue) -> None:
        self._settings, self._venue = settings, venue
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Ours:
        keys = {
            "NEUROFLUX_EXCHANGES": "binance",
            "NEUROFLUX_BINANCE_REST_URL": self._venue.address,
            "NEUROFLUX_BINANCE_API_KEY": "key",
            "NEUROFLUX_BINANCE_SECRET_KEY": "secret",
        }
        self._publisher = await self._opened.enter_async_context(
            Publisher(self._settings, await load_codec(self._settings))
        )
        await self._publish_account()
        fresh = asyncio.create_task(self._keep_fresh())
        self._opened.callback(fresh.cancel)
        self._opened.enter_context(process(self._settings, "consumers", "execution", env=keys))
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._opened.__aexit__(*error)

    async def _publish_account(self) -> None:
        await self._publisher.write(INSTRUMENTS, NFX)
        for asset, amount in (("USDC", 1_000_000), ("NFX", 100)):
            free = Decimal(amount)
            await self._publisher.write(BALANCES, Balance("binance", asset, free, Decimal(0), Decimal(0), free, wall()))

    async def _keep_fresh(self) -> None:
        while True:
            now = wall()
            sides = (Level(99.9, 5e6),), (Level(100.0, 5e6),)
            self._publisher.publish(BOOKS, BookPicture("binance", "NFX/USDC", "NFX/USD", *sides, now, now, now))
            await asyncio.sleep(REFRESH)

    async def send(self) -> None:
        command = OrderCommand(
            order_id=new_order_id(), kind=CommandKind.PLACE, market="NFX/USD", quantity=Decimal("0.1"), issued_at=wall()
        )
        await self._publisher.write(COMMANDS, command)


class Ccxt:
    """Its own documentation: an exchange with keys, its markets, and create_order."""

    def __init__(self, venue: Venue) -> None:
        import ccxt.async_support as ccxt

        self._client = ccxt.binance({"apiKey": "key", "secret": "secret", "enableRateLimit": False})
        self._client.urls["api"]["private"] = self._client.urls["api"]["public"] = f"{venue.address}/api/v3"

    async def __aenter__(self) -> Ccxt:
        market = {
            "id": "NFXUSDC",
            "symbol": "NFX/USDC",
            "base": "NFX",
            "quote": "USDC",
            "baseId": "NFX",
            "quoteId": "USDC",
            "type": "spot",
            "spot": True,
            "active": True,
            "contract": False,
            "precision": {"amount": 0.001, "price": 0.01},
            "limits": {"amount": {}, "price": {}, "cost": {}, "market": {}},
            "info": {"orderTypes": ["LIMIT", "MARKET"], "quoteOrderQtyMarketAllowed": True},
        }
        self._client.set_markets([self._client.safe_market_structure(market)])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def send(self) -> None:
        await self._client.create_order("NFX/USDC", "limit", "buy", 0.1, 100, {"timeInForce": "IOC"})


class Bare:
    """Publishes to the process of ``hop``."""

    def __init__(self, settings: Settings, venue: Venue) -> None:
        self._settings, self._venue = settings, venue
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Bare:
        self._producer = await self._opened.enter_async_context(
            AIOKafkaProducer(bootstrap_servers=self._settings.kafka, acks="all")
        )
        self._opened.enter_context(process(self._settings, "benchmarks.orderers", self._venue.address))
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._opened.__aexit__(*error)

    async def send(self) -> None:
        await self._producer.send_and_wait(BARE, b"an order", partition=0)


async def hop(address: str) -> None:
    """Read a command, write that it is begun, send it."""
    settings = load_settings()
    async with (
        AIOKafkaConsumer(BARE, bootstrap_servers=settings.kafka, auto_offset_reset="earliest") as consumer,
        AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True) as producer,
        aiohttp.ClientSession() as session,
    ):
        async for _ in consumer:
            await producer.send_and_wait(WRITTEN, b"begun", partition=0)
            async with session.post(f"{address}/api/v3/order?symbol=NFXUSDC&quantity=0.1") as answer:
                await answer.read()


if __name__ == "__main__":
    uvloop.run(hop(sys.argv[1]))
