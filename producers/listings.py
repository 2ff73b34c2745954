"""What one exchange lists, from one reading of its list to the next: what changed, and what is gone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from msgspec.structs import replace

from neuroflux.domain import Instrument
from neuroflux.exchanges.kit.events import Listing


class Listings:
    """By symbol. ``before`` is what the log has of this exchange.

    Fees are another's to tell once the first list was read: a list has the lowest tier's, the log has the account's.
    """

    def __init__(self, before: Iterable[Instrument] = ()) -> None:
        self._known = {one.symbol: one for one in before}
        self._was_read = False
        self.listed: Sequence[Instrument] = ()
        """What the last list had."""

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
        """Take a whole list; what is new or changed, at first everything. What it leaves out is not active any more.

        A list of nothing is none, and what a row said that could not be read is not left out.
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
        """Take what somebody else read; returns it."""
        self._known |= {one.symbol: one for one in instruments}
        return instruments

    def update(self, instrument: Instrument) -> bool:
        """Take what the log has now of what is known; whether it is news, other fees aside, and the list to be read."""
        before = self._known.get(instrument.symbol)
        if before is None:
            return True
        self._known[instrument.symbol] = instrument
        return paying(before, instrument.taker_fee, instrument.maker_fee) != instrument

    def _with_fees(self, instrument: Instrument) -> Instrument:
        known = self._known.get(instrument.symbol) if self._was_read else None
        return paying(instrument, known.taker_fee, known.maker_fee) if known else instrument

    def unknown(self, instruments: Iterable[Instrument]) -> Sequence[Instrument]:
        """Those that are not known as they are."""
        return [one for one in instruments if self._known.get(one.symbol) != one]


def paying(instrument: Instrument, taker: Decimal, maker: Decimal) -> Instrument:
    """The same with these fees; the very same where it has them."""
    if (instrument.taker_fee, instrument.maker_fee) == (taker, maker):
        return instrument
    return replace(instrument, taker_fee=taker, maker_fee=maker)


def mentions(texts: Iterable[str], name: str) -> bool:
    """Whether one of the texts has this name as a word of its own."""
    word = re.compile(rf"(?<![A-Za-z0-9]){re.escape(name)}(?![A-Za-z0-9])")
    return any(word.search(text) for text in texts)
