"""What all sockets of Bybit do alike: limits of an address, JSON in and out, and the end of those that fall silent.

Source: https://bybit-exchange.github.io/docs/v5/ws/connect
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count

import msgspec
from aiohttp import web

from neuroflux.sim.bybit.credentials import SECOND, Limits
from neuroflux.sim.bybit.venue import BYBIT
from neuroflux.sim.bybit.wire import ApiError, Json, error_answer
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text
from neuroflux.sim.kit.limits import MINUTE
from neuroflux.sim.kit.streams import Hub

QUIET = 10 * MINUTE
"""µs after which a client that sent nothing, not even a ping, is disconnected."""
_ACTIVE = re.compile(r"([0-9]{1,3})([sm])")
Receive = Callable[[Connection, Json], Json | None]


def quiet_of(request: web.Request) -> int:
    """The time that the client asked for, between half a minute and ten."""
    wanted = _ACTIVE.fullmatch(request.query.get("max_active_time", ""))
    if not wanted:
        return QUIET
    length = int(wanted[1]) * (SECOND if wanted[2] == "s" else MINUTE)
    return min(max(length, MINUTE // 2), QUIET)


class Sockets:
    """The open sockets of the exchange, with the time in µs when each must have been heard from again."""

    def __init__(self, simulation: Simulation, hub: Hub, limits: Limits) -> None:
        self._simulation, self._hub, self._limits = simulation, hub, limits
        self._due: dict[Connection, int] = {}
        self._ids: dict[Connection, str] = {}
        self._numbers, self._checked = count(1), 0

    def id_of(self, connection: Connection) -> str:
        return self._ids[connection]

    async def serve(
        self, receive: Receive, leave: Callable[[Connection], object], request: web.Request
    ) -> web.StreamResponse:
        """Serve one socket until it ends; ``receive`` returns the answer to a frame, None for no answer."""
        now, quiet = self._simulation.now(BYBIT), quiet_of(request)
        try:
            self._limits.count_connection(now)
        except ApiError as error:
            return error_answer(error, now)
        connection = self._simulation.connection(BYBIT)
        self._due[connection], self._ids[connection] = now + quiet, f"cejreassvfrsfvb9v1a0-{next(self._numbers):x}"

        async def on_text(text: str) -> None:
            self._due[connection] = self._simulation.now(BYBIT) + quiet
            answer = receive(connection, _object(text))
            if answer is not None:
                connection.reply(json_text(answer))

        try:
            return await connection.run(request, on_text)
        finally:
            leave(connection)
            self._hub.leave(connection)
            self._simulation.leave(connection)
            del self._due[connection], self._ids[connection]

    def close_quiet(self, now: int) -> None:
        """Disconnect the silent, looked for once a second."""
        if now - self._checked < SECOND:
            return
        self._checked = now
        for connection in [one for one, due in self._due.items() if due < now]:
            connection.close()


def _object(text: str) -> Json:
    """The JSON object of a frame; an empty one for anything else."""
    try:
        return msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError:
        return {}


def named(asked: Json, name: str = "req_id") -> Json:
    """The client's own id of a request, as it was sent."""
    return {name: asked[name]} if name in asked else {}


def texts(args: object) -> list[str]:
    """The topics of a request, without what is no text."""
    return [one for one in args if isinstance(one, str)] if isinstance(args, list) else []
