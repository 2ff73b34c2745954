"""What makes instruments comparable: prices and sizes per unit of the base, and live rates of their quotes."""

from __future__ import annotations

from collections.abc import Iterable

from neuroflux.domain import Instrument, Microseconds, Quote
from neuroflux.engine.conversion import Conversions, Rate

Name = tuple[str, str]
"""An instrument: exchange and symbol."""


class Reference:
    """The instruments and conversion rates that are known now."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._instruments = {(one.exchange, one.symbol): one for one in instruments}
        self.conversions = Conversions()

    def list(self, instrument: Instrument) -> None:
        self._instruments[(instrument.exchange, instrument.symbol)] = instrument

    def convert(self, quote: Quote[float]) -> None:
        self.conversions.update(quote)

    def instrument(self, name: Name) -> Instrument | None:
        return self._instruments.get(name)

    def rate(self, instrument: Instrument, now: Microseconds) -> Rate | None:
        """USD for one unit of the instrument's quote."""
        return self.conversions.to_usd(instrument.quote, now)
