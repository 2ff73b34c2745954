"""Binance's messages, spot and USDⓈ-M, as types: only the fields that are used; unknown keys are ignored.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures. Times are ms, or µs where that was requested.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Final, Generic, TypeVar

from msgspec import UNSET, Meta, Raw, Struct, UnsetType
from msgspec.json import Decoder

from neuroflux.domain import Microseconds, Numeral, OrderState
from neuroflux.exchanges.kit.numerals import Long

Time = Annotated[int, Meta(ge=0, le=2**63 - 1)]

_FIRST_MICROSECOND: Final = 100_000_000_000_000
"""A time at or above this is in µs: as ms it would be in the year 5138."""


def microseconds(time: int) -> Microseconds:
    return time if time >= _FIRST_MICROSECOND else time * 1000


class Head(Struct, frozen=True):
    """The fields that identify a message. ``e`` is the kind; an envelope has ``stream`` or ``event``, a reply ``id``.

    ``st`` is the product of futures, since 2026-06-30: 1 USDⓈ-M, 2 COIN-M. Source:
    https://developers.binance.com/docs/derivatives/coin-margined-futures ("Architecture Integration").
    """

    e: str = ""
    stream: str = ""
    data: Raw | UnsetType = UNSET
    event: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    code: Raw | UnsetType = UNSET
    msg: Raw | UnsetType = UNSET
    lastUpdateId: Raw | UnsetType = UNSET
    u: Raw | UnsetType = UNSET
    B: Raw | UnsetType = UNSET
    st: Raw | UnsetType = UNSET


_HEAD: Final = Decoder(Head)


def opened(raw: bytes) -> tuple[bytes | Raw, Head]:
    """A private message and its head; the WebSocket API wraps it in ``event``, a combined stream in ``data``."""
    head = _HEAD.decode(raw)
    inner = head.event if head.event is not UNSET else head.data
    return (raw, head) if inner is UNSET else (inner, _HEAD.decode(inner))


class BookTicker(Struct, frozen=True, gc=False):
    """Best bid and ask. Spot has neither ``e`` nor a time."""

    u: Long
    s: str
    b: Numeral
    B: Numeral
    a: Numeral
    A: Numeral
    T: Time = 0


class Tape(Struct, frozen=True, gc=False):
    """``trade``: ``m`` means that the buyer was the maker, so the aggressor sold. ``X`` is USDⓈ-M's kind of trade."""

    s: str
    t: Long
    p: Numeral
    q: Numeral
    T: Time
    m: bool
    X: str = "MARKET"


W = TypeVar("W")


class Enveloped(Struct, Generic[W], frozen=True, gc=False):
    """A message of a combined stream, whose name gives its kind."""

    data: W


Changes = list[tuple[Numeral, Numeral]]


class DepthUpdate(
    Struct,
    frozen=True,
    rename={"name": "s", "first": "U", "last": "u", "bids": "b", "asks": "a", "event_time": "E", "previous": "pu"},
):
    """Implements ``Update``: first and last update id, and on USDⓈ-M the last one of the message before (``pu``)."""

    name: str
    first: Long
    last: Long
    bids: Changes
    asks: Changes
    event_time: Time
    previous: Long = -1

    @property
    def time(self) -> Microseconds:
        time = self.event_time
        return time if time >= _FIRST_MICROSECOND else time * 1000


class DepthSnapshot(Struct, frozen=True):
    lastUpdateId: Long
    bids: Changes
    asks: Changes


class MarkPriceUpdate(Struct, frozen=True, gc=False):
    """``r`` is the funding rate, empty for dated futures; ``i`` the index, ``T`` the next funding time."""

    E: Time
    s: str
    p: Numeral
    i: Numeral
    r: Numeral
    T: Time


class FundingInterval(Struct, frozen=True):
    """A row of ``fundingInfo``, which names the symbols that are not paid every 8 hours."""

    symbol: str
    fundingIntervalHours: Annotated[int, Meta(ge=1, le=24 * 365)]


