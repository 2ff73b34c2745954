"""Arbitrage signals: buying on one exchange and selling on another pays, net of all costs (engine/markets/crossing.py).

A record can change only the routes between its instrument and the other instruments of the market on other exchanges,
so only those are checked. Books must be fresh relative to the newest record of the market, and levels that a newer
quote has made obsolete are not walked. Two prices further apart than ``MAX_DIFFERENCE`` are two assets with the same
ticker, not an opportunity.

With a perpetual both positions stay open, and the profit is realised only when they are closed after the two prices
have converged. The estimated cost of that, by the current books, is the signal's ``exit_cost``, which its profit
excludes. Two spot trades leave no position open. Spot against perpetual is a basis trade, and marked as such. A route
is published again when its profit changed by ``CHANGED``, or when half of its lifetime is over.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from neuroflux.domain import (
    ArbitrageKind,
    ArbitrageSignal,
    BookSnapshot,
    Cause,
    Instrument,
    InstrumentKind,
    Level,
    Microseconds,
    Quote,
)
from neuroflux.engine.markets.comparable import Reference
from neuroflux.engine.markets.conversion import Name, Rate
from neuroflux.engine.markets.costs import closing_cost
from neuroflux.engine.markets.crossing import Leg, Taken, cross

CHANGED: Final = 0.2
MAX_DIFFERENCE: Final = 0.1
SMALL: Final = 1e-9
"""A quantity in units of the base that fits into the best level of any book; used for the cost of closing a unit."""


class Thresholds(Struct, frozen=True):
    """The conditions for a signal; money is in USD, profits are net of all costs.

    ``min_fraction`` is a fraction of the notional; ``max_age`` (of a book) and ``lifetime`` (of a signal) are in µs.
    """

    min_profit: float
    min_fraction: float
    max_age: Microseconds
    max_notional: float
    lifetime: Microseconds


def thresholds_of(config: Mapping[str, float]) -> Thresholds:
    """Read ``ARBITRAGE_THRESHOLDS``."""
    return Thresholds(
        config["min_profit_usd"],
        config["min_profit_fraction"],
        int(config["max_book_age_seconds"] * 1e6),
        config["max_notional_usd"],
        int(config["lifetime_seconds"] * 1e6),
    )


class _Place:
    """One instrument: its newest book and quote, their positions in Kafka, and what a unit costs and yields at the top.

    ``cost`` and ``gain`` are per unit of the base, with the taker fee, in the instrument's quote (``asset``): enough to
    reject most routes without walking the books. Both are 0 while the instrument can't be traded.
    """

    __slots__ = (
        "asset",
        "book",
        "book_cause",
        "cost",
        "exchange",
        "fee",
        "gain",
        "instrument",
        "mid",
        "multiplier",
        "name",
        "newer",
        "quote",
        "quote_cause",
        "received",
        "spot",
    )

    def __init__(self, name: Name) -> None:
        self.name, self.exchange = name, name[0]
        self.instrument: Instrument | None = None
        self.asset, self.spot, self.fee, self.multiplier = "", True, 0.0, 1.0
        self.book: BookSnapshot[float] | None = None
        self.quote: Quote[float] | None = None
        self.newer: Quote[float] | None = None
        """The quote, while it is newer than the book."""
        self.book_cause = self.quote_cause = Cause("", 0, 0)
        self.cost = self.gain = self.mid = 0.0
        self.received: Microseconds = 0

    def listed(self, instrument: Instrument | None) -> None:
        """Take the instrument's rules; unchanged rules cost nothing."""
        if instrument is not self.instrument and instrument is not None:
            self.asset, self.spot = instrument.quote, instrument.kind is InstrumentKind.SPOT
            self.fee, self.multiplier = float(instrument.taker_fee), float(instrument.multiplier)
        self.instrument = instrument

    def changed(self) -> None:
        """Recompute the top of the book."""
        book, quote = self.book, self.quote
        one = self.instrument
        if book is None or one is None or not one.active or one.closing_only:
            self.cost = self.gain = 0.0
            return
        bid, ask, self.received, self.newer = book.bids[0].price, book.asks[0].price, book.received_time, None
        if quote is not None and (quote.sequence, quote.event_time) > (book.sequence, book.event_time):
            bid, ask, self.newer = quote.bid_price, quote.ask_price, quote
            self.received = min(self.received, quote.received_time)
        self.mid = (bid + ask) / 2
        self.cost = ask * (1 + self.fee) / self.multiplier
        self.gain = bid * (1 - self.fee) / self.multiplier

    def asks(self, rate: Rate) -> Leg:
        """Best first, without levels that a newer quote has made obsolete."""
        levels: Sequence[Level[float]] = self.book.asks if self.book is not None else ()
        if (top := self.newer) is not None:
            price = top.ask_price
            levels = (Level(price, top.ask_size), *(one for one in levels if one.price > price))
        return Leg(levels, self.asset, rate, self.fee, self.multiplier)

    def bids(self, rate: Rate) -> Leg:
        """Best first, without levels that a newer quote has made obsolete."""
        levels: Sequence[Level[float]] = self.book.bids if self.book is not None else ()
        if (top := self.newer) is not None:
            price = top.bid_price
            levels = (Level(price, top.bid_size), *(one for one in levels if one.price < price))
        return Leg(levels, self.asset, rate, self.fee, self.multiplier)

    def causes(self) -> tuple[Cause, ...]:
        return (self.book_cause, self.quote_cause) if self.newer is not None else (self.book_cause,)


