"""Live rates between the quotes of one class; a peg is never assumed.

The unit of account, written "USD" everywhere, is measured in USDC: of what the exchanges here trade against it is the
one that redeems at par, and one anchor is needed to add USDT to USDC at all. Every other asset converts at the live
quote of its pair with the anchor, and not at all when that quote is stale.
"""

from __future__ import annotations

from msgspec import Struct

from neuroflux.domain import BookPicture, Microseconds, Quote
from neuroflux.exchanges.markets import USD_CLASS

ANCHOR = "USDC"
AT_PAR = frozenset({ANCHOR, "BNFCR"})
"""Counted at one USD a unit: the anchor, and the credits in which an account settles that may hold no stablecoin.

Source: Binance, "Futures Credits Trading Mode": 1 BNFCR is 1 USD, and is not traded, so that no quote says so.
"""
MAX_AGE: Microseconds = 30_000_000
"""A stablecoin pair is quiet; an unchanged quote of half a minute still holds."""


class Rate(Struct, frozen=True, gc=False):
    """USD for one unit of an asset: what selling it brings (``bid``) and what buying it costs (``ask``)."""

    bid: float
    ask: float
    time: Microseconds

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2


def is_conversion_market(market: str) -> bool:
    """Whether quotes of this market tell what a quote asset is worth: ``USDC/USD`` (USDC/USDT), ``FDUSD/USD``."""
    base, _, quote = market.partition("/")
    return base in USD_CLASS and quote == "USD"


def top_of(book: BookPicture[float]) -> Quote[float]:
    """The best bid and ask of a book that has both."""
    bid, ask = book.bids[0], book.asks[0]
    tops = (bid.price, bid.quantity, ask.price, ask.quantity)
    name = (book.exchange, book.symbol, book.market)
    return Quote(*name, *tops, book.sequence, book.event_time, book.received_time)


class Conversions:
    """The newest rate of each quote asset."""

    def __init__(self) -> None:
        self._rates: dict[str, Rate] = {}

    def update(self, quote: Quote[float]) -> None:
        """Take in a quote of a conversion market; one that is crossed, empty or without the anchor is passed over."""
        base, _, counter = quote.symbol.partition("/")
        if not 0 < quote.bid_price < quote.ask_price:
            return
        if counter == ANCHOR:
            self._rates[base] = Rate(quote.bid_price, quote.ask_price, quote.received_time)
        elif base == ANCHOR:
            self._rates[counter] = Rate(1 / quote.ask_price, 1 / quote.bid_price, quote.received_time)

    def to_usd(self, asset: str, now: Microseconds) -> Rate | None:
        """The live rate, or None where there is none, or only one older than ``MAX_AGE``."""
        if asset in AT_PAR:
            return Rate(1.0, 1.0, now)
        rate = self._rates.get(asset)
        return rate if rate is not None and now - rate.time <= MAX_AGE else None
