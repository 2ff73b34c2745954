"""The accounts that would receive orders, and the permissions of each key, as reported by its exchange."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
from msgspec import Struct

from neuroflux.domain import Microseconds
from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.exchanges.kit.requests import KeyQuestion, KeyRights, Keys
from neuroflux.http.exchange_http import answer_to
from neuroflux.runtime.clock import wall
from neuroflux.runtime.settings import Settings

TIMEOUT: Final = aiohttp.ClientTimeout(connect=EXCHANGE_TIMEOUTS["connect"], total=EXCHANGE_TIMEOUTS["read"])


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
    rights = await _rights(session, settings, name, keys) if keys else None
    return LiveAccount(name, account, testnet, addresses == own, addresses, rights)


async def _rights(session: aiohttp.ClientSession, settings: Settings, name: str, keys: Keys) -> KeyRights:
    on = exchange_of(name)
    try:
        if (draft := on.key_question(keys, wall())) is None:
            return on.key_rights(keys, None)
        address = settings.rest_url(draft.at)
        now = await _exchange_time(session, address, draft)
        query = on.key_question(keys, now) or draft
        return on.key_rights(keys, await answer_to(session, address, query.request, TIMEOUT, address))
    except NeuroFluxError as error:
        return KeyRights(None, f"could not be checked: {error}")


async def _exchange_time(session: aiohttp.ClientSession, address: str, query: KeyQuestion) -> Microseconds:
    """The exchange's clock: a signed request must carry its time."""
    at = exchange_of(query.at)
    request = at.server_time_request()
    if request is None:
        return wall()
    return at.server_time(await answer_to(session, address, request, TIMEOUT, address))
