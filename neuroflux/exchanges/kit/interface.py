"""What an exchange is to the rest: a feed of market data, a feed of an account, and an order client. All are pure.

No adapter does I/O. It returns requests as events (``SnapshotNeeded``) or values (``Request``, ``Subscription``); the
shells in producers/ and consumers/ send them and pass the answers back. Clock, nonces and keys are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from neuroflux.domain import Fill, Instrument, Microseconds, OrderReport
from neuroflux.domain.outcomes import Outcome, Placement
from neuroflux.exchanges.kit.events import FeedEvent, Listing, PageNeeded, Undecodable
from neuroflux.exchanges.kit.requests import (
    Answer,
    Buckets,
    KeyQuestion,
    KeyRights,
    Keys,
    OrderRate,
    Request,
    Subscription,
    Usage,
)


class Feed(Protocol):
    """Raw frames and answers in, events out; one for public data and one for an account's.

    Calls never raise for what a peer sent: what can't be read is one ``Undecodable``.
    """

    exchange: str

    def frame(self, raw: bytes | str, received_time: Microseconds, channel: str = "") -> Sequence[FeedEvent]:
        """Decode one WebSocket message; ``channel`` names the stream or the socket where the message does not."""
        ...

    def answer(self, answer: Answer, received_time: Microseconds) -> Sequence[FeedEvent]:
        """Decode one REST answer (a depth snapshot, balances, fills since)."""
        ...

    def learn(self, instruments: Sequence[Instrument]) -> None:
        """Add instruments that are new or have changed; books and positions of the others are kept."""
        ...


class MarketFeed(Feed, Protocol):
    """Public data of the given instruments. Holds the books."""

    def subscriptions(self, symbols: Sequence[str]) -> Sequence[Subscription]:
        """The sockets with quotes, trades, books and funding of these symbols."""
        ...

    def disconnected(self, subscription: Subscription) -> None:
        """Withdraw every book of this socket: nothing of it is proved any more."""
        ...


class AccountFeed(Feed, Protocol):
    """Private data of one account.

    ``pushes_whole``: the stream sends every part of a balance or position. Where it leaves out parts (margins,
    unrealised profit), the stage requests them after each change. ``pushes_figures``: it sends any part of them; where
    it sends none, a figure that changed without a push is no difference.
    """

    pushes_whole: bool
    pushes_figures: bool

    def opening(self, now: Microseconds) -> Sequence[Request]:
        """Requests to make before the socket is opened (a listen key)."""
        ...

    def subscriptions(self, now: Microseconds) -> Sequence[Subscription]:
        """The sockets to open, after ``opening`` was answered; none where its answer lacks what they need."""
        ...

    def resync(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Requests for everything since then: balances, positions, open orders, fills.

        Their answers go to ``answer``. Made after every (re)connect, and regularly to reconcile. Together they name
        every balance and position of the account: the stage publishes 0 for what they leave out.
        """
        ...

    def figures(self, now: Microseconds) -> Sequence[Request]:
        """The part of ``resync`` that names every balance and position, and nothing else."""
        ...

    def transfers(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """Requests for deposits, withdrawals and transfers since then; none where the exchange answers no such request.

        Made after every (re)connect, at the start for the time since the last run, and regularly.
        """
        ...

    def fees(self, symbols: Sequence[str], now: Microseconds) -> Sequence[Request]:
        """Requests for the fees of the account in these instruments, or in more; ``answer`` returns ``FeeRates``."""
        ...

    def keep_alive(self, now: Microseconds) -> Sequence[Request]:
        """Requests that keep the stream alive; made every 20 minutes. Often none.

        Where an answer says that the stream has ended, ``answer`` reports it DISCONNECTED, and it is opened again.
        """
        ...


class OrderClient(Protocol):
    """Builds signed requests of one account and reads the answers. ``now`` makes timestamps and nonces.

    ``settled_after`` is how long after it was signed an order may still reach the book: an answer that there is no such
    order is proof only where the query was sent later. ``finds_by_number``: the exchange finds an order by its own id,
    and has to be searched for a client id. ``remembers_ended``: it finds an order long after it has ended, so that one
    that it does not find has no fills. ``reads_lists``: its limits are too low for one query per order: ``statuses``
    has the orders, and ``fills_since`` the fills of every instrument.
    """

    exchange: str
    settled_after: Microseconds
    finds_by_number: bool
    remembers_ended: bool
    reads_lists: bool

    def place(self, placement: Placement, now: Microseconds) -> Request: ...

    def cancel(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        """Name the order by the exchange's id where that is known: another client may have changed its client id."""
        ...

    def query(
        self, instrument: Instrument, client_order_id: str, now: Microseconds, exchange_order_id: str = ""
    ) -> Request:
        """Name the order as ``cancel`` does. Where ``reads_lists``, it is for an order that they did not find."""
        ...

    def open_orders(self, now: Microseconds) -> Request: ...

    def statuses(self, since: Microseconds, now: Microseconds) -> Sequence[Request]:
        """The lists that together have every order which is open or has ended since then, the open ones first.

        None where orders are queried one by one. ``reports`` reads them.
        """
        ...

    def fills_since(self, instrument: Instrument, since: Microseconds, now: Microseconds) -> Request: ...

    def probe(self, now: Microseconds) -> Request:
        """A signed request that changes nothing, to test whether the exchange accepts these keys."""
        ...

    def leverage(self, instrument: Instrument, leverage: int, now: Microseconds) -> Request:
        """Set the leverage of a perpetual, on cross margin."""
        ...

    def refusal(self, answer: Answer) -> str:
        """Why the exchange refused ``probe`` or ``leverage``, "" where it did not."""
        ...

    def client_order_id(self, order_id: str, leg: int, attempt: int) -> str:
        """Derive the client id of this attempt; equal input gives an equal id."""
        ...

    def outcome(self, answer: Answer) -> Outcome:
        """Read the answer to ``place``, ``cancel`` or ``query``."""
        ...

    def reports(self, answer: Answer) -> Sequence[OrderReport | Fill | PageNeeded | Undecodable]:
        """Read the answer to ``open_orders``, ``statuses`` or ``fills_since``.

        ``PageNeeded`` where the list goes on, and one ``Undecodable`` for each row that can't be read.
        """
        ...


class Exchange(Protocol):
    """One exchange. The addresses are those of production; settings override them.

    ``PRIVATE_WS_URL`` is where the account feed's sockets are; a setting for ``WS_URL`` moves both. ``TESTNET`` has the
    three addresses of the exchange's testnet, in their order, each "" where it has none. ``BUCKETS`` are the limits
    that are counted apart from the weight per minute, by the names that ``Request.bucket`` has.
    """

    ID: ClassVar[str]
    REST_URL: ClassVar[str]
    WS_URL: ClassVar[str]
    PRIVATE_WS_URL: ClassVar[str]
    TESTNET: ClassVar[tuple[str, str, str]]
    WEIGHT_PER_MINUTE: ClassVar[int]
    BUCKETS: ClassVar[Buckets]
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
        """The use of the rate limits by all callers from this address, as far as this answer says it."""
        ...

    def is_overtaken(self, answer: Answer) -> bool:
        """Whether a signed request was refused only because one that was signed later was there before.

        It must be a refusal at the gate, with nothing done: the same request is signed anew and sent again.
        """
        ...

    def market_feed(self, instruments: Sequence[Instrument]) -> MarketFeed: ...

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> AccountFeed: ...

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> OrderClient: ...

    def account_name(self, keys: Keys) -> str:
        """A name for people, from which no credentials can be derived."""
        ...

    def subaccount_fault(self, subaccount: str, *, has_keys: bool) -> str:
        """Why a subaccount can't be used as it is configured, with keys of its own or without; "" where it can."""
        ...

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        """The request for the rights of a key; None where the key itself shows them, or nothing does."""
        ...

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        """Read the answer to ``key_question``, None where there is no question.

        Raises UsageError for what is no key, and what a refused or malformed answer means.
        """
        ...
