"""Binance spot's notice before a server goes down: an event on every socket, and the cut some time later.

Source: https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams (``serverShutdown``) and
…/websocket-api/connection-events
"""

from __future__ import annotations

from msgspec import Struct

from neuroflux.sim.binance.spot_venue import BINANCE
from neuroflux.sim.core.connection import Connection
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text


class Ending(Struct, frozen=True):
    """Sockets that were given notice, and when they are cut, in µs."""

    connections: tuple[Connection, ...]
    due: int


class Shutdown:
    """Gives notice when the fault strikes, and cuts those sockets after its ``ms``: later ones are elsewhere."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._endings: list[Ending] = []

    def check(self, now: int) -> None:
        """``now`` in µs, the exchange's."""
        if fault := self._simulation.faults.take(BINANCE, "server_shutdown"):
            connections = tuple(self._simulation.connections[BINANCE])
            event = json_text({"e": "serverShutdown", "E": now // 1000})
            for connection in connections:
                connection.send(connection.wrap("!serverShutdown", event))
            self._endings.append(Ending(connections, now + 1000 * fault.ms))
        for ending in [each for each in self._endings if now >= each.due]:
            self._endings.remove(ending)
            for connection in ending.connections:
                connection.close()
