"""Hyperliquid's dialect: its paths, its limits, and the demo account that may sign.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.errors import Refused
from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.orders import AccountEvent
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.hyperliquid.account import Json, number
from neuroflux.sim.hyperliquid.actions import Actions
from neuroflux.sim.hyperliquid.info import Info, UnknownInfo, weight_of_info
from neuroflux.sim.hyperliquid.limits import AddressLimit
from neuroflux.sim.hyperliquid.signing import address_of, private_key
from neuroflux.sim.hyperliquid.socket import Feeds
from neuroflux.sim.hyperliquid.venue import HYPERLIQUID, VENUE
from neuroflux.sim.kit.api import Api, Asked, Endpoint, JsonRules
from neuroflux.sim.kit.limits import Window

WEIGHT_A_MINUTE = 1200


class TooManyRequests(Refused):
    """The minute's weight is spent: HTTP 429."""


class HyperliquidRules(JsonRules[Json]):
    """Implements ``Rules``. Actions carry their own signatures, which ``Actions`` checks."""

    def __init__(self) -> None:
        self._weight = Window(WEIGHT_A_MINUTE)

    async def read(self, request: web.Request) -> Asked[Json]:
        return Asked(_object(await request.read()))

    def check(self, endpoint: Endpoint[Json], asked: Asked[Json], now: int) -> None:
        if not self._weight.spend(endpoint.weight_of(asked.params), now):
            raise TooManyRequests("weight")

    def name(self, endpoint: Endpoint[Json], params: Json) -> str:
        return str(params.get("type"))

    def is_placed(self, body: Any) -> bool:
        """An action that was refused has nothing that could be lost."""
        response = body["response"]
        if not isinstance(response, dict) or response["type"] != "order":
            return False
        return any("resting" in one or "filled" in one for one in response["data"]["statuses"])

    def refuse(self, error: Refused) -> web.Response:
        if isinstance(error, TooManyRequests):
            return failure(429)
        return web.Response(status=422, text=f"Failed to deserialize the JSON body into the target type: {error}")


def failure(status: int, retry_after: int | None = None) -> web.Response:
    """The body of a 429 is not documented."""
    headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
    return web.Response(status=status, text="null", content_type="application/json", headers=headers)


class Hyperliquid:
    """Implements ``Dialect``."""

    venue = VENUE
    prefixes: tuple[str, ...] = ("/hyperliquid",)
    changes: Mapping[str, Callable[[Fault], None]] = {}

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._exchange = simulation.exchange(HYPERLIQUID)
        self._agent = private_key(simulation.seed, "hyperliquid agent")
        self._user = address_of(private_key(simulation.seed, "hyperliquid account").public_key)
        limit = AddressLimit(self._exchange, simulation.faults)
        self._info = Info(simulation, self._user, limit)
        self._actions = Actions(simulation, {self._user, address_of(self._agent.public_key)}, limit)
        self._feeds = Feeds(simulation, self._info)
        self._api = Api(simulation, HYPERLIQUID, HyperliquidRules())
        self._exchange.listeners.append(self._on_event)

    def _on_event(self, event: AccountEvent) -> None:
        self._feeds.report(event, self._user)

    def account(self) -> DemoAccount:
        balances = {asset: balance.total for asset, balance in self._exchange.spot.balances.items()}
        balances["USDC"] = balances.get("USDC", Decimal(0)) + self._exchange.perpetual.wallet["USDC"]
        totals = {asset: number(total) for asset, total in balances.items()}
        return DemoAccount(HYPERLIQUID, self._user, "0x" + self._agent.to_hex(), self._user, totals)

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._feeds.publish(changes, now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        return failure(status, retry_after)

    def routes(self) -> list[web.RouteDef]:
        return [
            self._api.route(
                Endpoint("POST", "/hyperliquid/info", lambda asked, _: self._info.whole(asked), weight_of_info)
            ),
            self._api.route(Endpoint("POST", "/hyperliquid/exchange", self._carry_out, is_order=True)),
            web.get("/hyperliquid/ws", self._on_socket),
        ]

    def _carry_out(self, body: Json, now: int) -> Json:
        outcome = self._actions.carry_out(body)
        self._simulation.flush(HYPERLIQUID)
        return outcome

    async def _on_socket(self, request: web.Request) -> web.StreamResponse:
        connection = self._simulation.connection(HYPERLIQUID)

        async def on_text(text: str) -> None:
            await self._feeds.receive(connection, text, self._post)

        try:
            return await connection.run(request, on_text)
        finally:
            self._feeds.leave(connection)
            self._simulation.leave(connection)

    def _post(self, request: Json) -> Json:
        """A request over the socket: an info answer has one more layer than over REST."""
        payload: Any = request.get("payload")
        if request.get("type") == "action" and isinstance(payload, dict):
            return {"type": "action", "payload": self._carry_out(payload, self._info.now())}
        try:
            asked = payload if isinstance(payload, dict) else {}
            return {"type": "info", "payload": {"type": asked.get("type"), "data": self._info.answer(asked)}}
        except UnknownInfo as error:
            return {"type": "error", "payload": str(error)}


def _object(body: bytes) -> Json:
    """The JSON object of a body; an empty one for anything else."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
