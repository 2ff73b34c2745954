"""Binance's orders and fills over REST, to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from operator import itemgetter
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import (
    ExchangeStatus,
    Fill,
    Liquidity,
    Microseconds,
    OrderReport,
    OrderState,
    OrderType,
    Side,
    to_scale,
)
from neuroflux.exchanges.binance.messages import STATELESS, STATES, Time, microseconds
from neuroflux.exchanges.kit.numerals import Long
from neuroflux.exchanges.kit.rows import Rows, keys_of, malformed, rows, sane

ZERO: Final = Decimal(0)
Symbols = Mapping[str, str]
"""Our symbols by the exchange's names; a name that is missing stays as it is."""
UNKNOWN_STATUS: Final = "unknown status"
"""Begins the reason of a report whose status is in no list."""
_MOST: Final = Decimal(10) ** 19


class PartFill(Struct, frozen=True):
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    tradeId: Long
    allocId: Long | None = None


class RestOrder(Struct, frozen=True):
    """``clientOrderId`` of a cancel's answer is the cancel's; the order's own is ``origClientOrderId``.

    The turnover is ``cummulativeQuoteQty`` on spot, below 0 where it is not known; on USDⓈ-M ``cumQuote`` and
    ``avgPrice``, which the answers to placing and cancelling leave out. ``expiryReason`` is spot's, of an order that
    expired, or NONE. ``peggedPrice`` is the price of a pegged order of spot, whose ``price`` is 0. Source:
    https://developers.binance.com/docs/binance-spot-api-docs/enums ("Expiry Reasons").
    """

    symbol: str
    orderId: Long
    clientOrderId: str
    price: Decimal
    origQty: Decimal
    executedQty: Decimal
    status: str
    type: str
    side: str
    origClientOrderId: str = ""
    cummulativeQuoteQty: Decimal | None = None
    cumQuote: Decimal | None = None
    avgPrice: Decimal | None = None
    transactTime: Time = 0
    updateTime: Time = 0
    time: Time = 0
    expiryReason: str | None = None
    peggedPrice: Decimal | None = None
    fills: list[Raw] = []


class RestFill(Struct, frozen=True):
    """A row of ``myTrades`` (``isBuyer``, ``isMaker``) or ``userTrades`` (``side``, ``maker``).

    One of ``myAllocations`` has an ``allocationId`` and no ``id``.
    """

    symbol: str
    orderId: Long
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    time: Time
    isBuyer: bool | None = None
    isMaker: bool | None = None
    side: str = ""
    maker: bool | None = None
    id: Long = -1
    allocationId: Long | None = None


_ORDER: Final = Decoder(RestOrder)
_PART: Final = Decoder(PartFill)
_FILL: Final = Decoder(RestFill)


def order_type(wire: str, price: Decimal) -> OrderType:
    """What it is once it trades: spot's ``STOP_LOSS`` and ``TAKE_PROFIT`` are market orders, USDⓈ-M's have a price.

    Source: https://developers.binance.com/docs/binance-spot-api-docs/rest-api/trading-endpoints ("New order").
    """
    is_market = "MARKET" in wire or (wire in ("STOP_LOSS", "TAKE_PROFIT") and not price)
    return OrderType.MARKET if is_market else OrderType.LIMIT


def side(wire: str) -> Side:
    """Raises ValueError for a side that is none."""
    return Side(wire.lower())


_ENDINGS: Final = (("REJECT", OrderState.REJECTED), ("EXPIRE", OrderState.EXPIRED), ("CANCEL", OrderState.CANCELLED))


def state(wire: str, quantity: Decimal, filled: Decimal) -> OrderState:
    """Of a status that is in no list by what it resembles, else by what is filled: it may still be open."""
    known = STATES.get(wire)
    if known is not None:
        return known
    if 0 < quantity <= filled:
        return OrderState.FILLED
    alike = (state for word, state in _ENDINGS if word in wire.upper() and "PENDING" not in wire.upper())
    return next(alike, OrderState.WORKING if filled else OrderState.ACKNOWLEDGED)


def unknown_status(wire: str) -> str:
    """The reason to be reported of a status that is in no list, "" of one that is."""
    return "" if wire in STATES or wire in STATELESS else f"{UNKNOWN_STATUS} {wire[:80]!r}"


def trade_id(trade: int, allocation: int | None) -> str:
    """The trade's, or where an order is allocated what others traded (SOR) the allocation's: those have the trade -1.

    https://developers.binance.com/docs/binance-spot-api-docs/faqs/sor_faq
    """
    return str(trade) if trade >= 0 or allocation is None else f"a{allocation}"


def prevented(wire: str) -> str:
    """The reason where a status means that an order would have traded with one of the same account."""
    return "self-trade prevention" if wire == "EXPIRED_IN_MATCH" else ""


def unless_none(reason: str) -> str:
    return "" if reason == "NONE" else reason


