"""Limits of all our orders together: their number, their rate, the position in one asset, and the daily loss. Pure.

A refusal begins with its rule: ``open orders``, ``order rate``, ``daily loss``, ``position``. A reduction of an
exposure is never refused for its size, and hedges are not checked.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from decimal import Decimal
from math import inf

from msgspec import Struct

from neuroflux.domain import Instrument, InstrumentKind, Side
from neuroflux.domain.symbols import USD_CLASS
from neuroflux.engine.orders.state import Leg, Order
from neuroflux.engine.risk.leverage import outstanding
from neuroflux.engine.risk.limits import NEVER, Limits, Seen

Holding = tuple[str, str]
"""An exchange and an asset."""


class Totals(Struct, frozen=True):
    """The totals of all orders and holdings when a new order arrives.

    ``recent_orders`` were accepted in the last second; ``profit_today_usd`` is None if unknown; ``held`` is the holding
    of an asset on an exchange, in its units, and below 0 if short; ``seen`` is when the holding in an instrument was
    reported.
    """

    open_orders: int = 0
    recent_orders: int = 0
    profit_today_usd: float | None = 0.0
    held: Mapping[Holding, Decimal] = {}
    seen: Callable[[Instrument], Seen] = lambda instrument: NEVER


def totals_fault(totals: Totals, limits: Limits) -> str:
    """Why no new order may be accepted at all, or ""."""
    if totals.open_orders >= limits.max_open_orders:
        return f"open orders: {totals.open_orders} are open, {limits.max_open_orders:g} are allowed"
    if totals.recent_orders >= limits.max_orders_per_second:
        return f"order rate: {totals.recent_orders} in the last second, {limits.max_orders_per_second:g} are allowed"
    return _loss_fault(totals.profit_today_usd, limits.max_daily_loss_usd)


def _loss_fault(profit_usd: float | None, most_usd: float) -> str:
    if profit_usd is None:
        unknown = "unknown: something that was traded today has no fresh price or rate"
        return f"daily loss: {unknown}" if most_usd < inf else ""
    if -profit_usd <= most_usd:
        return ""
    return f"daily loss: {-profit_usd:,.2f} USD were lost today, {most_usd:,.2f} USD are allowed"


def is_holding(instrument: Instrument, side: Side) -> bool:
    """Whether an order of this side turns a held asset into money: a sale on a spot market."""
    sells = side is Side.SELL and instrument.kind is InstrumentKind.SPOT
    return sells and instrument.quote in USD_CLASS and instrument.base not in USD_CLASS


def shrinks(leg: Leg) -> bool:
    """Whether a leg only reduces a holding: a position, or an asset."""
    return leg.reduces or is_holding(leg.instrument, leg.side)


def position_fault(legs: Iterable[Leg], totals: Totals, orders: Iterable[Order], limits: Limits) -> str:
    """Why these legs, together with open orders, would exceed the position limit of one asset, or ""."""
    legs = list(legs)
    coming = _under_way(orders, {_holding(leg) for leg in legs}, totals.seen)
    for leg in legs:
        coming[_holding(leg), leg.side] += leg.quantity * leg.instrument.multiplier
    for leg in legs:
        holding, sign = _holding(leg), 1 if leg.side is Side.BUY else -1
        now = totals.held.get(holding, Decimal(0))
        then = now + sign * coming[holding, leg.side]
        price = float(leg.price) * leg.rate / leg.instrument.multiplier
        worth = abs(float(then)) * price
        if abs(then) > abs(now) and worth > limits.max_position_usd:
            position = f"{worth:,.0f} USD of {holding[1]} on {holding[0]}"
            return f"position: it would reach {position}, {limits.max_position_usd:,.0f} USD are allowed"
    return ""


def _under_way(
    orders: Iterable[Order], holdings: Collection[Holding], seen: Callable[[Instrument], Seen]
) -> defaultdict[tuple[Holding, Side], Decimal]:
    """The quantity that orders may still fill, or that is filled and not reported yet, by holding and side, in units of
    the asset.
    """
    found: defaultdict[tuple[Holding, Side], Decimal] = defaultdict(Decimal)
    for order in orders:
        for number, leg in enumerate(order.legs):
            if (holding := _holding(leg)) in holdings:
                quantity = outstanding(order, number, seen(leg.instrument))
                found[holding, leg.side] += quantity * leg.instrument.multiplier
    return found


def _holding(leg: Leg) -> Holding:
    return leg.instrument.exchange, leg.instrument.base
