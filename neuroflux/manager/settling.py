"""What orders came to, from their fills: money in USD by the live rates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from neuroflux.domain import Fill, Microseconds, Side
from neuroflux.manager.mirror import Mirror


class Settled(Struct, frozen=True):
    """USD: what was paid, what was brought in, and the fees. ``unpriced`` assets had no rate and are in no sum."""

    paid: float
    brought: float
    fees: float
    unpriced: tuple[str, ...]

    @property
    def profit(self) -> float:
        return self.brought - self.paid - self.fees


def settled(mirror: Mirror, fills: Iterable[Fill], now: Microseconds) -> Settled:
    """Sum the fills up; each in its instrument's quote, each fee in its own asset."""
    sums = {Side.BUY: 0.0, Side.SELL: 0.0}
    fees, unpriced = 0.0, dict[str, None]()
    for fill in fills:
        value, quote = float(fill.price * fill.quantity), quote_of(mirror, fill)
        for asset, amount in ((quote, value), (fill.fee_asset, float(fill.fee))):
            if amount and mirror.rate(asset, now) is None:
                unpriced[asset] = None
        sums[fill.side] += value * _usd(mirror, quote, now)
        fees += float(fill.fee) * _usd(mirror, fill.fee_asset, now)
    return Settled(sums[Side.BUY], sums[Side.SELL], fees, tuple(unpriced))


def quote_of(mirror: Mirror, fill: Fill) -> str:
    """The asset that a fill is priced in; "" for an instrument that nobody lists any more."""
    instrument = mirror.instrument(fill.exchange, fill.symbol)
    return instrument.quote if instrument is not None else ""


def _usd(mirror: Mirror, asset: str, now: Microseconds) -> float:
    rate = mirror.rate(asset, now)
    return rate.mid if rate is not None else 0.0


def legs(fills: Iterable[Fill]) -> list[dict[str, Any]]:
    """By exchange, symbol and side: quantity, average price in the quote, and fees by asset."""
    found: dict[tuple[str, str, str], list[Fill]] = {}
    for fill in fills:
        found.setdefault((fill.exchange, fill.symbol, fill.side.value), []).append(fill)
    return [_leg(*name, parts) for name, parts in found.items()]


def _leg(exchange: str, symbol: str, side: str, fills: list[Fill]) -> dict[str, Any]:
    quantity = sum(fill.quantity for fill in fills)
    fees: dict[str, float] = {}
    for fill in fills:
        fees[fill.fee_asset] = fees.get(fill.fee_asset, 0.0) + float(fill.fee)
    return {
        "exchange": exchange,
        "symbol": symbol,
        "side": side,
        "quantity": float(quantity),
        "average_price": float(sum(fill.price * fill.quantity for fill in fills) / quantity),
        "fees": fees,
        "trades": [fill.trade_id for fill in fills],
    }
