"""How Kraken reads, limits and refuses requests over REST.

Source: https://docs.kraken.com/api/docs/guides/spot-rest-auth and spot-rest-ratelimits
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.kit.api import Asked, Endpoint, JsonRules
from neuroflux.sim.kraken.keys import Account, Keys
from neuroflux.sim.kraken.limits import FREE, PUBLIC_A_SECOND, PUBLIC_MOST, Counter
from neuroflux.sim.kraken.refusals import error_text
from neuroflux.sim.kraken.venue import VENUE
from neuroflux.sim.kraken.wire import ApiError, Params, form_of, object_of, refused

PRIVATE = "/0/private/"
CALLER = "\0account"
"""The parameter in which a signed request has its ``Account``; no client can send this name."""


def caller(params: Params) -> Account:
    """The account that sent a signed request."""
    account: Account = params[CALLER]
    return account


class KrakenRules(JsonRules[Params]):
    """Implements ``Rules``. ``may_trade`` is whether the keys may do more than query."""

    def __init__(self, keys: Keys, may_trade: Callable[[], bool]) -> None:
        self._keys, self._may_trade = keys, may_trade
        self._addresses: dict[str, Counter] = {}

    async def read(self, request: web.Request) -> Asked[Params]:
        body = await request.read()
        key, sign = request.headers.get("API-Key", ""), request.headers.get("API-Sign", "")
        if PRIVATE not in request.path:
            fields = form_of(body) if request.method == "POST" else {}
            return Asked({**request.query, **fields, CALLER: request.remote})
        is_json = request.content_type == "application/json"
        params = object_of(body) if is_json else form_of(body)
        path = request.path.removeprefix(VENUE.path)
        return Asked(params, key, f"{path} {body.decode(errors='replace')}", sign)

    def check(self, endpoint: Endpoint[Params], asked: Asked[Params], now: int) -> None:
        if endpoint.access == "open":
            counter = self._addresses.setdefault(str(asked.params[CALLER]), Counter())
            if not counter.spend(1, PUBLIC_MOST, PUBLIC_A_SECOND, now):
                raise ApiError("EGeneral:Too many requests")
            return
        path, _, body = asked.signed.partition(" ")
        account = self._keys.check(asked, path, body.encode(), now)
        name = path.rpartition("/")[2]
        if not account.limits.request(name, self._keys.tier(account), now):
            raise ApiError("EAPI:Rate limit exceeded")
        if name in FREE and not self._may_trade():
            raise ApiError("EGeneral:Permission denied")
        asked.params[CALLER] = account

    def name(self, endpoint: Endpoint[Params], params: Params) -> str:
        return endpoint.path.rpartition("/")[2]

    def is_placed(self, body: Any) -> bool:
        return bool(body["result"].get("txid") or body["result"].get("orders"))

    def refuse(self, error: Refused) -> web.Response:
        """HTTP 200, whatever it is."""
        return refused(error.text if isinstance(error, ApiError) else error_text(error))
