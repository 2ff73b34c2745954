"""Requests over REST: limits, credentials, faults and errors around the function that answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Literal, Protocol, TypeVar

from aiohttp import web
from msgspec import Struct

from neuroflux.errors import Refused
from neuroflux.sim.core.malformed_rows import spoiled
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_answer

Params = TypeVar("Params")
Access = Literal["open", "key", "signed"]
"""Who may send a request: everyone, who knows the key, or who can sign with it."""


class Endpoint(Struct, Generic[Params], frozen=True):
    """One method of one path.

    ``function`` takes the parameters and the exchange's time in µs, and returns what becomes JSON. ``is_order`` counts
    against the limit of orders.
    """

    method: str
    path: str
    function: Callable[[Params, int], object]
    weight: int | Callable[[Params], int] = 1
    access: Access = "open"
    is_order: bool = False

    def weight_of(self, params: Params) -> int:
        return self.weight if isinstance(self.weight, int) else self.weight(params)


class Asked(Struct, Generic[Params], frozen=True):
    """A request: its parameters, its key, the text that was signed, and the signature."""

    params: Params
    key: str = ""
    signed: str = ""
    signature: str = ""


class Rules(Protocol[Params]):
    """How one exchange reads, checks and answers requests."""

    async def read(self, request: web.Request) -> Asked[Params]: ...

    def check(self, endpoint: Endpoint[Params], asked: Asked[Params], now: int) -> None:
        """Count the request and check its credentials; raises Refused."""
        ...

    def name(self, endpoint: Endpoint[Params], params: Params) -> str:
        """The name that the fault ``malformed_row`` has for the answer."""
        ...

    def is_placed(self, body: object) -> bool:
        """Whether this is the answer to an order that was placed: the fault ``accept_then_timeout`` loses only such."""
        ...

    def answer(self, endpoint: Endpoint[Params], body: object) -> web.Response: ...

    def refuse(self, error: Refused) -> web.Response: ...


class JsonRules(Generic[Params]):
    """The part of ``Rules`` that most exchanges have in common."""

    def name(self, endpoint: Endpoint[Params], params: Params) -> str:
        return endpoint.path.rpartition("/")[2]

    def is_placed(self, body: Any) -> bool:
        return True

    def answer(self, endpoint: Endpoint[Params], body: object) -> web.Response:
        return json_answer(body)


class Api(Generic[Params]):
    """Answers the requests of one exchange."""

    def __init__(self, simulation: Simulation, exchange_id: str, rules: Rules[Params]) -> None:
        self._simulation = simulation
        self._exchange_id = exchange_id
        self._rules = rules

    def route(self, endpoint: Endpoint[Params]) -> web.RouteDef:
        """The endpoint as a route of aiohttp."""

        async def handle(request: web.Request) -> web.StreamResponse:
            try:
                return await self._answer(endpoint, request)
            except Refused as error:
                return self._rules.refuse(error)

        return web.route(endpoint.method, endpoint.path, handle)

    async def _answer(self, endpoint: Endpoint[Params], request: web.Request) -> web.StreamResponse:
        rules, faults, now = self._rules, self._simulation.faults, self._simulation.now(self._exchange_id)
        asked = await rules.read(request)
        rules.check(endpoint, asked, now)
        made = endpoint.function(asked.params, now)
        body = spoiled(made, faults, self._exchange_id, rules.name(endpoint, asked.params))
        if endpoint.is_order and rules.is_placed(body) and faults.take(self._exchange_id, "accept_then_timeout"):
            return await self._simulation.never(request)
        if endpoint.is_order or endpoint.method == "DELETE":
            await self._simulation.linger()
        return rules.answer(endpoint, body)
