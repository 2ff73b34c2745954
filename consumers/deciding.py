"""Decisions: what the views know of a command's instruments, put before the routing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from consumers.gateway import Gateway
from consumers.journal import Journal
from consumers.views import Views, complete
from neuroflux.clock import wall
from neuroflux.domain import Microseconds, OrderCommand
from neuroflux.engine.candidates import Prospect, instruments_for
from neuroflux.engine.limits import Limits
from neuroflux.engine.order_state import Order
from neuroflux.engine.routing import Routed, decide, refused

WARM_UP: Microseconds = 10_000_000
"""So long after the start an order waits for the books and balances it needs, instead of being refused for them."""


class Decider:
    """Decides for one executor; others' orders, that hold funds too, are known from the journal."""

    def __init__(self, views: Views, gateway: Gateway, journal: Journal, limits: Limits) -> None:
        self._views, self._gateway, self._journal, self._limits = views, gateway, journal, limits
        self._warm_until = wall() + WARM_UP

    async def warm(self, command: OrderCommand) -> None:
        """Just after the start: wait until what the decision needs has come."""
        if wall() >= self._warm_until:
            return
        try:
            async with asyncio.timeout((self._warm_until - wall()) / 1e6):
                while not self._complete(command):
                    self._views.moved.clear()
                    await self._views.moved.wait()
        except TimeoutError:
            return  # decided with what there is

    def _complete(self, command: OrderCommand) -> bool:
        instruments = list(self._views.instruments)
        return bool(instruments) and complete(self._prospects(command, ()))

    def decide(self, command: OrderCommand, ours: Sequence[Order]) -> Routed:
        """Choose from what is known now; ``ours`` are orders that may hold funds."""
        fault = self._views.halted()
        if fault:
            return refused(command, fault, wall())
        prospects = self._prospects(command, ours)
        market = prospects[0].instrument.market if prospects else command.market
        return decide(command, prospects, self._views.price(market), self._limits, wall())

    def _prospects(self, command: OrderCommand, ours: Sequence[Order]) -> list[Prospect]:
        now, orders = wall(), self._holding(ours)
        return [
            self._views.prospect(one, command.side, orders, self._blocked(one.exchange), now)
            for one in instruments_for(command, self._views.instruments)
        ]

    def _blocked(self, exchange: str) -> str:
        if exchange not in self._gateway.exchanges:
            return f"keys: none are set for {exchange}"
        held = self._gateway.held(exchange)
        return f"health: {exchange} asked us to wait {held:.1f} s" if held else ""

    def _holding(self, ours: Sequence[Order]) -> list[Order]:
        """Ours as they are now, others' as their journal has them."""
        others = {kept.order.id: kept.order for kept in self._journal.open()}
        return list((others | {order.id: order for order in ours}).values())
