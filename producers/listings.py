"""The instruments of one exchange, from one reading of its list to the next: what changed, and what was delisted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from neuroflux.domain import Instrument
from neuroflux.exchanges.kit.events import Listing


class Listings:
    """By symbol. ``before`` are this exchange's instruments in the log.

    After the first list, fees are taken from the log only: it has the account's, a list those of the lowest tier.
    """

    def __init__(self, before: Iterable[Instrument] = ()) -> None:
        self._known = {one.symbol: one for one in before}
        self._was_read = False
        self.listed: Sequence[Instrument] = ()
        """The instruments of the last list."""

    def knows(self, symbol: str) -> bool:
        return symbol in self._known

    def known(self) -> Sequence[Instrument]:
        return list(self._known.values())

    def of(self, symbol: str) -> Instrument | None:
        return self._known.get(symbol)

    def name_of(self, symbol: str) -> str:
        """The exchange's own name; the symbol itself where it is not listed."""
        known = self._known.get(symbol)
        return known.name if known else symbol

    def read(self, listing: Listing) -> Sequence[Instrument]:
        """Take a complete list; returns what is new or changed, at first everything. What it omits is inactive.

        An empty list is ignored, and an instrument whose row could not be read does not count as omitted.
        """
        if not listing.instruments:
            return ()
        listed = [self._with_fees(one) for one in listing.instruments]
        changed = [one for one in listed if not self._was_read or self._known.get(one.symbol) != one]
        named = {one.symbol for one in listed}
        delisted = [
            replace(one, active=False)
            for one in self._known.values()
            if one.active and one.symbol not in named and not mentions(listing.faults, one.name)
        ]
        self._was_read, self.listed = True, listed
        return self.learn([*changed, *delisted])

    def learn(self, instruments: Sequence[Instrument]) -> Sequence[Instrument]:
        """Take instruments that another stage read; returns them."""
        self._known |= {one.symbol: one for one in instruments}
        return instruments

    def update(self, instrument: Instrument) -> bool:
        """Take a newer record of the log; returns whether the list must be read: it differs in more than fees."""
        before = self._known.get(instrument.symbol)
        if before is None:
            return True
        self._known[instrument.symbol] = instrument
        return paying(before, instrument.taker_fee, instrument.maker_fee) != instrument

    def _with_fees(self, instrument: Instrument) -> Instrument:
        known = self._known.get(instrument.symbol) if self._was_read else None
        return paying(instrument, known.taker_fee, known.maker_fee) if known else instrument

    def unknown(self, instruments: Iterable[Instrument]) -> Sequence[Instrument]:
        """The instruments that are new or differ from the known ones."""
        return [one for one in instruments if self._known.get(one.symbol) != one]


def paying(instrument: Instrument, taker: Decimal, maker: Decimal) -> Instrument:
    """The instrument with these fees; the same object if it has them already."""
    if (instrument.taker_fee, instrument.maker_fee) == (taker, maker):
        return instrument
    return replace(instrument, taker_fee=taker, maker_fee=maker)


def mentions(texts: Iterable[str], name: str) -> bool:
    """Whether one of the texts has this name as a word of its own."""
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
    return any(word.search(text) for text in texts)
