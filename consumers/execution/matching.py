"""Reports and fills of the private streams, matched to the orders that they are about."""

from __future__ import annotations

import logging

from consumers.execution.journal import Journal, names_of
from consumers.execution.orders import Orders
from consumers.execution.partitions import Partitions, Tasks
from consumers.execution.runners import Runners
from consumers.execution.unmatched import Unmatched
from neuroflux.domain import Fill, OrderReport
from neuroflux.engine.orders.inputs import FillSeen, OrderInput, Reported
from neuroflux.engine.orders.machine import step
from neuroflux.engine.orders.state import Attempt, Order
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)


class Matching:
    """Delivers each report and fill of our partitions to the runner of its order."""

    def __init__(
        self, journal: Journal, partitions: Partitions, orders: Orders, runners: Runners, tasks: Tasks
    ) -> None:
        self._journal, self._partitions, self._tasks = journal, partitions, tasks
        self._orders, self._runners = orders, runners
        self._unmatched = Unmatched(self._match, self._may_be_ours)

    def take(self, report: OrderReport | Fill) -> None:
        """Deliver a report or a fill; one that matches no order is tried again for a while."""
        self._unmatched.take(report, wall())

    def others(self) -> list[Fill]:
        """Fills that belong to none of our orders, each once."""
        return self._unmatched.others(wall())

    def _match(self, report: OrderReport | Fill) -> bool:
        order_id = self._journal.order_of(report)
        if order_id and self._journal.partition_of(order_id) in self._partitions.ours:
            self._deliver(order_id, report)
        return bool(order_id)

    def _may_be_ours(self, report: OrderReport | Fill) -> bool:
        """Whether there is an order in the instrument whose exchange order id is still unknown."""
        called = {(report.exchange, name) for name in names_of(report)}
        return any(called & unidentified(kept.order) for kept in self._journal.open())

    def _deliver(self, order_id: str, report: OrderReport | Fill) -> None:
        runner = self._orders.runners.get(order_id)
        if runner is None:
            self._revive(order_id, report)
        elif runner.closed:
            self._tasks.spawn(self._deliver_later(order_id, report), runner.order.source.partition)
        else:
            runner.enqueue(input_of(runner.order, report))

    async def _deliver_later(self, order_id: str, report: OrderReport | Fill) -> None:
        """Deliver once the order has been set aside."""
        await self._runners.follower(order_id)
        self._deliver(order_id, report)

    def _revive(self, order_id: str, report: OrderReport | Fill) -> None:
        """Follow an order again that had ended or was set aside, if the report changes it."""
        last = self._journal.last(order_id)
        if last is None:
            return
        late = input_of(last.order, report)
        try:
            changes = bool(step(last.order, late, wall()).effects)
        except Exception:
            log.exception("order %s: %r can't be applied", order_id, late)
            return
        if changes:
            revived = self._runners.follow(last.order)
            revived.is_journalled = True
            revived.enqueue(late)


def unidentified(order: Order) -> set[tuple[str, str]]:
    """Instruments with a live attempt whose exchange order id is still unknown: exchange, and symbol or name."""
    instruments = [
        order.legs[one.leg].instrument
        for one in order.attempts
        if one.client_order_id and not one.exchange_order_id and not one.phase.final
    ]
    return {(one.exchange, called) for one in instruments for called in (one.symbol, one.name)}


def input_of(order: Order, report: OrderReport | Fill) -> OrderInput:
    """The input, with the client order id that the order knows: not every exchange reports that."""
    named = report.client_order_id
    if not named or not any(attempt.client_order_id == named for attempt in order.attempts):
        theirs = {(report.exchange, name, report.exchange_order_id) for name in names_of(report)}
        named = next((a.client_order_id for a in order.attempts if _ids_there(order, a) & theirs), named)
    return FillSeen(named, report) if isinstance(report, Fill) else Reported(named, report)


def _ids_there(order: Order, attempt: Attempt) -> set[tuple[str, str, str]]:
    one = order.legs[attempt.leg].instrument
    return {(one.exchange, called, attempt.exchange_order_id) for called in (one.symbol, one.name)}
