"""The accounts that would receive orders, and the permissions of each key, as reported by its exchange."""

from __future__ import annotations

import asyncio

import aiohttp
from msgspec import Struct

from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.kit.requests import KeyRights
from neuroflux.http.key_rights import key_rights
from neuroflux.runtime.settings import Settings


class LiveAccount(Struct, frozen=True):
    """One exchange that would be traded on; without keys ``account`` is "" and ``rights`` None.

    ``is_own``: the addresses are those of the exchange or its testnet, and not overridden by settings.
    """

    exchange: str
    account: str
    testnet: bool
    is_own: bool
    addresses: tuple[str, str, str]
    """REST, WebSocket for prices, WebSocket for the account."""
    rights: KeyRights | None


async def live_accounts(settings: Settings) -> list[LiveAccount]:
    """The accounts of all exchanges in the settings; if one does not answer, its ``rights`` could not be checked."""
    async with aiohttp.ClientSession() as session:
        return list(await asyncio.gather(*(_account(session, settings, name) for name in settings.exchanges)))


async def _account(session: aiohttp.ClientSession, settings: Settings, name: str) -> LiveAccount:
    on, keys, testnet = exchange_of(name), settings.keys(name), settings.testnet(name)
    addresses = (settings.rest_url(name), settings.ws_url(name), settings.private_ws_url(name))
    own = on.TESTNET if testnet else (on.REST_URL, on.WS_URL, on.PRIVATE_WS_URL)
    account = on.account_name(keys) if keys else ""
    rights = await key_rights(session, name, keys, settings.rest_url) if keys else None
    return LiveAccount(name, account, testnet, addresses == own, addresses, rights)
