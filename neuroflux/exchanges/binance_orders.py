"""Binance's orders and fills as REST tells them, to ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from msgspec import Struct
from msgspec.json import Decoder

from neuroflux.domain import Fill, Liquidity, OrderReport, OrderState, OrderType, Side, to_scale
from neuroflux.exchanges.binance_messages import STATES, microseconds

ZERO: Final = Decimal(0)
Symbols = Mapping[str, str]
"""Our symbols by the exchange's names; a name that is missing stays as it is."""


class PartFill(Struct, frozen=True):
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    tradeId: int


class RestOrder(Struct, frozen=True):
    """``clientOrderId`` of a cancel's answer is the cancel's; the order's own is ``origClientOrderId``."""

    symbol: str
    orderId: int
    clientOrderId: str
    price: Decimal
    origQty: Decimal
    executedQty: Decimal
    status: str
    type: str
    side: str
    origClientOrderId: str = ""
    cummulativeQuoteQty: Decimal = ZERO
    cumQuote: Decimal = ZERO
    avgPrice: Decimal = ZERO
    transactTime: int = 0
    updateTime: int = 0
    time: int = 0
    fills: list[PartFill] = []


class RestFill(Struct, frozen=True):
    """A row of ``myTrades`` (``isBuyer``, ``isMaker``) or ``userTrades`` (``side``, ``maker``)."""

    symbol: str
    id: int
    orderId: int
    price: Decimal
    qty: Decimal
    commission: Decimal
    commissionAsset: str
    time: int
    isBuyer: bool | None = None
    isMaker: bool | None = None
    side: str = ""
    maker: bool | None = None


_ORDER: Final = Decoder(RestOrder)
_ORDERS: Final = Decoder(list[RestOrder])
_FILLS: Final = Decoder(list[RestFill])
_ANYTHING: Final = Decoder()


def order_type(wire: str) -> OrderType:
    return OrderType.MARKET if "MARKET" in wire else OrderType.LIMIT


def side(wire: str) -> Side:
    """Raises ValueError for a side that is none."""
    return Side(wire.lower())


def state(wire: str) -> OrderState:
    """Raises ValueError for a status that nobody knows."""
    if wire not in STATES:
        raise ValueError(f"unknown status {wire!r}")
    return STATES[wire]


def report_of(exchange: str, wire: RestOrder, symbols: Symbols) -> OrderReport:
    quote = wire.cummulativeQuoteQty or wire.cumQuote
    average = wire.avgPrice or (to_scale(quote / wire.executedQty) if wire.executedQty else ZERO)
    return OrderReport(
        exchange,
        symbols.get(wire.symbol, wire.symbol),
        wire.origClientOrderId or wire.clientOrderId,
        str(wire.orderId),
        side(wire.side),
        order_type(wire.type),
        wire.price,
        wire.origQty,
        wire.executedQty,
        average,
        state(wire.status),
        "",
        microseconds(wire.transactTime or wire.updateTime or wire.time),
    )


def part_fills_of(exchange: str, wire: RestOrder, symbols: Symbols) -> tuple[Fill, ...]:
    """What an order took at once."""
    return tuple(
        Fill(
            "",
            exchange,
            symbols.get(wire.symbol, wire.symbol),
            wire.clientOrderId,
            str(wire.orderId),
            str(part.tradeId),
            side(wire.side),
            part.price,
            part.qty,
            part.commission,
            part.commissionAsset,
            Liquidity.TAKER,
            microseconds(wire.transactTime),
        )
        for part in wire.fills
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
        str(wire.id),
        Side.BUY if buyer else Side.SELL,
        wire.price,
        wire.qty,
        wire.commission,
        wire.commissionAsset,
        Liquidity.MAKER if wire.isMaker or wire.maker else Liquidity.TAKER,
        microseconds(wire.time),
    )


def order_of(body: bytes) -> RestOrder:
    """Raises ``UNREADABLE``."""
    return _ORDER.decode(body)


def records_of(exchange: str, body: bytes, symbols: Symbols) -> Sequence[OrderReport | Fill] | None:
    """Orders or fills in an answer, told by their keys; None where it has neither. Raises ``UNREADABLE``."""
    shape = _ANYTHING.decode(body)
    rows = shape if isinstance(shape, list) else [shape]
    keys = {key for row in rows if isinstance(row, dict) for key in row}
    if {"orderId", "status", "origQty"} <= keys:
        orders = _ORDERS.decode(body) if isinstance(shape, list) else [_ORDER.decode(body)]
        return [record for order in orders for record in _order_records(exchange, order, symbols)]
    if {"orderId", "commission", "qty"} <= keys and isinstance(shape, list):
        return [fill_of(exchange, fill, symbols) for fill in _FILLS.decode(body)]
    return None


def _order_records(exchange: str, wire: RestOrder, symbols: Symbols) -> Sequence[OrderReport | Fill]:
    return (report_of(exchange, wire, symbols), *part_fills_of(exchange, wire, symbols))
