"""Coinbase's market data over REST: products, books, trades, candles.

Source: https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api/products/list-products
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from neuroflux.sim.coinbase.aliases import canonical
from neuroflux.sim.coinbase.products import product
from neuroflux.sim.coinbase.venue import COINBASE
from neuroflux.sim.coinbase.wire import (
    Json,
    Params,
    limit_of,
    malformed,
    number,
    text,
    texts,
    timestamp,
    unknown,
)
from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Match
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.ticker import Tape
from neuroflux.sim.core.world import Change
from neuroflux.sim.kit.books import BookTexts, Levels
from neuroflux.sim.kit.candles import Candle, Minutes
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.recent_trades import RecentTrades

KEPT_TRADES = 1000
_CANDLES = 350
_GRANULARITIES = {
    "ONE_MINUTE": 1,
    "FIVE_MINUTE": 5,
    "FIFTEEN_MINUTE": 15,
    "THIRTY_MINUTE": 30,
    "ONE_HOUR": 60,
    "TWO_HOUR": 120,
    "SIX_HOUR": 360,
    "ONE_DAY": 1440,
}
"""Minutes."""


class Market:
    """What was traded and what is offered, by product; an alias has the data of the product that it stands for."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation, self.exchange = simulation, simulation.exchange(COINBASE)
        self.texts = BookTexts(self.exchange, Numbers)
        self._trades, self._minutes = RecentTrades(KEPT_TRADES), Minutes()

    def remember(self, changes: Sequence[Change], now: int) -> None:
        self._trades.remember(changes, now)
        self._minutes.remember(changes, now)

    # --- parts, which the streams have too

    def trades(self, product_id: str, most: int) -> list[Json]:
        """Newest first; where nothing was traded yet, the last trade before the start."""
        listing, known = self.exchange.listings[product_id], self._trades.of(canonical(self.exchange, product_id))
        if not known:
            tape = self._tape(product_id)
            known = [(Match(tape.last_trade, "buy", tape.last, max(1, tape.last_quantity), 0, 0), tape.started)]
        return [self.trade(listing, match, time) for match, time in reversed(known[-most:])]

    def trade(self, listing: Listing, match: Match, time: int) -> Json:
        """``side`` is the maker's."""
        numbers = self.texts.numbers[listing.symbol]
        return {
            "trade_id": str(match.trade_id),
            "product_id": listing.symbol,
            "price": numbers.price(match.price),
            "size": numbers.quantity(match.quantity),
            "time": timestamp(time),
            "side": "SELL" if match.side == "buy" else "BUY",
        }

    def day(self, product_id: str) -> Json:
        """The summary of a day that the tickers have."""
        tape = self._tape(product_id)
        numbers = self.texts.numbers[product_id]
        return {
            "price": numbers.price(tape.last),
            "volume_24_h": numbers.quantity(tape.volume),
            "low_24_h": numbers.price(tape.low),
            "high_24_h": numbers.price(tape.high),
            "low_52_w": numbers.price(max(1, tape.low // 2)),
            "high_52_w": numbers.price(tape.high * 2),
            "price_percent_chg_24_h": f"{(tape.last - tape.open) * 100 / tape.open:.14f}",
        }

    def candles_of(self, product_id: str, minutes: int) -> list[tuple[int, Json]]:
        """With their starts in seconds, oldest first."""
        numbers = self.texts.numbers[product_id]
        candles = self._minutes.candles(canonical(self.exchange, product_id), minutes)
        return [(one.start // 1000, _candle(one, numbers)) for one in candles]

    # --- endpoints

    def product_id(self, name: str) -> str:
        """The id of a product that is listed; raises ApiError."""
        if name not in self.exchange.listings:
            raise malformed("valid product_id is required")
        return name

    def time(self, _: Params, now: int) -> Json:
        return {"iso": timestamp(now), "epochSeconds": str(now // 1_000_000), "epochMillis": str(now // 1000)}

    def products(self, params: Params, _: int) -> Json:
        """Spot alone; ``product_ids`` that are not listed are left out."""
        wanted = texts(params, "product_ids") or list(self.exchange.listings)
        chosen = [name for name in wanted if name in self.exchange.listings]
        if text(params, "product_type", "SPOT") not in ("SPOT", "UNKNOWN_PRODUCT_TYPE"):
            chosen = []
        begin = int(text(params, "offset")) if text(params, "offset").isdecimal() else 0
        rows = [self._product(name) for name in chosen[begin:][: limit_of(params, len(chosen), 10_000)]]
        return {"products": rows, "num_products": len(rows), "pagination": None}

    def product(self, params: Params, _: int) -> Json:
        if text(params, "product_id") not in self.exchange.listings:
            raise unknown("valid product_id is required")
        return self._product(text(params, "product_id"))

    def book(self, params: Params, now: int) -> Json:
        name = self.product_id(text(params, "product_id"))
        bids, asks = self.texts.levels(name, limit_of(params, 10_000, 10_000))
        middle, spread = (self._middle(name)) if bids and asks else (Decimal(0), Decimal(0))
        return {
            "pricebook": _book(name, bids, asks, now),
            "last": self.day(name)["price"],
            "mid_market": number(middle),
            "spread_bps": number(round(spread * 10_000 / middle, 12)) if middle else "0",
            "spread_absolute": number(spread),
        }

    def _middle(self, product_id: str) -> tuple[Decimal, Decimal]:
        bid, ask = self.exchange.top(product_id)
        return (bid + ask) / 2, ask - bid

    def tops(self, params: Params, now: int) -> Json:
        names = [self.product_id(name) for name in texts(params, "product_ids")] or list(self.exchange.listings)
        return {"pricebooks": [_book(name, *self.texts.levels(name, 1), now) for name in names]}

    def ticker(self, params: Params, _: int) -> Json:
        """The newest trades, and the best prices."""
        name = self.product_id(text(params, "product_id"))
        rows = [{**row, "bid": "", "ask": ""} for row in self.trades(name, limit_of(params, 100, KEPT_TRADES))]
        top = self.texts.top(name)
        return {"trades": rows, "best_bid": top[0], "best_ask": top[2]}

    def candles(self, params: Params, _: int) -> Json:
        """Newest first; ``start`` and ``end`` in seconds."""
        name = self.product_id(text(params, "product_id"))
        minutes = _GRANULARITIES.get(text(params, "granularity"))
        start, end = text(params, "start"), text(params, "end")
        if minutes is None or not start.isdecimal() or not end.isdecimal():
            raise malformed("start, end and granularity are required")
        rows = [row for at, row in self.candles_of(name, minutes) if int(start) <= at <= int(end)]
        return {"candles": rows[::-1][: limit_of(params, _CANDLES, _CANDLES)]}

    def _product(self, name: str) -> Json:
        tape, numbers = self._tape(name), self.texts.numbers[name]
        return product(self.exchange, numbers, self.day(name), tape.value * numbers.listing.unit)

    def _tape(self, product_id: str) -> Tape:
        return self.simulation.world.tapes[COINBASE, canonical(self.exchange, product_id)]


def _book(name: str, bids: Levels, asks: Levels, now: int) -> Json:
    sides = {"bids": bids, "asks": asks}
    levels = {side: [{"price": price, "size": size} for price, size in rows] for side, rows in sides.items()}
    return {"product_id": name, **levels, "time": timestamp(now)}


def _candle(candle: Candle, numbers: Numbers) -> Json:
    prices = {name: numbers.price(getattr(candle, name)) for name in ("low", "high", "open", "close")}
    return {"start": str(candle.start // 1000), **prices, "volume": numbers.quantity(candle.volume)}
