"""How much of a pair stood on one leg, and for how long."""

from __future__ import annotations

from decimal import Decimal

from neuroflux.domain import CommandKind, Side
from neuroflux.engine.order_state import ZERO, Order


def naked(order: Order) -> tuple[float, float]:
    """The largest value in USD that was bought and not sold, or sold and not bought, and the milliseconds with any.

    By the exchanges' own times of the fills, so both are as exact as their clocks agree. Nothing for what is no pair.
    """
    if order.command.kind is not CommandKind.PAIR:
        return 0.0, 0.0
    largest, span, open_since, net = ZERO, 0, 0, ZERO
    for time, quantity, value in _flows(order):
        was, net = net, net + quantity
        largest = max(largest, abs(net) * value)
        if not was and net:
            open_since = time
        elif was and not net:
            span += time - open_since
    return float(largest), span / 1e3


def _flows(order: Order) -> list[tuple[int, Decimal, Decimal]]:
    """Time, signed quantity in units of the base, and USD a unit, of every fill in the order of their times."""
    flows = []
    for attempt in order.attempts:
        leg = order.legs[attempt.leg]
        sign = 1 if leg.side is Side.BUY else -1
        for fill in attempt.fills:
            unit = fill.price * Decimal(str(leg.rate)) / leg.instrument.multiplier
            flows.append((fill.event_time, sign * fill.quantity * leg.instrument.multiplier, unit))
    return sorted(flows)
