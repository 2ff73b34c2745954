"""Checks every ``REBALANCE_FREQUENCY`` how far the portfolio has drifted from the target of its last rebalance."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Final

from neuroflux.engine.portfolio.rebalance import as_one
from neuroflux.manager.answers import Action
from neuroflux.manager.connection import Connection
from neuroflux.manager.rebalance import allocation

log = logging.getLogger(__name__)

DRIFT: Final = 0.01
"""The fraction of the portfolio by which an asset may differ from its target before a rebalance is recommended."""


class DriftWatch:
    """Idle until ``set_target``. ``action`` is the result of the last check, None if nothing is to be done."""

    def __init__(
        self, connection: Connection, exchanges: Callable[[], Sequence[str]], frequency: timedelta | None
    ) -> None:
        self._connection, self._exchanges, self._frequency = connection, exchanges, frequency
        self._target: Mapping[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self.action: Action | None = None

    def set_target(self, target: Mapping[str, float]) -> None:
        """Watch this target from now on; without a frequency nothing is watched."""
        self._target, self.action = dict(target), None
        if self._frequency is not None and self._task is None:
            self._task = asyncio.create_task(self._watch(self._frequency), name="drift-watch")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self, frequency: timedelta) -> None:
        while True:
            await asyncio.sleep(frequency.total_seconds())
            self._check()

    def _check(self) -> None:
        view = self._connection.view
        with view.lock:
            held = allocation(view, self._exchanges(), self._connection.now())
        self.action = drift_action(held, self._target)
        if self.action is not None:
            log.warning("the portfolio has drifted: %s", self.action["reason"])


def drift_action(held: Mapping[str, float], target: Mapping[str, float]) -> Action | None:
    """The recommended action if shares are off by more than ``DRIFT``, the largest difference first; else None."""
    if not held:
        return None
    here, there = as_one(held), as_one(target)
    off = {asset: abs(here.get(asset, 0.0) - there.get(asset, 0.0)) for asset in sorted({*here, *there})}
    wide = sorted((one for one in off if off[one] > DRIFT), key=lambda one: -off[one])
    if not wide:
        return None
    shares = (f"{one} is {here.get(one, 0.0):.1%}, not {there.get(one, 0.0):.1%}" for one in wide)
    return {
        "exchange": "",
        "condition": "drift",
        "action": "call rebalance_portfolio with its target again",
        "reason": "; ".join(shares),
    }
