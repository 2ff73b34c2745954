"""From a frame to an Avro record, in memory: quotes, trades and maintained books.

Peers: cryptofeed's Binance handler with its own JSON, as its Kafka backend writes it; ccxt.pro's handler with the
standard library's JSON. Limit: msgspec into a struct and fastavro from it, of the same frames.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import ccxt.pro
import msgspec
from cryptofeed.defines import L2_BOOK, TICKER, TRADES
from cryptofeed.exchanges import Binance as CryptofeedBinance
from cryptofeed.symbols import Symbols
from fastavro import parse_schema, schemaless_writer
from yapic import json as yapic

from benchmarks import frames
from benchmarks.turns import Contender, Goal, Row, in_turns
from neuroflux.exchanges.binance.spot import Binance
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.records import topics
from neuroflux.records.codec import schema_text
from neuroflux.records.topics import QUOTES, Topic
from neuroflux.records.topics import TRADES as TRADES_TOPIC

RECEIVED = 1_700_000_000_000_000
TIMES = 60
"""Number of passes over the frames in one round."""


def rows(rounds: int) -> list[Row]:
    name = "NKN"
    captured = [line["raw"].encode() for line in frames.captured("bookTicker")] or frames.quotes([name], 200)
    quotes = captured * TIMES
    tape, aggregated = frames.trades([name], 5_000), frames.trades([name], 5_000, "aggTrade")
    made = [_row("quotes", name, quotes, quotes, rounds), _row("trades", name, tape, aggregated, rounds)]
    diffs = [line["raw"].encode() for line in frames.captured("depthUpdate")]
    snapshot = next((line["raw"].encode() for line in frames.captured("depth_snapshot")), b"")
    return [*made, _books(name, diffs, snapshot, rounds)] if snapshot else made


def _row(kind: str, name: str, given: Sequence[bytes], aggregated: Sequence[bytes], rounds: int) -> Row:
    contenders = [
        Contender("neuroflux", "ours", lambda: _ours(name, given)),
        Contender("cryptofeed", "peer", lambda: _cryptofeed(name, aggregated)),
        Contender("ccxt.pro", "peer", lambda: _ccxt(name, given)),
        Contender("msgspec + fastavro", "limit", lambda: _limit(kind, given)),
    ]
    goals = (Goal("cryptofeed", 1.0), Goal("ccxt.pro", 5.0), Goal("msgspec + fastavro", 0.8))
    return Row(f"codec: {kind}", "µs a frame", False, in_turns(contenders, rounds), goals)


def _timed(work: Callable[[], int]) -> float:
    """Microseconds per frame."""
    began = time.perf_counter()
    count = work()
    return (time.perf_counter() - began) / count * 1e6


# ── ours ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _feed(name: str) -> Any:
    exchange = Binance()
    return exchange.market_feed(exchange.listing([frames.listing([name])]).instruments)


def _ours(name: str, given: Sequence[bytes]) -> float:
    feed, encode = _feed(name), frames.codec().encode
    where: dict[Any, Topic] = {topic.record: topic for topic in topics.ALL}

    def work() -> int:
        for raw in given:
            for event in feed.frame(raw, RECEIVED):
                encode(where[type(event)], event)
        return len(given)

    return _timed(work)


# ── peers ────────────────────────────────────────────────────────────────────────────────────────────────────────


def cryptofeed(name: str, callbacks: dict[str, Any]) -> Any:
    """As in its documentation: a feed with channels and callbacks."""
    symbol = f"{name}-USDT"
    Symbols.set(CryptofeedBinance.id, {symbol: f"{name}USDT"}, {"instrument_type": {symbol: "spot"}, "tick_size": {}})
    return CryptofeedBinance(symbols=[symbol], channels=list(callbacks), callbacks=callbacks)


def _cryptofeed(name: str, given: Sequence[bytes]) -> float:
    async def write(message: Any, _: float) -> None:
        yapic.dumpb(message.to_dict(numeric_type=float))

    feed = cryptofeed(name, {TICKER: write, TRADES: write})

    async def handle() -> int:
        for raw in given:
            await feed.message_handler(raw.decode(), None, RECEIVED / 1e6)
        return len(given)

    return _timed(lambda: asyncio.run(handle()))


class Client:
    """The part of a socket that a ccxt.pro handler uses."""

    def __init__(self) -> None:
        self.url = "wss://stream.binance.com:9443/stream"
        self.subscriptions: dict[str, Any] = {}

    def resolve(self, message: Any, message_hash: str) -> None:
        if not message_hash.endswith("s"):
            json.dumps(message[-1] if isinstance(message, list) else message, default=str)


def _ccxt(name: str, given: Sequence[bytes]) -> float:
    exchange: Any = ccxt.pro.binance({"options": {"crossMarginPairsData": [], "isolatedMarginPairsData": []}})
    listed = json.loads(frames.listing([name]).body)["symbols"]
    exchange.set_markets([exchange.parse_market({**one, "filters": []}) for one in listed])
    client = Client()

    def work() -> int:
        for raw in given:
            exchange.handle_message(client, json.loads(raw))
        return len(given)

    return _timed(work)


# ── the limit ────────────────────────────────────────────────────────────────────────────────────────────────────


class _QuoteData(msgspec.Struct):
    u: int
    s: str
    b: str
    B: str
    a: str
    A: str


class _TradeData(msgspec.Struct):
    s: str
    t: int
    p: str
    q: str
    T: int
    m: bool


class _Quoted(msgspec.Struct):
    data: _QuoteData


class _Traded(msgspec.Struct):
    data: _TradeData


def _limit(kind: str, given: Sequence[bytes]) -> float:
    decoder: Any = msgspec.json.Decoder(_Quoted if kind == "quotes" else _Traded)
    schema = parse_schema(json.loads(schema_text(QUOTES if kind == "quotes" else TRADES_TOPIC)))
    record = _quote_record if kind == "quotes" else _trade_record

    def work() -> int:
        for raw in given:
            schemaless_writer(BytesIO(), schema, record(decoder.decode(raw).data))
        return len(given)

    return _timed(work)


def limit_of_quotes() -> tuple[Callable[[bytes], Any], Callable[[Any], dict[str, Any]]]:
    """A decoder of quotes, and a function that makes the record."""
    return msgspec.json.Decoder(_Quoted).decode, _quote_record


def _quote_record(data: Any) -> dict[str, Any]:
    sizes = {
        "bid_price": float(data.b),
        "bid_size": float(data.B),
        "ask_price": float(data.a),
        "ask_size": float(data.A),
    }
    name = {"exchange": "binance", "symbol": data.s, "market": data.s}
    return {**name, **sizes, "sequence": data.u, "event_time": RECEIVED, "received_time": RECEIVED}


def _trade_record(data: Any) -> dict[str, Any]:
    name = {"exchange": "binance", "symbol": data.s, "market": data.s, "trade_id": str(data.t)}
    taken = {"side": "sell" if data.m else "buy", "price": float(data.p), "quantity": float(data.q)}
    return {**name, **taken, "event_time": data.T * 1000, "received_time": RECEIVED}


# ── books ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _books(name: str, diffs: Sequence[bytes], snapshot: bytes, rounds: int) -> Row:
    """A captured snapshot and the following diffs; the preparation of a pass is not timed."""
    contenders = [
        Contender("neuroflux", "ours", lambda: _our_books(name, diffs, snapshot)),
        Contender("cryptofeed", "peer", lambda: _their_books(name, diffs, snapshot)),
    ]
    return Row("codec: books", "µs a diff", False, in_turns(contenders, rounds), (Goal("cryptofeed", 1.0),))


def _our_books(name: str, diffs: Sequence[bytes], snapshot: bytes) -> float:
    request = Request("GET", f"/api/v3/depth?symbol={name}USDT&limit=1000")
    spent = 0.0
    for _ in range(TIMES // 10):
        feed = _feed(name)
        feed.frame(diffs[0], RECEIVED)
        feed.answer(Answer(request, 200, snapshot), RECEIVED)
        began = time.perf_counter()
        for raw in diffs[1:]:
            feed.frame(raw, RECEIVED)
        spent += time.perf_counter() - began
    return spent / (TIMES // 10) / (len(diffs) - 1) * 1e6


def _their_books(name: str, diffs: Sequence[bytes], snapshot: bytes) -> float:
    async def kept(book: Any, _: float) -> None:
        """The book is already maintained at this point."""

    async def once() -> float:
        feed = cryptofeed(name, {L2_BOOK: kept})

        async def read(*_: Any, **__: Any) -> str:
            return snapshot.decode()

        feed.http_conn.read = read
        feed._reset()
        await feed.message_handler(diffs[0].decode(), None, RECEIVED / 1e6)
        began = time.perf_counter()
        for raw in diffs[1:]:
            await feed.message_handler(raw.decode(), None, RECEIVED / 1e6)
        return time.perf_counter() - began

    return sum(asyncio.run(once()) for _ in range(TIMES // 10)) / (TIMES // 10) / (len(diffs) - 1) * 1e6
