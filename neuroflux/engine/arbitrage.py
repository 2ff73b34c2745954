"""Where one can buy in one place and sell in another, net of everything.

Both books are walked together, level by level, while the next unit still pays: what it brings at the bid, less the
taker fee and at the rate that selling the quote gives, against what it costs at the ask, with the taker fee and at the
rate that buying the quote costs. So ``expected_profit = gross_profit - fees - conversion_cost``, where gross is at the
middle rates, and conversion is what the rates' own spread takes.

Books must be fresh against the newest record seen, and what a fresher quote has overtaken is not walked. Spot against
perpetual is a basis trade: the same sum, but what it brings is only had when the two converge; it is marked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from neuroflux.domain import (
    ArbitrageKind,
    ArbitrageSignal,
    BookPicture,
    Cause,
    Instrument,
    InstrumentKind,
    Level,
    Microseconds,
    Quote,
)
from neuroflux.engine.comparable import Name, Reference
from neuroflux.engine.conversion import Rate
from neuroflux.exchanges.config import ARBITRAGE_THRESHOLDS

MIN_PROFIT: Final = ARBITRAGE_THRESHOLDS["min_profit_usd"]
MIN_FRACTION: Final = ARBITRAGE_THRESHOLDS["min_profit_fraction"]
MAX_AGE: Final[Microseconds] = int(ARBITRAGE_THRESHOLDS["max_book_age_seconds"] * 1e6)
MAX_NOTIONAL: Final = ARBITRAGE_THRESHOLDS["max_notional_usd"]
LIFETIME: Final[Microseconds] = int(ARBITRAGE_THRESHOLDS["lifetime_seconds"] * 1e6)
CHANGED: Final = 0.2
"""A signal is given again when its profit changed by this share, or half its life is over."""


class Place(Struct, frozen=True):
    """One instrument's book as it can be taken now, with its fees and rate."""

    instrument: Instrument
    bids: tuple[Level[float], ...]
    asks: tuple[Level[float], ...]
    rate: Rate
    received: Microseconds
    cause: Cause


class Taken(Struct, frozen=True):
    """What walking two books gave; quantity in units of the base, prices per unit of the wire, money in USD."""

    quantity: float
    buy_price: float
    sell_price: float
    gross: float
    fees: float
    conversion: float

    @property
    def net(self) -> float:
        return self.gross - self.fees - self.conversion


def cross(buy: Place, sell: Place, max_notional: float = MAX_NOTIONAL) -> Taken | None:
    """Buy at ``buy`` what can be sold at ``sell``, as far as each unit pays; None where none does."""
    asks, bids = iter(buy.asks), iter(sell.bids)
    ask, bid = next(asks, None), next(bids, None)
    ask_left = ask.quantity * buy.instrument.multiplier if ask else 0.0
    bid_left = bid.quantity * sell.instrument.multiplier if bid else 0.0
    quantity = paid = brought = 0.0
    while ask and bid and _unit_pays(buy, sell, ask.price, bid.price):
        cost = ask.price / buy.instrument.multiplier
        affordable = max_notional / buy.rate.mid - paid
        part = min(ask_left, bid_left, affordable / cost)
        quantity += part
        paid += part * cost
        brought += part * bid.price / sell.instrument.multiplier
        if part * cost >= affordable:
            break
        ask_left, bid_left = ask_left - part, bid_left - part
        if ask_left <= 0 and (ask := next(asks, None)):
            ask_left = ask.quantity * buy.instrument.multiplier
        if bid_left <= 0 and (bid := next(bids, None)):
            bid_left = bid.quantity * sell.instrument.multiplier
    return _sum(buy, sell, quantity, paid, brought) if quantity > 0 else None


def _unit_pays(buy: Place, sell: Place, ask: float, bid: float) -> bool:
    """Whether one more unit brings more than it costs; equal quotes need no conversion."""
    same = buy.instrument.quote == sell.instrument.quote
    buying, selling = (buy.rate.mid, sell.rate.mid) if same else (buy.rate.ask, sell.rate.bid)
    cost = ask / buy.instrument.multiplier * (1 + float(buy.instrument.taker_fee)) * buying
    gain = bid / sell.instrument.multiplier * (1 - float(sell.instrument.taker_fee)) * selling
    return gain > cost


def _sum(buy: Place, sell: Place, quantity: float, paid: float, brought: float) -> Taken:
    buy_fee, sell_fee = float(buy.instrument.taker_fee), float(sell.instrument.taker_fee)
    gross = brought * sell.rate.mid - paid * buy.rate.mid
    fees = paid * buy_fee * buy.rate.mid + brought * sell_fee * sell.rate.mid
    same = buy.instrument.quote == sell.instrument.quote
    spread = paid * (1 + buy_fee) * (buy.rate.ask - buy.rate.mid)
    spread += brought * (1 - sell_fee) * (sell.rate.mid - sell.rate.bid)
    buy_price = paid / quantity * buy.instrument.multiplier
    sell_price = brought / quantity * sell.instrument.multiplier
    return Taken(quantity, buy_price, sell_price, gross, fees, 0.0 if same else spread)


