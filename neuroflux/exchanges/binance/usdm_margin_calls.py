"""Margin calls of USDⓈ-M: which positions are close to their liquidation, for a person to read.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Event-Margin-Call.
The exchange calls it guidance: a position may have been liquidated when the event arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.exchanges.binance.messages import Time, microseconds
from neuroflux.exchanges.binance.orders import Symbols
from neuroflux.exchanges.kit.rows import Rows


class MarginCall(Struct, frozen=True):
    """``cw`` is the cross wallet, sent with cross positions alone; rows are ``_Called``."""

    E: Time
    p: list[Raw] = []
    cw: str = ""


class _Called(Struct, frozen=True):
    """``pa`` is the quantity, ``mp`` the mark price, ``up`` the unrealised profit, ``mm`` the maintenance margin."""

    s: str
    pa: Decimal
    up: Decimal
    mm: Decimal
    mp: Decimal | None = None
    ps: str = "BOTH"


_ROW: Final = Decoder(_Called)


def margin_call(exchange: str, wire: MarginCall, symbols: Symbols) -> Sequence[ExchangeStatus]:
    """One status for each position, or one for the account where none is named."""
    time, found = microseconds(wire.E), Rows(wire.p, _ROW.decode)
    calls = [_status(exchange, _detail(one), symbols.get(one.s, one.s), time) for one in found.good]
    if not wire.p:
        calls = [_status(exchange, f"margin call: cross wallet {wire.cw[:40] or 'not said'}", "", time)]
    return [*calls, *found.statuses(exchange, "margin call", time)]


def _detail(one: _Called) -> str:
    side = "" if one.ps == "BOTH" else f" {one.ps[:10]}"
    mark = "" if one.mp is None else f" at a mark price of {one.mp:f}"
    held = f"{one.s}{side} {one.pa:f}{mark}"
    return f"margin call: {held}, unrealised profit {one.up:f}, maintenance margin {one.mm:f}"


def _status(exchange: str, detail: str, symbol: str, time: Microseconds) -> ExchangeStatus:
    return ExchangeStatus(exchange, "account", StatusKind.MARGIN, 0.0, detail, time, symbol)
