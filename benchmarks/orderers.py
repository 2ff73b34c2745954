"""The exchange and the contenders of the row ``orders``. ``python -m benchmarks.orderers ADDRESS``: bare hops."""

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
from neuroflux.domain import (
    Balance,
    BookSnapshot,
    CommandKind,
    CommandLeg,
    Instrument,
    InstrumentKind,
    Level,
    OrderCommand,
    Side,
)
from neuroflux.exchanges.config import ORDER_LIMITS
from neuroflux.kafka.commands import new_order_id
from neuroflux.kafka.publisher import Publisher
from neuroflux.kafka.registry import load_codec
from neuroflux.records.topics import BALANCES, BOOKS, COMMANDS, INSTRUMENTS
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings, load_settings
from neuroflux.runtime.stage import spare_collector

Send = Callable[[int], Awaitable[None]]
"""Sends an order that becomes this many requests."""
BARE, WRITTEN = "bench.orders", "bench.journal"
PATIENCE = 30.0
REFRESH = 0.5
FIRST = 400
"""Records to fill more than 4 KiB of a partition, after which Kafka writes to its index."""
BOUGHT, SOLD = "NFX/USDC", "NFY/USDC"
"""The legs of a pair. Their prices stay one percent apart, so that each pair is profitable."""
PRICES = {BOUGHT: 100.0, SOLD: 101.0}
FUNDS = {"USDC": Decimal(1_000_000), "NFX": Decimal(100)}
QUANTITY = Decimal("0.1")


def instrument(symbol: str) -> Instrument:
    return Instrument(
        exchange="binance",
        symbol=symbol,
        market="NFX/USD",
        name=symbol.replace("/", ""),
        base="NFX",
        quote="USDC",
        kind=InstrumentKind.SPOT,
        tick_size=Decimal("0.01"),
        quantity_step=Decimal("0.001"),
        min_notional=Decimal(5),
        taker_fee=Decimal("0.001"),
    )


class Venue:
    """A Binance that fills every order at its limit, and records the arrival times."""

    def __init__(self) -> None:
        self._came = asyncio.Event()
        self._awaited, self._at = 0, 0.0
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

    async def time_of(self, send: Send, requests: int) -> float:
        """Milliseconds from the call to the arrival of ``count`` requests."""
        self._came.clear()
        self._awaited = requests
        began = time.perf_counter()
        sending = asyncio.ensure_future(send(requests))
        async with asyncio.timeout(PATIENCE):
            await self._came.wait()
        await sending
        return (self._at - began) * 1e3

    async def _time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": wall() // 1000})

    async def _order(self, request: web.Request) -> web.Response:
        self._at = time.perf_counter()
        self._awaited -= 1
        if not self._awaited:
            self._came.set()
        given = dict(parse_qsl(request.query_string or (await request.text())))
        number, quantity, price = time.time_ns(), given.get("quantity", "1"), given.get("price", "100")
        fill = {"price": price, "qty": quantity, "commission": "0.1", "commissionAsset": "USDC", "tradeId": number}
        return web.json_response(
            {
                "symbol": given.get("symbol", "NFXUSDC"),
                "orderId": number,
                "clientOrderId": given.get("newClientOrderId", "x"),
                "price": "0",
                "origQty": quantity,
                "executedQty": quantity,
                "cummulativeQuoteQty": str(Decimal(quantity) * Decimal(price)),
                "status": "FILLED",
                "type": "LIMIT",
                "side": given.get("side", "BUY"),
                "timeInForce": "IOC",
                "transactTime": wall() // 1000,
                "fills": [fill],
            }
        )


