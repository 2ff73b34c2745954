"""The order state machine, pure and table-driven: ``step(order, input, now)`` → the new order and its effects.

The rules:

1.  An order has one leg for each instrument that takes a part of it. A leg is placed by successive attempts. Each
    attempt has its own client order id, and changes its phase only by the table in engine/orders/table.py.
2.  State that must survive a crash is journalled before its effect: every step that changes the order begins its
    effects with ``WriteJournal``. An attempt that is SENDING in the journal may have reached the exchange.
3.  An attempt that may have reached the exchange is queried, never sent again. The next attempt begins only when the
    exchange answers that it has no such order, to a query that was made at least ``settled_after`` after the signing:
    by then the request can't arrive any more. An answer to an earlier query proves nothing.
4.  There are at most ``MAX_ATTEMPTS`` attempts, and none later than ``SEND_WITHIN`` after the decision, as its prices
    are too old. An order that waits longer than ``FRESH_FOR`` for its first send is decided again; if the exchange
    itself demands a wait that long, that happens at once. If no other exchange takes the order, it keeps waiting.
5.  Reports never move an order back: a final phase stays, an older report changes nothing, cumulative figures only
    grow.
6.  A fill counts once, by exchange, symbol and trade id, in whatever order fills and reports arrive.
7.  A final attempt is settled when its fills add up to its reported quantity. Missing fills are queried, and given up
    with a reason after ``FILLS_WITHIN``. A leg ends when its attempts are settled, an order when its legs have ended.
8.  A pair ends when as much was sold as was bought. Until then the difference is hedged, at a bounded price and as
    soon as no attempt of the pair is open: on the side that filled less, or back on the side that filled more. After
    ``MAX_HEDGES`` tries, or when the rest is too small to trade, it is left open, and an event says so. A pair that
    is filled after its end is open again.
    An order that was queried ``MAX_QUERIES`` times or cancelled ``MAX_CANCELS`` times without success needs a person:
    an event says so once, its funds stay reserved, and any report of it, a cancel or a restart resumes it.
9.  An input that the table does not allow is a fault: it is published as an event and changes nothing. An attempt that
    was taken for absent and is reported later is a fault too, and is cancelled if another was sent in its place. When
    the order's quantity is filled, other open attempts are cancelled; any excess is stated in the order's events.
10. What an exchange failed to take of an order is rerouted to others: once none of its attempts is open or in doubt,
    never more than is missing, at most ``MAX_REROUTES`` times, and within the bounds of the command.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import Cause, CommandKind, Microseconds, OrderCommand, OrderState, OrderType, Placement
from neuroflux.engine.orders.attempts import (
    Handled,
    answered,
    filled,
    find,
    moved,
    put,
    reported,
    restored,
    ticked,
    too_late,
    unanswered,
    with_fresh_queries,
)
from neuroflux.engine.orders.effects import (
    Cancel,
    Effect,
    Publish,
    RequestDecision,
    RequestHedge,
    RequestReroute,
    RequestSend,
    Send,
    WriteJournal,
)
from neuroflux.engine.orders.events import events, order_event
from neuroflux.engine.orders.inputs import (
    Abandoned,
    Answered,
    CancelRequested,
    Decided,
    FillSeen,
    GivenUp,
    Hedged,
    OrderInput,
    Reported,
    Rerouted,
    Restored,
    Sending,
    Ticked,
)
from neuroflux.engine.orders.rerouting import abandoned, is_short, rerouted
from neuroflux.engine.orders.state import Attempt, Leg, Order, Phase
from neuroflux.engine.orders.table import (
    ANSWER_WITHIN,
    CANCEL_AGAIN,
    CANCELS_QUICK,
    FRESH_FOR,
    HEDGE_AGAIN,
    HEDGE_LATEST,
    MAX_ATTEMPTS,
    MAX_CANCELS,
    MAX_HEDGES,
    SECOND,
    SEND_WITHIN,
    SLOW,
    Input,
)


class Step(Struct, frozen=True):
    order: Order
    effects: tuple[Effect, ...]


def received(command: OrderCommand, source: Cause, now: Microseconds) -> Step:
    """A new order for a command; the decision comes next."""
    order = Order(command=command, source=source, received_at=now)
    return Step(order, (WriteJournal(), Publish(order_event(order, now))))


def step(order: Order, given: OrderInput, now: Microseconds) -> Step:
    """The order after an input, and the effects to perform, in this order. No answer of an exchange makes it raise."""
    after, effects = _handle(order, given, now)
    return _conclude(order, after, effects, now)


def wake_at(order: Order) -> Microseconds | None:
    """The latest time for the next ``Ticked``; None if nothing is due."""
    times = [a.ask_at for a in order.attempts if a.ask_at and not (a.settled or a.is_unanswered)]
    times += [order.legs[a.leg].decided_at + SEND_WITHIN + 1 for a in order.attempts if a.phase is Phase.ROUTED]
    times += [order.hedge_at] if _is_naked(order) else []
    return min(times, default=None)


def encode(order: Order) -> bytes:
    return msgspec.msgpack.encode(order)


def decode(body: bytes) -> Order:
    """Read an order from its journal entry; raises msgspec.MsgspecError if it is not one."""
    return msgspec.msgpack.decode(body, type=Order)


# ── inputs ───────────────────────────────────────────────────────────────────────────────────────────────────────


def _handle(order: Order, given: OrderInput, now: Microseconds) -> Handled:
    match given:
        case Decided():
            return _decided(order, given, now)
        case Sending():
            return _sending(order, given, now)
        case Answered():
            return _answered(order, given, now)
        case Reported(client_order_id, report):
            return _about(order, client_order_id, lambda o, a: reported(o, a, report, now), now)
        case FillSeen(client_order_id, execution):
            return _about(order, client_order_id, lambda o, a: filled(o, a, execution, now), now)
        case CancelRequested(why):
            return _cancel_requested(order, why, now)
        case Hedged():
            return _hedged(order, given, now)
        case Rerouted():
            return rerouted(order, given, now)
        case Abandoned(exchange, why):
            return _abandoned(order, exchange, why, now)
        case GivenUp(leg, why):
            return _given_up(order, leg, why, now)
        case Restored():
            return _each(with_fresh_queries(order), restored, now)
        case Ticked():
            return _each(order, ticked, now)


def _decided(order: Order, given: Decided, now: Microseconds) -> Handled:
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


def _sending(order: Order, given: Sending, now: Microseconds) -> Handled:
    attempt, leg = _waiting(order, given.leg), given.leg
    if attempt is None:
        return order, []  # cancelled, expired, or decided again, while it waited for its rate limit
    if now > order.legs[leg].decided_at + SEND_WITHIN:
        return too_late(order, attempt, now)
    if _is_stale(order, attempt, now):
        return _decide_again(order, attempt, f"not sent within {FRESH_FOR // SECOND} s of the decision", now)
    sent = replace(
        attempt,
        phase=Phase.SENDING,
        client_order_id=given.client_order_id,
        sent_at=now,
        settled_after=given.settled_after,
        ask_at=now + ANSWER_WITHIN,
    )
    return put(order, sent), [Send(_placement(order, sent))]


def _is_stale(order: Order, attempt: Attempt, now: Microseconds) -> bool:
    """Whether the books that a leg was decided by are too old to send it; a rebalance has its own price bounds."""
    bounded = order.command.kind is CommandKind.REBALANCE and not _is_unsent(order)
    return not (attempt.number or bounded) and now > order.legs[attempt.leg].decided_at + FRESH_FOR


def _decide_again(order: Order, attempt: Attempt, why: str, now: Microseconds) -> Handled:
    if not _is_unsent(order):
        return moved(put(order, old := replace(attempt, is_stale=True)), old, Input.LATE, now, why)
    return too_late(order, attempt, now) if now > order.received_at + SEND_WITHIN else (order, [RequestDecision()])


def _answered(order: Order, given: Answered, now: Microseconds) -> Handled:
    """Take an answer. An attempt that must wait longer than its decision is valid is decided again at once.

    Not so for a hedge, which has its own retries, or for a leg that reduces a position, which no other exchange can do.
    """
    order, effects = _about(order, given.client_order_id, lambda o, a: answered(o, a, given, now), now)
    attempt = find(order, given.client_order_id)
    if attempt is None or attempt.phase is not Phase.ROUTED or not _is_stale(order, attempt, attempt.ask_at):
        return order, effects
    if order.cancel_asked or _is_hedge(order, attempt) or order.legs[attempt.leg].reducing:
        return order, effects
    order, more = _decide_again(order, attempt, _outlived(attempt), now)
    return order, effects + more


def _outlived(attempt: Attempt) -> str:
    return f"{attempt.reason}; a decision is valid for {FRESH_FOR // SECOND} s"


def _is_hedge(order: Order, attempt: Attempt) -> bool:
    return order.command.kind is CommandKind.PAIR and order.legs[attempt.leg].stage > 0


def _given_up(order: Order, leg: int, why: str, now: Microseconds) -> Handled:
    attempt = _waiting(order, leg)
    return (order, []) if attempt is None else moved(order, attempt, Input.GIVEN_UP, now, why)


def _waiting(order: Order, leg: int) -> Attempt | None:
    """The attempt of a leg that waits to be sent, if any."""
    last = order.last_of(leg)
    return last if last is not None and last.phase is Phase.ROUTED else None


def _abandoned(order: Order, exchange: str, why: str, now: Microseconds) -> Handled:
    order, effects = abandoned(order, exchange), list[Effect]()
    for leg in order.abandoned:
        order, more = _given_up(order, leg, why, now)
        effects += more
    return order, effects


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


def _cancel_requested(order: Order, why: str, now: Microseconds) -> Handled:
    if order.state.final:
        return order, [Publish(order_event(order, now, f"nothing to cancel: the order is {order.state}"))]
    return replace(with_fresh_queries(order), cancel_asked=order.cancel_asked or why or "cancelled"), []


def _hedged(order: Order, given: Hedged, now: Microseconds) -> Handled:
    """Add the hedge as further legs; without one it is tried again later, or the difference is left open."""
    if not _is_naked(order):
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


# ── consequences ─────────────────────────────────────────────────────────────────────────────────────────────────


def _conclude(before: Order, after: Order, effects: list[Effect], now: Microseconds) -> Step:
    after = _dropped(_reopened(before, after), now)
    after, more = _next_attempts(after, now)
    after, stage = _next_stage(after)
    after, cancels = _cancels(after, now)
    after, hedge = _request_hedge(after, now)
    hedge += [RequestReroute()] if is_short(after, now) else []
    after = _at_its_end(after, now)
    published = [Publish(e) for e in events(before, after, now)]
    journal: list[Effect] = [WriteJournal()] if _durable(before) != _durable(after) else []
    return Step(after, (*journal, *effects, *more, *stage, *cancels, *hedge, *published))


def _reopened(before: Order, after: Order) -> Order:
    """Reopen a pair that was filled after its end: it is hedged like any other."""
    if not before.state.final or after.net == before.net or after.command.kind is not CommandKind.PAIR:
        return after
    return replace(after, state=OrderState.ROUTED, hedges=0, hedge_at=0, left_open="")


def _dropped(order: Order, now: Microseconds) -> Order:
    """Drop the unsent attempts of a cancelled or filled order, except for a pair's hedges."""
    why = order.cancel_asked or ("the whole quantity is filled" if _has_enough(order) else "")
    for attempt in order.attempts if why else ():
        if attempt.phase is Phase.ROUTED and not _is_hedge(order, attempt):
            order, _ = moved(order, attempt, Input.DROP, now, why)
    return order


