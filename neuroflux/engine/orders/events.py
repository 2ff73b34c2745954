"""The events of an order that a step publishes."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from neuroflux.domain import CommandKind, Fee, Microseconds, OrderEvent, OrderState
from neuroflux.engine.orders.effects import Publish
from neuroflux.engine.orders.exposure import exposure
from neuroflux.engine.orders.state import ZERO, Attempt, Order, Phase, fees_of


def events(before: Order, after: Order, now: Microseconds) -> Iterator[OrderEvent]:
    """What the step changed: an event for each attempt, then one for the order as a whole (without a client order id)
    if its state changed, or its result after its end.

    An attempt that ended before it was sent has no id: its end is reported in an event of the order.
    """
    known = {(a.leg, a.number): a for a in before.attempts}
    for attempt in after.attempts:
        old = known.get((attempt.leg, attempt.number))
        if attempt.client_order_id and (old is None or _shown(old) != _shown(attempt)):
            yield leg_event(after, attempt, now)
    unsent = [_unsent(after, a) for a in after.attempts if _ended_unsent(a, known.get((a.leg, a.number)))]
    if before.state is not after.state or (after.state.final and _result(before) != _result(after)):
        yield order_event(after, now)
    elif unsent:
        yield order_event(after, now, "; ".join(unsent))


def _ended_unsent(attempt: Attempt, before: Attempt | None) -> bool:
    return not attempt.client_order_id and attempt.phase.final and not (before is not None and before.phase.final)


def _unsent(order: Order, attempt: Attempt) -> str:
    instrument = order.legs[attempt.leg].instrument
    return f"nothing was sent to {instrument.exchange} for {instrument.symbol}: {attempt.reason}"


def _shown(attempt: Attempt) -> tuple[OrderState, Decimal, Decimal | None]:
    """The published part of an attempt: its state, filled quantity, and average price, which may become known later."""
    return _state(attempt), attempt.filled, attempt.average


def _result(order: Order) -> tuple[Decimal, Decimal | None, tuple[Fee, ...]]:
    """The result of an order; a fill that is reported after its end changes it."""
    return order.filled, order.average, fees_of(order.attempts)


def _state(attempt: Attempt) -> OrderState:
    """An attempt is published as WORKING while fills of it are missing."""
    if attempt.phase.final and not attempt.settled:
        return OrderState.WORKING
    return OrderState.IN_DOUBT if attempt.phase is Phase.ABSENT else OrderState(attempt.phase.value)


def leg_event(order: Order, attempt: Attempt, now: Microseconds, fault: str = "") -> OrderEvent:
    leg = order.legs[attempt.leg]
    return OrderEvent(
        order.id,
        _state(attempt),
        leg.instrument.exchange,
        leg.instrument.symbol,
        attempt.client_order_id,
        attempt.exchange_order_id,
        leg.side,
        leg.quantity,
        attempt.filled,
        attempt.average,
        fees_of((attempt,)),
        fault or attempt.reason,
        now,
    )


def order_event(order: Order, now: Microseconds, reason: str = "") -> OrderEvent:
    naked = exposure(order, now)
    only = order.legs[0].instrument if len(order.legs) == 1 else None
    return OrderEvent(
        order.id,
        order.state,
        only.exchange if only else "",
        only.symbol if only else order.command.market,
        "",
        order.attempts[-1].exchange_order_id if only else "",
        order.command.side,
        order.quantity,
        order.filled,
        order.average,
        fees_of(order.attempts),
        "; ".join(filter(None, (reason or order.reason, _excess(order)))),
        now,
        naked.largest,
        naked.span / 1e3,
    )


def _excess(order: Order) -> str:
    """The quantity that was filled beyond the order's; only an attempt that was wrongly taken for absent causes it."""
    over = order.filled - order.quantity if order.command.kind is CommandKind.PLACE else ZERO
    return f"filled {over.normalize():f} more than was ordered" if over > 0 else ""


def fault(order: Order, attempt: Attempt, text: str, now: Microseconds) -> Publish:
    return Publish(leg_event(order, attempt, now, f"fault: {text}"))
