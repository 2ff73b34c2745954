"""How an answer, a report, a fill or the passing of time changes one attempt; the table defines the transitions."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from neuroflux.domain import Ack, Fill, InDoubt, Microseconds, NotThere, OrderReport, Reject, Throttled, TimeInForce
from neuroflux.engine.orders.effects import Effect, Publish, QueryFills, QueryOrder, RequestSend
from neuroflux.engine.orders.events import fault
from neuroflux.engine.orders.inputs import Answered, Operation
from neuroflux.engine.orders.state import ZERO, Attempt, Order, Phase
from neuroflux.engine.orders.table import (
    BACK_OFF,
    CANCEL_AGAIN,
    FILLS_WITHIN,
    LOST_AFTER,
    MAX_CANCELS,
    MAX_QUERIES,
    MAX_REASON,
    PROVED_WITHIN,
    QUIET_IMMEDIATE,
    QUIET_RESTING,
    SECOND,
    SEND_WITHIN,
    SLOW,
    SLOW_AFTER,
    TRANSITIONS,
    Input,
)

Handled = tuple[Order, list[Effect]]


def answered(order: Order, attempt: Attempt, answer: Answered, now: Microseconds) -> Handled:
    match answer.operation, answer.outcome:
        case Operation.CANCEL, _:
            # Not every exchange reports how much was filled before the cancel: query the order itself.
            return _query(order, attempt, now)
        case _, Ack(report, fills):
            order, effects = reported(order, attempt, report, now)
            for fill in fills:
                order, more = filled(order, find(order, attempt.client_order_id) or attempt, fill, now)
                effects += more
            return order, effects
        case Operation.PLACE, Reject(code, reason):
            return moved(order, attempt, Input.REFUSED, now, f"{code}: {reason}" if code else reason)
        case Operation.PLACE, Throttled(retry_after, reason):
            order, effects = moved(order, attempt, Input.UNSENT, now, reason)
            again = now + max(int(retry_after * SECOND), _back_off(attempt))
            return _and(effects, _later(order, attempt, again))
        case Operation.PLACE, InDoubt(is_taken=True) if attempt.phase is Phase.SENDING:
            return _later(order, attempt, now + PROVED_WITHIN)
        case Operation.PLACE, InDoubt(reason) | NotThere(reason):
            order, effects = moved(order, attempt, Input.DOUBT, now, reason)
            return _and(effects, _later(order, attempt, now + BACK_OFF[0]))
        case Operation.QUERY, NotThere(reason):
            return _not_there(order, attempt, reason, answer.requested_at, now)
        case Operation.QUERY, InDoubt(reason) if attempt.asked >= MAX_QUERIES and not attempt.phase.final:
            why = f"queried {attempt.asked} times, last answer: {reason}"
            return unanswered(order, attempt, why, now)
    return _later(order, attempt, now + _back_off(attempt))


def reported(order: Order, attempt: Attempt, report: OrderReport, now: Microseconds) -> Handled:
    """Take in a report. The end of an order that the exchange replaced under a new id does not end the attempt.

    That happens when another client amends the order (Hyperliquid's ``modify``): it is open under the id that was
    reported open last, and is queried.
    """
    if report.state.final and _is_replaced(attempt, report):
        return _later(order, attempt, now + _back_off(attempt))
    newer = report.filled_quantity > attempt.reported
    average = report.average_price or (ZERO if not report.filled_quantity else None)
    by_fills = 0 < report.filled_quantity <= attempt.seen  # their own prices give the average
    has_average = average is not None and report.filled_quantity >= attempt.reported and not by_fills
    updated = replace(
        _accepted(attempt, report.filled_quantity, report.event_time, now),
        exchange_order_id=report.exchange_order_id or attempt.exchange_order_id,
        reported=max(attempt.reported, report.filled_quantity),
        reported_average=average if newer or has_average else attempt.reported_average,
        heard_at=now,
        asked=0,
        is_unanswered=attempt.is_unanswered and attempt.cancels >= MAX_CANCELS,
    )
    return moved(put(order, updated), updated, Input(report.state.value), now, report.reason)


def _is_replaced(attempt: Attempt, report: OrderReport) -> bool:
    ids = attempt.exchange_order_id, report.exchange_order_id
    return all(ids) and ids[0] != ids[1] and not attempt.phase.final


def filled(order: Order, attempt: Attempt, fill: Fill, now: Microseconds) -> Handled:
    if _is_known(order, attempt, fill):
        return order, []
    ours = replace(
        fill,
        order_id=order.id,
        client_order_id=attempt.client_order_id,
        exchange_order_id=fill.exchange_order_id or attempt.exchange_order_id,
    )
    updated = replace(
        _accepted(attempt, attempt.seen + fill.quantity, fill.event_time, now),
        exchange_order_id=attempt.exchange_order_id or fill.exchange_order_id,
        fills=(*attempt.fills, ours),
        fills_at=(*attempt.fills_at, now),
        heard_at=now,
        asked=0,
        is_unanswered=False,
    )
    order, effects = moved(put(order, updated), updated, Input.FILL, now)
    return order, [Publish(ours), *effects]


def _is_known(order: Order, attempt: Attempt, fill: Fill) -> bool:
    """Whether a fill was seen before; within one attempt, so within one instrument, the trade id alone is unique."""
    if any(fill.trade_id == one.trade_id for one in attempt.fills):
        return True
    return any(fill.identity == one.identity for other in order.attempts for one in other.fills)


def _accepted(attempt: Attempt, filled: Decimal, time: Microseconds, now: Microseconds) -> Attempt:
    """The attempt with when it was accepted and when last filled; a report that repeats a state changes neither."""
    if not attempt.accepted_at:
        attempt = replace(attempt, accepted_at=now, accepted_time=time)
    return replace(attempt, filled_at=now, filled_time=time) if filled > attempt.filled else attempt


def _not_there(order: Order, attempt: Attempt, reason: str, requested_at: Microseconds, now: Microseconds) -> Handled:
    """An answer that came too early to be proof is followed by one query, when it can be proof.

    Until then the account's stream reports an order that arrives late, and the limits of queries are low: Kraken's
    allow an account of the lowest tier one in three seconds.
    """
    queried = replace(attempt, asked=attempt.asked + 1, ask_at=now + _back_off(attempt))
    if not attempt.can_be_absent(requested_at):
        settled = attempt.sent_at + attempt.settled_after
        return put(order, replace(queried, ask_at=max(now, settled))), []
    if attempt.phase in (Phase.ACKNOWLEDGED, Phase.WORKING) and queried.asked < LOST_AFTER:
        return put(order, queried), []
    return moved(put(order, queried), queried, Input.NOT_THERE, now, reason)


def moved(order: Order, attempt: Attempt, given: Input, now: Microseconds, reason: str = "") -> Handled:
    """Move an attempt by the table; an input that the table does not allow is a fault, and changes nothing."""
    phase, reason = TRANSITIONS[attempt.phase].get(given), reason[:MAX_REASON]
    if phase is None:
        return order, [fault(order, attempt, f"{given} does not follow {attempt.phase}: {reason}", now)]
    effects: list[Effect] = []
    if attempt.phase is Phase.ABSENT and phase is not Phase.ABSENT:
        effects.append(fault(order, attempt, f"the exchange reported no such order, and now reports {phase}", now))
    phase = _by_quantity(order, attempt, phase)
    after = replace(attempt, phase=phase, reason=reason or attempt.reason)
    if phase.final and not attempt.phase.final:
        after = ended(after, now)
    elif not phase.final and phase not in (Phase.SENDING, Phase.IN_DOUBT):
        after = replace(after, ask_at=now + _quiet(order, attempt))
    return put(order, after), effects


def ended(attempt: Attempt, now: Microseconds) -> Attempt:
    return replace(attempt, ended_at=now, asked=0, ask_at=now + BACK_OFF[0], is_unanswered=False)


def too_late(order: Order, attempt: Attempt, now: Microseconds) -> Handled:
    return moved(order, attempt, Input.LATE, now, f"not sent within {SEND_WITHIN // SECOND} s of the decision")


def restored(order: Order, attempt: Attempt, now: Microseconds) -> Handled:
    if attempt.phase is Phase.ROUTED:
        return order, [RequestSend(attempt.leg)]
    if attempt.phase is Phase.SENDING:
        order, effects = moved(order, attempt, Input.DOUBT, now, "the executor was restarted")
        attempt = find(order, attempt.client_order_id) or attempt
        return _and(effects, _query(order, attempt, now))
    return _query(order, attempt, now)


def ticked(order: Order, attempt: Attempt, now: Microseconds) -> Handled:
    if attempt.phase is Phase.ROUTED and now > order.legs[attempt.leg].decided_at + SEND_WITHIN:
        return too_late(order, attempt, now)
    if not attempt.ask_at or attempt.ask_at > now or attempt.is_unanswered:
        return order, []
    if attempt.phase is Phase.ROUTED:
        return _and([RequestSend(attempt.leg)], _later(order, attempt, 0))
    if attempt.phase is Phase.SENDING:
        order, effects = moved(order, attempt, Input.DOUBT, now, "no answer")
        return _and(effects, _query(order, find(order, attempt.client_order_id) or attempt, now))
    return _query(order, attempt, now)


def _query(order: Order, attempt: Attempt, now: Microseconds) -> Handled:
    """Query what is unknown about an attempt: the order itself, or the fills of one that has ended."""
    instrument = order.legs[attempt.leg].instrument
    queried = replace(attempt, asked=attempt.asked + 1, ask_at=now + _back_off(attempt))
    if attempt.is_unanswered:
        return order, []
    if not attempt.phase.final and attempt.asked >= MAX_QUERIES:
        return unanswered(order, attempt, f"queried {attempt.asked} times without a usable answer", now)
    if not attempt.phase.final:
        return put(order, queried), [QueryOrder(instrument, attempt.client_order_id)]
    if attempt.settled:
        return order, []
    if now > attempt.ended_at + FILLS_WITHIN:
        missing = attempt.reported - attempt.seen
        given_up = replace(attempt, fills_given_up=True, reason=f"fills of {missing} were not seen")
        return put(order, given_up), []
    return put(order, queried), [QueryFills(instrument, attempt.sent_at)]


def unanswered(order: Order, attempt: Attempt, why: str, now: Microseconds) -> Handled:
    """Stop querying, and publish that: funds stay reserved for the attempt, and later reports of it still count."""
    text = f"{why[:MAX_REASON]}; check the order on the exchange"
    silent = replace(attempt, is_unanswered=True, ask_at=0)
    return put(order, silent), [] if attempt.is_unanswered else [fault(order, silent, text, now)]


def with_fresh_queries(order: Order) -> Order:
    """The order with its unanswered attempts to be queried again: after a person's cancel, or after a restart."""
    fresh = (replace(a, is_unanswered=False, asked=0, cancels=0, cancelled_at=0) for a in order.attempts)
    return replace(order, attempts=tuple(fresh))


# ── helpers ──────────────────────────────────────────────────────────────────────────────────────────────────────


def find(order: Order, client_order_id: str) -> Attempt | None:
    return next((a for a in order.attempts if client_order_id and a.client_order_id == client_order_id), None)


def put(order: Order, attempt: Attempt) -> Order:
    """The order with this attempt in place of its previous state."""
    at = (attempt.leg, attempt.number)
    return replace(order, attempts=tuple(attempt if (a.leg, a.number) == at else a for a in order.attempts))


def _by_quantity(order: Order, attempt: Attempt, phase: Phase) -> Phase:
    """FILLED if and only if the whole quantity is filled, whatever state the exchange reports."""
    full = attempt.filled >= order.legs[attempt.leg].quantity
    if full:
        return Phase.FILLED
    return Phase.EXPIRED if phase is Phase.FILLED else phase


def _and(effects: list[Effect], handled: Handled) -> Handled:
    return handled[0], effects + handled[1]


def _later(order: Order, attempt: Attempt, at: Microseconds) -> Handled:
    """Query, or send again, at ``at``."""
    current = next(a for a in order.attempts if (a.leg, a.number) == (attempt.leg, attempt.number))
    return put(order, replace(current, asked=current.asked + 1, ask_at=at)), []


def _back_off(attempt: Attempt) -> Microseconds:
    return BACK_OFF[min(attempt.asked, len(BACK_OFF) - 1)] if attempt.asked < SLOW_AFTER else SLOW


def _quiet(order: Order, attempt: Attempt) -> Microseconds:
    """How long an open order may go without a report before it is queried."""
    if attempt.cancelled_at:
        return CANCEL_AGAIN
    resting = order.legs[attempt.leg].time_in_force in (TimeInForce.GTC, TimeInForce.POST_ONLY)
    return QUIET_RESTING if resting else QUIET_IMMEDIATE
