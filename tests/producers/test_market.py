"""One exchange's public data, from a Binance that runs in the test to the records of the topics."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from msgspec.structs import replace

import producers.book_schedule
import producers.liveness
import producers.market
from neuroflux.domain import BookSnapshot, ExchangeStatus, Level, Quote, Side, StatusKind, Trade
from neuroflux.engine.health.state import MARKET as MARKET_REQUESTS
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.kit.events import PageNeeded, Resubscribe
from neuroflux.exchanges.kit.requests import Answer, Request, Subscription
from neuroflux.http.client import Client
from neuroflux.records.topics import BOOKS, INSTRUMENTS, MARKET_DEAD_LETTERS, QUOTES, STATUS, TRADES, Topic
from neuroflux.runtime.clock import wall
from producers.market import ExchangeMarket
from producers.normaliser import Normaliser

PATIENCE = 10
SYMBOL, MARKET = "BTC/USDT", "BTC/USD"


class Recorder:
    """A publisher that keeps what it is given, in order."""

    def __init__(self) -> None:
        self.published: list[tuple[Topic, Any]] = []
        self.letters: list[tuple[Topic, bytes, dict[str, bytes]]] = []
        self.drains = 0
        self._changed = asyncio.Event()

    def publish(self, topic: Topic, record: Any) -> None:
        self.published.append((topic, record))
        self._changed.set()

    def publish_raw(self, topic: Topic, key: bytes | None, value: bytes, headers: Any = ()) -> None:
        self.letters.append((topic, value, dict(headers)))
        self._changed.set()

    async def drain(self) -> None:
        self.drains += 1
        self._changed.set()

    def of(self, topic: Topic) -> list[Any]:
        return [record for where, record in self.published if where is topic]

    def kinds(self) -> list[StatusKind]:
        """The statuses of the exchange, except for those of its REST requests."""
        return [one.kind for one in self.of(STATUS) if one.channel != MARKET_REQUESTS]

    async def until(self, condition: Callable[[], Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def rounds(self, count: int) -> None:
        """Until so many rounds of publishing books have passed, while the socket receives nothing."""
        enough = self.drains + count
        await self.until(lambda: self.drains >= enough)


class Venue:
    """A Binance of one symbol: its lists, its snapshot, and the frames that the test pushes."""

    def __init__(self) -> None:
        self.snapshots = 0
        self.listed = [("BTC", "TRADING"), ("ETH", "TRADING"), ("LUNA", "BREAK")]
        self.streams: list[str] = []
        self.last_update = 100
        self.answering = asyncio.Event()
        self.answering.set()
        self._frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.app = web.Application()
        self.app.add_routes(
            [
                web.get("/api/v3/exchangeInfo", self._list),
                web.get("/api/v3/time", self._time),
                web.get("/api/v3/depth", self._depth),
                web.get("/stream", self._stream),
            ]
        )

    def push(self, **message: Any) -> None:
        self._frames.put_nowait(json.dumps({"stream": "btcusdt@x", "data": message}).encode())

    def push_raw(self, raw: bytes) -> None:
        self._frames.put_nowait(raw)

    def depth(self, first: int, last: int, bid: str = "99", quantity: str = "1") -> None:
        self.push(e="depthUpdate", E=1_700_000_000_000, s="BTCUSDT", U=first, u=last, b=[[bid, quantity]], a=[])

    def quote(self, bid: str, ask: str, update: int = 5, size: str = "1") -> None:
        self.push(u=update, s="BTCUSDT", b=bid, B=size, a=ask, A="2")

    def trade(self, number: int) -> None:
        self.push(e="trade", E=1, s="BTCUSDT", t=number, p="100.50", q="0.10", T=1_700_000_000_001, m=True, M=True)

    def disconnect(self) -> None:
        self._frames.put_nowait(None)

    async def _list(self, _: web.Request) -> web.Response:
        def one(base: str, status: str = "TRADING") -> dict[str, Any]:
            tick = {"filterType": "PRICE_FILTER", "tickSize": "0.01000000"}
            return {
                "symbol": f"{base}USDT",
                "status": status,
                "baseAsset": base,
                "quoteAsset": "USDT",
                "filters": [tick],
            }

        return web.json_response({"symbols": [one(base, status) for base, status in self.listed]})

    async def _time(self, _: web.Request) -> web.Response:
        return web.json_response({"serverTime": wall() // 1000})

    async def _depth(self, request: web.Request) -> web.Response:
        assert request.query["symbol"] == "BTCUSDT"
        self.snapshots += 1
        await self.answering.wait()
        return web.json_response({"lastUpdateId": self.last_update, "bids": [["98", "3"]], "asks": [["101", "2"]]})

    async def _stream(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        self.streams.append(request.query["streams"])
        await socket.prepare(request)
        reading = asyncio.create_task(self._read(socket))
        try:
            await self._send_frames(socket, reading)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        return socket

    async def _read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            assert message.type is not WSMsgType.ERROR

    async def _send_frames(self, socket: web.WebSocketResponse, reading: asyncio.Task[None]) -> None:
        while True:
            pushing = asyncio.create_task(self._frames.get())
            await asyncio.wait({pushing, reading}, return_when=asyncio.FIRST_COMPLETED)
            if not pushing.done():
                pushing.cancel()
                return
            frame = pushing.result()
            if frame is None:
                return
            await socket.send_str(frame.decode())


@pytest.fixture
def venue() -> Venue:
    return Venue()


@pytest.fixture
def sink() -> Recorder:
    return Recorder()


@pytest.fixture
async def market(venue: Venue, sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ExchangeMarket]:
    """Followed: books are checked every 5 ms, and repeated whenever the socket received anything."""
    monkeypatch.setattr(producers.market, "INTERVAL", 20_000)
    monkeypatch.setattr(producers.book_schedule, "INTERVAL", 1)
    monkeypatch.setattr(producers.book_schedule, "REPEAT", 1)
    server, exchange, publisher = TestServer(venue.app), Binance(), sink
    await server.start_server()
    async with Client(exchange, str(server.make_url("/")), MARKET_REQUESTS, partial(sink.publish, STATUS)) as client:
        market = ExchangeMarket(exchange, publisher, client)
        assert await market.load([MARKET]) == [SYMBOL]
        address, tried = f"ws://127.0.0.1:{server.port}", asyncio.Event()
        following = asyncio.create_task(market.run(address, [SYMBOL], tried))
        async with asyncio.timeout(PATIENCE):
            await tried.wait()
        yield market
        assert not following.done(), following
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await server.close()


@pytest.mark.usefixtures("market")
async def test_every_instrument_is_published_and_the_chosen_are_followed(sink: Recorder) -> None:
    assert [(one.symbol, one.active) for one in sink.of(INSTRUMENTS)] == [
        ("BTC/USDT", True),
        ("ETH/USDT", True),
        ("LUNA/USDT", False),
    ]
    assert sink.kinds() == [StatusKind.CONNECTED]
    await sink.until(lambda: {StatusKind.LATENCY, StatusKind.SKEW} <= {one.kind for one in sink.of(STATUS)})


@pytest.mark.usefixtures("market")
async def test_quotes_and_trades_carry_the_numbers_as_written(venue: Venue, sink: Recorder) -> None:
    before = wall()
    venue.quote("99.90", "100.10", update=7)
    venue.trade(12)
    await sink.until(lambda: sink.of(TRADES))
    (quote,), (trade,) = sink.of(QUOTES), sink.of(TRADES)
    received = quote.received_time
    assert before <= received <= wall()
    assert quote == Quote("binance", SYMBOL, MARKET, "99.90", "1", "100.10", "2", 7, received, received)
    at = 1_700_000_000_001_000
    assert trade == Trade("binance", SYMBOL, MARKET, "12", Side.SELL, "100.50", "0.10", at, trade.received_time)


@pytest.mark.usefixtures("market")
@pytest.mark.parametrize(("bid", "ask", "size"), [("101", "100", "1"), ("100", "100", "1"), ("99", "100", "0")])
async def test_a_crossed_or_empty_top_is_no_quote(venue: Venue, sink: Recorder, bid: str, ask: str, size: str) -> None:
    venue.quote(bid, ask, size=size)
    venue.quote(bid, ask, size=size)
    venue.quote("99", "100", update=8)
    await sink.until(lambda: sink.of(QUOTES))
    assert [quote.sequence for quote in sink.of(QUOTES)] == [8]
    (excluded,) = [one for one in sink.of(STATUS) if one.kind is StatusKind.EXCLUDED]  # once a second, not each
    assert (excluded.exchange, excluded.symbol) == ("binance", SYMBOL)
    assert excluded.detail, "why"


@pytest.mark.usefixtures("market")
async def test_a_malformed_frame_is_a_dead_letter_and_reported(venue: Venue, sink: Recorder) -> None:
    venue.push_raw(b'{"e": "trade", oops')
    venue.trade(13)
    await sink.until(lambda: sink.of(TRADES))
    ((topic, raw, headers),) = sink.letters
    assert topic is MARKET_DEAD_LETTERS
    assert raw == b'{"e": "trade", oops'
    assert (headers["exchange"], headers["channel"]) == (b"binance", b"/stream")
    assert headers["reason"]
    assert sink.kinds() == [StatusKind.CONNECTED, StatusKind.MALFORMED]


@pytest.mark.usefixtures("market")
async def test_a_malformed_frame_beyond_a_megabyte_is_cut_because_kafka_refuses_it(
    venue: Venue, sink: Recorder
) -> None:
    venue.push_raw(b'{"e": "trade", ' + b"x" * 2_000_000)
    venue.trade(13)
    await sink.until(lambda: sink.of(TRADES))
    ((_, raw, headers),) = sink.letters
    assert len(raw) + sum(len(value) for value in headers.values()) < 1_000_000
    assert headers["bytes"] == b"2000015"


@pytest.mark.usefixtures("market")
async def test_a_book_is_published_when_it_is_proved(venue: Venue, sink: Recorder) -> None:
    venue.answering.clear()
    venue.depth(100, 101)
    await sink.until(lambda: venue.snapshots)
    await sink.rounds(5)
    assert sink.of(BOOKS) == []
    venue.answering.set()
    await sink.until(lambda: sink.of(BOOKS))
    snapshot = sink.of(BOOKS)[0]
    assert isinstance(snapshot, BookSnapshot)
    assert (snapshot.exchange, snapshot.symbol, snapshot.market, snapshot.sequence) == ("binance", SYMBOL, MARKET, 101)
    assert snapshot.bids == (Level("99", "1"), Level("98", "3"))
    assert snapshot.asks == (Level("101", "2"),)
    assert venue.snapshots == 1


@pytest.mark.usefixtures("market")
async def test_a_book_that_loses_a_side_is_published_without_it(venue: Venue, sink: Recorder) -> None:
    venue.depth(100, 101)
    await sink.until(lambda: sink.of(BOOKS))
    for update, bid in enumerate(("99", "98"), 102):
        venue.depth(update, update, bid, "0")
    await sink.until(lambda: sink.of(BOOKS)[-1].sequence == 103)
    assert (sink.of(BOOKS)[-1].bids, sink.of(BOOKS)[-1].asks) == ((), (Level("101", "2"),))


@pytest.mark.usefixtures("market")
async def test_after_a_gap_no_snapshot_is_published_until_the_book_is_proved_again(
    venue: Venue, sink: Recorder
) -> None:
    venue.depth(100, 101)
    await sink.until(lambda: sink.of(BOOKS))
    venue.answering.clear()
    venue.last_update = 106
    venue.depth(105, 105)  # 102 to 104 are missing
    await sink.until(lambda: venue.snapshots == 2)
    venue.depth(106, 106)
    venue.depth(107, 107, bid="97")
    venue.trade(1)
    await sink.until(lambda: sink.of(TRADES))
    await sink.rounds(10)
    venue.answering.set()
    await sink.until(lambda: sink.of(BOOKS)[-1].sequence == 107)
    story = [
        (record.kind, record.symbol) if isinstance(record, ExchangeStatus) else record.sequence
        for topic, record in sink.published
        if topic is BOOKS or (topic is STATUS and record.kind in (StatusKind.GAP, StatusKind.RESYNCED))
    ]
    gap = story.index((StatusKind.GAP, SYMBOL))
    assert set(story[:gap]) == {101}
    assert story[gap + 1] == (StatusKind.RESYNCED, SYMBOL)
    assert set(story[gap + 2 :]) == {107}
    assert sink.of(BOOKS)[-1].bids == (Level("98", "3"), Level("97", "1"))


@pytest.mark.usefixtures("market")
async def test_a_lost_socket_withdraws_its_books(venue: Venue, sink: Recorder) -> None:
    venue.depth(100, 101)
    await sink.until(lambda: sink.of(BOOKS))
    venue.answering.clear()
    venue.disconnect()
    await sink.until(lambda: sink.kinds().count(StatusKind.CONNECTED) == 2)
    shown = len(sink.of(BOOKS))
    venue.trade(1)  # the new socket is alive; its books are not
    await sink.until(lambda: sink.of(TRADES))
    await sink.rounds(10)
    assert len(sink.of(BOOKS)) == shown
    venue.last_update = 200
    venue.depth(200, 201)
    await sink.until(lambda: venue.snapshots == 2)
    await sink.rounds(10)
    assert len(sink.of(BOOKS)) == shown
    venue.answering.set()
    await sink.until(lambda: sink.of(BOOKS)[-1].sequence == 201)
    kinds = [StatusKind.CONNECTED, StatusKind.DISCONNECTED, StatusKind.CONNECTED, StatusKind.RESYNCED]
    assert sink.kinds() == kinds


@pytest.mark.usefixtures("market")
async def test_an_unchanged_book_is_as_fresh_as_its_socket(venue: Venue, sink: Recorder) -> None:
    venue.depth(100, 101)
    await sink.until(lambda: sink.of(BOOKS))
    shown = len(sink.of(BOOKS))
    venue.trade(1)
    await sink.until(lambda: sink.of(TRADES) and len(sink.of(BOOKS)) > shown)
    last = sink.of(BOOKS)[-1]
    assert last.sequence == 101
    assert last.received_time >= sink.of(TRADES)[0].received_time


# ── what changes at run time ─────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def listed_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(producers.market, "LIST_RETRY_SECONDS", 0.1)
    monkeypatch.setattr(producers.market, "INSTRUMENTS_SECONDS", 0.2)


def changes(sink: Recorder) -> list[tuple[str, bool]]:
    """What was published of instruments after the first list."""
    return [(one.symbol, one.active) for one in sink.of(INSTRUMENTS)[3:]]


@pytest.mark.usefixtures("listed_often", "market")
async def test_a_new_listing_is_published_and_followed_and_other_books_stay(venue: Venue, sink: Recorder) -> None:
    venue.depth(100, 101)
    await sink.until(lambda: sink.of(BOOKS))
    venue.listed.append(("BTC2", "TRADING"))  # another market
    await sink.until(lambda: changes(sink) == [("BTC2/USDT", True)])
    assert len(venue.streams) == 1
    venue.listed.remove(("BTC2", "TRADING"))
    await sink.until(lambda: changes(sink)[-1] == ("BTC2/USDT", False))
    assert venue.snapshots == 1


async def test_a_new_symbol_of_a_market_that_is_followed_gets_a_socket(
    venue: Venue, sink: Recorder, listed_often: None, market: ExchangeMarket
) -> None:
    market._markets = [MARKET, "NEW/USD"]
    venue.listed.append(("NEW", "TRADING"))
    await sink.until(lambda: len(venue.streams) == 2 and sink.kinds().count(StatusKind.CONNECTED) == 2)
    assert set(venue.streams[1].split("/")) == {f"newusdt@{kind}" for kind in ("bookTicker", "trade", "depth@100ms")}
    assert StatusKind.DISCONNECTED not in sink.kinds()


@pytest.mark.usefixtures("listed_often")
async def test_a_delisted_symbol_is_not_followed_and_those_that_shared_its_socket_are(
    venue: Venue, sink: Recorder, market: ExchangeMarket
) -> None:
    market._markets = [MARKET, "NEW/USD", "OLD/USD"]
    venue.listed += [("NEW", "TRADING"), ("OLD", "TRADING")]
    await sink.until(lambda: sink.kinds().count(StatusKind.CONNECTED) == 2)
    assert {"newusdt@trade", "oldusdt@trade"} <= set(venue.streams[1].split("/"))
    venue.listed.remove(("OLD", "TRADING"))
    await sink.until(lambda: sink.kinds().count(StatusKind.CONNECTED) == 3)
    assert ("OLD/USDT", False) in changes(sink)
    assert {one.partition("@")[0] for one in venue.streams[2].split("/")} == {"newusdt"}
    assert len(market._sockets) == 2


@pytest.mark.usefixtures("listed_often", "market")
async def test_the_book_of_a_halted_symbol_is_withdrawn_and_its_socket_stays(venue: Venue, sink: Recorder) -> None:
    venue.depth(100, 101)
    await sink.until(lambda: sink.of(BOOKS))
    venue.listed[0] = ("BTC", "BREAK")
    await sink.until(lambda: changes(sink) == [(SYMBOL, False)])
    shown = len(sink.of(BOOKS))
    venue.trade(1)  # the socket is still active
    await sink.until(lambda: sink.of(TRADES))
    await sink.rounds(5)
    assert len(sink.of(BOOKS)) == shown
    venue.listed[0] = ("BTC", "TRADING")
    await sink.until(lambda: changes(sink)[-1] == (SYMBOL, True))
    venue.depth(102, 102)
    await sink.until(lambda: len(sink.of(BOOKS)) > shown)
    assert sink.of(BOOKS)[-1].sequence == 102
    assert (len(venue.streams), venue.snapshots) == (1, 1)


async def test_an_instrument_that_another_stage_read_has_the_list_read_again(
    venue: Venue, sink: Recorder, monkeypatch: pytest.MonkeyPatch, market: ExchangeMarket
) -> None:
    monkeypatch.setattr(producers.market, "LIST_RETRY_SECONDS", 0.0)
    venue.listed.append(("NEW", "TRADING"))
    btc = sink.of(INSTRUMENTS)[0]
    market.read_elsewhere(btc)
    assert not market._relist.is_set(), "that is known"
    market.read_elsewhere(replace(btc, symbol="NEW/USDT", name="NEWUSDT"))
    assert market._relist.is_set()


def test_an_instrument_of_the_log_that_the_first_list_omits_is_inactive(sink: Recorder) -> None:
    normaliser = Normaliser(Binance(), sink, lambda needed: None)
    row = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": []}
    answer = Answer(Request("GET", "/api/v3/exchangeInfo"), 200, json.dumps({"symbols": [row]}).encode())
    (btc,) = Binance().listing([answer]).instruments
    normaliser.logged([replace(btc, symbol="OLD/USDT", name="OLDUSDT")])
    normaliser.instruments([answer], wall())
    assert [(one.symbol, one.active) for one in sink.of(INSTRUMENTS)] == [(SYMBOL, True), ("OLD/USDT", False)]


def test_frames_are_passed_on_with_the_name_of_their_socket(sink: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    normaliser = Normaliser(Binance(), sink, lambda needed: None)
    row = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "filters": []}
    answer = Answer(Request("GET", "/api/v3/exchangeInfo"), 200, json.dumps({"symbols": [row]}).encode())
    normaliser.instruments([answer], wall())
    seen: list[str] = []
    named = [Subscription("/", name="first"), Subscription("/", name="second")]
    monkeypatch.setattr(normaliser._feed, "subscriptions", lambda symbols: named)

    def frame(raw: bytes, received: int, channel: str = "") -> tuple[()]:
        seen.append(channel)
        return ()

    monkeypatch.setattr(normaliser._feed, "frame", frame)
    normaliser.follow([SYMBOL], wall())
    for socket in (1, 0):
        normaliser.frame(socket, b"{}", wall())
    assert seen == ["second", "first"]


async def test_a_socket_is_reopened_when_the_exchange_announces_that_it_will_close_it(
    venue: Venue, sink: Recorder, monkeypatch: pytest.MonkeyPatch, market: ExchangeMarket
) -> None:
    feed = market.normaliser._feed
    frame = feed.frame

    def noticed(raw: bytes | str, received: int, channel: str = "") -> Any:
        if b"serverShutdown" in bytes(raw):  # type: ignore[arg-type]
            return (ExchangeStatus("binance", "market", StatusKind.DISCONNECTED, 0.0, "server shutdown", received),)
        return frame(raw, received, channel)

    monkeypatch.setattr(feed, "frame", noticed)
    venue.push(e="serverShutdown")
    await sink.until(lambda: sink.kinds().count(StatusKind.CONNECTED) == 2)
    assert sink.kinds() == [StatusKind.CONNECTED, StatusKind.DISCONNECTED, StatusKind.CONNECTED]
    (lost,) = [one for one in sink.of(STATUS) if one.kind is StatusKind.DISCONNECTED]
    assert (lost.channel, lost.detail) == ("/stream", "server shutdown"), (
        "published by the socket, which also publishes when it reconnects"
    )


async def test_a_book_whose_snapshot_is_sent_on_subscription_only_is_subscribed_to_again(
    venue: Venue, sink: Recorder, monkeypatch: pytest.MonkeyPatch, market: ExchangeMarket
) -> None:
    """Here on a new connection: the subscription names no frames for it."""
    gap = ExchangeStatus("binance", "depth", StatusKind.GAP, 0.0, f"{SYMBOL}: something was missed", 1, SYMBOL)
    events = (gap, Resubscribe(SYMBOL, "something was missed"))
    monkeypatch.setattr(market.normaliser._feed, "frame", lambda raw, received, channel="": events)
    venue.trade(1)
    await sink.until(lambda: sink.kinds().count(StatusKind.CONNECTED) == 2)
    assert sink.kinds() == [StatusKind.CONNECTED, StatusKind.GAP, StatusKind.DISCONNECTED, StatusKind.CONNECTED]


async def test_a_stream_that_stays_silent_on_an_active_socket_is_stale_and_its_socket_reopened(
    venue: Venue, sink: Recorder, monkeypatch: pytest.MonkeyPatch, market: ExchangeMarket
) -> None:
    for name in ("LEAST", "GRACE", "REOPENED", "EVERY"):
        monkeypatch.setattr(producers.liveness, name, 20_000)

    async with every_10_ms(lambda: venue.quote("99", "100")):
        await sink.until(lambda: [one for one in sink.of(STATUS) if one.channel == "trade"])
        await sink.until(lambda: len(venue.streams) >= 2)
    stale = next(one for one in sink.of(STATUS) if one.channel == "trade")
    assert (stale.kind, stale.symbol) == (StatusKind.STALE, SYMBOL)
    async with every_10_ms(lambda: venue.trade(1)):
        await sink.until(lambda: [one for one in sink.of(STATUS) if one.kind is StatusKind.RESYNCED])


@asynccontextmanager
async def every_10_ms(push: Callable[[], None]) -> AsyncIterator[None]:
    async def again_and_again() -> None:
        while True:
            push()
            await asyncio.sleep(0.01)

    pushing = asyncio.create_task(again_and_again())
    try:
        yield
    finally:
        pushing.cancel()
        await asyncio.gather(pushing, return_exceptions=True)


async def test_a_list_in_pages_is_requested_to_its_end_but_not_for_ever(
    venue: Venue, sink: Recorder, monkeypatch: pytest.MonkeyPatch, market: ExchangeMarket
) -> None:
    monkeypatch.setattr(producers.market, "PAGES", 5)
    page, left, pages = PageNeeded(Request("GET", "/api/v3/time")), [3], [0]

    def answered(answer: Answer, received: int) -> Any:
        pages[0] += 1
        left[0] -= 1
        return (page,) if left[0] > 0 else ()

    monkeypatch.setattr(market.normaliser._feed, "answer", answered)
    market.normaliser._take([page], market.normaliser._book_schedule[0], b"", "/stream", wall())
    await sink.until(lambda: not left[0])
    assert pages == [3]
    left[0] = 1_000_000
    market.normaliser._take([page], market.normaliser._book_schedule[0], b"", "/stream", wall())
    await sink.until(lambda: [one for one in sink.of(STATUS) if one.kind is StatusKind.MALFORMED])
    assert pages == [8]
