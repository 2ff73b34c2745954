"""Hedges of a pair whose sides filled differently. Rule 8 of engine/orders/machine.py."""

from __future__ import annotations

from msgspec.structs import replace

from neuroflux.domain import CommandKind, Microseconds, OrderState
from neuroflux.engine.orders.attempts import Handled
from neuroflux.engine.orders.effects import RequestHedge
from neuroflux.engine.orders.inputs import Hedged
from neuroflux.engine.orders.state import Attempt, Order
from neuroflux.engine.orders.table import HEDGE_AGAIN, HEDGE_LATEST, MAX_HEDGES


def is_hedge(order: Order, attempt: Attempt) -> bool:
    return order.command.kind is CommandKind.PAIR and order.legs[attempt.leg].stage > 0


def is_naked(order: Order) -> bool:
    """Whether one side of a pair filled more than the other, no attempt is open, and a hedge is possible."""
    if order.command.kind is not CommandKind.PAIR or order.state.final or order.left_open or not order.attempts:
        return False
    begun = {attempt.leg for attempt in order.attempts}
    waits = len(begun) < len(order.legs) and not order.cancel_asked
    return not waits and all(attempt.settled for attempt in order.attempts) and order.net != 0


def request_hedge(order: Order, now: Microseconds) -> Handled:
    if not is_naked(order) or order.hedge_at > now:
        return order, []
    return replace(order, hedge_at=now + max(HEDGE_AGAIN, _hedge_pause(order))), [RequestHedge()]


def hedged(order: Order, given: Hedged, now: Microseconds) -> Handled:
    """Add the hedge as further legs; without one it is tried again later, or the difference is left open."""
    if not is_naked(order):
        return order, []
    tries = order.hedges + 1
    order = replace(order, hedges=tries, hedge_at=now + _hedge_pause(order))
    if given.legs and tries <= MAX_HEDGES:
        stage = 1 + max(leg.stage for leg in order.legs)
        more = tuple(replace(leg, stage=stage) for leg in given.legs)
        return replace(order, legs=order.legs + more), []
    if given.over or tries >= MAX_HEDGES:
        why = given.reason or f"{MAX_HEDGES} hedges did not fill"
        return replace(order, left_open=f"{order.net.normalize():f} left open: {why}"), []
    return order, []


def _hedge_pause(order: Order) -> Microseconds:
    return min(HEDGE_AGAIN * order.hedges, HEDGE_LATEST)


def reopened(before: Order, after: Order) -> Order:
    """Reopen a pair that was filled after its end: it is hedged like any other."""
    if not before.state.final or after.net == before.net or after.command.kind is not CommandKind.PAIR:
        return after
    return replace(after, state=OrderState.ROUTED, hedges=0, hedge_at=0, left_open="")
