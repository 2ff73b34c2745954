"""The fee rates of an account: requested at the start, regularly, and when a fill was charged a different rate.

The rates are published with ``exchange.instruments``, which every stage reads: the list of an exchange has the rates of
its lowest tier, and those of this account replace them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from decimal import Decimal
from math import inf

from neuroflux.domain import Fill, Instrument, Liquidity
from neuroflux.exchanges.kit.events import FeeRates
from neuroflux.records.sink import Sink
from neuroflux.records.topics import INSTRUMENTS
from producers.account_round import Answers
from producers.listings import Listings, paying
from producers.retries import is_set_within

AT_ONCE = 20
"""Instruments per round: for Binance each weighs as much as an account's balances."""
SECONDS = 300.0
AGAIN_SECONDS = 30.0
"""After a fill that was charged a different rate, a round without all answers, or while some were never requested."""
UNEQUAL = Decimal("0.05")
"""The fraction of a rate by which a fill's must differ: small amounts are rounded more."""
LEAST = Decimal("0.000002")


class FeesDue:
    """Which symbols to request, and when. Times are monotonic seconds, passed in."""

    def __init__(self) -> None:
        self._requested: dict[str, float] = {}
        self._due = -inf

    def wait(self, now: float) -> float:
        return self._due - now

    def begin(self, symbols: Iterable[str], now: float) -> Sequence[str]:
        """Those that were requested longest ago."""
        oldest = sorted(symbols, key=lambda symbol: self._requested.get(symbol, -inf))
        chosen, others = oldest[:AT_ONCE], oldest[AT_ONCE:]
        self._requested |= dict.fromkeys(chosen, now)
        self._due = now + (SECONDS if all(symbol in self._requested for symbol in others) else AGAIN_SECONDS)
        return chosen

    def failed(self, now: float) -> None:
        """Not every request was answered."""
        self._due = min(self._due, now + AGAIN_SECONDS)

    def changed(self, symbol: str, now: float) -> None:
        """Request this symbol soon, before the others."""
        self._due = min(self._due, max(now, self._requested.get(symbol, -inf) + AGAIN_SECONDS))
        self._requested[symbol] = -inf


class AccountFees:
    """The known rates. ``request`` requests those of symbols; ``markets`` are those that are followed, () for all."""

    def __init__(
        self,
        listings: Listings,
        request: Callable[[Sequence[str]], Awaitable[Answers]],
        sink: Sink,
        markets: Collection[str] = (),
    ) -> None:
        self._listings, self._request, self._sink, self._markets = listings, request, sink, markets
        self._rates: dict[str, FeeRates] = {}
        self._due, self._wake = FeesDue(), asyncio.Event()

    async def keep(self) -> None:
        """Request rates when they are due, until cancelled."""
        while True:
            self._wake.clear()
            if not await is_set_within(self._wake, self._due.wait(time.monotonic())):
                await self._read()

    async def _read(self) -> None:
        answers = await self._request(self._due.begin(self._followed(), time.monotonic()))
        if answers.partial:
            self._due.failed(time.monotonic())
        self._rates |= {one.symbol: one for one in answers.events if isinstance(one, FeeRates)}
        self._listings.learn(self.applied(self._listings.known()))

    def _followed(self) -> list[str]:
        known = (one for one in self._listings.known() if one.active)
        return [one.symbol for one in known if not self._markets or one.market in self._markets]

    def applied(self, instruments: Iterable[Instrument]) -> Sequence[Instrument]:
        """The same instruments with this account's rates; where these differ, the instrument is published."""
        return [self._published(one) for one in instruments]

    def _published(self, instrument: Instrument) -> Instrument:
        rates = self._rates.get(instrument.symbol)
        own = paying(instrument, rates.taker, rates.maker) if rates else instrument
        if own is not instrument:
            self._sink.publish(INSTRUMENTS, own)
        return own

    def charged(self, fill: Fill) -> None:
        """Request the rate again if a fill was charged another one."""
        instrument, known = self._listings.of(fill.symbol), self._rates.get(fill.symbol)
        paid = _rate_of(fill, instrument) if instrument else None
        if paid is None or known is None:
            return
        rate = known.maker if fill.liquidity is Liquidity.MAKER else known.taker
        if abs(paid - rate) > max(LEAST, abs(rate) * UNEQUAL):
            self._due.changed(fill.symbol, time.monotonic())
            self._wake.set()


def _rate_of(fill: Fill, instrument: Instrument) -> Decimal | None:
    """None if the fee was paid in a third asset, or there is nothing to compare it with."""
    value = {instrument.quote: fill.quantity * fill.price, instrument.base: fill.quantity}.get(fill.fee_asset)
    return fill.fee / value if value else None
