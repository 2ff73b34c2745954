"""An exchange's clock, measured against ours by its own answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from neuroflux.domain import Microseconds
from neuroflux.errors import Refused
from neuroflux.exchanges.kit.interface import Exchange
from neuroflux.exchanges.kit.requests import Answer, Request
from neuroflux.http.buckets import Seconds
from neuroflux.http.budget import Urgency
from neuroflux.http.client import Client
from neuroflux.runtime.clock import wall

OK: Final = 200
PRECISE: Microseconds = 1_000_000
"""An answer that took no longer than this sets the clock; a slower one only bounds it."""


async def measure_clock(client: Client, timeout: Seconds) -> Answer | None:
    """Ask for the exchange's time and correct the client's ``offset``; None for an exchange that reports no time.

    Raises as ``Client.read``, and Refused or MalformedFrame for an answer without a time.
    """
    request = client.exchange.server_time_request()
    if request is None:
        return None
    await client.turn(request.weight, Urgency.FIRST, request.bucket)
    answer = await client.read(request, timeout)
    if answer.status != OK:
        raise Refused(f"HTTP {answer.status}: {answer.body[:200]!r}")
    client.offset = corrected(client.offset, client.exchange.server_time(answer), answer)
    return answer


async def exchange_time(exchange: Exchange, ask: Callable[[Request], Awaitable[Answer]]) -> Microseconds:
    """The exchange's clock, which a signed request must carry; ours for an exchange that reports no time.

    Raises what ``ask`` raises, and Refused or MalformedFrame for an answer without a time.
    """
    request = exchange.server_time_request()
    return exchange.server_time(await ask(request)) if request is not None else wall()


def corrected(offset: Microseconds, server_time: Microseconds, answer: Answer) -> Microseconds:
    """The offset that agrees with an answer: the exchange read its clock after the request and before the answer."""
    least, most = server_time - answer.received_at, server_time - answer.sent_at
    if most - least <= PRECISE:
        return (least + most) // 2
    return min(max(offset, least), most)
