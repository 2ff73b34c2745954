"""Handover of keys and addresses to a running local stack, so that its services use the requested accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.errors import NeuroFluxError
from neuroflux.manager.configs import RequestedConfig
from neuroflux.manager.connection import Connection
from neuroflux.stack.control import hand_over, is_here

TIMEOUT = 60.0
"""Seconds to wait for the services to restart; the timeout for the exchanges starts after that."""


class HandoverResult(Struct, frozen=True):
    """``local``: the stack runs in this home. Balances from before ``since`` may be another account's."""

    local: bool = False
    since: Microseconds = 0
    fault: str = ""


def variables(requested: Iterable[RequestedConfig]) -> dict[str, str]:
    """The environment variables for the services of these exchanges; what was not requested is unchanged."""
    named: dict[str, str] = {}
    for one in requested:
        given = {
            "API_KEY": one.keys.key if one.keys else "",
            "SECRET_KEY": one.keys.secret if one.keys else "",
            "PASSPHRASE": one.keys.passphrase if one.keys else "",
            "SUBACCOUNT": one.subaccount,
            "TESTNET": "" if one.testnet is None else str(int(one.testnet)),
        }
        prefix = f"NEUROFLUX_{one.exchange.upper()}"
        named |= {f"{prefix}_{name}": value for name, value in given.items() if value}
    return named


async def hand_over_keys(connection: Connection, requested: Sequence[RequestedConfig]) -> HandoverResult:
    """Pass the configurations of real exchanges to a local stack at once; it restarts only the affected services."""
    if not await asyncio.to_thread(is_here, connection.settings):
        return HandoverResult()
    given, since = variables(requested), connection.now()
    try:
        renewed = await hand_over(connection.settings, given, TIMEOUT) if given else ()
    except NeuroFluxError as error:
        return HandoverResult(local=True, fault=str(error))
    return HandoverResult(local=True, since=since if renewed else 0)
