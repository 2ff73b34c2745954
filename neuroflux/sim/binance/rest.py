"""How both of Binance's dialects read, check and answer requests, and the answers of their market data."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.binance.wire import (
    ApiError,
    Limits,
    Params,
    Signer,
    error_answer,
    integer_of,
    read_request,
    required,
)
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.orders import Reason, Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_answer
from neuroflux.sim.kit.api import Asked, Endpoint, JsonRules
from neuroflux.sim.kit.recent_trades import RecentTrades

Function = Callable[[Params, int], object]
"""Takes the parameters and the exchange's time in µs, and returns what becomes JSON."""

REMEMBERED_TRADES = 1000


class BinanceRules(JsonRules[Params]):
    """Implements ``Rules`` for one exchange of Binance. ``refusals`` gives the error of each of the core's reasons."""

    def __init__(self, signer: Signer, limits: Limits, refusals: Callable[[Reason], ApiError]) -> None:
        self._signer = signer
        self._limits = limits
        self._refusals = refusals

    async def read(self, request: web.Request) -> Asked[Params]:
        params, payload, signature = await read_request(request)
        return Asked(params, request.headers.get("X-MBX-APIKEY", ""), payload, signature)

    def check(self, endpoint: Endpoint[Params], asked: Asked[Params], now: int) -> None:
        self._limits.spend(endpoint.weight_of(asked.params), now)
        if endpoint.access == "key":
            self._signer.check_key(asked.key)
        elif endpoint.access == "signed":
            self._signer.check(asked.key, asked.signed, asked.signature, asked.params, now)
        if endpoint.is_order:
            self._limits.count_order(now)

    def answer(self, endpoint: Endpoint[Params], body: object) -> web.Response:
        return json_answer(body, headers=self._limits.headers(is_order=endpoint.is_order))

    def refuse(self, error: Refused) -> web.Response:
        error = self._refusals(error.reason) if isinstance(error, Rejected) else error
        if not isinstance(error, ApiError):
            raise error
        return error_answer(error, self._limits.headers(is_order=False))


class MarketData:
    """The public answers that spot and USDⓈ-M have in common, but for a few fields."""

    def __init__(self, simulation: Simulation, frames: Frames) -> None:
        self._simulation = simulation
        self._frames = frames
        self._is_spot = frames.is_spot
        self._trades = RecentTrades(REMEMBERED_TRADES)

    def remember(self, changes: Sequence[Change], now: int) -> None:
        """Keep the trades for later requests."""
        self._frames.candles.remember(changes, now)
        self._trades.remember(changes, now)

    def symbol(self, params: Params) -> str:
        """The requested symbol; raises ApiError -1121 for one that is not traded."""
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
        """``ticker/24hr``: clients recognise spot by its ``bidQty``."""
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
            for match, time in self._trades.of(symbol)[-integer_of(params, "limit", 500) :]
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
            for match, time in self._trades.of(symbol)[-integer_of(params, "limit", 500) :]
        ]
