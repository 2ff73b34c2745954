"""OKX's orders and fills, as the socket and the answers write them, to reports and fills.

Sizes of perpetuals are in contracts there. A fee is negative where it was charged, in any asset: of a spot trade in
what was received. Source: https://www.okx.com/docs-v5/en/#order-book-trading-trade ("Order details", "Transaction
details", "WS / Order channel").
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Raw
from msgspec.json import Decoder

from neuroflux.domain import Fill, Instrument, Liquidity, OrderReport, OrderState, OrderType, Side
from neuroflux.exchanges.kit.rows import Rows, taken
from neuroflux.exchanges.okx.numbers import ZERO, amount, coins, contract_of, time_of
from neuroflux.exchanges.okx.pages import Row
from neuroflux.exchanges.okx.rest import ID

Instruments = Mapping[str, Instrument]

_STATES: Final = {
    "live": OrderState.ACKNOWLEDGED,
    "partially_filled": OrderState.WORKING,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELLED,
    "mmp_canceled": OrderState.CANCELLED,
}
_ENDS: Final = {
    "13": (OrderState.EXPIRED, "fill-or-kill: it could not be filled completely"),
    "14": (OrderState.EXPIRED, "the rest did not match"),
    "15": (OrderState.EXPIRED, "the price is beyond the limit"),
    "31": (OrderState.REJECTED, "post-only: it would have traded at once"),
    "32": (OrderState.CANCELLED, "it would have traded with an order of the same account"),
    "33": (OrderState.EXPIRED, "it would have matched too many orders"),
}
"""By ``cancelSource``: an order is accepted first, and then cancelled for what is a rejection elsewhere."""


class OkxOrder(Row, frozen=True):
    """The fields of a fill are those of the newest one; the socket has its fee too, and sends a row for each fill."""

    instType: str
    instId: str
    ordId: str
    side: Side
    ordType: str
    state: str
    sz: str
    accFillSz: str
    clOrdId: str = ""
    px: str = ""
    avgPx: str = ""
    uTime: str = ""
    tgtCcy: str = ""
    cancelSource: str = ""
    tradeId: str = ""
    fillPx: str = ""
    fillSz: str = ""
    fillTime: str = ""
    fillFee: str | None = None
    fillFeeCcy: str = ""
    execType: str = ""

    @property
    def cursor(self) -> str:
        return self.ordId

    @property
    def is_in_quote(self) -> bool:
        """Whether ``sz`` is an amount of the quote, which the orders of other clients may have."""
        return self.instType == "SPOT" and self.ordType == "market" and self.tgtCcy == "quote_ccy"


class OkxFill(Row, frozen=True):
    instType: str
    instId: str
    tradeId: str
    ordId: str
    fillPx: str
    fillSz: str
    side: Side
    fee: str
    feeCcy: str
    billId: str = ""
    clOrdId: str = ""
    execType: str = ""
    fillTime: str = ""
    ts: str = ""

    @property
    def cursor(self) -> str:
        return self.billId


ORDER: Final = Decoder(OkxOrder)
_FILL: Final = Decoder(OkxFill)


def report_of(wire: OkxOrder, contract: Decimal, listed: Instruments) -> OrderReport:
    """Raises ValueError. A status that is not known is that of an open order, and named in ``reason``."""
    filled, average = coins(wire.accFillSz, contract), amount(wire.avgPx)
    state, reason = _state(wire, filled)
    return OrderReport(
        exchange=ID,
        symbol=symbol_of(wire.instId, listed),
        client_order_id=wire.clOrdId,
        exchange_order_id=wire.ordId,
        side=wire.side,
        type=OrderType.MARKET if wire.ordType == "market" else OrderType.LIMIT,
        price=amount(wire.px),
        quantity=filled if wire.is_in_quote else coins(wire.sz, contract),
        filled_quantity=filled,
        average_price=average if average or not filled else None,
        state=state,
        reason=reason,
        event_time=time_of(wire.uTime),
    )


def _state(wire: OkxOrder, filled: Decimal) -> tuple[OrderState, str]:
    state = _STATES.get(wire.state)
    if state is None:
        return OrderState.WORKING, f"unknown status {wire.state[:80]!r}"
    if state is OrderState.CANCELLED:
        why = f"cancelSource {wire.cancelSource[:80]}" if wire.cancelSource else ""
        return _ENDS.get(wire.cancelSource, (state, why))
    return (OrderState.WORKING if state is OrderState.ACKNOWLEDGED and filled else state), ""


def symbol_of(name: str, listed: Instruments) -> str:
    return listed[name].symbol if name in listed else name


def own_fill(wire: OkxOrder, contract: Decimal, listed: Instruments) -> Fill | None:
    """The fill that a row of the socket reports; None where it reports none, or not what it cost."""
    if not wire.tradeId or not wire.fillFeeCcy or wire.fillFee is None:
        return None
    paid = wire.fillFee, wire.fillFeeCcy, wire.execType, wire.fillTime or wire.uTime
    return _fill(wire, wire.tradeId, paid, contract, listed)


def fill_of(wire: OkxFill, contract: Decimal, listed: Instruments) -> Fill:
    """Raises ValueError."""
    paid = wire.fee, wire.feeCcy, wire.execType, wire.fillTime or wire.ts
    return _fill(wire, wire.tradeId, paid, contract, listed)


def _fill(
    wire: OkxOrder | OkxFill, trade: str, paid: tuple[str, str, str, str], contract: Decimal, listed: Instruments
) -> Fill:
    fee, asset, role, time = paid
    return Fill(
        order_id="",
        exchange=ID,
        symbol=symbol_of(wire.instId, listed),
        client_order_id=wire.clOrdId,
        exchange_order_id=wire.ordId,
        trade_id=trade,
        side=wire.side,
        price=amount(wire.fillPx),
        quantity=coins(wire.fillSz, contract),
        fee=-amount(fee) or ZERO,
        fee_asset=asset,
        liquidity=Liquidity.MAKER if role == "M" else Liquidity.TAKER,
        event_time=time_of(time),
        name=wire.instId,
    )


# ── lists ────────────────────────────────────────────────────────────────────────────────────────────────────────


def orders_in(data: bytes | Raw, listed: Instruments) -> tuple[list[OrderReport], Rows[OkxOrder]]:
    """The orders of an answer; those of products that are not offered here are left out."""
    found = list[OrderReport]()

    def take(wire: OkxOrder) -> None:
        contract = contract_of(wire.instType, wire.instId, listed)
        if contract is not None:
            found.append(report_of(wire, contract, listed))

    return found, taken(data, ORDER.decode, take)


def fills_in(data: bytes | Raw, listed: Instruments) -> tuple[list[Fill], Rows[OkxFill]]:
    """The same for fills. A row without a trade is a settlement."""
    found = list[Fill]()

    def take(wire: OkxFill) -> None:
        contract = contract_of(wire.instType, wire.instId, listed)
        if contract is not None and wire.tradeId:
            found.append(fill_of(wire, contract, listed))

    return found, taken(data, _FILL.decode, take)
