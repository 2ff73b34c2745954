"""Quotes, books and aggregated prices, compared with the exchanges' own tops of book."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import fsum

from neuroflux.cli.audit.accounts import Pair
from neuroflux.cli.audit.figures import Figure, Key, Value
from neuroflux.cli.audit.reading import Exchanges, Name, Reported
from neuroflux.domain import AggregatedPrice, Microseconds
from neuroflux.exchanges.kit.own_answers import OwnTop

MOVED = "between the exchange's answers before and after"
SUMMED = "1e-9 of it: sums of doubles"


def prices(reported: Reported, before: Exchanges, after: Exchanges) -> Iterator[Pair]:
    """Both sides of every quote and book of an instrument whose top was read before and after.

    Halted instruments are left out: they are not traded, and their stream may have missed the last change.
    """
    for name, instrument in reported.instruments.items():
        first, last = (_top(own, instrument.exchange, instrument.name) for own in (before, after))
        if instrument.active and first is not None and last is not None:
            yield from _published(reported, name, first, last, before[instrument.exchange].answered_at)
    for market, price in reported.prices.items():
        yield from _sums(market, price)
        yield from _against_books(reported, market, price, before, after)


def _top(own: Exchanges, exchange: str, name: str) -> OwnTop | None:
    return own[exchange].tops.get(name) if exchange in own else None


def _published(reported: Reported, name: Name, first: OwnTop, last: OwnTop, answered: Microseconds) -> Iterator[Pair]:
    quote, book = reported.quotes.get(name), reported.books.get(name)
    if quote is not None:
        times = quote.received_time, answered
        yield _key("bid", name, "market.quotes"), _moving(quote.bid_price, first.bid, last.bid, *times)
        yield _key("ask", name, "market.quotes"), _moving(quote.ask_price, first.ask, last.ask, *times)
    if book is not None and book.has_both_sides:
        times = book.received_time, answered
        yield _key("bid", name, "market.books"), _moving(book.bids[0].price, first.bid, last.bid, *times)
        yield _key("ask", name, "market.books"), _moving(book.asks[0].price, first.ask, last.ask, *times)


def _key(what: str, name: Name, source: str) -> Key:
    return Key(what, name[0], name[1], source)


def _moving(reported: float, before: Value, after: Value, as_of: Microseconds, answered: Microseconds) -> Figure:
    return Figure(Decimal(repr(reported)), before, after, why=MOVED, moves=True, as_of=as_of, answered=answered)


# ── aggregated prices ────────────────────────────────────────────────────────────────────────────────────────────


def _sums(market: str, price: AggregatedPrice) -> Iterator[Pair]:
    """The record against its own sources: their volume-weighted average, lowest and highest price."""
    whole = fsum(one.volume for one in price.sources)
    if whole > 0:
        average = fsum(one.price * one.volume for one in price.sources) / whole
        yield _sum("price", market, price.price, average)
    yield _sum("volume", market, price.volume, whole)
    yield _sum("low", market, price.low, min((one.price for one in price.sources), default=0.0))
    yield _sum("high", market, price.high, max((one.price for one in price.sources), default=0.0))


def _sum(what: str, market: str, reported: float, own: float) -> Pair:
    known = Decimal(repr(own))
    figure = Figure(Decimal(repr(reported)), known, known, abs(known) * Decimal("1e-9"), SUMMED)
    return Key(f"aggregated {what} of its sources", "all", market, "prices.aggregated"), figure


def _against_books(
    reported: Reported, market: str, price: AggregatedPrice, before: Exchanges, after: Exchanges
) -> Iterator[Pair]:
    """A minute's average price is within the exchanges' tops, or differs by at most the move of that minute."""
    tops = [top for own in (before, after) for top in _in_usd(reported, price, own)]
    if tops:
        moved = reported.ranges.get(market, Decimal(0))
        low, high = min(one.bid for one in tops), max(one.ask for one in tops)
        why = f"the tops differ by {high - low:f} USD, and quotes of its minute by {moved:f} USD"
        middle, half = (low + high) / 2, (high - low) / 2
        figure = Figure(Decimal(repr(price.price)), middle, middle, half + moved, why, moves=True)
        yield Key("aggregated price", "all", market, "prices.aggregated"), figure


def _in_usd(reported: Reported, price: AggregatedPrice, own: Exchanges) -> Iterator[OwnTop]:
    """The tops of its sources, per unit of the base."""
    for source in price.sources:
        instrument = reported.instruments.get((source.exchange, source.symbol))
        top = _top(own, source.exchange, instrument.name) if instrument else None
        rate = reported.rates.get(instrument.quote) if instrument else None
        if instrument is not None and top is not None and rate is not None:
            yield OwnTop(top.bid * rate / instrument.multiplier, top.ask * rate / instrument.multiplier)
