"""How Bybit reads, checks and answers requests over HTTP.

Source: https://bybit-exchange.github.io/docs/v5/guide
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.bybit.credentials import Call, Limits, Signer
from neuroflux.sim.bybit.orders import Orders
from neuroflux.sim.bybit.venue import BYBIT, VENUE
from neuroflux.sim.bybit.wire import ApiError, Json, Params, envelope, error_answer, refusal
from neuroflux.sim.core.orders import Rejected
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_answer
from neuroflux.sim.kit.api import Access, Asked, Endpoint, JsonRules

PREFIX = f"{VENUE.path}/v5/"
Function = Callable[[Params, int], Json]


class BybitRules(JsonRules[Call]):
    """Implements ``Rules``. Refusals, too, are answered with HTTP 200; but for a ban."""

    def __init__(self, simulation: Simulation, signer: Signer, limits: Limits, orders: Orders) -> None:
        self._simulation, self._signer, self._limits, self._orders = simulation, signer, limits, orders

    async def read(self, request: web.Request) -> Asked[Call]:
        """A GET is signed with its query as it was sent, a POST with its body."""
        query, body = request.raw_path.partition("?")[2], (await request.read()).decode(errors="replace")
        names = ("API-KEY", "TIMESTAMP", "RECV-WINDOW", "SIGN")
        key, time, window, sign = (request.headers.get(f"X-BAPI-{name}", "") for name in names)
        params: Params = dict(request.query) if request.method == "GET" else _object(body)
        return Asked(Call(params, query if request.method == "GET" else body, key, time, window, sign))

    def check(self, endpoint: Endpoint[Call], asked: Asked[Call], now: int) -> None:
        self._limits.count_address(now)
        if endpoint.access == "signed":
            self._signer.check(asked.params, now)
            self._limits.count(endpoint.path.removeprefix(PREFIX), str(asked.params.params.get("category", "")), now)

    def is_placed(self, body: Any) -> bool:
        return self._orders.is_placed(body)

    def answer(self, endpoint: Endpoint[Call], body: object) -> web.Response:
        now = self._simulation.now(BYBIT)
        return json_answer(envelope(body, now), headers=self._headers(endpoint, now))

    def _headers(self, endpoint: Endpoint[Call], now: int) -> dict[str, str]:
        path = endpoint.path.removeprefix(PREFIX)
        return self._limits.headers(path, now) if endpoint.access == "signed" else {}

    def refuse(self, error: Refused) -> web.Response:
        if not isinstance(error, ApiError):
            raise error
        return error_answer(error, self._simulation.now(BYBIT))

    def endpoint(self, path: str, function: Function, method: str = "GET", *, is_open: bool = False) -> Endpoint[Call]:
        """An endpoint whose refusals have the codes of the request's category, and tell the limit as answers do."""

        def answered(call: Call, now: int) -> Json:
            try:
                return function(call.params, now)
            except Rejected as error:
                refused = refusal(error.reason, str(call.params.get("category")))
                refused.headers = self._headers(made, now)
                raise refused from error
            except ApiError as error:
                error.headers = {**self._headers(made, now), **error.headers}
                raise

        access: Access = "open" if is_open else "signed"
        is_order = path == "order/create"
        made: Endpoint[Call] = Endpoint(method, PREFIX + path, answered, access=access, is_order=is_order)
        return made


def _object(body: str) -> Params:
    """The JSON object of a body; raises ApiError for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ApiError(10001, "Request parameter error.") from error
