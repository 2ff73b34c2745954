"""Account probes: the façade has no keys, so it asks the execution stage for a signed call and waits for the result."""

from __future__ import annotations

from collections.abc import Iterable
from math import nan

from msgspec import Struct
from uuid_utils import uuid7

from neuroflux.domain import ControlCommand, ControlKind
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.manager.connection import CLIENT, Connection
from neuroflux.manager.view import View
from neuroflux.records.topics import CONTROL


class ProbeResult(Struct, frozen=True):
    """Duration of the signed call, and why it failed; "" if it succeeded."""

    milliseconds: float = nan
    reason: str = "no answer: the execution stage is not running, or is busy"


async def probe(
    connection: Connection, exchanges: Iterable[str], timeout: float = EXCHANGE_TIMEOUTS["read"]
) -> dict[str, ProbeResult]:
    """Probe the accounts concurrently, for ``timeout`` seconds at most."""
    ids = {exchange: str(uuid7()) for exchange in exchanges}
    for exchange, probe_id in ids.items():
        command = ControlCommand(
            account=exchange, kind=ControlKind.PROBE, why=probe_id, issued_by=CLIENT, issued_at=connection.now()
        )
        await connection.publisher.write(CONTROL, command)
    view = connection.view
    await connection.until(lambda: all(result_of(view, *one) for one in ids.items()), timeout)
    return {exchange: result_of(view, exchange, probe_id) or ProbeResult() for exchange, probe_id in ids.items()}


def result_of(view: View, exchange: str, probe_id: str) -> ProbeResult | None:
    """The result of the probe with this id; None while there is none."""
    answer = view.probes.get(exchange)
    if answer is None:
        return None
    named, _, why = answer.detail.partition(" ")
    return ProbeResult(answer.value, why) if named == probe_id else None
