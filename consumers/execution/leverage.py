"""Setting an account's leverage on the exchange to the one that funds are planned with, for what is traded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from consumers.execution.gateway import Gateway
from consumers.execution.view import Views
from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.engine.orders.state import Leg
from neuroflux.errors import NeuroFluxError

log = logging.getLogger(__name__)

WITHIN = 2.0
"""Seconds that an order waits for it at most: less than its decision lives, with what else comes before it is sent."""


class Leverages:
    """Asks once for each instrument and leverage; nothing where no leverage was asked for."""

    def __init__(self, gateway: Gateway, views: Views) -> None:
        self._gateway, self._views = gateway, views
        self._asked: dict[tuple[str, str], int] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def ensure(self, legs: Iterable[Leg]) -> None:
        """Before an order leaves, for what opens a position, and for ``WITHIN`` at most: an answer that takes longer
        counts for the next order. A leverage that the exchange does not offer is logged: its own bound is lower then.
        """
        wanted = {(leg.instrument.exchange, leg.instrument.symbol): leg.instrument for leg in legs if not leg.reduces}
        asking = [self._ask_once(one, leverage) for one in wanted.values() if (leverage := self._missing(one))]
        if asking:  # else nothing may come between an order's decision and its journal
            done, _ = await asyncio.wait(asking, timeout=WITHIN)
            for one in done:
                one.result()

    def _missing(self, instrument: Instrument) -> int:
        """The leverage that is asked for and was not set; 0 for none."""
        leverage = int(self._views.limits(instrument.exchange).get("leverage", 0.0))
        is_set = self._asked.get((instrument.exchange, instrument.symbol)) == leverage
        return 0 if is_set or instrument.kind is not InstrumentKind.PERPETUAL else leverage

    def _ask_once(self, instrument: Instrument, leverage: int) -> asyncio.Task[None]:
        """The request under way for an instrument: that of another order, or a new one."""
        name = (instrument.exchange, instrument.symbol)
        if name not in self._asking:
            task = self._asking[name] = asyncio.create_task(self._ask(instrument, leverage))
            task.add_done_callback(lambda _: self._asking.pop(name))
        return self._asking[name]

    async def _ask(self, instrument: Instrument, leverage: int) -> None:
        name = (instrument.exchange, instrument.symbol)
        try:
            answer = await self._gateway.call(
                instrument.exchange, lambda order_client, now: order_client.leverage(instrument, leverage, now)
            )
        except NeuroFluxError as error:  # asked for again with the next order
            log.warning("%s %s: leverage %d was not set: %s", *name, leverage, error)
            return
        self._asked[name] = leverage
        if why := self._gateway.order_client(instrument.exchange).refusal(answer):
            log.warning("%s %s: leverage %d was refused: %s", *name, leverage, why)
