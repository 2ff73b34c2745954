"""The life of an order as a pure, table-driven machine: ``step(order, what happened, now)`` → the order, what to do.

The rules:

1.  An order has one leg for each instrument that takes a part of it; a leg is placed by attempts, one after another.
    Each attempt has its own client order id, and moves by the table in engine/orders/table.py alone.
2.  What must outlive a crash is written to the journal before its effect: every step that changes the order begins
    its effects with ``WriteJournal``. An attempt that is SENDING in the journal may have arrived.
3.  What may have arrived is asked after, never sent again. The next attempt begins only when the exchange says that it
    has no such order, asked when so much time had passed since it was signed (``settled_after``) that it can't come
    any more; an answer to an earlier question may be late itself, and proves nothing.
4.  At most ``MAX_ATTEMPTS`` attempts, and none later than ``SEND_WITHIN`` after the decision: an old price is no price.
    What waited for longer than ``FRESH_FOR`` to be sent for the first time is decided again, and what an exchange asks
    to wait for so long at once: where nobody else takes it, it goes on waiting.
5.  Reports never lead back: what is final stays, an older report changes nothing, cumulative figures only grow.
6.  A fill counts once, by exchange, symbol and trade id, in whatever order fills and reports come in.
7.  A final attempt is settled when its fills add up to what was reported filled; they are asked for, and after
    ``FILLS_WITHIN`` given up with a reason. A leg is at its end when its attempts are settled, an order when its legs
    are.
8.  A pair is at its end when what was bought was sold. Until then the difference is hedged, at a bounded price and as
    soon as nothing of the pair is under way: on the side that got less, or back on the one that got more. After
    ``MAX_HEDGES`` tries, or when the rest is too small to trade, it is left open and said so. A pair that is filled
    after its end is open again.
    What is asked after in vain, or cancelled in vain, for ``MAX_QUERIES`` or ``MAX_CANCELS`` times is a person's: it is
    said once, its funds stay held, and it is taken up again by whatever is heard of it, a cancel or a restart.
9.  What the table does not know is a fault: published as an event, with nothing changed. An attempt that was taken for
    absent and turns up is a fault too, and is cancelled where another was sent for it. When as much as was asked is
    filled, what else stands is cancelled; what was filled beyond it is said in the order's events.
10. What an exchange failed to take of an order goes to the others: once nothing of it is under way or in doubt, never
    more than is missing, at most ``MAX_REROUTES`` times, and within the bounds of the command.
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
    filled,
    find,
    moved,
    put,
    reported,
    restored,
    ticked,
    told,
    too_late,
    unanswered,
    with_fresh_queries,
)
from neuroflux.engine.orders.events import events, order_event
from neuroflux.engine.orders.rerouting import abandoned, is_short, rerouted
from neuroflux.engine.orders.state import (
    Abandoned,
    Answered,
    Attempt,
    Cancel,
    CancelRequested,
    Decided,
    Effect,
    FillSeen,
    GivenUp,
    Hedged,
    Leg,
    Order,
    OrderInput,
    Phase,
    Publish,
    Reported,
    RequestDecision,
    RequestHedge,
    RequestReroute,
    RequestSend,
    Rerouted,
    Restored,
    Send,
    Sending,
    Ticked,
    WriteJournal,
)
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
    """A new order of a command; what follows is the decision."""
    order = Order(command=command, source=source, received_at=now)
    return Step(order, (WriteJournal(), Publish(order_event(order, now))))


def step(order: Order, given: OrderInput, now: Microseconds) -> Step:
    """What the order becomes, and what must be done, in this order. Never raises for what an exchange said."""
    after, effects = _handle(order, given, now)
    return _conclude(order, after, effects, now)


def wake_at(order: Order) -> Microseconds | None:
    """When ``Ticked`` must come at the latest; None when nothing is waited for."""
    times = [a.ask_at for a in order.attempts if a.ask_at and not (a.settled or a.is_unanswered)]
    times += [order.legs[a.leg].decided_at + SEND_WITHIN + 1 for a in order.attempts if a.phase is Phase.ROUTED]
    times += [order.hedge_at] if _is_naked(order) else []
    return min(times, default=None)


def encode(order: Order) -> bytes:
    return msgspec.msgpack.encode(order)


def decode(body: bytes) -> Order:
    """Read an order from its journal; raises msgspec.MsgspecError for what is none."""
    return msgspec.msgpack.decode(body, type=Order)


# ── what happens to the order ────────────────────────────────────────────────────────────────────────────────────


def _handle(order: Order, given: OrderInput, now: Microseconds) -> Handled:
    match given:
        case Decided():
            return _decided(order, given, now)
        case Sending():
            return _sending(order, given, now)
        case Answered():
            return _answered(order, given, now)
        case Reported(client_order_id, news):
            return _about(order, client_order_id, lambda o, a: reported(o, a, news, now), now)
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
    """The first decision, or one in its place while nothing was sent, nor given up or cancelled."""
    if order.state.final or order.cancel_asked or not _is_unsent(order) or _stays_waiting(order, given.legs, now):
        return order, []
    reason = given.decision.reason
    effects: list[Effect] = [Publish(given.decision)]
    if not given.legs:
        return replace(order, state=OrderState.REFUSED, decided_at=now, legs=(), attempts=(), reason=reason), effects
    routed = replace(order, state=OrderState.ROUTED, decided_at=now, legs=given.legs, attempts=(), reason=reason)
    return routed, effects


def _stays_waiting(order: Order, legs: tuple[Leg, ...], now: Microseconds) -> bool:
    """Whether what an exchange asked to wait goes on waiting: nobody else takes all of it, and its time will come.

    A pair that can't go now is refused: it goes whole or not at all.
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
        return order, []  # cancelled, too late, or decided again, while it waited for its turn
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
    """Whether the books that a leg was decided by are too old to send it; a rebalance has bounds of its own."""
    bounded = order.command.kind is CommandKind.REBALANCE and not _is_unsent(order)
    return not (attempt.number or bounded) and now > order.legs[attempt.leg].decided_at + FRESH_FOR


