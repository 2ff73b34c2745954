"""Signs of life of an exchange: how long its REST takes, and how far its clock is from ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from neuroflux.clock import wall
from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.base_exchange import Exchange
from producers.rest import Rest

EVERY_SECONDS = 5.0
SELDOM: Microseconds = 1_000_000


class Seldom:
    """Lets one thing through a second, by its name."""

    def __init__(self) -> None:
        self._last: dict[str, Microseconds] = {}

    def now(self, name: str, time: Microseconds) -> bool:
        if time - self._last.get(name, 0) < SELDOM:
            return False
        self._last[name] = time
        return True


class Vitals:
    """``offset`` is the exchange's clock less ours, in microseconds; ``channel`` says who of us asked."""

    def __init__(self, exchange: Exchange, rest: Rest, tell: Callable[[ExchangeStatus], None], channel: str) -> None:
        self._exchange, self._rest, self._tell, self._channel = exchange, rest, tell, channel
        self.offset: Microseconds = 0

    def now(self) -> Microseconds:
        """The exchange's time: what its signatures and listen keys go by."""
        return wall() + self.offset

    async def watch(self) -> None:
        while True:
            await self.measure()
            await asyncio.sleep(EVERY_SECONDS)

    async def measure(self) -> None:
        """Ask for the exchange's time, and publish LATENCY and SKEW (ms), or DISCONNECTED with the reason."""
        request = self._exchange.server_time_request()
        if request is None:
            return
        try:
            before = wall()
            answer = await self._rest.ask(request)
            self.offset = self._exchange.server_time(answer) - (before + wall()) // 2
        except NeuroFluxError as error:
            self._say(StatusKind.DISCONNECTED, 0.0, str(error))
            return
        self._say(StatusKind.LATENCY, self._rest.latency_ms, "")
        self._say(StatusKind.SKEW, self.offset / 1e3, "")

    def _say(self, kind: StatusKind, value: float, detail: str) -> None:
        self._tell(ExchangeStatus(self._exchange.ID, self._channel, kind, value, detail, wall()))
