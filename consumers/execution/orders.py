"""The orders of this executor: those that a runner follows, and those that ended recently and still count."""

from __future__ import annotations

from consumers.execution.decider import is_pair
from consumers.execution.runner import Runner
from consumers.execution.view import Views
from neuroflux.domain import Microseconds
from neuroflux.engine.orders.exposure import DUST_USD, exposure
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.limits import RESERVED_FOR
from neuroflux.runtime.clock import wall


class Orders:
    """``runners`` by order id; ``ended`` are orders that are not followed any more, and since when."""

    def __init__(self, views: Views) -> None:
        self.runners: dict[str, Runner] = {}
        self.ended: list[tuple[Microseconds, Order]] = []
        self._views = views

    def current(self) -> list[Order]:
        """Our orders as they are now, and the ended ones that still count."""
        now = wall()
        last = {one.id: (at, one) for at, one in self.ended if one.id not in self.runners}
        self.ended = [(at, one) for at, one in last.values() if self._counts(at, one, now)]
        return [order for _, order in self.ended] + [runner.order for runner in self.runners.values()]

    def _counts(self, at: Microseconds, ended: Order, now: Microseconds) -> bool:
        """Balances may not include it yet; a pair that was left open counts until trading is resumed everywhere."""
        if is_pair(ended.command) and ended.net != 0 and at > self._views.resumed_at:
            return at >= now - RESERVED_FOR or exposure(ended, now).usd > DUST_USD
        return at >= now - RESERVED_FOR and not self._views.shows(ended, now)