class Ours:
    """The executor in a separate process, with fresh books, balances and health."""

    def __init__(self, settings: Settings, venue: Venue) -> None:
        self._settings, self._venue = settings, venue
        self._opened = AsyncExitStack()

    async def __aenter__(self) -> Ours:
        keys = {
            "NEUROFLUX_EXCHANGES": "binance",
            "NEUROFLUX_BINANCE_REST_URL": self._venue.address,
            "NEUROFLUX_BINANCE_API_KEY": "key",
            "NEUROFLUX_BINANCE_SECRET_KEY": "secret",
            "NEUROFLUX_MAX_NOTIONAL_USD": str(ORDER_LIMITS["max_notional_usd"]),
        }
        self._publisher = await self._opened.enter_async_context(
            Publisher(self._settings, await load_codec(self._settings))
        )
        await self._publish_instruments()
        fresh = asyncio.create_task(self._keep_fresh())
        self._opened.callback(fresh.cancel)
        self._opened.enter_context(process(self._settings, "consumers", "execution", env=keys))
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._opened.__aexit__(*error)

    async def _publish_instruments(self) -> None:
        for symbol in PRICES:
            await self._publisher.write(INSTRUMENTS, instrument(symbol))

    async def _keep_fresh(self) -> None:
        while True:
            now = wall()
            for symbol, price in PRICES.items():
                sides = (Level(price - 0.01, 5e6),), (Level(price, 5e6),)
                self._publisher.publish(BOOKS, BookSnapshot("binance", symbol, "NFX/USD", *sides, now, now, now))
            for asset, free in FUNDS.items():
                self._publisher.publish(BALANCES, Balance("binance", asset, free, Decimal(0), Decimal(0), free, now))
            await asyncio.sleep(REFRESH)

    async def warm(self) -> None:
        """Send commands that are refused, so that Kafka creates its index pages before the measurement."""
        for _ in range(FIRST):
            command = OrderCommand(order_id=new_order_id(), kind=CommandKind.PLACE, issued_at=wall())
            await self._publisher.write(COMMANDS, command)

    async def send(self, requests: int) -> None:
        """Send an order, or a pair of two."""
        kind = CommandKind.PLACE if requests == 1 else CommandKind.PAIR
        legs = () if requests == 1 else (_leg(BOUGHT, Side.BUY), _leg(SOLD, Side.SELL))
        command = OrderCommand(
            order_id=new_order_id(), kind=kind, market=BOUGHT, quantity=QUANTITY, legs=legs, issued_at=wall()
        )
        await self._publisher.write(COMMANDS, command)


def _leg(symbol: str, side: Side) -> CommandLeg:
    return CommandLeg("binance", symbol, side, QUANTITY)


class Ccxt:
    """As in its documentation: an exchange with keys, its markets, and create_order."""

    def __init__(self, venue: Venue) -> None:
        import ccxt.async_support as ccxt

        self._client = ccxt.binance({"apiKey": "key", "secret": "secret", "enableRateLimit": False})
        self._client.urls["api"]["private"] = self._client.urls["api"]["public"] = f"{venue.address}/api/v3"

    async def __aenter__(self) -> Ccxt:
        self._client.set_markets([self._client.safe_market_structure(_as_ccxt_has_it(symbol)) for symbol in PRICES])
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def send(self, requests: int) -> None:
        legs = [(BOUGHT, "buy"), (SOLD, "sell")][:requests]
        sending = (
            self._client.create_order(symbol, "limit", side, 0.1, 100, {"timeInForce": "IOC"}) for symbol, side in legs
        )
        await asyncio.gather(*sending)


def _as_ccxt_has_it(symbol: str) -> dict[str, Any]:
    base, _, quote = symbol.partition("/")
    return {
        "id": base + quote,
        "symbol": symbol,
        "base": base,
        "quote": quote,
        "baseId": base,
        "quoteId": quote,
        "type": "spot",
        "spot": True,
        "active": True,
        "contract": False,
        "precision": {"amount": 0.001, "price": 0.01},
        "limits": {"amount": {}, "price": {}, "cost": {}, "market": {}},
        "info": {"orderTypes": ["LIMIT", "MARKET"], "quoteOrderQtyMarketAllowed": True},
    }


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

    async def warm(self) -> None:
        """As for ours."""
        for _ in range(FIRST):
            await self.send(0)

    async def send(self, requests: int) -> None:
        await self._producer.send_and_wait(BARE, b"%d" % requests, partition=0)


async def hop(address: str) -> None:
    """Read a command, write its intent, send its request."""
    spare_collector()
    settings = load_settings()
    async with (
        AIOKafkaConsumer(BARE, bootstrap_servers=settings.kafka, auto_offset_reset="earliest") as consumer,
        AIOKafkaProducer(bootstrap_servers=settings.kafka, acks="all", enable_idempotence=True) as producer,
        aiohttp.ClientSession() as session,
    ):

        async def post() -> None:
            async with session.post(f"{address}/api/v3/order?symbol=NFXUSDC&quantity=0.1") as answer:
                await answer.read()

        async for command in consumer:
            await producer.send_and_wait(WRITTEN, b"begun", partition=0)
            await asyncio.gather(*(post() for _ in range(int(command.value))))


if __name__ == "__main__":
    uvloop.run(hop(sys.argv[1]))
