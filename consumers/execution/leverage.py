"""Sets the leverage of traded instruments on the exchange to the one that margins are calculated with."""

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
"""The longest that an order waits for it, in seconds: its decision is still valid when it is sent after that."""


class Leverages:
    """Requests each leverage of an instrument once; nothing where no leverage was set."""

    def __init__(self, gateway: Gateway, views: Views) -> None:
        self._gateway, self._views = gateway, views
        self._set: dict[tuple[str, str], int] = {}
        self._pending: dict[tuple[str, str], asyncio.Task[None]] = {}

    async def ensure(self, legs: Iterable[Leg]) -> None:
        """Called before an order is sent, for the legs that open a position. Returns after ``WITHIN`` at most: a later
        answer counts for the next order. A leverage that the exchange does not offer is logged: its maximum is lower.
        """
        opened = {(leg.instrument.exchange, leg.instrument.symbol): leg.instrument for leg in legs if not leg.reduces}
        pending = [self._request_once(one, leverage) for one in opened.values() if (leverage := self._missing(one))]
        if pending:  # without requests there must be no await between an order's decision and its journal
            done, _ = await asyncio.wait(pending, timeout=WITHIN)
            for one in done:
                one.result()

    def _missing(self, instrument: Instrument) -> int:
        """The leverage that is configured and was not set yet; 0 for none."""
        leverage = int(self._views.limits(instrument.exchange).get("leverage", 0.0))
        is_set = self._set.get((instrument.exchange, instrument.symbol)) == leverage
        return 0 if is_set or instrument.kind is not InstrumentKind.PERPETUAL else leverage

    def _request_once(self, instrument: Instrument, leverage: int) -> asyncio.Task[None]:
        """The pending request for an instrument: that of another order, or a new one."""
        name = (instrument.exchange, instrument.symbol)
        if name not in self._pending:
            task = self._pending[name] = asyncio.create_task(self._request(instrument, leverage))
            task.add_done_callback(lambda _: self._pending.pop(name))
        return self._pending[name]

    async def _request(self, instrument: Instrument, leverage: int) -> None:
        name = (instrument.exchange, instrument.symbol)
        try:
            answer = await self._gateway.call(
                instrument.exchange, lambda order_client, now: order_client.leverage(instrument, leverage, now)
            )
        except NeuroFluxError as error:  # requested again with the next order
            log.warning("%s %s: leverage %d was not set: %s", *name, leverage, error)
            return
        self._set[name] = leverage
        if why := self._gateway.order_client(instrument.exchange).refusal(answer):
            log.warning("%s %s: leverage %d was refused: %s", *name, leverage, why)
