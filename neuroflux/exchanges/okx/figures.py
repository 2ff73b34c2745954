"""Balances and positions of OKX's unified account, as answers and pushes write them.

A balance's total is its cash, without the unrealised profit of positions. Free is what can be spent: of the available
cash and the available equity, which positions lower, the smaller one. Source:
https://www.okx.com/docs-v5/en/#trading-account-rest-api-get-balance and -get-positions
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import Balance, ExchangeStatus, Microseconds, Position, StatusKind
from neuroflux.exchanges.kit.events import FeedEvent
from neuroflux.exchanges.kit.rows import taken, unknown
from neuroflux.exchanges.okx.modes import HEDGED
from neuroflux.exchanges.okx.numbers import ZERO, amount, coins, contract_of, time_of
from neuroflux.exchanges.okx.orders import Instruments, symbol_of
from neuroflux.exchanges.okx.rest import ID


class _Detail(Struct, frozen=True):
    ccy: str
    cashBal: str
    availBal: str = ""
    availEq: str = ""
    ordFrozen: str = ""


class _Account(Struct, frozen=True):
    details: Raw
    uTime: str = ""


class _Position(Struct, frozen=True):
    """``pos`` is in contracts, and negative for a short one in net mode."""

    instType: str
    instId: str
    pos: str
    posSide: str = "net"
    mgnMode: str = "cross"
    avgPx: str = ""
    upl: str = ""
    uTime: str = ""


_ACCOUNTS: Final = Decoder(list[_Account])
_DETAIL: Final = Decoder(_Detail)
_POSITION: Final = Decoder(_Position)


def balances(data: bytes | Raw, is_pooled: bool, received: Microseconds, *, pushed: bool) -> list[FeedEvent]:
    """The rows of each account: of one, but for a push of several pages. Raises ``UNREADABLE``."""
    events = list[FeedEvent]()
    for account in _ACCOUNTS.decode(data):
        time = time_of(account.uTime) or received if pushed else received
        events += _of(account, is_pooled, time)
    return events


def _of(account: _Account, is_pooled: bool, time: Microseconds) -> list[FeedEvent]:
    found = list[Balance]()
    read = taken(account.details, _DETAIL.decode, lambda one: found.append(_balance(one, is_pooled, time)))
    return [*found, *read.statuses(ID, "balance", time)]


def _balance(wire: _Detail, is_pooled: bool, time: Microseconds) -> Balance:
    """``availEq`` is "" in spot mode."""
    total, in_orders = amount(wire.cashBal), amount(wire.ordFrozen)
    free = min(amount(one) for one in (wire.availBal or wire.cashBal, wire.availEq) if one)
    return Balance(ID, wire.ccy, free, in_orders, total - free - in_orders, total, time, pooled=is_pooled)


def positions(data: bytes | Raw, listed: Instruments, received: Microseconds, *, pushed: bool) -> list[FeedEvent]:
    """Positions on cross margin, one an instrument. Raises ``UNREADABLE``."""
    events = list[FeedEvent]()

    def take(wire: _Position) -> None:
        contract = contract_of(wire.instType, wire.instId, listed)
        if contract is not None and wire.instType == "SWAP":
            time = time_of(wire.uTime) or received if pushed else received
            events.append(_position(wire, contract, listed, time))

    read = taken(data, _POSITION.decode, take)
    return [*events, *read.statuses(ID, "position", received)]


def _position(wire: _Position, contract: Decimal, listed: Instruments, time: Microseconds) -> FeedEvent:
    quantity = coins(wire.pos, contract)
    if quantity and wire.posSide in ("long", "short"):
        detail = f"{wire.instId} has a position by side; {HEDGED}"
        return ExchangeStatus(ID, "account", StatusKind.MODE, 1.0, detail, time)
    if wire.mgnMode != "cross":
        return unknown(ID, f"{wire.instId}: a position on {wire.mgnMode[:80]} margin, which is not counted", time)
    entry, profit = (amount(text) if quantity else ZERO for text in (wire.avgPx, wire.upl))
    return Position(ID, symbol_of(wire.instId, listed), quantity, entry, profit, time)