Priced = tuple[_Place, Rate]
"""A place, with the live USD rate of its quote."""


class _Market:
    """A market's places, and the newest time of any of its records."""

    __slots__ = ("name", "newest", "places")

    def __init__(self, name: str) -> None:
        self.name = name
        self.places: dict[Name, _Place] = {}
        self.newest: Microseconds = 0


class Arbitrage:
    """The state of the markets of some partitions; every result is a function of the records so far.

    A market's clock is the newest ``received_time`` of its records. Records must be sound: see soundness.py.
    """

    def __init__(self, reference: Reference, thresholds: Thresholds) -> None:
        self._reference, self._thresholds = reference, thresholds
        self._markets: dict[str, _Market] = {}
        self._published: dict[tuple[Name, Name], ArbitrageSignal] = {}

    def book(self, book: BookSnapshot[float], cause: Cause) -> Sequence[ArbitrageSignal]:
        """Take a book; returns the signals that it opens."""
        market, place = self._find(book.market, (book.exchange, book.symbol))
        place.book, place.book_cause = book, cause
        return self._look(market, place, book.received_time, cause)

    def quote(self, quote: Quote[float], cause: Cause) -> Sequence[ArbitrageSignal]:
        """Take a quote; returns the signals that it opens."""
        market, place = self._find(quote.market, (quote.exchange, quote.symbol))
        place.quote, place.quote_cause = quote, cause
        return self._look(market, place, quote.received_time, cause)

    def withdraw(self, book: BookSnapshot[float]) -> None:
        """Take a book with an empty side: its instrument is in no route until the next book."""
        _, place = self._find(book.market, (book.exchange, book.symbol))
        place.book = None
        place.changed()

    def _find(self, name: str, instrument: Name) -> tuple[_Market, _Place]:
        market = self._markets.get(name)
        if market is None:
            market = self._markets[name] = _Market(name)
        place = market.places.get(instrument)
        if place is None:
            place = market.places[instrument] = _Place(instrument)
        return market, place

    def _look(self, market: _Market, here: _Place, received: Microseconds, cause: Cause) -> Sequence[ArbitrageSignal]:
        market.newest = now = max(market.newest, received)
        here.listed(self._reference.instrument(here.name))
        here.changed()
        fresh = now - self._thresholds.max_age
        if not here.cost or here.received < fresh or (rate := self._reference.rate(here.asset, now)) is None:
            return ()
        found: list[ArbitrageSignal] = []
        cost, gain, exchange = here.cost * rate.mid, here.gain * rate.mid, here.exchange
        for there in market.places.values():
            if there.exchange == exchange or not there.cost or there.received < fresh:
                continue
            other = rate if there.asset == here.asset else self._reference.rate(there.asset, now)
            if other is None:
                continue
            if _may_pay(cost, there.gain * other.mid):
                found += self._route(market, (here, rate), (there, other), cause)
            elif _may_pay(there.cost * other.mid, gain):
                found += self._route(market, (there, other), (here, rate), cause)
        return found

    def _route(self, market: _Market, buy: Priced, sell: Priced, cause: Cause) -> Sequence[ArbitrageSignal]:
        """Walk the books of a route; returns its signal if it pays and is not already published."""
        back, bound = _way_back(buy, sell), self._thresholds
        exit_rate = back(SMALL) / SMALL if back else 0.0
        taken = cross(buy[0].asks(buy[1]), sell[0].bids(sell[1]), bound.max_notional, exit_rate)
        if taken is None or taken.net < (least := max(bound.min_profit, bound.min_fraction * taken.notional)):
            return ()
        exit_cost = back(taken.quantity) if back else 0.0
        net = taken.net - exit_cost
        if not net >= least:
            return ()
        route = buy[0].name, sell[0].name
        last = self._published.get(route)
        if last is not None and _is_current(net, market.newest + bound.lifetime // 2, last):
            return ()
        causes = self._causes(buy[0], sell[0], cause)
        signal = self._published[route] = _signal(market, buy[0], sell[0], taken, causes, exit_cost, bound.lifetime)
        return (signal,)

    def _causes(self, buy: _Place, sell: _Place, cause: Cause) -> tuple[Cause, ...]:
        """The records that the signal is based on, beginning with the one that opened it."""
        rates = self._reference.causes(buy.asset, sell.asset)
        return tuple(dict.fromkeys((cause, *buy.causes(), *sell.causes(), *rates)))


def _way_back(buy: Priced, sell: Priced) -> Callable[[float], float] | None:
    """A function from units of the base to the USD cost of closing them on both sides; None if no position is open."""
    if buy[0].spot and sell[0].spot:
        return None
    sides = [(*buy, buy[0].bids(buy[1]).levels), (*sell, sell[0].asks(sell[1]).levels)]

    def cost(quantity: float) -> float:
        return sum(
            closing_cost(place.instrument, place.mid, rate, levels, quantity)
            for place, rate, levels in sides
            if place.instrument is not None
        )

    return cost


def _may_pay(cost: float, gain: float) -> bool:
    """Whether two tops can pay at the mid rates, an upper bound for any route, and are of the same asset."""
    return cost < gain < cost * (1 + MAX_DIFFERENCE)


def _is_current(profit: float, soon: Microseconds, last: ArbitrageSignal) -> bool:
    """Whether the last signal is still accurate, and will not expire before ``soon``."""
    return soon < last.expires_at and abs(profit - last.expected_profit) <= CHANGED * last.expected_profit


def _signal(
    market: _Market,
    buy: _Place,
    sell: _Place,
    taken: Taken,
    causes: tuple[Cause, ...],
    exit_cost: float,
    lifetime: Microseconds,
) -> ArbitrageSignal:
    return ArbitrageSignal(
        _signal_id(market.name, buy.name, sell.name, causes[0]),
        market.name,
        _kind(buy, sell),
        *buy.name,
        taken.buy_price,
        *sell.name,
        taken.sell_price,
        taken.quantity,
        taken.gross,
        taken.fees,
        taken.conversion,
        taken.net - exit_cost,
        market.newest + lifetime,
        causes,
        market.newest,
        exit_cost,
    )


def _kind(buy: _Place, sell: _Place) -> ArbitrageKind:
    if buy.spot is not sell.spot:
        return ArbitrageKind.BASIS
    return ArbitrageKind.SPOT if buy.spot else ArbitrageKind.PERPETUAL


def _signal_id(market: str, buy: Name, sell: Name, cause: Cause) -> str:
    """The id is a function of the records: a signal that is computed again after a crash has the same id."""
    parts = (market, *buy, *sell, cause.topic, cause.partition, cause.offset)
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=16).hexdigest()
