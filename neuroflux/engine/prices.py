"""The price of a market in USD, from every exchange that is fresh and agrees with the others.

Each instrument's price is its volume-weighted average over ``WINDOW`` (VWAP: sum of price x quantity by sum of
quantity), or its mid while it did not trade. The market's is their average, weighted by the volume each traded; while
none traded, by the size at the top. Stale instruments, those without a rate to USD, and those further than ``OUTLIER``
from the median are left out.

The liquidity score is depth / (depth + ``DEEP``) x exp(-spread / ``WIDE``): depth is the USD at the tops together,
spread the mean relative spread. It lies between 0 and 1, rises with depth and falls with the spread.
"""

from __future__ import annotations

from collections import deque
from math import exp
from statistics import median

from msgspec import Struct

from neuroflux.domain import AggregatedPrice, Cause, Microseconds, PriceSource, Quote, Trade
from neuroflux.engine.comparable import Name, Reference

WINDOW: Microseconds = 60_000_000
STALE: Microseconds = 10_000_000
EVERY: Microseconds = 200_000
"""A market's price is given at most this often."""
OUTLIER = 0.05
DEEP = 1_000_000.0
WIDE = 0.001


class _Source:
    """One instrument's last quote and its trades of the window, per unit of the base and in its own quote."""

    __slots__ = ("cause", "notional", "quote", "trades", "volume")

    def __init__(self) -> None:
        self.quote: Quote[float] | None = None
        self.cause = Cause("", 0, 0)
        self.trades: deque[tuple[Microseconds, float, float]] = deque()
        self.volume = 0.0
        self.notional = 0.0

    def traded(self, time: Microseconds, price: float, quantity: float) -> None:
        self.trades.append((time, price, quantity))
        self.volume += quantity
        self.notional += price * quantity

    def forget(self, before: Microseconds) -> None:
        while self.trades and self.trades[0][0] < before:
            _, price, quantity = self.trades.popleft()
            self.volume -= quantity
            self.notional -= price * quantity
        if not self.trades:
            self.volume = self.notional = 0.0  # what rounding left


class _Weighed(Struct, frozen=True):
    """A source in USD: price, what it weighs, and what it says of the market's depth and tightness."""

    name: Name
    price: float
    volume: float
    depth: float
    spread: float
    age: Microseconds
    cause: Cause


class Prices:
    """The state of the markets of one partition; every answer is a function of the records so far."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._markets: dict[str, dict[Name, _Source]] = {}
        self._given: dict[str, Microseconds] = {}
        self._newest: Microseconds = 0

    def trade(self, trade: Trade[float]) -> None:
        name = (trade.exchange, trade.symbol)
        instrument = self._reference.instrument(name)
        if instrument is None:
            return
        self._newest = max(self._newest, trade.received_time)
        multiplier = instrument.multiplier
        self._source(trade.market, name).traded(
            trade.received_time, trade.price / multiplier, trade.quantity * multiplier
        )

    def quote(self, quote: Quote[float], cause: Cause) -> AggregatedPrice | None:
        """Take a quote in; the market's price, where it is due."""
        source = self._source(quote.market, (quote.exchange, quote.symbol))
        source.quote, source.cause = quote, cause
        self._newest = max(self._newest, quote.received_time)
        if self._newest - self._given.get(quote.market, 0) < EVERY:
            return None
        self._given[quote.market] = self._newest
        return self._price(quote.market)

    def _source(self, market: str, name: Name) -> _Source:
        sources = self._markets.setdefault(market, {})
        source = sources.get(name)
        if source is None:
            source = sources[name] = _Source()
        return source

    def _price(self, market: str) -> AggregatedPrice | None:
        weighed = [one for name, source in self._markets[market].items() if (one := self._weigh(name, source))]
        if not weighed:
            return None
        middle = median(one.price for one in weighed)
        agreeing = [one for one in weighed if abs(one.price - middle) <= OUTLIER * middle]
        return _aggregate(market, agreeing or weighed, self._newest)

    def _weigh(self, name: Name, source: _Source) -> _Weighed | None:
        """None for what is stale, unknown, or has no rate."""
        source.forget(self._newest - WINDOW)
        quote, instrument = source.quote, self._reference.instrument(name)
        if quote is None or instrument is None or self._newest - quote.received_time > STALE:
            return None
        rate = self._reference.rate(instrument, self._newest)
        if rate is None:
            return None
        mid = (quote.bid_price + quote.ask_price) / 2
        price = source.notional / source.volume if source.volume > 0 else mid / instrument.multiplier
        depth = (quote.bid_size * quote.bid_price + quote.ask_size * quote.ask_price) * rate.mid
        spread, age = (quote.ask_price - quote.bid_price) / mid, self._newest - quote.received_time
        return _Weighed(name, price * rate.mid, source.volume, depth, spread, age, source.cause)


def _aggregate(market: str, sources: list[_Weighed], now: Microseconds) -> AggregatedPrice:
    volume, depth = sum(one.volume for one in sources), sum(one.depth for one in sources)
    weights = [one.volume / volume if volume > 0 else one.depth / depth for one in sources]
    spread = sum(one.spread for one in sources) / len(sources)
    prices = [one.price for one in sources]
    return AggregatedPrice(
        market,
        sum(price * weight for price, weight in zip(prices, weights, strict=True)),
        min(prices),
        max(prices),
        volume,
        liquidity_score(depth, spread),
        tuple(PriceSource(*one.name, one.price, one.volume, one.age / 1000) for one in sources),
        tuple(one.cause for one in sources),
        now,
    )


def liquidity_score(depth: float, spread: float) -> float:
    """0 to 1; ``depth`` in USD, ``spread`` as a fraction."""
    return depth / (depth + DEEP) * exp(-max(spread, 0.0) / WIDE)
