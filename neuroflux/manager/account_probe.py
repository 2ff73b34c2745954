"""Trying accounts: the façade has no keys, so it asks the execution for a signed call and waits for what came of it."""

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


class Probed(Struct, frozen=True):
    """How long the signed call took, and why the exchange did not take it; "" where it did."""

    milliseconds: float = nan
    reason: str = "nobody answered: the execution does not run, or has no turn"


async def probe(
    connection: Connection, exchanges: Iterable[str], timeout: float = EXCHANGE_TIMEOUTS["read"]
) -> dict[str, Probed]:
    """Try the accounts side by side, for so many seconds at most."""
    ids = {exchange: str(uuid7()) for exchange in exchanges}
    for exchange, asked in ids.items():
        command = ControlCommand(
            account=exchange, kind=ControlKind.PROBE, why=asked, issued_by=CLIENT, issued_at=connection.now()
        )
        await connection.publisher.write(CONTROL, command)
    view = connection.view
    await connection.until(lambda: all(answer_to(view, *one) for one in ids.items()), timeout)
    return {exchange: answer_to(view, exchange, asked) or Probed() for exchange, asked in ids.items()}


def answer_to(view: View, exchange: str, asked: str) -> Probed | None:
    """What came of the probe of this id; None while nothing did."""
    told = view.probes.get(exchange)
    if told is None:
        return None
    named, _, why = told.detail.partition(" ")
    return Probed(told.value, why) if named == asked else None
