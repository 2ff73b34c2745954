"""Funding of perpetuals: the rate, the mark price and the price of the index are pushed apart, and put together here.

The rate applies at ``fundingTime``, and the interval after it ends at ``nextFundingTime``: 8, 4, 2 or 1 hours later.
Source: https://www.okx.com/docs-v5/en/#public-data-websocket-funding-rate-channel
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Funding, Microseconds
from neuroflux.exchanges.kit.books import Labels
from neuroflux.exchanges.kit.events import FeedEvent, Ignored
from neuroflux.exchanges.kit.feed import Route
from neuroflux.exchanges.kit.numerals import plain
from neuroflux.exchanges.okx.messages import Frame, each
from neuroflux.exchanges.okx.numbers import time_of
from neuroflux.exchanges.okx.rest import ID

HOUR: Final[Microseconds] = 3_600_000_000
LONGEST_HOURS: Final = 24
APART: Final[Microseconds] = 1_000_000
"""Prices are pushed up to ten times a second; one record a second has the news."""
SWAP: Final = "-SWAP"


class _Rate(Struct, frozen=True):
    instId: str
    fundingRate: str
    fundingTime: str
    ts: str
    nextFundingTime: str = ""


class _Mark(Struct, frozen=True):
    instId: str
    markPx: str
    ts: str


class _Index(Struct, frozen=True):
    instId: str
    idxPx: str
    ts: str


class _Due(Struct, frozen=True):
    rate: str
    time: Microseconds
    hours: int | None


class Fundings:
    """What was pushed last, by the name of the index: ``BTC-USDT`` of the perpetual ``BTC-USDT-SWAP``."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._due: dict[str, _Due] = {}
        self._marks: dict[str, str] = {}
        self._indices: dict[str, str] = {}
        self._reported: dict[str, Microseconds] = {}
        self.routes: Mapping[bytes, Route] = {
            b"funding-rate": (Decoder(Frame[_Rate]).decode, partial(each, self._rated)),
            b"mark-price": (Decoder(Frame[_Mark]).decode, partial(each, self._marked)),
            b"index-tickers": (Decoder(Frame[_Index]).decode, partial(each, self._indexed)),
        }

    def _rated(self, frame: Frame[_Rate], wire: _Rate, received: Microseconds) -> Sequence[FeedEvent]:
        """A new rate is reported at once."""
        _check(wire.fundingRate.removeprefix("-"))
        name, time = wire.instId.removesuffix(SWAP), time_of(wire.fundingTime)
        self._due[name] = _Due(wire.fundingRate, time, _hours(time_of(wire.nextFundingTime) - time))
        self._reported.pop(name, None)
        return self._report(name, time_of(wire.ts))

    def _marked(self, frame: Frame[_Mark], wire: _Mark, received: Microseconds) -> Sequence[FeedEvent]:
        _check(wire.markPx)
        if not wire.instId.endswith(SWAP):
            return (Ignored("mark-price"),)
        name = wire.instId.removesuffix(SWAP)
        self._marks[name] = wire.markPx
        return self._report(name, time_of(wire.ts))

    def _indexed(self, frame: Frame[_Index], wire: _Index, received: Microseconds) -> Sequence[FeedEvent]:
        _check(wire.idxPx)
        self._indices[wire.instId] = wire.idxPx
        return self._report(wire.instId, time_of(wire.ts))

    def _report(self, name: str, time: Microseconds) -> Sequence[FeedEvent]:
        """None while one of the three is not known yet."""
        due, mark, index = self._due.get(name), self._marks.get(name), self._indices.get(name)
        if due is None or mark is None or index is None:
            return (Ignored("funding that is not complete yet"),)
        if abs(time - self._reported.get(name, -APART)) < APART:
            return (Ignored("a price"),)
        self._reported[name] = time
        symbol, market = self._labels[name + SWAP]
        return (Funding(ID, symbol, market, due.rate, due.hours, mark, index, due.time, time),)


def _check(number: str) -> None:
    if not plain(number):
        raise ValueError(f"{number!r:.80} is no number")


def _hours(interval: Microseconds) -> int | None:
    hours, rest = divmod(interval, HOUR)
    return hours if 0 < hours <= LONGEST_HOURS and rest == 0 else None