def _next_stage(order: Order) -> Handled:
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


def _is_naked(order: Order) -> bool:
    """Whether one side of a pair filled more than the other, no attempt is open, and a hedge is possible."""
    if order.command.kind is not CommandKind.PAIR or order.state.final or order.left_open or not order.attempts:
        return False
    begun = {attempt.leg for attempt in order.attempts}
    waits = len(begun) < len(order.legs) and not order.cancel_asked
    return not waits and all(attempt.settled for attempt in order.attempts) and order.net != 0


def _request_hedge(order: Order, now: Microseconds) -> Handled:
    if not _is_naked(order) or order.hedge_at > now:
        return order, []
    return replace(order, hedge_at=now + max(HEDGE_AGAIN, _hedge_pause(order))), [RequestHedge()]


def _hedge_pause(order: Order) -> Microseconds:
    return min(HEDGE_AGAIN * order.hedges, HEDGE_LATEST)


def _next_attempts(order: Order, now: Microseconds) -> Handled:
    """Begin the next attempt of each leg whose last one never reached the exchange: rule 4."""
    effects: list[Effect] = []
    for leg, last in sorted(order.last.items()):
        unwanted = order.cancel_asked or leg in order.abandoned or _has_enough(order)
        over = order.state.final or unwanted or now > order.decided_at + SEND_WITHIN
        if last.phase is Phase.ABSENT and not over and last.number + 1 < MAX_ATTEMPTS:
            order = replace(order, attempts=(*order.attempts, Attempt(leg, last.number + 1)))
            effects.append(RequestSend(leg))
    return order, effects


