"""Setting an account's leverage on the exchange to the one that funds are planned with, for what is traded."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from consumers.gateway import Gateway
from consumers.views import Views
from neuroflux.domain import Instrument, InstrumentKind
from neuroflux.engine.order_state import Leg
from neuroflux.errors import NeuroFluxError

log = logging.getLogger(__name__)


class Leverages:
    """Asks once for each instrument and leverage; nothing where no leverage was asked for."""

    def __init__(self, gateway: Gateway, views: Views) -> None:
        self._gateway, self._views = gateway, views
        self._asked: dict[tuple[str, str], int] = {}

    async def ensure(self, legs: Iterable[Leg]) -> None:
        """Before an order leaves. One that the exchange does not offer is logged: its own bound is lower then."""
        wanted = {(one.instrument.exchange, one.instrument.symbol): one.instrument for one in legs}
        missing = [(one, leverage) for one in wanted.values() if (leverage := self._missing(one))]
        if missing:  # else nothing may come between an order's decision and its journal
            await asyncio.gather(*(self._ask(*one) for one in missing))

    def _missing(self, instrument: Instrument) -> int:
        """The leverage that is asked for and was not set; 0 for none."""
        leverage = int(self._views.bounds(instrument.exchange).get("leverage", 0.0))
        is_set = self._asked.get((instrument.exchange, instrument.symbol)) == leverage
        return 0 if is_set or instrument.kind is not InstrumentKind.PERPETUAL else leverage

    async def _ask(self, instrument: Instrument, leverage: int) -> None:
        name = (instrument.exchange, instrument.symbol)
        try:
            answer = await self._gateway.call(
                instrument.exchange, lambda desk, now: desk.leverage(instrument, leverage, now)
            )
        except NeuroFluxError as error:  # asked for again with the next order
            log.warning("%s %s: leverage %d was not set: %s", *name, leverage, error)
            return
        self._asked[name] = leverage
        if why := self._gateway.desk(instrument.exchange).refusal(answer):
            log.warning("%s %s: leverage %d was refused: %s", *name, leverage, why)
