"""A fake exchange: one account, whose feed reads plain JSON, and a server that sends what a test sets."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from functools import partial
from math import inf
from typing import Any, ClassVar

from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    ExchangeStatus,
    Fill,
    Instrument,
    InstrumentKind,
    Liquidity,
    Microseconds,
    OrderReport,
    OrderState,
    OrderType,
    Position,
    Side,
    StatusKind,
    TransferKind,
)
from neuroflux.engine.health.state import REST
from neuroflux.exchanges.kit.events import FeedEvent, FeeRates, Hold, Listing, PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import Answer, Keys, OrderRate, Request, Subscription, Usage, WeightRate
from neuroflux.http.client import Client
from neuroflux.records.topics import STATUS, Topic
from neuroflux.runtime.clock import wall
from producers.account import ExchangeAccount

PATIENCE = 10
ID = "x"


def instrument(symbol: str, name: str, *, active: bool = True, tick: str = "1") -> Instrument:
    base = symbol.partition("/")[0]
    rules = {"tick_size": Decimal(tick), "active": active}
    names = {"exchange": ID, "symbol": symbol, "market": f"{base}/USD", "name": name, "base": base, "quote": "USDT"}
    return Instrument(**names, kind=InstrumentKind.PERPETUAL, settle="USDT", **rules)  # type: ignore[arg-type]


BTC = instrument("BTC/USDT:USDT", "BTCUSDT")


class Feed:
    """Reads ``{"balance": [asset, total]}``, ``{"position": [name, quantity]}``, ``{"status": [kind, value, text]}``,
    ``{"fees": [name, taker, maker]}``, ``{"fill": [name, fee, fee asset]}`` of one unit at a price of 100,
    ``{"report": [name]}`` of an order of one unit that rests at 100, and ``{"transfer": [asset, quantity]}``.

    An answer is a list of such; ``{"page": n}`` requests another.
    """

    exchange = ID
    pushes_figures = True

    def __init__(self, instruments: Sequence[Instrument], pushes_whole: bool) -> None:
        self.pushes_whole = pushes_whole
        self.symbols = {one.name: one.symbol for one in instruments}
        self.key = ""

    def learn(self, instruments: Sequence[Instrument]) -> None:
        self.symbols |= {one.name: one.symbol for one in instruments}

    def opening(self, now: Microseconds) -> Sequence[Request]:
        return (Request("POST", "/key"),)

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        return (Request("PUT", "/key"),)

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        return (Subscription(f"/ws?key={self.key}", quiet_seconds=inf),) if self.key else ()

    def figures(self, now: Microseconds) -> Sequence[Request]:
        return (Request("GET", f"/figures?signed={now}"),)

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        return (Request("GET", f"/fees?symbols={','.join(symbols)}"),)

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        return (Request("GET", f"/transfers?since={since}&signed={now}"),)

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        return (*self.figures(now), Request("GET", f"/orders?since={since}&signed={now}"))

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        return [self._event(json.loads(raw), received_time)]

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        if answer.status != 200:
            if answer.request.path != "/key":
                return (Undecodable(f"HTTP {answer.status}"),)
            self.key = ""
            return (ExchangeStatus(ID, "account", StatusKind.DISCONNECTED, 0.0, "the key has expired", received_time),)
        body = json.loads(answer.body)
        if isinstance(body, dict):
            self.key = body["key"]
            return ()
        return [self._event(one, received_time) for one in body]

    def _event(self, message: dict[str, Any], now: Microseconds) -> FeedEvent:
        ((kind, of),) = message.items()
        zero = Decimal(0)
        if kind == "balance":
            total = Decimal(of[1])
            return Balance(ID, of[0], total, zero, zero, total, now)
        if kind == "position":
            return Position(ID, self.symbols.get(of[0], of[0]), Decimal(of[1]), zero, zero, now)
        if kind == "hold":
            return Hold(*of)
        if kind == "fees":
            return FeeRates(self.symbols[of[0]], Decimal(of[1]), Decimal(of[2]))
        if kind == "fill":
            return fill(self.symbols[of[0]], of[1], of[2], now)
        if kind == "report":
            return resting(self.symbols[of[0]], now)
        if kind == "transfer":
            word = (TransferKind.TRANSFER, "word", "1")
            return AccountTransfer(ID, of[0], Decimal(of[1]), *word, now)
        if kind == "page":
            return PageNeeded(Request("GET", f"/figures?page={of}"))
        return ExchangeStatus(ID, "account", StatusKind(of[0]), of[1], of[2], now)


class Exchange:
    """As much of ``Exchange`` as an account's stage uses."""

    ID: ClassVar[str] = ID
    WEIGHT_PER_MINUTE: ClassVar[int] = 100_000
    BUCKETS: ClassVar[dict[str, WeightRate]] = {}
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]] = ()

    def __init__(self) -> None:
        self.listing_now = Listing((BTC,))
        self.pushes_whole = True
        self.feed: Feed

    def instruments_requests(self) -> Sequence[Request]:
        return (Request("GET", "/list"),)

    def listing(self, answers: Sequence[Answer]) -> Listing:
        return self.listing_now

    def server_time_request(self) -> Request | None:
        return None

    def usage(self, answer: Answer) -> Usage:
        return Usage()

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> Feed:
        self.feed = Feed(instruments, self.pushes_whole)
        return self.feed


