"""Binance's market streams: who subscribed to what, and the frames that a change of a book makes of it.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import msgspec
from aiohttp import web
from msgspec import Struct

from neuroflux.sim.binance.wire import json_text
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.matching import Side
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change

SECOND = 1_000_000
_COMBINED = "combined"
MAX_STREAMS = 1024
_DEPTH_SPEEDS = {"100ms": 0, "250ms": 250_000, "500ms": 500_000, "1000ms": SECOND}


class Pending(Struct):
    """What a depth stream has gathered since it last sent: levels, and the numbers of their first and last update."""

    sent: int
    previous: int
    levels: dict[tuple[Side, int], None]
    first: int = 0


class Stream(Struct):
    """A stream that somebody follows.

    ``connections`` maps to whether the payload is wrapped with the stream's name; ``every`` is in µs, 0 for at once.
    """

    name: str
    symbol: str
    kind: str
    every: int
    connections: dict[Connection, bool]
    pending: Pending


def parse(name: str, default_depth: int) -> tuple[str, str, int]:
    """A stream's name as (symbol in capitals or "", kind, µs between two frames)."""
    symbol, _, rest = name.partition("@")
    if name.startswith("!"):
        return "", name.removesuffix("@1s").removesuffix("@3s"), SECOND if "@" in name else 0
    kind, _, speed = rest.partition("@")
    every = 0
    if kind == "depth" or kind[5:].isdigit():
        every = _DEPTH_SPEEDS.get(speed, default_depth)
    elif kind == "markPrice":
        every = SECOND if speed == "1s" else 3 * SECOND
    elif kind in ("miniTicker", "ticker") or kind.startswith("kline_"):
        every = SECOND
    return symbol.upper(), kind, every