def average_price(filled: Decimal, reported: Decimal | None, turnover: Decimal | None) -> Decimal | None:
    """0 before the first fill; then what the exchange reported, or the turnover by quantity, or None: not known."""
    if not filled:
        return ZERO
    if reported is not None and reported > 0:
        return reported
    if turnover is None or turnover <= 0 or filled < 0:
        return None
    average = to_scale(turnover / filled)
    return average if average < _MOST else None


def report_of(exchange: str, wire: RestOrder, symbols: Symbols) -> OrderReport:
    became = state(wire.status, wire.origQty, wire.executedQty)
    expiry = unless_none(wire.expiryReason or "") if became is OrderState.EXPIRED else ""
    quote = wire.cummulativeQuoteQty if wire.cummulativeQuoteQty is not None else wire.cumQuote
    return OrderReport(
        exchange,
        symbols.get(wire.symbol, wire.symbol),
        wire.origClientOrderId or wire.clientOrderId,
        str(wire.orderId),
        side(wire.side),
        order_type(wire.type, wire.price),
        wire.price or wire.peggedPrice or ZERO,
        wire.origQty,
        wire.executedQty,
        average_price(wire.executedQty, wire.avgPrice, quote),
        became,
        unknown_status(wire.status) or expiry or prevented(wire.status),
        microseconds(wire.transactTime or wire.updateTime or wire.time),
    )


def part_fills_of(exchange: str, wire: RestOrder, symbols: Symbols) -> tuple[Fill, ...]:
    """What an order took at once. A part that can't be read is left to the stream and to ``fills_since``."""
    return tuple(
        Fill(
            "",
            exchange,
            symbols.get(wire.symbol, wire.symbol),
            wire.origClientOrderId or wire.clientOrderId,
            str(wire.orderId),
            trade_id(part.tradeId, part.allocId),
            side(wire.side),
            part.price,
            part.qty,
            part.commission,
            part.commissionAsset,
            Liquidity.TAKER,
            microseconds(wire.transactTime),
            name=wire.symbol,
        )
        for part in Rows(wire.fills, _PART.decode).good
    )


def fill_of(exchange: str, wire: RestFill, symbols: Symbols) -> Fill:
    """A row does not name the client's id."""
    buyer = wire.isBuyer if wire.isBuyer is not None else side(wire.side) is Side.BUY
    return Fill(
        "",
        exchange,
        symbols.get(wire.symbol, wire.symbol),
        "",
        str(wire.orderId),
        trade_id(wire.id, wire.allocationId),
        Side.BUY if buyer else Side.SELL,
        wire.price,
        wire.qty,
        wire.commission,
        wire.commissionAsset,
        Liquidity.MAKER if wire.isMaker or wire.maker else Liquidity.TAKER,
        microseconds(wire.time),
        name=wire.symbol,
    )


def order_of(body: bytes | Raw) -> RestOrder:
    """Raises ``UNREADABLE``, also for a side that is none."""
    order = sane(_ORDER.decode(body))
    side(order.side)
    return order


def _fill(row: Raw) -> RestFill:
    """Raises ``UNREADABLE``, also where no side is named, or nothing identifies the fill."""
    wire = _FILL.decode(row)
    if wire.id < 0 and wire.allocationId is None:
        raise ValueError("no id")
    if wire.isBuyer is None:
        side(wire.side)
    return wire


class Records(Struct, frozen=True):
    """Orders or fills in an answer, and the rows that could not be read.

    Of a list of fills: the exchange's name of the instrument, the last trade id (-1: none), and how many rows it has.
    """

    records: Sequence[OrderReport | Fill]
    faults: Sequence[str] = ()
    name: str = ""
    last_trade: int = -1
    count: int = 0

    def statuses(self, exchange: str, what: str, time: Microseconds) -> list[ExchangeStatus]:
        """The rows that could not be read, as they are published."""
        return [malformed(exchange, f"{what}: {fault}", time) for fault in self.faults]


def records_of(exchange: str, body: bytes, symbols: Symbols) -> Records | None:
    """Orders or fills in an answer, by their keys; None where it has neither. Raises ``UNREADABLE``."""
    keys, is_list = keys_of(body)
    if {"orderId", "status", "origQty"} <= set(keys):
        orders = rows(body, order_of) if is_list else None
        good = orders.good if orders is not None else [order_of(body)]
        faults = orders.faults if orders is not None else ()
        return Records([record for one in good for record in _order_records(exchange, one, symbols)], faults)
    if {"orderId", "commission", "qty"} <= set(keys) and is_list:
        fills = rows(body, _fill)
        name, last = max(((one.symbol, one.id) for one in fills.good), key=itemgetter(1), default=("", -1))
        made = [fill_of(exchange, one, symbols) for one in fills.good]
        return Records(made, fills.faults, name, last, fills.count)
    return None


def _order_records(exchange: str, wire: RestOrder, symbols: Symbols) -> Sequence[OrderReport | Fill]:
    return (report_of(exchange, wire, symbols), *part_fills_of(exchange, wire, symbols))
