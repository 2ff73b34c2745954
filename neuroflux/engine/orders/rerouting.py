"""Rerouting of what an exchange failed to take of an order. Rule 10 of engine/orders/machine.py."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from neuroflux.domain import CommandKind, Microseconds
from neuroflux.engine.orders.attempts import Handled
from neuroflux.engine.orders.effects import Effect, Publish
from neuroflux.engine.orders.inputs import Rerouted
from neuroflux.engine.orders.state import Attempt, Order, Phase
from neuroflux.engine.orders.table import MAX_REROUTES, SEND_WITHIN

REDUNDANT = "redundant"


def untaken(order: Order) -> tuple[int, ...]:
    """The legs that their exchanges failed to take and that were not rerouted yet.

    For a ``redundant`` order also those that an exchange accepted and did not fill.
    """
    return tuple(
        number for number, last in sorted(order.last.items()) if number not in order.rerouted and _failed(order, last)
    )


def _failed(order: Order, last: Attempt) -> bool:
    if last.phase in (Phase.REJECTED, Phase.ABSENT) or last.is_stale:
        return True
    if last.phase is Phase.CANCELLED and last.leg in order.abandoned:
        return True
    was_there = last.phase is Phase.EXPIRED and bool(last.exchange_order_id)
    return was_there and order.command.strategy == REDUNDANT


def failed(order: Order) -> frozenset[str]:
    """The exchanges that failed to take a part of it; one that was sent nothing in time may be tried again.

    One that received the order and asked to wait has an attempt with an id.
    """
    last = (order.last[number] for number in (*order.rerouted, *untaken(order)))
    tried = (attempt.leg for attempt in last if attempt.client_order_id or not attempt.is_stale)
    return frozenset(order.legs[number].instrument.exchange for number in tried)


def abandoned(order: Order, exchange: str) -> Order:
    """The order with its open legs on this exchange marked to be cancelled there and rerouted."""
    still_open = (
        attempt.leg
        for attempt in order.attempts
        if not attempt.phase.final and order.legs[attempt.leg].instrument.exchange == exchange
    )
    more = tuple(leg for leg in dict.fromkeys(still_open) if leg not in order.abandoned)
    return replace(order, abandoned=order.abandoned + more) if order.command.kind is CommandKind.PLACE else order


def rest(order: Order) -> Decimal:
    """The unfilled quantity of the ``untaken`` legs, in units of the base."""
    return sum((_missing(order, number) for number in untaken(order)), Decimal(0))


def _missing(order: Order, number: int) -> Decimal:
    leg = order.legs[number]
    filled = sum((attempt.filled for attempt in order.of_leg(number)), Decimal(0))
    return max(Decimal(0), leg.quantity - filled) * leg.instrument.multiplier


def is_short(order: Order, now: Microseconds) -> bool:
    """Whether a part was not taken, no attempt is open or in doubt, and the rest may be rerouted."""
    if order.command.kind is not CommandKind.PLACE or order.state.final or order.cancel_asked or order.stuck:
        return False
    over = order.reroutes >= MAX_REROUTES or now > order.decided_at + SEND_WITHIN
    return not over and all(attempt.settled for attempt in order.attempts) and rest(order) > 0


def rerouted(order: Order, given: Rerouted, now: Microseconds) -> Handled:
    """Add the new legs after those that ended; without any, the order ends with what it has, and the reason."""
    if not is_short(order, now):
        return order, []
    published: list[Effect] = [Publish(given.decision)]
    if not given.legs:
        return replace(order, stuck=given.decision.reason), published
    stage = 1 + max(leg.stage for leg in order.legs)
    more = tuple(replace(leg, stage=stage) for leg in given.legs)
    moved = replace(
        order,
        legs=order.legs + more,
        rerouted=order.rerouted + untaken(order),
        reroutes=order.reroutes + 1,
        decided_at=now,
    )
    return moved, published
