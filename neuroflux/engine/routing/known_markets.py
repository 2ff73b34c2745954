"""The newest sound state of the markets: instruments, books, aggregated prices, and the USD rates of quote assets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from neuroflux.domain import AggregatedPrice, BookSnapshot, Cause, Instrument, Microseconds
from neuroflux.engine.markets.conversion import Conversions, Name, Rate, is_conversion_market, top_of
from neuroflux.engine.markets.soundness import as_received, flaw, flaw_of_instrument, flaw_of_price
from neuroflux.engine.routing.candidates import usd_rate


class KnownMarkets:
    """The ``_update`` methods return why a record is ignored, or ""; an ignored record changes nothing."""

    def __init__(self) -> None:
        self.books: dict[Name, tuple[BookSnapshot[float], Cause]] = {}
        self.prices: dict[str, AggregatedPrice] = {}
        """The aggregated price of each market."""
        self._instruments: dict[Name, Instrument] = {}
        self._called: dict[str, list[Instrument]] = {}
        self._listed: dict[str, Sequence[Instrument]] = {}
        self._conversions = Conversions()

    def _update_book(self, book: BookSnapshot[float], cause: Cause, written: Microseconds) -> str:
        """A book that lacks a side withdraws the previous one; an unsound book does not."""
        is_whole = book.has_both_sides
        if is_whole and (fault := flaw(book, written)):
            return fault
        book = as_received(book, written)
        self.books[(book.exchange, book.symbol)] = (book, cause)
        if is_whole and is_conversion_market(book.market):
            self._conversions.update(top_of(book))
        return ""

    def _update_price(self, price: AggregatedPrice, written: Microseconds) -> str:
        fault = flaw_of_price(price, written)
        if not fault:
            self.prices[price.market] = price
        return fault

    def _update_instrument(self, instrument: Instrument) -> str:
        name = (instrument.exchange, instrument.symbol)
        previous = self._instruments.get(name)
        fault = flaw_of_instrument(instrument)
        if fault or previous == instrument:
            return fault
        if previous is not None:
            self._called[previous.market] = _without(name, self._called[previous.market])
        for called in (instrument.symbol, instrument.market):
            self._called[called] = [*_without(name, self._called.get(called, ())), instrument]
        self._instruments[name] = instrument
        self._listed.pop(instrument.exchange, None)
        return ""

    @property
    def instruments(self) -> Collection[Instrument]:
        return self._instruments.values()

    def instrument(self, exchange: str, symbol: str) -> Instrument | None:
        return self._instruments.get((exchange, symbol))

    def called(self, name: str) -> Sequence[Instrument]:
        """The instruments of a market (``BTC/USD``), or of a symbol (``BTC/USDT``) on every exchange that lists it."""
        return self._called.get(name, [])

    def listed(self, exchange: str) -> Sequence[Instrument]:
        """The instruments of one exchange; the same object until one of them changes."""
        if exchange not in self._listed:
            self._listed[exchange] = tuple(one for one in self._instruments.values() if one.exchange == exchange)
        return self._listed[exchange]

    def rate(self, asset: str, now: Microseconds) -> Rate | None:
        """USD for one unit of an asset: a stablecoin's live rate, any other's aggregated price; None: no fresh one."""
        return usd_rate(asset, self._conversions, self.prices, now)


def _without(name: Name, instruments: Iterable[Instrument]) -> list[Instrument]:
    return [one for one in instruments if (one.exchange, one.symbol) != name]
