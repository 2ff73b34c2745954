"""What a key may do, as its exchange reports it: queried before real money is traded with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import aiohttp

from neuroflux.errors import NeuroFluxError
from neuroflux.exchanges.catalogue import exchange as exchange_of
from neuroflux.exchanges.config import EXCHANGE_TIMEOUTS
from neuroflux.exchanges.kit.requests import Answer, KeyRights, Keys, Request
from neuroflux.http.clock_probe import exchange_time
from neuroflux.http.exchange_http import answer_to
from neuroflux.runtime.clock import wall

TIMEOUT: Final = aiohttp.ClientTimeout(connect=EXCHANGE_TIMEOUTS["connect"], total=EXCHANGE_TIMEOUTS["read"])


async def key_rights(
    session: aiohttp.ClientSession, exchange_id: str, keys: Keys, address: Callable[[str], str]
) -> KeyRights:
    """The rights of a key, or why they could not be checked; ``address`` returns the REST address of an exchange id."""
    on = exchange_of(exchange_id)
    try:
        if (draft := on.key_question(keys, wall())) is None:
            return on.key_rights(keys, None)
        queried = address(draft.at)

        async def ask(request: Request) -> Answer:
            return await answer_to(session, queried, request, TIMEOUT, queried)

        now = await exchange_time(exchange_of(draft.at), ask)
        query = on.key_question(keys, now) or draft
        return on.key_rights(keys, await ask(query.request))
    except NeuroFluxError as error:
        return KeyRights(None, f"could not be checked: {error}")
