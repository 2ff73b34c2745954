"""What an adapter makes of frames and answers: market and account events, further requests, and what it can't use."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from neuroflux.domain import (
    AccountTransfer,
    Balance,
    BookSnapshot,
    ExchangeStatus,
    Fill,
    Funding,
    Instrument,
    Microseconds,
    Numeral,
    OrderReport,
    Position,
    Quote,
    Trade,
)
from neuroflux.exchanges.kit.order_book import OrderBook
from neuroflux.exchanges.kit.requests import Request


class BookChanged(Struct, frozen=True):
    """A proved book after one update; ``book`` is the live one: read it before the next frame goes in."""

    exchange: str
    symbol: str
    market: str
    book: OrderBook
    sequence: int
    event_time: Microseconds
    received_time: Microseconds

    def snapshot(self, depth: int) -> BookSnapshot[Numeral]:
        return BookSnapshot(
            self.exchange,
            self.symbol,
            self.market,
            self.book.bids(depth),
            self.book.asks(depth),
            self.sequence,
            self.event_time,
            self.received_time,
        )


class SnapshotNeeded(Struct, frozen=True):
    """The wish for a REST snapshot of one book; the answer goes to ``Feed.answer``."""

    symbol: str
    request: Request


class PageNeeded(Struct, frozen=True):
    """The wish for the next page of a list longer than one answer; the answer goes where the first one went."""

    request: Request


class FeeRates(Struct, frozen=True):
    """What this account pays in one instrument, as fractions of the notional; a rebate is negative.

    Where an exchange takes less of what is paid in a token of its own, that is left out: it holds only while there is
    enough of the token.
    """

    symbol: str
    taker: Decimal
    maker: Decimal


class Ignored(Struct, frozen=True):
    """A message that is understood and not used: an acknowledgement, a heartbeat, another channel."""

    kind: str


class Undecodable(Struct, frozen=True):
    """A message that is not one of the exchange's, with the reason."""

    reason: str


class Hold(Struct, frozen=True):
    """The exchange said on a socket that nothing may be sent for so many seconds, by REST either."""

    seconds: float
    reason: str


MarketEvent = Quote[Numeral] | Trade[Numeral] | BookChanged | Funding[Numeral]

AccountEvent = Balance | Position | OrderReport | Fill | AccountTransfer

FeedEvent = (
    MarketEvent | AccountEvent | ExchangeStatus | FeeRates | SnapshotNeeded | PageNeeded | Hold | Ignored | Undecodable
)


class Listing(Struct, frozen=True):
    """What an exchange lists. ``faults`` has what was not taken and why: a row that can't be read, a kind not known."""

    instruments: tuple[Instrument, ...]
    faults: tuple[str, ...] = ()
