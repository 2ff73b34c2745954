"""Requests and answers over HTTP, subscriptions, credentials, and what answers say of rate limits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from msgspec import Struct

from neuroflux.domain import Microseconds, StreamKind


class Request(Struct, frozen=True):
    """An HTTP request, ready to be sent as it is; ``path`` begins with ``/`` and carries the query.

    ``weight`` is what the exchange counts against its rate limit, in the ``bucket`` of ``Exchange.BUCKETS`` that is
    named; "" is the weight per minute. ``tag`` is returned with the answer, so that an adapter knows what was requested
    (the symbol of a depth snapshot, the kind of query).

    ``is_never_refused``: the exchange counts it, and does not refuse it for what was counted, so that it need not wait
    for the limit of its bucket.

    ``sign`` is for an exchange that refuses a signature whose number is not above the last one of the key: it makes the
    request that is sent of this one, right before it is sent, and is called again where it is sent again. Its time is
    of our own clock, which all processes of a machine share, while each of them estimates the exchange's for itself.
    Such requests of one connection are sent one after the other. The answer has the request as it was before.
    """

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    weight: int = 1
    tag: str = ""
    bucket: str = ""
    is_never_refused: bool = False
    sign: Callable[[Request, Microseconds], Request] | None = None

    def signed(self, now: Microseconds) -> Request:
        """What is sent; ``now`` is a time of our own clock."""
        return self if self.sign is None else self.sign(self, now)


class Answer(Struct, frozen=True):
    """The answer to a request: the status, the raw body, the headers in lower case.

    ``sent_at`` and ``received_at`` are times of our clock: when the request had been written to an open connection, and
    when the whole answer was there. Waiting for the rate limit or a connection ends before. Each is 0 where not known.
    """

    request: Request
    status: int
    body: bytes
    headers: Mapping[str, str] = {}
    sent_at: Microseconds = 0
    received_at: Microseconds = 0


class Subscription(Struct, frozen=True):
    """One socket: where to connect (appended to the exchange's WebSocket address) and the frames to send first.

    ``streams`` names what it brings, a kind and a symbol each, so that a silent one is noticed while others are active;
    () where that is not watched.

    ``heartbeat`` is sent every ``heartbeat_seconds`` where the exchange requires application pings; 0 means none.
    ``quiet_seconds`` is how long this socket may bring no data before it counts as stalled; one that ``is_steady``
    brings data all the time, and counts as stalled sooner, by its own gaps. Frames that begin with one of ``answers``
    are no data: the answers to a heartbeat or a subscription.

    ``awaits``: where it is not empty, only the first frame is sent at once, a login, and the others when a frame that
    contains this text has arrived: an exchange may refuse subscriptions that it reads before it has checked the login.

    ``name`` is passed to the feed with each frame of this socket, where frames are numbered by the connection.

    ``resubscribes`` has, by symbol, the frames that end the subscription of its book and begin it again. A symbol that
    is not in it can be subscribed to again on a new connection only.
    """

    path: str
    frames: tuple[bytes, ...] = ()
    heartbeat: bytes = b""
    heartbeat_seconds: float = 0.0
    quiet_seconds: float = 30.0
    is_steady: bool = False
    answers: tuple[bytes, ...] = ()
    streams: tuple[tuple[StreamKind, str], ...] = ()
    resubscribes: Mapping[str, tuple[bytes, ...]] = {}
    name: str = ""
    awaits: bytes = b""

    @property
    def first(self) -> tuple[bytes, ...]:
        """The frames that are sent when the socket is opened."""
        return self.frames[:1] if self.awaits else self.frames

    @property
    def later(self) -> tuple[bytes, ...]:
        """The frames that are sent once ``awaits`` has arrived."""
        return self.frames[1:] if self.awaits else ()


class OrderRate(Struct, frozen=True):
    """At most so many new orders of an account in any so many seconds."""

    most: int
    seconds: int


class WeightRate(Struct, frozen=True):
    """At most so much weight in any so many seconds."""

    most: float
    seconds: float


class DecayingCounter(Struct, frozen=True):
    """A counter to which each request adds its weight, that must not exceed ``maximum``, and that falls by ``decay`` a
    second (Kraken)."""

    maximum: float
    decay: float


class EachInstrument(Struct, frozen=True):
    """A limit that each instrument has for itself. Its bucket is named by ``of_instrument``."""

    limit: WeightRate | DecayingCounter


Buckets = Mapping[str, WeightRate | DecayingCounter | EachInstrument]

ORDER_BUCKET: Final = "orders"
"""The bucket of new orders on an exchange that declares it; elsewhere they are counted in the weight per minute."""


def of_instrument(bucket: str, name: str) -> str:
    """The bucket of one instrument, by the exchange's name of it."""
    return f"{bucket} {name}"


def declared_as(bucket: str) -> str:
    """The name by which ``Exchange.BUCKETS`` has a bucket, of one instrument or of all."""
    return bucket.partition(" ")[0]


def order_bucket(buckets: Buckets, name: str) -> str:
    """The bucket in which a new order in this instrument is counted."""
    if isinstance(buckets.get(ORDER_BUCKET), EachInstrument):
        return of_instrument(ORDER_BUCKET, name)
    return ORDER_BUCKET if ORDER_BUCKET in buckets else ""


class Usage(Struct, frozen=True):
    """The use of the rate limits, by any caller, as an answer reports it.

    The share of the weight, 0 to 1; the orders that count now, by the seconds of their ``OrderRate``; whether the
    answer refuses an order as one too many; and for how many seconds nothing may be sent, None where the answer names
    no wait.
    """

    weight: float = 0.0
    orders: Mapping[int, int] = {}
    is_full: bool = False
    wait: float | None = None


class Keys(Struct, frozen=True):
    """Credentials of one account. Hyperliquid: ``key`` is the account's address, ``secret`` the agent's private key.

    ``subaccount`` is the account that trades, where it is not the key's own (Hyperliquid: its address); ``testnet``
    says that they are of the exchange's testnet, where that has signatures of its own. ``passphrase`` is the third part
    of a key on exchanges that have one (OKX), empty elsewhere.
    """

    key: str
    secret: str
    subaccount: str = ""
    testnet: bool = False
    passphrase: str = ""

    def __repr__(self) -> str:
        return "Keys(***)"


class KeyQuestion(Struct, frozen=True):
    """The request for the rights of a key; ``at`` is the exchange whose address answers it."""

    at: str
    request: Request


class KeyRights(Struct, frozen=True):
    """Whether a key may withdraw, None where that is not known; ``detail`` says why, or what to change."""

    withdraws: bool | None
    detail: str
