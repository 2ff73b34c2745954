"""Bybit's public answers: time, instruments, books, tickers, trades, candles, funding.

Source: https://bybit-exchange.github.io/docs/v5/market/time and its neighbours
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from neuroflux.sim.bybit.names import CATEGORIES, Names, id_text
from neuroflux.sim.bybit.tickers import Tickers
from neuroflux.sim.bybit.venue import BYBIT, category_of, name_of
from neuroflux.sim.bybit.wire import ApiError, Json, Params, bad, choice, integer_of, plain, text_of
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.venue import MAX_LOTS
from neuroflux.sim.core.world import HOUR, Change
from neuroflux.sim.kit.books import BookTexts
from neuroflux.sim.kit.candles import DAY, WEEK, Candle, Minutes
from neuroflux.sim.kit.recent_trades import RecentTrades

_OTHERS = ("inverse", "option")
"""Categories that the simulator has nothing of."""
_INTERVALS = {one: int(one) for one in ("1", "3", "5", "15", "30", "60", "120", "240", "360", "720")}
_INTERVALS |= {"D": DAY, "W": WEEK, "M": 30 * DAY}
_DEEPEST = 1000
_LAUNCHED = "1585526400000"


class Market:
    """Answers everything that needs no key. ``number`` gives ``u`` of a book."""

    def __init__(
        self, simulation: Simulation, names: Names, texts: BookTexts, tickers: Tickers, number: Callable[[Listing], int]
    ) -> None:
        self._simulation = simulation
        self._exchange = simulation.exchange(BYBIT)
        self._names, self._texts, self._tickers, self._number = names, texts, tickers, number
        self._trades, self._minutes = RecentTrades(_DEEPEST), Minutes()

    def remember(self, changes: Sequence[Change], now: int) -> None:
        self._trades.remember(changes, now)
        self._minutes.remember(changes, now)

    def _listing(self, params: Params) -> Listing:
        """Raises ApiError for what is not traded."""
        category = choice(params, "category", CATEGORIES)
        listing = self._names.find(category, text_of(params, "symbol"))
        if listing is None:
            raise ApiError(10001, "Not supported symbols")
        return listing

    def _listings(self, params: Params) -> list[Listing]:
        """The one that is named, or all of the category."""
        category = choice(params, "category", (*CATEGORIES, *_OTHERS))
        if category not in _OTHERS and text_of(params, "symbol"):
            return [self._listing(params)]
        base = text_of(params, "baseCoin")
        return [one for one in self._names.of(category) if base in ("", one.base_asset)]

    def time(self, _: Params, now: int) -> Json:
        return {"timeSecond": str(now // 1_000_000), "timeNano": f"{now}000"}

    def status(self, _: Params, now: int) -> Json:
        return {"list": []}

    # ── instruments ──────────────────────────────────────────────────────────────────────────────────────────────

    def instruments(self, params: Params, now: int) -> Json:
        """Without a status only what is traded; pages are of perpetuals alone."""
        halted, wanted = self._exchange.halted, text_of(params, "status", "Trading")
        rows = [self._row(one) for one in self._listings(params) if (one.symbol in halted) == (wanted == "Closed")]
        if wanted not in ("Trading", "Closed"):
            rows = []
        category = text_of(params, "category")
        if category == "linear" and wanted == "Trading" and not text_of(params, "symbol"):
            rows += [_other(rows[0], "LinearFutures", "BTCUSDT-25DEC26", "USDT"), _of_usdc(rows[0])] if rows else []
        limit = integer_of(params, "limit", 500) if category == "linear" else len(rows)
        first = integer_of(params, "cursor", 0)
        if not 1 <= limit <= _DEEPEST and rows:
            raise bad("limit")
        following = str(first + limit) if first + limit < len(rows) else ""
        return {"category": category, "list": rows[first : first + limit], "nextPageCursor": following}

    def _row(self, listing: Listing) -> Json:
        status = "Closed" if listing.symbol in self._exchange.halted else "Trading"
        names = {"symbol": name_of(listing), "baseCoin": listing.base_asset, "quoteCoin": listing.quote}
        tick = plain(self._exchange.tick_of(listing), 18)
        ratios = {"priceLimitRatioX": "0.05", "priceLimitRatioY": "0.05"}
        if listing.kind == "spot":
            return {**names, "status": status, **_spot(listing), "priceFilter": {"tickSize": tick}, **_risk(ratios)}
        hours = self._simulation.world.funding_hours(BYBIT, listing.symbol)
        prices = {"minPrice": tick, "maxPrice": plain(1_999_999 * listing.tick, 18), "tickSize": tick}
        return {
            **names,
            "contractType": "LinearPerpetual",
            "status": status,
            "launchTime": _LAUNCHED,
            "deliveryTime": "0",
            "deliveryFeeRate": "",
            "priceScale": str(self._texts.numbers[listing.symbol].price_digits),
            "leverageFilter": {"minLeverage": "1", "maxLeverage": f"{listing.max_leverage}.00", "leverageStep": "0.01"},
            "priceFilter": prices,
            "lotSizeFilter": _lots(listing),
            "unifiedMarginTrade": True,
            "fundingInterval": hours * 60,
            "settleCoin": listing.quote,
            "copyTrading": "none",
            "upperFundingRate": "0.005",
            "lowerFundingRate": "-0.005",
            "isPreListing": False,
            "preListingInfo": None,
            "riskParameters": ratios,
            "displayName": "",
            "symbolType": "",
        }

    # ── data ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def book(self, params: Params, now: int) -> Json:
        listing = self._listing(params)
        limit = integer_of(params, "limit", 1 if listing.kind == "spot" else 25)
        if not 1 <= limit <= _DEEPEST:
            raise bad("limit")
        bids, asks = self._texts.levels(listing.symbol, limit)
        times = {"ts": now // 1000, "u": self._number(listing), "seq": self._exchange.books[listing.symbol].sequence}
        return {"s": name_of(listing), "b": bids, "a": asks, **times, "cts": now // 1000}

    def tickers(self, params: Params, now: int) -> Json:
        rows = [self._tickers.row(one, now) | self._tickers.top(one) for one in self._listings(params)]
        return {"category": params["category"], "list": rows}

    def trades(self, params: Params, now: int) -> Json:
        listing = self._listing(params)
        limit = integer_of(params, "limit", 60 if listing.kind == "spot" else 500)
        newest = self._trades.of(listing.symbol)[::-1][: min(limit, 60 if listing.kind == "spot" else _DEEPEST)]
        numbers, symbol = self._texts.numbers[listing.symbol], name_of(listing)
        rows = [
            {
                "execId": id_text(listing, match.trade_id, "trade"),
                "symbol": symbol,
                "price": numbers.price(match.price),
                "size": numbers.quantity(match.quantity),
                "side": match.side.capitalize(),
                "time": str(time // 1000),
                "isBlockTrade": False,
                "isRPITrade": False,
                "seq": str(time),
            }
            for match, time in newest
        ]
        return {"category": category_of(listing), "list": rows}

    def candles(self, params: Params, now: int) -> Json:
        listing, minutes = self._listing(params), _INTERVALS[choice(params, "interval", tuple(_INTERVALS))]
        first, last = integer_of(params, "start", 0), integer_of(params, "end", now // 1000)
        found = [one for one in self._minutes.candles(listing.symbol, minutes) if first <= one.start <= last]
        rows = [self._candle(listing, one) for one in found[::-1][: min(integer_of(params, "limit", 200), _DEEPEST)]]
        return {"symbol": name_of(listing), "category": category_of(listing), "list": rows}

    def _candle(self, listing: Listing, one: Candle) -> list[str]:
        numbers = self._texts.numbers[listing.symbol]
        prices = [numbers.price(price) for price in (one.open, one.high, one.low, one.close)]
        return [str(one.start), *prices, numbers.quantity(one.volume), plain(one.value * listing.unit)]

    def funding(self, params: Params, now: int) -> Json:
        """The past intervals, newest first. The simulation keeps no history: each has the present rate."""
        choice(params, "category", ("linear",))
        listing, world = self._listing(params), self._simulation.world
        length = world.funding_hours(BYBIT, listing.symbol) * HOUR
        newest, rate = now // length * length, plain(world.funding_rate(listing))
        first, last = integer_of(params, "startTime", 0), integer_of(params, "endTime", now // 1000)
        times = ((newest - length * back) // 1000 for back in range(min(integer_of(params, "limit", 200), 200)))
        names = {"symbol": name_of(listing), "fundingRate": rate}
        rows = [{**names, "fundingRateTimestamp": str(time)} for time in times if first <= time <= last]
        return {"category": "linear", "list": rows}


def _risk(ratios: Json) -> Json:
    return {"riskParameters": ratios, "symbolType": ""}


def _spot(listing: Listing) -> Json:
    most = plain(min(MAX_LOTS, int(Decimal(20_000_000) / Decimal(listing.start) / listing.lot)) * listing.lot)
    return {
        "innovation": "0",
        "marginTrading": "utaOnly",
        "stTag": "0",
        "lotSizeFilter": {
            "basePrecision": plain(listing.lot, 18),
            "quotePrecision": "0.0000001",
            "minOrderQty": plain(listing.lot, 18),
            "maxOrderQty": most,
            "minOrderAmt": plain(listing.min_notional),
            "maxOrderAmt": "8000000",
            "maxLimitOrderQty": most,
            "maxMarketOrderQty": most,
            "postOnlyMaxLimitOrderSize": most,
        },
    }


def _lots(listing: Listing) -> Json:
    most = plain(min(MAX_LOTS, int(Decimal(20_000_000) / Decimal(listing.start) / listing.lot)) * listing.lot)
    return {
        "maxOrderQty": most,
        "minOrderQty": plain(listing.lot, 18),
        "qtyStep": plain(listing.lot, 18),
        "postOnlyMaxOrderQty": most,
        "maxMktOrderQty": most,
        "minNotionalValue": plain(listing.min_notional),
    }


def _other(row: Json, contract: str, symbol: str, settle: str) -> Json:
    """A contract of a kind that is listed beside the perpetuals of USDT."""
    return {**row, "contractType": contract, "symbol": symbol, "settleCoin": settle, "deliveryTime": "1798156800000"}


def _of_usdc(row: Json) -> Json:
    return {**row, "symbol": "BTCPERP", "quoteCoin": "USDC", "settleCoin": "USDC"}
