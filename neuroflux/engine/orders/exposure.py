"""How much of a pair was filled on one leg only, and for how long."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from neuroflux.domain import CommandKind, Microseconds, Side
from neuroflux.engine.orders.state import ZERO, Order

DUST_USD: Final = 25.0
"""An exposure below this may be too small to trade on some exchange: it is reported, but raises no alarm."""


class Exposure(Struct, frozen=True):
    """A pair's one-sided exposure: ``largest`` (USD) and ``span`` (µs) over its life, ``usd`` and ``since`` now."""

    largest: float = 0.0
    span: Microseconds = 0
    usd: float = 0.0
    since: Microseconds = 0


def exposure(order: Order, now: Microseconds) -> Exposure:
    """What a pair bought and has not sold, or the reverse; none for an order of another kind.

    Times are when each fill was received here, since two exchanges' clocks do not agree. What is still open, or was
    left open, counts until ``now``.
    """
    if order.command.kind is not CommandKind.PAIR:
        return Exposure()
    largest, span, since, net, unit = ZERO, 0, 0, ZERO, ZERO
    for time, quantity, unit in _flows(order):
        was, net = net, net + quantity
        largest = max(largest, abs(net) * unit)
        if not was and net:
            since = time
        elif was and not net:
            span += time - since
    if not net:
        return Exposure(float(largest), span)
    return Exposure(float(largest), span + max(0, now - since), float(abs(net) * unit), since)


def _flows(order: Order) -> list[tuple[int, Decimal, Decimal]]:
    """Of every fill, sorted by time: our time, signed quantity in units of the base, and USD per unit.

    A quantity that the exchange reported filled, but without a fill, counts at the leg's price.
    """
    flows = []
    for attempt in order.attempts:
        leg = order.legs[attempt.leg]
        sign = 1 if leg.side is Side.BUY else -1
        unknown = (attempt.heard_at,) * (len(attempt.fills) - len(attempt.fills_at))  # of an older release's journal
        for fill, at in zip(attempt.fills, (*attempt.fills_at, *unknown), strict=True):
            unit = fill.price * Decimal(str(leg.rate)) / leg.instrument.multiplier
            flows.append((at, sign * fill.quantity * leg.instrument.multiplier, unit))
        if missing := attempt.filled - attempt.seen:
            unit = leg.price * Decimal(str(leg.rate)) / leg.instrument.multiplier
            flows.append((attempt.filled_at or attempt.heard_at, sign * missing * leg.instrument.multiplier, unit))
    return sorted(flows)
