"""A recording of Binance's market data, served as if it were live: its snapshot over REST, its frames by socket.

A recording is a file of JSON lines with ``dir`` (``ws`` or ``rest``), ``raw`` (the exact text), and where known ``url``
and ``ts_recv`` (seconds): one symbol's combined streams (``{"stream", "data"}``) around one answer to ``depth``. All
that the recording doesn't hold is the simulation's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from msgspec import Raw, Struct

from neuroflux.errors import UsageError
from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.simulation import Simulation

_REST = {BINANCE: "/binance/api/v3", BINANCE_USDM: "/binance/fapi/v1"}
_SOCKETS = {BINANCE: ("/binance/ws/", "/binance/stream"), BINANCE_USDM: ("/binance/public/", "/binance/market/")}
_QUOTES = ("USDT", "USDC", "BTC", "ETH", "BNB")


class Line(Struct, frozen=True):
    """A line of the file."""

    dir: str
    raw: str
    url: str = ""
    ts_recv: float = 0.0


class _Wrapped(Struct, frozen=True):
    stream: str
    data: Raw


class _Levels(Struct, frozen=True):
    bids: list[tuple[str, str]]
    asks: list[tuple[str, str]]


class Frame(Struct, frozen=True):
    """A frame of one stream, with and without the stream's name around it; ``after`` in s from the first."""

    stream: str
    wrapped: str
    bare: str
    after: float


class Recording(Struct, frozen=True):
    """One symbol's data, in the order it arrived."""

    exchange_id: str
    symbol: str
    snapshot: str
    frames: list[Frame]


def read(path: Path) -> Recording:
    """Read a recording; raises UsageError on a file that is none."""
    try:
        lines = [msgspec.json.decode(line, type=Line) for line in path.read_bytes().splitlines() if line]
        answers = [line for line in lines if line.dir == "rest" and urlsplit(line.url).path.endswith("/depth")]
        frames = list(_frames([line for line in lines if line.dir == "ws"]))
        url = urlsplit(answers[0].url)
        exchange_id = BINANCE_USDM if url.path.startswith("/fapi/") else BINANCE
        return Recording(exchange_id, parse_qs(url.query)["symbol"][0], answers[0].raw, frames)
    except (OSError, msgspec.DecodeError, LookupError) as error:
        raise UsageError(f"{path} is no recording of a Binance book: {error!r}") from error


def _frames(lines: list[Line]) -> Iterator[Frame]:
    start = lines[0].ts_recv
    for line in lines:
        message = msgspec.json.decode(line.raw, type=_Wrapped)
        yield Frame(message.stream, line.raw, bytes(message.data).decode(), max(0.0, line.ts_recv - start))


class Player:
    """Answers for the recorded symbol and passes everything else on; ``speed`` 1 is the recording's own pace."""

    def __init__(self, simulation: Simulation, recording: Recording, speed: float = 10.0) -> None:
        self._simulation = simulation
        self._recording = recording
        self._speed = speed

    def middleware(self) -> Middleware:
        """What puts it before the exchange's own paths."""
        rest = _REST[self._recording.exchange_id]

        @web.middleware
        async def replay(request: web.Request, handler: Handler) -> web.StreamResponse:
            symbol = request.query.get("symbol")
            if request.path == f"{rest}/depth" and symbol == self._recording.symbol:
                return web.Response(text=self._recording.snapshot, content_type="application/json")
            if request.path == f"{rest}/exchangeInfo" and symbol in (None, self._recording.symbol):
                return self._listed(await handler(_without_query(request)))
            if request.path.startswith(_SOCKETS[self._recording.exchange_id]):
                return await self._serve(request)
            return await handler(request)

        return replay

    def _listed(self, response: web.StreamResponse) -> web.StreamResponse:
        """The exchange's list with the recorded symbol at its end: its steps are those that its numbers show."""
        if not isinstance(response, web.Response) or not isinstance(response.body, bytes) or response.status != 200:
            return response
        info = msgspec.json.decode(response.body)
        symbol = self._recording.symbol
        if all(each["symbol"] != symbol for each in info["symbols"]):
            info["symbols"].append(self._entry(info["symbols"][0]))
            response.body = msgspec.json.encode(info)
        return response

    def _entry(self, like: dict[str, object]) -> dict[str, object]:
        symbol = self._recording.symbol
        quote = next(quote for quote in _QUOTES if symbol.endswith(quote))
        levels = msgspec.json.decode(self._recording.snapshot, type=_Levels)
        everything = [*levels.bids, *levels.asks]
        step, lot = _step([price for price, _ in everything]), _step([quantity for _, quantity in everything])
        filters = [
            {"filterType": "PRICE_FILTER", "minPrice": step, "maxPrice": "1000000", "tickSize": step},
            {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": "90000000", "stepSize": lot},
        ]
        margin = {"pair": symbol, "marginAsset": quote} if "marginAsset" in like else {}
        names = {"symbol": symbol, "baseAsset": symbol.removesuffix(quote), "quoteAsset": quote}
        return {**like, **names, **margin, "filters": filters}

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        """One client's socket: the recording begins with its first subscription."""
        connection = self._simulation.connection(self._recording.exchange_id)
        is_wrapped = "/stream" in request.path and "/ws/" not in request.path
        path = request.path.partition("/ws/")[2].split("/")
        self._follow(connection, [*path, *request.query.get("streams", "").split("/")])
        begun = asyncio.Event()
        if connection.streams:
            begun.set()

        async def on_text(text: str) -> None:
            message = msgspec.json.decode(text)
            if message.get("method") == "SUBSCRIBE":
                self._follow(connection, message["params"])
                begun.set()
            connection.reply(msgspec.json.encode({"result": None, "id": message.get("id")}).decode())

        playing = asyncio.create_task(self._play(connection, begun, is_wrapped=is_wrapped))
        try:
            return await connection.run(request, on_text)
        finally:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            self._simulation.leave(connection)

    @staticmethod
    def _follow(connection: Connection, names: list[str]) -> None:
        connection.streams |= dict.fromkeys(name for name in names if name and not name.isdigit())

    async def _play(self, connection: Connection, begun: asyncio.Event, *, is_wrapped: bool) -> None:
        await begun.wait()
        loop = asyncio.get_running_loop()
        start = loop.time()
        for frame in self._recording.frames:
            await asyncio.sleep(start + frame.after / self._speed - loop.time())
            if frame.stream in connection.streams:
                is_depth = "@depth" in frame.stream
                connection.send(frame.wrapped if is_wrapped else frame.bare, is_depth=is_depth)


def _without_query(request: web.Request) -> web.Request:
    return request.clone(rel_url=request.rel_url.with_query(None))


def _step(numbers: list[str]) -> str:
    """The power of ten of which all of them are whole multiples."""
    exponent = min(int(Decimal(number).normalize().as_tuple().exponent) for number in numbers)
    return f"{Decimal(1).scaleb(min(0, exponent)):f}"
