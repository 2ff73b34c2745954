"""Binance's market streams: the names of the streams, and the messages by which clients subscribe to them.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures/websocket-market-streams
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from aiohttp import web

from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.streams import Channel, Hub, Unsent

SECOND = 1_000_000
_COMBINED = "combined"
MAX_STREAMS = 1024
_DEPTH_SPEEDS = {"100ms": 0, "250ms": 250_000, "500ms": 500_000, "1000ms": SECOND}


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
        self._hub = Hub(simulation.exchange(frames.exchange_id))

    # --- clients

    async def serve(
        self,
        request: web.Request,
        names: Sequence[str],
        *,
        is_combined: bool,
        is_served: Callable[[str], bool] = lambda name: True,
    ) -> web.WebSocketResponse:
        """One client's socket, with the streams that its address names.

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
            self._subscribe(connection, name)
        try:
            return await connection.run(request, on_text)
        finally:
            self._hub.leave(connection)
            self._simulation.leave(connection)

    def _control(self, connection: Connection, text: str, options: dict[str, bool]) -> dict[str, object]:
        """Handle a client's message; returns the answer."""
        try:
            message = msgspec.json.decode(text, type=dict[str, object])
        except msgspec.DecodeError as error:
            return _refusal(3, f"Invalid JSON: {error}", None)
        given, number = message.get("params", []), message.get("id")
        params = [str(param) for param in given] if isinstance(given, list) else []
        match message.get("method"):
            case "SUBSCRIBE" if len(connection.streams) + len(params) <= MAX_STREAMS and params:
                for name in params:
                    self._subscribe(connection, name)
            case "UNSUBSCRIBE":
                for name in params:
                    self._hub.unfollow(connection, name)
            case "LIST_SUBSCRIPTIONS":
                return {"result": list(connection.streams), "id": number}
            case "SET_PROPERTY" if params[:1] == [_COMBINED]:
                options[_COMBINED] = params[1:] == ["True"]
            case "GET_PROPERTY":
                return {"result": options[_COMBINED], "id": number}
            case method:
                return _refusal(2, f"Invalid request: unknown variant or missing parameters for `{method}`", number)
        return {"result": None, "id": number}

    def _subscribe(self, connection: Connection, name: str) -> None:
        if not connection.is_served(name):
            connection.streams[name] = None
            return
        symbol, kind, every = parse(name, self._default_depth)
        self._hub.follow(connection, name, symbol, self._channel(symbol, kind), every)

    # --- frames

    def publish(self, changes: Sequence[Change], now: int) -> None:
        """Send the frames of these changes; ``now`` in µs, the exchange's."""
        self._hub.publish(changes, now)

    def _channel(self, symbol: str, kind: str) -> Channel:
        frames = self._frames
        if not symbol and not kind.startswith("!"):
            return Channel()
        match kind:
            case "trade":
                return Channel(trades=lambda change, now: (frames.trade(symbol, one, now) for one in change.matches))
            case "aggTrade":
                return Channel(
                    trades=lambda change, now: (frames.aggregate_trade(symbol, one, now) for one in change.matches)
                )
            case "bookTicker" | "!bookTicker":
                return Channel(top=frames.book_ticker)
            case "depth":
                return Channel(levels=self._depth, is_depth=True)
            case _ if (depth := kind.removeprefix("depth")) != kind and depth.isdigit():
                return Channel(levels=partial(self._partial_depth, int(depth)), is_depth=True)
        return Channel(timed=partial(frames.timed, kind))

    def _depth(self, symbol: str, unsent: Unsent, now: int) -> str:
        return self._frames.depth(symbol, unsent.first, unsent.last, unsent.previous, list(unsent.levels), now)

    def _partial_depth(self, depth: int, symbol: str, unsent: Unsent, now: int) -> str:
        return self._frames.partial_depth(symbol, depth, unsent.first, unsent.last, unsent.previous, now)


def _refusal(code: int, text: str, number: object) -> dict[str, object]:
    return {"error": {"code": code, "msg": text}, "id": number}


def _wrapped(name: str, text: str) -> str:
    return f'{{"stream":"{name}","data":{text}}}'


def names_in(request: web.Request) -> list[str]:
    """The streams that an address names; a lone number is a connection that waits for SUBSCRIBE."""
    path = request.match_info.get("streams", "")
    names = [*path.split("/"), *request.query.get("streams", "").split("/")]
    return [name for name in names if name and not name.isdigit()]
