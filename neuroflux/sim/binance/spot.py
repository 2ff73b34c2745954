"""Binance spot's dialect: its paths, its instruments and its refusals.

Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from aiohttp import web

from neuroflux.sim.binance.keys import demo_keys
from neuroflux.sim.binance.rest import BinanceRules, MarketData
from neuroflux.sim.binance.shutdown import Shutdown
from neuroflux.sim.binance.spot_orders import SpotOrderApi
from neuroflux.sim.binance.spot_venue import BINANCE, VENUE
from neuroflux.sim.binance.streams import SECOND, Streams, names_in
from neuroflux.sim.binance.user import UserApi
from neuroflux.sim.binance.wire import ApiError, Limits, Params, Signer, error_answer, fault_error
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.matching import Book
from neuroflux.sim.core.orders import Reason
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.venue import MAX_LOTS
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.answers import json_answer
from neuroflux.sim.kit.api import Api, Endpoint

WEIGHT_A_MINUTE = 6000
ORDERS_IN_TEN_SECONDS = 100
ORDERS_A_DAY = 200_000

_REFUSALS = {
    Reason.PRICE_STEP: (-1013, "Filter failure: PRICE_FILTER"),
    Reason.QUANTITY_STEP: (-1013, "Filter failure: LOT_SIZE"),
    Reason.QUANTITY_LIMIT: (-1013, "Filter failure: LOT_SIZE"),
    Reason.NOTIONAL: (-1013, "Filter failure: NOTIONAL"),
    Reason.BALANCE: (-2010, "Account has insufficient balance for requested action."),
    Reason.DUPLICATE: (-2010, "Duplicate order sent."),
    Reason.WOULD_MATCH: (-2010, "Order would immediately match and take."),
    Reason.UNKNOWN_ORDER: (-2013, "Order does not exist."),
    Reason.FAULT: (-2010, "This action is disabled on this account."),
    Reason.HALTED: (-1013, "Market is closed."),
    Reason.UNKNOWN_CODE: (-2999, "A rule that came into force today was violated."),
}


def _refusal(reason: Reason) -> ApiError:
    return ApiError(*_REFUSALS[reason])


def _depth_weight(params: Params) -> int:
    limit = params.get("limit", "100")
    depth = int(limit) if limit.isdigit() else 100
    return next(weight for most, weight in ((100, 5), (500, 25), (1000, 50), (10**9, 250)) if depth <= most)


class BinanceSpot:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = ("/binance/api/", "/binance/sapi/", "/binance/dapi/")
    changes: Mapping[str, Callable[[Fault], None]] = {}

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._signer = Signer(*demo_keys(simulation.seed))
        self._frames = Frames(BINANCE, simulation.world)
        self._limits = Limits(WEIGHT_A_MINUTE, ORDERS_IN_TEN_SECONDS)
        self._api = Api(simulation, BINANCE, BinanceRules(self._signer, self._limits, _refusal))
        self._market = MarketData(simulation, self._frames)
        self._streams = Streams(simulation, self._frames, default_depth=SECOND, messages_a_second=5)
        self._shutdown = Shutdown(simulation)
        self._order_api = SpotOrderApi(simulation, self._market, self._frames)
        self._user = UserApi(simulation, self._signer, self._limits, self._order_api, self._market, _refusal)

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._market.remember(changes, now)
        self._streams.publish(changes, now)
        self._user.check_expiry()
        self._shutdown.check(now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return error_answer(fault_error(BINANCE, status, self._simulation.now(BINANCE), retry_after))

    def account(self) -> DemoAccount:
        balances = self._simulation.exchange(BINANCE).spot.balances
        totals = {asset: f"{balance.total:f}" for asset, balance in balances.items()}
        return DemoAccount(BINANCE, self._signer.key, self._signer.secret, "", totals)

    def routes(self) -> list[web.RouteDef]:
        return [
            *(self._api.route(endpoint) for endpoint in self._endpoints()),
            web.get("/binance/dapi/v1/exchangeInfo", _no_coin_margined),
            web.get("/binance/ws-api/v3", self._user.serve),
            web.get("/binance/stream", self._combined),
            web.get("/binance/stream/ws/{streams:.*}", self._plain),
            web.get("/binance/ws/{streams:.*}", self._plain),
            web.get("/binance/ws", self._plain),
        ]

    def _endpoints(self) -> list[Endpoint[Params]]:
        market, order_api = self._market, self._order_api
        api, sapi = "/binance/api/v3", "/binance/sapi/v1"
        return [
            Endpoint("GET", f"{api}/ping", market.ping),
            Endpoint("GET", f"{api}/time", market.time),
            Endpoint("GET", f"{api}/exchangeInfo", self.exchange_info, 20),
            Endpoint("GET", f"{api}/depth", market.depth, _depth_weight),
            Endpoint("GET", f"{api}/trades", market.trades, 25),
            Endpoint("GET", f"{api}/aggTrades", market.aggregate_trades, 4),
            Endpoint("GET", f"{api}/klines", market.klines, 2),
            Endpoint("GET", f"{api}/ticker/24hr", market.day, lambda params: 2 if params.get("symbol") else 80),
            Endpoint("GET", f"{api}/ticker/price", market.price, lambda params: 2 if params.get("symbol") else 4),
            Endpoint("GET", f"{api}/ticker/bookTicker", market.book_ticker, 4),
            Endpoint("GET", f"{api}/avgPrice", self.average_price, 2),
            Endpoint("GET", f"{api}/rateLimit/order", self.unfilled_orders, 40, "signed"),
            Endpoint("GET", f"{api}/account/commission", order_api.commission, 20, "signed"),
            Endpoint("GET", f"{api}/account", order_api.account, 20, "signed"),
            Endpoint("POST", f"{api}/order", order_api.place, 1, "signed", is_order=True),
            Endpoint("POST", f"{api}/order/test", order_api.test, 1, "signed"),
            Endpoint("DELETE", f"{api}/order", order_api.cancel, 1, "signed"),
            Endpoint("GET", f"{api}/order", order_api.query, 4, "signed"),
            Endpoint("GET", f"{api}/openOrders", order_api.open_orders, _open_orders_weight, "signed"),
            Endpoint("DELETE", f"{api}/openOrders", order_api.cancel_all, 1, "signed"),
            Endpoint("GET", f"{api}/allOrders", order_api.all_orders, 20, "signed"),
            Endpoint("GET", f"{api}/myTrades", order_api.my_trades, 20, "signed"),
            Endpoint("GET", f"{sapi}/capital/config/getall", self.coins, 10, "signed"),
            Endpoint("GET", f"{sapi}/account/apiRestrictions", self.restrictions, 1, "signed"),
            Endpoint("GET", f"{sapi}/margin/allPairs", lambda params, now: [], 1, "key"),
            Endpoint("GET", f"{sapi}/margin/isolated/allPairs", lambda params, now: [], 10, "signed"),
        ]

    async def _plain(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, names_in(request), is_combined=False)

    async def _combined(self, request: web.Request) -> web.StreamResponse:
        return await self._streams.serve(request, names_in(request), is_combined=True)

    def average_price(self, params: Params, now: int) -> object:
        """Of the best prices: the book is as good as five minutes of trades."""
        symbol = self._market.symbol(params)
        bid, ask = self._simulation.exchange(BINANCE).top(symbol)
        return {"mins": 5, "price": _eight((bid + ask) / 2), "closeTime": now // 1000}

    def unfilled_orders(self, _: Params, now: int) -> object:
        """How many orders count against their limits."""
        return [
            {**rate_limit("ORDERS", "SECOND", 10, ORDERS_IN_TEN_SECONDS), "count": self._limits.orders.count(now)},
            {**rate_limit("ORDERS", "DAY", 1, ORDERS_A_DAY), "count": self._limits.orders_today},
        ]

    def restrictions(self, _: Params, now: int) -> object:
        """What the key may do. Only one that is bound to IP addresses can be let withdraw."""
        withdraws = self._simulation.faults.is_active(BINANCE, "withdrawals")
        return {
            "ipRestrict": withdraws,
            "createTime": 1_698_645_219_000,
            "enableReading": True,
            "enableWithdrawals": withdraws,
            "enableInternalTransfer": False,
            "enableMargin": False,
            "enableFutures": True,
            "permitsUniversalTransfer": False,
            "enableVanillaOptions": False,
            "enableFixApiTrade": False,
            "enableFixReadOnly": False,
            "enableSpotAndMarginTrading": True,
            "enablePortfolioMarginTrading": False,
        }

    def coins(self, _: Params, now: int) -> object:
        """Every asset, without any network."""
        exchange = self._simulation.exchange(BINANCE)
        assets = {each for listing in exchange.listings.values() for each in (listing.base_asset, listing.quote)}
        return [
            {
                "coin": asset,
                "name": asset,
                "free": f"{exchange.spot.of(asset).free:f}",
                "locked": f"{exchange.spot.of(asset).locked:f}",
                "depositAllEnable": False,
                "withdrawAllEnable": False,
                "trading": True,
                "isLegalMoney": False,
                "networkList": [],
            }
            for asset in sorted(assets)
        ]

    def exchange_info(self, params: Params, now: int) -> object:
        exchange = self._simulation.exchange(BINANCE)
        wanted = params.get("symbols", "").strip("[]").replace('"', "").split(",")
        symbols = [params["symbol"]] if params.get("symbol") else [name for name in wanted if name]
        chosen = [self._market.symbol({"symbol": name}) for name in symbols] or list(exchange.listings)
        return {
            "timezone": "UTC",
            "serverTime": now // 1000,
            "rateLimits": [
                rate_limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_A_MINUTE),
                rate_limit("ORDERS", "SECOND", 10, ORDERS_IN_TEN_SECONDS),
                rate_limit("ORDERS", "DAY", 1, ORDERS_A_DAY),
                rate_limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
            ],
            "exchangeFilters": [],
            "symbols": [_symbol(exchange, exchange.listings[name]) for name in chosen],
        }


def _open_orders_weight(params: Params) -> int:
    return 6 if params.get("symbol") else 80


async def _no_coin_margined(_: web.Request) -> web.Response:
    return json_answer({"timezone": "UTC", "serverTime": 0, "rateLimits": [], "exchangeFilters": [], "symbols": []})


def rate_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, object]:
    """An entry of ``rateLimits``."""
    return {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit}


def _eight(value: Decimal) -> str:
    return f"{value:.8f}"


def _symbol(exchange: SimExchange, listing: Listing) -> dict[str, object]:
    return {
        "symbol": listing.symbol,
        "status": "BREAK" if listing.symbol in exchange.halted else "TRADING",
        "baseAsset": listing.base_asset,
        "baseAssetPrecision": 8,
        "quoteAsset": listing.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": ["LIMIT", "LIMIT_MAKER", "MARKET"],
        "icebergAllowed": False,
        "ocoAllowed": False,
        "otoAllowed": False,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "amendAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(listing, exchange.books[listing.symbol], exchange.tick_of(listing)),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def _filters(listing: Listing, book: Book, tick: Decimal) -> list[dict[str, object]]:
    ceiling = 10 ** (len(str(book.asks.best or 1)) + 2) * listing.tick
    most = Decimal(9_000_000)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": _eight(tick),
            "maxPrice": _eight(ceiling),
            "tickSize": _eight(tick),
        },
        {
            "filterType": "LOT_SIZE",
            "minQty": _eight(listing.lot),
            "maxQty": _eight(MAX_LOTS * listing.lot),
            "stepSize": _eight(listing.lot),
        },
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": "0.00000000",
            "maxQty": _eight(MAX_LOTS * listing.lot),
            "stepSize": "0.00000000",
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": _eight(listing.min_notional),
            "applyMinToMarket": True,
            "maxNotional": _eight(most),
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
    ]