class Streams:
    """The market streams of one of Binance's exchanges."""

    def __init__(self, simulation: Simulation, frames: Frames, default_depth: int, messages_a_second: int) -> None:
        self._simulation = simulation
        self._frames = frames
        self._default_depth = default_depth
        self._messages_a_second = messages_a_second
        self._streams: dict[str, Stream] = {}
        self._by_symbol: dict[str, dict[str, Stream]] = {}
        self._tops: dict[str, tuple[tuple[int, int] | None, ...]] = {}

    # --- clients

    async def serve(
        self,
        request: web.Request,
        names: Sequence[str],
        *,
        is_combined: bool,
        is_served: Callable[[str], bool] = lambda name: True,
    ) -> web.WebSocketResponse:
        """One client's socket, with the streams that its address named.

        A stream that is not served here is accepted like any other, and stays silent.
        """
        connection = self._simulation.connection(self._frames.exchange_id)
        connection.is_served = is_served
        options = {_COMBINED: is_combined}
        connection.wrap = lambda name, text: _wrapped(name, text) if options[_COMBINED] else text
        recent: deque[float] = deque(maxlen=self._messages_a_second)

        async def on_text(text: str) -> None:
            now = asyncio.get_running_loop().time()
            if len(recent) == self._messages_a_second and now - recent[0] < 1:
                connection.close()
                return
            recent.append(now)
            connection.reply(json_text(self._control(connection, text, options)))

        for name in names:
            self._subscribe(connection, name, is_wrapped=is_combined)
        try:
            return await connection.run(request, on_text)
        finally:
            for name in list(connection.streams):
                self._unsubscribe(connection, name)
            self._simulation.leave(connection)

    def _control(self, connection: Connection, text: str, options: dict[str, bool]) -> dict[str, object]:
        """Do what a client's message asks; returns the answer."""
        try:
            message = msgspec.json.decode(text, type=dict[str, object])
        except msgspec.DecodeError as error:
            return _refusal(3, f"Invalid JSON: {error}", None)
        given, number = message.get("params", []), message.get("id")
        params = [str(param) for param in given] if isinstance(given, list) else []
        match message.get("method"):
            case "SUBSCRIBE" if len(connection.streams) + len(params) <= MAX_STREAMS and params:
                for name in params:
                    self._subscribe(connection, name, is_wrapped=options[_COMBINED])
            case "UNSUBSCRIBE":
                for name in params:
                    self._unsubscribe(connection, name)
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(connection.streams), "id": number}
            case "SET_PROPERTY" if params[:1] == [_COMBINED]:
                self._wrap(connection, options, is_wrapped=params[1:] == ["True"])
            case "GET_PROPERTY":
                return {"result": options[_COMBINED], "id": number}
            case method:
                return _refusal(2, f"Invalid request: unknown variant or missing parameters for `{method}`", number)
        return {"result": None, "id": number}

    def _wrap(self, connection: Connection, options: dict[str, bool], *, is_wrapped: bool) -> None:
        options[_COMBINED] = is_wrapped
        for name in filter(connection.is_served, connection.streams):
            self._streams[name].connections[connection] = is_wrapped

    def _subscribe(self, connection: Connection, name: str, *, is_wrapped: bool) -> None:
        connection.streams[name] = None
        if not connection.is_served(name):
            return
        stream = self._streams.get(name)
        if stream is None:
            symbol, kind, every = parse(name, self._default_depth)
            book = self._simulation.exchange(self._frames.exchange_id).books.get(symbol)
            last = book.sequence if book is not None else 0
            stream = Stream(name, symbol, kind, every, {}, Pending(0, last, {}))
            self._streams[name] = stream
            self._by_symbol.setdefault(symbol, {})[name] = stream
        stream.connections[connection] = is_wrapped

    def _unsubscribe(self, connection: Connection, name: str) -> None:
        connection.streams.pop(name, None)
        stream = self._streams.get(name)
        if stream is None:
            return
        if stream.connections.pop(connection, None) is None:
            return
        if not stream.connections:
            del self._streams[name]
            del self._by_symbol[stream.symbol][name]

    # --- frames

    def publish(self, changes: Sequence[Change], now: int) -> None:
        """Send what changed; ``now`` in µs, the exchange's."""
        for change in changes:
            streams = self._by_symbol.get(change.listing.symbol)
            if streams:
                for stream in list(streams.values()):
                    self._on_change(stream, change, now)
        self._publish_all_tops(changes, now)
        for stream in list(self._streams.values()):
            if stream.every:
                self._on_time(stream, now)

    def _publish_all_tops(self, changes: Sequence[Change], now: int) -> None:
        everything = self._streams.get("!bookTicker")
        if everything is not None:
            for change in changes:
                if self._top_moved(everything, change):
                    _send(everything, self._frames.book_ticker(change.listing.symbol, now))

    def _on_change(self, stream: Stream, change: Change, now: int) -> None:
        frames, symbol = self._frames, stream.symbol
        match stream.kind:
            case "trade":
                for match in change.matches:
                    _send(stream, frames.trade(symbol, match, now))
            case "aggTrade":
                for match in change.matches:
                    _send(stream, frames.aggregate_trade(symbol, match, now))
            case "bookTicker":
                if self._top_moved(stream, change):
                    _send(stream, frames.book_ticker(symbol, now))
            case kind if kind.startswith("depth") and change.levels:
                pending = stream.pending
                pending.levels |= dict.fromkeys(change.levels)
                pending.first = pending.first or change.first
                if not stream.every:
                    self._send_depth(stream, now)

    def _top_moved(self, stream: Stream, change: Change) -> bool:
        key = f"{stream.name} {change.listing.symbol}"
        book = change.book
        top = tuple(half.levels(1)[0] if len(half) else None for half in (book.bids, book.asks))
        moved = self._tops.get(key) != top
        self._tops[key] = top
        return moved

    def _on_time(self, stream: Stream, now: int) -> None:
        pending = stream.pending
        if now - pending.sent < stream.every:
            return
        if stream.kind.startswith("depth"):
            if pending.levels:
                self._send_depth(stream, now)
            return
        pending.sent = now
        text = self._frames.timed(stream.kind, stream.symbol, now)
        if text:
            _send(stream, text)

    def _send_depth(self, stream: Stream, now: int) -> None:
        pending = stream.pending
        last = self._simulation.exchange(self._frames.exchange_id).books[stream.symbol].sequence
        if stream.kind == "depth":
            text = self._frames.depth(stream.symbol, pending.first, last, pending.previous, list(pending.levels), now)
        else:
            depth = int(stream.kind.removeprefix("depth"))
            text = self._frames.partial_depth(stream.symbol, depth, pending.first, last, pending.previous, now)
        stream.pending = Pending(now, last, {})
        _send(stream, text, is_depth=True)


def _refusal(code: int, text: str, number: object) -> dict[str, object]:
    return {"error": {"code": code, "msg": text}, "id": number}


def _wrapped(name: str, text: str) -> str:
    return f'{{"stream":"{name}","data":{text}}}'


def _send(stream: Stream, text: str, *, is_depth: bool = False) -> None:
    wrapped = ""
    for connection, is_wrapped in stream.connections.items():
        if is_wrapped and not wrapped:
            wrapped = _wrapped(stream.name, text)
        connection.send(wrapped if is_wrapped else text, stream=stream.name, is_depth=is_depth)


def names_in(request: web.Request) -> list[str]:
    """The streams that an address names; a lone number is a connection that waits for SUBSCRIBE."""
    path = request.match_info.get("streams", "")
    names = [*path.split("/"), *request.query.get("streams", "").split("/")]
    return [name for name in names if name and not name.isdigit()]
