"""Binance USDⓈ-M's listen keys: who may follow the private stream, and until when.

Source: https://developers.binance.com/docs/derivatives/usds-margined-futures/user-data-streams/Start-User-Data-Stream
"""

from __future__ import annotations

from neuroflux.sim.binance.usdm_venue import BINANCE_USDM
from neuroflux.sim.binance.wire import ApiError, Params
from neuroflux.sim.core.connection import PRIVATE, Connection
from neuroflux.sim.core.keys import secret_bytes
from neuroflux.sim.core.simulation import Simulation
from neuroflux.sim.kit.answers import json_text

LISTEN_KEY_LIFE = 3_600_000_000
"""µs."""


class ListenKeys:
    """One account's key, and the sockets that were opened with it. ``now`` is in µs, the exchange's."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self.followers: set[Connection] = set()
        self._key = ""
        self._expires = 0
        self._made = 0

    def create(self, _: Params, now: int) -> object:
        """The same key while it is valid, for another hour; raises ApiError -1001 where a fault requests it."""
        if self._simulation.faults.take(BINANCE_USDM, "listen_key_refused"):
            raise ApiError(-1001, "Internal error; unable to process your request. Please try again.", 503)
        if now >= self._expires:
            self._made += 1
            name = f"listen {self._made}"
            self._key = "".join(secret_bytes(self._simulation.seed, BINANCE_USDM, name + end).hex() for end in "ab")
        return self._extend(now)

    def keep(self, _: Params, now: int) -> object:
        """Raises ApiError -1125 for an expired key."""
        self.check_expiry(now)
        if now >= self._expires:
            raise ApiError(-1125, "This listenKey does not exist.")
        return self._extend(now)

    def _extend(self, now: int) -> object:
        self._expires = now + LISTEN_KEY_LIFE
        return {"listenKey": self._key}

    def close(self, _: Params, now: int) -> object:
        self._expires = 0
        return {}

    def follow(self, connection: Connection, key: str, now: int) -> None:
        """Send the account's events to a socket; one with an invalid key stays silent."""
        if key and key == self._key and now < self._expires:
            self.followers.add(connection)

    def check_expiry(self, now: int) -> None:
        """Send the followers the end of an expired key; one that the fault ``listen_key_gone`` ends is not reported."""
        if not self._expires:
            return
        if self._simulation.faults.take(BINANCE_USDM, "listen_key_gone"):
            self._end()
        elif now >= self._expires or self._simulation.faults.take(BINANCE_USDM, "listen_key_expired"):
            event = json_text({"e": "listenKeyExpired", "E": now // 1000, "listenKey": self._key})
            for connection in self.followers:
                connection.send(event, stream=PRIVATE, is_private=True)
            self._end()

    def _end(self) -> None:
        self._expires = 0
        self.followers.clear()
