"""The money paid and received by fills, and the cost of closing the positions, in USD at live rates."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from math import fsum, nan
from typing import Any

from msgspec import Struct

from neuroflux.domain import Fill, Instrument, InstrumentKind, Microseconds, Side
from neuroflux.engine.markets.costs import closing_cost, mid_of
from neuroflux.manager.view import View


class FillSums(Struct, frozen=True):
    """USD paid, USD received, and the fees; ``nan`` if an asset is ``unpriced``."""

    paid: float
    received: float
    fees: float
    unpriced: tuple[str, ...]

    @property
    def profit(self) -> float:
        return self.received - self.paid - self.fees


def sum_fills(view: View, fills: Iterable[Fill], now: Microseconds) -> FillSums:
    """Sum the fills, each in its instrument's quote, each fee in its own asset."""
    sums = {Side.BUY: 0.0, Side.SELL: 0.0}
    fees, unpriced = 0.0, dict[str, None]()
    for fill in fills:
        value, quote = float(fill.price * fill.quantity), quote_of(view, fill)
        for asset, amount in ((quote, value), (fill.fee_asset, float(fill.fee))):
            if amount and view.rate(asset, now) is None:
                unpriced[asset] = None
        sums[fill.side] += value * _usd(view, quote, now)
        fees += float(fill.fee) * _usd(view, fill.fee_asset, now) if fill.fee else 0.0
    return FillSums(sums[Side.BUY], sums[Side.SELL], fees, tuple(unpriced))


def close_cost(view: View, fills: Iterable[Fill], now: Microseconds) -> float:
    """Cost in USD of closing what these fills opened, at the current books; ``nan`` if a book or rate is not known.

    0 if only spot was traded: that moves holdings, and no position stays open.
    """
    opened: dict[tuple[str, str], Decimal] = {}
    for fill in fills:
        name = (fill.exchange, fill.symbol)
        opened[name] = opened.get(name, Decimal(0)) + fill.quantity * (1 if fill.side is Side.BUY else -1)
    known = {name: view.instrument(*name) for name in opened}
    if all(one is not None and one.kind is InstrumentKind.SPOT for one in known.values()):
        return 0.0
    return fsum(_close_cost(view, known[name], float(wire), now) for name, wire in opened.items() if wire)


def _close_cost(view: View, instrument: Instrument | None, wire: float, now: Microseconds) -> float:
    book = view.book(instrument) if instrument is not None else None
    rate = view.rate(instrument.quote, now) if instrument is not None else None
    if instrument is None or rate is None or book is None or not book.has_both_sides:
        return nan
    levels = book.bids if wire > 0 else book.asks
    return closing_cost(instrument, mid_of(book), rate, levels, abs(wire) * instrument.multiplier)


def quote_of(view: View, fill: Fill) -> str:
    """The asset that a fill is priced in; "" if its instrument is no longer listed."""
    instrument = view.instrument(fill.exchange, fill.symbol)
    return instrument.quote if instrument is not None else ""


def _usd(view: View, asset: str, now: Microseconds) -> float:
    rate = view.rate(asset, now)
    return rate.mid if rate is not None else nan


def legs(view: View, fills: Iterable[Fill]) -> list[dict[str, Any]]:
    """By exchange, symbol and side: quantity in units of the base, average price of one in the quote, fees by asset."""
    found: dict[tuple[str, str, str], list[Fill]] = {}
    for fill in fills:
        found.setdefault((fill.exchange, fill.symbol, fill.side.value), []).append(fill)
    return [_leg(view, *name, parts) for name, parts in found.items()]


def _leg(view: View, exchange: str, symbol: str, side: str, fills: list[Fill]) -> dict[str, Any]:
    instrument = view.instrument(exchange, symbol)
    multiplier = float(instrument.multiplier) if instrument is not None else nan
    quantity = sum(fill.quantity for fill in fills)
    fees: dict[str, float] = {}
    for fill in fills:
        fees[fill.fee_asset] = fees.get(fill.fee_asset, 0.0) + float(fill.fee)
    return {
        "exchange": exchange,
        "symbol": symbol,
        "side": side,
        "quantity": float(quantity) * multiplier,
        "average_price": float(sum(fill.price * fill.quantity for fill in fills) / quantity) / multiplier,
        "currency": instrument.quote if instrument is not None else "",
        "fees": fees,
        "trades": [fill.trade_id for fill in fills],
    }
