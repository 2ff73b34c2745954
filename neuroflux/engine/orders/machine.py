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

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from neuroflux.domain import Cause, Microseconds, OrderCommand
from neuroflux.engine.orders.attempts import (
    Handled,
    answered,
    filled,
    find,
    reported,
    restored,
    ticked,
    with_fresh_queries,
)
from neuroflux.engine.orders.cancels import cancel_requested, cancel_unwanted, dropped
from neuroflux.engine.orders.effects import Effect, Publish, RequestReroute, WriteJournal
from neuroflux.engine.orders.endings import at_its_end
from neuroflux.engine.orders.events import events, order_event
from neuroflux.engine.orders.hedges import hedged, is_hedge, is_naked, reopened, request_hedge
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
from neuroflux.engine.orders.sends import decide_again, decided, given_up, is_stale, next_attempts, next_stage, sending
from neuroflux.engine.orders.state import Attempt, Order, Phase
from neuroflux.engine.orders.table import FRESH_FOR, SECOND, SEND_WITHIN


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
    times += [order.hedge_at] if is_naked(order) else []
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
            return decided(order, given, now)
        case Sending():
            return sending(order, given, now)
        case Answered():
            return _answered(order, given, now)
        case Reported(client_order_id, report):
            return _about(order, client_order_id, lambda o, a: reported(o, a, report, now), now)
        case FillSeen(client_order_id, execution):
            return _about(order, client_order_id, lambda o, a: filled(o, a, execution, now), now)
        case CancelRequested(why):
            return cancel_requested(order, why, now)
        case Hedged():
            return hedged(order, given, now)
        case Rerouted():
            return rerouted(order, given, now)
        case Abandoned(exchange, why):
            return _abandoned(order, exchange, why, now)
        case GivenUp(leg, why):
            return given_up(order, leg, why, now)
        case Restored():
            return _each(with_fresh_queries(order), restored, now)
        case Ticked():
            return _each(order, ticked, now)


def _answered(order: Order, given: Answered, now: Microseconds) -> Handled:
    """Take an answer. An attempt that must wait longer than its decision is valid is decided again at once.

    Not so for a hedge, which has its own retries, or for a leg that reduces a position, which no other exchange can do.
    """
    order, effects = _about(order, given.client_order_id, lambda o, a: answered(o, a, given, now), now)
    attempt = find(order, given.client_order_id)
    if attempt is None or attempt.phase is not Phase.ROUTED or not is_stale(order, attempt, attempt.ask_at):
        return order, effects
    if order.cancel_asked or is_hedge(order, attempt) or order.legs[attempt.leg].reducing:
        return order, effects
    order, more = decide_again(order, attempt, _outlived(attempt), now)
    return order, effects + more


def _outlived(attempt: Attempt) -> str:
    return f"{attempt.reason}; a decision is valid for {FRESH_FOR // SECOND} s"


def _abandoned(order: Order, exchange: str, why: str, now: Microseconds) -> Handled:
    order, effects = abandoned(order, exchange), list[Effect]()
    for leg in order.abandoned:
        order, more = given_up(order, leg, why, now)
        effects += more
    return order, effects


# ── consequences ─────────────────────────────────────────────────────────────────────────────────────────────────


def _conclude(before: Order, after: Order, effects: list[Effect], now: Microseconds) -> Step:
    after = dropped(reopened(before, after), now)
    after, more = next_attempts(after, now)
    after, stage = next_stage(after)
    after, cancels = cancel_unwanted(after, now)
    after, hedge = request_hedge(after, now)
    hedge += [RequestReroute()] if is_short(after, now) else []
    after = at_its_end(after, now)
    published = [Publish(e) for e in events(before, after, now)]
    journal: list[Effect] = [WriteJournal()] if _durable(before) != _durable(after) else []
    return Step(after, (*journal, *effects, *more, *stage, *cancels, *hedge, *published))


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
