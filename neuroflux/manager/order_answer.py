"""The answer of ``route_order``: one snapshot of the order, in units of the market's base.

An order that has ended is described by its own last event, any other by the newest events of all its legs; never by a
mixture of both, because the end of a leg is not the end of the order (the rest may be sent to another exchange).
"""

from __future__ import annotations

from collections.abc import Collection
from math import fsum, nan
from typing import Any, Final, Literal

from msgspec import Struct

from neuroflux.domain import Allocation, OrderCommand, OrderDecision, OrderEvent, OrderState, Side
from neuroflux.engine.markets.costs import unit_price
from neuroflux.engine.routing.candidates import rests
from neuroflux.manager.answers import RouteOrderAnswer
from neuroflux.manager.order_tracker import TrackedOrder
from neuroflux.manager.view import View

RESTING: Final = frozenset({OrderState.ACKNOWLEDGED, OrderState.WORKING})
COSTS: Final = ("fee", "spread", "slippage", "conversion", "total")


class Filled(Struct, frozen=True):
    """Units of the base, and the average price of one in ``currency``; ``nan`` if it is not known."""

    quantity: float
    price: float
    currency: str


def is_settled(command: OrderCommand, tracked: TrackedOrder) -> bool:
    """Whether there is nothing to wait for: state, decision and the price of what was filled are known."""
    refused = tracked.last is not None and tracked.last.state is OrderState.REFUSED
    decided = refused or tracked.decision is not None
    priced = tracked.ended or all(not one.filled_quantity or one.average_price for one in tracked.legs)
    return decided and priced and _is_known(command, tracked)


def _is_known(command: OrderCommand, tracked: TrackedOrder) -> bool:
    """Whether the order has ended, or rests and every exchange has confirmed it."""
    if tracked.ended:
        return True
    chosen = tracked.decision.chosen if tracked.decision else ()
    live = [one for one in tracked.legs if not one.state.final]
    whole = bool(live) and len(tracked.legs) >= len(chosen)
    return rests(command) and whole and all(one.state in RESTING for one in live)


def has_fills(tracked: TrackedOrder) -> bool:
    """Whether an order has fills, has ended, or was expected to rest (a resting order costs only its fee).

    The acknowledgement of a limit order that crosses the book arrives before its fills; if these fill every leg, the
    end of the order follows at once.
    """
    if tracked.decision is None or tracked.ended:
        return True
    if any(one.filled_quantity for one in tracked.legs):
        return any(one.filled_quantity < one.quantity for one in tracked.legs)
    chosen = {(one.exchange, one.symbol) for one in tracked.decision.chosen}
    return not any(one.spread > 0 for one in tracked.decision.candidates if (one.exchange, one.symbol) in chosen)


def route_order_answer(view: View, command: OrderCommand, tracked: TrackedOrder) -> RouteOrderAnswer:
    """The answer from the decision and the events; what is not known yet is empty or ``nan``."""
    decision, last = tracked.decision, tracked.last
    chosen = decision.chosen if decision is not None else ()
    exchanges = list(dict.fromkeys(one.exchange for one in chosen))
    filled = filled_of(view, tracked)
    return {
        "order_id": command.order_id,
        "exchange": exchanges[0] if exchanges else "",
        "status": _status(command, tracked),
        "routing_reason": _reason(tracked),
        "estimated_costs": costs(decision),
        "execution_time": _seconds(decision) if decision else nan,
        "backup_exchanges": _backups(decision, command.side, exchanges) if decision else [],
        "chosen": [_part(view, one) for one in chosen],
        "state": last.state.value if last else "",
        "filled_quantity": filled.quantity,
        "average_price": filled.price,
        "average_price_currency": filled.currency,
    }


def _status(command: OrderCommand, tracked: TrackedOrder) -> Literal["routed", "pending", "failed"]:
    last = tracked.last
    if last is not None and last.state.final and not last.filled_quantity:
        return "failed"
    return "routed" if _is_known(command, tracked) else "pending"


