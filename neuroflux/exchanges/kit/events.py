"""What an adapter returns for frames and answers: market and account events, further requests, and faults."""

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
    """A proved book after one update; ``book`` is the live one: read it before the next frame is decoded."""

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
    """A request for a REST snapshot of one book; the answer goes to ``Feed.answer``."""

    symbol: str
    request: Request


class Resubscribe(Struct, frozen=True):
    """A book whose snapshot is sent on subscription only must be subscribed to again, on the socket of this frame."""

    symbol: str
    reason: str


class PageNeeded(Struct, frozen=True):
    """A request for the next page of a list longer than one answer; the answer goes where the first one went."""

    request: Request


class FeeRates(Struct, frozen=True):
    """What this account pays in one instrument, as fractions of the notional; a rebate is negative.

    A discount for paying in the exchange's own token is left out: it holds only while the account has enough of it.
    """

    symbol: str
    taker: Decimal
    maker: Decimal


class Ignored(Struct, frozen=True):
    """A message that is understood and not used: an acknowledgement, a heartbeat, another channel."""

    kind: str


class Undecodable(Struct, frozen=True):
    """A message that can't be read as one of the exchange's, with the reason."""

    reason: str


class Hold(Struct, frozen=True):
    """A message on a socket forbids all requests for ``seconds``, those by REST too."""

    seconds: float
    reason: str


MarketEvent = Quote[Numeral] | Trade[Numeral] | BookChanged | Funding[Numeral]

AccountEvent = Balance | Position | OrderReport | Fill | AccountTransfer

FeedEvent = (
    MarketEvent
    | AccountEvent
    | ExchangeStatus
    | FeeRates
    | SnapshotNeeded
    | Resubscribe
    | PageNeeded
    | Hold
    | Ignored
    | Undecodable
)


class Listing(Struct, frozen=True):
    """What an exchange lists. ``faults`` names what was left out and why: an unreadable row, an unknown kind."""

    instruments: tuple[Instrument, ...]
    faults: tuple[str, ...] = ()
