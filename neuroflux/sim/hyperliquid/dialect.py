"""Hyperliquid's dialect: its paths, its limits, and the demo account that may sign.

Source: https://hyperliquid.gitbook.io/hyperliquid-docs/for-developers/api
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from aiohttp import web

from neuroflux.sim.core.faults import Fault
from neuroflux.sim.core.orders import AccountEvent
from neuroflux.sim.core.simulation import DemoAccount, Simulation
from neuroflux.sim.core.world import Change
from neuroflux.sim.hyperliquid.account import Json, number
from neuroflux.sim.hyperliquid.actions import Actions
from neuroflux.sim.hyperliquid.info import LIGHT, Info, UnknownInfo
from neuroflux.sim.hyperliquid.limits import AddressLimit
from neuroflux.sim.hyperliquid.signing import address_of, private_key
from neuroflux.sim.hyperliquid.socket import Feeds
from neuroflux.sim.hyperliquid.venue import HYPERLIQUID, VENUE

WEIGHT_A_MINUTE = 1200
MINUTE = 60_000_000


def _answer(value: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


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
        self._minute, self._used = 0, 0
        self._exchange.listeners.append(self._on_event)

    def _on_event(self, event: AccountEvent) -> None:
        self._feeds.happened(event, self._user)

    def account(self) -> DemoAccount:
        balances = {asset: balance.total for asset, balance in self._exchange.spot.balances.items()}
        balances["USDC"] = balances.get("USDC", Decimal(0)) + self._exchange.perpetual.wallet["USDC"]
        told = {asset: number(total) for asset, total in balances.items()}
        return DemoAccount(HYPERLIQUID, self._user, "0x" + self._agent.to_hex(), self._user, told)

    def publish(self, changes: Sequence[Change], now: int) -> None:
        self._feeds.publish(changes, now)

    def failure(self, status: int, retry_after: int | None = None) -> web.Response:
        """A 429 has no body that anybody documented."""
        headers = {"Retry-After": str(retry_after)} if retry_after is not None else {}
        return web.Response(status=status, text="null", content_type="application/json", headers=headers)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/hyperliquid/info", self._on_info),
            web.post("/hyperliquid/exchange", self._on_exchange),
            web.get("/hyperliquid/ws", self._on_socket),
        ]

    async def _on_info(self, request: web.Request) -> web.StreamResponse:
        asked = _object(await request.read())
        if not self._spend(2 if asked.get("type") in LIGHT else 20):
            return self.failure(429)
        try:
            return _answer(self._info.answer(asked))
        except UnknownInfo as error:
            return web.Response(status=422, text=f"Failed to deserialize the JSON body into the target type: {error}")

    async def _on_exchange(self, request: web.Request) -> web.StreamResponse:
        if not self._spend(1):
            return self.failure(429)
        told = self._carry_out(_object(await request.read()))
        if self._placed(told) and self._simulation.faults.take(HYPERLIQUID, "accept_then_timeout"):
            return await self._simulation.never(request)
        await self._simulation.linger()
        return _answer(told)

    def _carry_out(self, body: Json) -> Json:
        told = self._actions.carry_out(body)
        self._simulation.flush(HYPERLIQUID)
        return told

    def _placed(self, told: Json) -> bool:
        """Whether an order stands or stood: an action that was refused has nothing that could be lost."""
        response = told["response"]
        if not isinstance(response, dict) or response["type"] != "order":
            return False
        return any("resting" in one or "filled" in one for one in response["data"]["statuses"])

    def _spend(self, weight: int) -> bool:
        """Count a request by its weight; False above the minute's limit."""
        minute = self._simulation.now(HYPERLIQUID) // MINUTE
        if minute != self._minute:
            self._minute, self._used = minute, 0
        self._used += weight
        return self._used <= WEIGHT_A_MINUTE

    async def _on_socket(self, request: web.Request) -> web.StreamResponse:
        connection = self._simulation.connection(HYPERLIQUID)

        async def said(text: str) -> None:
            await self._feeds.said(connection, text, self._post)

        try:
            return await connection.run(request, said)
        finally:
            self._feeds.leave(connection)
            self._simulation.leave(connection)

    def _post(self, request: Json) -> Json:
        """A request over the socket: an info answer has one more layer than over REST."""
        payload: Any = request.get("payload")
        if request.get("type") == "action" and isinstance(payload, dict):
            return {"type": "action", "payload": self._carry_out(payload)}
        try:
            asked = payload if isinstance(payload, dict) else {}
            return {"type": "info", "payload": {"type": asked.get("type"), "data": self._info.answer(asked)}}
        except UnknownInfo as error:
            return {"type": "error", "payload": str(error)}


def _object(body: bytes) -> Json:
    """The JSON object of a body; an empty one for anything else, which no answer fits."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        return {}
