"""The life of the runners: an order gets one when it begins, and is set aside if it can't be followed any more."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from consumers.execution.decisions import exchanges_of
from consumers.execution.journal import Published
from consumers.execution.letters import write_dead_letter
from consumers.execution.orders import Orders
from consumers.execution.partitions import STOPPING, Tasks
from consumers.execution.runner import Runner, Shell
from neuroflux.engine.orders.effects import Effect
from neuroflux.engine.orders.events import order_event
from neuroflux.engine.orders.inputs import CancelRequested
from neuroflux.engine.orders.state import Order
from neuroflux.engine.risk.command_bounds import MAX_WHY
from neuroflux.engine.risk.limits import EVERYWHERE
from neuroflux.records.codec import Codec
from neuroflux.records.entries import Entry
from neuroflux.records.topics import COMMANDS, EVENTS
from neuroflux.runtime.clock import wall

log = logging.getLogger(__name__)

LEAVING_SECONDS = 6.0
"""How long pending requests may take when a partition is given back: longer than an order's time-out."""


class Runners:
    """Starts the runners, and removes them from ``orders`` when they end."""

    def __init__(self, shell: Shell, codec: Codec, orders: Orders, tasks: Tasks) -> None:
        self._shell, self._codec, self._orders, self._tasks = shell, codec, orders, tasks

    def follow(self, order: Order, effects: tuple[Effect, ...] = ()) -> Runner:
        """Start the only runner of an order; the caller has checked that it has none."""
        runner = self._orders.runners[order.id] = Runner(self._shell, order, effects)
        self._tasks.spawn(self._until_ended(runner), order.source.partition)
        return runner

    def restore(self, order: Order, missing: list[Published]) -> Runner:
        """Follow an order from its journal; ``missing`` are records that were not published before a crash."""
        runner = self.follow(order)
        runner.restore(missing)
        return runner

    async def follower(self, order_id: str) -> Runner | None:
        """The runner of an order, None if it has none; waits while the order is being set aside."""
        while (runner := self._orders.runners.get(order_id)) is not None and runner.closed:
            await runner.stopped.wait()
        return runner

    async def _until_ended(self, runner: Runner) -> None:
        try:
            await runner.run()
        except STOPPING:
            raise
        except Exception as error:
            log.exception("order %s can't be followed any more", runner.order.id)
            await self._set_aside(runner, error)
        finally:
            del self._orders.runners[runner.order.id]
            runner.stopped.set()
            if runner.is_journalled:
                self._orders.ended.append((wall(), runner.order))

    async def _set_aside(self, runner: Runner, error: Exception) -> None:
        """Stop following an order that raises: its open attempts are cancelled, and an event asks a person to check.

        It stays open in the journal: its funds stay reserved, and the next start, a cancel or a fill resumes it.
        """
        if runner.is_journalled:
            await runner.cancel_all()
            await write_dead_letter(self._shell.publisher, self._entry_of(runner.order), f"fault: {error!r}")
            why = f"fault: {error!r}"[:MAX_WHY]
            event = order_event(
                runner.order, wall(), f"{why}; the order is not followed any more: check it on the exchange"
            )
            await self._shell.publisher.write(EVENTS, event)
        runner.give_up(error)

    def _entry_of(self, order: Order) -> Entry:
        """The command of an order as it is in the log."""
        raw = self._codec.encode(COMMANDS, order.command)
        return Entry(COMMANDS, order.source.partition, order.source.offset, order.id, order.command, raw, "", 0)

    def halt(self, account: str, why: str) -> None:
        """Cancel the orders that trade on an exchange, or all."""
        for runner in self._orders.runners.values():
            if account in (EVERYWHERE, *exchanges_of(runner.order)):
                cancel = CancelRequested(f"halted: {why}")
                self._tasks.spawn(_settle(runner, cancel), runner.order.source.partition)

    def check_all(self) -> None:
        """Take orders off exchanges that fail."""
        for runner in self._orders.runners.values():
            try:
                runner.recheck_waiting()
                if abandoned := self._shell.decisions.abandoned(runner.order):
                    runner.enqueue(abandoned)
            except Exception:  # concerns this order alone
                log.exception("order %s can't be checked", runner.order.id)

    async def leave(self, partitions: set[int]) -> None:
        """Send nothing new for these partitions; returns when pending requests were answered, or took too long."""
        leaving = [one for one in self._orders.runners.values() if one.order.source.partition in partitions]
        for runner in leaving:
            runner.leave()
        await _until_idle(leaving)


async def _settle(runner: Runner, cancel: CancelRequested) -> None:
    if not runner.closed:
        await runner.settle(cancel)


async def _until_idle(runners: Iterable[Runner]) -> None:
    try:
        async with asyncio.timeout(LEAVING_SECONDS):
            for runner in runners:
                await runner.at_rest()
    except TimeoutError:
        log.warning("left with requests pending; their orders will be queried")