class Kept:
    """A publisher that keeps what it is given."""

    def __init__(self) -> None:
        self.published: list[tuple[Topic, Any]] = []
        self._changed = asyncio.Event()

    def publish(self, topic: Topic, record: Any) -> None:
        self.published.append((topic, record))
        self.notify()

    def notify(self) -> None:
        self._changed.set()

    async def drain(self) -> None: ...

    def of(self, topic: Topic) -> list[Any]:
        return [record for where, record in self.published if where is topic]

    def statuses(self, kind: StatusKind) -> list[ExchangeStatus]:
        return [one for one in self.of(STATUS) if one.kind is kind]

    async def until(self, condition: Callable[[], Any]) -> Any:
        async with asyncio.timeout(PATIENCE):
            while not (found := condition()):
                self._changed.clear()
                await self._changed.wait()
            return found


class Venue:
    """The server: it answers with ``figures``, ``orders`` and so on as they are; ``requests`` counts by kind."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept
        self.requests: Counter[str] = Counter()
        self.figures: list[dict[str, Any]] = []
        self.pages: dict[str, list[dict[str, Any]]] = {}
        self.orders: list[dict[str, Any]] = []
        self.fees: list[dict[str, Any]] = []
        self.transfers: list[dict[str, Any]] = []
        self.since: list[int] = []
        self.key_status = self.keep_status = self.orders_status = self.fees_status = 200
        self.transfers_status = 200
        self.keys: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.app = web.Application()
        route = self.app.router.add_route
        route("GET", "/list", self._list)
        route("*", "/key", self._key)
        route("GET", "/figures", self._figures)
        route("GET", "/orders", self._orders)
        route("GET", "/fees", self._fees)
        route("GET", "/transfers", self._transfers)
        route("GET", "/ws", self._stream)

    def _count(self, what: str) -> None:
        self.requests[what] += 1
        self._kept.notify()

    async def _list(self, _: web.Request) -> web.Response:
        self._count("list")
        return web.json_response([])

    async def _key(self, request: web.Request) -> web.Response:
        self._count(request.method)
        status = self.key_status if request.method == "POST" else self.keep_status
        if status != 200:
            return web.json_response({"code": -1125, "msg": "This listenKey does not exist."}, status=status)
        return web.json_response({"key": f"key{self.requests['POST']}"})

    async def _figures(self, request: web.Request) -> web.Response:
        self._count("figures")
        return web.json_response(self.pages[page] if (page := request.query.get("page")) else self.figures)

    async def _orders(self, _: web.Request) -> web.Response:
        self._count("orders")
        return web.json_response(self.orders, status=self.orders_status)

    async def _fees(self, _: web.Request) -> web.Response:
        self._count("fees")
        return web.json_response(self.fees, status=self.fees_status)

    async def _transfers(self, request: web.Request) -> web.Response:
        """``since`` has the start times of the requests."""
        self.since.append(int(request.query["since"]))
        self._count("transfers")
        return web.json_response(self.transfers, status=self.transfers_status)

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.keys.append(request.query["key"])
        self.sockets.append(socket)
        self._kept.notify()
        async for message in socket:
            assert message.type is not WSMsgType.ERROR
        return socket

    async def push(self, **message: Any) -> None:
        await self.sockets[-1].send_str(json.dumps(message))


@asynccontextmanager
async def followed(
    exchange: Exchange, venue: Venue, kept: Kept, *before: Balance | Position
) -> AsyncIterator[ExchangeAccount]:
    async with TestServer(venue.app) as server:
        client = Client(exchange, str(server.make_url("/")), REST, partial(kept.publish, STATUS))  # type: ignore[arg-type]
        async with client:
            account = ExchangeAccount(exchange, Keys("k", "s"), kept, client, before)  # type: ignore[arg-type]
            running = asyncio.create_task(account.run(f"ws://127.0.0.1:{server.port}", asyncio.Event()))
            try:
                yield account
                assert not running.done(), running
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)


def balance(asset: str, total: int) -> Balance:
    whole, zero = Decimal(total), Decimal(0)
    return Balance(ID, asset, whole, zero, zero, whole, wall())


def fill(symbol: str, fee: str, fee_asset: str, now: Microseconds) -> Fill:
    price, quantity = Decimal(100), Decimal(1)
    ids = ("", ID, symbol, "", "1", str(now))
    return Fill(*ids, Side.BUY, price, quantity, Decimal(fee), fee_asset, Liquidity.TAKER, now)


def resting(symbol: str, now: Microseconds) -> OrderReport:
    price, quantity, zero = Decimal(100), Decimal(1), Decimal(0)
    amounts = (price, quantity, zero, None, OrderState.ACKNOWLEDGED, "", now)
    return OrderReport(ID, symbol, "", "1", Side.BUY, OrderType.LIMIT, *amounts)


def renamed(one: Instrument, **what: Any) -> Instrument:
    return replace(one, **what)