def _decide_again(order: Order, attempt: Attempt, why: str, now: Microseconds) -> Handled:
    if not _is_unsent(order):
        return moved(put(order, old := replace(attempt, is_stale=True)), old, Input.LATE, now, why)
    return too_late(order, attempt, now) if now > order.received_at + SEND_WITHIN else (order, [RequestDecision()])


def _answered(order: Order, given: Answered, now: Microseconds) -> Handled:
    """What must wait for longer than its decision lives is decided again at once: it may go elsewhere.

    But not what evens a pair out, which has tries of its own, nor what makes a position smaller, which can do so there
    alone.
    """
    order, effects = _about(order, given.client_order_id, lambda o, a: told(o, a, given, now), now)
    attempt = find(order, given.client_order_id)
    if attempt is None or attempt.phase is not Phase.ROUTED or not _is_stale(order, attempt, attempt.ask_at):
        return order, effects
    if order.cancel_asked or _is_hedge(order, attempt) or order.legs[attempt.leg].reducing:
        return order, effects
    order, more = _decide_again(order, attempt, f"{attempt.reason}; a decision lives {FRESH_FOR // SECOND} s", now)
    return order, effects + more


def _is_hedge(order: Order, attempt: Attempt) -> bool:
    return order.command.kind is CommandKind.PAIR and order.legs[attempt.leg].stage > 0


def _given_up(order: Order, leg: int, why: str, now: Microseconds) -> Handled:
    attempt = _waiting(order, leg)
    return (order, []) if attempt is None else moved(order, attempt, Input.GIVEN_UP, now, why)


def _waiting(order: Order, leg: int) -> Attempt | None:
    """The attempt of a leg that waits to be sent; None where none does."""
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
    """What evens the pair out is sent as further legs; where nothing does, it is tried again, or left open."""
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


# ── what follows from it ─────────────────────────────────────────────────────────────────────────────────────────


def _conclude(before: Order, after: Order, effects: list[Effect], now: Microseconds) -> Step:
    after = _dropped(_reopened(before, after), now)
    after, more = _next_attempts(after, now)
    after, stage = _next_stage(after)
    after, cancels = _cancels(after, now)
    after, hedge = _request_hedge(after, now)
    hedge += [RequestReroute()] if is_short(after, now) else []
    after = _at_its_end(after, now)
    told = [Publish(e) for e in events(before, after, now)]
    journal: list[Effect] = [WriteJournal()] if _durable(before) != _durable(after) else []
    return Step(after, (*journal, *effects, *more, *stage, *cancels, *hedge, *told))


def _reopened(before: Order, after: Order) -> Order:
    """A pair that had ended and was filled later after all is hedged like any other."""
    if not before.state.final or after.net == before.net or after.command.kind is not CommandKind.PAIR:
        return after
    return replace(after, state=OrderState.ROUTED, hedges=0, hedge_at=0, left_open="")


