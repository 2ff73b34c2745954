"""Binance's messages, spot and USDⓈ-M, as types: only the fields that are used; unknown keys are passed over.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams and
https://developers.binance.com/docs/derivatives/usds-margined-futures. Times are ms, or µs where that was asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from neuroflux.domain import Microseconds, Numeral, OrderState

UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, ValueError, ArithmeticError, RecursionError)
"""What decoding bytes that are no message ends in."""

_FIRST_MICROSECOND: Final = 100_000_000_000_000
"""A time at or above this is in µs: as ms it would lie in the year 5138."""


def microseconds(time: int) -> Microseconds:
    return time if time >= _FIRST_MICROSECOND else time * 1000


_PLAIN: Final = r"(?:[0-9]{1,200}+(?:\.[0-9]{0,200}+)?+|\.[0-9]{1,200}+)"
_ALL_PLAIN: Final = re.compile(f"(?:{_PLAIN},)+").fullmatch
_WRITTEN_OUT: Final = 64


@cache
def _all_plain(count: int) -> Callable[[str], re.Match[str] | None]:
    """Written out: a group that repeats takes twice as long."""
    return re.compile(",".join([_PLAIN] * count)).fullmatch


def finite(*numerals: Numeral) -> bool:
    """Whether each of one or more is a plain decimal number, 0 or above: no sign, exponent, underscore or ``nan``.

    All at once, since this is asked of every number of every frame: four of them take 0.5 µs.
    """
    joined, count = ",".join(numerals), len(numerals)
    if 0 < count <= _WRITTEN_OUT:
        return _all_plain(count)(joined) is not None
    return _ALL_PLAIN(joined + ",") is not None and joined.count(",") == count - 1


class Head(Struct, frozen=True):
    """What tells messages apart. ``e`` is the kind; envelopes have ``stream`` or ``event``; replies have ``id``."""

    e: str = ""
    stream: str = ""
    data: Raw | UnsetType = UNSET
    event: Raw | UnsetType = UNSET
    id: Raw | UnsetType = UNSET
    result: Raw | UnsetType = UNSET
    error: Raw | UnsetType = UNSET
    lastUpdateId: Raw | UnsetType = UNSET
    u: Raw | UnsetType = UNSET
    B: Raw | UnsetType = UNSET


class BookTicker(Struct, frozen=True, gc=False):
    """Best bid and ask. Spot has neither ``e`` nor a time."""

    u: int
    s: str
    b: Numeral
    B: Numeral
    a: Numeral
    A: Numeral
    T: int = 0


class Tape(Struct, frozen=True, gc=False):
    """``trade``: ``m`` means that the buyer was the maker, so the aggressor sold. ``X`` is USDⓈ-M's kind of trade."""

    s: str
    t: int
    p: Numeral
    q: Numeral
    T: int
    m: bool
    X: str = "MARKET"


W = TypeVar("W")


class Enveloped(Struct, Generic[W], frozen=True, gc=False):
    """A message of a combined stream, whose kind the stream's name has told."""

    data: W


Changes = list[tuple[Numeral, Numeral]]


class DepthUpdate(Struct, frozen=True):
    """Absolute quantities; first and last update id, and on USDⓈ-M the last one of the message before (``pu``)."""

    s: str
    U: int
    u: int
    b: Changes
    a: Changes
    E: int
    pu: int = -1


class DepthSnapshot(Struct, frozen=True):
    lastUpdateId: int
    bids: Changes
    asks: Changes


class MarkPriceUpdate(Struct, frozen=True, gc=False):
    """``r`` is the funding rate, empty for dated futures; ``i`` the index, ``T`` the next funding time."""

    E: int
    s: str
    p: Numeral
    i: Numeral
    r: Numeral
    T: int


class FundingInterval(Struct, frozen=True):
    """A row of ``fundingInfo``, which names the symbols that are not paid every 8 hours."""

    symbol: str
    fundingIntervalHours: int


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


class ExecutionReport(Struct, frozen=True):
    """Spot. ``c`` is the client id, on CANCELED that of the cancel, and the order's own is ``C``. Average is Z / z."""

    s: str
    c: str
    S: str
    o: str
    q: Decimal
    p: Decimal
    C: str
    x: str
    X: str
    r: str
    i: int
    l: Decimal  # noqa: E741 - Binance's name
    z: Decimal
    L: Decimal
    n: Decimal | None
    N: str | None
    T: int
    t: int
    m: bool
    Z: Decimal
    E: int


class AssetBalance(Struct, frozen=True):
    a: str
    f: Decimal
    l: Decimal  # noqa: E741 - Binance's name


class AccountPosition(Struct, frozen=True):
    """``outboundAccountPosition``: absolute figures of the assets that changed."""

    u: int
    B: list[AssetBalance]
    E: int


class FuturesOrder(Struct, frozen=True):
    s: str
    c: str
    S: str
    o: str
    q: Decimal
    p: Decimal
    ap: Decimal
    x: str
    X: str
    i: int
    l: Decimal  # noqa: E741 - Binance's name
    z: Decimal
    L: Decimal
    T: int
    t: int
    m: bool
    n: Decimal = Decimal(0)
    N: str = ""


class OrderTradeUpdate(Struct, frozen=True):
    E: int
    o: FuturesOrder


class FuturesWallet(Struct, frozen=True):
    """``wb`` is the wallet, ``cw`` what of it backs cross positions."""

    a: str
    wb: Decimal
    cw: Decimal


class FuturesPosition(Struct, frozen=True):
    s: str
    pa: Decimal
    ep: Decimal
    up: Decimal
    ps: str = "BOTH"


class AccountChange(Struct, frozen=True):
    m: str = ""
    B: list[FuturesWallet] = []
    P: list[FuturesPosition] = []


class AccountUpdate(Struct, frozen=True):
    E: int
    a: AccountChange
