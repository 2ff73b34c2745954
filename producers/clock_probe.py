"""Signs of life of an exchange: how long its REST takes, and how far its clock is from ours."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from neuroflux.domain import ExchangeStatus, Microseconds, StatusKind
from neuroflux.errors import NeuroFluxError, RateLimited, Refused
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer
from neuroflux.http.budget import Urgency
from neuroflux.runtime.clock import wall
from producers.rest import Rest

EVERY_SECONDS = 5.0
OK = 200
SELDOM: Microseconds = 1_000_000
PRECISE: Microseconds = 1_000_000
"""An answer that took no longer than this sets the clock; a slower one only bounds it."""


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
        rest.on_limited = self._limited

    def now(self) -> Microseconds:
        """The exchange's time: what its signatures and listen keys go by."""
        return wall() + self.offset

    async def watch(self) -> None:
        while True:
            await self.measure()
            await asyncio.sleep(EVERY_SECONDS)

    async def measure(self) -> None:
        """Ask for the exchange's time, and publish LATENCY and SKEW (ms) where it was told.

        Else DISCONNECTED with the reason; LIMITED while we are asked to stay away, when nothing is sent.
        """
        request = self._exchange.server_time_request()
        if request is None:
            return
        if held := self._rest.held:
            self._limited(f"asked to wait for {held:.0f} s more")
            return
        try:
            await self._rest.turn(request.weight, Urgency.FIRST)
            answer = await self._rest.send(request)
            if answer.status != OK:
                raise Refused(f"HTTP {answer.status}: {answer.body[:200]!r}")
            self.offset = corrected(self.offset, self._exchange.server_time(answer), answer)
        except RateLimited:
            return  # said by on_limited
        except NeuroFluxError as error:
            self._say(StatusKind.DISCONNECTED, 0.0, str(error))
            return
        self._say(StatusKind.LATENCY, (answer.received_at - answer.sent_at) / 1e3, "")
        self._say(StatusKind.SKEW, self.offset / 1e3, "")

    def _limited(self, why: str) -> None:
        self._say(StatusKind.LIMITED, 1.0, why)

    def _say(self, kind: StatusKind, value: float, detail: str) -> None:
        self._tell(ExchangeStatus(self._exchange.ID, self._channel, kind, value, detail, wall()))


def corrected(offset: Microseconds, server_time: Microseconds, answer: Answer) -> Microseconds:
    """The offset that agrees with an answer: the exchange read its clock after the request and before the answer."""
    least, most = server_time - answer.received_at, server_time - answer.sent_at
    if most - least <= PRECISE:
        return (least + most) // 2
    return min(max(offset, least), most)