def _dropped(order: Order, now: Microseconds) -> Order:
    """What a cancelled or filled order would send (again), it does not send any more; but a pair's hedges."""
    why = order.cancel_asked or ("as much as was asked is filled" if _has_enough(order) else "")
    for attempt in order.attempts if why else ():
        if attempt.phase is Phase.ROUTED and not _is_hedge(order, attempt):
            order, _ = moved(order, attempt, Input.DROP, now, why)
    return order


def _next_stage(order: Order) -> Handled:
    """Begin the next legs when all that were begun have ended; a cancelled order begins hedges alone."""
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
    """Whether one side of a pair got more than the other, nothing is under way, and something may be done."""
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
    """Where the last attempt of a leg never arrived, the next begins: rule 4."""
    effects: list[Effect] = []
    for leg, last in sorted(order.last.items()):
        stays_away = order.cancel_asked or leg in order.abandoned or _has_enough(order)
        over = order.state.final or stays_away or now > order.decided_at + SEND_WITHIN
        if last.phase is Phase.ABSENT and not over and last.number + 1 < MAX_ATTEMPTS:
            order = replace(order, attempts=(*order.attempts, Attempt(leg, last.number + 1)))
            effects.append(RequestSend(leg))
    return order, effects


def _cancels(order: Order, now: Microseconds) -> Handled:
    """Cancel what stands on an exchange and is not wanted (any more)."""
    effects: list[Effect] = []
    for attempt in order.attempts:
        standing = attempt.phase in (Phase.ACKNOWLEDGED, Phase.WORKING)
        if not (standing and _is_unwanted(order, attempt)) or attempt.is_unanswered:
            continue
        pause = CANCEL_AGAIN if attempt.cancels < CANCELS_QUICK else SLOW
        if now < attempt.cancelled_at + pause:
            continue
        if attempt.cancels >= MAX_CANCELS:
            order, more = unanswered(order, attempt, f"it stands after {attempt.cancels} cancels", now)
            effects += more
            continue
        order = put(order, replace(attempt, cancelled_at=now, ask_at=now + pause, cancels=attempt.cancels + 1))
        effects.append(Cancel(order.legs[attempt.leg].instrument, attempt.client_order_id))
    return order, effects


def _is_unwanted(order: Order, attempt: Attempt) -> bool:
    """Whether what stands of an attempt is not to be filled (any more)."""
    ends = order.cancel_asked or order.state.final or attempt.leg in order.abandoned
    return bool(ends) or _is_replaced(order, attempt) or _has_enough(order)


def _is_replaced(order: Order, attempt: Attempt) -> bool:
    """Whether another was sent for it: the leg's next attempt, or legs of a later stage, which begin only when all
    before them has ended. It was taken for absent, and turned up."""
    stage = order.legs[attempt.leg].stage
    return any(
        order.legs[other.leg].stage > stage or (other.leg == attempt.leg and other.number > attempt.number)
        for other in order.attempts
    )


def _has_enough(order: Order) -> bool:
    """Whether all that was asked is filled, by what turned up as well; what stands beside it would be too much."""
    return order.command.kind is CommandKind.PLACE and order.filled >= order.quantity


def _at_its_end(order: Order, now: Microseconds) -> Order:
    if order.state.final or not order.attempts or not all(attempt.settled for attempt in order.attempts):
        return order
    if _is_naked(order) or is_short(order, now):
        return order
    last = [attempt for _, attempt in sorted(order.last.items())]
    state = _final_state(order, {attempt.phase for attempt in last})
    reasons = "; ".join(dict.fromkeys(attempt.reason for attempt in last if attempt.reason))
    told = "; ".join(filter(None, (order.cancel_asked or reasons, order.left_open, order.stuck)))
    return replace(order, state=state, reason=told)


def _is_full(order: Order) -> bool:
    """Whether each leg got what it was sent for, or others took it; a pair, whether as much was bought and sold."""
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
    """The order without its timers: when this is unchanged, the journal needs no new entry."""
    timeless = (replace(a, heard_at=0, asked=0, ask_at=0, cancelled_at=0, cancels=0) for a in order.attempts)
    return replace(order, attempts=tuple(timeless))


def _about(
    order: Order, client_order_id: str, handler: Callable[[Order, Attempt], Handled], now: Microseconds
) -> Handled:
    attempt = find(order, client_order_id)
    if attempt is None:
        text = f"fault: {client_order_id!r} is no attempt of this order"
        return order, [Publish(order_event(order, now, text))]
    return handler(order, attempt)


def _each(order: Order, handler: Callable[[Order, Attempt, Microseconds], Handled], now: Microseconds) -> Handled:
    effects: list[Effect] = []
    for attempt in order.attempts:
        order, more = handler(order, attempt, now)
        effects += more
    return order, effects
