"""Live USD rates of the quote assets; a peg is never assumed.

The unit of account, written "USD" everywhere, is one USDC: among the quotes of these exchanges it is the one that is
redeemed at par, and one anchor is needed to add USDT to USDC at all. Every other asset, US dollars and euros of an
account too, converts at the live quote of its pair with the anchor, and not at all when that quote is stale.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

from msgspec import Struct

from neuroflux.domain import BookSnapshot, Microseconds, Quote
from neuroflux.domain.symbols import FIAT, USD_CLASS

ANCHOR = "USDC"
AT_PAR = frozenset({ANCHOR, "BNFCR"})
"""Valued at one USD per unit: the anchor, and the credits in which accounts settle that may not hold stablecoins.

Source: Binance, "Futures Credits Trading Mode": 1 BNFCR is 1 USD. It is not traded, so there is no quote of it.
"""
MAX_AGE: Microseconds = 30_000_000
"""Stablecoin pairs change slowly: a quote of half a minute ago is still valid."""

MAX_SPREAD = 0.1
"""Of a stablecoin's quote, as a fraction of its mid; a wider quote is not used as a rate."""
Name = tuple[str, str]
"""An instrument: exchange and symbol."""


class Rate(Struct, frozen=True, gc=False):
    """USD for one unit of an asset: the proceeds of selling it (``bid``) and the cost of buying it (``ask``)."""

    bid: float
    ask: float
    time: Microseconds

    @property
    def mid(self) -> float:
        return (self.bid + self.ask) / 2


def mids(rate: Callable[[str], Rate | None]) -> Callable[[str], float | None]:
    """A function from an asset to the mid of its rate, or to None without a rate."""

    def mid(asset: str) -> float | None:
        known = rate(asset)
        return known.mid if known is not None else None

    return mid


def is_conversion_market(market: str) -> bool:
    """Whether quotes of this market may give the rate of a quote asset: ``USDC/USD`` (USDC/USDT), ``USDC/EUR``."""
    base, _, quote = market.partition("/")
    return (base in USD_CLASS and quote in {"USD", *FIAT}) or (base in FIAT and quote == "USD")


def top_of(book: BookSnapshot[float]) -> Quote[float]:
    """The best bid and ask of a book that has both."""
    bid, ask = book.bids[0], book.asks[0]
    tops = (bid.price, bid.quantity, ask.price, ask.quantity)
    name = (book.exchange, book.symbol, book.market)
    return Quote(*name, *tops, book.sequence, book.event_time, book.received_time)


class _QuotedRate(Struct, frozen=True, gc=False):
    """The rate of a quote asset by one instrument, and the size at its top."""

    name: Name
    rate: Rate
    size: float


class Conversions:
    """The rate of each quote asset: the median of its instruments' rates, weighted by size, against thin markets."""

    def __init__(self) -> None:
        self._quoted: dict[str, dict[Name, _QuotedRate]] = defaultdict(dict)
        self._chosen: dict[str, _QuotedRate] = {}

    def update(self, quote: Quote[float]) -> None:
        """Take a quote of a conversion market; one that is crossed, empty or without the anchor is ignored."""
        base, _, counter = quote.symbol.partition("/")
        if not 0 < quote.bid_price < quote.ask_price or ANCHOR not in (base, counter):
            return
        asset, name = base if counter == ANCHOR else counter, (quote.exchange, quote.symbol)
        bid, ask = quote.bid_price, quote.ask_price
        if counter != ANCHOR:
            bid, ask = 1 / ask, 1 / bid
        self._quoted[asset].pop(name, None)
        if (ask - bid) * 2 <= MAX_SPREAD * (ask + bid):
            rate = Rate(bid, ask, quote.received_time)
            self._quoted[asset][name] = _QuotedRate(name, rate, min(quote.bid_size, quote.ask_size))
        self._choose(asset, quote.received_time)

    def _choose(self, asset: str, now: Microseconds) -> None:
        fresh = sorted(
            (one for one in self._quoted[asset].values() if now - one.rate.time <= MAX_AGE),
            key=lambda one: (one.rate.mid, one.name),
        )
        self._chosen.pop(asset, None)
        behind = sum(one.size for one in fresh) / 2
        for one in fresh:
            behind -= one.size
            if behind <= 0:
                self._chosen[asset] = one
                return

    def to_usd(self, asset: str, now: Microseconds) -> Rate | None:
        """The live rate; None without one that is newer than ``MAX_AGE``."""
        if asset in AT_PAR:
            return Rate(1.0, 1.0, now)
        known = self._chosen.get(asset)
        if known is not None and now - known.rate.time > MAX_AGE:
            self._choose(asset, now)
            known = self._chosen.get(asset)
        return known.rate if known is not None else None

    def quoted_by(self, asset: str) -> Name | None:
        """The instrument whose quote gives the rate: exchange and symbol."""
        known = self._chosen.get(asset)
        return known.name if known is not None else None
