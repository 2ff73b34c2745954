"""Tests an account on request: a signed call that changes nothing, answered on ``exchange.status``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from consumers.execution.gateway import Gateway
from neuroflux.domain import ControlCommand, ExchangeStatus, Microseconds, StatusKind
from neuroflux.errors import NeuroFluxError
from neuroflux.runtime.clock import wall

CHANNEL: Final = "probe"
LIFE: Microseconds = 10_000_000
"""No client waits for a request older than this: the topic keeps the last one for ever."""


def is_due(control: ControlCommand) -> bool:
    return wall() - control.issued_at < LIFE


async def probe(gateway: Gateway, control: ControlCommand, publish: Callable[[ExchangeStatus], None]) -> None:
    """Make the call and publish the result; ``detail`` is the request's id, followed by the reason if it failed."""
    started = time.monotonic()
    why = await _fault(gateway, control.account)
    milliseconds = (time.monotonic() - started) * 1e3
    detail = f"{control.why} {why}".strip()
    publish(ExchangeStatus(control.account, CHANNEL, StatusKind.PROBED, milliseconds, detail, wall()))


async def _fault(gateway: Gateway, exchange: str) -> str:
    """Why the account can't be used; "" if it can."""
    if exchange not in gateway.exchanges:
        return "the execution has no keys for it that can sign"
    try:
        answer = await gateway.call(exchange, lambda order_client, now: order_client.probe(now))
    except NeuroFluxError as error:
        return str(error)
    return gateway.order_client(exchange).refusal(answer)
