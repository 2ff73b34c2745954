"""Publishes the latency of an exchange's REST API, and the difference between its clock and ours."""

from __future__ import annotations

import asyncio

from neuroflux.domain import ExchangeStatus, StatusKind
from neuroflux.errors import NeuroFluxError, RateLimited
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.http.client import Client
from neuroflux.http.clock_probe import measure_clock
from neuroflux.runtime.clock import wall

EVERY_SECONDS = 5.0


class VitalSigns:
    """Publishes on the client's channel."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def watch(self) -> None:
        while True:
            await self.measure()
            await asyncio.sleep(EVERY_SECONDS)

    async def measure(self) -> None:
        """Publish LATENCY and SKEW (ms), or DISCONNECTED with the reason.

        While the exchange asks us to wait nothing is sent, and LIMITED is published.
        """
        if held := self._client.held:
            self._publish(StatusKind.LIMITED, 1.0, f"asked to wait for {held:.0f} s more")
            return
        try:
            answer = await measure_clock(self._client, EXCHANGE_TIMEOUTS["read"])
        except RateLimited:
            return  # the client has published LIMITED
        except NeuroFluxError as error:
            self._publish(StatusKind.DISCONNECTED, 0.0, str(error))
            return
        if answer is not None:
            self._publish(StatusKind.LATENCY, (answer.received_at - answer.sent_at) / 1e3, "")
            self._publish(StatusKind.SKEW, self._client.offset / 1e3, "")

    def _publish(self, kind: StatusKind, value: float, detail: str) -> None:
        client = self._client
        client.publish(ExchangeStatus(client.exchange.ID, client.channel, kind, value, detail, wall()))