def _reason(tracked: TrackedOrder) -> str:
    """Why the order failed, if it did; else why it was routed as it was."""
    decision, last = tracked.decision, tracked.last
    failed = last is not None and last.state.final and not last.filled_quantity
    reported = last.reason if last is not None and failed else ""
    return reported or (decision.reason if decision else "no executor has received the order yet")


# ── what was filled ──────────────────────────────────────────────────────────────────────────────────────────────


def filled_of(view: View, tracked: TrackedOrder) -> Filled:
    """From the order's own last event if it has ended, else from the newest events of its legs."""
    legs, last = tracked.legs, tracked.last
    currency = _currency(view, legs or (tracked.decision.chosen if tracked.decision else ()))
    if last is not None and (last.state.final or not legs):
        return Filled(float(last.filled_quantity), _price(last), currency)
    parts = [_in_base(view, one, currency) for one in legs if one.filled_quantity]
    quantity = fsum(one.quantity for one in parts)
    return Filled(quantity, fsum(one.price * one.quantity for one in parts) / quantity if quantity else nan, currency)


def _price(event: OrderEvent) -> float:
    """``nan`` for 0, which means that nothing was filled yet."""
    return float(event.average_price) if event.filled_quantity and event.average_price else nan


def _in_base(view: View, leg: OrderEvent, currency: str) -> Filled:
    instrument = view.instrument(leg.exchange, leg.symbol)
    multiplier = float(instrument.multiplier) if instrument is not None else nan
    rate = 1.0 if currency == _quote(view, leg) else _mid(view, _quote(view, leg), leg)
    return Filled(float(leg.filled_quantity) * multiplier, _price(leg) / multiplier * rate, currency)


def _mid(view: View, asset: str, leg: OrderEvent) -> float:
    """USD for one unit of the asset; ``nan`` if no rate was fresh at the time of the event."""
    rate = view.rate(asset, leg.event_time)
    return rate.mid if rate is not None else nan


def _currency(view: View, parts: Collection[OrderEvent | Allocation]) -> str:
    """The quote of the instruments; USD if they have several, "" before any was chosen."""
    quotes = {_quote(view, one) for one in parts}
    return "USD" if len(quotes) > 1 else next(iter(quotes), "")


def _quote(view: View, part: OrderEvent | Allocation) -> str:
    instrument = view.instrument(part.exchange, part.symbol)
    return instrument.quote if instrument is not None else ""


# ── what was decided ─────────────────────────────────────────────────────────────────────────────────────────────


def _part(view: View, one: Allocation) -> dict[str, Any]:
    instrument = view.instrument(one.exchange, one.symbol)
    multiplier = instrument.multiplier if instrument is not None else 0
    quantity = float(one.quantity * multiplier) if multiplier else nan
    return {"exchange": one.exchange, "symbol": one.symbol, "quantity": quantity}


def costs(decision: OrderDecision | None) -> dict[str, float]:
    """USD: the sums over the chosen candidates; ``nan`` if there are none."""
    chosen = {(one.exchange, one.symbol) for one in decision.chosen} if decision else set()
    taken = [one for one in decision.candidates if (one.exchange, one.symbol) in chosen] if decision else []
    return {name: fsum(getattr(one, name) for one in taken) if taken else nan for name in COSTS}


def _seconds(decision: OrderDecision) -> float:
    """The latency of the slowest chosen exchange, in seconds."""
    chosen = {(one.exchange, one.symbol) for one in decision.chosen}
    taken = [one.latency_ms for one in decision.candidates if (one.exchange, one.symbol) in chosen]
    return max(taken, default=nan) / 1e3


def _backups(decision: OrderDecision, side: Side, exchanges: Collection[str]) -> list[str]:
    """The other exchanges that could have taken the whole order, the cheapest first by unit price with fee."""
    able = sorted((one for one in decision.candidates if not one.reason), key=lambda one: unit_price(one, side))
    return [name for name in dict.fromkeys(one.exchange for one in able) if name not in exchanges]
