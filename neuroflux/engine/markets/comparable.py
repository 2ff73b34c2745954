"""What makes instruments comparable: their rules, and live rates of their quotes, with the records of both."""

from __future__ import annotations

from collections.abc import Iterable

from neuroflux.domain import Cause, Instrument, Microseconds, Quote
from neuroflux.engine.markets.conversion import Conversions, Name, Rate


class Reference:
    """The instruments and conversion rates that are known now."""

    def __init__(self, instruments: Iterable[Instrument] = ()) -> None:
        self._instruments = {(one.exchange, one.symbol): one for one in instruments}
        self._conversions = Conversions()
        self._causes: dict[Name, Cause] = {}

    def list(self, instrument: Instrument) -> None:
        self._instruments[(instrument.exchange, instrument.symbol)] = instrument

    def convert(self, quote: Quote[float], cause: Cause) -> None:
        """Take a quote of a conversion market, and its position in Kafka."""
        self._conversions.update(quote)
        self._causes[(quote.exchange, quote.symbol)] = cause

    def instrument(self, name: Name) -> Instrument | None:
        return self._instruments.get(name)

    def rate(self, asset: str, now: Microseconds) -> Rate | None:
        """USD for one unit of an asset; None without a fresh quote."""
        return self._conversions.to_usd(asset, now)

    def causes(self, *assets: str) -> tuple[Cause, ...]:
        """The records of the quotes that the rates of these assets are based on."""
        quotes = map(self._conversions.quoted_by, assets)
        return tuple(self._causes[name] for name in quotes if name is not None)