class _Known:
    """The newest book and quote of one instrument, with where they stood."""

    __slots__ = ("book", "book_cause", "quote", "quote_cause")

    def __init__(self) -> None:
        self.book: BookPicture[float] | None = None
        self.book_cause = Cause("", 0, 0)
        self.quote: Quote[float] | None = None
        self.quote_cause = Cause("", 0, 0)

    def sides(self) -> tuple[tuple[Level[float], ...], tuple[Level[float], ...], Microseconds, Cause] | None:
        """The book, without the levels that a fresher quote says are gone."""
        book, quote = self.book, self.quote
        if book is None:
            return None
        if quote is None or quote.event_time <= book.event_time:
            return book.bids, book.asks, book.received_time, self.book_cause
        bids = (Level(quote.bid_price, quote.bid_size), *(one for one in book.bids if one.price < quote.bid_price))
        asks = (Level(quote.ask_price, quote.ask_size), *(one for one in book.asks if one.price > quote.ask_price))
        return bids, asks, min(book.received_time, quote.received_time), self.quote_cause


class Arbitrage:
    """The state of the markets of one partition; every answer is a function of the records so far."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._markets: dict[str, dict[Name, _Known]] = {}
        self._given: dict[tuple[Name, Name], ArbitrageSignal] = {}
        self._newest: Microseconds = 0

    def book(self, book: BookPicture[float], cause: Cause) -> list[ArbitrageSignal]:
        """Take a book in; what it opens."""
        known = self._known(book.market, (book.exchange, book.symbol))
        known.book, known.book_cause = book, cause
        return self._look(book.market, (book.exchange, book.symbol), book.received_time, cause)

    def quote(self, quote: Quote[float], cause: Cause) -> list[ArbitrageSignal]:
        """Take a quote in; what it opens."""
        known = self._known(quote.market, (quote.exchange, quote.symbol))
        known.quote, known.quote_cause = quote, cause
        return self._look(quote.market, (quote.exchange, quote.symbol), quote.received_time, cause)

    def _known(self, market: str, name: Name) -> _Known:
        names = self._markets.setdefault(market, {})
        known = names.get(name)
        if known is None:
            known = names[name] = _Known()
        return known

    def _look(self, market: str, name: Name, received: Microseconds, cause: Cause) -> list[ArbitrageSignal]:
        self._newest = max(self._newest, received)
        here = self._place(name, self._markets[market][name])
        if here is None:
            return []
        others = list(self._others(market, name))
        routes = [(here, other) for other in others] + [(other, here) for other in others]
        return [signal for buy, sell in routes if (signal := self._signal(market, buy, sell, cause))]

    def _others(self, market: str, name: Name) -> Iterator[Place]:
        for other, known in self._markets[market].items():
            if other[0] != name[0] and (place := self._place(other, known)):
                yield place

    def _place(self, name: Name, known: _Known) -> Place | None:
        """None for what is unknown, stale, crossed or without a rate."""
        instrument, sides = self._reference.instrument(name), known.sides()
        if instrument is None or sides is None or self._newest - sides[2] > MAX_AGE:
            return None
        bids, asks, received, cause = sides
        rate = self._reference.rate(instrument, self._newest)
        if rate is None or not bids or not asks or bids[0].price >= asks[0].price:
            return None
        return Place(instrument, bids, asks, rate, received, cause)

    def _signal(self, market: str, buy: Place, sell: Place, cause: Cause) -> ArbitrageSignal | None:
        if not _unit_pays(buy, sell, buy.asks[0].price, sell.bids[0].price):
            return None
        taken = cross(buy, sell)
        if taken is None or not self._worth(taken, buy):
            return None
        signal = self._made(market, buy, sell, taken, cause)
        route = (_name(buy), _name(sell))
        if self._said(self._given.get(route), signal):
            return None
        self._given[route] = signal
        return signal

    def _worth(self, taken: Taken, buy: Place) -> bool:
        notional = taken.quantity * taken.buy_price / buy.instrument.multiplier * buy.rate.mid
        return taken.net >= MIN_PROFIT and taken.net >= MIN_FRACTION * notional

    def _said(self, last: ArbitrageSignal | None, signal: ArbitrageSignal) -> bool:
        if last is None or signal.event_time >= last.expires_at - LIFETIME // 2:
            return False
        return abs(signal.expected_profit - last.expected_profit) <= CHANGED * last.expected_profit

    def _made(self, market: str, buy: Place, sell: Place, taken: Taken, cause: Cause) -> ArbitrageSignal:
        return ArbitrageSignal(
            _signal_id(market, buy, sell, cause),
            market,
            _kind(buy.instrument, sell.instrument),
            *_name(buy),
            taken.buy_price,
            *_name(sell),
            taken.sell_price,
            taken.quantity,
            taken.gross,
            taken.fees,
            taken.conversion,
            taken.net,
            self._newest + LIFETIME,
            tuple(dict.fromkeys((buy.cause, sell.cause))),
            self._newest,
        )


def _name(place: Place) -> Name:
    return place.instrument.exchange, place.instrument.symbol


def _kind(buy: Instrument, sell: Instrument) -> ArbitrageKind:
    if buy.kind is not sell.kind:
        return ArbitrageKind.BASIS
    return ArbitrageKind.SPOT if buy.kind is InstrumentKind.SPOT else ArbitrageKind.PERPETUAL


def _signal_id(market: str, buy: Place, sell: Place, cause: Cause) -> str:
    """The same records give the same id: what a replay says again is the same signal."""
    parts: Iterable[object] = (market, *_name(buy), *_name(sell), cause.topic, cause.partition, cause.offset)
    return blake2b("/".join(map(str, parts)).encode(), digest_size=16).hexdigest()