def _cancels(order: Order, now: Microseconds) -> Handled:
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
    return bool(ends) or _is_replaced(order, attempt) or _has_enough(order)


def _is_replaced(order: Order, attempt: Attempt) -> bool:
    """Whether another attempt was sent in its place, as it was taken for absent: the leg's next attempt, or a leg of a
    later stage, which begins only after all earlier ones have ended.
    """
    stage = order.legs[attempt.leg].stage
    return any(
        order.legs[other.leg].stage > stage or (other.leg == attempt.leg and other.number > attempt.number)
        for other in order.attempts
    )


def _has_enough(order: Order) -> bool:
    """Whether the order's quantity is filled, late fills included; any other open attempt would exceed it."""
    return order.command.kind is CommandKind.PLACE and order.filled >= order.quantity


def _at_its_end(order: Order, now: Microseconds) -> Order:
    if order.state.final or not order.attempts or not all(attempt.settled for attempt in order.attempts):
        return order
    if _is_naked(order) or is_short(order, now):
        return order
    last = [attempt for _, attempt in sorted(order.last.items())]
    state = _final_state(order, {attempt.phase for attempt in last})
    reasons = "; ".join(dict.fromkeys(attempt.reason for attempt in last if attempt.reason))
    reason = "; ".join(filter(None, (order.cancel_asked or reasons, order.left_open, order.stuck)))
    return replace(order, state=state, reason=reason)


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


def _final_state(order: Order, phases: set[Phase]) -> OrderState:
    if _is_full(order):
        return OrderState.FILLED
    if phases == {Phase.REJECTED}:
        return OrderState.REJECTED
    if order.cancel_asked or Phase.CANCELLED in phases:
        return OrderState.CANCELLED
    return OrderState.EXPIRED


def _durable(order: Order) -> Order:
    """The order without its timers: while this is unchanged, the journal needs no new entry."""
    timeless = (replace(a, heard_at=0, asked=0, ask_at=0, cancelled_at=0, cancels=0) for a in order.attempts)
    return replace(order, attempts=tuple(timeless))


def _about(
    order: Order, client_order_id: str, handler: Callable[[Order, Attempt], Handled], now: Microseconds
) -> Handled:
    attempt = find(order, client_order_id)
    if attempt is None:
        text = f"fault: {client_order_id!r} is not an attempt of this order"
        return order, [Publish(order_event(order, now, text))]
    return handler(order, attempt)


def _each(order: Order, handler: Callable[[Order, Attempt, Microseconds], Handled], now: Microseconds) -> Handled:
    effects: list[Effect] = []
    for attempt in order.attempts:
        order, more = handler(order, attempt, now)
        effects += more
    return order, effects
