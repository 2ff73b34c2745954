"""Funding of the perpetuals: the topic ``tickers``, whose changes name only what changed.

Source: https://bybit-exchange.github.io/docs/v5/websocket/public/ticker
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from neuroflux.domain import Funding, Microseconds
from neuroflux.exchanges.bybit.messages import microseconds
from neuroflux.exchanges.bybit.names import ID
from neuroflux.exchanges.bybit.public_messages import Ticker, TickerFrame
from neuroflux.exchanges.kit.books import Labels
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.numerals import plain

_FIELDS: Final = ("fundingRate", "fundingIntervalHour", "nextFundingTime", "markPrice", "indexPrice")
_NEEDED: Final = ("fundingRate", "nextFundingTime", "markPrice", "indexPrice")
_PRICES: Final = frozenset({"markPrice", "indexPrice"})
PRICES_EACH_MS: Final = 1_000
"""Prices change with each frame, ten a second: where nothing else changed, they are published once a second."""


class Tickers:
    """The merged tickers of one category. Spot's name no funding."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._merged: dict[str, dict[str, str]] = {}
        self._published: dict[str, int] = {}

    def forget(self, names: Iterable[str]) -> None:
        """Their socket is lost: a snapshot comes first on the next one."""
        for name in names:
            self._merged.pop(name, None)

    def take(self, frame: TickerFrame, received: Microseconds) -> Sequence[FeedEvent]:
        """Raises ValueError for what is no number."""
        wire, changed = frame.data, _named(frame.data)
        if frame.type == "snapshot":
            self._merged[wire.symbol], self._published[wire.symbol] = {}, 0
        if not changed or wire.symbol not in self._merged:
            return (Ignored("tickers: nothing of funding"),)
        merged = self._merged[wire.symbol]
        merged.update(changed)
        if not all(merged.get(field) for field in _NEEDED):
            return (Ignored("tickers: no funding"),)
        if changed.keys() <= _PRICES and frame.ts - self._published[wire.symbol] < PRICES_EACH_MS:
            return (Ignored("tickers: prices"),)
        self._published[wire.symbol] = frame.ts
        return (self._funding(wire.symbol, merged, frame.ts * 1000),)

    def _funding(self, name: str, merged: dict[str, str], time: Microseconds) -> FeedEvent:
        rate, mark, index = merged["fundingRate"], merged["markPrice"], merged["indexPrice"]
        hours = merged.get("fundingIntervalHour", "")
        symbol, market = self._labels[name]
        due = microseconds(merged["nextFundingTime"])
        return Funding(ID, symbol, market, rate, int(hours) if hours else None, mark, index, due, time)


def _named(wire: Ticker) -> dict[str, str]:
    """The fields of funding that a frame has; raises ValueError for what is no number."""
    named = {field: text for field in _FIELDS if (text := getattr(wire, field)) is not None}
    numbers = [text.removeprefix("-") for text in named.values() if text]
    if numbers and not plain(*numbers):
        raise ValueError(f"tickers of {wire.symbol[:80]}: no numbers")
    hours = named.get("fundingIntervalHour", "")
    if hours and not (hours.isdecimal() and len(hours) < 4):
        raise ValueError(f"tickers of {wire.symbol[:80]}: an interval of {hours!r:.80}")
    microseconds(named.get("nextFundingTime", ""))
    return named
