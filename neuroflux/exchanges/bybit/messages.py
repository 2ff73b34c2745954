"""Bybit's answers and private rows, and the numbers in them, which are texts and may be empty.

Sources: https://bybit-exchange.github.io/docs/v5/guide and the pages below ``v5/websocket/private``, ``v5/order``,
``v5/position`` and ``v5/account``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Microseconds, to_scale
from neuroflux.exchanges.kit.numerals import Long, plain

ZERO: Final = Decimal(0)
_MOST_DIGITS: Final = 18
"""Digits of an amount before its point."""
_LONGEST_TIME: Final = 15
"""Digits of a time in ms."""

Text = str | None
WireSide = Literal["Buy", "Sell"]


def amount(text: Text) -> Decimal:
    """0 for none; raises ValueError for what is no number, or one that no record has room for."""
    if not text:
        return ZERO
    if not plain(text.removeprefix("-")):
        raise ValueError(f"an amount of {text!r:.80}")
    value = to_scale(Decimal(text))
    if value.adjusted() > _MOST_DIGITS:
        raise ValueError(f"an amount of {text!r:.80}")
    return value


def microseconds(text: Text) -> Microseconds:
    """Of ms in a text, 0 for none; raises ValueError for what is no time."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_TIME):
        raise ValueError(f"a time of {text!r:.80}")
    return int(text) * 1000


class Envelope(Struct, frozen=True):
    """Every answer; ``time`` is the exchange's, in ms."""

    retCode: int
    retMsg: Text = ""
    result: Raw = Raw(b"{}")
    time: Long = 0


class Listed(Struct, frozen=True):
    """The result of a query for a list; the category is named by some only."""

    list: Raw = Raw(b"[]")
    category: str = ""
    nextPageCursor: Text = ""


class Frame(Struct, frozen=True):
    """A private frame, or the answer to an operation on a socket."""

    topic: str = ""
    data: Raw = Raw(b"[]")
    creationTime: Long = 0
    op: str = ""
    success: bool | None = None
    ret_msg: Text = ""
    retCode: int = 0
    retMsg: Text = ""


class OrderRow(Struct, frozen=True):
    symbol: str
    orderId: str
    side: WireSide
    orderType: str
    orderStatus: str
    qty: Text
    category: str = ""
    orderLinkId: Text = ""
    price: Text = ""
    avgPrice: Text = ""
    cumExecQty: Text = ""
    cumExecValue: Text = ""
    rejectReason: Text = ""
    marketUnit: Text = ""
    updatedTime: Text = ""


class ExecutionRow(Struct, frozen=True):
    symbol: str
    orderId: str
    execId: str
    side: WireSide
    execPrice: str
    execQty: str
    execTime: str
    category: str = ""
    orderLinkId: Text = ""
    execType: str = "Trade"
    execFee: Text = ""
    feeCurrency: Text = ""
    isMaker: bool | None = False


class PositionRow(Struct, frozen=True):
    """The entry price is ``entryPrice`` where it is pushed, and ``avgPrice`` in an answer."""

    symbol: str
    side: Literal["Buy", "Sell", "", "None"]
    size: str
    positionIdx: int
    category: str = ""
    entryPrice: Text = ""
    avgPrice: Text = ""
    unrealisedPnl: Text = ""


class CoinRow(Struct, frozen=True):
    coin: str
    walletBalance: str
    locked: Text = ""
    totalOrderIM: Text = ""
    totalPositionIM: Text = ""
    unrealisedPnl: Text = ""


class WalletRow(Struct, frozen=True):
    coin: list[Raw] = []
    accountType: str = "UNIFIED"


class FeeRow(Struct, frozen=True):
    symbol: str
    takerFeeRate: str
    makerFeeRate: str


class LogRow(Struct, frozen=True):
    id: str
    type: str
    currency: str
    change: str
    transactionTime: str


class AccountInfo(Struct, frozen=True):
    unifiedMarginStatus: int
    marginMode: str = ""


ENVELOPE: Final = Decoder(Envelope)
LISTED: Final = Decoder(Listed)
