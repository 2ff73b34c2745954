"""What an exchange is to the rest: a feed of market data, a feed of an account, and an order client. All are pure.

No adapter does I/O. What it wants done is an event (``SnapshotNeeded``) or a value (``Request``, ``Subscription``); the
shells in producers/ and consumers/ do it and hand the answer back. Clock, nonces and keys are arguments.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from neuroflux.domain import Fill, Instrument, Microseconds, OrderReport
from neuroflux.domain.outcomes import Outcome, Placement
from neuroflux.exchanges.kit.events import FeedEvent, Listing, PageNeeded
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


class OrderClient(Protocol):
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

    ``FACADE_NAME`` is the exchange in the façade, and the path at which the simulator serves it: exchanges with the
    same one are accounts of one company, and the name means all of them. ``PRIVATE_WS_URL`` is where the account feed's
    sockets are; a setting for ``WS_URL`` moves both. ``TESTNET`` has the three addresses of the exchange's testnet, in
    their order. ``BUCKETS`` are the limits that are counted apart from the weight per minute, by the names that
    ``Request.bucket`` has.
    """

    ID: ClassVar[str]
    FACADE_NAME: ClassVar[str]
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
        """What this answer tells of the rate limits, as they are used by all that call from this address."""
        ...

    def market_feed(self, instruments: Sequence[Instrument]) -> MarketFeed: ...

    def account_feed(self, keys: Keys, instruments: Sequence[Instrument]) -> AccountFeed: ...

    def order_client(self, keys: Keys, instruments: Sequence[Instrument]) -> OrderClient: ...

    def account_name(self, keys: Keys) -> str:
        """What a person knows the account by; nobody can act for it who reads this."""
        ...

    def subaccount_fault(self, subaccount: str, *, has_keys: bool) -> str:
        """Why a subaccount can't be used as it is configured, with keys of its own or without; "" where it can."""
        ...

    def key_question(self, keys: Keys, now: Microseconds) -> KeyQuestion | None:
        """How to ask what a key may do; None where nobody is asked: the key itself tells it, or nobody does."""
        ...

    def key_rights(self, keys: Keys, answer: Answer | None) -> KeyRights:
        """Read the answer to ``key_question``, None where there is no question.

        Raises UsageError for what is no key, and what a refused or malformed answer means.
        """
        ...
