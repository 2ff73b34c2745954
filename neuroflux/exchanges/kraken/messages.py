"""Kraken's frames and rows, as far as they are read.

The sockets write numbers as JSON numbers, REST writes most as text. Those of market data keep their digits as text,
since a book's checksum is made of them; those of accounts and orders are ``Decimal``. Sources:
https://docs.kraken.com/api/docs/websocket-v2 and https://docs.kraken.com/api/docs/rest-api
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Raw, Struct

from neuroflux.domain import Microseconds, OrderType, Side
from neuroflux.exchanges.kit.numerals import Long

ID: Final = "kraken"
ZERO: Final = Decimal(0)
Time = Annotated[datetime, Meta(tz=True)]
Seconds = Annotated[float, Meta(ge=0, le=9e12)]
Named = Annotated[str, Meta(min_length=1)]
Direction = Literal["buy", "sell"]
Digits = Any
"""A number of market data: text for one with a point (``float_hook``), else an int. ``text_of`` makes it text."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(time: datetime) -> Microseconds:
    return (time - EPOCH) // _MICROSECOND


def of_seconds(time: Seconds) -> Microseconds:
    return round(time * 1_000_000)


def written(time: Microseconds) -> str:
    """A time as the exchange writes it."""
    return (EPOCH + max(time, 0) * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")


def text_of(number: Digits) -> str:
    return number if isinstance(number, str) else str(number)


def side_of(direction: Direction) -> Side:
    return Side.BUY if direction == "buy" else Side.SELL


def type_of(order_type: str) -> OrderType:
    return OrderType.MARKET if order_type == "market" else OrderType.LIMIT


class Head(Struct, frozen=True):
    """Any frame; the answer to a message of ours has ``method``, and ``error`` where it was refused. One that was one
    too many is answered with ``Error`` alone."""

    channel: str = ""
    type: str = ""
    method: str = ""
    error: str = ""
    Error: str = ""
    success: bool = True
    symbol: str = ""
    sequence: Long | None = None

    @property
    def refusal(self) -> str:
        """Why a message of ours was refused, "" where it was not."""
        text = self.error or self.Error or ("" if self.success else "refused")
        return f"{self.method} {self.symbol}: {text}"[:200] if text else ""


# ── market data ──────────────────────────────────────────────────────────────────────────────────────────────────


class WireQuote(Struct, frozen=True, gc=False):
    """``bid`` and ``ask`` are missing, null or 0 where that side of the book is empty."""

    symbol: str
    bid: Digits = None
    bid_qty: Digits = None
    ask: Digits = None
    ask_qty: Digits = None
    timestamp: Time | None = None


class QuoteFrame(Struct, frozen=True):
    data: list[WireQuote]


class WireTrade(Struct, frozen=True):
    """``side`` is the taker's."""

    symbol: str
    side: Direction
    price: Digits
    qty: Digits
    trade_id: Long
    timestamp: Time


class TradeFrame(Struct, frozen=True):
    type: str
    data: list[WireTrade]


class WireLevel(Struct, frozen=True, gc=False):
    """``qty`` is absolute, 0 removes."""

    price: Digits
    qty: Digits


class WireBook(Struct, frozen=True):
    symbol: str
    checksum: Long
    bids: list[WireLevel] = []
    asks: list[WireLevel] = []
    timestamp: Time | None = None


class BookFrame(Struct, frozen=True):
    type: Literal["snapshot", "update"]
    data: list[WireBook]


# ── the account, by the socket ───────────────────────────────────────────────────────────────────────────────────


class DataFrame(Struct, frozen=True):
    type: str
    data: list[Raw]


class WireFee(Struct, frozen=True):
    asset: str
    qty: Decimal


class Execution(Struct, frozen=True):
    """One report of an order: only its first has all of the order, a later one what it changes. ``trade`` is a fill."""

    exec_type: str
    order_id: Named
    timestamp: Time
    order_status: str = ""
    symbol: str | None = None
    side: Direction | None = None
    order_type: str | None = None
    cl_ord_id: str | None = None
    order_qty: Decimal | None = None
    limit_price: Decimal | None = None
    cum_qty: Decimal | None = None
    avg_price: Decimal | None = None
    reason: str | None = None
    cancel_reason: str | None = None
    exec_id: str = ""
    last_qty: Decimal = ZERO
    last_price: Decimal = ZERO
    liquidity_ind: str = ""
    fees: list[WireFee] = []


class Wallet(Struct, frozen=True):
    balance: Decimal
    type: str = ""
    id: str = ""


class WireBalance(Struct, frozen=True):
    """A whole balance in a snapshot; an entry of the ledger in an update, where ``balance`` is the new total."""

    asset: Named
    balance: Decimal
    wallets: list[Wallet] | None = None
    wallet_type: str = "spot"
    type: str = ""
    ledger_id: str = ""
    amount: Decimal = ZERO
    fee: Decimal = ZERO
    timestamp: Time | None = None


# ── the account, by REST ─────────────────────────────────────────────────────────────────────────────────────────


class Terms(Struct, frozen=True):
    """What was ordered; ``pair`` is the altname, ``price`` 0 for a market order."""

    pair: str
    type: Direction
    ordertype: str
    price: Decimal = ZERO


class RestOrder(Struct, frozen=True):
    """``price`` is the average of what is filled, ``vol_exec``; ``id`` is the key under which the row stands."""

    status: str
    descr: Terms
    vol: Decimal
    vol_exec: Decimal
    price: Decimal = ZERO
    opentm: Seconds = 0.0
    closetm: Seconds | None = None
    cl_ord_id: str | None = None
    reason: str | None = None
    id: str = ""


class RestFill(Struct, frozen=True):
    """``pair`` is the pair's key; ``fee`` is in the quote; ``id`` is the key under which the row stands."""

    ordertxid: Named
    pair: str
    time: Seconds
    type: Direction
    price: Decimal
    vol: Decimal
    fee: Decimal
    maker: bool | None = None
    ordertype: str = ""
    id: str = ""


class Holding(Struct, frozen=True):
    """``hold_trade`` is what open orders hold of ``balance``."""

    balance: Decimal
    hold_trade: Decimal
    asset: str = ""
