"""Binance USDⓈ-M's dialect: its paths, its instruments and its refusals.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from functools import partial

from aiohttp import web

from neuroflux.errors import UsageError
from neuroflux.sim.binance.keys import demo_keys
from neuroflux.sim.binance.listen_keys import ListenKeys
from neuroflux.sim.binance.rest import BinanceRules, Function, MarketData
from neuroflux.sim.binance.routes import MARKET, PUBLIC, is_served
from neuroflux.sim.binance.spot import rate_limit
from neuroflux.sim.binance.streams import Streams, names_in
from neuroflux.sim.binance.usdm_account import UsdmAccount
from neuroflux.sim.binance.usdm_income import WEIGHT as INCOME_WEIGHT
from neuroflux.sim.binance.usdm_income import Incomes
from neuroflux.sim.binance.usdm_modes import Modes
from neuroflux.sim.binance.usdm_orders import PRICE_BAND, UsdmOrderApi
from neuroflux.sim.binance.usdm_venue import BINANCE_USDM, VENUE
from neuroflux.sim.binance.wire import ApiError, Limits, Params, Signer, error_answer, fault_error, integer_of
from neuroflux.sim.binance.writers import Frames
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.exchange import SimExchange
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.matching import Book
from neuroflux.sim.core.orders import Reason
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.venue import MAX_LOTS
from neuroflux.sim.core.world import HOUR, Change
from neuroflux.sim.kit.api import Api, Endpoint
from neuroflux.sim.kit.numbers import Numbers

WEIGHT_A_MINUTE = 2400
ORDERS_IN_TEN_SECONDS = 300
ENDED = "BTCSTUSDT"
DEFAULT_STRANGE = "TRXUSDT"
"""The symbol of which the fault ``unknown_contract_type`` speaks where it names none."""
_FOREVER = 4_133_404_800_000
_POST_ONLY = "Due to the order could not be executed as maker, the Post Only order will be rejected."

_REFUSALS = {
    Reason.PRICE_STEP: (-4014, "Price not increased by tick size."),
    Reason.QUANTITY_STEP: (-1111, "Precision is over the maximum defined for this asset."),
    Reason.QUANTITY_LIMIT: (-4005, "Quantity greater than max quantity."),
    Reason.NOTIONAL: (-4164, "Order's notional is too small."),
    Reason.MARGIN: (-2019, "Margin is insufficient."),
    Reason.DUPLICATE: (-4116, "ClientOrderId is duplicated."),
    Reason.WOULD_MATCH: (-5022, f"{_POST_ONLY} The order will not be recorded in the order history"),
    Reason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Reason.UNKNOWN_ORDER: (-2013, "Order does not exist."),
    Reason.FAULT: (-2010, "New order rejected."),
    Reason.HALTED: (-4108, "Symbol is on delivering or delivered or settling or closed or pre-trading."),
    Reason.UNKNOWN_CODE: (-4999, "A rule that came into force today was violated."),
}


def _refusal(reason: Reason) -> ApiError:
    return ApiError(*_REFUSALS[reason])


def _depth_weight(params: Params) -> int:
    limit = params.get("limit", "500")
    depth = int(limit) if limit.isdigit() else 500
    return next(weight for most, weight in ((50, 2), (100, 5), (500, 10), (10**9, 20)) if depth <= most)


class BinanceUsdm:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = ("/binance/fapi/",)

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._signer = Signer(*demo_keys(simulation.seed))
        self._frames = Frames(BINANCE_USDM, simulation.world)
        limits = Limits(WEIGHT_A_MINUTE, ORDERS_IN_TEN_SECONDS, BINANCE_USDM)
        self._api = Api(simulation, BINANCE_USDM, BinanceRules(self._signer, limits, _refusal))
        self._market = MarketData(simulation, self._frames)
        self._streams = Streams(simulation, self._frames, default_depth=250_000, messages_a_second=10)
        self._modes = Modes(simulation.exchange(BINANCE_USDM))
        self._order_api = UsdmOrderApi(simulation, self._market, self._frames, self._modes)
        self._keys = ListenKeys(simulation)
        self._incomes = Incomes(simulation.exchange(BINANCE_USDM), simulation.faults)
        self._account = UsdmAccount(simulation, self._frames, self._keys)
        self.changes: Mapping[str, Callable[[Fault], None]] = {
            "hedge_mode": partial(self._change, self._modes.set_position_side, "dualSidePosition"),
            "multi_assets": partial(self._change, self._modes.set_multi_assets, "multiAssetsMargin"),
        }

    def _change(self, function: Function, name: str, fault: Fault) -> None:
        """Change the account's mode as its owner would; raises UsageError where the exchange refuses it now."""
        try:
            function({name: fault.value or "true"}, self._simulation.now(BINANCE_USDM))
        except ApiError as error:
            raise UsageError(error.text) from error

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._market.remember(changes, now)
        self._streams.publish(changes, now)
        self._keys.check_expiry(now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return error_answer(fault_error(BINANCE_USDM, status, self._simulation.now(BINANCE_USDM), retry_after))

    def account(self) -> DemoAccount:
        wallet = self._simulation.exchange(BINANCE_USDM).perpetual.wallet
        totals = {asset: f"{amount:f}" for asset, amount in wallet.items()}
        return DemoAccount(BINANCE_USDM, self._signer.key, self._signer.secret, "", totals)

    def routes(self) -> list[web.RouteDef]:
        sockets = [
            route
            for part in (PUBLIC, MARKET)
            for route in (
                web.get(f"/binance/{part}/ws/{{streams:.*}}", partial(self._follow, part)),
                web.get(f"/binance/{part}/ws", partial(self._follow, part)),
                web.get(f"/binance/{part}/stream", partial(self._follow, part, is_combined=True)),
            )
        ]
        private = [
            web.get("/binance/private/ws", self._account.serve),
            web.get("/binance/private/ws/{key}", self._account.serve),
        ]
        return [*(self._api.route(endpoint) for endpoint in self._endpoints()), *sockets, *private]

    def _endpoints(self) -> list[Endpoint[Params]]:
        market, order_api, account, modes = self._market, self._order_api, self._account, self._modes
        v1 = "/binance/fapi/v1"
        by_version = [
            Endpoint("GET", f"/binance/fapi/{version}/{name}", partial(function, is_all=version == "v2"), 5, "signed")
            for version in ("v2", "v3")
            for name, function in (
                ("account", account.account),
                ("balance", account.balance),
                ("positionRisk", account.position_risk),
            )
        ]
        return [
            Endpoint("GET", f"{v1}/ping", market.ping),
            Endpoint("GET", f"{v1}/time", market.time),
            Endpoint("GET", f"{v1}/exchangeInfo", self.exchange_info),
            Endpoint("GET", f"{v1}/depth", market.depth, _depth_weight),
            Endpoint("GET", f"{v1}/trades", market.trades, 5),
            Endpoint("GET", f"{v1}/aggTrades", market.aggregate_trades, 20),
            Endpoint("GET", f"{v1}/klines", market.klines, 5),
            Endpoint("GET", f"{v1}/ticker/24hr", market.day, lambda params: 1 if params.get("symbol") else 40),
            Endpoint("GET", f"{v1}/ticker/price", market.price),
            Endpoint("GET", f"{v1}/ticker/bookTicker", market.book_ticker, 2),
            Endpoint("GET", f"{v1}/premiumIndex", self.premium_index),
            Endpoint("GET", f"{v1}/fundingInfo", self.funding_info),
            Endpoint("GET", f"{v1}/fundingRate", self.funding_rates),
            Endpoint("POST", f"{v1}/order", order_api.place, 0, "signed", is_order=True),
            Endpoint("POST", f"{v1}/order/test", order_api.test, 1, "signed"),
            Endpoint("GET", f"{v1}/order", order_api.query, 1, "signed"),
            Endpoint("DELETE", f"{v1}/order", order_api.cancel, 1, "signed"),
            Endpoint("GET", f"{v1}/openOrder", order_api.open_order, 1, "signed"),
            Endpoint(
                "GET", f"{v1}/openOrders", order_api.open_orders, lambda p: 1 if p.get("symbol") else 40, "signed"
            ),
            Endpoint("DELETE", f"{v1}/allOpenOrders", order_api.cancel_all, 1, "signed"),
            Endpoint("GET", f"{v1}/allOrders", order_api.all_orders, 5, "signed"),
            Endpoint("GET", f"{v1}/userTrades", order_api.user_trades, 5, "signed"),
            Endpoint("POST", f"{v1}/leverage", order_api.set_leverage, 1, "signed"),
            Endpoint("POST", f"{v1}/marginType", order_api.set_margin_type, 1, "signed"),
            Endpoint("GET", f"{v1}/income", self._incomes.income, INCOME_WEIGHT, "signed"),
            Endpoint("GET", f"{v1}/commissionRate", order_api.commission, 20, "signed"),
            Endpoint("GET", f"{v1}/leverageBracket", order_api.brackets, 1, "signed"),
            Endpoint("GET", f"{v1}/positionSide/dual", modes.position_side, 30, "signed"),
            Endpoint("POST", f"{v1}/positionSide/dual", modes.set_position_side, 1, "signed"),
            Endpoint("GET", f"{v1}/multiAssetsMargin", modes.multi_assets, 30, "signed"),
            Endpoint("POST", f"{v1}/multiAssetsMargin", modes.set_multi_assets, 1, "signed"),
            Endpoint("POST", f"{v1}/listenKey", self._keys.create, 1, "key"),
            Endpoint("PUT", f"{v1}/listenKey", self._keys.keep, 1, "key"),
            Endpoint("DELETE", f"{v1}/listenKey", self._keys.close, 1, "key"),
            *by_version,
        ]

    async def _follow(self, route: str, request: web.Request, *, is_combined: bool = False) -> web.StreamResponse:
        served_here = partial(is_served, route)
        return await self._streams.serve(request, names_in(request), is_combined=is_combined, is_served=served_here)

    # --- public answers of its own

    def premium_index(self, params: Params, now: int) -> object:
        if params.get("symbol"):
            return self._premium(self._market.symbol(params), now)
        return [self._premium(symbol, now) for symbol in self._frames.numbers]

    def _premium(self, symbol: str, now: int) -> dict[str, object]:
        frame = self._frames.mark_price(symbol, now)
        return {
            "symbol": symbol,
            "markPrice": frame["p"],
            "indexPrice": frame["i"],
            "estimatedSettlePrice": frame["P"],
            "lastFundingRate": frame["r"],
            "interestRate": "0.00010000",
            "nextFundingTime": frame["T"],
            "time": now // 1000,
        }

    def funding_info(self, _: Params, now: int) -> object:
        """Only the symbols whose interval or limits were ever changed; the others have eight hours."""
        limits = {"adjustedFundingRateCap": "0.02000000", "adjustedFundingRateFloor": "-0.02000000"}
        intervals = self._simulation.world.adjusted(BINANCE_USDM)
        return [{"symbol": symbol, **limits, "fundingIntervalHours": hours} for symbol, hours in intervals.items()]

    def funding_rates(self, params: Params, now: int) -> object:
        """The past intervals, oldest first. The simulation keeps no history: each has the present rate."""
        symbols = [self._market.symbol(params)] if params.get("symbol") else list(self._frames.numbers)
        return [row for symbol in symbols for row in self._funding_rates(symbol, params, now)]

    def _funding_rates(self, symbol: str, params: Params, now: int) -> list[dict[str, object]]:
        length = self._simulation.world.funding_hours(BINANCE_USDM, symbol) * HOUR // 1000
        newest = now // 1000 // length * length
        first, last = integer_of(params, "startTime", 0), integer_of(params, "endTime", newest)
        times = [newest - length * back for back in range(max(1, min(integer_of(params, "limit", 100), 1000)))]
        premium = self._frames.mark_price(symbol, now)
        return [
            {"symbol": symbol, "fundingTime": time, "fundingRate": premium["r"], "markPrice": premium["p"]}
            for time in reversed(times)
            if first <= time <= last
        ]

    def exchange_info(self, _: Params, now: int) -> object:
        exchange = self._simulation.exchange(BINANCE_USDM)
        return {
            "timezone": "UTC",
            "serverTime": now // 1000,
            "futuresType": "U_MARGINED",
            "rateLimits": [
                rate_limit("REQUEST_WEIGHT", "MINUTE", 1, WEIGHT_A_MINUTE),
                rate_limit("ORDERS", "MINUTE", 1, 1200),
                rate_limit("ORDERS", "SECOND", 10, ORDERS_IN_TEN_SECONDS),
            ],
            "exchangeFilters": [],
            "assets": [
                {"asset": asset, "marginAvailable": True, "autoAssetExchange": "0"} for asset in ("USDT", "USDC")
            ],
            "symbols": [
                *(self._symbol(exchange, listing) for listing in exchange.listings.values()),
                *(ended(self._symbol(exchange, listing)) for listing in list(exchange.listings.values())[:1]),
            ],
        }

    def _symbol(self, exchange: SimExchange, listing: Listing) -> dict[str, object]:
        row = _symbol(exchange, listing, self._frames.numbers[listing.symbol])
        fault = self._simulation.faults.setting(BINANCE_USDM, "unknown_contract_type", listing.symbol)
        if fault and listing.symbol == (fault.symbol or DEFAULT_STRANGE):
            return {**row, "contractType": fault.value or "TRADIFI_PERPETUAL"}
        return row


def ended(row: dict[str, object]) -> dict[str, object]:
    """A contract that is being settled: it is still listed, and has no type any more."""
    return {**row, "symbol": ENDED, "pair": ENDED, "contractType": "", "status": "SETTLING", "baseAsset": ENDED[:-4]}


def _symbol(exchange: SimExchange, listing: Listing, numbers: Numbers) -> dict[str, object]:
    return {
        "symbol": listing.symbol,
        "pair": listing.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _FOREVER,
        "onboardDate": 1_569_398_400_000,
        "status": "SETTLING" if listing.symbol in exchange.halted else "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": listing.base_asset,
        "quoteAsset": listing.quote,
        "marginAsset": listing.quote,
        "pricePrecision": numbers.price_digits,
        "quantityPrecision": numbers.quantity_digits,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012500",
        "marketTakeBound": "0.05",
        "maxMoveOrderLimit": 10000,
        "filters": _filters(listing, exchange.books[listing.symbol], exchange.tick_of(listing)),
        "orderTypes": ["LIMIT", "MARKET"],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def _filters(listing: Listing, book: Book, tick: Decimal) -> list[dict[str, object]]:
    ceiling = 10 ** (len(str(book.asks.best or 1)) + 2) * listing.tick
    lots = {"minQty": f"{listing.lot:f}", "maxQty": f"{MAX_LOTS * listing.lot:f}", "stepSize": f"{listing.lot:f}"}
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": f"{tick:f}",
            "maxPrice": f"{ceiling:f}",
            "tickSize": f"{tick:f}",
        },
        {"filterType": "LOT_SIZE", **lots},
        {"filterType": "MARKET_LOT_SIZE", **lots},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": f"{listing.min_notional:f}"},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierUp": f"{Decimal(1) + PRICE_BAND}00",
            "multiplierDown": f"{Decimal(1) - PRICE_BAND}00",
            "multiplierDecimal": "4",
        },
    ]
