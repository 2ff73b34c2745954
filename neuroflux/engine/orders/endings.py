"""The end of an order, once all of its attempts are settled. Rule 7 of engine/orders/machine.py."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from neuroflux.domain import CommandKind, Microseconds, OrderState
from neuroflux.engine.orders.hedges import is_naked
from neuroflux.engine.orders.rerouting import is_short
from neuroflux.engine.orders.state import Order, Phase


def at_its_end(order: Order, now: Microseconds) -> Order:
    if order.state.final or not order.attempts or not all(attempt.settled for attempt in order.attempts):
        return order
    if is_naked(order) or is_short(order, now):
        return order
    last = [attempt for _, attempt in sorted(order.last.items())]
    state = _final_state(order, {attempt.phase for attempt in last})
    reasons = "; ".join(dict.fromkeys(attempt.reason for attempt in last if attempt.reason))
    reason = "; ".join(filter(None, (order.cancel_asked or reasons, order.left_open, order.stuck)))
    return replace(order, state=state, reason=reason)


def _final_state(order: Order, phases: set[Phase]) -> OrderState:
    if _is_full(order):
        return OrderState.FILLED
    if phases == {Phase.REJECTED}:
        return OrderState.REJECTED
    if order.cancel_asked or Phase.CANCELLED in phases:
        return OrderState.CANCELLED
    return OrderState.EXPIRED


def _is_full(order: Order) -> bool:
    """Whether every leg is filled, or others filled its rest; for a pair, whether both sides are filled."""
    if order.command.kind is CommandKind.PAIR:
        first = [leg.quantity * leg.instrument.multiplier for leg in order.legs if leg.stage == 0]
        return order.filled >= max(first)
    if order.reroutes:
        return order.filled >= sum(
            (x.quantity * x.instrument.multiplier for x in order.legs if x.stage == 0), Decimal(0)
        )
    sums = [sum((a.filled for a in order.of_leg(number)), Decimal(0)) for number in range(len(order.legs))]
    return all(filled >= leg.quantity for filled, leg in zip(sums, order.legs, strict=True))
