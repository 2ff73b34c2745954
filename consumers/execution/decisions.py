"""The decisions that an order needs in its life, made with all of our orders as they are at that moment.

One that raises is logged and becomes a refusal with the fault as its reason: it concerns that order alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from msgspec.structs import replace

from consumers.execution.decider import Decider
from consumers.execution.leverage import Leverages
from consumers.execution.view import Views
from neuroflux.domain import Microseconds, OrderCommand
from neuroflux.engine.orders.inputs import Abandoned, Decided, Hedged, Rerouted
from neuroflux.engine.orders.state import Leg, Order
from neuroflux.engine.risk.command_bounds import MAX_WHY
from neuroflux.engine.routing.strategies import Routed, refused
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)


class Decisions:
    """``ours`` returns the orders of this executor that may hold funds."""

    def __init__(self, views: Views, decider: Decider, leverages: Leverages, ours: Callable[[], list[Order]]) -> None:
        self._views, self._decider, self._leverages, self._ours = views, decider, leverages, ours

    async def decide(self, command: OrderCommand, sent: Microseconds, cancelled: tuple[Microseconds, str]) -> Routed:
        """The first decision; ``cancelled`` is when and why the order was cancelled before, with "" if it was not."""
        fault = self._cancelled_before(*cancelled) or self._decider.fault(command, sent)
        if not fault:
            await self._decider.warm(command)
        routed = refused(command, fault, wall()) if fault else self._decider.decide(command, self._ours())
        await self._leverages.ensure(routed.legs)
        return routed

    def _cancelled_before(self, at: Microseconds, why: str) -> str:
        """Why an order ends before it began: its cancel is no older than a command may be."""
        return f"cancelled: {why}, before it came" if why and not self._decider.age_fault(at) else ""

    async def redecide(self, order: Order) -> Decided:
        """Decide an order again of which nothing was sent: as a new one, so its own reservation is free."""
        try:
            await self._decider.warm(order.command)
            without = [replace(one, legs=(), attempts=()) if one.id == order.id else one for one in self._ours()]
            routed = self._decider.decide(order.command, without)
            await self._leverages.ensure(_elsewhere(routed.legs, order))
        except Exception as error:
            log.exception("order %s was not decided again", order.id)
            routed = refused(order.command, _fault(error), wall())
        return Decided(routed.decision, routed.legs)

    def hedge(self, order: Order) -> Hedged:
        """What evens a pair out now. A fault counts as one try, and is its reason if the last try fails."""
        try:
            return self._decider.hedge(order, self._ours())
        except Exception as error:
            log.exception("order %s: no hedge was decided", order.id)
            return Hedged((), _fault(error))

    def reroute(self, order: Order) -> Rerouted:
        """Route the part that its exchange did not take."""
        try:
            return self._decider.reroute(order, self._ours())
        except Exception as error:
            log.exception("order %s: no reroute was decided", order.id)
            return Rerouted(refused(order.command, _fault(error), wall()).decision, ())

    def given_up(self, order: Order, leg: int) -> str:
        """Why a leg that waits is not to be sent to the exchange of its decision; "" if it is."""
        return self._decider.given_up(order, leg, self._ours())

    def abandoned(self, order: Order) -> Abandoned | None:
        """The exchange that the order is to leave because it fails over, if any."""
        exchange = self._decider.abandons(order)
        return Abandoned(exchange, f"failover: {exchange} is unable") if exchange else None

    def halt_of(self, order: Order) -> str:
        """Why nothing of an order may be sent: an exchange of its legs, or everything, is halted; "" for neither."""
        return next((halt for halt in map(self._views.halt_of, exchanges_of(order)) if halt), "")


def exchanges_of(order: Order) -> Iterable[str]:
    return (leg.instrument.exchange for leg in order.legs)


def _elsewhere(legs: Iterable[Leg], order: Order) -> list[Leg]:
    """The legs in other instruments than those in which the order opened a position: their leverage was requested."""
    before = {(leg.instrument.exchange, leg.instrument.symbol) for leg in order.legs if not leg.reduces}
    return [leg for leg in legs if (leg.instrument.exchange, leg.instrument.symbol) not in before]


def _fault(error: Exception) -> str:
    return f"fault: {error!r}"[:MAX_WHY]
