"""The price of a market in USD, from every exchange whose data is fresh and agrees with the others.

An instrument's price is the volume-weighted average of its trades of the last ``WINDOW`` (sum of price x quantity / sum
of quantity), or its mid if it did not trade. The market's price is their average, weighted by traded volume; while none
traded, by the USD at the top of each book. All is per unit of the base and at the live rates of the quotes. A trade
that was older than ``WINDOW`` on arrival is ignored: Hyperliquid repeats its last trades to every new subscriber, and
those of a quiet coin are hours old.

Excluded are instruments without a fresh quote, or whose book lost a side after it, those without a rate to USD, and
those further than ``OUTLIER`` from the median, which is weighted by the USD at the tops: this separates two assets with
the same ticker, and the more liquid one defines the market. Such an exclusion is reported as EXCLUDED, and its end as
INCLUDED. All times are when a record was received here, so a wrong clock of an exchange has no effect.

The liquidity score is depth / (depth + ``DEEP``) x exp(-spread / ``WIDE``): depth is the sum of USD at the tops, spread
the mean relative spread. It is between 0 and 1, rises with depth and falls with the spread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import exp

from msgspec import Struct

from neuroflux.domain import (
    AggregatedPrice,
    BookSnapshot,
    Cause,
    ExchangeStatus,
    Microseconds,
    PriceSource,
    Quote,
    StatusKind,
    Trade,
)
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.conversion import Name

WINDOW: Microseconds = 60_000_000
BUCKET: Microseconds = 1_000_000
"""Trades are summed per second; the window is added up again each time, so that no rounding error accumulates."""
STALE: Microseconds = 10_000_000
EVERY: Microseconds = 200_000
"""A market's price is published at most this often, except when a quote is withdrawn."""
OUTLIER = 0.05
REMIND: Microseconds = 60_000_000
"""The report that an instrument is excluded is repeated after this time."""
DEEP = 1_000_000.0
WIDE = 0.001

Published = AggregatedPrice | ExchangeStatus


class _Source:
    """One instrument's last quote and its trades of the window, per unit of the base and in its own quote."""

    __slots__ = ("buckets", "excluded", "quote", "quote_cause", "trade_cause")

    def __init__(self) -> None:
        self.quote: Quote[float] | None = None
        self.quote_cause = Cause("", 0, 0)
        self.trade_cause = Cause("", 0, 0)
        self.buckets: deque[list[float]] = deque()  # [number, volume, notional]
        self.excluded: Microseconds = 0

    def traded(self, time: Microseconds, price: float, quantity: float) -> None:
        number = time // BUCKET
        at = len(self.buckets)
        while at and self.buckets[at - 1][0] > number:
            at -= 1
        if not at or self.buckets[at - 1][0] < number:
            self.buckets.insert(at, [number, 0.0, 0.0])
            at += 1
        self.buckets[at - 1][1] += quantity
        self.buckets[at - 1][2] += price * quantity

    def sums(self, since: Microseconds) -> tuple[float, float]:
        """Volume and notional of the trades since then; older ones are dropped."""
        while self.buckets and self.buckets[0][0] < since // BUCKET:
            self.buckets.popleft()
        return sum(one[1] for one in self.buckets), sum(one[2] for one in self.buckets)


class _Market:
    """A market's instruments, the newest time of any of its records, and when its price was last published."""

    __slots__ = ("given", "newest", "sources")

    def __init__(self) -> None:
        self.sources: dict[Name, _Source] = {}
        self.newest: Microseconds = 0
        self.given: Microseconds = 0

    def source(self, name: Name, received: Microseconds) -> _Source:
        self.newest = max(self.newest, received)
        source = self.sources.get(name)
        if source is None:
            source = self.sources[name] = _Source()
        return source


class _Weighed(Struct, frozen=True):
    """A source in USD: its price, its weights (volume, depth), and its relative spread."""

    name: Name
    price: float
    volume: float
    depth: float
    spread: float
    age: Microseconds
    causes: tuple[Cause, ...]


