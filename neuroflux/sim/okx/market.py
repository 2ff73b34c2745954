"""OKX's market data: what REST answers, and the rows that streams send.

Source: https://www.okx.com/docs-v5/en/#order-book-trading-market-data and #public-data-rest-api
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import groupby

from msgspec.structs import replace

from neuroflux.sim.core.coins import Listing
from neuroflux.sim.core.matching import Half, Match, Side
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.core.world import HOUR, Change
from neuroflux.sim.kit.books import BookTexts
from neuroflux.sim.kit.candles import Candle, Minutes
from neuroflux.sim.kit.numbers import Numbers
from neuroflux.sim.kit.recent_trades import RecentTrades
from neuroflux.sim.okx.instruments import Instruments
from neuroflux.sim.okx.venue import OKX, SWAP, contract_size, kind_of
from neuroflux.sim.okx.wire import ApiError, Json, Params, ms, number, parameter_error, whole

DEPTH = 400
MINUTES = {"1m": 1, "3m": 3, "5m": 5, "15m": 15, "30m": 30, "1H": 60, "2H": 120, "4H": 240, "6H": 360, "12H": 720}
MINUTES |= {"1D": 1440, "1W": 10080} | {f"{hours}Hutc": hours * 60 for hours in (6, 12)} | {"1Dutc": 1440}
TRADES = 500
Levels = list[tuple[str, str, str, str]]
"""Price, size, a field that is no longer used, and the number of orders."""


def in_contracts(listing: Listing) -> Numbers:
    return Numbers(replace(listing, lot=listing.lot / contract_size(listing)))


class Market:
    """Answers for the instruments of the exchange. Sizes are in contracts, of spot in coins; ``now`` in µs."""

    def __init__(self, simulation: Simulation, instruments: Instruments) -> None:
        self._world = simulation.world
        self._exchange = simulation.exchange(OKX)
        self.instruments = instruments
        self.numbers = BookTexts(self._exchange, in_contracts).numbers
        self._trades, self._minutes = RecentTrades(TRADES), Minutes()

    def remember(self, changes: Sequence[Change], now: int) -> None:
        """Keep the trades of these changes."""
        self._trades.remember(changes, now)
        self._minutes.remember(changes, now)

    # --- books

    def levels(self, symbol: str, half: Half, levels: Iterable[tuple[int, int]]) -> Levels:
        texts = self.numbers[symbol]
        written = ((price, texts.quantity(lots) if lots else "0") for price, lots in levels)
        return [(texts.price(price), size, "0", str(half.orders_at(price))) for price, size in written]

    def book(self, symbol: str, depth: int, now: int) -> Json:
        book = self._exchange.books[symbol]
        asks, bids = (self.levels(symbol, half, half.levels(depth)) for half in (book.asks, book.bids))
        return {"asks": asks, "bids": bids, "ts": ms(now), "seqId": book.sequence}

    def changed(self, symbol: str, places: Iterable[tuple[Side, int]], now: int) -> Json:
        """These levels as they are now."""
        book, found = self._exchange.books[symbol], sorted(places)
        sides: dict[str, Levels] = {"asks": [], "bids": []}
        for side, half in (("asks", book.asks), ("bids", book.bids)):
            prices = [price for each, price in found if each == half.side]
            best_first = reversed(prices) if side == "bids" else prices
            sides[side] = self.levels(symbol, half, ((price, half.totals.get(price, 0)) for price in best_first))
        return {**sides, "ts": ms(now)}

    def books(self, params: Params, now: int) -> object:
        listing = self.listing(params)
        depth = max(1, min(whole(params.values, "sz", 1), DEPTH))
        return [self.book(listing.symbol, depth, now)]

    def listing(self, params: Params) -> Listing:
        return self.instruments.listing(params.needed("instId"))

    # --- trades

    def trade_rows(self, listing: Listing, matches: Iterable[Match], time: int) -> list[Json]:
        """One row for each order that took, and price."""
        rows = []
        for _, each in groupby(matches, lambda match: (match.taker, match.side, match.price)):
            group = list(each)
            size = sum(match.quantity for match in group)
            rows.append({**self._trade(listing, group[-1], size, time), "count": str(len(group))})
        return rows

    def _trade(self, listing: Listing, match: Match, lots: int, time: int) -> Json:
        texts = self.numbers[listing.symbol]
        names = {"instId": listing.symbol, "tradeId": str(match.trade_id), "side": match.side, "ts": ms(time)}
        return {**names, "px": texts.price(match.price), "sz": texts.quantity(lots), "source": "0"}

    def every_trade(self, listing: Listing, matches: Iterable[Match], time: int) -> list[Json]:
        return [self._trade(listing, match, match.quantity, time) for match in matches]

    def trades(self, params: Params, now: int) -> object:
        listing, limit = self.listing(params), min(whole(params.values, "limit", 100), TRADES)
        last = self._trades.of(listing.symbol)[-limit:] if limit else []
        return [self._trade(listing, match, match.quantity, time) for match, time in reversed(last)]

    def candles(self, params: Params, now: int) -> object:
        """Newest first; ``after`` is the time that they are older than."""
        listing, bar = self.listing(params), params.text("bar") or "1m"
        if bar not in MINUTES:
            raise parameter_error("bar")
        before, after = whole(params.values, "before", 0), whole(params.values, "after", 1 << 60)
        found = self._minutes.candles(listing.symbol, MINUTES[bar])
        rows = [self.candle(listing, one, MINUTES[bar], now) for one in found if before < one.start < after]
        return rows[::-1][: min(whole(params.values, "limit", 100), 300)]

    def last_candle(self, symbol: str, bar: str, now: int) -> list[list[str]]:
        listing, candles = self._exchange.listings[symbol], self._minutes.candles(symbol, MINUTES[bar])
        return [self.candle(listing, candles[-1], MINUTES[bar], now)] if candles else []

    def candle(self, listing: Listing, one: Candle, minutes: int, now: int) -> list[str]:
        texts, value = self.numbers[listing.symbol], number(one.value * listing.unit)
        prices = [texts.price(price) for price in (one.open, one.high, one.low, one.close)]
        coins = number(one.volume * listing.lot) if listing.kind == "perpetual" else value
        is_over = now // 1000 >= one.start + minutes * 60_000
        return [str(one.start), *prices, texts.quantity(one.volume), coins, value, "1" if is_over else "0"]

    # --- tickers

    def ticker(self, listing: Listing, now: int) -> Json:
        tape, texts = self._world.tapes[OKX, listing.symbol], self.numbers[listing.symbol]
        book, row = self._exchange.books[listing.symbol], {"instType": kind_of(listing), "instId": listing.symbol}
        for name, half in (("ask", book.asks), ("bid", book.bids)):
            price, lots = (half.levels(1) or [(0, 0)])[0]
            row |= {f"{name}Px": texts.price(price) if price else "", f"{name}Sz": texts.quantity(lots)}
        volume = tape.volume * listing.lot if listing.kind == "perpetual" else tape.value * listing.unit
        prices = {"last": tape.last, "open24h": tape.open, "high24h": tape.high, "low24h": tape.low}
        row |= {name: texts.price(price) for name, price in prices.items()}
        day = {"sodUtc0": texts.price(tape.open), "sodUtc8": texts.price(tape.open), "ts": ms(now)}
        volumes = {"vol24h": texts.quantity(tape.volume), "volCcy24h": number(volume)}
        return {**row, "lastSz": texts.quantity(tape.last_quantity), **volumes, **day}

    def one_ticker(self, params: Params, now: int) -> object:
        return [self.ticker(self.listing(params), now)]

    def tickers(self, params: Params, now: int) -> object:
        return [self.ticker(listing, now) for listing in self.instruments.of(params.needed("instType"))]

    # --- swaps

    def funding(self, listing: Listing, now: int) -> Json:
        hours = self._world.funding_hours(OKX, listing.symbol)
        due, rate = self._world.next_funding(OKX, now, listing.symbol), self._world.funding_rate(listing)
        names = {"instType": "SWAP", "instId": listing.symbol, "method": "current_period", "formulaType": "noRate"}
        rates = {"fundingRate": number(rate), "nextFundingRate": "", "premium": number(rate), "ts": ms(now)}
        times = {
            "fundingTime": ms(due),
            "nextFundingTime": ms(due + hours * HOUR),
            "prevFundingTime": ms(due - hours * HOUR),
        }
        settled = {"settState": "settled", "settFundingRate": number(rate), "interestRate": "0.0001", "impactValue": ""}
        return {**names, **rates, **times, **settled, "minFundingRate": "-0.015", "maxFundingRate": "0.015"}

    def funding_rates(self, params: Params, now: int) -> object:
        if params.needed("instId") == "ANY":
            return [self.funding(listing, now) for listing in self.instruments.of("SWAP")]
        return [self.funding(self._swap(params), now)]

    def _swap(self, params: Params) -> Listing:
        listing = self.listing(params)
        if listing.kind != "perpetual":
            raise ApiError("51001", "Instrument ID, Instrument ID code, or Spread ID doesn't exist.")
        return listing

    def mark(self, listing: Listing, now: int) -> Json:
        price = number(self._world.mark(listing))
        return {"instType": kind_of(listing), "instId": listing.symbol, "markPx": price, "ts": ms(now)}

    def marks(self, params: Params, now: int) -> object:
        name, listings = params.text("instId"), self.instruments.of(params.needed("instType"))
        return [self.mark(one, now) for one in listings if name in ("", one.symbol)]

    def has_index(self, name: str) -> bool:
        return name in self._exchange.listings or f"{name}{SWAP}" in self._exchange.listings

    def index(self, name: str, now: int) -> Json:
        """The index of a pair of assets."""
        listing = self._exchange.listings.get(name) or self.instruments.listing(f"{name}{SWAP}")
        price = number(round(Decimal(self._world.index(listing)) / listing.tick) * listing.tick)
        day = dict.fromkeys(("high24h", "low24h", "open24h", "sodUtc0", "sodUtc8"), price)
        return {"instId": name, "idxPx": price, **day, "ts": ms(now)}

    def indexes(self, params: Params, now: int) -> object:
        if name := params.text("instId"):
            return [self.index(name, now)]
        quote = params.needed("quoteCcy")
        spot = [one.symbol for one in self.instruments.of("SPOT") if one.quote == quote]
        return [self.index(name, now) for name in spot]

    def price_limits(self, listing: Listing) -> tuple[Decimal, Decimal]:
        """The highest price of a buyer and the lowest of a seller."""
        mark, tick = self._world.mark(listing), listing.tick
        return mark * Decimal("1.05") // tick * tick, mark * Decimal("0.95") // tick * tick

    def price_limit(self, params: Params, now: int) -> object:
        listing = self.listing(params)
        most, least = self.price_limits(listing)
        names = {"instType": kind_of(listing), "instId": listing.symbol, "enabled": True, "ts": ms(now)}
        return [{**names, "buyLmt": number(most), "sellLmt": number(least)}]