STATES: Final = {
    "NEW": OrderState.ACKNOWLEDGED,
    "PENDING_NEW": OrderState.ACKNOWLEDGED,
    "PENDING_CANCEL": OrderState.WORKING,
    "PARTIALLY_FILLED": OrderState.WORKING,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELLED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.EXPIRED,
    "EXPIRED_IN_MATCH": OrderState.EXPIRED,
}
STATELESS: Final = frozenset({"NEW_INSURANCE", "NEW_ADL"})
"""Statuses of positions that USDⓈ-M closes itself, against its insurance fund or another account; see the fills."""


class ExecutionReport(Struct, frozen=True):
    """Spot. ``c`` is the client id, on CANCELED that of the cancel, and the order's own is ``C``. Average is Z / z.

    ``r`` is why it was rejected, ``eR`` why it expired, ``V`` how it is kept from trading with the account itself.
    ``gp`` is the price of a pegged order, whose ``p`` is 0. ``a`` identifies an allocation of SOR (trade id -1).
    """

    s: str
    c: str
    S: str
    o: str
    q: Decimal
    p: Decimal
    x: str
    X: str
    i: Long
    l: Decimal  # noqa: E741 - Binance's name
    z: Decimal
    L: Decimal
    T: Time
    t: Long
    Z: Decimal
    m: bool = False
    n: Decimal | None = None
    N: str | None = None
    C: str = ""
    r: str = "NONE"
    eR: str = ""
    V: str = "NONE"
    E: Time = 0
    gp: Decimal | None = None
    a: Long | None = None


class AssetBalance(Struct, frozen=True):
    a: str
    f: Decimal
    l: Decimal  # noqa: E741 - Binance's name


class AccountPosition(Struct, frozen=True):
    """``outboundAccountPosition``: absolute figures (``AssetBalance``) of the assets that changed."""

    u: Time
    B: list[Raw]
    E: Time = 0


class BalanceChange(Struct, frozen=True):
    """``balanceUpdate``: what a deposit, a withdrawal or a transfer changed an asset by, at ``T``."""

    a: str
    d: Decimal
    T: Time


class ExternalLock(Struct, frozen=True):
    """``externalLockUpdate``: by how much another system locked more of an asset, or less."""

    E: Time


class FuturesOrder(Struct, frozen=True):
    """``x`` is the kind of event (CALCULATED: a liquidation's execution), ``X`` the status, ``er`` why it expired."""

    s: str
    c: str
    S: str
    o: str
    q: Decimal
    p: Decimal
    x: str
    X: str
    i: Long
    l: Decimal  # noqa: E741 - Binance's name
    z: Decimal
    L: Decimal
    T: Time
    t: Long
    m: bool = False
    ap: Decimal | None = None
    n: Decimal | None = None
    N: str | None = None
    er: str | int = ""


class OrderTradeUpdate(Struct, frozen=True):
    E: Time
    o: FuturesOrder


class FuturesWallet(Struct, frozen=True):
    """``wb`` is the wallet."""

    a: str
    wb: Decimal


class FuturesPosition(Struct, frozen=True):
    """``pa`` is the quantity, ``ep`` the entry price, ``up`` the unrealised profit, ``ps`` BOTH in one-way mode.

    ``mt`` is ``cross`` or ``isolated``, ``iw`` what an isolated position has of the wallet.
    """

    s: str
    pa: Decimal
    ep: Decimal
    up: Decimal
    ps: str = "BOTH"
    mt: str = "cross"
    iw: Decimal = Decimal(0)


class AccountChange(Struct, frozen=True):
    """Rows are ``FuturesWallet`` and ``FuturesPosition``."""

    m: str = ""
    B: list[Raw] = []
    P: list[Raw] = []


class AccountUpdate(Struct, frozen=True):
    """``T`` is the time of the change, ``E`` that of the message."""

    E: Time
    a: AccountChange
    T: Time = 0


class LeverageChange(Struct, frozen=True):
    s: str
    l: Annotated[int, Meta(ge=1, le=1000)]  # noqa: E741 - Binance's name


class AssetModeChange(Struct, frozen=True):
    j: bool


class ConfigUpdate(Struct, frozen=True):
    """``ACCOUNT_CONFIG_UPDATE``: the leverage of a symbol, or whether all assets are margin."""

    ac: LeverageChange | None = None
    ai: AssetModeChange | None = None
