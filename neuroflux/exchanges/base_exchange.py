"""What an exchange is to the rest: a feed, an account and a desk, each a pure machine of bytes in, frozen events out.

No adapter asks for I/O. What it wants done is an event (``SnapshotNeeded``) or a value (``Request``,
``Subscription``); the shells in producers/ and consumers/ do it and hand the answer back. Clock, nonces and keys are
arguments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Protocol

from msgspec import Struct

from neuroflux.book import OrderBook
from neuroflux.domain import (
    AccountTransfer,
    Balance,
    BookPicture,
    ExchangeStatus,
    Fill,
    Funding,
    Instrument,
    Microseconds,
    Numeral,
    OrderReport,
    OrderType,
    Position,
    Quote,
    Side,
    TimeInForce,
    Trade,
)


class Request(Struct, frozen=True):
    """An HTTP request, ready to be sent as it is; ``path`` begins with ``/`` and carries the query.

    ``weight`` is what the exchange counts against its rate limit. ``tag`` is handed back with the answer, so that an
    adapter knows what was asked (the symbol of a depth snapshot, the kind of query).
    """

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    weight: int = 1
    tag: str = ""


class Answer(Struct, frozen=True):
    """What came back for a request: the status, the body as it was, the headers in lower case.

    ``sent_at`` and ``received_at`` are times of our clock: when the request had been written to an open connection, and
    when the whole answer was there. Waiting for a turn or a connection lies before them. Each is 0 where not known.
    """

    request: Request
    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    sent_at: Microseconds = 0
    received_at: Microseconds = 0


class StreamKind(StrEnum):
    """What a stream of public data brings."""

    QUOTE = "quote"
    TRADE = "trade"
    BOOK = "book"
    FUNDING = "funding"


class Subscription(Struct, frozen=True):
    """One socket: where to connect (appended to the exchange's WebSocket address) and what to say first.

    ``streams`` names what it is to bring, a kind and a symbol each, so that one that stays silent is noticed though
    the others are lively; () where that is not watched.

    ``heartbeat`` is sent every ``heartbeat_seconds`` where the exchange wants application pings; 0 means none.
    ``quiet_seconds`` is how long this socket may bring no data at most before it counts as mute; one that ``is_steady``
    brings data all the time, and counts as mute sooner, by its own pace. Frames that begin with one of ``answers`` are
    no data: a heartbeat's, or that a subscription was taken.
    """

    path: str
    frames: tuple[bytes, ...] = ()
    heartbeat: bytes = b""
    heartbeat_seconds: float = 0.0
    quiet_seconds: float = 30.0
    is_steady: bool = False
    answers: tuple[bytes, ...] = ()
    streams: tuple[tuple[StreamKind, str], ...] = ()


class BookChanged(Struct, frozen=True):
    """A proved book after one update; ``book`` is the live one: read it before the next frame goes in."""

    exchange: str
    symbol: str
    market: str
    book: OrderBook
    sequence: int
    event_time: Microseconds
    received_time: Microseconds

    def picture(self, depth: int) -> BookPicture[Numeral]:
        return BookPicture(
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


class Ack(Struct, frozen=True):
    """The exchange took the order: definite."""

    report: OrderReport
    fills: tuple[Fill, ...] = ()


class Reject(Struct, frozen=True):
    """The exchange refused the order: definite, and on its list of definite rejects. ``code`` is the exchange's.

    ``is_untimely``: for its time alone, which was ahead of the exchange's clock or too long ago.
    """

    code: str
    reason: str
    is_untimely: bool = False


class InDoubt(Struct, frozen=True):
    """Nobody knows whether the order stands: a timeout, a 5xx, an answer that can't be read. Ask; never resend."""

    reason: str


UNREADABLE_ANSWER = "unreadable answer"
"""How the reason begins where an answer is none to an order, or can't be read without the request that it answers."""


class NotThere(Struct, frozen=True):
    """The exchange says that it has no such order."""

    reason: str


class Throttled(Struct, frozen=True):
    """Refused for its rate before anything was done; may be sent again after ``retry_after`` seconds.

    ``orders_only``: too many new orders, while anything else may be asked and cancelled. ``risk_only``: an overload
    during which the exchange still takes what reduces a position, cancels and queries.
    """

    retry_after: float
    reason: str
    orders_only: bool = False
    risk_only: bool = False


class OrderRate(Struct, frozen=True):
    """At most so many new orders of an account in any so many seconds."""

    most: int
    seconds: int


class Usage(Struct, frozen=True):
    """What an answer tells of the rate limits, whoever used them.

    The share of the weight, 0 to 1; the orders that count now, by the seconds of their ``OrderRate``; whether the
    answer refuses an order as one too many; and for how many seconds nothing at all may be sent, None where the answer
    does not ask us to wait.
    """

    weight: float = 0.0
    orders: Mapping[int, int] = {}
    is_full: bool = False
    wait: float | None = None


Outcome = Ack | Reject | InDoubt | NotThere | Throttled

MarketEvent = Quote[Numeral] | Trade[Numeral] | BookChanged | Funding[Numeral]
AccountEvent = Balance | Position | OrderReport | Fill | AccountTransfer
FeedEvent = (
    MarketEvent | AccountEvent | ExchangeStatus | FeeRates | SnapshotNeeded | PageNeeded | Hold | Ignored | Undecodable
)


class Keys(Struct, frozen=True):
    """Credentials of one account. Hyperliquid: ``key`` is the account's address, ``secret`` the agent's private key.

    ``subaccount`` is what trades where that is another account than the key's (Hyperliquid: its address); ``testnet``
    says that they are of the exchange's testnet, where that has signatures of its own.
    """

    key: str
    secret: str
    subaccount: str = ""
    testnet: bool = False

    def __repr__(self) -> str:
        return "Keys(***)"


class KeyQuestion(Struct, frozen=True):
    """The request by which an exchange tells what a key may do; ``at`` is the exchange whose address answers it."""

    at: str
    request: Request


class KeyRights(Struct, frozen=True):
    """Whether a key may withdraw, None where that is not known; ``detail`` says why, or what to change."""

    withdraws: bool | None
    detail: str


class Listing(Struct, frozen=True):
    """What an exchange lists. ``faults`` has what was not taken and why: a row that can't be read, a kind not known."""

    instruments: tuple[Instrument, ...]
    faults: tuple[str, ...] = ()


class Placement(Struct, frozen=True):
    """One order as it goes to one exchange: quantity and price already fit the instrument's rules."""

    instrument: Instrument
    client_order_id: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal
    time_in_force: TimeInForce
    reduce_only: bool = False


class Feed(Protocol):
    """Raw frames and answers in, events out; one for public data and one for an account's.

    Calls never raise for what a peer sent: what can't be read is one ``Undecodable``.
    """

    exchange: str

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        """Decode one WebSocket message; ``channel`` names the stream where the message itself does not."""
        ...

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        """Decode one REST answer (a depth snapshot, balances, fills since)."""
        ...

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Take instruments that are new or have changed; books and positions of the others stay as they are."""
        ...


class MarketFeed(Feed, Protocol):
    """Public data of the given instruments. Holds the books."""

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        """The sockets that bring quotes, trades, books and funding of these symbols."""
        ...

    def disconnected(self, subscription: Subscription) -> None:
        """Withdraw every book that came over this socket: nothing of it is proved any more."""
        ...


class AccountFeed(Feed, Protocol):
    """Private data of one account.

    ``pushes_whole``: what the stream pushes names every part of a balance or position. Where it leaves out parts
    (margins, unrealised profit), the stage asks for them after each change.
    """

    pushes_whole: bool

    def opening(self, now: Microseconds) -> Sequence[Request]:
        """Requests to make before the socket is opened (a listen key)."""
        ...

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """The sockets to open, after ``opening`` was answered; none where it was refused what they need."""
        ...

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Requests that tell what happened since then: balances, positions, open orders, fills.

        Their answers go to ``answer``. Made after every (re)connect, and regularly to reconcile. Together they name
        every balance and position there is: the stage publishes 0 for what they leave out.
        """
        ...

    def figures(self, now: Microseconds) -> Sequence[Request]:
        """The part of ``resync`` that tells every balance and position, and nothing else."""
        ...

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Requests that name what came to the account and left it since then; none where no answer could.

        Made after every (re)connect, at the start for the time that nothing ran, and regularly.
        """
        ...

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        """Requests that tell what the account pays in these instruments, or in more; ``answer`` gives ``FeeRates``."""
        ...

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        """Requests that keep the stream alive; made every 20 minutes. Often none.

        Where an answer says that it has ended, ``answer`` reports it DISCONNECTED, and the stream is opened anew.
        """
        ...


class Desk(Protocol):
    """Builds signed requests of one account and reads what came back. ``now`` makes timestamps and nonces.

    ``settled_after`` is how long after it was signed an order may still come to the book: an answer that there is no
    such order proves something only when it was asked for later.
    """

    exchange: str
    settled_after: Microseconds

    def place(self, placement: Placement, now: Microseconds) -> Request: ...

    def cancel(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        """Name the order by the exchange's id where that is given: its client id may have been changed by others."""
        ...

    def query(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        """Name the order likewise."""
        ...

    def open_orders(self, now: Microseconds) -> Request: ...

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request: ...

    def probe(self, now: Microseconds) -> Request:
        """A signed request that changes nothing, to learn whether the exchange takes these keys."""
        ...

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        """Set the leverage of a perpetual, on cross margin."""
        ...

    def refusal(self, answer: Answer) -> str:
        """Why the exchange did not do what ``probe`` or ``leverage`` asked for, "" where it did."""
        ...

    def client_order_id(self, order_id: str, leg: int, attempt: int) -> str:
        """Derive the id under which this attempt is known to the exchange; equal input gives an equal id."""
        ...

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to ``place``, ``cancel`` or ``query``."""
        ...

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded]:
        """Read the answer to ``open_orders`` or ``fills_since``; ``PageNeeded`` where the list goes on."""
        ...


class Exchange(Protocol):
    """One file, one exchange. The addresses are the real ones; settings override them.

    ``PRIVATE_WS_URL`` is where the account feed's sockets are; a setting for ``WS_URL`` moves both. ``TESTNET`` has the
    three addresses of the exchange's testnet, in their order.
    """

    ID: ClassVar[str]
    REST_URL: ClassVar[str]
    WS_URL: ClassVar[str]
    PRIVATE_WS_URL: ClassVar[str]
    TESTNET: ClassVar[tuple[str, str, str]]
    WEIGHT_PER_MINUTE: ClassVar[int]
    ORDER_RATES: ClassVar[tuple[OrderRate, ...]]

    def instruments_requests(self) -> Sequence[Request]: ...

    def listing(self, answers: Sequence[Answer]) -> Listing:
        """Read the answers to ``instruments_requests``. A bad row costs that row alone.

        Raises MalformedFrame for what is no list at all, and what a refused answer means.
        """
        ...

    def server_time_request(self) -> Request | None: ...

    def server_time(self, answer: Answer) -> Microseconds: ...

    def usage(self, answer: Answer) -> Usage:
        """What this answer tells of the rate limits, as they are used by all that call from this address."""
        ...

    def market_feed(self, instruments: Sequence[Instrument]) -> MarketFeed: ...

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> AccountFeed: ...

    def desk(self, keys: Keys, instruments: Sequence[Instrument]) -> Desk: ...

    def account_name(self, keys: Keys) -> str:
        """What a person knows the account by; nobody can act for it who reads this."""
        ...

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        """How to ask what a key may do; None where nobody is asked: the key itself tells it, or nobody does."""
        ...

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        """Read the answer to ``key_question``, None where there is no question.

        Raises UsageError for what is no key, and what a refused or malformed answer means.
        """
        ...
