"""Handover of keys and addresses to a running local stack, so that its services use the requested accounts."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence

import aiohttp
from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.http.key_rights import key_rights
from neuroflux.manager.configs import RequestedConfig
from neuroflux.manager.connection import Connection
from neuroflux.runtime.settings import Settings
from neuroflux.stack.control import hand_over, is_here

TIMEOUT = 60.0
"""Seconds to wait for the services to restart; the timeout for the exchanges starts after that."""


class HandoverResult(Struct, frozen=True):
    """``local``: the stack runs in this home. Balances from before ``since`` may be another account's.

    ``refused``: why the keys of an exchange were not passed, by exchange id.
    """

    local: bool = False
    since: Microseconds = 0
    fault: str = ""
    refused: Mapping[str, str] = {}


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
    refused = await withdrawal_faults(connection.settings, requested)
    given, since = variables(one for one in requested if one.exchange not in refused), connection.now()
    try:
        renewed = await hand_over(connection.settings, given, TIMEOUT) if given else ()
    except NeuroFluxError as error:
        return HandoverResult(local=True, fault=str(error), refused=refused)
    return HandoverResult(local=True, since=since if renewed else 0, refused=refused)


async def withdrawal_faults(settings: Settings, requested: Iterable[RequestedConfig]) -> Mapping[str, str]:
    """By exchange id, what to change in keys of a real exchange that are known to have withdrawal rights.

    Keys that can't be checked are not refused, as by ``neuroflux up --live --trade``.
    """
    async with aiohttp.ClientSession() as session:
        found = await asyncio.gather(*(_withdrawal_fault(session, settings, one) for one in requested))
    return {exchange: fault for exchange, fault in found if fault}


async def _withdrawal_fault(
    session: aiohttp.ClientSession, settings: Settings, one: RequestedConfig
) -> tuple[str, str]:
    uses_testnet = settings.testnet(one.exchange) if one.testnet is None else one.testnet
    if one.keys is None or uses_testnet:
        return one.exchange, ""

    def address(exchange_id: str) -> str:
        return exchange_of(exchange_id).REST_URL if settings.testnet(exchange_id) else settings.rest_url(exchange_id)

    rights = await key_rights(session, one.exchange, one.keys, address)
    return one.exchange, f"keys with withdrawal rights are refused: {rights.detail}" if rights.withdraws else ""
