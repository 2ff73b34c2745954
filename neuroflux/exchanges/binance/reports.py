"""Binance's pushes about orders, spot and USDⓈ-M, to ours: reports, fills, and statuses for unknown values."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from neuroflux.domain import ExchangeStatus, Fill, Liquidity, Microseconds, OrderReport
from neuroflux.exchanges.binance.codes import expiry
from neuroflux.exchanges.binance.messages import ExecutionReport, FuturesOrder, microseconds
from neuroflux.exchanges.binance.orders import (
    ZERO,
    Symbols,
    average_price,
    order_type,
    prevented,
    side,
    state,
    trade_id,
    unknown_status,
    unless_none,
)
from neuroflux.exchanges.kit.rows import unknown

FILLING: Final = frozenset({"TRADE", "CALCULATED"})
"""Execution types that are a fill; CALCULATED is that of a liquidation."""
_OTHERS: Final = frozenset(
    {
        "NEW",
        "PENDING_NEW",
        "CANCELED",
        "PENDING_CANCEL",
        "REPLACED",
        "REJECTED",
        "EXPIRED",
        "TRADE_PREVENTION",
        "AMENDMENT",
    }
)
_BY_THE_EXCHANGE: Final = (
    ("autoclose-", "liquidation"),
    ("adl_autoclose", "auto-deleveraging"),
    ("settlement_autoclose-", "settlement of the contract"),
    ("delivery_autoclose-", "settlement of the contract"),
)
"""How the client ids of orders begin that the exchange itself placed for the account."""

Event = OrderReport | Fill | ExchangeStatus


def spot_events(exchange: str, wire: ExecutionReport, symbols: Symbols, client_order_id: str) -> Sequence[Event]:
    """``client_order_id`` is the order's own: ``c`` of a cancelled order is the cancel's id."""
    symbol, time = symbols.get(wire.s, wire.s), microseconds(wire.T)
    report = OrderReport(
        exchange,
        symbol,
        client_order_id,
        str(wire.i),
        side(wire.S),
        order_type(wire.o, wire.p),
        wire.p or wire.gp or ZERO,
        wire.q,
        wire.z,
        average_price(wire.z, None, wire.Z),
        state(wire.X, wire.q, wire.z),
        _first(unknown_status(wire.X), unless_none(wire.r), unless_none(wire.eR), _prevented(wire)),
        time,
    )
    odd = _unknowns(exchange, wire.s, wire.x, wire.X, time)
    if wire.x not in FILLING or not wire.l:
        return (report, *odd)
    number = trade_id(wire.t, wire.a)
    return (report, _fill(exchange, wire, symbol, client_order_id, number, time), *odd)


def futures_events(exchange: str, wire: FuturesOrder, symbols: Symbols) -> Sequence[Event]:
    """Also of what the exchange closed for the account, whose client id names the reason.

    A fill without a trade id is left out: it could not be recognised in a list of fills.
    """
    symbol, time = symbols.get(wire.s, wire.s), microseconds(wire.T)
    report = OrderReport(
        exchange,
        symbol,
        wire.c,
        str(wire.i),
        side(wire.S),
        order_type(wire.o, wire.p),
        wire.p,
        wire.q,
        wire.z,
        average_price(wire.z, wire.ap, None),
        state(wire.X, wire.q, wire.z),
        _first(unknown_status(wire.X), expiry(wire.er), prevented(wire.X), _own_doing(wire.c)),
        time,
    )
    odd = _unknowns(exchange, wire.s, wire.x, wire.X, time)
    if wire.x not in FILLING or not wire.l or wire.t <= 0:
        return (report, *odd)
    return (report, _fill(exchange, wire, symbol, wire.c, str(wire.t), time), *odd)


def _fill(
    exchange: str,
    wire: ExecutionReport | FuturesOrder,
    symbol: str,
    client_order_id: str,
    number: str,
    time: Microseconds,
) -> Fill:
    liquidity = Liquidity.MAKER if wire.m else Liquidity.TAKER
    fee: Decimal = wire.n if wire.n is not None else ZERO
    executed = (side(wire.S), wire.L, wire.l, fee, wire.N or "", liquidity, time)
    return Fill("", exchange, symbol, client_order_id, str(wire.i), number, *executed, name=wire.s)


def _unknowns(exchange: str, name: str, execution: str, status: str, time: Microseconds) -> Sequence[ExchangeStatus]:
    """The values of a report that are in no list."""
    odd = [("status", status)] if unknown_status(status) else []
    odd += [("execution type", execution)] if execution not in FILLING | _OTHERS else []
    return [unknown(exchange, f"order of {name}: {what} {word[:80]!r} is not known", time) for what, word in odd]


def _first(*reasons: str) -> str:
    return next((reason for reason in reasons if reason), "")


def _prevented(wire: ExecutionReport) -> str:
    is_prevented = "TRADE_PREVENTION" in (wire.x, wire.X) or wire.X == "EXPIRED_IN_MATCH"
    return f"self-trade prevention: {wire.V}" if is_prevented else ""


def _own_doing(client_order_id: str) -> str:
    return next((why for start, why in _BY_THE_EXCHANGE if client_order_id.startswith(start)), "")
