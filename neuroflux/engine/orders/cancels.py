"""Attempts that are not to be filled (any more): dropped while unsent, cancelled on the exchange while open."""

from __future__ import annotations

from msgspec.structs import replace

from neuroflux.domain import CommandKind, Microseconds
from neuroflux.engine.orders.attempts import Handled, moved, put, unanswered, with_fresh_queries
from neuroflux.engine.orders.effects import Cancel, Effect, Publish
from neuroflux.engine.orders.events import order_event
from neuroflux.engine.orders.hedges import is_hedge
from neuroflux.engine.orders.state import Attempt, Order, Phase
from neuroflux.engine.orders.table import CANCEL_AGAIN, CANCELS_QUICK, MAX_CANCELS, SLOW, Input


def cancel_requested(order: Order, why: str, now: Microseconds) -> Handled:
    if order.state.final:
        return order, [Publish(order_event(order, now, f"nothing to cancel: the order is {order.state}"))]
    return replace(with_fresh_queries(order), cancel_asked=order.cancel_asked or why or "cancelled"), []


def dropped(order: Order, now: Microseconds) -> Order:
    """Drop the unsent attempts of a cancelled or filled order, except for a pair's hedges."""
    why = order.cancel_asked or ("the whole quantity is filled" if has_enough(order) else "")
    for attempt in order.attempts if why else ():
        if attempt.phase is Phase.ROUTED and not is_hedge(order, attempt):
            order, _ = moved(order, attempt, Input.DROP, now, why)
    return order


def cancel_unwanted(order: Order, now: Microseconds) -> Handled:
    """Cancel the attempts that are open on an exchange and not to be filled (any more)."""
    effects: list[Effect] = []
    for attempt in order.attempts:
        is_open = attempt.phase in (Phase.ACKNOWLEDGED, Phase.WORKING)
        if not (is_open and _is_unwanted(order, attempt)) or attempt.is_unanswered:
            continue
        pause = CANCEL_AGAIN if attempt.cancels < CANCELS_QUICK else SLOW
        if now < attempt.cancelled_at + pause:
            continue
        if attempt.cancels >= MAX_CANCELS:
            order, more = unanswered(order, attempt, f"still open after {attempt.cancels} cancels", now)
            effects += more
            continue
        order = put(order, replace(attempt, cancelled_at=now, ask_at=now + pause, cancels=attempt.cancels + 1))
        effects.append(Cancel(order.legs[attempt.leg].instrument, attempt.client_order_id))
    return order, effects


def _is_unwanted(order: Order, attempt: Attempt) -> bool:
    """Whether the open part of an attempt is not to be filled (any more)."""
    ends = order.cancel_asked or order.state.final or attempt.leg in order.abandoned
    return bool(ends) or _is_replaced(order, attempt) or has_enough(order)


def _is_replaced(order: Order, attempt: Attempt) -> bool:
    """Whether another attempt was sent in its place, as it was taken for absent: the leg's next attempt, or a leg of a
    later stage, which begins only after all earlier ones have ended.
    """
    stage = order.legs[attempt.leg].stage
    return any(
        order.legs[other.leg].stage > stage or (other.leg == attempt.leg and other.number > attempt.number)
        for other in order.attempts
    )


def has_enough(order: Order) -> bool:
    """Whether the order's quantity is filled, late fills included; any other open attempt would exceed it."""
    return order.command.kind is CommandKind.PLACE and order.filled >= order.quantity
