"""Attempts from the decision to the request: begun, sent, too late, decided again. Rules 3 and 4 of machine.py."""

from __future__ import annotations

from msgspec.structs import replace

from neuroflux.domain import CommandKind, Microseconds, OrderState, OrderType, Placement
from neuroflux.engine.orders.attempts import Handled, moved, put, too_late
from neuroflux.engine.orders.cancels import has_enough
from neuroflux.engine.orders.effects import Effect, Publish, RequestDecision, RequestSend, Send
from neuroflux.engine.orders.inputs import Decided, Sending
from neuroflux.engine.orders.state import Attempt, Leg, Order, Phase
from neuroflux.engine.orders.table import ANSWER_WITHIN, FRESH_FOR, MAX_ATTEMPTS, SECOND, SEND_WITHIN, Input


def decided(order: Order, given: Decided, now: Microseconds) -> Handled:
    """Take the first decision, or a new one while nothing was sent, given up or cancelled."""
    if order.state.final or order.cancel_asked or not _is_unsent(order) or _stays_waiting(order, given.legs, now):
        return order, []
    reason = given.decision.reason
    effects: list[Effect] = [Publish(given.decision)]
    if not given.legs:
        return replace(order, state=OrderState.REFUSED, decided_at=now, legs=(), attempts=(), reason=reason), effects
    routed = replace(order, state=OrderState.ROUTED, decided_at=now, legs=given.legs, attempts=(), reason=reason)
    return routed, effects


def _stays_waiting(order: Order, legs: tuple[Leg, ...], now: Microseconds) -> bool:
    """Whether an order that an exchange asked to wait keeps waiting: no other takes it, and it can be sent in time.

    A pair that can't be sent now is refused: both legs are sent or neither.
    """
    waiting = [attempt for attempt in order.attempts if attempt.ask_at > now]
    exchanges = {order.legs[attempt.leg].instrument.exchange for attempt in waiting}
    if legs:
        return any(leg.instrument.exchange in exchanges for leg in legs)
    in_time = any(attempt.ask_at <= order.legs[attempt.leg].decided_at + SEND_WITHIN for attempt in waiting)
    return in_time and order.command.kind is not CommandKind.PAIR


def _is_unsent(order: Order) -> bool:
    return all(attempt.phase is Phase.ROUTED and not attempt.number for attempt in order.attempts)


def sending(order: Order, given: Sending, now: Microseconds) -> Handled:
    attempt, leg = _waiting(order, given.leg), given.leg
    if attempt is None:
        return order, []  # cancelled, expired, or decided again, while it waited for its rate limit
    if now > order.legs[leg].decided_at + SEND_WITHIN:
        return too_late(order, attempt, now)
    if is_stale(order, attempt, now):
        return decide_again(order, attempt, f"not sent within {FRESH_FOR // SECOND} s of the decision", now)
    sent = replace(
        attempt,
        phase=Phase.SENDING,
        client_order_id=given.client_order_id,
        sent_at=now,
        settled_after=given.settled_after,
        ask_at=now + ANSWER_WITHIN,
    )
    return put(order, sent), [Send(_placement(order, sent))]


def _waiting(order: Order, leg: int) -> Attempt | None:
    """The attempt of a leg that waits to be sent, if any."""
    last = order.last_of(leg)
    return last if last is not None and last.phase is Phase.ROUTED else None


def _placement(order: Order, attempt: Attempt) -> Placement:
    leg = order.legs[attempt.leg]
    return Placement(
        leg.instrument,
        attempt.client_order_id,
        leg.side,
        OrderType.LIMIT,
        leg.quantity,
        leg.price,
        leg.time_in_force,
        leg.reduces,
    )


def is_stale(order: Order, attempt: Attempt, now: Microseconds) -> bool:
    """Whether the books that a leg was decided by are too old to send it; a rebalance has its own price bounds."""
    bounded = order.command.kind is CommandKind.REBALANCE and not _is_unsent(order)
    return not (attempt.number or bounded) and now > order.legs[attempt.leg].decided_at + FRESH_FOR


def decide_again(order: Order, attempt: Attempt, why: str, now: Microseconds) -> Handled:
    if not _is_unsent(order):
        return moved(put(order, old := replace(attempt, is_stale=True)), old, Input.LATE, now, why)
    return too_late(order, attempt, now) if now > order.received_at + SEND_WITHIN else (order, [RequestDecision()])


def given_up(order: Order, leg: int, why: str, now: Microseconds) -> Handled:
    attempt = _waiting(order, leg)
    return (order, []) if attempt is None else moved(order, attempt, Input.GIVEN_UP, now, why)


def next_stage(order: Order) -> Handled:
    """Begin the next stage's legs when all earlier ones have ended; of a cancelled order, hedges only."""
    waiting = [number for number in range(len(order.legs)) if not any(order.of_leg(number))]
    if not waiting or not all(attempt.settled for attempt in order.attempts):
        return order, []
    if order.cancel_asked and not order.hedges:
        return order, []
    stage = min(order.legs[number].stage for number in waiting)
    begun = [number for number in waiting if order.legs[number].stage == stage]
    order = replace(order, attempts=order.attempts + tuple(Attempt(number, 0) for number in begun))
    return order, [RequestSend(number) for number in begun]


def next_attempts(order: Order, now: Microseconds) -> Handled:
    """Begin the next attempt of each leg whose last one never reached the exchange: rule 4."""
    effects: list[Effect] = []
    for leg, last in sorted(order.last.items()):
        unwanted = order.cancel_asked or leg in order.abandoned or has_enough(order)
        over = order.state.final or unwanted or now > order.decided_at + SEND_WITHIN
        if last.phase is Phase.ABSENT and not over and last.number + 1 < MAX_ATTEMPTS:
            order = replace(order, attempts=(*order.attempts, Attempt(leg, last.number + 1)))
            effects.append(RequestSend(leg))
    return order, effects