class Prices:
    """The state of the markets of some partitions; every result is a function of the records so far.

    A market's clock is the newest ``received_time`` of its records. Records must be sound: see soundness.py.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._markets: dict[str, _Market] = {}

    def trade(self, trade: Trade[float], cause: Cause) -> Sequence[Published]:
        """Take a trade; returns the market's price if it is due, after changes of what it excludes."""
        market = self._traded(trade, cause)
        return self._price_due(trade.market, market) if market is not None else ()

    def recall(self, tape: Sequence[tuple[Trade[float], Cause]]) -> None:
        """Replace the known trades of these markets by the recent ones in ``tape``; publishes nothing."""
        for name in {trade.market for trade, _ in tape}:
            for source in self._market(name).sources.values():
                source.buckets.clear()
        for trade, cause in tape:
            self._traded(trade, cause)

    def _traded(self, trade: Trade[float], cause: Cause) -> _Market | None:
        """None for an unknown instrument."""
        name = (trade.exchange, trade.symbol)
        instrument = self._reference.instrument(name)
        if instrument is None:
            return None
        market = self._market(trade.market)
        if trade.received_time - trade.event_time > WINDOW:
            return market
        source = market.source(name, trade.received_time)
        source.trade_cause = cause
        source.traded(trade.received_time, trade.price / instrument.multiplier, trade.quantity * instrument.multiplier)
        return market

    def quote(self, quote: Quote[float], cause: Cause) -> Sequence[Published]:
        """Take a quote; returns the market's price if it is due, after changes of what it excludes."""
        market = self._market(quote.market)
        source = market.source((quote.exchange, quote.symbol), quote.received_time)
        source.quote, source.quote_cause = quote, cause
        return self._price_due(quote.market, market)

    def withdraw(self, book: BookSnapshot[float]) -> Sequence[Published]:
        """Take a book with an empty side: the instrument's last quote is withdrawn, unless it is newer than the book.

        The market's price without it is returned at once, even if the last one was published less than ``EVERY`` ago.
        """
        market = self._market(book.market)
        source = market.source((book.exchange, book.symbol), book.received_time)
        quote = source.quote
        if quote is None or (quote.sequence, quote.event_time) > (book.sequence, book.event_time):
            return ()
        source.quote, market.given = None, 0
        return self._price_due(book.market, market)

    def _market(self, name: str) -> _Market:
        market = self._markets.get(name)
        if market is None:
            market = self._markets[name] = _Market()
        return market

    def _price_due(self, name: str, market: _Market) -> Sequence[Published]:
        if market.newest - market.given < EVERY:
            return ()
        weighed = [one for key, source in market.sources.items() if (one := self._weigh(key, source, market.newest))]
        if not weighed:
            return ()
        market.given = market.newest
        middle = _median(weighed)
        agreeing = [one for one in weighed if abs(one.price - middle) <= OUTLIER * middle]
        changes: list[Published] = []
        for one in weighed:
            changes += _inclusion_changes(one, market.sources[one.name], middle, market.newest, is_in=one in agreeing)
        return [*changes, _aggregate(name, agreeing, market.newest)]

    def _weigh(self, name: Name, source: _Source, now: Microseconds) -> _Weighed | None:
        """None if the source is stale, unknown, or has no rate."""
        quote, instrument = source.quote, self._reference.instrument(name)
        if quote is None or instrument is None or now - quote.received_time > STALE:
            return None
        rate = self._reference.rate(instrument.quote, now)
        if rate is None:
            return None
        volume, notional = source.sums(now - WINDOW)
        mid = (quote.bid_price + quote.ask_price) / 2
        price = notional / volume if volume > 0 else mid / instrument.multiplier
        depth = (quote.bid_size * quote.bid_price + quote.ask_size * quote.ask_price) * rate.mid
        spread, age = (quote.ask_price - quote.bid_price) / mid, now - quote.received_time
        traded = (source.trade_cause,) if volume > 0 else ()
        causes = (source.quote_cause, *traded, *self._reference.causes(instrument.quote))
        return _Weighed(name, price * rate.mid, volume, depth, spread, age, causes)


def _median(sources: Sequence[_Weighed]) -> float:
    """The lowest price such that sources at or below it hold half of the USD at the tops."""
    half, below = sum(one.depth for one in sources) / 2, 0.0
    for one in sorted(sources, key=lambda one: one.price):
        below += one.depth
        if below >= half:
            break
    return one.price


def _inclusion_changes(
    one: _Weighed, source: _Source, middle: float, now: Microseconds, *, is_in: bool
) -> Sequence[ExchangeStatus]:
    """The status to publish if a source newly agrees with the others (``is_in``), or newly does not."""
    if is_in:
        is_due, source.excluded = bool(source.excluded), 0
    elif is_due := now - source.excluded >= REMIND:
        source.excluded = now
    if not is_due:
        return ()
    exchange, symbol = one.name
    kind = StatusKind.INCLUDED if is_in else StatusKind.EXCLUDED
    detail = f"{symbol}: {one.price:.8g} USD, median of the market {middle:.8g}"
    return (ExchangeStatus(exchange, "prices", kind, 0.0, detail, now, symbol),)


def _aggregate(market: str, sources: Sequence[_Weighed], now: Microseconds) -> AggregatedPrice:
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
        tuple(dict.fromkeys(cause for one in sources for cause in one.causes)),
        now,
    )


def liquidity_score(depth: float, spread: float) -> float:
    """0 to 1; ``depth`` in USD, ``spread`` as a fraction."""
    return depth / (depth + DEEP) * exp(-max(spread, 0.0) / WIDE)
