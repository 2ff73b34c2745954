"""Handing keys and addresses to a local stack that runs, so that its services use the accounts that were asked for."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.errors import NeuroFluxError
from neuroflux.manager.configs import Wanted
from neuroflux.manager.connection import Connection
from neuroflux.stack.control import hand_over, is_here

TIMEOUT = 60.0
"""Seconds that the services may take to start anew; not the exchanges' time, which begins after it."""


class Handed(Struct, frozen=True):
    """``here``: the stack takes what it is given. Balances of before ``since`` may be another account's."""

    here: bool = False
    since: Microseconds = 0
    fault: str = ""


def variables(wanted: Iterable[Wanted]) -> dict[str, str]:
    """What the services of these exchanges are to have in their environment; what was not asked for stays."""
    named: dict[str, str] = {}
    for one in wanted:
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


async def hand(connection: Connection, wanted: Sequence[Wanted]) -> Handed:
    """Give a stack that runs here what is wanted of real exchanges, all at once; it restarts only what that changes."""
    if not await asyncio.to_thread(is_here, connection.settings):
        return Handed()
    given, since = variables(wanted), connection.now()
    try:
        renewed = await hand_over(connection.settings, given, TIMEOUT) if given else ()
    except NeuroFluxError as error:
        return Handed(here=True, fault=str(error))
    return Handed(here=True, since=since if renewed else 0)
