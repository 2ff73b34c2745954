"""Coinbase's frames and rows, as far as they are read.

All numbers are text; times are RFC 3339 with up to nine decimals. Numbers of market data stay text, those of accounts
and orders are ``Decimal``. Sources: https://docs.cdp.coinbase.com/coinbase-app/advanced-trade-apis/websocket and
https://docs.cdp.coinbase.com/api-reference/advanced-trade-api/rest-api
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal

from msgspec import Meta, Raw, Struct

from neuroflux.domain import Microseconds, Numeral, Side, to_scale
from neuroflux.exchanges.kit.numerals import Long, plain

ID: Final = "coinbase"
ZERO: Final = Decimal(0)
Time = Annotated[datetime, Meta(tz=True)]
Direction = Literal["BUY", "SELL"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_LONGEST: Final = 40
_MOST_DIGITS: Final = 18
_TOO_LARGE: Final = Decimal(10) ** 20
_RENAMED: Final = {"CGLD": "CELO"}
"""Assets that others, ccxt too, know by another name."""


def microseconds(time: datetime) -> Microseconds:
    return (time - _EPOCH) // _MICROSECOND


def written(time: Microseconds) -> str:
    """A time as the exchange writes it."""
    return (_EPOCH + max(time, 0) * _MICROSECOND).isoformat(timespec="microseconds").replace("+00:00", "Z")


def asset_of(currency: str) -> str:
    return _RENAMED.get(currency, currency)


def is_spot(product: str) -> bool:
    """Products of other markets have further parts: ``BIP-20DEC30-CDE``, ``BTC-PERP-INTX``."""
    return product.count("-") == 1


def quote_of(product: str) -> str:
    return asset_of(product.rpartition("-")[2])


def amount(text: str | float | None) -> Decimal:
    """A number of an account, 0 for an empty text. Raises ValueError for what no record has room for."""
    written = f"{text or 0}"
    if not plain(written.removeprefix("-")):
        raise ValueError(f"{written!r:.80} is no amount")
    value = to_scale(Decimal(written)) if len(written) < _LONGEST else _TOO_LARGE
    if value.adjusted() > _MOST_DIGITS:
        raise ValueError(f"an amount of {written:.40}")
    return value


def side_of(direction: Direction) -> Side:
    return Side.BUY if direction == "BUY" else Side.SELL


class Head(Struct, frozen=True):
    """Any frame; one of an error has a ``type`` and no number."""

    channel: str = ""
    sequence_num: Long | None = None
    timestamp: Time = _EPOCH
    type: str = ""
    message: str = ""
    reason: str = ""


# ── market data ──────────────────────────────────────────────────────────────────────────────────────────────────


class LevelChange(Struct, frozen=True, gc=False):
    """``new_quantity`` is absolute, 0 removes."""

    side: Literal["bid", "offer"]
    price_level: Numeral
    new_quantity: Numeral


class BookEvent(Struct, frozen=True):
    type: Literal["snapshot", "update"]
    product_id: str
    updates: list[LevelChange] = []


class BookFrame(Struct, frozen=True):
    sequence_num: Long
    timestamp: Time
    events: list[BookEvent]


class WireTrade(Struct, frozen=True):
    """``side`` is the maker's; ids rise by one within a product."""

    trade_id: Annotated[str, Meta(pattern="^[0-9]{1,18}$")]
    product_id: str
    price: Numeral
    size: Numeral
    side: Direction
    time: Time


class TradeEvent(Struct, frozen=True):
    """A snapshot has trades of the time before. All are newest first."""

    type: Literal["snapshot", "update"]
    trades: list[WireTrade]


class TradeFrame(Struct, frozen=True):
    sequence_num: Long
    timestamp: Time
    events: list[TradeEvent]


# ── the account ──────────────────────────────────────────────────────────────────────────────────────────────────


class OrderEvent(Struct, frozen=True):
    type: str
    orders: list[Raw] = []


class UserFrame(Struct, frozen=True):
    sequence_num: Long
    timestamp: Time
    events: list[OrderEvent]


class PushedOrder(Struct, frozen=True):
    """An order in the channel ``user``: sizes in the base, money in the quote, fees summed up.

    ``leaves_quantity`` is 0 once the order has ended, and its size is in no field.
    """

    order_id: str
    product_id: str
    order_side: Direction
    status: str
    cumulative_quantity: str
    leaves_quantity: str
    client_order_id: str = ""
    order_type: str = ""
    avg_price: str = ""
    limit_price: str | None = None
    cancel_reason: str | None = None
    reject_reason: str | None = None


class Terms(Struct, frozen=True):
    """Size and price of an order of any kind; one that is sized by money has no ``base_size``."""

    base_size: str | float | None = None
    limit_price: str | float | None = None


Configuration = dict[str, Terms | None]
"""The terms by the kind of order, such as ``limit_limit_gtc``."""


class RestOrder(Struct, frozen=True):
    order_id: str
    product_id: str
    side: Direction
    status: str
    created_time: Time
    client_order_id: str = ""
    order_configuration: Configuration | None = None
    filled_size: str = ""
    average_filled_price: str = ""
    order_type: str = ""
    reject_reason: str | None = None
    reject_message: str | None = None
    cancel_message: str | None = None
    last_fill_time: Time | None = None


class RestFill(Struct, frozen=True):
    """``commission`` is in the quote; ``size`` too, with ``size_in_quote``. It does not name the client's id."""

    trade_id: Annotated[str, Meta(min_length=1)]
    order_id: str
    trade_time: Time
    price: str
    size: str
    commission: str
    product_id: str
    side: Direction
    trade_type: str = "FILL"
    liquidity_indicator: str = ""
    size_in_quote: bool = False


class Amount(Struct, frozen=True):
    value: str


class Holding(Struct, frozen=True):
    currency: Annotated[str, Meta(min_length=1)]
    available_balance: Amount
    hold: Amount = Amount("0")


class Pages(Struct, frozen=True):
    """How any list ends; fills have no ``has_next``, and an empty ``cursor`` at their end."""

    has_next: bool | None = None
    cursor: str = ""

    @property
    def goes_on(self) -> bool:
        return bool(self.cursor) and self.has_next is not False
