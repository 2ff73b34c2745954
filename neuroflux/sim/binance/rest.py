"""How both of Binance's dialects answer requests: limits, keys and errors around a function, and the market's data."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from typing import Literal

from aiohttp import web
from msgspec import Struct

from neuroflux.sim.binance.wire import (
    ApiError,
    Limits,
    Params,
    Signer,
    answer,
    error_answer,
    integer_of,
    read_request,
    required,
)
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.malformed_rows import spoiled
from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.orders import Reason, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change

Access = Literal["open", "key", "signed"]
Weight = int | Callable[[Params], int]
Function = Callable[[Params, int], object]
"""Gets the parameters and the exchange's time in µs, and returns what becomes JSON."""

REMEMBERED_TRADES = 1000


class Endpoint(Struct, frozen=True):
    """One method of one path. ``is_order`` counts against the limit of orders."""

    method: str
    path: str
    function: Function
    weight: Weight = 1
    access: Access = "open"
    is_order: bool = False

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Rest:
    """Answers the requests of one exchange. ``refusals`` words the core's reasons."""

    def __init__(
        self,
        simulation: Simulation,
        exchange_id: str,
        signer: Signer,
        limits: Limits,
        refusals: Callable[[Reason], ApiError],
    ) -> None:
        self._simulation = simulation
        self._exchange_id = exchange_id
        self._signer = signer
        self.limits = limits
        self._refusals = refusals

    def route(self, endpoint: Endpoint) -> web.RouteDef:
        """The endpoint as aiohttp wants it."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await self._answer(endpoint, request)
            except Rejected as error:
                return error_answer(self._refusals(error.reason), self.limits.headers(is_order=False))
            except ApiError as error:
                return error_answer(error, self.limits.headers(is_order=False))

        return web.route(endpoint.method, endpoint.path, handle)

    async def _answer(self, endpoint: Endpoint, request: web.Request) -> web.StreamResponse:
        now = self._simulation.now(self._exchange_id)
        params, payload, signature = await read_request(request)
        weight = endpoint.weight
        self.limits.spend(weight if isinstance(weight, int) else weight(params), now)
        key = request.headers.get("X-MBX-APIKEY", "")
        if endpoint.access == "key":
            self._signer.check_key(key)
        elif endpoint.access == "signed":
            self._signer.check(key, payload, signature, params, now)
        if endpoint.is_order:
            self.limits.count_order(now)
        body = spoiled(endpoint.function(params, now), self._simulation.faults, self._exchange_id, endpoint.name)
        if endpoint.is_order and self._simulation.faults.take(self._exchange_id, "accept_then_timeout"):
            return await self._simulation.never(request)
        if endpoint.is_order or endpoint.method == "DELETE":
            await self._simulation.linger()
        return answer(body, headers=self.limits.headers(is_order=endpoint.is_order))


class MarketData:
    """The public answers that spot and USDⓈ-M have in common, but for a few fields."""

    def __init__(self, simulation: Simulation, frames: Frames) -> None:
        self._simulation = simulation
        self._frames = frames
        self._is_spot = frames.is_spot
        self._trades: defaultdict[str, deque[tuple[Match, int]]] = defaultdict(lambda: deque(maxlen=REMEMBERED_TRADES))

    def remember(self, changes: Sequence[Change], now: int) -> None:
        """Keep the trades for those who ask later."""
        self._frames.candles.remember(changes, now)
        for change in changes:
            self._trades[change.listing.symbol].extend((match, now) for match in change.matches)

    def symbol(self, params: Params) -> str:
        """The symbol that is asked for; raises ApiError -1121 for one that is not traded."""
        symbol = required(params, "symbol")
        if symbol not in self._frames.numbers:
            raise ApiError(-1121, "Invalid symbol.")
        return symbol

    def _symbols(self, params: Params) -> list[str]:
        many = params.get("symbols", "").strip("[]").replace('"', "")
        if many:
            return [self.symbol({"symbol": each}) for each in many.split(",")]
        return list(self._frames.numbers)

    def ping(self, _: Params, now: int) -> object:
        return {}

    def time(self, _: Params, now: int) -> object:
        return {"serverTime": now // 1000}

    def depth(self, params: Params, now: int) -> object:
        limit = integer_of(params, "limit", 100 if self._is_spot else 500)
        if not self._is_spot and limit not in (5, 10, 20, 50, 100, 500, 1000):
            raise ApiError(-4021, f"{limit} is not valid depth limit.")
        return self._frames.snapshot(self.symbol(params), max(1, min(limit, 5000)), now)

    def book_ticker(self, params: Params, now: int) -> object:
        if params.get("symbol"):
            return self._one_book_ticker(self.symbol(params), now)
        return [self._one_book_ticker(symbol, now) for symbol in self._symbols(params)]

    def _one_book_ticker(self, symbol: str, now: int) -> dict[str, object]:
        names = ("bidPrice", "bidQty", "askPrice", "askQty")
        body: dict[str, object] = {"symbol": symbol, **dict(zip(names, self._frames.top(symbol), strict=True))}
        return body if self._is_spot else {**body, "time": now // 1000}

    def price(self, params: Params, now: int) -> object:
        if params.get("symbol"):
            return self._one_price(self.symbol(params), now)
        return [self._one_price(symbol, now) for symbol in self._symbols(params)]

    def _one_price(self, symbol: str, now: int) -> dict[str, object]:
        tape = self._simulation.world.tapes[self._frames.exchange_id, symbol]
        body: dict[str, object] = {"symbol": symbol, "price": self._frames.numbers[symbol].price(tape.last)}
        return body if self._is_spot else {**body, "time": now // 1000}

    def day(self, params: Params, now: int) -> object:
        """``ticker/24hr``: clients tell spot by its ``bidQty``."""
        if params.get("symbol"):
            return self._one_day(self.symbol(params), now)
        return [self._one_day(symbol, now) for symbol in self._symbols(params)]

    def _one_day(self, symbol: str, now: int) -> dict[str, object]:
        ticker = self._frames.ticker(symbol, now)
        names = {
            "symbol": "s",
            "priceChange": "p",
            "priceChangePercent": "P",
            "weightedAvgPrice": "w",
            "lastPrice": "c",
            "lastQty": "Q",
            "openPrice": "o",
            "highPrice": "h",
            "lowPrice": "l",
            "volume": "v",
            "quoteVolume": "q",
            "openTime": "O",
            "closeTime": "C",
            "firstId": "F",
            "lastId": "L",
            "count": "n",
        }
        if self._is_spot:
            names |= {"prevClosePrice": "o", "bidPrice": "b", "bidQty": "B", "askPrice": "a", "askQty": "A"}
        return {name: ticker[short] for name, short in names.items()}

    def klines(self, params: Params, now: int) -> object:
        return self._frames.candles.klines(params, now)

    def trades(self, params: Params, now: int) -> object:
        symbol, numbers = self.symbol(params), self._frames.numbers[params["symbol"]]
        return [
            {
                "id": match.trade_id,
                "price": numbers.price(match.price),
                "qty": numbers.quantity(match.quantity),
                "quoteQty": f"{match.price * match.quantity * numbers.listing.unit:.8f}",
                "time": time // 1000,
                "isBuyerMaker": match.side == "sell",
                **({"isBestMatch": True} if self._is_spot else {}),
            }
            for match, time in list(self._trades[symbol])[-integer_of(params, "limit", 500) :]
        ]

    def aggregate_trades(self, params: Params, now: int) -> object:
        symbol, numbers = self.symbol(params), self._frames.numbers[params["symbol"]]
        return [
            {
                "a": match.trade_id,
                "p": numbers.price(match.price),
                "q": numbers.quantity(match.quantity),
                "f": match.trade_id,
                "l": match.trade_id,
                "T": time // 1000,
                "m": match.side == "sell",
                **({"M": True} if self._is_spot else {"nq": numbers.quantity(match.quantity)}),
            }
            for match, time in list(self._trades[symbol])[-integer_of(params, "limit", 500) :]
        ]
